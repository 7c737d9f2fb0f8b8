"""What ending a workspace would lose, judged from a scan of its worktree. Pure."""

from __future__ import annotations

import re

from .claude import hooks
from .errors import MooringError, command
from .facts.workspace import Observed
from .model import Request
from .selection import CONTEXT

SHOWN = 20
KEPT = (CONTEXT[0], hooks.SETTINGS)
"""What an end keeps beside the record, and the next workspace of the topic gets again."""

_KINDS = {"??": "untracked", "!!": "ignored"}
_WORDS = {
    "in-progress": "in progress",
    "hidden": "uncommitted, and hidden from git status",
    "moved": "uncommitted: a submodule at another commit",
    "odd": "a file or submodule whose name cannot be carried safely",
    "elsewhere": "a submodule whose repo is not the worktree's own",
    "commit": "commit on no branch",
    "unpushed": "commit that no remote has",
    "stash": "stash",
}
_CHATTER = re.compile(r"warning: |hint: ")
_UNSEEN = re.compile(r"could not (open|read)|[Pp]ermission denied")
"""What git warns of doesn't matter, unless it means that it couldn't look somewhere."""
_FINISHES = {
    "MERGE_HEAD": ("merge", "--continue"),
    "CHERRY_PICK_HEAD": ("cherry-pick", "--continue"),
    "REVERT_HEAD": ("revert", "--continue"),
    "sequencer": ("cherry-pick", "--continue"),
    "BISECT_LOG": ("bisect", "reset"),
    "rebase-merge": ("rebase", "--continue"),
    "rebase-apply": ("rebase", "--continue"),
    "rebase-apply/applying": ("am", "--continue"),
}
"""What finishes each operation that git can be in the middle of; --abort or --quit leaves it."""


def judge(request: Request, observed: Observed, session: str) -> None:
    """Raise MooringError, listing each item, if anything would be lost; `force` accepts that.

    `session` is the workspace's current one: nobody may be in the middle of it.

    What git has locked, or no longer knows as a worktree, is refused or left alone either way.
    """
    worktree, topic, words = observed.worktree, request.topic, request.words
    found = worktree.registered
    if found and found.locked and not observed.half_made:
        why = found.locked[1:] or "no reason given"
        raise MooringError(
            f"Cannot end {topic!r}: git has its worktree locked ({why})",
            command("git", "--git-dir", observed.repo.common, "worktree", "unlock", worktree.path),
        )
    if request.force or observed.half_made or worktree.kind in ("", "empty"):
        return
    running = observed.session.process(session) or observed.session.inside(worktree.path)
    if running:
        raise MooringError(
            f"Cannot end {topic!r}: Claude is running there (pid {running.pid})",
            command("mooring", "attach", *words, note="if it is in tmux or Zellij"),
            command("mooring", "end", *words, "--force", note="ends it all the same"),
        )
    if worktree.scan is None:
        raise MooringError(
            f"Cannot end {topic!r}: {worktree.path} is no worktree of {observed.repo.source} "
            "any more, so what is in it cannot be judged",
            command("mooring", "end", *words, "--force", note="forgets it, leaves the directory"),
        )
    _check_config(request, observed)
    items = losses(worktree.scan, provisioned(observed))
    if items:
        more = [f"  and {len(items) - SHOWN} more"] if len(items) > SHOWN else []
        raise MooringError(
            "\n".join([f"Cannot end {topic!r}: this would be lost:", *items[:SHOWN], *more]),
            *_saves(worktree.path, items),
            command("mooring", "end", *words, "--force", note="loses it; commits stay"),
        )


def _check_config(request: Request, observed: Observed) -> None:
    """Raise MooringError where git would read settings that could run a program."""
    found = re.match(r"config (.*)", observed.worktree.scan or "")
    registered = observed.worktree.registered
    if found and registered:
        file = f"{registered.admin}/config.worktree"
        raise MooringError(
            f"Cannot end {request.topic!r}: its own git config sets {found[1].strip()}, "
            "which could run a program, so that nobody looks at what is in it",
            command("git", "config", "--file", file, "--list"),
            command("mooring", "end", *request.words, "--force", note="without looking"),
        )


def _place(mark: str, inside: str, rest: str) -> str:
    if mark in ("elsewhere", "moved"):
        return inside.rstrip("/")
    if mark in ("hidden", "odd"):
        return f"{inside}{rest}"
    shown = rest[:12] if mark in ("commit", "unpushed") else rest
    return f"{shown} in {inside.rstrip('/')}" if inside else shown


def _saves(path: str, items: list[str]) -> list[str]:
    """Commands that would save the items, one for each kind among them."""
    git = ("git", "-C", path)
    commit = f"{command(*git, 'add', '-A')} && {command(*git, 'commit', '-m', 'Save')}"
    ignored = [item.partition(": ")[2] for item in items if item.startswith("  ignored: ")]
    first = ignored[0] if ignored else ""
    table = {
        "  uncommitted": commit,
        "  untracked: ": commit,
        "  ignored: ": command("cp", "-p", f"{path}/{first}", ".", note="and so on"),
        "  commit on no branch: ": command(*git, "branch", "saved", "HEAD"),
        "  commit that no remote": command(*git, "submodule", "foreach", "git push origin HEAD"),
        "  stash": command(*git, "submodule", "foreach", "git stash list"),
        "  a submodule": command(*git, "submodule", "absorbgitdirs"),
    }
    hints = [hint for kind, hint in table.items() if any(item.startswith(kind) for item in items)]
    states = [item.removeprefix("  in progress: ") for item in items if "in progress: " in item]
    hints += [command(*git, *_FINISHES[state]) for state in states[-1:] if state in _FINISHES]
    return list(dict.fromkeys(hints))


def provisioned(observed: Observed) -> frozenset[str]:
    """Paths that are still as Mooring wrote them."""
    record = observed.record
    sources, present = observed.files.sources, observed.files.present
    if not record:
        return frozenset()
    # A copy whose source is gone is the last one.
    copies = {
        path: value
        for path, value in record.files.items()
        if path in sources or value in sources.values()
    }
    written = {**copies, **record.generated}
    same = {path for path, value in written.items() if present.get(path) == value}
    return frozenset({*same, *KEPT})


def losses(scan: str, ours: frozenset[str]) -> list[str]:
    """The items of a scan that exist nowhere else, one line each.

    Raises MooringError if the scan itself failed: that never means there is nothing.
    """
    lines = scan.split("\n")
    if not lines or lines[-1] != "end":
        raise MooringError("Cannot judge the worktree: looking at it was cut short")
    return [item for line in lines[:-1] for item in _items(line, ours)]


def _items(line: str, ours: frozenset[str], inside: str = "") -> list[str]:
    """What a line of a scan says would be lost; `inside` is the submodule that it is about."""
    within, tab, of_submodule = line.partition("\t")
    if tab and within.startswith("in "):
        place = f"{inside}{within.removeprefix('in ')}/"
        return _items(of_submodule, frozenset(), place)
    if _CHATTER.match(line) and not _UNSEEN.search(line):
        return []
    mark, _, rest = line.partition(" ")
    if mark in _KINDS:
        return [] if rest in ours else [f"  {_KINDS[mark]}: {inside}{rest}"]
    if mark in _WORDS:
        return [f"  {_WORDS[mark]}: {_place(mark, inside, rest)}"]
    if len(line) > 3 and line[2] == " ":
        return [f"  uncommitted: {line[:3]}{inside}{line[3:]}"]
    raise MooringError(f"Cannot judge the worktree: git said {line!r}")
