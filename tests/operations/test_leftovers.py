"""What runs that died left behind, beside what a run in another pid namespace is at work on.

A root that a host and containers share holds both: the pid of the one means nothing to the other.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from mooring.facts.worktree import OWN_CONFIG
from mooring.operations.trees import TREES
from tests.operations.scripts import Target, tools
from tests.support import Person, need

ELSEWHERE = "1"
"""A pid namespace that is not ours."""
HOURS = 4 * 3600
PLACES = {
    "work/.mooring/.stage.": (TREES, "clear_stages"),
    "root/locks/.look.": (OWN_CONFIG, "left_behind"),
    "root/locks/.began.": (OWN_CONFIG, "left_behind"),
}
BY_MTIME = """#!/bin/sh
for word; do shift; case $word in -cmin) word=-mmin ;; esac; set -- "$@" "$word"; done
exec {find} "$@"
"""
"""Nobody can set when the status of a file changed."""


@pytest.fixture
def target(person: Person, tmp_path: Path) -> Target:
    """A target that has to lock by mkdir, and takes a file for as old as it was made to look."""
    path = Path(tools(tmp_path / "tools", "mkdir"))
    (path / "find").unlink()
    (path / "find").write_text(BY_MTIME.format(find=need("find")))
    (path / "find").chmod(0o755)
    return Target(person, tmp_path / "root", {"path": str(tmp_path / "work")}, str(path))


def dead() -> int:
    """The pid of a process that is no more."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def here() -> str:
    """The pid namespace of the tests."""
    return os.readlink("/proc/self/ns/pid").removeprefix("pid:[").removesuffix("]")


def plant(place: Path, age: int = 0) -> Path:
    """A directory that somebody left, or is at work in."""
    place.mkdir(parents=True)
    then = time.time() - age
    os.utime(place, (then, then))
    return place


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("end", ["", ".old"])
def test_only_what_is_over_goes(target: Target, tmp_path: Path, place: str, end: str) -> None:
    mine = plant(tmp_path / f"{place}{dead()}.{here()}{end}")
    alive = plant(tmp_path / f"{place}{os.getpid()}.{here()}{end}", HOURS)
    elsewhere = plant(tmp_path / f"{place}{dead()}.{ELSEWHERE}{end}")
    old = plant(tmp_path / f"{place}{os.getpid()}.{ELSEWHERE}{end}", HOURS)
    target.run(*PLACES[place])
    left = {path for path in (mine, alive, elsewhere, old) if path.exists()}
    assert left == {alive, elsewhere}


def lock(target: Target, mark: str, age: int) -> None:
    """Let a run of that mark have the lock `busy`."""
    directory = plant(target.root / "locks/busy.d")
    (directory / "pid").write_text(f"{mark}\n")
    (target.root / "locks/busy.holder").write_text("kim@desk, pid 1\n")
    then = time.time() - age
    os.utime(directory, (then, then))


def test_a_lock_of_another_namespace_is_not_taken_over(target: Target) -> None:
    """A clone there may take two hours."""
    lock(target, f"{dead()}.{ELSEWHERE}", 2 * 3600)
    assert "kim@desk" in target.refuses("lock busy", lock_seconds="2")


def test_an_old_lock_of_another_namespace_is_taken_over(target: Target) -> None:
    """Even if its number is that of a process here."""
    lock(target, f"{os.getpid()}.{ELSEWHERE}", HOURS)
    assert target.run("lock busy; echo mine", lock_seconds="2").stdout == "mine\n"


def test_a_mark_says_which_pids_are_meant(target: Target) -> None:
    pid, space = target.run('marked; echo "$mark $$"').stdout.split()[0].split(".")
    assert pid.isdigit()
    assert space == here()
