"""The registry: its schema under many processes, its index of records, its sessions and events."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mooring.claude import events, live
from mooring.claude.events import TWICE_SECONDS, Event
from mooring.errors import MooringError
from mooring.model import Key, Record, State
from mooring.registry import Registry
from mooring.registry.database import location
from mooring.registry.schema import MIGRATIONS
from tests.unit.builders import IDENTITY, SEEN, SESSION, TIP, TRANSCRIPT, a_record

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
    assert registry.issue_holder(a_record().key, "17") is None
    assert registry.newest(TARGET, a_record().key) == 0
    assert not registry.holds(a_record(), "@local")
    registry.saw(a_record(), TIP)
    registry.captured(SESSION, TRANSCRIPT, 2000)
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
    own = {"env": {"A": "{{ topic }}", "B": 'é"'}, "set": ['env.B=é"']}
    record = a_record(issue="17", pipeline="run-3", ports={"PORT": 1, "PORT_WEB": 2}, **own)
    registry.index(record, "@ssh/box", "claimed")
    (row,) = registry.rows()
    assert (row.host, row.state, row.session, row.commit) == ("@ssh/box", "ready", SESSION, SEEN)
    assert (row.issue, row.pipeline, row.ports) == ("17", "run-3", record.ports)
    assert (row.env, row.set) == (record.env, record.set)
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


def test_a_session_that_is_used_anew_is_current_again(registry: Registry) -> None:
    registry.index(a_record(), "@local", "claimed")
    registry.index(a_record(state=State.ENDED, ports={}, updated=2000), "@local", "ended")
    (session,) = registry.sessions()
    assert (session.created_at, session.cleared_at, session.branch) == (1000, 2000, "fix-login")
    anew = a_record(created=3000, updated=3000, branch="b", base="release", worktree="/w")
    registry.index(anew, "@local", "claimed")
    (session,) = registry.sessions()
    assert (session.created_at, session.cleared_at) == (1000, None), "it is the same conversation"
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
    registry.saw(a_record(), "")
    assert registry.rows()[0].commit == SEEN
    assert registry.sessions()[0].captured_at is None
    registry.saw(a_record(), TIP)
    assert registry.rows()[0].commit == TIP
    assert registry.sessions()[0].captured_at is None


def test_a_transcript_is_noted(registry: Registry, path: Path) -> None:
    registry.index(a_record(), "@local", "claimed")
    registry.captured(SESSION, TRANSCRIPT, 2000)
    (session,) = registry.sessions()
    captured = session.captured_at
    assert captured
    assert (session.transcript, session.seen_at) == (TRANSCRIPT, 2000)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("UPDATE sessions SET captured_at = 1500")
    connection.close()
    registry.captured(SESSION, f"/moved/{SESSION}.jsonl", 3000)
    (session,) = registry.sessions()
    assert (session.captured_at, session.seen_at) == (1500, 3000), "the first time stays"
    assert session.transcript == f"/moved/{SESSION}.jsonl"
    assert registry.session(SESSION) == session


def test_indexing_again_keeps_when_a_transcript_was_first_seen(registry: Registry) -> None:
    registry.index(a_record(), "@local", "claimed")
    registry.captured(SESSION, TRANSCRIPT, 2000)
    captured = registry.sessions()[0].captured_at
    assert captured
    registry.index(a_record(state=State.ENDED), "@local", "ended")
    (session,) = registry.sessions()
    assert (session.captured_at, session.transcript, session.seen_at) == (
        captured,
        TRANSCRIPT,
        2000,
    )


def test_seeing_the_same_again_writes_nothing(registry: Registry, path: Path) -> None:
    registry.index(a_record(), "@local", "claimed")
    registry.saw(a_record(), TIP)
    registry.captured(SESSION, TRANSCRIPT, 2000)
    before = {file.name: file.read_bytes() for file in path.parent.glob("*[bl]")}
    registry.saw(a_record(), TIP)
    registry.captured(SESSION, TRANSCRIPT, 2000)
    assert {file.name: file.read_bytes() for file in path.parent.glob("*[bl]")} == before


def test_a_record_that_nobody_indexed_is_not_noted(registry: Registry) -> None:
    registry.index(a_record(), "@local", "claimed")
    registry.saw(other(), TIP)
    registry.captured(OTHER_SESSION, TRANSCRIPT, 2000)
    assert [row.session_id for row in registry.sessions()] == [SESSION]
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
    assert registry.issue_holder(key, "17") == "fix-login"
    assert registry.issue_holder(a_record().key, "17") is None, "it is its own"
    assert registry.issue_holder(key, "18") is None
    assert registry.issue_holder(Key(IDENTITY, "reviewer", "other"), "17") is None
    assert registry.issue_holder(Key("example.com/other/shop", "dev", "other"), "17") is None
    registry.index(a_record(issue="17", state=State.ENDED), "@local", "ended")
    assert registry.issue_holder(key, "17") is None
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


# An index from before sessions were followed

OLD_RECORD = (
    "INSERT INTO records (target, repo, agent, topic, host, source, state, branch, base,"
    " seen_commit, worktree, session_id, issue, pipeline, ports, updated_at)"
    " VALUES (?, ?, 'dev', ?, '@local', '/s', ?, 'b', 'main', ?, '/w', ?, '', '', '{}', 1000)"
)
OLD_SESSION = (
    "INSERT INTO sessions (session_id, repo, agent, topic, issue, target, branch, base_ref,"
    " worktree, created_at, captured_at, cleared_at)"
    " VALUES (?, ?, 'dev', ?, NULL, ?, 'b', 'main', '/w', 1000, ?, ?)"
)
OLD_EVENT = (
    "INSERT INTO events (at, kind, target, repo, agent, topic, session_id)"
    " VALUES (1000, 'claimed', ?, ?, 'dev', 'fix-login', ?)"
)


def test_rows_of_the_first_schema_are_kept(path: Path) -> None:
    make(path, 1)
    connection = sqlite3.connect(path, isolation_level=None)
    for topic, session, state, cleared in (
        ("fix-login", SESSION, "ready", None),
        ("other", OTHER_SESSION, "ended", 1500),
    ):
        connection.execute(OLD_RECORD, (TARGET, IDENTITY, topic, state, SEEN, session))
        connection.execute(OLD_SESSION, (session, IDENTITY, topic, TARGET, 1200, cleared))
    connection.execute(OLD_EVENT, (TARGET, IDENTITY, SESSION))
    connection.close()
    with Registry(path) as registry:
        mine, ended = registry.rows()
        assert (mine.session, mine.reserved_id, mine.reserved_at) == (SESSION, SESSION, 0)
        assert (mine.commit, mine.parent, mine.start, mine.state) == (SEEN, "", "", "ready")
        assert (ended.session, ended.state) == (OTHER_SESSION, "ended")
        session = registry.session(SESSION)
        assert session
        assert (session.created_at, session.captured_at, session.cleared_at) == (1000, 1200, None)
        assert (session.transcript, session.seen_at) == ("", None)
        assert registry.commits("dev", "fix-login") == [SEEN]
        registry.fold([event(2000, NEXT)])
        assert registry.rows("fix-login")[0].session == NEXT
    assert rows(path, "SELECT kind, source FROM events") == [
        ("claimed", ""),
        ("session-start", "startup"),
    ]
    assert rows(path, "PRAGMA user_version") == [(len(MIGRATIONS),)]


# What hooks recorded

TARGET = a_record().target
NEXT = "00000000-0000-4000-8000-000000000003"
THIRD = "00000000-0000-4000-8000-000000000004"


def event(
    at: int, session: str, source: str = "startup", key: Key | None = None, **changes: Any
) -> Event:
    """A conversation that began in the workspace."""
    fields: dict[str, Any] = {
        "at": at,
        "target": TARGET,
        "key": key or a_record().key,
        "starts": True,
        "session": session,
        "source": source,
        "cwd": "/w",
        "transcript": "",
    }
    return Event(**fields | changes)


def end(at: int, session: str, reason: str = "clear") -> Event:
    return event(at, session, reason, starts=False)


@pytest.fixture
def followed(registry: Registry) -> Registry:
    """A registry with the workspace, its session reserved at 1000."""
    registry.index(a_record(reserved=1000), "@local", "claimed")
    return registry


def current(registry: Registry, **changes: Any) -> str:
    """The workspace's session, which the index has too."""
    record = a_record(**{"reserved": 1000} | changes)
    (row,) = [row for row in registry.rows(record.topic) if row.target == record.target]
    assert registry.current(record) == row.session
    return row.session


def kinds(path: Path) -> list[tuple[object, ...]]:
    return rows(path, "SELECT at, kind, session_id, source FROM events WHERE at < 9999 ORDER BY id")


def test_the_reserved_session_is_current_until_another_begins(followed: Registry) -> None:
    assert current(followed) == SESSION
    followed.fold([event(2000, SESSION)])
    assert current(followed) == SESSION
    followed.fold([event(2500, NEXT)])
    assert current(followed) == NEXT
    followed.fold([event(2600, SESSION, "resume")])
    assert current(followed) == SESSION, "somebody went back"


def test_the_newest_start_counts_in_whatever_order_they_come(followed: Registry) -> None:
    followed.fold([event(3000, THIRD), event(2000, NEXT)])
    assert current(followed) == THIRD
    followed.fold([event(2500, OTHER_SESSION)])
    assert current(followed) == THIRD


def test_of_two_in_one_second_the_later_line_counts(followed: Registry) -> None:
    followed.fold([event(2000, NEXT), event(2000, THIRD, "clear")])
    assert current(followed) == THIRD


def test_an_end_changes_nothing(followed: Registry) -> None:
    followed.fold([event(2000, NEXT), end(3000, NEXT), end(3000, THIRD, "other")])
    assert current(followed) == NEXT
    assert followed.session(THIRD) is None


def test_a_clear_leaves_the_one_before_it_cleared(followed: Registry) -> None:
    followed.fold([event(2000, SESSION), end(3000, SESSION), event(3000, NEXT, "clear")])
    old, new = followed.session(SESSION), followed.session(NEXT)
    assert old
    assert new
    assert (old.cleared_at, new.cleared_at) == (3000, None)
    assert (old.created_at, new.created_at) == (1000, 3000)
    shared = ("repo", "agent", "topic", "target", "branch", "base_ref", "worktree")
    assert all(getattr(old, name) == getattr(new, name) for name in shared)
    followed.fold([event(4000, SESSION, "resume")])
    old, new = followed.session(SESSION), followed.session(NEXT)
    assert old
    assert new
    assert (old.cleared_at, new.cleared_at) == (None, 4000)


def test_each_event_is_noted_once(followed: Registry, path: Path) -> None:
    """Hooks of the main checkout and of the worktree both fire, seconds apart at most."""
    twice = [event(2000, NEXT), event(2000, NEXT), event(2001, NEXT), end(2500, NEXT)]
    for _ in range(3):  # each look at the target brings its last events again
        followed.fold(twice)
    followed.fold([end(2500 - TWICE_SECONDS, NEXT), end(2500 + TWICE_SECONDS, NEXT)])
    noted = [(2000, "session-start", NEXT, "startup"), (2500, "session-end", NEXT, "clear")]
    assert kinds(path) == noted
    later = 2500 + TWICE_SECONDS + 1
    followed.fold([end(later, NEXT), end(later, NEXT, "other"), event(later, NEXT, "resume")])
    noted += [
        (later, "session-end", NEXT, "clear"),
        (later, "session-end", NEXT, "other"),
        (later, "session-start", NEXT, "resume"),
    ]
    assert kinds(path) == noted, "later, and of another kind: these are events of their own"


def test_a_second_hook_a_second_later_takes_no_session_back(followed: Registry) -> None:
    """Nor when the same events are read again, as each look at the target does."""
    twice = [event(2000, NEXT), event(2001, NEXT), event(2001, THIRD, "clear")]
    for _ in range(3):
        followed.fold(twice)
        assert current(followed) == THIRD


def test_only_the_same_thing_in_a_row_is_one_event(followed: Registry, path: Path) -> None:
    """There and back within a second: what came last counts."""
    followed.fold([event(2000, NEXT, "resume"), event(2000, THIRD, "resume")])
    assert current(followed) == THIRD
    followed.fold([event(2001, NEXT, "resume")])
    assert current(followed) == NEXT
    assert [row[2] for row in kinds(path)] == [NEXT, THIRD, NEXT]


def test_there_and_back_within_one_second(followed: Registry, path: Path, tmp_path: Path) -> None:
    there = [event(2000, name, "resume") for name in (NEXT, THIRD, NEXT)]
    hooked(tmp_path, *there)
    followed.fold_store(tmp_path)
    assert current(followed) == NEXT
    assert [row[2] for row in kinds(path)] == [NEXT, THIRD, NEXT]
    followed.fold(there)
    assert len(kinds(path)) == 3
    assert current(followed) == NEXT


def test_events_that_are_known_write_nothing(followed: Registry, path: Path) -> None:
    followed.fold([event(2000, NEXT)])
    before = {file.name: file.read_bytes() for file in path.parent.glob("*[bl]")}
    followed.fold([event(2000, NEXT)])
    followed.fold([])
    assert {file.name: file.read_bytes() for file in path.parent.glob("*[bl]")} == before


@pytest.mark.parametrize("at", [1, 999, 1000])
def test_what_began_before_the_reservation_does_not_count(followed: Registry, at: int) -> None:
    followed.fold([event(at, NEXT)])
    assert current(followed) == SESSION
    listed = followed.session(NEXT)
    assert listed, "it is known all the same"
    assert (listed.topic, listed.created_at, listed.cleared_at) == ("fix-login", at, at)
    own = followed.session(SESSION)
    assert own
    assert own.cleared_at is None


# Which of several is the current one: what began and ended there, who runs now, and which it is
ORDERS: dict[str, tuple[list[tuple[int, str, str]], set[str], str]] = {
    "a short helper, while the long one runs": (
        [(2000, NEXT, "startup"), (2100, THIRD, "startup"), (2101, THIRD, "-other")],
        {NEXT},
        NEXT,
    ),
    "a short helper, both running": (
        [(2000, NEXT, "startup"), (2100, THIRD, "startup")],
        {NEXT, THIRD},
        THIRD,
    ),
    "a short helper, and the long one ended after it": (
        [
            (2000, NEXT, "startup"),
            (2100, THIRD, "startup"),
            (2101, THIRD, "-other"),
            (3000, NEXT, "-prompt_input_exit"),
        ],
        set(),
        NEXT,
    ),
    "a helper, and nobody knows who runs": (
        [(2000, NEXT, "startup"), (2100, THIRD, "startup"), (2101, THIRD, "-other")],
        set(),
        THIRD,
    ),
    "killed, then a new one": (
        [(2000, NEXT, "startup"), (3000, THIRD, "startup")],
        {THIRD},
        THIRD,
    ),
    "killed, then a new one that ended": (
        [(2000, NEXT, "startup"), (3000, THIRD, "startup"), (3100, THIRD, "-other")],
        set(),
        THIRD,
    ),
    "killed, and resumed": (
        [(2000, NEXT, "startup"), (3000, THIRD, "startup"), (3100, NEXT, "resume")],
        {NEXT},
        NEXT,
    ),
    "clear": (
        [(2000, NEXT, "startup"), (2100, NEXT, "-clear"), (2100, THIRD, "clear")],
        {THIRD},
        THIRD,
    ),
    "clear, and ended": (
        [
            (2000, NEXT, "startup"),
            (2100, NEXT, "-clear"),
            (2100, THIRD, "clear"),
            (2200, THIRD, "-other"),
        ],
        set(),
        THIRD,
    ),
    "an end without a start": ([(2000, NEXT, "-other")], set(), SESSION),
    "an end without a start, running": ([(2000, NEXT, "-other")], {NEXT}, SESSION),
    "one that runs and began before the reservation": (
        [(900, NEXT, "startup"), (2000, THIRD, "startup"), (2001, THIRD, "-other")],
        {NEXT},
        THIRD,
    ),
    "the reserved one runs, and a helper ended": (
        [(2000, SESSION, "startup"), (2100, NEXT, "startup"), (2101, NEXT, "-other")],
        {SESSION},
        SESSION,
    ),
}


@pytest.mark.parametrize("batched", [True, False], ids=["at once", "one by one"])
@pytest.mark.parametrize(("happened", "running", "expected"), ORDERS.values(), ids=ORDERS.keys())
def test_which_session_is_current(
    followed: Registry,
    happened: list[tuple[int, str, str]],
    running: set[str],
    expected: str,
    batched: bool,
) -> None:
    found = [
        event(at, name, source.lstrip("-"), starts=not source.startswith("-"))
        for at, name, source in happened
    ]
    for batch in [found] if batched else [[one] for one in found]:
        followed.fold(batch, running)
    assert followed.current(a_record(reserved=1000), running) == expected
    assert followed.rows("fix-login")[0].session == expected
    followed.fold(found, running)
    followed.index(a_record(reserved=1000), "@local", "indexed", running)
    assert followed.rows("fix-login")[0].session == expected
    live_ones = [row.session_id for row in followed.sessions() if row.cleared_at is None]
    assert live_ones == [expected]
    began = {one.session for one in found if one.starts}
    assert {row.session_id for row in followed.sessions()} == began | {SESSION}


def test_one_that_runs_and_is_another_workspaces_is_passed_over(followed: Registry) -> None:
    followed.index(other(reserved=1000), "@local", "claimed")
    followed.fold([event(2000, NEXT), event(2100, OTHER_SESSION, "resume")], {OTHER_SESSION})
    assert current(followed) == NEXT
    listed = followed.session(OTHER_SESSION)
    assert listed
    assert (listed.topic, listed.cleared_at) == ("other", None), "the other's, as it was"


def test_every_session_that_began_is_listed(followed: Registry) -> None:
    followed.fold(
        [event(900, NEXT), event(2000, THIRD), end(2100, THIRD), event(2200, SESSION, "resume")]
    )
    listed = {row.session_id: (row.created_at, row.cleared_at) for row in followed.sessions()}
    assert set(listed) == {SESSION, NEXT, THIRD}
    assert listed[NEXT] == (900, 900)
    assert listed[SESSION][1] is None
    assert listed[THIRD][1] is not None
    assert {row.topic for row in followed.sessions()} == {"fix-login"}
    assert {row.worktree for row in followed.sessions()} == {a_record().worktree}


def test_when_something_last_happened(followed: Registry) -> None:
    key = a_record().key
    assert followed.newest(TARGET, key) == 0, "what Mooring itself did is by another clock"
    followed.fold([event(2000, NEXT), end(3000, NEXT), event(2500, THIRD)])
    assert followed.newest(TARGET, key) == 3000
    assert followed.newest(TARGET, other().key) == 0
    assert followed.newest("00000000-0000-4000-8000-00000000000b", key) == 0


def test_a_reservation_after_the_newest_event_leaves_all_of_them_behind(
    followed: Registry,
) -> None:
    followed.fold([event(2000, NEXT), end(3000, NEXT)])
    since = followed.newest(TARGET, a_record().key)
    followed.index(a_record(session=THIRD, reserved=since), "@local", "claimed")
    assert current(followed, session=THIRD, reserved=since) == THIRD
    followed.fold([event(3001, NEXT, "resume")])
    assert current(followed, session=THIRD, reserved=since) == NEXT


def test_a_new_reservation_ends_what_came_before(followed: Registry) -> None:
    followed.fold([event(2000, NEXT)])
    followed.index(a_record(session=THIRD, reserved=3000), "@local", "claimed")
    assert current(followed, session=THIRD, reserved=3000) == THIRD
    cleared = {row.session_id: row.cleared_at for row in followed.sessions()}
    assert cleared == {SESSION: 2000, NEXT: 3000, THIRD: None}


def test_events_that_come_before_their_record_count_when_it_does(registry: Registry) -> None:
    """The index may be lost, or another controller's: the hooks' file isn't."""
    registry.fold([event(2000, NEXT)])
    assert registry.sessions() == []
    registry.index(a_record(reserved=1000), "@local", "indexed")
    assert current(registry) == NEXT
    assert [row.session_id for row in registry.sessions() if row.cleared_at is None] == [NEXT]


@pytest.mark.parametrize(
    "changes",
    [
        {"target": "00000000-0000-4000-8000-00000000000b"},
        {"key": Key("example.com/other/shop", "dev", "fix-login")},
        {"key": Key(IDENTITY, "reviewer", "fix-login")},
        {"key": Key(IDENTITY, "dev", "other")},
    ],
)
def test_what_began_in_another_workspace_does_not_count(
    followed: Registry, changes: dict[str, Any]
) -> None:
    followed.fold([event(2000, NEXT, **changes)])
    assert current(followed) == SESSION


def test_another_workspaces_own_session_is_passed_over(followed: Registry) -> None:
    """Claude Code 2.1.197 starts a fork under the id of what it forked."""
    followed.index(other(reserved=1000), "@local", "claimed")
    forked = other().key
    followed.fold([event(2000, SESSION, "resume", forked)])
    assert current(followed, topic="other", session=OTHER_SESSION) == OTHER_SESSION
    assert followed.holder(SESSION, TARGET, forked) == "fix-login"
    assert followed.holder(SESSION, TARGET, a_record().key) is None
    followed.fold([event(2001, NEXT, "fork", forked)])
    assert current(followed, topic="other", session=OTHER_SESSION) == NEXT
    assert current(followed) == SESSION


def test_a_session_of_an_ended_workspace_may_go_on_elsewhere(followed: Registry) -> None:
    followed.index(other(reserved=1000), "@local", "claimed")
    gone = a_record(reserved=1000, state=State.ENDED, ports={}, updated=1500)
    followed.index(gone, "@local", "ended")
    followed.fold([event(2000, SESSION, "resume", other().key)])
    assert current(followed, topic="other", session=OTHER_SESSION) == SESSION
    session = followed.session(SESSION)
    assert session
    assert (session.topic, session.cleared_at) == ("other", None)


def test_a_session_that_changes_keeps_its_issue(followed: Registry) -> None:
    followed.index(a_record(reserved=1000, issue="17"), "@local", "claimed")
    for number in range(2, 6):
        followed.fold([event(number * 1000, SESSION[:-1] + str(number), "clear")])
    followed.index(a_record(reserved=1000, issue="17", updated=9000), "@local", "provisioned")
    live = [row for row in followed.sessions() if row.cleared_at is None]
    assert [(row.session_id, row.issue) for row in live] == [(SESSION[:-1] + "5", "17")]
    assert followed.issue_holder(other().key, "17") == "fix-login"
    ended = a_record(reserved=1000, issue="17", state=State.ENDED, ports={}, updated=9500)
    followed.index(ended, "@local", "ended")
    followed.index(other(issue="17"), "@local", "claimed")


def test_events_of_two_workspaces_of_one_issue_break_nothing(followed: Registry) -> None:
    """The one that ended may still be told to have had a conversation."""
    ended = a_record(reserved=1000, issue="17", state=State.ENDED, ports={}, updated=1500)
    followed.index(ended, "@local", "ended")
    followed.index(other(issue="17", reserved=1600), "@local", "claimed")
    followed.fold([event(1400, NEXT), event(2000, THIRD, "clear", other().key)])
    assert current(followed, topic="other", session=OTHER_SESSION, reserved=1600) == THIRD
    live = {row.session_id for row in followed.sessions() if row.cleared_at is None}
    assert live == {THIRD}


def test_an_ended_workspace_follows_too(followed: Registry) -> None:
    """Its last events may be read after its end; they must not make it live again."""
    gone = a_record(reserved=1000, state=State.ENDED, ports={}, updated=5000)
    followed.index(gone, "@local", "ended")
    followed.fold([event(2000, NEXT)])
    assert current(followed) == NEXT
    assert followed.rows("fix-login")[0].state == "ended"
    cleared = {row.session_id: row.cleared_at for row in followed.sessions()}
    assert cleared[NEXT] == 5000
    assert cleared[SESSION]


@pytest.mark.parametrize("text", ["größe \u2028", "a'b\"c", "%;--", "\0", "x" * 8000])
def test_whatever_an_event_says_is_kept_as_it_is(followed: Registry, text: str) -> None:
    followed.fold([event(2000, NEXT, text)])
    assert current(followed) == NEXT


def test_only_the_record_itself_counts_for_its_index(followed: Registry) -> None:
    """A record says what was reserved; which session is current is the registry's to know."""
    followed.fold([event(2000, NEXT)])
    assert followed.holds(a_record(reserved=1000), "@local")
    assert not followed.holds(a_record(reserved=1500), "@local")
    assert not followed.holds(a_record(reserved=1000, parent="big-change"), "@local")


# The events of a store on this host


def hooked(store: Path, *found: Event) -> None:
    """Append events to a store, as the hook does."""
    file = store / events.FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as lines:
        for item in found:
            hook = {
                "session_id": item.session,
                "hook_event_name": "SessionStart" if item.starts else "SessionEnd",
                "source" if item.starts else "reason": item.source,
            }
            workspace = events.workspace_line(item.target, item.key)
            lines.write(json.dumps({"at": item.at, "workspace": workspace, "hook": hook}) + "\n")


def test_a_store_is_read_on_from_where_it_was_left(
    followed: Registry, path: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    followed.fold_store(store)
    assert rows(path, "SELECT * FROM stores") == []
    hooked(store, event(2000, NEXT))
    followed.fold_store(store)
    assert current(followed) == NEXT
    file = store / events.FILE
    assert rows(path, "SELECT * FROM stores") == [
        (str(store), file.stat().st_ino, file.stat().st_size)
    ]
    size = file.stat().st_size
    with file.open("r+") as lines:
        lines.write("x" * (size - 1))  # what was read once isn't looked at again
    hooked(store, event(3000, THIRD))
    followed.fold_store(store)
    assert current(followed) == THIRD
    assert [row[0] for row in kinds(path)] == [2000, 3000]


def test_a_store_without_anything_new_writes_nothing(
    followed: Registry, path: Path, tmp_path: Path
) -> None:
    hooked(tmp_path, event(2000, NEXT))
    followed.fold_store(tmp_path)
    before = {file.name: file.read_bytes() for file in path.parent.glob("*[bl]")}
    followed.fold_store(tmp_path)
    assert {file.name: file.read_bytes() for file in path.parent.glob("*[bl]")} == before


def test_a_store_that_was_emptied_is_read_anew(followed: Registry, tmp_path: Path) -> None:
    hooked(tmp_path, event(2000, NEXT), event(2100, NEXT, "resume"))
    followed.fold_store(tmp_path)
    (tmp_path / events.FILE).write_text("")
    hooked(tmp_path, event(3000, THIRD))
    followed.fold_store(tmp_path)
    assert current(followed) == THIRD


def test_each_store_is_read_for_itself(followed: Registry, tmp_path: Path) -> None:
    for number, session in enumerate((NEXT, THIRD)):
        hooked(tmp_path / str(number), event(2000 + 100 * number, session))
        followed.fold_store(tmp_path / str(number))
        assert current(followed) == session


def test_an_empty_store_makes_no_registry(registry: Registry, path: Path, tmp_path: Path) -> None:
    registry.fold_store(tmp_path)
    registry.fold([])
    assert not path.exists()


FOLD = """
import pathlib, sys
from mooring.registry import Registry
with Registry(pathlib.Path(sys.argv[1])) as registry:
    registry.fold_store(pathlib.Path(sys.argv[2]))
"""


def test_eight_who_read_a_store_at_once_note_each_event_once(
    followed: Registry, path: Path, tmp_path: Path
) -> None:
    hooked(tmp_path, *(event(2000 + 10 * number, NEXT, "resume") for number in range(50)))
    argv = [sys.executable, "-c", FOLD, str(path), str(tmp_path)]
    started = [subprocess.Popen(argv, stderr=subprocess.PIPE) for _ in range(8)]
    assert [process.communicate(timeout=60)[1] for process in started] == [b""] * 8
    assert len(kinds(path)) == 50
    assert current(followed) == NEXT


# Who may write to a session


def alive(session: str, pid: int, began: str) -> bool:
    """As far as these tests go, a process has its session still if its number is even."""
    return pid % 2 == 0


def test_a_session_is_leased_to_one_process(registry: Registry) -> None:
    assert registry.lease(SESSION, "robin", 2, "100", alive) is None
    assert registry.lease(SESSION, "robin", 2, "100", alive) is None, "it is mine already"
    held = registry.lease(SESSION, "anne", 4, "200", alive)
    assert held
    assert (held.holder, held.pid) == ("robin", 2)
    assert held.at > 1_600_000_000
    assert registry.lease(OTHER_SESSION, "anne", 4, "200", alive) is None
    assert {id_: item.pid for id_, item in registry.leases(alive).items()} == {
        SESSION: 2,
        OTHER_SESSION: 4,
    }


def test_a_dead_holder_is_none(registry: Registry) -> None:
    assert registry.lease(SESSION, "robin", 3, "100", alive) is None
    assert registry.leases(alive) == {}
    assert registry.lease(SESSION, "anne", 4, "200", alive) is None
    assert registry.leases(alive)[SESSION].holder == "anne"
    registry.release(SESSION, 3)
    assert registry.leases(alive)[SESSION].holder == "anne", "it isn't the dead one's to give up"


def test_a_pid_that_was_used_again_is_another_holder(registry: Registry) -> None:
    def only_new(session: str, pid: int, began: str) -> bool:
        return began == "200"

    registry.lease(SESSION, "robin", 2, "100", only_new)
    assert registry.lease(SESSION, "robin", 2, "200", only_new) is None
    assert registry.lease(SESSION, "robin", 4, "300", only_new)


def test_who_went_on_to_another_session_holds_the_first_no_longer(registry: Registry) -> None:
    """A /clear: the process is the same, and Claude's own pid file names another session."""

    def went_on(session: str, pid: int, began: str) -> bool:
        return session == OTHER_SESSION

    registry.lease(SESSION, "robin", 2, "100", went_on)
    registry.lease(OTHER_SESSION, "robin", 2, "100", went_on)
    assert set(registry.leases(went_on)) == {OTHER_SESSION}
    assert registry.lease(SESSION, "anne", 4, "200", went_on) is None
    assert registry.lease(OTHER_SESSION, "anne", 4, "200", went_on)


def test_a_zombie_holds_no_lease(registry: Registry, tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        began = live.started(process.pid)
        assert registry.lease(SESSION, "robin", process.pid, began, live.holds(tmp_path)) is None
        held = registry.lease(SESSION, "anne", 1, "1", live.holds(tmp_path))
        assert held
        assert held.pid == process.pid
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it is not reaped by that
        assert registry.leases(live.holds(tmp_path)) == {}
        assert registry.lease(SESSION, "anne", 1, "1", live.holds(tmp_path)) is None


def test_a_lease_that_is_given_up_is_free(registry: Registry) -> None:
    registry.lease(SESSION, "robin", 2, "100", alive)
    registry.release(SESSION, 2)
    registry.release(SESSION, 2)
    assert registry.leases(alive) == {}
    assert registry.lease(SESSION, "anne", 4, "200", alive) is None


LEASE = """
import pathlib, sys
from mooring.registry import Registry
with Registry(pathlib.Path(sys.argv[1])) as registry:
    number = int(sys.argv[2])
    held = registry.lease("s", "robin", number, "1", lambda session, pid, began: True)
    print("" if held else number, end="")
"""


def test_of_eight_at_once_one_gets_the_lease(path: Path) -> None:
    argv = [sys.executable, "-c", LEASE, str(path)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    started = [subprocess.Popen([*argv, str(number)], **pipes) for number in range(1, 9)]
    ended = [process.communicate(timeout=60) for process in started]
    assert [err for _, err in ended] == [b""] * 8
    assert len([out for out, _ in ended if out]) == 1


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
