"""The cache of a URL: cloned once, fetched when it has to be; and a path, which is its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.git.traces import ROOT, branches, head, leftovers, listing, made, rows, status
from tests.support import Person, commit


def cache_of(person: Person) -> Path:
    (cache,) = (person.home / ROOT / "cache").glob("**/shop.git")
    return cache


def push(person: Person, repo: Path, branch: str = "main") -> str:
    """Commit something on that branch and push it; returns the SHA."""
    person.git("switch", "-C", branch, cwd=repo)
    sha = commit(person, repo, {f"{branch.replace('/', '-')}.txt": f"{branch}\n"})
    person.git("push", "origin", branch, cwd=repo)
    return sha


def away(origin: str) -> None:
    """Take the remote off the net."""
    bare = Path(origin.removeprefix("file://"))
    bare.rename(bare.with_suffix(".away"))


def test_one_cache_for_all(person: Person, repo: Path, origin: str) -> None:
    first = made(person, "first", "--repo", origin, cwd=person.home)
    second = made(person, "second", "--repo", origin, "--agent", "bot", cwd=person.home)
    assert first != second
    assert head(person, first) == head(person, second) == head(person, repo, "main")
    assert sorted(branches(person, cache_of(person))) == ["bot/second", "first"]
    assert [status(person, place) for place in (first, second)] == ["", ""]


def test_no_fetch_while_the_base_is_there(person: Person, repo: Path, origin: str) -> None:
    made(person, "first", "--repo", origin, cwd=person.home)
    old = head(person, repo, "main")
    new = push(person, repo)
    away(origin)
    second = made(person, "second", "--repo", origin, cwd=person.home)
    assert head(person, second) == old != new


def test_fetch_when_asked(person: Person, repo: Path, origin: str) -> None:
    made(person, "first", "--repo", origin, cwd=person.home)
    new = push(person, repo)
    second = made(person, "second", "--repo", origin, "--fetch", cwd=person.home)
    assert head(person, second) == new


def test_fetch_of_a_remote_that_is_away(person: Person, origin: str) -> None:
    made(person, "first", "--repo", origin, cwd=person.home)
    away(origin)
    done = person.mooring("new", "second", "--repo", origin, "--fetch", check=False)
    assert done.returncode == 1
    assert f"Cannot fetch {origin}" in done.stderr
    assert [row["topic"] for row in rows(person)] == ["first"]
    assert leftovers(person.home) == []


def test_base_pushed_later(person: Person, repo: Path, origin: str) -> None:
    made(person, "first", "--repo", origin, cwd=person.home)
    done = person.mooring("new", "second", "--repo", origin, "--base", "release/2", check=False)
    assert done.returncode == 1
    assert "release/2" in done.stderr
    release = push(person, repo, "release/2")
    second = made(person, "second", "--repo", origin, "--base", "release/2", cwd=person.home)
    assert head(person, second) == release


def test_base_in_the_spec_pushed_later(person: Person, repo: Path, origin: str) -> None:
    made(person, "first", "--repo", origin, cwd=person.home)
    release = push(person, repo, "release")
    person.git("switch", "main", cwd=repo)
    overrides = person.home / ".config/mooring/overrides"
    overrides.mkdir(parents=True)
    (overrides / "second.yaml").write_text("base: release\n")
    second = made(person, "second", "--repo", origin, cwd=person.home)
    assert head(person, second) == release


@pytest.mark.parametrize("kind", ["tag", "annotated", "sha", "short"])
def test_other_bases(person: Person, repo: Path, origin: str, kind: str) -> None:
    old = head(person, repo, "main~1")
    person.git("tag", "v1", old, cwd=repo)
    person.git("tag", "--annotate", "--message", "Two", "v2", old, cwd=repo)
    person.git("push", "--tags", "origin", cwd=repo)
    base = {"tag": "v1", "annotated": "v2", "sha": old, "short": old[:9]}[kind]
    place = made(person, "fix-login", "--repo", origin, "--base", base, cwd=person.home)
    assert head(person, place) == old


def test_local_branches_are_never_overwritten(person: Person, repo: Path, origin: str) -> None:
    place = made(person, "fix-login", "--repo", origin, cwd=person.home)
    mine = commit(person, place, {"mine.txt": "mine\n"})
    theirs = push(person, repo, "fix-login")
    made(person, "fix-login", "--repo", origin, "--fetch", cwd=person.home)
    cache = cache_of(person)
    assert head(person, cache, "refs/heads/fix-login") == mine
    assert head(person, cache, "refs/remotes/origin/fix-login") == theirs
    person.mooring("end", "fix-login", cwd=place)
    assert head(person, cache, "refs/heads/fix-login") == mine


def test_a_branch_gone_from_the_remote_takes_no_local_one(
    person: Person, repo: Path, origin: str
) -> None:
    push(person, repo, "shared")
    place = made(person, "x", "--repo", origin, "--branch", "shared", cwd=person.home)
    mine = commit(person, place, {"mine.txt": "mine\n"})
    person.git("push", "origin", "--delete", "shared", cwd=repo)
    made(person, "other", "--repo", origin, "--fetch", cwd=person.home)
    assert head(person, place) == mine


def test_clone_that_fails(person: Person) -> None:
    url = (person.home / "remotes/nothing.git").as_uri()
    done = person.mooring("new", "x", "--repo", url, check=False)
    assert done.returncode == 1
    assert f"Cannot clone {url}" in done.stderr
    assert rows(person) == []
    assert leftovers(person.home) == []
    assert not list((person.home / ROOT).glob("cache/**/HEAD"))


def test_empty_remote(person: Person) -> None:
    bare = person.home / "remotes/empty.git"
    person.git("init", "--bare", bare)
    done = person.mooring("new", "x", "--repo", bare.as_uri(), check=False)
    assert done.returncode == 1
    assert "Cannot" in done.stderr
    assert "Traceback" not in done.stderr
    assert rows(person) == []


def test_files_of_a_url_are_a_warning(person: Person, repo: Path, origin: str) -> None:
    commit(person, repo, {"mooring.yaml": "files: {copy: [.env.local]}\n"})
    person.git("push", "origin", "main", cwd=repo)
    done = person.mooring("new", "x", "--repo", origin)
    assert "no files were copied" in done.stderr
    assert not (Path(done.stdout.strip()) / ".env.local").exists()


def test_the_spec_of_a_url_is_that_of_its_base(person: Person, repo: Path, origin: str) -> None:
    commit(person, repo, {"mooring.yaml": "ports: [web]\n"})
    person.git("push", "origin", "main", cwd=repo)
    made(person, "x", "--repo", origin, cwd=person.home)
    (row,) = rows(person)
    assert list(row["ports"]) == ["PORT", "PORT_WEB"]


def test_base_of_a_path_is_its_local_branch_first(person: Person, repo: Path, origin: str) -> None:
    ahead = commit(person, repo, {"local.txt": "not pushed\n"})
    person.git("push", "origin", "main~1:refs/heads/only-there", cwd=repo)
    person.git("fetch", "origin", cwd=repo)
    local = made(person, "local", "--base", "main", cwd=repo)
    assert head(person, local) == ahead
    remote = made(person, "remote", "--base", "only-there", cwd=repo)
    assert head(person, remote) == head(person, repo, "main~1")
    explicit = made(person, "explicit", "--base", "origin/main", cwd=repo)
    assert head(person, explicit) == head(person, repo, "refs/remotes/origin/main") != ahead


def test_a_path_is_fetched_only_when_asked(person: Person, repo: Path, origin: str) -> None:
    other = person.home / "src/other"
    person.git("clone", origin, other)
    theirs = push(person, other, "feature")
    before = listing(repo / ".git", times=False)
    done = person.mooring("new", "x", "--base", "feature", cwd=repo, check=False)
    assert done.returncode == 1
    assert "'feature'" in done.stderr
    assert listing(repo / ".git", times=False) == before
    place = made(person, "x", "--base", "feature", "--fetch", cwd=repo)
    assert head(person, place) == theirs
