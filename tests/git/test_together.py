"""Sixty-four at once in one repo: Mooring's commands, and a person's own git in the thick of it.

Nothing of either is lost, none waits for ever, and what is left is a sound repo.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.git.test_cache import cache_of
from tests.git.test_many import at_once
from tests.git.traces import head, leftovers, made, records, rows, status, worktrees
from tests.support import Done, Person, commit, need

SECONDS = 300  # no deadlock, however slow the machine is
ENDS = [f"ends-{number}" for number in range(10)]
DISTINCT = [f"own-{number}" for number in range(24)]
SHARED = [f"shared-{number}" for number in range(4)]
FETCHES = [f"fetches-{number}" for number in range(8)]
TOPICS = [*DISTINCT, *SHARED, *FETCHES]

# What a person does in their clone, one after the other: two gits at once trip each other up, with
# or without Mooring. `$i` counts the rounds.
ROUNDS = 20
DOINGS = {
    "commit": "echo $i >mine.txt && git add mine.txt && git commit -qm mine-$i",
    "branch": "git branch --no-track mine-$i",
    "rename": "git branch -m mine-$i my-$i",
    "add": "git worktree add -q --detach ~/wt-$i",
    "remove": "git worktree remove ~/wt-$i",
    "fetch": "git fetch -q origin",
    "delete": "git branch -qD my-$i",
    "gc": "[ $((i % 7)) != 0 ] || git gc -q",
}
# And somebody else, in a clone of their own.
PUSHES = {
    "push": "git commit -q --allow-empty -m theirs-$i && git push -q origin HEAD:main HEAD:their-$i"
}

# What any git of one's own does to another, too. Of two fetches of one ref, the later one fails.
# `git worktree add` and `remove` do their files one by one, and a git that looks at all worktrees,
# as fetch, gc and branch do, finds one half done.
EXPLAINED = re.compile(
    r"error: cannot lock ref 'refs/remotes/origin/.*': is at [0-9a-f]* but expected [0-9a-f]*"
    r"|fatal: failed to read .*/worktrees/.*/commondir: Success"
    r"|fatal: bad object worktrees/.*/HEAD"
)


def loop(doings: dict[str, str]) -> str:
    """A shell script that does all of them in every round, thrice if need be.

    It says what failed each time.
    """
    steps = [
        f'{{ {doing}; }} || {{ {doing}; }} || {{ {doing}; }} || echo "failed: {name} round $i"'
        for name, doing in doings.items()
    ]
    return "\n".join([f"for i in $(seq {ROUNDS}); do", *steps, "done"])


@dataclass(frozen=True)
class Place:
    """Where somebody works: in `clone`, whose git directory is `common`."""

    person: Person
    clone: Path
    common: Path
    words: tuple[str, ...]
    """What names the repo on Mooring's command line."""

    def calls(self, verb: str, topics: list[str], *more: str) -> list[list[str]]:
        return [[verb, topic, *self.words, *more] for topic in topics]

    def git(self, *args: str) -> str:
        """What git says in the clone."""
        return self.person.git(*args, cwd=self.clone).stdout


@pytest.fixture(params=["path", "url"])
def place(request: pytest.FixtureRequest, person: Person, repo: Path, origin: str) -> Place:
    """The person's clone of a remote; or a workspace of the cache that Mooring has of it."""
    commit(person, repo, {"mooring.yaml": "files: {copy: ['.env.local']}\nports: [web]\n"})
    person.git("push", "origin", "main", cwd=repo)
    if request.param == "path":
        return Place(person, repo, repo / ".git", ())
    words = ("--repo", origin)
    clone = made(person, "home", *words, cwd=person.home)
    return Place(person, clone, cache_of(person), words)


@dataclass(frozen=True)
class Before:
    """What is to be the same afterwards."""

    config: str
    exclude: list[str]
    commits: int
    worktrees: list[str]


def seen(place: Place) -> Before:
    return Before(
        (place.common / "config").read_text(),
        (place.common / "info/exclude").read_text().splitlines(),
        int(place.git("rev-list", "--count", "HEAD")),
        worktrees(place.person, place.common),
    )


def start(place: Place, doings: dict[str, str], cwd: Path) -> subprocess.Popen[str]:
    """Have somebody do that, until they are through."""
    return subprocess.Popen(
        ["sh", "-c", loop(doings)],
        cwd=cwd,
        env=place.person.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_together(place: Place) -> None:
    person = place.person
    at_once(person, place.calls("new", ENDS), place.clone)
    theirs = person.home / "src/theirs"
    person.git("clone", "--quiet", place.git("remote", "get-url", "origin").strip(), theirs)
    before, began = seen(place), time.monotonic()

    working = [start(place, DOINGS, place.clone), start(place, PUSHES, theirs)]
    calls = [
        *place.calls("new", DISTINCT),
        *place.calls("end", ENDS),
        *place.calls("new", FETCHES, "--fetch"),
        *place.calls("new", SHARED * 5),
    ]
    assert len(calls) + len(working) == 64
    done = at_once(person, calls, place.clone)
    said = [process.communicate(timeout=SECONDS)[0] for process in working]
    assert time.monotonic() - began < SECONDS

    assert_answers(done)
    assert [unexplained(text) for text in said] == [[], []]
    again(place, done, said[0])
    assert_nothing_lost(place, before)
    assert_whole(place)
    assert_sound(place, before)


def failed(text: str) -> list[tuple[str, str, str]]:
    """What each failure in a person's loop said, what failed, and in which round."""
    return re.findall(r"(?s)(.*?)failed: (\w+) round (\d+)\n", text)


def unexplained(text: str) -> list[tuple[str, str, str]]:
    """What failed, but for what a person's own gits do to each other, and what follows of that.

    A worktree that was not added can't be removed in that round, nor a branch be renamed.
    """
    explained = {number for said, _, number in failed(text) if EXPLAINED.search(said)}
    return [failure for failure in failed(text) if failure[2] not in explained]


def again(place: Place, done: list[Done], said: str) -> None:
    """Do again what failed of another's fetch or worktree, in its order: now nobody is there.

    A git may have done its own before it tripped: what is there in the end says if all is done.
    """
    for one in done:
        if one.returncode and EXPLAINED.search(one.stderr):
            place.person.mooring(*one.args[3:], cwd=place.clone)
    for _, name, number in failed(said):
        place.person.run("sh", "-ec", f"i={number}; {DOINGS[name]}", cwd=place.clone, check=False)


def assert_answers(done: list[Done]) -> None:
    """Each did what it was told, but for what somebody else has just made, or fetched."""
    wrong = [
        one
        for one in done
        if one.returncode
        and "has just made it" not in one.stderr
        and not EXPLAINED.search(one.stderr)
    ]
    assert not wrong, "\n".join(f"{one.args[3:]}: {one.stderr}" for one in wrong)
    for topic in SHARED:
        places = {one.stdout for one in done if one.args[4] == topic and not one.returncode}
        assert len(places) == 1


def assert_nothing_lost(place: Place, before: Before) -> None:
    """Every commit of the person's, in order, and every push is there."""
    count = ROUNDS
    assert int(place.git("rev-list", "--count", "HEAD")) == before.commits + count
    subjects = place.git("log", "--reverse", "--format=%s", f"-{count}").split()
    assert subjects == [f"mine-{number + 1}" for number in range(count)]
    place.git("fetch", "--quiet", "origin")
    tracked = place.git("for-each-ref", "--format=%(refname)", "refs/remotes/origin/their-*")
    assert len(tracked.split()) == ROUNDS


def assert_whole(place: Place) -> None:
    """What was made is ready, with its files and ports; what ended is gone."""
    person = place.person
    found = {str(row["topic"]): row for row in rows(person)}
    states = {topic: row["state"] for topic, row in found.items() if topic != "home"}
    assert states == dict.fromkeys(TOPICS, "ready") | dict.fromkeys(ENDS, "ended")
    for topic in TOPICS:
        where = Path(str(found[topic]["worktree"]))
        assert status(person, where) == ""
        assert person.git("branch", "--show-current", cwd=where).stdout.strip() == topic
        assert (where / ".envrc").is_file()
        assert (where / ".env.local").is_file() == (not place.words)
    assert not any(Path(str(found[topic]["worktree"])).exists() for topic in ENDS)
    ports = [port for topic in TOPICS for port in dict(found[topic]["ports"]).values()]
    assert len(set(ports)) == len(ports) == 2 * len(TOPICS)
    for topic in (*DISTINCT, *FETCHES):
        assert found[topic]["commit"] == head(person, Path(str(found[topic]["worktree"])))
    for topic in (DISTINCT[0], FETCHES[0]):
        again = person.mooring("new", topic, *place.words, cwd=place.clone)
        assert "unchanged" in again.stderr


def assert_sound(place: Place, before: Before) -> None:
    """The repo is as git wants it, and has nothing of ours beside what is there."""
    person, common = place.person, place.common
    place.git("fsck", "--strict")
    assert leftovers(person.home) == []
    assert not (common / "gc.pid").exists()
    assert (common / "config").read_text() == before.config
    ended = {path for path in before.worktrees if Path(path).name in ENDS}
    assert len(ended) == len(ENDS)
    mine = {str(row["worktree"]) for row in rows(person) if row["topic"] in TOPICS}
    assert set(worktrees(person, common)) == set(before.worktrees) - ended | mine
    assert "prunable" not in place.git("worktree", "list", "--porcelain")
    local = place.git("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads").split()
    assert set(local) - {"main", "home"} == set(TOPICS)
    assert (common / "info/exclude").read_text().splitlines() == before.exclude


def at_lock(person: Person, number: int, script: str) -> None:
    """Have a script run before the first run takes a lock for that time, as if it were faster."""
    flock, count = person.home / "bin/flock", person.home / "tmp/locks"
    count.write_text("0\n")
    flock.write_text(
        f"#!/bin/sh\nn=$(($(cat {count}) + 1)); echo $n >{count}\n"
        f"if [ $n = {number} ]; then ({script}) 8>&- 9>&- </dev/null >/dev/null 2>&1; fi\n"
        f'exec {need("flock")} "$@"\n'
    )
    flock.chmod(0o755)


@pytest.mark.parametrize("lock", [1, 2])
def test_the_base_moves_between_two_of_one_topic(person: Person, repo: Path, lock: int) -> None:
    """At the lock of the claim, or that of the worktree: the record says where the branch began."""
    new = f"{sys.executable} -m mooring new fix-login"
    at_lock(person, lock, f"cd {repo} && git commit -q --allow-empty -m Moved && {new}")
    place = made(person, "fix-login", cwd=repo)
    assert head(person, repo) == head(person, place)
    (record,) = records(person.home)
    assert record["start"] == head(person, place)
    assert head(person, place)[:12] in (place / ".session-context.md").read_text()
    assert "unchanged" in person.mooring("new", "fix-login", cwd=repo).stderr


def test_new_fetch_beside_a_persons_fetch(person: Person, repo: Path, origin: str) -> None:
    """Theirs comes between the moment that ours knows what to fetch, and the one it has it."""
    theirs = person.home / "src/theirs"
    person.git("clone", "--quiet", origin, theirs)
    pushed = commit(person, theirs, {"theirs.txt": "theirs\n"})
    person.git("push", "--quiet", "origin", "main", cwd=theirs)
    script = person.home / "bin/pack-objects"
    fetch = f"env -u GIT_DIR -u GIT_PROTOCOL git -C {repo} fetch -q origin"
    script.write_text(
        f'#!/bin/sh\nif mkdir ~/tmp/once 2>/dev/null; then {fetch}; fi >&2\nexec "$@"\n'
    )
    script.chmod(0o755)
    person.git("config", "--global", "uploadpack.packObjectsHook", str(script))
    place = made(person, "fix-login", "--base", "origin/main", "--fetch", cwd=repo)
    assert (person.home / "tmp/once").is_dir()
    assert head(person, place) == pushed
