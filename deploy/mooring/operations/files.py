"""Files: untracked ones of the main checkout, copied; what somebody edited since is left alone."""

from __future__ import annotations

from collections.abc import Iterator

from pyinfra.api.command import PyinfraCommand

from ..handle import Workspace
from .shell import run, step

_COPY = r"""
find_admin
while IFS='	' read -r known mode src dest; do
  [ -n "$src" ] || continue
  cd -P -- "$path"
  if [ -f "$checkout/$src" ] && [ ! -L "$checkout/$src" ]; then :
  else die "Cannot copy $src: it is gone from $checkout"; fi
  sum=$(sha <"$checkout/$src")
  if [ -e "$dest" ] || [ -L "$dest" ]; then
    if [ ! -f "$dest" ] || [ -L "$dest" ]; then echo "kept $dest"; continue; fi
    there=$(sha <"$dest")
    if [ "$there" != "$sum" ] && [ "$there" != "$known" ]; then echo "kept $dest"; continue; fi
  fi
  if [ "$src" != "$dest" ]; then hide "$dest"; fi
  new_stage
  cp -p -- "$checkout/$src" "$stage" && { [ "$mode" = - ] || chmod "$mode" "$stage"; } ||
    die "Cannot copy $src to $dest"
  move_stage "$dest"
  echo "copied $sum $dest"
done <<COPIES
$copies
COPIES
"""


@step
def files(workspace: Workspace) -> Iterator[PyinfraCommand]:
    """Have the untracked files that the spec selects, with the content the main checkout has."""
    if workspace.pending:
        return
    plan, present = workspace.plan, workspace.observed.files.present
    known = workspace.record.files if workspace.record else {}
    lines = []
    for item in plan.copies:
        there = present.get(item.dest, "")
        if there == item.sum or (there and there != known.get(item.dest)):
            continue
        mode = tightening(item.mode) or "-"
        lines.append("\t".join([known.get(item.dest, "-"), mode, item.src, item.dest]))
    if lines:
        names = {"checkout": plan.checkout, "copies": "\n".join(lines)}
        yield run(workspace, names, _COPY, lambda answer: _copied(workspace, answer))


def tightening(mode: str) -> str:
    """What chmod(1) has to take away for a file to have no more than `mode`; '' for no mode."""
    if not mode:
        return ""
    taken = []
    for who, digit in zip("ugo", mode[-3:], strict=True):
        rights = [right for right, bit in (("r", 4), ("w", 2), ("x", 1)) if not int(digit) & bit]
        taken.append(f"{who}-{''.join(rights)}")
    return ",".join(taken)


def _copied(workspace: Workspace, answer: list[str]) -> None:
    for line in answer:
        done, _, rest = line.partition(" ")
        if done == "copied":
            value, _, dest = rest.partition(" ")
            workspace.copied[dest] = value
        elif done == "kept":
            workspace.tell((f"kept as it is: {rest} (the worktree has one itself)",))
