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

_UNCOMMITTED = ("uncommitted", "untracked", "hidden", "moved")


def saves(topic: str, found: Registered, losses: Sequence[Loss]) -> list[str]:
    """Commands that save the losses, in an order in which they can be followed.

    Each saves all of its kind in one repo; submodules come first, since a commit there is one
    more change of the repo around them.
    """
    ignored = [loss for loss in losses if loss.kind == "ignored"]
    hints = [_packed(topic, found.path, ignored)] if ignored else []
    if any(loss.kind == "pointer" for loss in losses):  # plain git would believe what it says
        return [*hints, command("git", "--git-dir", _common(found), "worktree", "repair")]
    deepest = sorted(losses, key=lambda loss: (-len(loss.inside), loss.inside))
    for inside, group in groupby(deepest, lambda loss: loss.inside):
        hints += _in_repo(topic, found, inside, list(group))
    return hints


def _common(found: Registered) -> str:
    return found.admin.rpartition("/worktrees/")[0]


def _packed(topic: str, path: str, ignored: list[Loss]) -> str:
    """One archive of all of them, with their directories; it overwrites nothing."""
    names = " ".join(_quoted(loss.path) for loss in ignored)
    return f"(cd {shlex.quote(path)} && tar -cf ~/{topic}-$(date +%s).tar -- {names})"


def _quoted(name: str) -> str:
    """A name for the shell on one line: a pattern, where it has control characters."""
    return "?".join(shlex.quote(part) if part else "" for part in re.split(r"[\0-\x1f]", name))


def _in_repo(
    topic: str, found: Registered, inside: tuple[str, ...], losses: list[Loss]
) -> Iterator[str]:
    git = ("git", "-C", "/".join([found.path, *inside]))
    kinds = {loss.kind for loss in losses}
    states = [loss.name for loss in losses if loss.kind == "in-progress"]
    finish = FINISHES.get(states[-1], ()) if states else ()
    if kinds.intersection(_UNCOMMITTED):
        yield " && ".join(_committed(git, losses, finish))
    if finish and (not kinds.intersection(_UNCOMMITTED) or "--continue" not in finish):
        yield command(*git, *finish)
    if "commit" in kinds:
        yield command(*git, "branch", "saved", "HEAD")
    if "unpushed" in kinds:
        tip = next(loss.name for loss in losses if loss.kind == "unpushed")
        repo = f"{found.admin}/modules/{'/'.join(inside)}"
        there = f"{tip}:refs/heads/{topic}-{tip[:7]}"
        yield command("git", "--git-dir", repo, "push", "origin", there)
    if "stash" in kinds:
        at = "/".join([found.path, *inside]).replace("/modules/", "/")
        yield command("git", "-C", at, "stash", "pop")
    if "elsewhere" in kinds:
        yield command(*git, "submodule", "absorbgitdirs")


def _committed(git: tuple[str, ...], losses: list[Loss], finish: tuple[str, ...]) -> Iterator[str]:
    """What commits all that isn't: what is staged first, if the file has something else."""
    hidden = " ".join(_quoted(loss.name) for loss in losses if loss.kind == "hidden")
    if hidden:
        for flag in ("--no-assume-unchanged", "--no-skip-worktree"):  # git takes one at a time
            yield f"{command(*git, 'update-index', flag)} -- {hidden}"
    staged = any(loss.staged_apart for loss in losses)
    if staged:
        yield command(*git, "commit", "-m", "Staged")
    yield command(*git, "add", "-A")
    if "--continue" in finish and not staged:
        yield command(*git, *finish)
    else:
        yield command(*git, "commit", "-m", "Save")
