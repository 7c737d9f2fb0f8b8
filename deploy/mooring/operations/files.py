"""Files: what the rules bring from the main checkout; what somebody edited since is left alone."""

from __future__ import annotations

from collections.abc import Iterator

from pyinfra.api.command import PyinfraCommand

from ..handle import Workspace
from ..rules import NEW, Placed, state
from .shell import run, step

_FILES = r"""
find_admin
same() { # DEST SUM KNOWN: whether it is there as it is to be, or as somebody wants it
  if [ ! -e "$1" ] && [ ! -L "$1" ]; then return 1; fi
  if [ -L "$1" ]; then _there="-> $(readlink -- "$1")"
  elif [ -f "$1" ]; then _there=$(sha <"$1")
  else echo "kept $1"; return 0; fi
  if [ "$_there" = "$2" ]; then return 0; fi
  if [ "$_there" = "$3" ]; then return 1; fi
  echo "kept $1"
}
copied() { # MODE SRC DEST KNOWN
  if [ -f "$checkout/$2" ] && [ ! -L "$checkout/$2" ]; then :
  else die "Cannot copy $2: it is gone from $checkout"; fi
  _sum=$(sha <"$checkout/$2")
  if same "$3" "$_sum" "$4"; then return 0; fi
  if [ "$2" != "$3" ]; then hide "$3"; fi
  new_stage
  cp -p -- "$checkout/$2" "$stage" && { [ "$1" = - ] || chmod "$1" "$stage"; } ||
    die "Cannot copy $2 to $3"
  move_stage "$3"
  echo "made $_sum $3"
}
linked() { # SRC DEST KNOWN
  if same "$2" "-> $checkout/$1" "$3"; then return 0; fi
  if [ ! -e "$checkout/$1" ]; then die "Cannot link $1: it is gone from $checkout"; fi
  mkdirs "$2"
  hide "$2" # a pattern such as node_modules/ is for directories, which a link to one is not
  if [ -L "$2" ]; then rm -f -- "$2"; fi
  ln -s -- "$checkout/$1" "$2" || die "Cannot link $1 to $2"
  echo "made -> $2"
}
while IFS='	' read -r action known mode src dest; do
  [ -n "$action" ] || continue
  cd -P -- "$path"
  case $action in
    copy) copied "$mode" "$src" "$dest" "$known" ;;
    symlink) linked "$src" "$dest" "$known" ;;
  esac
done <<FILES
$files
FILES
"""

REQUIRED = r"""
# Last of all, whoever brought it: nothing is started without.
cd -P -- "$path"
lacks=$(printf '%s\n' "$required" | while IFS='	' read -r name why; do
  if [ -n "$name" ] && [ ! -e "$name" ]; then printf '%s\n' "$why"; fi; done)
if [ -n "$lacks" ]; then
  die "Cannot use the workspace: it lacks what is required" "$lacks" \
    "hint: mooring files plan $topic"; fi
"""


@step
def files(workspace: Workspace) -> Iterator[PyinfraCommand]:
    """Have the untracked files that the rules select, as the main checkout has them."""
    if workspace.pending:
        return
    plan = workspace.plan
    lines = [line for item in plan.files for line in _lines(workspace, item)]
    if lines:
        names = {"checkout": plan.checkout, "files": "\n".join(lines)}
        yield run(workspace, names, _FILES, lambda answer: _made(workspace, answer))


def requirements(workspace: Workspace) -> dict[str, str]:
    """The variables of REQUIRED."""
    plan = workspace.plan
    lines = [f"{path}\t{why}" for path, why in plan.required.items()]
    return {"required": "\n".join(lines), "topic": plan.topic}


def _lines(workspace: Workspace, item: Placed) -> Iterator[str]:
    """What the script is told of a file that isn't there as it is to be.

    Beside one that somebody edited, what has become of its source since.
    """
    seen, known = workspace.observed, workspace.record.files if workspace.record else {}
    last, there = known.get(item.dest, ""), state(item.dest, seen)
    mode = tightening(item.mode) or "-"
    if there == item.sum:
        return
    if not there or there == last:
        yield "\t".join([item.action, last or "-", mode, item.src, item.dest])
    elif last and item.sum != last and item.action == "copy":
        beside = item.dest + NEW
        if state(beside, seen) != item.sum:
            yield "\t".join([item.action, known.get(beside, "-"), mode, item.src, beside])


def tightening(mode: str) -> str:
    """What chmod(1) has to take away for a file to have no more than `mode`; '' for no mode."""
    if not mode:
        return ""
    taken = []
    for who, digit in zip("ugo", mode[-3:], strict=True):
        rights = [right for right, bit in (("r", 4), ("w", 2), ("x", 1)) if not int(digit) & bit]
        taken.append(f"{who}-{''.join(rights)}")
    return ",".join(taken)


def _made(workspace: Workspace, answer: list[str]) -> None:
    links = {item.dest: item.sum for item in workspace.plan.files if item.action == "symlink"}
    for line in answer:
        done, _, rest = line.partition(" ")
        if done == "made":
            value, _, dest = rest.partition(" ")
            workspace.copied[dest] = links[dest] if value == "->" else value
        elif done == "kept":
            workspace.tell((f"kept as it is: {rest} (the worktree has one itself)",))
