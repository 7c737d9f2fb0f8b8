"""Queries and updates of the registry. No transaction here spans anything but SQL."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

import msgspec
import peewee

from ..errors import MooringError, command
from ..model import Key, Record, State
from .schema import TABLES, Event, IndexedRecord, Session, migrate

BUSY_SECONDS = 30
P = ParamSpec("P")
T = TypeVar("T")
_RECORD_KEY = (
    IndexedRecord.target,
    IndexedRecord.repo,
    IndexedRecord.agent,
    IndexedRecord.topic,
)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A workspace as the index has it; `commit` is the last one seen, times are epoch seconds."""

    target: str
    host: str
    repo: str
    agent: str
    topic: str
    source: str
    state: str
    branch: str
    base: str
    commit: str
    worktree: str
    session: str
    issue: str
    pipeline: str
    ports: dict[str, int]
    updated_at: int


class SessionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A session; `captured_at` is when a transcript was first seen, `cleared_at` when it ended."""

    session_id: str
    repo: str
    agent: str
    topic: str
    issue: str | None
    target: str
    branch: str
    base_ref: str
    worktree: str
    created_at: int
    captured_at: int | None
    cleared_at: int | None


def location() -> Path:
    """The registry's file: `$MOORING_REGISTRY`, else under `~/.local/share/mooring`."""
    configured = os.environ.get("MOORING_REGISTRY", "")
    if "://" in configured:
        raise MooringError(
            f"Cannot open the registry: {configured.partition('://')[0]} is not supported yet",
            "unset MOORING_REGISTRY",
        )
    default = Path.home() / ".local" / "share" / "mooring" / "registry.db"
    return Path(configured).expanduser() if configured else default


def _explaining(method: Callable[P, T]) -> Callable[P, T]:
    """Turn what the database says of a damaged file into an error that a person can act on."""

    @functools.wraps(method)
    def explained(*args: P.args, **kwargs: P.kwargs) -> T:
        registry: Any = args[0]
        with _explained(registry.path):
            return method(*args, **kwargs)

    return explained


class Registry:
    """An open registry, one in a process: peewee's tables are bound to the last one opened.

    Each method is one short transaction.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Open the file at `path` (default: `location()`), brought to the newest schema.

        One that isn't there reads as empty, and is made by the first thing that is written. Raises
        MooringError if it can't be opened or is from a newer Mooring.
        """
        self.path = path or location()
        self._there = self.path.exists()
        with _explained(self.path):
            self._connect(str(self.path) if self._there else ":memory:")

    def _connect(self, place: str) -> None:
        pragmas = {"journal_mode": "wal", "busy_timeout": BUSY_SECONDS * 1000}
        # One connection for all greenlets: pyinfra runs each host in its own, in one thread.
        self._database = peewee.SqliteDatabase(
            place, pragmas=pragmas, timeout=BUSY_SECONDS, thread_safe=False
        )
        self._database.connect()
        self._database.bind(TABLES)
        migrate(self._database)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with _explained(self.path):
            if not self._there:
                self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
                self._database.close()
                self._connect(str(self.path))
                self._there = True
            with self._database.atomic("IMMEDIATE"):
                yield

    def __enter__(self) -> Registry:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; nothing else may be called after."""
        self._database.close()

    def index(self, record: Record, host: str, event: str, *, captured: bool = False) -> None:
        """Take over what a record on `host` says, and log `event`.

        `captured` says that the session has a transcript.
        """
        ended = record.updated if record.state is State.ENDED else None
        with self._writing():
            columns = _columns(record, host)
            IndexedRecord.insert(**columns).on_conflict(
                conflict_target=list(_RECORD_KEY), update=columns
            ).execute()
            session = {
                **_key(record.key),
                "issue": record.issue or None,
                "target": record.target,
                "branch": record.branch,
                "base_ref": record.base,
                "worktree": record.worktree,
                "created_at": record.created,
                "cleared_at": ended,
            }
            Session.insert(session_id=record.session, **session).on_conflict(
                conflict_target=[Session.session_id], update=session
            ).execute()
            if captured:
                self._capture(record)
            Event.insert(
                at=int(time.time()),
                kind=event,
                target=record.target,
                session_id=record.session,
                **_key(record.key),
            ).execute()

    @_explaining
    def holds(self, record: Record, host: str) -> bool:
        """Whether the index has this record as it is, but for the commit seen and the time."""
        wanted = _columns(record, host)
        row = self._record(record)
        return row is not None and all(
            getattr(row, name) == value
            for name, value in wanted.items()
            if name not in ("seen_commit", "updated_at")
        )

    @_explaining
    def saw(self, record: Record, commit: str, transcript: bool) -> None:
        """Note the commit a probe saw, and that a transcript exists; silent when nothing is new."""
        row = self._record(record)
        if row is None:
            return
        session: Any = Session.get_or_none(Session.session_id == record.session)
        new_transcript = transcript and session is not None and session.captured_at is None
        if new_transcript or (commit and row.seen_commit != commit):
            with self._writing():
                self._see(record, commit)
                if new_transcript:
                    self._capture(record)

    def _see(self, record: Record, commit: str) -> None:
        if commit:
            IndexedRecord.update(seen_commit=commit).where(_is(record)).execute()

    def _capture(self, record: Record) -> None:
        now = int(time.time())
        Session.update(captured_at=now).where(
            (Session.session_id == record.session) & Session.captured_at.is_null()
        ).execute()

    def _record(self, record: Record) -> Any:
        return IndexedRecord.get_or_none(_is(record))

    @_explaining
    def commits(self, agent: str, topic: str) -> list[str]:
        """The last commits seen in workspaces of that agent and topic, newest first."""
        query = IndexedRecord.select(IndexedRecord.seen_commit).where(
            (IndexedRecord.agent == agent) & (IndexedRecord.topic == topic)
        )
        rows = query.order_by(IndexedRecord.updated_at.desc()).limit(8)
        return [row.seen_commit for row in rows if row.seen_commit]

    @_explaining
    def issue_holder(self, key: Key, issue: str, session: str) -> str | None:
        """The topic of another current session of the same issue, if there is one."""
        row = Session.get_or_none(
            (Session.repo == key.repo)
            & (Session.agent == key.agent)
            & (Session.issue == issue)
            & (Session.session_id != session)
            & Session.cleared_at.is_null()
        )
        return row.topic if row else None

    @_explaining
    def rows(self, topic: str = "", agent: str = "") -> list[Row]:
        """The workspaces of that topic and agent ('' for any), ended ones too, by name."""
        query = IndexedRecord.select()
        if topic:
            query = query.where(IndexedRecord.topic == topic)
        if agent:
            query = query.where(IndexedRecord.agent == agent)
        order = (IndexedRecord.repo, IndexedRecord.agent, IndexedRecord.topic)
        items: Any = query.order_by(*order).dicts()
        return [_row(item) for item in items]

    @_explaining
    def sessions(self, topic: str = "", agent: str = "") -> list[SessionRow]:
        """The sessions of that topic and agent ('' for any), newest first."""
        query = Session.select()
        if topic:
            query = query.where(Session.topic == topic)
        if agent:
            query = query.where(Session.agent == agent)
        rows: Any = query.order_by(Session.created_at.desc(), Session.topic).dicts()
        return [SessionRow(**item) for item in rows]


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except peewee.IntegrityError as error:
        raise MooringError(
            f"Cannot note this in the registry: {error}", "mooring sessions"
        ) from None
    except (peewee.PeeweeException, OSError) as error:
        raise MooringError(
            f"Cannot use the registry {path}: {error}",
            command(
                "mv", str(path), f"{path}.old", note="a new one is made; records are the truth"
            ),
        ) from None


def _is(record: Record) -> Any:
    return (
        (IndexedRecord.target == record.target)
        & (IndexedRecord.repo == record.repo)
        & (IndexedRecord.agent == record.agent)
        & (IndexedRecord.topic == record.topic)
    )


def _key(key: Key) -> dict[str, str]:
    return {"repo": key.repo, "agent": key.agent, "topic": key.topic}


def _columns(record: Record, host: str) -> dict[str, Any]:
    return {
        "target": record.target,
        **_key(record.key),
        "host": host,
        "source": record.source,
        "state": record.state.value,
        "branch": record.branch,
        "base": record.base,
        "seen_commit": record.commit,
        "worktree": record.worktree,
        "session_id": record.session,
        "issue": record.issue,
        "pipeline": record.pipeline,
        "ports": msgspec.json.encode(record.ports).decode(),
        "updated_at": record.updated,
    }


def _row(item: dict[str, Any]) -> Row:
    ports = msgspec.json.decode(item.pop("ports"), type=dict[str, int])
    commit, session = item.pop("seen_commit"), item.pop("session_id")
    return Row(ports=ports, commit=commit, session=session, **item)


opened = functools.cache(Registry)
"""The registry of this process."""
