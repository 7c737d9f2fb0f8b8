"""Files: untracked ones of the main checkout that patterns select, and what the workspace has."""

from __future__ import annotations

import msgspec

FRAGMENT = r"""
matched() { # untracked files of the main checkout that the patterns select, one a line
  set --
  while IFS= read -r _line; do if [ -n "$_line" ]; then set -- "$@" --exclude="$_line"; fi
  done <<PATTERNS
$include
PATTERNS
  quiet_git --git-dir="$common" --work-tree="$checkout" -c core.quotePath=false \
    ls-files --others --ignored "$@"
}
head_of() { sed '/^<!-- mooring: /q' "$1"; } # the generated part of a context; the rest is kept
probe_files() {
  if [ -z "$include" ] && [ -z "$include_known" ] && [ -n "$record" ]; then
    include=$(entries include "$record")
  fi
  say include "$include"
  _wanted=
  if [ -n "$include" ] && [ -n "$checkout" ]; then
    cd -- "$checkout" && _wanted=$(matched)
    if [ -n "$_wanted" ]; then
      say matched "$_wanted"
      say sources "$(printf '%s\n' "$_wanted" | sums)"
      say ignored "$(printf '%s\n' "$_wanted" | quiet_git --git-dir="$common" \
        --work-tree="$checkout" -c core.quotePath=false check-ignore --stdin)"
    fi
  fi
  for _name in .envrc .session-context.md .session-prompt.md "$settings_name"; do
    if [ -n "$checkout" ] && [ -e "$checkout/$_name" ]; then
      cd -- "$checkout"
      if ! quiet_git --git-dir="$common" --work-tree="$checkout" check-ignore -q "$_name"
      then say visible "$_name"; fi
    fi
  done
  if [ -d "$path" ] && cd -- "$path"; then
    say present "$({
      printf '%s\n' "$_wanted" .envrc .session-prompt.md .mooring/envrc .mooring/session \
        .mooring/workspace .mooring/session-prompt.md .mooring/claude-settings.json \
        .mooring/.gitignore
      if [ -n "$record" ]; then entries files "$record"; fi
    } | sums)"
    for _name in .session-context.md .mooring/session-context.md; do
      if [ -f "$_name" ] && [ ! -L "$_name" ]; then
        say heads "$(head_of "$_name" | sha)  $_name"; fi
    done
    if [ -f .envrc ]; then
      _hash=$({ printf '%s\n' "$path/.envrc"; cat .envrc; } | sha)
      if [ -f "${XDG_DATA_HOME:-$HOME/.local/share}/direnv/allow/$_hash" ]; then
        say allowed "$_hash"; fi
    fi
  fi
}
"""


class Files(msgspec.Struct, frozen=True, kw_only=True):
    """Paths are relative to the main checkout (`matched`, `sources`) or the workspace."""

    include: tuple[str, ...]
    """The patterns that `matched` was listed for."""
    matched: tuple[str, ...]
    sources: dict[str, str]
    """sha256 of each matched path that is a plain file."""
    ignored: frozenset[str]
    """Matched paths that git ignores; any other would show in `git status`."""
    visible: frozenset[str]
    """Names Mooring would write that the main checkout has itself, tracked or untracked."""
    present: dict[str, str]
    """sha256 of what the workspace has, of the files that matter here; of a context, its head."""
    allowed: bool
    """Whether direnv has an approval for the workspace's `.envrc` as it stands."""


def parse(said: dict[str, str], visible: list[str], heads: list[str]) -> Files:
    """The files among what the probe said."""
    return Files(
        include=_lines(said.get("include", "")),
        matched=_lines(said.get("matched", "")),
        sources=_sums(said.get("sources", "")),
        ignored=frozenset(_lines(said.get("ignored", ""))),
        visible=frozenset(visible),
        present=_sums("\n".join([said.get("present", ""), *heads])),
        allowed="allowed" in said,
    )


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line for line in text.split("\n") if line)


def _sums(text: str) -> dict[str, str]:
    """Lines of sha256sum(1): 64 hex digits, two characters, a path."""
    return {line[66:]: line[:64] for line in _lines(text)}
