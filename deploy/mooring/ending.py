"""Whether a workspace can be ended: not while anything would be lost with it. Pure."""

from __future__ import annotations

import re

from .claude import hooks
from .errors import MooringError, command
from .facts.workspace import Observed
from .files.rules import known, state
from .loss import losses
from .model import Record, Request
from .paths import NEW
from .saves import saves
from .selection import CONTEXT

SHOWN = 20
KEPT = (CONTEXT[0], hooks.SETTINGS)
"""What an end keeps beside the record, and the next workspace of the topic gets again; but not what
a template made: there may be a secret in it."""


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
        why = f": {observed.repo.problem}" if observed.repo.problem else ""
        raise MooringError(
            f"Cannot end {topic!r}: {worktree.path} is no worktree of {observed.repo.source} "
            f"any more, so what is in it cannot be judged{why}",
            command("mooring", "end", *words, "--force", note="forgets it, leaves the directory"),
        )
    _check_config(request, observed)
    items = losses(worktree.scan, provisioned(observed), _tracked(observed))
    if items:
        shown = [f"  {item}" for item in items[:SHOWN]]
        more = [f"  and {len(items) - SHOWN} more"] if len(items) > SHOWN else []
        raise MooringError(
            "\n".join([f"Cannot end {topic!r}: this would be lost:", *shown, *more]),
            *(saves(topic, found, items, "sparse -" in worktree.scan.split("\n")) if found else ()),
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


def _tracked(observed: Observed) -> frozenset[str]:
    """Paths that git tracks and that are still as Mooring brought them."""
    files, record = observed.files, observed.record
    kept = {value for key, value in files.elsewhere.items() if key.startswith("sum:")}
    return frozenset(
        path
        for path, value in (record.files.items() if record else ())
        if value in kept and files.present.get(path) == value
    )


def provisioned(observed: Observed) -> frozenset[str]:
    """Paths that a removal may take: as Mooring wrote them, or as their source still is."""
    files, record = observed.files, observed.record
    if not record:
        return frozenset()
    written = {path for path, _ in files.provisioned}
    paths = {*files.sources, *record.files, *record.generated, *written}
    going = {path for path in paths if _goes(path, observed, record)}
    return frozenset(going | (set(KEPT) - record.rendered.keys()))


def _goes(path: str, observed: Observed, record: Record) -> bool:
    files, there = observed.files, state(path, observed)
    if not there:
        return False
    if path in record.files and there in {*files.sources.values(), *files.elsewhere.values()}:
        return True
    if there == files.sources.get(path):
        return True
    if there == record.generated.get(path, "-"):
        return True
    return there == known(path, observed, record) and not _last(path, observed, record)


def _last(path: str, observed: Observed, record: Record) -> bool:
    """Whether that is a copy whose source is gone from the main checkout."""
    sources = observed.files.sources
    units = tuple(source for source in sources if source.endswith("/"))
    return not (
        path in sources
        or path.startswith(units)
        or any(unit.startswith(path) for unit in units)
        or not observed.repo.checkout  # it came from elsewhere
        or path not in record.files  # by a run that was cut short
        or record.files[path].startswith("-> ")
        or path.removesuffix(NEW) in record.rendered
    )
