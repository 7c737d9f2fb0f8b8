"""How a file of ours stays out of `git status`: one line in the repo's info/exclude, no more."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.operations.scripts import Target, ended, tools
from tests.support import Person


@pytest.fixture(params=["system", "busybox"])
def hiding(request: pytest.FixtureRequest, person: Person, repo: Path, tmp_path: Path) -> Target:
    """A target with a worktree of `repo` at `work`."""
    person.git("worktree", "add", tmp_path / "work", "-b", "work", cwd=repo)
    path = "" if request.param == "system" else tools(tmp_path / "tools", "busybox")
    names = {"common": str(repo / ".git"), "path": str(tmp_path / "work")}
    return Target(person, tmp_path / "root", names, path)


HIDE = 'find_admin; hide "$name"'


def hide(target: Target, name: str) -> None:
    """Hide one file, as an operation does."""
    assert target.run(HIDE, name=name).stdout == ""


def exclude(repo: Path) -> Path:
    """The file that says what to hide in all worktrees."""
    return repo / ".git/info/exclude"


def status(person: Person, tmp_path: Path) -> str:
    """What git shows in the worktree."""
    return person.git("status", "--porcelain", "-uall", cwd=tmp_path / "work").stdout


BLOCK = "# mooring: begin\n/{}\n# mooring: end\n"


def test_hiding_adds_one_line_in_a_block_once(
    hiding: Target, person: Person, repo: Path, tmp_path: Path
) -> None:
    before = exclude(repo).read_text()
    (tmp_path / "work/settings.json").touch()
    (tmp_path / "work/conf").mkdir()
    (tmp_path / "work/conf/settings.json").touch()
    assert "settings.json" in status(person, tmp_path)
    hide(hiding, "settings.json")
    assert exclude(repo).read_text() == before + BLOCK.format("settings.json")
    assert status(person, tmp_path) == "?? conf/settings.json\n"
    hide(hiding, "settings.json")
    assert exclude(repo).read_text() == before + BLOCK.format("settings.json")


def test_a_second_file_joins_the_block(hiding: Target, repo: Path) -> None:
    before = exclude(repo).read_text()
    for name in ("one", "two/three"):
        hide(hiding, name)
    assert exclude(repo).read_text() == before + BLOCK.format("one\n/two/three")


@pytest.mark.parametrize(
    "theirs",
    [
        "",
        "# mine\n*.bak\n",
        "*.bak",
        "/one-of-mine\n\n\n",
        "*.bak\n# mooring: begin\n# mooring: end\nx\n",
    ],
)
def test_lines_of_the_users_own_are_kept(
    hiding: Target, person: Person, repo: Path, tmp_path: Path, theirs: str
) -> None:
    exclude(repo).write_text(theirs)
    exclude(repo).chmod(0o640)
    (tmp_path / "work/settings.json").touch()
    (tmp_path / "work/x.bak").touch()
    hide(hiding, "settings.json")
    lines = exclude(repo).read_text().split("\n")
    kept = [line for line in lines if line and "mooring" not in line and line != "/settings.json"]
    assert kept == [line for line in theirs.split("\n") if line and "mooring" not in line]
    assert status(person, tmp_path) == ("?? x.bak\n" if "bak" not in theirs else "")
    assert stat.S_IMODE(exclude(repo).stat().st_mode) == 0o640


@pytest.mark.parametrize("missing", ["exclude", "info"])
def test_a_repo_without_that_file_gets_one(hiding: Target, repo: Path, missing: str) -> None:
    exclude(repo).unlink()
    if missing == "info":
        (repo / ".git/info").rmdir()
    hide(hiding, "settings.json")
    begin, rest = BLOCK.format("settings.json").split("\n", 1)
    assert exclude(repo).read_text() == f"{begin}\n# mooring: there was no such file\n{rest}"


def test_what_git_ignores_already_needs_no_line(hiding: Target, repo: Path) -> None:
    before = exclude(repo).read_text()
    hide(hiding, ".env.shared")
    assert exclude(repo).read_text() == before


def test_what_the_repo_tracks_is_refused(hiding: Target, repo: Path) -> None:
    before = exclude(repo).read_text()
    assert "the repo tracks it" in hiding.refuses(HIDE, name="README.md")
    assert exclude(repo).read_text() == before


@pytest.mark.parametrize(
    "name", ["a b", "#a", "!a", "ü", "a[1]", "[ab]", "a*", "a?", "it's", "a ", ":x"]
)
def test_odd_names_are_hidden_and_nothing_else(
    hiding: Target, person: Person, tmp_path: Path, name: str
) -> None:
    for file in (name, "a1", "b", "abc"):
        (tmp_path / "work" / file).touch()
    hide(hiding, name)
    assert status(person, tmp_path) == "?? a1\n?? abc\n?? b\n"
    hide(hiding, name)


def test_eight_at_once_lose_no_line(hiding: Target, repo: Path) -> None:
    before = exclude(repo).read_text()
    done = [ended(item) for item in [hiding.start(HIDE, name=f"f{n}") for n in range(8)]]
    assert [(item.returncode, item.stderr) for item in done] == [(0, "")] * 8
    text = exclude(repo).read_text()
    assert text.startswith(before)
    lines = text.removeprefix(before).splitlines()
    assert (lines[0], lines[-1]) == ("# mooring: begin", "# mooring: end")
    assert sorted(lines[1:-1]) == [f"/f{n}" for n in range(8)]
    assert list(exclude(repo).parent.glob("exclude?*")) == []


def test_several_files_of_one_script_are_hidden(person: Person, repo: Path, tmp_path: Path) -> None:
    """On a target that has neither flock nor perl too."""
    person.git("worktree", "add", tmp_path / "work", "-b", "work", cwd=repo)
    names = {"common": str(repo / ".git"), "path": str(tmp_path / "work"), "lock_seconds": "3"}
    target = Target(person, tmp_path / "root", names, tools(tmp_path / "tools", "mkdir"))
    target.run("find_admin; hide one; hide two")
    assert BLOCK.format("one\n/two") in exclude(repo).read_text()
