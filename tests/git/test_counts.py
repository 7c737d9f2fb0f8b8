"""How many git processes a run takes, as a git first on the PATH counts them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.git import matrix
from tests.support import Person, commit, need

MOST_NEW = 6
MOST_UNCHANGED = 3


class Counted:
    """A person whose git writes down how it is called, and then is the real one."""

    def __init__(self, person: Person) -> None:
        self._log = person.home / "gits"
        programs = person.home / "counting"
        programs.mkdir()
        shim = programs / "git"
        shim.write_text(f'#!/bin/sh\necho "$*" >>"{self._log}"\nexec "{need("git")}" "$@"\n')
        shim.chmod(0o755)
        path = f"{programs}:{person.env['PATH']}"
        self._person = replace(person, env=person.env | {"PATH": path})

    def gits(self, *args: str, cwd: Path) -> list[str]:
        """The command lines of git that a run of mooring takes."""
        self._log.write_text("")
        self._person.mooring(*args, cwd=cwd)
        return self._log.read_text().splitlines()


def assert_few(person: Person, *args: str, cwd: Path) -> None:
    """A first run, one for another topic, and one that finds all as it should be."""
    counted = Counted(person)
    for topic in ("first", "second"):
        made = counted.gits("new", topic, "--launch", "none", *args, cwd=cwd)
        assert any("worktree add" in line for line in made), made
        assert len(made) <= MOST_NEW, made
        again = counted.gits("new", topic, "--launch", "none", *args, cwd=cwd)
        assert 0 < len(again) <= MOST_UNCHANGED, again
        assert not [line for line in (*made, *again) if lists_all_refs(line)]


def lists_all_refs(line: str) -> bool:
    """Whether that git looks at every ref of the repo."""
    words = line.split()
    every = {"--all", "--branches", "--remotes", "--tags", "show-ref", "branch"}
    return bool(every.intersection(words)) or ("for-each-ref" in words and "refs/" not in line)


@pytest.mark.parametrize("origin", ["", "https://example.com/robin/shop.git"])
def test_a_path(person: Person, repo: Path, origin: str) -> None:
    person.git("remote", "remove", "origin", cwd=repo, check=False)
    if origin:
        person.git("remote", "add", "origin", origin, cwd=repo)
    commit(person, repo, {"mooring.yaml": "files: {copy: ['.env*']}\nports: [web]\n"})
    assert_few(person, cwd=repo)


def test_a_warm_cache(person: Person, repo: Path) -> None:
    commit(person, repo, {"mooring.yaml": "files: {copy: ['.env*']}\nports: [web]\n"})
    shutil.copytree(repo / ".git", person.home / "remote.git")
    url = (person.home / "remote.git").as_uri()
    person.mooring("new", "warm", "--launch", "none", "--repo", url, cwd=person.home)
    assert_few(person, "--repo", url, cwd=person.home)


def test_five_thousand_branches(person: Person) -> None:
    assert_few(person, cwd=matrix.many_branches(person, person.home / "src/shop"))
