"""Which conversations run: real processes, and pid files that are stale, foreign or planted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mooring.claude import live
from mooring.claude.live import Live, holds, is_alive, is_same, parse, refusal, running, started
from tests.support import lack
from tests.unit.builders import SESSION

OTHER = "00000000-0000-4000-8000-000000000002"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / live.DIRECTORY).mkdir()
    return tmp_path


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process that stays until the test is over."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def pid_file(store: Path, pid: int, name: str = "", **changes: Any) -> Path:
    """A pid file as Claude Code writes it, and some that it wouldn't."""
    said = {
        "pid": pid,
        "sessionId": SESSION,
        "cwd": "/w",
        "startedAt": 1_000_500,
        "procStart": started(pid),
        "version": "2.1.329",
        "kind": "interactive",
    }
    path = store / live.DIRECTORY / (name or f"{pid}.json")
    path.write_text(json.dumps(said | changes))
    return path


def dead_pid() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_no_store() -> None:
    assert running(Path("/nowhere")) == {}


def test_a_process_that_runs(store: Path, process: subprocess.Popen[bytes]) -> None:
    pid_file(store, process.pid)
    assert running(store) == {SESSION: Live(process.pid, SESSION, "/w", 1000)}


def test_a_file_without_a_start_is_believed(store: Path, process: subprocess.Popen[bytes]) -> None:
    """Releases that don't write one have nothing better."""
    path = pid_file(store, process.pid)
    path.write_text(json.dumps({"pid": process.pid, "sessionId": SESSION}))
    assert running(store) == {SESSION: Live(process.pid, SESSION, "", 0)}


def test_a_process_that_was_killed_leaves_its_file(
    store: Path, process: subprocess.Popen[bytes]
) -> None:
    pid_file(store, process.pid)
    process.kill()
    process.wait()
    assert running(store) == {}


@pytest.fixture
def zombie() -> Iterator[int]:
    """A process that ended, and that nobody has waited for."""
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    yield process.pid
    process.wait()


def test_a_zombie_runs_nothing(store: Path, zombie: int) -> None:
    """Claude's parent may be slow to wait for it; the signal 0 still reaches it."""
    began = started(zombie)
    os.kill(zombie, 0)
    if not began:
        lack("there is no /proc")
    assert not is_alive(zombie)
    assert not is_same(zombie, began)
    pid_file(store, zombie)
    assert running(store) == {}
    assert not holds(store)(SESSION, zombie, began)


def test_a_process_is_the_same_as_long_as_it_runs(process: subprocess.Popen[bytes]) -> None:
    began = started(process.pid)
    assert is_alive(process.pid)
    assert is_same(process.pid, began)
    assert not is_same(process.pid, f"{began}0")
    process.kill()
    process.wait()
    assert not is_same(process.pid, began)


def test_who_took_a_session_has_it_until_the_pid_file_names_another(
    store: Path, process: subprocess.Popen[bytes]
) -> None:
    began = started(process.pid)
    assert holds(store)(SESSION, process.pid, began), "Claude has yet to write its file"
    assert not holds(store)(SESSION, process.pid, f"{began}0")
    pid_file(store, process.pid)
    assert holds(store)(SESSION, process.pid, began)
    pid_file(store, process.pid, sessionId=OTHER)
    assert not holds(store)(SESSION, process.pid, began), "it went on to another, as by /clear"
    assert holds(store)(OTHER, process.pid, began)
    pid_file(store, process.pid, sessionId=OTHER, procStart="1")
    assert holds(store)(SESSION, process.pid, began), "that file is of an earlier process"
    process.kill()
    process.wait()
    assert not holds(store)(SESSION, process.pid, began)


def test_each_of_two_processes_in_one_session_is_asked_for_itself(
    store: Path, process: subprocess.Popen[bytes]
) -> None:
    """Nobody may have the lease of one session by being in another one, shared or not."""
    pid_file(store, process.pid, sessionId=OTHER)
    pid_file(store, os.getpid(), sessionId=OTHER)
    for pid in (process.pid, os.getpid()):
        assert not holds(store)(SESSION, pid, started(pid))
        assert holds(store)(OTHER, pid, started(pid))


def test_a_refusal_names_who_runs_it() -> None:
    words = ("fix-login", "--agent", "qa")
    error = refusal(SESSION, words, Live(7, SESSION, "/w", 1000))
    assert error.message.startswith(f"Cannot go on with 'fix-login': its session {SESSION} is ")
    assert "pid 7 in /w since 1970-01-0" in error.message
    assert error.hints[0].startswith("mooring attach fix-login --agent qa")
    assert error.hints[1] == "mooring resume fix-login --agent qa --fork fix-login-2"


def test_the_name_of_a_fork_that_a_refusal_gives_is_a_topic() -> None:
    error = refusal(SESSION, ("x" * 64,), Live(7, SESSION, "/w", 0))
    assert len(error.hints[1].split()[-1]) <= 64


def test_a_directory_is_shown_without_what_a_terminal_would_obey() -> None:
    text = json.dumps({"pid": 7, "sessionId": SESSION, "cwd": "/w\x1b]0;x\x07\n\u202e größe"})
    found = parse(text, "")
    assert found
    assert found.cwd == "/w?]0;x??? größe"


@pytest.mark.parametrize("at", [-1, 0, 1 << 60, 10**30])
def test_a_start_that_makes_no_sense_is_none(at: int) -> None:
    found = parse(json.dumps({"pid": 7, "sessionId": SESSION, "startedAt": at}), "")
    assert found is None or found.since == 0


def test_a_pid_that_somebody_else_has_now(store: Path, process: subprocess.Popen[bytes]) -> None:
    if not started(process.pid):
        lack("there is no /proc")
    pid_file(store, process.pid, procStart="1")
    assert running(store) == {}


def test_a_process_may_be_called_anything(store: Path, tmp_path: Path) -> None:
    """Its name stands in /proc/<pid>/stat, in brackets, and may hold some itself."""
    program = tmp_path / "a) b (c"
    program.symlink_to(sys.executable)
    with subprocess.Popen([program, "-c", "input()"], stdin=subprocess.PIPE) as process:
        began = started(process.pid)
        assert began.isdigit() or not Path("/proc/self/stat").exists()
        pid_file(store, process.pid)
        assert set(running(store)) == {SESSION}
        process.communicate(b"\n")


def test_several(store: Path, process: subprocess.Popen[bytes]) -> None:
    pid_file(store, process.pid)
    pid_file(store, os.getpid(), sessionId=OTHER)
    pid_file(store, dead_pid(), sessionId=OTHER.replace("2", "3"))
    assert {id_: item.pid for id_, item in running(store).items()} == {
        SESSION: process.pid,
        OTHER: os.getpid(),
    }


# Names that no pid file of a live process has, and what stands in them.
NAMES = ["x.json", ".json", "-1.json", "1e3.json", " 1.json", "²³.json", "1.json.bak", "1.key"]


@pytest.mark.parametrize("name", NAMES)
def test_foreign_names_are_passed_over(store: Path, name: str) -> None:
    pid_file(store, os.getpid(), name)
    assert running(store) == {}


@pytest.mark.parametrize("pid", [0, -1, 2**31, 2**63, 10**30])
def test_numbers_that_no_process_has(store: Path, pid: int) -> None:
    """kill(2) takes 0 and less for groups of processes; the rest no kernel hands out."""
    assert not is_alive(pid)
    pid_file(store, pid, procStart="")
    assert running(store) == {}


def test_a_file_that_names_another_process(store: Path, process: subprocess.Popen[bytes]) -> None:
    pid_file(store, os.getpid(), f"{process.pid}.json", procStart="")
    assert running(store) == {}


JUNK = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff\xfe",
    b"\0" * 100,
    b'{"pid": "x", "sessionId": 1}',
    b'{"sessionId": "x"}',
    b'{"pid": true, "sessionId": "x"}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("junk", JUNK, ids=range(len(JUNK)))
def test_junk_is_passed_over(store: Path, junk: bytes) -> None:
    pid_file(store, os.getpid()).write_bytes(junk)
    pid_file(store, os.getppid(), sessionId=OTHER)
    assert set(running(store)) == {OTHER}


def test_a_directory_is_passed_over(store: Path) -> None:
    (store / live.DIRECTORY / f"{os.getpid()}.json").mkdir()
    assert running(store) == {}


@pytest.mark.timeout(20)
def test_a_pipe_is_not_waited_for(store: Path) -> None:
    os.mkfifo(store / live.DIRECTORY / f"{os.getpid()}.json")
    assert running(store) == {}


def test_a_link_is_passed_over(store: Path) -> None:
    elsewhere = pid_file(store, os.getpid()).rename(store / "elsewhere")
    (store / live.DIRECTORY / f"{os.getpid()}.json").symlink_to(elsewhere)
    assert running(store) == {}


def test_a_link_that_leads_nowhere_is_passed_over(store: Path) -> None:
    (store / live.DIRECTORY / f"{os.getpid()}.json").symlink_to("nowhere")
    assert running(store) == {}


@given(st.text() | st.binary(), st.text(max_size=5))
@example("\ud800", "1")
@example(b'{"pid": 1, "sessionId": "x", "procStart": "2"}', "1")
@example("[" * 100_000, "")
def test_nothing_that_a_file_holds_can_break_it(text: str | bytes, began: str) -> None:
    parse(text, began)


def test_a_start_is_compared_where_both_are_known() -> None:
    def said(start: str) -> str:
        return json.dumps({"pid": 7, "sessionId": SESSION, "procStart": start})

    assert parse(said("123"), "123")
    assert parse(said("123"), "124") is None
    assert parse(said(""), "124"), "the file doesn't say"
    assert parse(said("123"), ""), "this system doesn't say"
