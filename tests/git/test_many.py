"""Many at once: of one topic one workspace, of different topics each its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.git.traces import leftovers, live, made, refs, rows, status, worktrees
from tests.support import Done, Person


def at_once(person: Person, calls: list[list[str]], cwd: Path) -> list[Done]:
    """Start a `mooring` for each call, all before the first is waited for."""
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "mooring", *call],
            cwd=cwd,
            env=person.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for call in calls
    ]
    ended = [(process, *process.communicate(timeout=240)) for process in started]
    return [Done(process.args, process.returncode, out, err) for process, out, err in ended]


def assert_sound(person: Person, repo: Path) -> None:
    person.git("config", "--list", "--local", cwd=repo)
    person.git("fsck", "--strict", cwd=repo)
    assert status(person, repo) == ""
    assert leftovers(person.home) == []


def ports(person: Person) -> list[int]:
    """Every port of the index."""
    return [port for row in rows(person) for port in dict(row["ports"]).values()]


def test_one_topic(person: Person, repo: Path) -> None:
    done = at_once(person, [["new", "fix-login"]] * 16, repo)
    place = str(repo.parent / "shop.worktrees/fix-login")
    for one in done:
        assert one.returncode == 0 or "has just made it" in one.stderr, one
        assert "Traceback" not in one.stderr
    assert {one.stdout for one in done if one.returncode == 0} == {f"{place}\n"}
    assert worktrees(person, repo) == [place]
    assert [row["state"] for row in rows(person)] == ["ready"]
    assert [record["state"] for record in live(person.home)] == ["ready"]
    assert_sound(person, repo)
    assert "unchanged" in person.mooring("new", "fix-login", cwd=repo).stderr


def test_different_topics(person: Person, repo: Path) -> None:
    before = refs(person, repo)
    topics = [f"topic-{number}" for number in range(32)]
    done = at_once(person, [["new", topic] for topic in topics], repo)
    assert [one.returncode for one in done] == [0] * 32, [one.stderr for one in done]
    assert len(worktrees(person, repo)) == 32
    assert sorted(str(row["topic"]) for row in rows(person)) == sorted(topics)
    assert {row["state"] for row in rows(person)} == {"ready"}
    assert len(set(ports(person))) == 32
    assert_sound(person, repo)
    for one in done:
        assert status(person, Path(one.stdout.removesuffix("\n"))) == ""

    ended = at_once(person, [["end", topic] for topic in topics], repo)
    assert [one.returncode for one in ended] == [0] * 32, [one.stderr for one in ended]
    assert refs(person, repo) == before
    assert live(person.home) == []
    assert_sound(person, repo)


def test_one_topic_of_a_fresh_url(person: Person, origin: str) -> None:
    calls = [["new", "fix-login", "--repo", origin]] * 6
    done = at_once(person, calls, person.home)
    for one in done:
        assert one.returncode == 0 or "has just made it" in one.stderr, one
    assert len({one.stdout for one in done if one.returncode == 0}) == 1
    assert [row["state"] for row in rows(person)] == ["ready"]
    assert leftovers(person.home) == []


def test_new_and_end_of_one_topic(person: Person, repo: Path) -> None:
    """Whoever comes last: it is whole or it is gone, and another run agrees with the record."""
    before = refs(person, repo)
    made(person, "fix-login", cwd=repo)
    done = at_once(person, [["new", "fix-login"], ["end", "fix-login"]] * 4, repo)
    assert all("Traceback" not in one.stderr for one in done)
    made(person, "fix-login", cwd=repo)
    person.mooring("end", "fix-login", cwd=repo)
    assert live(person.home) == []
    assert refs(person, repo) == before
    assert_sound(person, repo)


def test_beside_a_persons_commits(person: Person, repo: Path) -> None:
    """Our looks never hold git's index lock against the person who works there."""
    place = made(person, "fix-login", cwd=repo)
    script = "for i in $(seq 60); do git commit -q --allow-empty -m $i || exit 1; done"
    working = subprocess.Popen(["sh", "-c", script], cwd=place, env=person.env)
    while working.poll() is None:
        person.mooring("status", "--check", "fix-login", cwd=repo, check=False)
    assert working.returncode == 0
