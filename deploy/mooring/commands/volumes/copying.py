"""`mooring store copy`: sessions from one store to another, each whole or not at all."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import docker
import msgspec

from ...claude import parts
from ...claude.parts import File, Verdict
from ...errors import MooringError, command, usage
from . import engine
from .engine import Report
from .host import Host
from .places import Bring, Held, Place, file_at
from .volume import opened_volume

DAYS = 30
"""After how many days Claude deletes transcripts, unless its settings say otherwise."""
DAY = 86400
PATIENCE = 3.0
"""Seconds between two words on how far it is."""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for: ids, or their first 4 and more characters; none for every session."""

    sessions: tuple[str, ...] = ()
    image: str = ""
    move: bool = False
    dry_run: bool = False


class Row(msgspec.Struct, kw_only=True):
    """What came of a session: copied, extended, completed, unchanged, or refused.

    `said` is what a person should know, `hint` what helps. `removed` is whether it is gone from
    where it was; `failed` whether something that was asked for wasn't done.
    """

    session: str
    result: str
    size: int = 0
    said: list[str] = []
    hint: str = ""
    removed: bool = False
    failed: bool = False


class _Pair(msgspec.Struct):
    """Both places, what each has, and what is running there."""

    source: Place
    target: Place
    has: dict[str, list[tuple[str, int]]]
    there: dict[str, list[tuple[str, int]]]
    running: dict[str, str]
    days: int


class _Wanted(msgspec.Struct):
    """What is to be brought, and why the rest isn't."""

    verdict: Verdict
    bring: Bring
    kept: list[str]
    old: bool


def copy(source: str, target: str, wish: Wish, report: Report) -> list[dict[str, Any]]:
    """Copy sessions; `host` is this host's store, anything else a volume. Returns Rows.

    Raises MooringError if a place can't be reached, or has no such session.
    """
    if source == target:
        raise usage(f"Cannot copy {source!r} to itself: name two stores")
    words: tuple[str, ...] = ("mooring", "store", "copy", source, target)
    words += tuple(word for one in wish.sessions for word in ("--session", one))
    words += () if wish.sessions else ("--all",)
    with ExitStack() as stack:
        client = engine.connect()
        report(f"looking at {source} and {target}")
        one, two = (
            stack.enter_context(_place(client, name, wish.image, words, report))
            for name in (source, target)
        )
        days = two.days() or DAYS
        with engine.told(f"look for what runs in {source} and {target}"):
            running = {**two.running(), **one.running()}
        pair = _Pair(one, two, one.sessions(), two.sessions(), running, days)
        return [msgspec.to_builtins(row) for row in _rows(pair, wish, report)]


@contextmanager
def _place(
    client: docker.DockerClient, name: str, image: str, words: tuple[str, ...], report: Report
) -> Iterator[Place]:
    if name == "host":
        yield Host()
        return
    with opened_volume(client, name, image, words, report) as volume:
        yield volume


def _rows(pair: _Pair, wish: Wish, report: Report) -> Iterator[Row]:
    ids = _chosen(pair, wish)
    last = time.monotonic()
    for number, session in enumerate(ids):
        if time.monotonic() - last > PATIENCE:
            report(f"{number} of {len(ids)} sessions are done")
            last = time.monotonic()
        try:
            yield _one(pair, wish, session)
        except MooringError as error:
            yield _refused(session, error.message, error.hints[0] if error.hints else "")
        except (OSError, *engine.FAILURES) as error:
            yield _refused(session, engine.reason(error))


def _chosen(pair: _Pair, wish: Wish) -> list[str]:
    """The ids that are meant. Raises MooringError for one that isn't there, or could be several."""
    if not wish.sessions:
        return sorted(pair.has)
    found = []
    for asked in wish.sessions:
        fit = [one for one in sorted(pair.has) if one.startswith(asked)]
        if len(fit) != 1 or len(asked) < 4:
            raise MooringError(
                f"Cannot copy {asked!r}: {len(fit) or 'no'} sessions in {pair.source.name} have "
                "an id that begins so",
                command("mooring", "store", "copy", pair.source.name, pair.target.name)
                + " --all --dry-run",
            )
        found.append(fit[0])
    return list(dict.fromkeys(found))


def _refused(session: str, why: str, hint: str = "") -> Row:
    return Row(session=session, result="refused", said=[why], hint=hint, failed=True)


def _one(pair: _Pair, wish: Wish, session: str) -> Row:
    if session in pair.running:
        return _refused(session, f"it is running: {pair.running[session]}", "end it there first")
    for place, has in ((pair.source, pair.has), (pair.target, pair.there)):
        if len(has.get(session, ())) > 1:
            names = ", ".join(project for project, _ in has[session])
            return _refused(session, f"{place.name} has several transcripts of it, in {names}")
    project = pair.has[session][0][0]
    to = next((place for place, _ in pair.there.get(session, ())), project)
    near = None if wish.dry_run else pair.target.staging()
    with pair.source.fetch(session, project, near) as (base, held):
        path = f"projects/{project}/{session}.jsonl"
        if path not in held.files:
            return _refused(session, "; ".join(held.left_out) or "it is gone")
        sizes = {parts.at_project(one, project, to): f.size for one, f in held.files.items()}
        there = pair.target.held(session, to, sizes)
        wanted = _wanted(session, (project, to), base, held, there, pair.days)
        row = _judged(pair, session, wanted, held)
        if not row.failed and not wish.dry_run:
            if wanted.bring.files or wanted.bring.links:
                pair.target.bring(wanted.bring)
            if wish.move:
                _move(pair, row, wanted, held, (project, to))
        return row


def _wanted(
    session: str, projects: tuple[str, str], base: Path, held: Held, there: Held, days: int
) -> _Wanted:
    """Compare all parts, and decide of each."""
    paths = {parts.at_project(path, *projects): path for path in held.files}
    transcript = f"projects/{projects[1]}/{session}.jsonl"
    found = {
        to: parts.judge(held.files[path], there.files.get(to), _head(base / path, there, to, held))
        for to, path in paths.items()
    }
    whole = found[transcript]
    found = {
        to: verdict if to == transcript else parts.judge_side(to, verdict, whole)
        for to, verdict in found.items()
    }
    take = (Verdict.NEW, Verdict.EXTENDS)
    chosen = [to for to, verdict in found.items() if verdict in take and to != transcript]
    chosen += [transcript] if whole in take else []
    oldest = time.time() - days * DAY / 2
    modified = {to: held.files[paths[to]].modified for to in chosen}
    size = there.files[transcript].size if transcript in there.files else None
    links = {parts.at_project(at, *projects): to for at, to in held.links.items()}
    return _Wanted(
        verdict=whole,
        bring=Bring(
            transcript=transcript,
            expected=size,
            base=base,
            files={to: paths[to] for to in chosen},
            links={at: to for at, to in links.items() if at not in there.links},
            modified={to: at if at > oldest else time.time() for to, at in modified.items()},
            digests={to: held.files[paths[to]].digest for to in chosen},
        ),
        kept=[to for to, verdict in found.items() if verdict in (Verdict.BEHIND, Verdict.DIFFERS)],
        old=any(at <= oldest for at in modified.values()),
    )


def _head(file: Path, there: Held, to: str, held: Held) -> str:
    """The digest of as many first bytes of a file as the one there has, if that is shorter."""
    known: File | None = there.files.get(to)
    if known is None or known.size >= file.stat().st_size:
        return ""
    return file_at(file, known.size).head


def _judged(pair: _Pair, session: str, wanted: _Wanted, held: Held) -> Row:
    """The row, before anything was done."""
    source, target = pair.source.name, pair.target.name
    size = sum(file.size for path, file in held.files.items() if path in _of(wanted))
    if wanted.verdict is Verdict.BEHIND:
        back = command("mooring", "store", "copy", target, source, "--session", session)
        return _refused(session, f"the one in {target} goes on further", back)
    if wanted.verdict is Verdict.DIFFERS:
        fork = command("claude", "--resume", session, "--fork-session", note="at one of the two")
        return _refused(session, f"it went on in {target} too, differently", fork)
    said = [f"left out: {item}" for item in held.left_out]
    said += [f"kept as it is in {target}: {path}" for path in wanted.kept]
    if wanted.old:
        said.append(f"its time is now: Claude deletes what is older than {pair.days} days")
    return Row(session=session, result=_result(wanted), size=size, said=said)


def _of(wanted: _Wanted) -> set[str]:
    return set(wanted.bring.files.values())


def _result(wanted: _Wanted) -> str:
    if wanted.verdict is Verdict.UNCHANGED:
        return "completed" if wanted.bring.files or wanted.bring.links else "unchanged"
    return "copied" if wanted.verdict is Verdict.NEW else "extended"


def _move(pair: _Pair, row: Row, wanted: _Wanted, held: Held, projects: tuple[str, str]) -> None:
    """Remove the session where it was, if all of it is where it is to be, read once more."""
    session = row.session
    there = pair.target.held(session, projects[1], {})
    now = pair.source.held(session, projects[0], {})
    missing = [
        path
        for path, file in now.files.items()
        if "/memory/" not in path
        and not _same(there.files.get(parts.at_project(path, *projects)), file)
    ]
    lost = missing + [item for item in now.left_out if "/memory" not in item]
    if lost or set(now.files) != set(held.files):
        row.failed = True
        row.said.append(f"not removed from {pair.source.name}: {', '.join(lost) or 'it changed'}")
        return
    pair.source.remove(session, projects[0], now)
    row.removed = True


def _same(there: File | None, file: File) -> bool:
    return there is not None and there.digest == file.digest
