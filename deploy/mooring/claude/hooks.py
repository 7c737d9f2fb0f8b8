"""The hooks that tell Mooring which conversation a workspace is in, and where they are set.

Claude Code runs a hook's command with ``sh -c`` and JSON on stdin (its documentation, "Hooks").
What the command appends is read in `events.py`.
"""

from __future__ import annotations

import json
from typing import Any

SETTINGS = ".claude/settings.local.json"
"""A worktree's own settings, which Claude Code reads there whoever starts it."""

FLAG_SETTINGS = ".mooring/claude-settings.json"
"""Where the hooks are instead if `SETTINGS` is the repo's own: for ``claude --settings``."""

FORK = "MOORING_FORK"
"""In Claude's environment for a fork: the id it is forked from, a colon, and its own."""

TAG = ": mooring;"
"""What each of our commands begins with: a no-op, by which they are known again."""

COMMAND = (
    TAG
    # The workspace is where its name is; Claude may have been started below it.
    + ' d=${CLAUDE_PROJECT_DIR:-$PWD}; until [ -f "$d/.mooring/workspace" ]; do'
    " case $d in */*) d=${d%/*} ;; *) exit 0 ;; esac; done;"
    " umask 077; m=${CLAUDE_CONFIG_DIR:-$HOME/.claude}/mooring e=$m/events.jsonl;"
    ' { IFS= read -r j; IFS= read -r w <"$d/.mooring/workspace";'
    r" case $w in *[!A-Za-z0-9._~/%\ -]*) exit 0 ;; esac;"
    """ s=${j#*'"session_id":'}; s=${s#*'"'}; s=${s%%'"'*};"""
    # Claude Code 2.1.197 names a fork by the id that it was forked from.
    ' case ${MOORING_FORK-} in "$s:"*)'
    ' t=${MOORING_FORK#*:}; j=${j%%"$s"*}$t${j#*"$s"}; s=$t ;; esac;'
    ' [ -d "$m" ] || mkdir -p "$m";'
    # Somebody may have put a symlink or a pipe there: never write through one. In this order: the
    # first of all events may come to be between the two looks.
    ' if [ ! -L "$m" ] && [ ! -L "$e" ] && { [ ! -e "$e" ] || [ -f "$e" ]; }; then'
    # One write, so that two sessions never mix their lines.
    """ printf '{"at":%s,"workspace":"%s","hook":%s}\\n' "$(date +%s)" "$w" "$j" >>"$e"; fi;"""
    # After a clear comes the start of the next one.
    """ case $j in *'"reason":"clear"'*) exit 0 ;; *'"SessionStart"'* | *'"SessionEnd"'*) ;;"""
    " *) exit 0 ;; esac; case $s in *[!0-9a-f-]*) ;;"
    " ????????-????-????-????-????????????)"
    " t=$d/.mooring/.stage.$$ f=$d/.mooring/session;"
    ' for l in "$t" "$f"; do if [ -L "$l" ] || [ -p "$l" ]; then rm -f "$l"; fi; done; set -C;'
    ' if [ ! -L "$d/.mooring" ] && [ ! -d "$f" ]; then'
    """ printf '%s\\n' "$s" >"$t" && mv -f "$t" "$f" || rm -f "$t"; fi ;;"""
    " esac; } 2>/dev/null; exit 0"
)
"""Appends the event to the store, and puts the id into the workspace for its next prompt.

It is one line, and constant: whatever it says of a workspace it reads there."""

EVENTS = ("SessionStart", "SessionEnd")


def merged(settings: Any) -> dict[str, Any] | None:
    """The settings with our hooks, once; everything else as it was.

    None if they have a shape that nothing can be added to.
    """
    kept = stripped(settings)
    if kept is None:
        return None
    ours = {"hooks": [{"type": "command", "command": COMMAND, "timeout": 5}]}
    hooks = kept.get("hooks", {})
    return {**kept, "hooks": {**hooks, **{name: [*hooks.get(name, []), ours] for name in EVENTS}}}


def stripped(settings: Any) -> dict[str, Any] | None:
    """The settings without our hooks: what somebody else put there. None for an odd shape."""
    if not isinstance(settings, dict) or not isinstance(settings.get("hooks", {}), dict):
        return None
    hooks = {}
    for name, groups in settings.get("hooks", {}).items():
        if not isinstance(groups, list):
            return None
        if left := [_without_ours(group) for group in groups if not _only_ours(group)]:
            hooks[name] = left
    rest = {name: value for name, value in settings.items() if name != "hooks"}
    return {**rest, "hooks": hooks} if hooks else rest


def _without_ours(group: Any) -> Any:
    if not isinstance(group, dict) or not isinstance(group.get("hooks"), list):
        return group
    left = [hook for hook in group["hooks"] if not _is_ours(hook)]
    if left == group["hooks"]:
        return group
    return {**group, "hooks": left}


def _only_ours(group: Any) -> bool:
    found = group.get("hooks") if isinstance(group, dict) else None
    return isinstance(found, list) and bool(found) and all(map(_is_ours, found))


def _is_ours(hook: Any) -> bool:
    return isinstance(hook, dict) and str(hook.get("command", "")).startswith(TAG)


def parse(text: bytes) -> Any:
    """The settings in a file, `{}` for an empty one; None if they are not JSON."""
    try:
        found = json.loads(text) if text.strip() else {}
        json.dumps(found, ensure_ascii=False).encode()  # half a surrogate pair can't be written
        return found
    except (ValueError, RecursionError):
        return None


def dump(settings: dict[str, Any]) -> str:
    """Settings as Claude Code itself writes them."""
    return json.dumps(settings, indent=2, ensure_ascii=False) + "\n"
