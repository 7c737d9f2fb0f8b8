"""What all scripts share, run for real: the locks; and that every shell can parse every script."""

from __future__ import annotations

import importlib
import os
import pkgutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mooring import facts, operations, script
from mooring.operations.shell import SHARED
from tests.operations.scripts import LOCKERS, Target, ended, tools, wait_for
from tests.operations.test_leftovers import here
from tests.support import Person, need


@pytest.fixture
def at(person: Person, tmp_path: Path) -> Callable[[str], Target]:
    """A target whose programs leave one way to lock."""

    def make(locker: str) -> Target:
        path = tools(tmp_path / f"tools-{locker}", locker)
        return Target(person, tmp_path / "root", {"tmp": str(tmp_path)}, path)

    return make


COUNT = """
lock counter
n=$(cat "$tmp/n"); sleep 0.1; echo $((n + 1)) >"$tmp/n"
"""


@pytest.mark.parametrize("locker", LOCKERS)
def test_a_lock_excludes(at: Callable[[str], Target], tmp_path: Path, locker: str) -> None:
    target = at(locker)
    (tmp_path / "n").write_text("0\n")
    done = [ended(process) for process in [target.start(COUNT) for _ in range(4)]]
    assert [(item.returncode, item.stderr) for item in done] == [(0, "")] * 4
    assert (tmp_path / "n").read_text() == "4\n"


HOLD = """
lock busy
: >"$tmp/held"
until [ -e "$tmp/go" ]; do sleep 0.05; done
echo mine
"""
TAKE = "lock busy; echo mine"


@contextmanager
def held(target: Target, **names: str) -> Iterator[subprocess.Popen[str]]:
    """A script that holds the lock until the block ends."""
    tmp = Path(target.names["tmp"])
    holder = target.start(HOLD, **names)
    try:
        wait_for(tmp / "held")
        yield holder
    finally:
        (tmp / "go").touch()
        ended(holder)


@pytest.mark.parametrize("locker", LOCKERS)
def test_waiting_ends_and_names_the_holder(at: Callable[[str], Target], locker: str) -> None:
    target = at(locker)
    with held(target, who="kim@desk"):
        for _ in range(2):
            said = target.refuses(TAKE, lock_seconds="1")
            assert said.startswith("Cannot get the lock busy: kim@desk, pid ")
            assert said.endswith(" has it\n")
    assert target.run(TAKE, lock_seconds="1").stdout == "mine\n"


@pytest.mark.parametrize("locker", ["flock", "mkdir"])
def test_waiting_takes_no_longer_than_was_said(at: Callable[[str], Target], locker: str) -> None:
    target = at(locker)
    with held(target):
        started = time.monotonic()
        target.refuses(TAKE, lock_seconds="3")
        assert 1.9 < time.monotonic() - started < 4.5


@pytest.mark.parametrize("locker", LOCKERS)
def test_other_locks_are_free(at: Callable[[str], Target], locker: str) -> None:
    target = at(locker)
    with held(target):
        assert target.run("lock free; echo mine", lock_seconds="1").stdout == "mine\n"


@pytest.mark.parametrize("locker", LOCKERS)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_lock_of_the_dead_is_taken_over(
    at: Callable[[str], Target], locker: str, number: signal.Signals
) -> None:
    target = at(locker)
    with held(target) as holder:
        holder.send_signal(number)
        holder.wait(timeout=10)
        assert target.run(TAKE, lock_seconds="5").stdout == "mine\n"


@pytest.mark.parametrize("locker", LOCKERS)
def test_a_script_may_lock_twice(at: Callable[[str], Target], locker: str) -> None:
    """As when several files of one workspace have to be hidden."""
    assert at(locker).run("lock busy", TAKE, lock_seconds="2").stdout == "mine\n"


@pytest.mark.parametrize("locker", LOCKERS)
def test_a_script_leaves_no_lock_behind(at: Callable[[str], Target], locker: str) -> None:
    """A lock given up for another one included: its owner's number may be anyone's next."""
    target = at(locker)
    target.run("lock repo; lock target")
    assert list((target.root / "locks").glob("*.d")) == []


@pytest.mark.parametrize(("age", "taken"), [(3 * 3600, True), (60, False)])
def test_a_lock_without_an_owner_is_taken_over_once_it_is_old(
    at: Callable[[str], Target], age: int, taken: bool
) -> None:
    target = at("mkdir")
    directory = target.root / "locks/busy.d"
    directory.mkdir(parents=True)
    (target.root / "locks/busy.holder").write_text("kim@desk, pid 1\n")
    then = time.time() - age
    os.utime(directory, (then, then))
    if taken:
        assert target.run(TAKE, lock_seconds="2").stdout == "mine\n"
    else:
        assert "kim@desk" in target.refuses(TAKE, lock_seconds="2")


def test_a_lock_of_the_living_is_never_taken_over(at: Callable[[str], Target]) -> None:
    """A clone may take two hours."""
    target = at("mkdir")
    directory = target.root / "locks/busy.d"
    directory.mkdir(parents=True)
    (directory / "pid").write_text(f"{os.getpid()}.{here()}\n")
    (target.root / "locks/busy.holder").write_text("kim@desk, pid 1\n")
    then = time.time() - 2 * 3600
    os.utime(directory, (then, then))
    assert "kim@desk" in target.refuses(TAKE, lock_seconds="1")


INSIDE = """
lock busy
echo "in $me" >>"$tmp/log"; : >"$tmp/inside"; sleep 0.7; echo "out $me" >>"$tmp/log"
"""

SLOW_MV = """#!/bin/sh
: >"$TMP_OF_TEST/slow"
n=0
while [ $n -lt 100 ] && [ ! -e "$TMP_OF_TEST/inside" ]; do sleep 0.02; n=$((n + 1)); done
exec {mv} "$@"
"""


def test_two_who_find_a_dead_owner_do_not_both_take_over(
    at: Callable[[str], Target], person: Person, tmp_path: Path
) -> None:
    """One is slow between seeing that the owner is dead and taking the lock."""
    target = at("mkdir")
    directory = target.root / "locks/busy.d"
    directory.mkdir(parents=True)
    dead = subprocess.Popen(["true"])
    dead.wait()
    (directory / "pid").write_text(f"{dead.pid}.{here()}\n")
    slow = tmp_path / "slow-tools"
    slow.mkdir()
    (slow / "mv").write_text(SLOW_MV.replace("{mv}", need("mv")))
    (slow / "mv").chmod(0o755)
    env = {"PATH": f"{slow}:{target.path}", "TMP_OF_TEST": str(tmp_path)}
    first = target.start(INSIDE, env=env, me="slow")
    while first.poll() is None and not (tmp_path / "slow").exists():
        time.sleep(0.01)
    second = target.start(INSIDE, me="quick")
    for process in (first, second):
        assert ended(process).returncode == 0
    log = (tmp_path / "log").read_text().split("\n")
    assert [line.split(" ")[0] for line in log if line] == ["in", "out", "in", "out"]


def test_a_root_that_cannot_be_written_is_said(person: Person, tmp_path: Path) -> None:
    (tmp_path / "root").write_text("a file")
    target = Target(person, tmp_path / "root")
    assert "Cannot write to " in target.refuses("lock busy")


def test_the_root_is_private(person: Person, tmp_path: Path) -> None:
    Target(person, tmp_path / "root").run("lock busy")
    assert stat.S_IMODE((tmp_path / "root").stat().st_mode) == 0o700


def texts() -> dict[str, str]:
    """Every piece of shell in the operations and facts, by where it is."""
    found = {}
    for package in (operations, facts):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            for name, value in vars(importlib.import_module(module.name)).items():
                if isinstance(value, str) and name.lstrip("_").isupper() and "\n" in value:
                    found[f"{module.name.removeprefix('mooring.')}.{name}"] = value
    return found


TEXTS = texts()
PARSERS = ("sh -n", "dash -n", "bash -n", "bash --posix -n", "busybox sh -n")


@pytest.mark.parametrize("parser", PARSERS)
def test_every_script_parses(parser: str, tmp_path: Path) -> None:
    program, *options = parser.split()
    argv = [need(program), *options]
    assert len(TEXTS) > 10
    for name, text in TEXTS.items():
        whole = script.compose({"root": "/", "x": "it's"}, script.ANSWER, SHARED, text)
        done = subprocess.run(argv, input=whole[:], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), name


@pytest.mark.parametrize("name", TEXTS)
def test_every_script_is_ascii(name: str) -> None:
    assert TEXTS[name].isascii()


def test_a_script_shows_as_a_word() -> None:
    text = script.compose({"secret": "planted-secret"}, "echo")
    assert "planted-secret" not in f"{text} {text!r} {[text]}"
    assert "planted-secret" in text[:]
