"""`mooring sessions export` and `import`: the `.claude-sessions.json` form, for scripts with jq.

An object from topic to `sessionId`, `branch`, `baseRef`, `createdAt`, `capturedAt`, `clearedAt`;
times are ISO 8601 in UTC, null where there is none.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from ..errors import MooringError
from ..model import SESSION, Key, check_topic
from ..registry import Registry, SessionRow


class Entry(msgspec.Struct, rename="camel"):
    """One topic's session in the form."""

    session_id: str
    branch: str = ""
    base_ref: str = ""
    created_at: datetime | None = None
    captured_at: datetime | None = None
    cleared_at: datetime | None = None


def export(registry: Registry, repo: str, agent: str) -> dict[str, Any]:
    """The newest session of each topic of a repo and agent, in the form."""
    entries: dict[str, Any] = {}
    for row in sorted(registry.sessions(agent=agent), key=_order):
        if row.repo == repo:
            entries[row.topic] = {
                "sessionId": row.session_id,
                "branch": row.branch,
                "baseRef": row.base_ref,
                "createdAt": _text(row.created_at),
                "capturedAt": _text(row.captured_at),
                "clearedAt": _text(row.cleared_at),
            }
    return entries


def _order(row: SessionRow) -> tuple[bool, int]:
    """The one that isn't cleared comes last, else the newest."""
    return row.cleared_at is None, row.created_at


def _text(at: int | None) -> str | None:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


def import_(registry: Registry, data: bytes, repo: str, agent: str) -> list[str]:
    """Take in what the form says of a repo's topics; returns those that were new.

    A topic that has a session already keeps it. Raises MooringError, and takes in nothing, if the
    form can't be read.
    """
    try:
        entries = msgspec.json.decode(data, type=dict[str, Entry])
    except (msgspec.DecodeError, ValueError) as error:
        raise MooringError(
            f"Cannot read the sessions: {error}", "mooring sessions export"
        ) from None
    for topic, entry in entries.items():
        check_topic("topic", topic)
        if not SESSION.fullmatch(entry.session_id):
            raise MooringError(f"Cannot read the sessions: {topic!r} has no session id")
    return [
        topic
        for topic, entry in entries.items()
        if registry.adopt(_row(entry, Key(repo, agent, topic)))
    ]


def _row(entry: Entry, key: Key) -> SessionRow:
    created = entry.created_at or datetime.now(UTC)
    return SessionRow(
        session_id=entry.session_id,
        repo=key.repo,
        agent=key.agent,
        topic=key.topic,
        issue=None,
        target="",
        branch=entry.branch,
        base_ref=entry.base_ref,
        worktree="",
        created_at=int(created.timestamp()),
        captured_at=int(entry.captured_at.timestamp()) if entry.captured_at else None,
        cleared_at=int(entry.cleared_at.timestamp()) if entry.cleared_at else None,
        transcript="",
        seen_at=None,
    )
