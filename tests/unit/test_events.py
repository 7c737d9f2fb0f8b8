"""What the hooks recorded, read back: any junk among it, and files that grow, shrink and change."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mooring.claude import events
from mooring.claude.events import Event, parse, unread, workspace_line
from mooring.model import Key
from tests.unit.builders import IDENTITY, SESSION, a_record

TARGET = a_record().target
KEY = Key(IDENTITY, "dev", "fix-login")


def line(**changes: Any) -> str:
    """A line as the hook writes it."""
    hook = {
        "session_id": SESSION,
        "transcript_path": f"/s/projects/-w/{SESSION}.jsonl",
        "cwd": "/w",
        "hook_event_name": "SessionStart",
        "source": "startup",
    }
    said = {"at": 1000, "workspace": workspace_line(TARGET, KEY), "hook": hook}
    said |= {name: value for name, value in changes.items() if name in said}
    if said["hook"] is hook:
        hook |= {name: value for name, value in changes.items() if name not in said}
    return json.dumps(said, ensure_ascii=False)


def event(**changes: Any) -> Event:
    (found,) = parse([line(**changes)])
    return found


def test_an_event() -> None:
    assert event() == Event(
        at=1000,
        target=TARGET,
        key=KEY,
        starts=True,
        session=SESSION,
        source="startup",
        cwd="/w",
        transcript=f"/s/projects/-w/{SESSION}.jsonl",
    )


@pytest.mark.parametrize("source", events.SOURCES)
def test_what_a_conversation_begins_with(source: str) -> None:
    assert event(source=source).source == source


def test_an_end_has_a_reason() -> None:
    ended = event(hook_event_name="SessionEnd", source=None, reason="clear")
    assert (ended.starts, ended.source) == (False, "clear")


def test_what_does_not_matter_may_be_missing() -> None:
    bare = {"session_id": SESSION, "hook_event_name": "SessionStart"}
    found = event(hook=bare)
    assert (found.source, found.cwd, found.transcript) == ("", "", "")


NONE: dict[str, str] = {
    "nothing": "",
    "no JSON": "Welcome!",
    "half a line": line()[:-3],
    "two on one line": line() + line(),
    "no object": "[]",
    "a number": "1",
    "a string": '"x"',
    "null": "null",
    "NUL": "\0" * 100,
    "deep": "[" * 100_000,
    "deep in a hook": '{"at": 1, "workspace": "a b c d", "hook": ' + "[" * 100_000,
    "not UTF-8": line(cwd="\udcff"),
    "half a pair": line().replace('"/w"', '"\\ud800"'),
    "no time": line(at=None),
    "a time that is none": line(at="1000"),
    "half a second": line(at=1.5),
    "before time": line(at=0),
    "long before": line(at=-1),
    "from the future": line(at=int(time.time()) + 7 * 86400),
    "from never": line(at=10**30),
    "no workspace": line(workspace=None),
    "three words": line(workspace=f"{TARGET} dev fix-login"),
    "five words": line(workspace=f"{TARGET} dev fix-login a b"),
    "another target": line(workspace="box dev fix-login x"),
    "a hostile topic": line(workspace=f"{TARGET} dev ../x x"),
    "a hostile agent": line(workspace=f"{TARGET} ../x fix-login x"),
    "no hook": line(hook=None),
    "a hook that is none": line(hook=[]),
    "a hook without a name": line(hook={"session_id": SESSION}),
    "no session": line(session_id=None),
    "a number for a session": line(session_id=1),
    "a hostile session": line(session_id="../../x"),
    "a session in capitals": line(session_id=SESSION.replace("0", "A")),
    "a session and a newline": line(session_id=f"{SESSION}\n"),
    "a list for a source": line(source=["x"]),
    "an object for a directory": line(cwd={"x": 1}),
    "a directory without end": line(cwd="/x" * 5000),
}


@pytest.mark.parametrize("junk", NONE.values(), ids=NONE.keys())
def test_what_is_no_event_is_left_out(junk: str) -> None:
    assert list(parse([junk])) == []
    assert len(list(parse([line(), junk, line(at=1001)]))) == 2


@pytest.mark.parametrize(("ahead", "believed"), [(0, 1), (299, 1), (300, 1), (301, 0), (3600, 0)])
def test_a_clock_may_be_ahead_by_minutes(ahead: int, believed: int) -> None:
    """One from the future would be the newest for as long as that lasts."""
    assert events.AHEAD_SECONDS == 300
    assert len(list(parse([line(at=5000 + ahead)], 5000))) == believed
    assert len(list(parse([line(at=5000 + ahead)], 5000.0))) == believed


def test_without_a_clock_of_the_target_it_is_ours() -> None:
    now = int(time.time())
    assert event(at=now + 200).at == now + 200
    assert list(parse([line(at=now + 400)])) == []


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["at", "workspace", "hook", "session_id", "hook_event_name", "source"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)
almost = st.fixed_dictionaries(
    {},
    optional={
        name: json_like | st.just(SESSION)
        for name in (
            *("at", "workspace", "hook", "session_id", "hook_event_name"),
            *("source", "reason", "cwd", "transcript_path"),
        )
    },
).map(lambda changes: line(**changes))


@given(st.lists(st.text() | json_like.map(json.dumps) | almost, max_size=4))
@example(["\ud800", "\0", "{", '{"at":'])
def test_nothing_that_a_file_holds_can_break_it(lines: list[str]) -> None:
    for found in parse(lines):
        assert isinstance(found.at, int)
        for text in (found.session, found.source, found.cwd, found.transcript):
            text.encode()


# Which workspace

repos = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


@given(repos)
@example(IDENTITY)
@example("file/srv/a b/größe\n")
@example("a\"b\\c'd%25 $(x)`x`")
@example("commit/" + "5" * 40)
@example("\0\x7f\u2028\x85")
def test_any_repo_is_named_on_one_line_and_read_back(repo: str) -> None:
    text = workspace_line(TARGET, Key(repo, "code_review", "0-day"))
    assert text.isascii()
    assert text.isprintable()
    assert not set(text) & set("\"'\\$`\n")
    assert event(workspace=text).key == Key(repo, "code_review", "0-day")


# Reading on


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / events.FILE).parent.mkdir()
    return tmp_path


def append(store: Path, *lines: str, end: str = "\n") -> None:
    with (store / events.FILE).open("a", newline="") as file:
        file.write("".join(f"{line}\n" for line in lines[:-1]) + "".join(lines[-1:]) + end)


def times(found: tuple[list[Event], int, int]) -> list[int]:
    return [event.at for event in found[0]]


def test_a_store_without_events() -> None:
    assert unread(Path("/nowhere"), 7, 9) == ([], 7, 9)


def test_only_what_is_new_is_read(store: Path) -> None:
    append(store, line(at=1), line(at=2))
    first = unread(store, 0, 0)
    file = store / events.FILE
    assert times(first) == [1, 2]
    assert first[1:] == (file.stat().st_ino, file.stat().st_size)
    assert unread(store, *first[1:]) == ([], *first[1:])
    append(store, line(at=3))
    assert times(unread(store, *first[1:])) == [3]


@pytest.mark.parametrize("cut", [1, 20, -1])
def test_a_last_line_that_is_being_written_is_left_for_later(store: Path, cut: int) -> None:
    last = line(at=2)
    append(store, line(at=1), last[:cut], end="")
    first = unread(store, 0, 0)
    assert times(first) == [1]
    append(store, last[cut:])
    assert times(unread(store, *first[1:])) == [2]


def test_a_file_with_another_inode_is_read_from_its_beginning(store: Path) -> None:
    append(store, line(at=1))
    first = unread(store, 0, 0)
    file = store / events.FILE
    file.rename(store / "old")
    append(store, line(at=2), line(at=3))
    again = unread(store, *first[1:])
    assert times(again) == [2, 3]
    assert again[1] == file.stat().st_ino != first[1]


def test_a_shorter_file_is_read_from_its_beginning(store: Path) -> None:
    append(store, line(at=1), line(at=2))
    first = unread(store, 0, 0)
    os.truncate(store / events.FILE, 0)
    append(store, line(at=3))
    assert times(unread(store, *first[1:])) == [3]


def test_junk_is_read_once(store: Path) -> None:
    append(store, line(at=1))
    with (store / events.FILE).open("ab") as file:
        file.write(b"\xff\xfe\0junk\n\n\x1c\x85\n")
    append(store, line(at=2))
    first = unread(store, 0, 0)
    assert times(first) == [1, 2]
    assert first[2] == (store / events.FILE).stat().st_size


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "größe"])
def test_an_event_ends_at_a_newline_only(store: Path, mark: str) -> None:
    """Such a character may stand in a path, and JSON leaves it as it is."""
    append(store, line(cwd=f"/w{mark}x"))
    assert [event.cwd for event in unread(store, 0, 0)[0]] == [f"/w{mark}x"]


def test_a_path_that_is_no_utf8_costs_no_event(store: Path) -> None:
    raw = line(cwd="/w\udcff").encode("utf-8", "surrogateescape") + b"\n"
    (store / events.FILE).write_bytes(raw)
    assert [event.session for event in unread(store, 0, 0)[0]] == [SESSION]


@pytest.mark.timeout(20)
def test_a_pipe_in_the_place_of_the_file_is_not_waited_for(store: Path) -> None:
    os.mkfifo(store / events.FILE)
    assert unread(store, 0, 0)[0] == []


def test_a_directory_in_the_place_of_the_file(store: Path) -> None:
    (store / events.FILE).mkdir()
    assert unread(store, 0, 0) == ([], 0, 0)
