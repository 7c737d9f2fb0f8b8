"""What a scan of a worktree found that exists nowhere else, read from its text. Pure."""

from __future__ import annotations

import json
import re

import msgspec

from .errors import MooringError

_KINDS = {"??": "untracked", "!!": "ignored"}
_WORDS = {
    "uncommitted": "uncommitted",
    "untracked": "untracked",
    "ignored": "ignored",
    "in-progress": "in progress",
    "hidden": "uncommitted, and hidden from git status",
    "moved": "uncommitted: a submodule at another commit",
    "odd": "a file or submodule whose name cannot be carried safely",
    "nested": "a repo of its own, beside tracked files",
    "elsewhere": "a submodule whose repo is not the worktree's own",
    "pointer": "git was told of another repo, by whoever wrote",
    "commit": "commit on no branch",
    "unpushed": "commit that no remote has",
    "stash": "stash",
}
_CHATTER = re.compile(r"warning: |hint:")
_UNSEEN = re.compile(r"could not (open|read)|[Pp]ermission denied")
"""What git warns of doesn't matter, unless it means that it couldn't look somewhere."""
_CARRIED = str.maketrans("\x01\x02", "\n\t")
"""How a scan has what would end its lines and columns."""


class Loss(msgspec.Struct, frozen=True):
    """One thing that would be lost with a worktree."""

    kind: str
    inside: tuple[str, ...]
    """The submodules that it is in, outermost first; of `unpushed` and `stash`, the repo's
    directory below git's `modules`."""
    name: str
    """The path in there, the commit, or the state; '' where there is none."""
    status: str = "   "
    """The two letters of `git status --short`, and a space."""

    @property
    def path(self) -> str:
        """Relative to the worktree."""
        return "/".join([*self.inside, self.name])

    @property
    def staged_apart(self) -> bool:
        """Whether something is staged that is neither in a commit nor in the file."""
        return self.status[0] in "MADRCT" and self.status[1] in "MDT"

    def __str__(self) -> str:
        """One line of what a person is shown."""
        within = "/".join(self.inside).replace("/modules/", "/")
        name = self.name[:12] if self.kind in ("commit", "unpushed") else self.name
        if self.kind == "stash":
            name = name.partition(" ")[0]
        if self.kind in ("commit", "unpushed", "stash", "in-progress"):
            place = f"{name} in {_shown(within)}" if within else name
        else:
            place = _shown(self.path)
        status = self.status if self.kind == "uncommitted" else ""
        return f"{_WORDS[self.kind]}: {status}{place}"


def _shown(name: str) -> str:
    return name if name.isprintable() else json.dumps(name, ensure_ascii=False)


def losses(scan: str, ours: frozenset[str], tracked: frozenset[str] = frozenset()) -> list[Loss]:
    """The items of a scan but for those of `ours`, which can be provisioned again.

    `tracked` are those of ours that git tracks, and so shows as modified.

    Raises MooringError if the scan itself failed: that never means there is nothing.
    """
    lines = scan.split("\n")
    if not lines or lines[-1] != "end":
        raise MooringError("Cannot judge the worktree: looking at it was cut short")
    found = [_loss(line, ()) for line in lines[:-1]]
    whole = tuple(path for path in ours if path.endswith("/"))
    changed = {Loss("uncommitted", (), path, " M ") for path in tracked}
    return [
        loss for loss in found if loss and loss not in changed and not _is_ours(loss, ours, whole)
    ]


def _is_ours(loss: Loss, ours: frozenset[str], whole: tuple[str, ...]) -> bool:
    """Whether it is a file of ours, or in one of the directories that are."""
    if loss.kind not in ("untracked", "ignored") or loss.inside:
        return False
    return loss.path in ours or loss.path.startswith(whole)


def _loss(line: str, inside: tuple[str, ...]) -> Loss | None:
    """What a line of a scan says would be lost; `inside` are the submodules that it is about."""
    within, tab, of_submodule = line.partition("\t")
    if tab and within.startswith("in "):
        name = within.removeprefix("in ").translate(_CARRIED)
        return _loss(of_submodule, (*inside, name))
    if line == "sparse -" or (_CHATTER.match(line) and not _UNSEEN.search(line)):
        return None
    mark, _, rest = line.translate(_CARRIED).partition(" ")
    if mark in _KINDS:
        return Loss(_KINDS[mark], inside, rest)
    if mark in ("moved", "elsewhere") and inside:
        return Loss(mark, inside[:-1], inside[-1])
    if mark in _WORDS and mark not in ("uncommitted", "untracked", "ignored"):
        return Loss(mark, inside, rest)
    if len(line) > 3 and line[2] == " ":
        return Loss("uncommitted", inside, line[3:].translate(_CARRIED), line[:3])
    raise MooringError(f"Cannot judge the worktree: git said {line!r}")
