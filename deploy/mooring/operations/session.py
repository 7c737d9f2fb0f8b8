"""The session: its id and context in the workspace, and the record that says all is done."""

from __future__ import annotations

import time
from collections.abc import Iterator

import msgspec
from pyinfra.api.command import PyinfraCommand

from ..handle import Workspace
from .claim import finish_script, record_names
from .shell import call, later, run, step, told

_WRITE = r"""
find_admin
if [ -n "$ignore_text" ]; then put .mooring/.gitignore "$ignore_known" "$ignore_text"; fi
if [ -n "$session_text" ]; then put .mooring/session "$session_known" "$session_text"; fi
if [ -n "$context_text" ]; then
  case $context in .mooring/*) ;; *) hide "$context" ;; esac
  put "$context" "$context_known" "$context_text"
fi
"""


@step
def session(workspace: Workspace) -> Iterator[PyinfraCommand]:
    """Have the session's id and context there, and the record and the registry up to date."""
    if workspace.pending:
        return
    if workspace.unclaimed:
        yield later()
        return
    plan, record = workspace.plan, workspace.record
    assert record
    workspace.tell(plan.notes)
    final = workspace.finished(record)
    files = {
        "ignore": ".mooring/.gitignore",
        "session": ".mooring/session",
        "context": plan.context,
    }
    stale = workspace.stale(record, *files.values())
    if plan.makes_worktree:  # the first file that was staged came with it
        stale.pop(files["ignore"], None)
    if stale or final != record:
        final = msgspec.structs.replace(
            final, commit=workspace.commit or record.commit, updated=int(time.time())
        )
        texts = {f"{key}_text": stale.get(name, "") for key, name in files.items()}
        known = {f"{key}_known": record.generated.get(name, "") for key, name in files.items()}
        names = {
            **texts,
            **known,
            "context": plan.context,
            **record_names(workspace, record, final),
        }

        def done(answer: list[str]) -> None:
            told(workspace)(answer)
            workspace.finish(final, "provisioned")

        yield run(workspace, names, _WRITE + finish_script(), done)
    elif not workspace.registry.holds(record, workspace.host.name):
        yield call(workspace, lambda: workspace.finish(record, "indexed"))
    elif workspace.host.state.is_executing:
        workspace.note_seen()
