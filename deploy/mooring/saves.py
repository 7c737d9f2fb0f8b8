"""The commands that would save what an end would lose. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from itertools import groupby

from .errors import command
from .facts.worktree import Registered
from .loss import Loss

FINISHES = {
    "MERGE_HEAD": ("merge", "--continue"),
    "CHERRY_PICK_HEAD": ("cherry-pick", "--continue"),
    "REVERT_HEAD": ("revert", "--continue"),
    "sequencer": ("cherry-pick", "--continue"),
    "sequencer of reverts": ("revert", "--continue"),
    "BISECT_LOG": ("bisect", "reset"),
    "rebase-merge": ("rebase", "--continue"),
    "rebase-apply": ("rebase", "--continue"),
    "rebase-apply/applying": ("am", "--continue"),
}
"""What finishes each operation that git can be in the middle of; --abort or --quit leaves it."""

MANY = 50
_UNCOMMITTED = ("uncommitted", "untracked", "hidden", "moved")


def saves(topic: str, found: Registered, losses: Sequence[Loss], sparse: bool = False) -> list[str]:
    """Commands that save the losses, in an order in which they can be followed.

    Each saves all of its kind in one repo; submodules come first, since a commit there is one
    more change of the repo around them. `sparse`: not everything is checked out.
    """
    ignored = [loss for loss in losses if loss.kind == "ignored"]
    hints = [_packed(topic, found.path, ignored)] if ignored else []
    if any(loss.kind == "pointer" for loss in losses):  # plain git would believe what it says
        return [*hints, command("git", "--git-dir", _common(found), "worktree", "repair")]
    hints += [_moved(found.path, loss) for loss in losses if _is_repo(loss)]
    deepest = sorted(
        (loss for loss in losses if not _is_repo(loss)),
        key=lambda loss: (-len(loss.inside), loss.inside),
    )
    for inside, group in groupby(deepest, lambda loss: loss.inside):
        hints += _in_repo(topic, found, inside, list(group), sparse and not inside)
    return hints


def _common(found: Registered) -> str:
    return found.admin.rpartition("/worktrees/")[0]


def _packed(topic: str, path: str, ignored: list[Loss]) -> str:
    """One archive of all of them, with their directories; it overwrites nothing.

    Of very many, what they are in at the top.
    """
    paths = [loss.path for loss in ignored]
    if len(paths) > MANY:
        paths = list(dict.fromkeys(path.split("/")[0] for path in paths))
    names = " ".join(map(_quoted, paths))
    return f"(cd {shlex.quote(path)} && tar -cf ~/{topic}-$(date +%s).tar -- {names})"


def _quoted(name: str) -> str:
    """A name for the shell on one line: a pattern, where it has what no line can carry."""
    return "?".join(
        shlex.quote(part) if part else "" for part in re.split(r"[\0-\x1f\ud800-\udfff]", name)
    )


def _is_repo(loss: Loss) -> bool:
    """Whether it is a whole repo inside: git would keep no more than the id of its commit."""
    return loss.kind == "nested" or (loss.kind == "untracked" and loss.name.endswith("/"))


def _moved(path: str, loss: Loss) -> str:
    """It goes beside the worktree: all of it, or where tracked files are beside it its `.git`."""
    beside = f"{path}.{loss.path.strip('/').replace('/', '-')}"
    if loss.kind == "nested":
        return command("mv", "-n", f"{path}/{loss.path}/.git", f"{beside}.git")
    return command("mv", "-n", f"{path}/{loss.path.rstrip('/')}", beside)


def _patches(found: Registered, git: tuple[str, ...]) -> str:
    """What saves the patches of an `am` that stopped at one that doesn't apply."""
    kept = command("cp", "-R", f"{found.admin}/rebase-apply", f"{found.path}.am")
    return f"{kept} && {command(*git, 'am', '--quit')}"


def _in_repo(
    topic: str, found: Registered, inside: tuple[str, ...], losses: list[Loss], sparse: bool
) -> Iterator[str]:
    git = ("git", "-C", "/".join([found.path, *inside]))
    kinds = {loss.kind for loss in losses}
    states = [loss.name for loss in losses if loss.kind == "in-progress"]
    finish = FINISHES.get(states[-1], ()) if states else ()
    if kinds.intersection(_UNCOMMITTED):
        yield " && ".join(_committed(git, losses, finish, sparse))
    if finish == FINISHES["rebase-apply/applying"] and not kinds.intersection(_UNCOMMITTED):
        yield _patches(found, git)  # it has no changes to continue with
    elif finish and (not kinds.intersection(_UNCOMMITTED) or "--continue" not in finish):
        yield command(*git, *finish)
    if "commit" in kinds:
        tip = next(loss.name for loss in losses if loss.kind == "commit")
        yield command(*git, "branch", f"{topic}-{tip[:7]}", "HEAD")
    repo = ("git", "--git-dir", f"{found.admin}/modules/{'/'.join(inside)}")
    for kind in ("unpushed", "stash"):
        name = next((loss.name for loss in losses if loss.kind == kind), "")
        what, _, remote = name.partition(" ")
        push = (*repo, "push", remote or "origin")
        if what and kind == "unpushed":
            yield command(*push, f"{what}:refs/heads/{topic}-{what[:7]}")
        if what and kind == "stash":  # as branches: all of them, since the log goes with the ref
            refs = [f"stash@{{{n}}}:refs/heads/{topic}-stash-{n}" for n in range(int(what))]
            yield f"{command(*push, *refs)} && {command(*repo, 'update-ref', '-d', 'refs/stash')}"
    if "elsewhere" in kinds:
        yield command(*git, "submodule", "absorbgitdirs")


def _committed(
    git: tuple[str, ...], losses: list[Loss], finish: tuple[str, ...], sparse: bool
) -> Iterator[str]:
    """What commits all that isn't: what is staged first, if the file has something else."""
    hidden = " ".join(_quoted(loss.name) for loss in losses if loss.kind == "hidden")
    if hidden:
        for flag in ("--no-assume-unchanged", "--no-skip-worktree"):  # git takes one at a time
            yield f"{command(*git, 'update-index', flag)} -- {hidden}"
    staged = any(loss.staged_apart for loss in losses)
    if staged:
        yield command(*git, "commit", "-m", "Staged")
    yield command(*git, "add", "-A", *(["--sparse"] if sparse else []))
    if "--continue" in finish and not staged:
        yield command(*git, *finish)
    else:
        yield command(*git, "commit", "-m", "Save")
