"""The environment: a generated `.envrc`, allowed at once only if nothing in it is the repo's."""

from __future__ import annotations

from collections.abc import Iterator

from pyinfra.api.command import PyinfraCommand

from ..handle import Workspace
from .shell import later, run, step, told

_WRITE = r"""
find_admin
if [ -n "$text" ]; then
  case $name in .mooring/*) ;; *) hide "$name" ;; esac
  ours "$(printf '%s' "$text" | sha)" "$name"
  put "$name" "$known" "$text"
fi
if [ -n "$allow" ]; then
  cd -- "$path" && why=$(direnv allow "$path/$name" 2>&1 9>&-) || die "Cannot allow $name: $why"
fi
"""


@step
def envrc(workspace: Workspace) -> Iterator[PyinfraCommand]:
    """Have the `.envrc`, with direnv's approval where it needs nobody's."""
    if workspace.pending:
        return
    if workspace.unclaimed:
        yield later()
        return
    plan, observed, record = workspace.plan, workspace.observed, workspace.record
    assert record
    stale = workspace.stale(record, plan.envrc)
    allow = plan.approves and bool(observed.target.direnv)
    if stale or (allow and not observed.files.allowed):
        names = {
            "name": plan.envrc,
            "text": stale.get(plan.envrc, ""),
            "known": record.generated.get(plan.envrc, ""),
            "allow": "yes" if allow else "",
        }
        yield run(workspace, names, _WRITE, told(workspace))
