"""Which session is a workspace's current one: what the hooks recorded, set against its record.

Functions here run inside a transaction of `store.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from peewee import fn

from ..claude.events import TWICE_SECONDS
from ..claude.events import Event as HookEvent
from ..model import Key
from .schema import Event, IndexedRecord, Session

STARTS, ENDS = "session-start", "session-end"
LOOKED_AT = 200
"""How many of the newest events in a workspace are looked at."""


def new(events: Iterable[HookEvent]) -> list[HookEvent]:
    """Those of the events that aren't known yet."""
    given = _once(events)
    topics = {event.key.topic for event in given}
    known = Event.select(Event.session_id, Event.kind, Event.source, Event.at).where(
        Event.topic.in_(topics) & (Event.kind << (STARTS, ENDS))
    )
    seen = set(known.tuples()) if given else set()
    return [one for one in given if (one.session, _kind(one), one.source, one.at) not in seen]


def _once(events: Iterable[HookEvent]) -> list[HookEvent]:
    """The events without the same thing twice in a row, in each workspace."""
    last: dict[tuple[str, Key], HookEvent] = {}
    kept = []
    for event in events:
        before = last.get((event.target, event.key))
        again = before and (before.session, before.starts, before.source) == (
            event.session,
            event.starts,
            event.source,
        )
        if before and again and abs(before.at - event.at) <= TWICE_SECONDS:
            continue
        last[event.target, event.key] = event
        kept.append(event)
    return kept


def _kind(event: HookEvent) -> str:
    return STARTS if event.starts else ENDS


def note(events: Iterable[HookEvent]) -> set[tuple[str, Key]]:
    """Keep the events; returns the workspaces where something happened.

    The same thing twice in a row, within seconds, is one event that two hooks recorded.
    """
    touched = set()
    for event in events:
        last: Any = Event.select().where(_of(event.target, event.key)).order_by(Event.id.desc())
        before = last.first()
        kind = _kind(event)
        same = (event.session, kind, event.source)
        again = before and (before.session_id, before.kind, before.source) == same
        if again and abs(before.at - event.at) <= TWICE_SECONDS:
            continue
        Event.insert(
            at=event.at,
            kind=kind,
            target=event.target,
            repo=event.key.repo,
            agent=event.key.agent,
            topic=event.key.topic,
            session_id=event.session,
            source=event.source,
        ).execute()
        touched.add((event.target, event.key))
    return touched


def newest(target: str, key: Key) -> int:
    """When something last happened in a workspace, by its target's clock; 0 if nothing did."""
    at = Event.select(fn.MAX(Event.at)).where(_of(target, key)).scalar()
    return int(at or 0)


def _of(target: str, key: Key) -> Any:
    """The events of hooks in one workspace."""
    return (
        (Event.topic == key.topic)
        & (Event.agent == key.agent)
        & (Event.kind << (STARTS, ENDS))
        & (Event.repo == key.repo)
        & (Event.target == target)
    )


def current(
    target: str, key: Key, reserved: str, reserved_at: int, running: Collection[str] = ()
) -> tuple[str, int]:
    """A workspace's session, and when it became that.

    Of those that began there since the reservation, it is the one that is running, else the one
    that something happened to last: a short `claude -p` beside a long conversation doesn't take
    its place. One that is another workspace's own is passed over.
    """
    query = (
        Event.select(Event.session_id, Event.at, Event.kind)
        .where(_of(target, key) & (Event.at > reserved_at))
        .order_by(Event.at.desc(), Event.id.desc())
        .limit(LOOKED_AT)
    )
    rows = list(query)
    began = {row.session_id: row.at for row in reversed(rows) if row.kind == STARTS}
    last = [name for name in dict.fromkeys(row.session_id for row in rows) if name in began]
    for name in sorted(last, key=lambda name: name not in running):  # stable: newest first
        if holder(name, target, key) is None:
            return name, began[name]
    return reserved, reserved_at


def holder(session: str, target: str, key: Key, host: str = "") -> Any:
    """The workspace, other than that of `key`, whose current session this is; None if none.

    That of the same key on `host` is passed over, whatever its target is.
    """
    rows = IndexedRecord.select().where(
        (IndexedRecord.session_id == session) & (IndexedRecord.state != "ended")
    )
    others = (row for row in rows if not (_at(row, key) and row.target == target))
    return next((row for row in others if not (_at(row, key) and row.host == host)), None)


def _at(row: Any, key: Key) -> bool:
    return (row.repo, row.agent, row.topic) == (key.repo, key.agent, key.topic)


def follow(target: str, key: Key, running: Collection[str]) -> None:
    """Bring the index of a workspace to its current session."""
    row: Any = IndexedRecord.get_or_none(
        (IndexedRecord.target == target)
        & (IndexedRecord.repo == key.repo)
        & (IndexedRecord.agent == key.agent)
        & (IndexedRecord.topic == key.topic)
    )
    if row is None:
        return
    _list(target, key, row)
    session, at = current(target, key, row.reserved_id, row.reserved_at, running)
    if session != row.session_id:
        row.session_id = session
        row.save()
        become(session, row, at, cleared=row.updated_at if row.state == "ended" else None)


def _list(target: str, key: Key, row: Any) -> None:
    """Have every session that began in the workspace among the known ones, as one that is over."""
    began = Event.select(Event.session_id, fn.MIN(Event.at).alias("at")).where(
        _of(target, key) & (Event.kind == STARTS)
    )
    for event in began.group_by(Event.session_id):
        if holder(event.session_id, target, key) is None:
            columns = {**_place(row), "created_at": event.at, "cleared_at": event.at}
            Session.insert(session_id=event.session_id, **columns).on_conflict_ignore().execute()


def _place(row: Any) -> dict[str, Any]:
    """What a session has of its workspace."""
    return {
        "repo": row.repo,
        "agent": row.agent,
        "topic": row.topic,
        "issue": row.issue or None,
        "target": row.target,
        "branch": row.branch,
        "base_ref": row.base,
        "worktree": row.worktree,
    }


def become(session: str, row: Any, at: int, *, cleared: int | None) -> None:
    """Have `session` as the one of the workspace in `row`; the one before it is cleared.

    `cleared` is when the workspace ended, if it has.
    """
    Session.update(cleared_at=at).where(
        (Session.repo == row.repo)
        & (Session.agent == row.agent)
        & (Session.topic == row.topic)
        & (Session.target == row.target)
        & (Session.session_id != session)
        & Session.cleared_at.is_null()
    ).execute()
    columns = {**_place(row), "cleared_at": cleared}
    Session.insert(session_id=session, created_at=at, **columns).on_conflict(
        conflict_target=[Session.session_id], update=columns
    ).execute()
