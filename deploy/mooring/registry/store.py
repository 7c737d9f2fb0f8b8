"""Queries and updates of the registry. No transaction here spans anything but SQL."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

import msgspec

from ..claude import live
from ..claude.events import Event as HookEvent
from ..claude.events import unread
from ..claude.transcripts import store as local_store
from ..model import Key, Record, State
from . import sessions
from .database import Database, explaining
from .schema import Event, IndexedRecord, Lease, Session, Store

_RECORD_KEY = (
    IndexedRecord.target,
    IndexedRecord.repo,
    IndexedRecord.agent,
    IndexedRecord.topic,
)


Holds = Callable[[str, int, str], bool]
"""Whether a session's lease still is that of the process with a pid, which began then."""


class Held(msgspec.Struct, frozen=True):
    """Who has a lease: a process on this host, since when (epoch seconds)."""

    holder: str
    pid: int
    at: int


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
    env: dict[str, str]
    set: list[str]
    container: str
    """The name of its container, '' where it has none."""
    store: str
    """The session store, where it isn't that of the target's user."""
    passes: list[str]
    """Names of variables that are passed into the container."""
    parent: str
    start: str
    reserved_id: str
    reserved_at: int
    updated_at: int

    @property
    def key(self) -> Key:
        """What names the workspace on its target."""
        return Key(self.repo, self.agent, self.topic)

    @property
    def words(self) -> tuple[str, ...]:
        """What names it on the command line, wherever one stands; for hints."""
        agent = () if self.agent == "dev" else ("--agent", self.agent)
        return (self.topic, *agent, "--repo", self.source)


class SessionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A session; times in epoch seconds.

    `captured_at` is when its `transcript` was first seen, `seen_at` when that was last written as
    far as anybody looked, `cleared_at` when it stopped being its workspace's session.
    """

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
    transcript: str
    seen_at: int | None


class Registry(Database):
    """What is known of workspaces and sessions. Each method is one short transaction."""

    def index(self, record: Record, host: str, event: str, running: Collection[str] = ()) -> None:
        """Take over what a record on `host` says, and log `event`.

        `running` are the ids of sessions that run on that host now.
        """
        with self.writing():
            current, at = sessions.current(
                record.target, record.key, record.session, record.reserved, running
            )
            columns = {**_columns(record, host), "session_id": current}
            # A target that went on with the session of the one that was there is in its place.
            IndexedRecord.delete().where(
                _same(record)
                & (IndexedRecord.target != record.target)
                & (IndexedRecord.host == host)
                & (IndexedRecord.session_id == current)
            ).execute()
            IndexedRecord.insert(**columns).on_conflict(
                conflict_target=list(_RECORD_KEY), update=columns
            ).execute()
            ended = record.updated if record.state is State.ENDED else None
            sessions.become(current, self._record(record), at or record.created, cleared=ended)
            Event.insert(
                at=int(time.time()),
                kind=event,
                target=record.target,
                session_id=current,
                **_key(record.key),
            ).execute()

    @explaining
    def holds(self, record: Record, host: str) -> bool:
        """Whether the index has this record as it is, but for the commit seen and the time."""
        wanted = _columns(record, host)
        row = self._record(record)
        return row is not None and all(
            getattr(row, name) == value
            for name, value in wanted.items()
            if name not in ("seen_commit", "updated_at")
        )

    @explaining
    def saw(self, record: Record, commit: str) -> None:
        """Note the commit a probe saw; silent when it isn't new."""
        row = self._record(record)
        if row is not None and commit and row.seen_commit != commit:
            with self.writing():
                IndexedRecord.update(seen_commit=commit).where(_is(record)).execute()

    def _record(self, record: Record) -> Any:
        return IndexedRecord.get_or_none(_is(record))

    @explaining
    def fold(self, events: Iterable[HookEvent], running: Collection[str] = ()) -> None:
        """Take in what hooks recorded; an event that is known already changes nothing."""
        if new := sessions.new(events):
            with self.writing():
                for target, key in sessions.note(sessions.new(new)):
                    sessions.follow(target, key, running)

    @explaining
    def fold_store(self, store: Path) -> None:
        """Take in what the hooks of a store on this host recorded since it was read last."""
        known: Any = Store.get_or_none(Store.path == str(store))
        was = (known.inode, known.read) if known else (0, 0)
        new, *now = unread(store, *was)
        if tuple(now) != was:
            running = live.running(store) if new else {}
            with self.writing():
                # Another process may have read them meanwhile.
                for target, key in sessions.note(sessions.new(new)):
                    sessions.follow(target, key, running)
                place = {"inode": now[0], "read": now[1]}
                Store.insert(path=str(store), **place).on_conflict(
                    conflict_target=[Store.path], update=place
                ).execute()

    @explaining
    def current(self, record: Record, running: Collection[str] = ()) -> str:
        """The id of the workspace's session: one that began there, else the reserved one."""
        return sessions.current(
            record.target, record.key, record.session, record.reserved, running
        )[0]

    @explaining
    def newest(self, target: str, key: Key) -> int:
        """When something last happened in a workspace, by its target's clock; 0 if nothing did."""
        return sessions.newest(target, key)

    @explaining
    def holder(self, session: str, target: str, key: Key, host: str = "") -> str | None:
        """The topic of another live workspace whose session this is, if there is one."""
        row = sessions.holder(session, target, key, host)
        return row.topic if row else None

    @explaining
    def captured(self, session: str, transcript: str, modified: int) -> None:
        """Note that the session has a transcript, last written at `modified` (epoch seconds)."""
        row: Any = Session.get_or_none(Session.session_id == session)
        if row and (
            row.captured_at is None or (row.transcript, row.seen_at) != (transcript, modified)
        ):
            with self.writing():
                Session.update(
                    captured_at=row.captured_at or int(time.time()),
                    transcript=transcript,
                    seen_at=modified,
                ).where(Session.session_id == session).execute()

    def adopt(self, row: SessionRow) -> bool:
        """Take in a session that another tool recorded.

        Returns whether that was done: not if its id, or its topic, has one already.
        """
        with self.writing():
            same = (
                (Session.repo == row.repo)
                & (Session.agent == row.agent)
                & (Session.topic == row.topic)
            )
            if Session.get_or_none((Session.session_id == row.session_id) | same):
                return False
            Session.insert(**msgspec.structs.asdict(row)).execute()
        return True

    def lease(self, session: str, holder: str, pid: int, started: str, holds: Holds) -> Held | None:
        """Take the lease of a session for a process; returns who has it, if it still `holds`."""
        with self.writing():
            row: Any = Lease.get_or_none(Lease.session_id == session)
            if (
                row
                and (row.pid, row.started) != (pid, started)
                and holds(row.session_id, row.pid, row.started)
            ):
                return Held(row.holder, row.pid, row.at)
            taken = {"holder": holder, "pid": pid, "started": started, "at": int(time.time())}
            Lease.insert(session_id=session, **taken).on_conflict(
                conflict_target=[Lease.session_id], update=taken
            ).execute()
        return None

    @explaining
    def leases(self, holds: Holds) -> dict[str, Held]:
        """Who has a lease and still `holds` it, by session id."""
        rows: Any = Lease.select()
        return {
            row.session_id: Held(row.holder, row.pid, row.at)
            for row in rows
            if holds(row.session_id, row.pid, row.started)
        }

    def release(self, session: str, pid: int) -> None:
        """Give up a process's lease, if it has it."""
        with self.writing():
            Lease.delete().where((Lease.session_id == session) & (Lease.pid == pid)).execute()

    @explaining
    def commits(self, agent: str, topic: str) -> list[str]:
        """The last commits seen in workspaces of that agent and topic, newest first."""
        query = IndexedRecord.select(IndexedRecord.seen_commit).where(
            (IndexedRecord.agent == agent) & (IndexedRecord.topic == topic)
        )
        rows = query.order_by(IndexedRecord.updated_at.desc()).limit(8)
        return [row.seen_commit for row in rows if row.seen_commit]

    @explaining
    def issue_holder(self, key: Key, issue: str) -> str | None:
        """Another topic that has a current session of the same issue, if there is one."""
        row = Session.get_or_none(
            (Session.repo == key.repo)
            & (Session.agent == key.agent)
            & (Session.issue == issue)
            & (Session.topic != key.topic)
            & Session.cleared_at.is_null()
        )
        return row.topic if row else None

    @explaining
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

    @explaining
    def session(self, session: str) -> SessionRow | None:
        """The session with that id, if it is known."""
        rows: Any = Session.select().where(Session.session_id == session).dicts()
        return next((SessionRow(**item) for item in rows), None)

    @explaining
    def sessions(self, topic: str = "", agent: str = "") -> list[SessionRow]:
        """The sessions of that topic and agent ('' for any), newest first."""
        query = Session.select()
        if topic:
            query = query.where(Session.topic == topic)
        if agent:
            query = query.where(Session.agent == agent)
        rows: Any = query.order_by(Session.created_at.desc(), Session.topic).dicts()
        return [SessionRow(**item) for item in rows]


def _is(record: Record) -> Any:
    return _same(record) & (IndexedRecord.target == record.target)


def _same(record: Record) -> Any:
    return (
        (IndexedRecord.repo == record.repo)
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
        "reserved_id": record.session,
        "reserved_at": record.reserved,
        "parent": record.parent,
        "start": record.start,
        "issue": record.issue,
        "pipeline": record.pipeline,
        "ports": msgspec.json.encode(record.ports).decode(),
        "env": msgspec.json.encode(record.env).decode(),
        "set": msgspec.json.encode(record.set).decode(),
        "container": record.container,
        "store": record.store,
        "passes": msgspec.json.encode(record.passes).decode(),
        "updated_at": record.updated,
    }


def _row(item: dict[str, Any]) -> Row:
    decoded: dict[str, Any] = {
        "ports": msgspec.json.decode(item.pop("ports"), type=dict[str, int]),
        "env": msgspec.json.decode(item.pop("env"), type=dict[str, str]),
        "set": msgspec.json.decode(item.pop("set"), type=list[str]),
        "passes": msgspec.json.decode(item.pop("passes"), type=list[str]),
    }
    commit, session = item.pop("seen_commit"), item.pop("session_id")
    return Row(**decoded, commit=commit, session=session, **item)


@functools.cache
def opened() -> Registry:
    """The registry of this process, with all that hooks on this host recorded so far."""
    registry = Registry()
    registry.fold_store(local_store())
    return registry
