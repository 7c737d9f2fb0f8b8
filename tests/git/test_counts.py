"""How many gits a run starts, and that none of them looks at every ref.

A `git` that comes first on PATH writes down what it is called with, and becomes the real one.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.git.matrix import BRANCHES, many_branches
from tests.git.traces import made
from tests.support import Person, commit

AT_MOST = {"new": 6, "unchanged": 3}
SPEC = {"mooring.yaml": "files: {copy: ['.env.local']}\n", ".gitignore": ".env*\n"}
TRACKED = "refs/remotes/origin/"
BETWEEN = "\x1f"
NOTING = """\
#!/bin/sh
IFS=$(printf '\\037')
printf '%s\\n' "$*" >>'{log}'
exec '{real}' "$@"
"""
EVERY_REF = ("--all", "--branches", "--remotes", "--tags", "--reflog", "--alternate-refs")
KINDS = ("path with an origin", "path without one", "url")
Calls = list[list[str]]


class Noted:
    """The person's git, which is noted from now on."""

    def __init__(self, person: Person) -> None:
        self._person = person
        self._log = person.home / "tmp/gits"
        git = person.home / "bin/git"
        real = git.resolve()
        git.unlink()
        git.write_text(NOTING.format(log=self._log, real=real))
        git.chmod(0o755)

    def of(self, *args: str, cwd: Path) -> Calls:
        """What each git of `mooring ARGS` was called with."""
        self._log.write_text("")
        self._person.mooring(*args, cwd=cwd)
        return [line.split(BETWEEN) for line in self._log.read_text().splitlines()]


def subcommand(call: list[str]) -> str:
    """`status` of `git -c a=b --git-dir=… status …`."""
    words = iter(call)
    for word in words:
        if word in ("-c", "-C"):
            next(words)
        elif not word.startswith("-"):
            return word
    return ""


def lists_every_ref(call: list[str]) -> bool:
    """Whether that git goes through all refs, or all of a remote's."""
    verb = subcommand(call)
    names = [word for word in call[call.index(verb) + 1 :] if word.startswith("refs/")]
    if verb in ("for-each-ref", "show-ref", "ls-remote"):
        whole = {"refs", "refs/", "refs/heads", "refs/heads/", "refs/remotes", "refs/remotes/"}
        return not names or bool(whole & set(names))
    return verb in ("fetch", "pack-refs") or any(
        word in EVERY_REF or word.startswith(("--glob", "--exclude=")) for word in call
    )


@pytest.mark.parametrize(
    ("call", "lists"),
    [
        ("for-each-ref", True),
        ("-c a=b --git-dir=/x for-each-ref --format=%(refname)", True),
        ("for-each-ref refs/heads/", True),
        ("for-each-ref refs/heads/x", False),
        ("rev-list x --not --branches", True),
        ("rev-list x --not --glob=refs/mooring/*", True),
        ("rev-list x --not refs/heads/main", False),
        ("show-ref --verify --quiet refs/heads/x", False),
        ("cat-file --batch", False),
        ("fetch origin", True),
    ],
)
def test_what_counts_as_every_ref(call: str, lists: bool) -> None:
    assert lists_every_ref(call.split()) == lists


def built(person: Person, place: Path, branches: int) -> Path:
    """A repo with a file to provision, and that many branches."""
    many_branches(person, place, branches)
    commit(person, place, SPEC)
    (place / ".env.local").write_text("API_KEY=planted-secret\n")
    return place


def pushed(person: Person, place: Path) -> str:
    """The URL of a remote with all that the repo has, and which it has tracked so far."""
    bare = place.with_name(f"{place.name}-origin.git")
    person.git("clone", "--quiet", "--bare", place, bare)
    person.git("remote", "add", "origin", bare.as_uri(), cwd=place)
    with (place / ".git/packed-refs").open("r+") as packed:  # as a fetch would, but at once
        lines = packed.read().splitlines()[1:]
        packed.write("".join(f"{line}\n" for line in lines).replace("refs/heads/", TRACKED))
    person.git("remote", "set-head", "origin", "main", cwd=place)
    return bare.as_uri()


def ready(person: Person, kind: str, branches: int) -> tuple[Path, list[str]]:
    """Where one stands, and what one says, for a workspace of a repo of that kind."""
    place = built(person, person.home / f"src/shop{branches}", branches)
    if kind == "path without one":
        return place, []
    url = pushed(person, place)
    if kind == "path with an origin":
        return place, []
    made(person, "warm-up", "--repo", url, cwd=person.home)
    return person.home, ["--repo", url]


def runs(noted: Noted, where: Path, words: list[str], topic: str) -> dict[str, Calls]:
    """The gits of a first run, and of one that finds all as it should be."""
    call = ["new", topic, *words]
    return {"new": noted.of(*call, cwd=where), "unchanged": noted.of(*call, cwd=where)}


@pytest.mark.parametrize("kind", KINDS)
def test_how_many(person: Person, kind: str) -> None:
    """Few, and the same ones where there are thousands of branches."""
    few, many = ready(person, kind, 5), ready(person, kind, BRANCHES)
    noted = Noted(person)
    found, expected = runs(noted, *many, "in-many"), runs(noted, *few, "in-few")
    for name, calls in [*found.items(), *expected.items()]:
        assert 1 <= len(calls) <= AT_MOST[name], (name, calls)
        assert not [call for call in calls if lists_every_ref(call)]
    for name in AT_MOST:
        assert subcommands(found[name]) == subcommands(expected[name])
    assert "worktree" in subcommands(found["new"])
    assert "worktree" not in subcommands(found["unchanged"])
    assert_made(person, kind, *many)


def test_how_many_with_an_identity(person: Person, repo: Path) -> None:
    """Its files are written without git, but for the person's own."""
    configured = person.home / ".config/mooring/config.yaml"
    configured.parent.mkdir(parents=True)
    configured.write_text("git: {name: Bot, email: bot@example.com}\n")
    noted = Noted(person)
    for topic in ("first", "second"):
        assert len(noted.of("new", topic, cwd=repo)) <= AT_MOST["new"]
        assert len(noted.of("new", topic, cwd=repo)) <= AT_MOST["unchanged"]


def subcommands(calls: Calls) -> list[str]:
    """In order of their names: some run at the same time."""
    return sorted(map(subcommand, calls))


def assert_made(person: Person, kind: str, where: Path, words: list[str]) -> None:
    """What was counted is a workspace with its file, out of many branches."""
    place = Path(person.mooring("cd", "in-many", *words, cwd=where).stdout.strip())
    assert (place / ".env.local").exists() == (kind != "url")
    refs = person.git("for-each-ref", "--format=%(refname)", cwd=place).stdout.split()
    assert len(refs) > BRANCHES * (2 if kind == "path with an origin" else 1)
