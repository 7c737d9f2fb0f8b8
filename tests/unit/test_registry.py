"""The registry: its schema under many processes, its index of records, its sessions and events."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mooring.errors import MooringError
from mooring.model import Key, Record, State
from mooring.registry import Registry
from mooring.registry.schema import MIGRATIONS
from mooring.registry.store import location
from tests.unit.builders import IDENTITY, SEEN, SESSION, TIP, a_record

TIP_OF_OTHER = "d" * 40
OTHER_SESSION = "00000000-0000-4000-8000-000000000002"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state/registry.db"


@pytest.fixture
def registry(path: Path) -> Iterator[Registry]:
    with Registry(path) as registry:
        yield registry


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    """What another program reads in the file."""
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def other(**changes: object) -> Record:
    """A record of another topic, with a session of its own."""
    return a_record(**{"topic": "other", "session": OTHER_SESSION} | changes)


def test_a_missing_file_reads_as_empty_and_is_not_made(registry: Registry, path: Path) -> None:
    assert registry.rows() == []
    assert registry.sessions() == []
    assert registry.commits("dev", "fix-login") == []
    assert registry.issue_holder(a_record().key, "17", SESSION) is None
    assert not registry.holds(a_record(), "@local")
    registry.saw(a_record(), TIP, transcript=True)
    assert not path.parent.exists()


def test_the_first_write_makes_a_private_file(registry: Registry, path: Path) -> None:
    registry.index(a_record(), "@local", "claimed")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    for beside in path.parent.iterdir():
        assert stat.S_IMODE(beside.stat().st_mode) == 0o600


def test_the_schema_has_a_version(registry: Registry, path: Path) -> None:
    registry.index(a_record(), "@local", "claimed")
    assert rows(path, "PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert rows(path, "PRAGMA journal_mode") == [("wal",)]


def make(path: Path, version: int) -> None:
    """The file as some version of Mooring left it."""
    path.parent.mkdir(parents=True)
    connection = sqlite3.connect(path, isolation_level=None)
    for statements in MIGRATIONS[:version]:
        for statement in statements:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()


@pytest.mark.parametrize("version", range(len(MIGRATIONS) + 1))
def test_every_older_schema_is_brought_up_to_date(path: Path, version: int) -> None:
    make(path, version)
    with Registry(path) as registry:
        registry.index(a_record(), "@local", "claimed")
        assert len(registry.rows()) == 1
    assert rows(path, "PRAGMA user_version") == [(len(MIGRATIONS),)]


def test_a_newer_schema_is_refused_and_left_alone(path: Path) -> None:
    make(path, len(MIGRATIONS))
    sqlite3.connect(path, isolation_level=None).execute("PRAGMA user_version = 99")
    with pytest.raises(MooringError, match="schema version 99 is newer"):
        Registry(path)
    assert rows(path, "PRAGMA user_version") == [(99,)]


INDEX_ONE = """
import pathlib, sys
import msgspec
from mooring.model import parse_record
from mooring.registry import Registry
path, number = pathlib.Path(sys.argv[1]), int(sys.argv[2])
record = msgspec.structs.replace(
    parse_record(sys.stdin.buffer.read()),
    topic=f"topic-{number}",
    session=f"00000000-0000-4000-8000-{number:012}",
)
with Registry(path) as registry:
    registry.index(record, "@local", "claimed")
    assert registry.holds(record, "@local")
"""


@pytest.mark.parametrize("there", [False, True], ids=["no file", "an empty file"])
def test_sixteen_processes_migrate_once_and_lose_nothing(path: Path, there: bool) -> None:
    import msgspec

    if there:
        make(path, 0)
    record = msgspec.json.encode(a_record())
    argv = [sys.executable, "-c", INDEX_ONE, str(path)]
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
    started = [subprocess.Popen([*argv, str(number)], **pipes) for number in range(16)]
    said = [process.communicate(record, timeout=60)[1].decode() for process in started]
    assert said == [""] * 16
    with Registry(path) as registry:
        assert len({row.topic for row in registry.rows()}) == 16
        assert len(registry.sessions()) == 16
    assert rows(path, "SELECT count(*) FROM events") == [(16,)]


def test_a_record_is_indexed_whole(registry: Registry) -> None:
    record = a_record(issue="17", pipeline="run-3", ports={"PORT": 1, "PORT_WEB": 2})
    registry.index(record, "@ssh/box", "claimed")
    (row,) = registry.rows()
    assert (row.host, row.state, row.session, row.commit) == ("@ssh/box", "ready", SESSION, SEEN)
    assert (row.issue, row.pipeline, row.ports) == ("17", "run-3", record.ports)
    for name in ("target", "repo", "agent", "topic", "source", "branch", "base", "worktree"):
        assert getattr(row, name) == getattr(record, name)
    assert row.updated_at == record.updated


def test_indexing_again_replaces(registry: Registry, path: Path) -> None:
    registry.index(a_record(), "@local", "claimed")
    registry.index(a_record(branch="b", state=State.PARTIAL), "@ssh/box", "provisioned")
    (row,) = registry.rows()
    assert (row.branch, row.state, row.host) == ("b", "partial", "@ssh/box")
    assert len(registry.sessions()) == 1
    events = rows(path, "SELECT kind, topic, session_id FROM events ORDER BY id")
    assert events == [("claimed", "fix-login", SESSION), ("provisioned", "fix-login", SESSION)]


def test_a_session_that_is_used_anew_starts_anew(registry: Registry) -> None:
    registry.index(a_record(), "@local", "claimed")
    registry.index(a_record(state=State.ENDED, ports={}, updated=2000), "@local", "ended")
    (session,) = registry.sessions()
    assert (session.created_at, session.cleared_at, session.branch) == (1000, 2000, "fix-login")
    anew = a_record(created=3000, updated=3000, branch="b", base="release", worktree="/w")
    registry.index(anew, "@local", "claimed")
    (session,) = registry.sessions()
    assert (session.created_at, session.cleared_at) == (3000, None)
    assert (session.branch, session.base_ref, session.worktree) == ("b", "release", "/w")


@pytest.mark.parametrize(
    "changes",
    [
        {"branch": "b"},
        {"state": State.ENDED},
        {"ports": {"PORT": 2}},
        {"session": OTHER_SESSION},
        {"issue": "17"},
        {"worktree": "/w"},
        {"base": "release"},
        {"target": "another"},
        {"topic": "other"},
        {"agent": "reviewer"},
        {"repo": "example.com/other/shop"},
    ],
)
def test_the_index_knows_what_it_does_not_hold(
    registry: Registry, changes: dict[str, object]
) -> None:
    registry.index(a_record(), "@local", "claimed")
    assert not registry.holds(a_record(**changes), "@local")


def test_the_index_holds_what_differs_in_commit_and_time_only(registry: Registry) -> None:
    registry.index(a_record(), "@local", "claimed")
    assert registry.holds(a_record(commit=TIP, updated=2000), "@local")
    assert not registry.holds(a_record(), "@ssh/box")


def test_what_a_probe_saw_is_noted(registry: Registry) -> None:
    registry.index(a_record(), "@local", "claimed")
    registry.saw(a_record(), "", transcript=False)
    assert registry.rows()[0].commit == SEEN
    assert registry.sessions()[0].captured_at is None
    registry.saw(a_record(), TIP, transcript=True)
    assert registry.rows()[0].commit == TIP
    captured = registry.sessions()[0].captured_at
    assert captured
    registry.saw(a_record(), TIP, transcript=False)
    assert registry.sessions()[0].captured_at == captured


def test_indexing_again_keeps_when_a_transcript_was_first_seen(registry: Registry) -> None:
    registry.index(a_record(), "@local", "claimed")
    registry.saw(a_record(), TIP, transcript=True)
    captured = registry.sessions()[0].captured_at
    registry.index(a_record(state=State.ENDED), "@local", "ended")
    assert registry.sessions()[0].captured_at == captured


def test_seeing_the_same_again_writes_nothing(registry: Registry, path: Path) -> None:
    registry.index(a_record(), "@local", "claimed")
    registry.saw(a_record(), TIP, transcript=True)
    before = {file.name: file.read_bytes() for file in path.parent.glob("*[bl]")}
    registry.saw(a_record(), TIP, transcript=True)
    assert {file.name: file.read_bytes() for file in path.parent.glob("*[bl]")} == before


def test_a_record_that_nobody_indexed_is_not_noted(registry: Registry) -> None:
    registry.index(a_record(), "@local", "claimed")
    registry.saw(other(), TIP, transcript=True)
    assert [row.topic for row in registry.rows()] == ["fix-login"]


def test_commits_come_newest_first(registry: Registry) -> None:
    for number in range(10):
        record = a_record(
            target=f"t{number}", commit=f"{number}" * 40, updated=number, session=f"s{number}"
        )
        registry.index(record, "@local", "claimed")
    registry.index(other(commit=TIP_OF_OTHER), "@local", "claimed")
    reviewed = a_record(agent="reviewer", session="r", commit=TIP_OF_OTHER)
    registry.index(reviewed, "@local", "claimed")
    registry.index(a_record(target="empty", commit="", updated=99, session="e"), "@l", "claimed")
    commits = registry.commits("dev", "fix-login")
    assert commits[:3] == ["9" * 40, "8" * 40, "7" * 40]
    assert TIP_OF_OTHER not in commits
    assert "" not in commits


def test_one_issue_has_one_current_session(registry: Registry) -> None:
    registry.index(a_record(issue="17"), "@local", "claimed")
    with pytest.raises(MooringError, match="Cannot note this in the registry") as caught:
        registry.index(other(issue="17"), "@local", "claimed")
    assert not any("mv" in hint for hint in caught.value.hints)
    assert [row.topic for row in registry.rows()] == ["fix-login"]
    assert len(registry.sessions()) == 1


@pytest.mark.parametrize(
    "changes",
    [{"agent": "reviewer"}, {"repo": "example.com/other/shop"}, {"issue": "18"}, {"issue": ""}],
)
def test_others_may_have_that_issue(registry: Registry, changes: dict[str, object]) -> None:
    registry.index(a_record(issue="17"), "@local", "claimed")
    registry.index(other(**{"issue": "17"} | changes), "@local", "claimed")
    assert len(registry.sessions()) == 2


def test_an_issue_is_free_again_after_the_end(registry: Registry) -> None:
    registry.index(a_record(issue="17"), "@local", "claimed")
    key = Key(IDENTITY, "dev", "other")
    mine = OTHER_SESSION
    assert registry.issue_holder(key, "17", mine) == "fix-login"
    assert registry.issue_holder(a_record().key, "17", mine) == "fix-login", "on another target"
    assert registry.issue_holder(a_record().key, "17", SESSION) is None
    assert registry.issue_holder(key, "18", mine) is None
    assert registry.issue_holder(Key(IDENTITY, "reviewer", "other"), "17", mine) is None
    registry.index(a_record(issue="17", state=State.ENDED), "@local", "ended")
    assert registry.issue_holder(key, "17", mine) is None
    registry.index(other(issue="17"), "@local", "claimed")


def test_lists_select_and_sort(registry: Registry) -> None:
    registry.index(other(created=2000), "@local", "claimed")
    registry.index(a_record(), "@local", "claimed")
    registry.index(a_record(agent="reviewer", session="r", created=3000), "@local", "claimed")
    assert [(row.agent, row.topic) for row in registry.rows()] == [
        ("dev", "fix-login"),
        ("dev", "other"),
        ("reviewer", "fix-login"),
    ]
    assert [row.agent for row in registry.rows("fix-login")] == ["dev", "reviewer"]
    assert [row.topic for row in registry.rows(agent="dev")] == ["fix-login", "other"]
    assert registry.rows("no-such") == []
    assert [row.created_at for row in registry.sessions()] == [3000, 2000, 1000]
    assert [row.session_id for row in registry.sessions("fix-login", "dev")] == [SESSION]


@pytest.mark.parametrize(
    "content", [b"not a database" * 100, b"SQLite format 3\0" + b"\xff" * 5000]
)
def test_a_file_that_is_no_database_is_explained(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(MooringError, match="Cannot use the registry") as caught:
        Registry(path)
    assert caught.value.hints[0].startswith(f"mv {path} ")
    assert path.read_bytes() == content


def test_a_file_that_is_damaged_further_in_is_explained(path: Path) -> None:
    with Registry(path) as registry:
        for number in range(200):
            record = a_record(topic=f"topic-{number}", session=f"s{number}", source="/s" * 200)
            registry.index(record, "@local", "claimed")
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * (size - 8192))
    with Registry(path) as registry:
        for read in (registry.rows, registry.sessions, lambda: registry.commits("dev", "topic-7")):
            with pytest.raises(MooringError, match="Cannot use the registry"):
                read()


def test_a_directory_in_the_place_of_the_file_is_explained(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(MooringError, match="Cannot use the registry"):
        Registry(path)


def test_where_the_registry_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("MOORING_REGISTRY", raising=False)
    assert location() == tmp_path / ".local/share/mooring/registry.db"
    monkeypatch.setenv("MOORING_REGISTRY", "~/elsewhere.db")
    assert location() == tmp_path / "elsewhere.db"


def test_a_registry_of_another_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOORING_REGISTRY", "mysql://robin:secret@example.com/x")
    with pytest.raises(MooringError) as caught:
        location()
    assert "mysql" in caught.value.message
    assert "secret" not in caught.value.message
