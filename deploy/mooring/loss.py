"""What ending a workspace would lose, judged from a scan of its worktree. Pure."""

from __future__ import annotations

from .claude import hooks
from .errors import MooringError, command
from .facts.workspace import Observed
from .model import Request
from .selection import CONTEXT

SHOWN = 20
KEPT = (CONTEXT[0], hooks.SETTINGS)
"""What an end keeps beside the record, and the next workspace of the topic gets again."""

_KINDS = {"??": "untracked", "!!": "ignored"}


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
    items = losses(worktree.scan, provisioned(observed))
    if items:
        more = [f"  and {len(items) - SHOWN} more"] if len(items) > SHOWN else []
        raise MooringError(
            "\n".join([f"Cannot end {topic!r}: this would be lost:", *items[:SHOWN], *more]),
            *_saves(worktree.path, items),
            command("mooring", "end", *words, "--force", note="loses it; commits stay"),
        )


def _saves(path: str, items: list[str]) -> list[str]:
    """Commands that would save the items, one for each kind among them."""
    git = ("git", "-C", path)
    commit = f"{command(*git, 'add', '-A')} && {command(*git, 'commit', '-m', 'Save')}"
    ignored = [item.partition(": ")[2] for item in items if item.startswith("  ignored: ")]
    first = ignored[0] if ignored else ""
    table = {
        "  uncommitted: ": commit,
        "  untracked: ": commit,
        "  ignored: ": command("cp", "-p", f"{path}/{first}", ".", note="and so on"),
        "  commit on no branch: ": command(*git, "branch", "saved", "HEAD"),
        "  in progress: ": command(*git, "status"),
        "  a submodule": command(*git, "submodule", "deinit", "--all"),
    }
    return list(
        dict.fromkeys(
            hint for kind, hint in table.items() if any(item.startswith(kind) for item in items)
        )
    )


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
    items = []
    for line in lines[:-1]:
        mark, _, rest = line.partition(" ")
        if mark in _KINDS:
            if rest not in ours:
                items.append(f"  {_KINDS[mark]}: {rest}")
        elif mark == "in-progress":
            items.append(f"  in progress: {rest}")
        elif mark == "hidden":
            items.append(f"  uncommitted, and hidden from git status: {rest}")
        elif mark == "submodule":
            items.append(f"  a submodule with a checkout of its own: {rest}")
        elif mark == "commit":
            items.append(f"  commit on no branch: {rest[:12]}")
        elif len(line) > 3 and line[2] == " ":
            items.append(f"  uncommitted: {line}")
        else:
            raise MooringError(f"Cannot judge the worktree: git said {line!r}")
    return items
