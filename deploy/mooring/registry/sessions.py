"""Which session is a workspace's current one: what the hooks recorded, set against its record.

Functions here run inside a transaction of `store.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..claude.events import TWICE_SECONDS
from ..claude.events import Event as HookEvent
from ..model import Key
from .schema import Event, IndexedRecord, Session

STARTS, ENDS = "session-start", "session-end"
LOOKED_AT = 50
"""How many of the newest starts in a workspace are looked at, to pass over those of others."""


def note(events: Iterable[HookEvent]) -> set[tuple[str, Key]]:
    """Keep the events that aren't known yet; returns the workspaces where something began."""
    touched = set()
    for event in events:
        kind = STARTS if event.starts else ENDS
        around = (event.at - TWICE_SECONDS, event.at + TWICE_SECONDS)
        known = Event.get_or_none(
            (Event.session_id == event.session)
            & (Event.kind == kind)
            & (Event.source == event.source)
            & Event.at.between(*around)
        )
        if known is None:
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
            if event.starts:
                touched.add((event.target, event.key))
    return touched


def current(target: str, key: Key, reserved: str, reserved_at: int) -> tuple[str, int]:
    """A workspace's session, and when it became that: the newest start since the reservation.

    A conversation that is another workspace's own is passed over: Claude Code 2.1.197 starts a
    fork under the id it was forked from.
    """
    newer = (
        Event.select(Event.session_id, Event.at)
        .where(
            (Event.topic == key.topic)
            & (Event.agent == key.agent)
            & (Event.kind == STARTS)
            & (Event.at > reserved_at)
            & (Event.repo == key.repo)
            & (Event.target == target)
        )
        .order_by(Event.at.desc(), Event.id.desc())
        .limit(LOOKED_AT)
    )
    for row in newer:
        if holder(row.session_id, target, key) is None:
            return row.session_id, row.at
    return reserved, reserved_at


def holder(session: str, target: str, key: Key) -> Any:
    """The workspace, other than that of `key`, whose current session this is; None if none."""
    rows = IndexedRecord.select().where(
        (IndexedRecord.session_id == session) & (IndexedRecord.state != "ended")
    )
    here = (target, key.repo, key.agent, key.topic)
    return next((row for row in rows if (row.target, row.repo, row.agent, row.topic) != here), None)


def follow(target: str, key: Key) -> None:
    """Bring the index of a workspace to its current session."""
    row: Any = IndexedRecord.get_or_none(
        (IndexedRecord.target == target)
        & (IndexedRecord.repo == key.repo)
        & (IndexedRecord.agent == key.agent)
        & (IndexedRecord.topic == key.topic)
    )
    if row is None:
        return
    session, at = current(target, key, row.reserved_id, row.reserved_at)
    if session != row.session_id:
        row.session_id = session
        row.save()
        become(session, row, at, cleared=row.updated_at if row.state == "ended" else None)


def become(session: str, row: Any, at: int, *, cleared: int | None) -> None:
    """Have `session` as the one of the workspace in `row`; the one before it is cleared.

    `cleared` is when the workspace ended, if it has.
    """
    where = {"repo": row.repo, "agent": row.agent, "topic": row.topic}
    Session.update(cleared_at=at).where(
        (Session.repo == row.repo)
        & (Session.agent == row.agent)
        & (Session.topic == row.topic)
        & (Session.target == row.target)
        & (Session.session_id != session)
        & Session.cleared_at.is_null()
    ).execute()
    columns = {
        **where,
        "issue": row.issue or None,
        "target": row.target,
        "branch": row.branch,
        "base_ref": row.base,
        "worktree": row.worktree,
        "cleared_at": cleared,
    }
    Session.insert(session_id=session, created_at=at, **columns).on_conflict(
        conflict_target=[Session.session_id], update=columns
    ).execute()
