"""The session in the workspace: its id, Claude's hooks, the context and prompt; then the record."""

from __future__ import annotations

import time
from collections.abc import Iterator
from hashlib import sha256

import msgspec
from pyinfra.api.command import PyinfraCommand

from ..claude import hooks
from ..generate import SECTIONS
from ..handle import Workspace, text_sum
from ..model import Record
from .claim import finish_script, record_names
from .files import REQUIRED, requirements
from .removed import kept
from .shell import call, later, run, step, told

SESSION_ID = ".mooring/session"

_WRITE = r"""
find_admin
hidden() { case $1 in .mooring/*) ;; *) hide "$1" ;; esac }
put_context() { # DEST HEAD: the head is new; what stood below it stays
  hidden "$1"
  new_stage
  if [ -f "$1" ] && [ ! -L "$1" ]; then
    if grep -q '^<!-- mooring: ' "$1"; then _rest=$(sed '1,/^<!-- mooring: /d' "$1"; echo .)
    else _rest=$(printf '\n'; cat -- "$1"; echo .); fi # all of it is somebody's
  elif [ -f "$kept/context" ]; then _rest=$(cat -- "$kept/context"; echo .)
  else _rest=$sections.; fi
  printf '%s%s' "$2" "${_rest%.}" >"$stage" || die "Cannot write $1"
  if [ -f "$1" ] && [ ! -L "$1" ] && [ -z "$(find "$1" -perm -044)" ]; then chmod 600 "$stage"; fi
  move_stage "$1"
}
put_settings() { # DEST SEEN TEXT: the text, composed with what was there, if that is so still
  hidden "$1"
  cd -P -- "$path" || die "Cannot write: there is no $path"
  _there=; if [ -f "$1" ] && [ ! -L "$1" ]; then _there=$(sha <"$1"); fi
  if [ "$_there" = "$(printf '%s' "$3" | sha)" ]; then return 0; fi
  if [ "$_there" != "$2" ]; then
    echo "left as it is: $1 (somebody has just changed it; the next run looks again)"
    return 0
  fi
  new_stage
  if [ -n "$_there" ]; then cp -p -- "$1" "$stage"; else chmod 600 "$stage"; fi
  printf '%s' "$3" >|"$stage" || die "Cannot write $1"
  move_stage "$1"
}
if [ -n "$context_text" ]; then put_context "$context" "$context_text"; fi
if [ -n "$ignore_text" ]; then put .mooring/.gitignore "$ignore_known" "$ignore_text"; fi
if [ -n "$workspace_text" ]; then put .mooring/workspace "$workspace_known" "$workspace_text"; fi
if [ -n "$session_text" ]; then
  new_stage
  printf '%s' "$session_text" >"$stage" || die "Cannot write .mooring/session"
  move_stage .mooring/session
fi
if [ -n "$flagged_text" ]; then put "$flagged" "$flagged_known" "$flagged_text"; fi
if [ -n "$prompt_text" ]; then
  hidden "$prompt"
  put "$prompt" "$prompt_known" "$prompt_text"
  chmod 600 -- "$prompt"
fi
if [ -n "$settings_text" ]; then put_settings "$settings" "$settings_seen" "$settings_text"; fi
"""

_RECORDED = r"""
if [ ! -L "$path/.mooring" ]; then rm -f -- "$path/.mooring/provisioned"; fi
"""


@step
def session(workspace: Workspace) -> Iterator[PyinfraCommand]:
    """Have the session's id, hooks and context there, and the record and registry up to date."""
    if workspace.pending:
        return
    if workspace.unclaimed:
        yield later()
        return
    record = workspace.record
    assert record
    workspace.tell(workspace.plan.notes)
    texts = _texts(workspace, record)
    final = workspace.finished(record)
    if prompt := texts["prompt"]:
        generated = {**final.generated, workspace.plan.prompt: text_sum(prompt)}
        final = msgspec.structs.replace(final, generated=generated)
    if any(texts.values()) or final != record:
        final = msgspec.structs.replace(
            final, commit=workspace.commit or record.commit, updated=int(time.time())
        )
        names = {
            **_names(workspace, record, texts),
            **record_names(workspace, final),
            **requirements(workspace),
        }

        def done(answer: list[str]) -> None:
            told(workspace)(answer)
            workspace.finish(final, "provisioned")

        yield run(workspace, names, _WRITE + finish_script() + _RECORDED + REQUIRED, done)
    elif workspace.plan.required:
        yield run(workspace, requirements(workspace), REQUIRED)
    elif not workspace.registry.holds(record, workspace.host.name):
        yield call(workspace, lambda: workspace.finish(record, "indexed"))
    elif workspace.host.state.is_executing:
        workspace.note_seen()


def _texts(workspace: Workspace, record: Record) -> dict[str, str]:
    """What has to be written, by purpose; '' for what is as it should be."""
    plan, present = workspace.plan, workspace.observed.files.present
    names = {"ignore": ".mooring/.gitignore", "workspace": ".mooring/workspace"}
    names["context"] = plan.context
    if plan.settings == hooks.FLAG_SETTINGS:
        names["flagged"] = plan.settings
    stale = workspace.stale(record, *names.values())
    if plan.makes_worktree:  # the first file that was staged came with it
        stale.pop(names["ignore"], None)
    current = f"{workspace.session}\n"
    prompt = workspace.request.prompt
    return {
        "flagged": "",
        **{key: stale.get(name, "") for key, name in names.items()},
        "session": "" if present.get(SESSION_ID) == text_sum(current) else current,
        "prompt": "" if present.get(plan.prompt) == text_sum(prompt) else prompt,
        "settings": plan.settings_text,
    }


def _names(workspace: Workspace, record: Record, texts: dict[str, str]) -> dict[str, str]:
    plan, there = workspace.plan, workspace.observed.session.settings
    places = {"flagged": hooks.FLAG_SETTINGS, "prompt": plan.prompt, "context": plan.context}
    known = {"ignore": ".mooring/.gitignore", "workspace": ".mooring/workspace", **places}
    return {
        **{f"{key}_text": text for key, text in texts.items()},
        **{f"{key}_known": record.generated.get(name, "") for key, name in known.items()},
        **places,
        "settings": hooks.SETTINGS,
        "settings_seen": "" if there is None else sha256(there).hexdigest(),
        "sections": SECTIONS,
        "kept": kept(workspace.observed.target.root, record.key),
    }
