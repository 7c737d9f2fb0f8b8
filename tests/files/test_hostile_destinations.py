"""Destinations of odd names: each file lands exactly there, or nowhere, and goes again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.files.test_roots import write
from tests.git.traces import listing, status
from tests.support import Person

NAMES = (
    "two  spaces",
    " leading",
    "trailing ",
    "it's",
    'a "b"',
    "$(touch pwned)",
    "`touch pwned`;touch pwned",
    "-rf x",
    "--help",
    "日本 e\u0301\u202e\u2028",
    "?[a]{b,c}",
    "!bang",
    "#hash",
    "~root/x",
    "a|b && c >out",
    "{{ topic }} %s",
    "skip:x",
    "sub dir/$HOME/**",
    "x" * 250,
)
MISREAD = ('"quoted"', '"start', "*", ":(top)x")
"""What git reads as something else than a name, if nobody tells it not to."""
CONTENT = {
    "copy": "API_KEY=planted-secret\n",
    "template": "TOPIC=fix-login\n",
    "symlink": "API_KEY=planted-secret\n",
}


def entries(person: Person, action: str, names: tuple[str, ...]) -> None:
    """Let one file be brought to each of these by that action."""
    src = {"src": ".env.local"}
    write(person)
    if action == "template":
        (person.home / ".config/mooring/t").write_text("TOPIC={{ topic }}\n")
        src = {"src": "t", "root": "user"}
    write(person, **{action: [{**src, "dest": name} for name in names]})


def everything(person: Person, place: Path) -> set[str]:
    """Every path below HOME but those of the workspace itself, and what Mooring has of its own."""
    known = ("/.local", f"{place}", "/.git/")
    return set(listing(person.home, without=known, times=False))


def brought(place: Path) -> set[str]:
    """The files in a workspace that git neither has nor Mooring wrote for itself."""
    ours = {"README.md", ".gitignore", "app/shop.py", ".git", ".envrc", ".session-context.md"}
    found = {str(path.relative_to(place)) for path in place.rglob("*") if not path.is_dir()}
    return {name for name in found - ours if not name.startswith((".mooring/", ".claude/"))}


def assert_it_comes_and_goes(
    person: Person, repo: Path, action: str, names: tuple[str, ...]
) -> None:
    entries(person, action, names)
    place = repo.parent / "shop.worktrees/fix-login"
    before = everything(person, place)
    done = person.mooring("new", "fix-login", cwd=repo)
    assert done.stdout == f"{place}\n"
    assert brought(place) == set(names)
    for name in names:
        assert (place / name).is_symlink() == (action == "symlink")
        assert (place / name).read_text() == CONTENT[action]
    assert status(person, place) == ""
    assert status(person, repo) == ""
    assert "unchanged" in person.mooring("new", "fix-login", cwd=repo).stderr
    assert everything(person, place) - before <= {str(place.parent)}
    person.mooring("end", "fix-login", cwd=repo)
    assert everything(person, place) == before
    assert not place.exists()


@pytest.mark.parametrize("action", ["copy", "template", "symlink"])
def test_an_odd_name_is_a_name(person: Person, repo: Path, action: str) -> None:
    assert_it_comes_and_goes(person, repo, action, NAMES)


@pytest.mark.parametrize("action", ["copy", "symlink"])
def test_what_git_would_read_as_more_than_a_name(person: Person, repo: Path, action: str) -> None:
    assert_it_comes_and_goes(person, repo, action, MISREAD)


@pytest.mark.parametrize("name", MISREAD)
def test_a_template_of_such_a_name(person: Person, repo: Path, name: str) -> None:
    assert_it_comes_and_goes(person, repo, "template", (name,))


@pytest.mark.parametrize("name", ["a\\b", "../x", ".git/hooks/x", "sub/.GIT/x", "/tmp/x", "a\tb"])
@pytest.mark.parametrize("action", ["copy", "template", "symlink"])
def test_a_name_that_is_refused_leaves_nothing(
    person: Person, repo: Path, action: str, name: str
) -> None:
    entries(person, action, (name,))
    before = listing(person.home, without=("/.local",))
    done = person.mooring("new", "fix-login", cwd=repo, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Cannot read ")
    assert listing(person.home, without=("/.local",)) == before


def test_a_name_with_magic_is_hidden_beside_one_that_is_ignored(person: Person, repo: Path) -> None:
    assert_it_comes_and_goes(person, repo, "copy", (":(top).env.local",))
