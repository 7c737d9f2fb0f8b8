"""Killed at any instruction: running again converges, and nothing of the dead run stays.

At random moments, and before each change that a script makes.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.git.killing import Deadly, kill_after, start
from tests.git.test_worktree import assert_converges
from tests.git.traces import (
    ROOT,
    branches,
    hook,
    leftovers,
    live,
    made,
    records,
    refs,
    rows,
    worktrees,
)
from tests.support import Person, commit, make_repo

KILLS = 15
SEED = 20260


def timed(person: Person, *args: str, cwd: Path) -> float:
    """How long a whole run takes here, in seconds."""
    began = time.monotonic()
    person.mooring(*args, cwd=cwd)
    return time.monotonic() - began


@pytest.fixture
def many(person: Person, repo: Path) -> Path:
    """The repo with enough files that a checkout can be caught in the act."""
    commit(person, repo, {f"src/{i % 20}/{i}.txt": f"{i}\n" * 40 for i in range(300)})
    (repo / "mooring.yaml").write_text("files: {copy: [.env.local]}\nports: [web]\n")
    commit(person, repo, {"mooring.yaml": (repo / "mooring.yaml").read_text()})
    return repo


def test_new_killed_at_random(person: Person, many: Path) -> None:
    before = refs(person, many)
    whole = timed(person, "new", "warm-up", cwd=many)
    person.mooring("end", "warm-up", cwd=many)
    chance = random.Random(SEED)
    struck = 0
    for _ in range(KILLS):
        delay = chance.uniform(0.2, 1.0) * whole  # a busy machine may be faster by then
        struck += kill_after(start(person, "new", "fix-login", cwd=many), delay)
        assert_converges(person, many)
        person.mooring("end", "fix-login", cwd=many)
        assert refs(person, many) == before
    assert struck >= KILLS // 3
    assert_only(person, "fix-login", "warm-up")


def test_end_killed_at_random(person: Person, many: Path) -> None:
    before = refs(person, many)
    made(person, "fix-login", cwd=many)
    whole = timed(person, "end", "fix-login", cwd=many)
    chance = random.Random(SEED + 1)
    for _ in range(KILLS // 3):
        place = made(person, "fix-login", cwd=many)
        kill_after(start(person, "end", "fix-login", cwd=many), chance.uniform(0.35, 1.0) * whole)
        person.mooring("end", "fix-login", cwd=many)
        assert not place.parent.exists()
        assert live(person.home) == []
        assert refs(person, many) == before
    assert_only(person, "fix-login")


def test_new_killed_before_each_change(person: Person, repo: Path) -> None:
    """Every `mv`, `cp` and `rm` of its scripts is once the last thing that does not happen."""
    commit(person, repo, {"mooring.yaml": "files: {copy: [.env.local]}\n"})
    before = refs(person, repo)
    deadly = Deadly(person, "mv", "cp", "rm")
    call = 1
    while deadly.strikes(call, "new", "fix-login", cwd=repo):
        assert_converges(person, repo)
        person.mooring("end", "fix-login", cwd=repo)
        assert refs(person, repo) == before
        call += 1
    assert call > 8
    assert leftovers(person.home) == []


@pytest.mark.parametrize(
    ("verb", "programs"), [("end", ("mv", "cp", "rm", "rmdir")), ("new", ("mv", "cp"))]
)
def test_end_killed_before_each_change(
    person: Person, repo: Path, verb: str, programs: tuple[str, ...]
) -> None:
    """Both ways on: another `end`, and a `new` that makes whatever is left whole again."""
    before = refs(person, repo)
    deadly = Deadly(person, *programs)
    place = made(person, "fix-login", cwd=repo)
    call = 1
    while deadly.strikes(call, "end", "fix-login", cwd=repo):
        if verb == "new":
            assert_converges(person, repo)
        person.mooring("end", "fix-login", cwd=repo)
        assert not place.parent.exists()
        assert live(person.home) == []
        assert refs(person, repo) == before
        made(person, "fix-login", cwd=repo)
        call += 1
    assert call > 3
    assert leftovers(person.home) == []


def assert_only(person: Person, *topics: str) -> None:
    """One row and one record for each topic, and one session."""
    assert sorted(str(row["topic"]) for row in rows(person)) == sorted(topics)
    assert sorted(str(record["topic"]) for record in records(person.home)) == sorted(topics)
    assert leftovers(person.home) == []


def test_killed_in_the_checkout(person: Person, repo: Path) -> None:
    """A smudge filter kills the git that checks out: what is there is half of the files."""
    strike = person.home / "strike"
    script = f"if [ -e {strike} ]; then rm {strike}; kill -9 $PPID; fi; cat"
    person.git("config", "--global", "filter.deadly.smudge", script)
    commit(person, repo, {".gitattributes": "*.py filter=deadly\n", "zz/last.txt": "last\n"})
    strike.touch()
    done = person.mooring("new", "fix-login", cwd=repo, check=False)
    assert done.returncode == 1
    assert not strike.exists()
    assert_converges(person, repo)
    assert leftovers(person.home) == []


def test_an_end_after_a_kill_in_the_checkout(person: Person, repo: Path) -> None:
    before = refs(person, repo)
    strike = person.home / "strike"
    script = f"if [ -e {strike} ]; then rm {strike}; kill -9 $PPID; fi; cat"
    person.git("config", "--global", "filter.deadly.smudge", script)
    person.git("config", "--global", "core.attributesFile", str(person.home / "attributes"))
    (person.home / "attributes").write_text("*.py filter=deadly\n")
    strike.touch()
    assert person.mooring("new", "fix-login", cwd=repo, check=False).returncode == 1
    person.mooring("end", "fix-login", cwd=repo)
    assert refs(person, repo) == before
    assert not (repo.parent / "shop.worktrees").exists()
    assert live(person.home) == []


def test_killed_in_the_hook(person: Person, repo: Path) -> None:
    """The hook runs when git has done its part: the script dies before Mooring does its own."""
    hook(repo, "kill -9 $(cut -d' ' -f4 /proc/$PPID/stat) $PPID")
    assert person.mooring("new", "fix-login", cwd=repo, check=False).returncode == 1
    assert_converges(person, repo)


def test_controller_killed_alone(person: Person, many: Path) -> None:
    """The script on the target goes on without it; a run right after waits for its lock."""
    for delay in (0.5, 0.7):
        process = start(person, "new", "fix-login", cwd=many)
        time.sleep(delay)
        process.kill()
        process.wait()
        assert_converges(person, many)
        person.mooring("end", "fix-login", cwd=many)


def test_killed_clone_leaves_no_half_cache(person: Person, origin: str, tmp_path: Path) -> None:
    big = make_repo(person, tmp_path / "big", {"README.md": "# Big\n"})
    for number in range(3):
        noise = "".join(random.Random(number).choices("0123456789abcdef\n", k=3_000_000))
        commit(person, big, {f"noise{number}.txt": noise})
    url = big.as_uri()
    caches = person.home / ROOT / "cache"
    chance = random.Random(SEED + 3)
    for _ in range(6):
        process = start(person, "new", "x", "--repo", url, cwd=person.home)
        kill_after(process, chance.uniform(0.35, 0.9))
        for cache in caches.glob("**/big.git"):
            assert person.git("rev-parse", "refs/remotes/origin/main", cwd=cache).stdout
    place = made(person, "x", "--repo", url, cwd=person.home)
    assert (place / "noise2.txt").is_file()
    assert leftovers(person.home) == []
    (cache,) = caches.glob("**/big.git")
    assert branches(person, cache) == ["x"]
    assert worktrees(person, cache) == [str(place)]
    person.git("fsck", cwd=cache)
