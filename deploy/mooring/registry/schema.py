"""The registry's tables, and the steps that bring an older file to them."""

from __future__ import annotations

import peewee

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE sessions (
            session_id TEXT PRIMARY KEY,
            repo TEXT NOT NULL, agent TEXT NOT NULL, topic TEXT NOT NULL, issue TEXT,
            target TEXT NOT NULL,
            branch TEXT NOT NULL, base_ref TEXT NOT NULL, worktree TEXT NOT NULL,
            created_at INTEGER NOT NULL, captured_at INTEGER, cleared_at INTEGER)""",
        """CREATE UNIQUE INDEX sessions_issue ON sessions (repo, agent, issue)
            WHERE issue IS NOT NULL AND cleared_at IS NULL""",
        "CREATE INDEX sessions_topic ON sessions (topic, agent)",
        """CREATE TABLE records (
            target TEXT NOT NULL, repo TEXT NOT NULL, agent TEXT NOT NULL, topic TEXT NOT NULL,
            host TEXT NOT NULL, source TEXT NOT NULL, state TEXT NOT NULL,
            branch TEXT NOT NULL, base TEXT NOT NULL, seen_commit TEXT NOT NULL,
            worktree TEXT NOT NULL, session_id TEXT NOT NULL, issue TEXT, pipeline TEXT,
            ports TEXT NOT NULL,
            updated_at INTEGER NOT NULL,
            PRIMARY KEY (target, repo, agent, topic))""",
        """CREATE TABLE events (
            id INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL,
            target TEXT NOT NULL, repo TEXT NOT NULL, agent TEXT NOT NULL, topic TEXT NOT NULL,
            session_id TEXT NOT NULL)""",
    ),
    (
        "ALTER TABLE sessions ADD COLUMN transcript TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE sessions ADD COLUMN seen_at INTEGER",
        "ALTER TABLE records ADD COLUMN parent TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE records ADD COLUMN start TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE records ADD COLUMN reserved_id TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE records ADD COLUMN reserved_at INTEGER NOT NULL DEFAULT 0",
        "UPDATE records SET reserved_id = session_id",
        "ALTER TABLE events ADD COLUMN source TEXT NOT NULL DEFAULT ''",
        "CREATE INDEX events_session ON events (session_id, kind)",
        "CREATE INDEX events_workspace ON events (topic, agent, kind, at)",
        """CREATE TABLE stores (
            path TEXT PRIMARY KEY, inode INTEGER NOT NULL, read INTEGER NOT NULL)""",
        """CREATE TABLE leases (
            session_id TEXT PRIMARY KEY, holder TEXT NOT NULL, pid INTEGER NOT NULL,
            started TEXT NOT NULL, at INTEGER NOT NULL)""",
    ),
    (
        "ALTER TABLE records ADD COLUMN env TEXT NOT NULL DEFAULT '{}'",
        "ALTER TABLE records ADD COLUMN \"set\" TEXT NOT NULL DEFAULT '[]'",
    ),
    (
        "ALTER TABLE records ADD COLUMN container TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE records ADD COLUMN store TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE records ADD COLUMN passes TEXT NOT NULL DEFAULT '[]'",
    ),
)
"""One tuple of statements per schema version; a published one is never changed."""


def migrate(database: peewee.Database) -> None:
    """Bring the database to the newest version. Safe to run from many processes at once.

    Raises peewee.DatabaseError if another program wrote a newer version.
    """
    if _version(database) == len(MIGRATIONS):
        return
    with database.atomic("IMMEDIATE"):
        done = _version(database)
        for statements in MIGRATIONS[done:]:
            for statement in statements:
                database.execute_sql(statement)
        if done < len(MIGRATIONS):
            database.execute_sql(f"PRAGMA user_version = {len(MIGRATIONS)}")


def _version(database: peewee.Database) -> int:
    version = int(database.execute_sql("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise peewee.DatabaseError(f"its schema version {version} is newer than this Mooring")
    return version


class Session(peewee.Model):
    """One Claude conversation; times in seconds since the epoch.

    `captured_at` is when a transcript was first seen, `seen_at` when it was last; `cleared_at` when
    it stopped being its workspace's conversation.
    """

    session_id = peewee.TextField(primary_key=True)
    repo = peewee.TextField()
    agent = peewee.TextField()
    topic = peewee.TextField()
    issue = peewee.TextField(null=True)
    target = peewee.TextField()
    branch = peewee.TextField()
    base_ref = peewee.TextField()
    worktree = peewee.TextField()
    created_at = peewee.IntegerField()
    captured_at = peewee.IntegerField(null=True)
    cleared_at = peewee.IntegerField(null=True)
    transcript = peewee.TextField(default="")
    seen_at = peewee.IntegerField(null=True)

    class Meta:
        table_name = "sessions"


class IndexedRecord(peewee.Model):
    """What was last known of one record on a target.

    `reserved_id` is the record's session, reserved at `reserved_at`; `session_id` is the current
    one: that of the newest conversation that began in the workspace since.
    """

    target = peewee.TextField()
    repo = peewee.TextField()
    agent = peewee.TextField()
    topic = peewee.TextField()
    host = peewee.TextField()
    source = peewee.TextField()
    state = peewee.TextField()
    branch = peewee.TextField()
    base = peewee.TextField()
    seen_commit = peewee.TextField()
    worktree = peewee.TextField()
    session_id = peewee.TextField()
    issue = peewee.TextField(null=True)
    pipeline = peewee.TextField(null=True)
    ports = peewee.TextField()
    env = peewee.TextField(default="{}")
    set = peewee.TextField(default="[]")
    container = peewee.TextField(default="")
    store = peewee.TextField(default="")
    passes = peewee.TextField(default="[]")
    parent = peewee.TextField(default="")
    start = peewee.TextField(default="")
    reserved_id = peewee.TextField(default="")
    reserved_at = peewee.IntegerField(default=0)
    updated_at = peewee.IntegerField()

    class Meta:
        table_name = "records"
        primary_key = peewee.CompositeKey("target", "repo", "agent", "topic")


class Event(peewee.Model):
    """Something that happened to a session or its workspace.

    `source` is what a conversation began with, or the reason for its end.
    """

    id = peewee.AutoField()
    at = peewee.IntegerField()
    kind = peewee.TextField()
    target = peewee.TextField()
    repo = peewee.TextField()
    agent = peewee.TextField()
    topic = peewee.TextField()
    session_id = peewee.TextField()
    source = peewee.TextField(default="")

    class Meta:
        table_name = "events"


class Store(peewee.Model):
    """How far the events of a store have been read: `read` bytes of the file with that inode."""

    path = peewee.TextField(primary_key=True)
    inode = peewee.IntegerField()
    read = peewee.IntegerField()

    class Meta:
        table_name = "stores"


class Lease(peewee.Model):
    """Who may write to a conversation: a process on this host, that the kernel `started` then."""

    session_id = peewee.TextField(primary_key=True)
    holder = peewee.TextField()
    pid = peewee.IntegerField()
    started = peewee.TextField()
    at = peewee.IntegerField()

    class Meta:
        table_name = "leases"


TABLES = (Session, IndexedRecord, Event, Store, Lease)
