"""Files of real repos: symlinks, skips, what is required, what somebody edited, hostile specs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.git.traces import listing, made, refs, rows, status, worktrees
from tests.support import Person, commit

SPEC = """\
files:
  copy: ['.env*', {src: .env.shared, dest: .env.team, mode: '0600', optional: true}]
  symlink: [node_modules, {src: tools/bin, dest: bin}]
  skip: [.env.old]
  required: [.env, README.md]
"""
IGNORED = "/.env*\nnode_modules/\n/tools/\n*.log\n"


@pytest.fixture
def main(person: Person, repo: Path) -> Path:
    """A main checkout with all that the rules name, and more."""
    commit(person, repo, {"mooring.yaml": SPEC, ".gitignore": IGNORED})
    (repo / "node_modules/left-pad").mkdir(parents=True)
    (repo / "node_modules/left-pad/index.js").write_text("1\n")
    (repo / "tools/bin").mkdir(parents=True)
    for name in (".env", ".env.old", ".env.shared"):
        (repo / name).write_text(f"FROM={name}\n")
    return repo


def plan(person: Person, repo: Path, *args: str) -> dict[str, dict[str, str]]:
    """What `mooring files plan` says, by path."""
    done = person.mooring("files", "plan", "fix-login", "--json", *args, cwd=repo)
    return {row["path"]: row for row in json.loads(done.stdout)}


def drift(person: Person, repo: Path) -> dict[str, str]:
    """What `mooring files check` finds, by path."""
    done = person.mooring("files", "check", "fix-login", "--json", cwd=repo, check=False)
    found = {row["path"]: row["state"] for row in json.loads(done.stdout)}
    assert done.returncode == (3 if found else 0)
    return found


def test_what_is_planned_is_made(person: Person, main: Path) -> None:
    before = listing(main, times=False)
    planned = plan(person, main)
    assert listing(main, times=False) == before
    assert {path: row["action"] for path, row in planned.items()} == {
        ".env": "copy",
        ".env.local": "copy",
        ".env.old": "skip",
        ".env.team": "copy",
        "README.md": "required",
        "bin": "symlink",
        "node_modules": "symlink",
    }
    place = made(person, "fix-login", cwd=main)
    for path, row in planned.items():
        there = place / path
        assert os.path.lexists(there) == (row["action"] != "skip"), path
        if row["action"] == "copy":
            assert there.read_bytes() == (main / row["source"]).read_bytes()
        if row["action"] == "symlink":
            assert os.readlink(there) == str(main / row["source"])
    assert (place / ".env.team").stat().st_mode & 0o777 == 0o600
    assert status(person, place) == ""
    assert status(person, main) == ""
    assert "unchanged" in person.mooring("new", "fix-login", cwd=main).stderr
    assert drift(person, main) == {}


def test_an_end_leaves_what_was_shared(person: Person, main: Path) -> None:
    before, refs_before = listing(main, without=(".git",), times=False), refs(person, main)
    place = made(person, "fix-login", cwd=main)
    (place / "node_modules/added").write_text("by the workspace\n")
    (main / "node_modules/added").unlink()
    person.mooring("end", "fix-login", cwd=main)
    assert not place.exists()
    assert listing(main, without=(".git",), times=False) == before
    assert refs(person, main) == refs_before


def test_a_link_to_a_path_of_several_lines_hides_nothing(person: Person, main: Path) -> None:
    """What stands in a worktree says nothing of other paths in it."""
    place = made(person, "fix-login", cwd=main)
    (place / ".env").unlink()
    (place / "node_modules").unlink()
    (place / "node_modules").symlink_to("x\nhere:.env\t\nmore")
    assert drift(person, main) == {".env": "missing", "node_modules": "edited"}
    made(person, "fix-login", cwd=main)
    assert (place / ".env").is_file()


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_what_the_workspace_has_in_the_place_of_a_link_stays(
    person: Person, main: Path, kind: str
) -> None:
    place = made(person, "fix-login", cwd=main)
    link = place / "node_modules"
    link.unlink()
    if kind == "file":
        link.write_text("mine\n")
    elif kind == "link":
        link.symlink_to("elsewhere")
    else:
        (link / "own").mkdir(parents=True)
    done = person.mooring("new", "fix-login", cwd=main)
    assert "kept as it is: node_modules" in done.stderr
    assert drift(person, main) == {"node_modules": "edited"}
    assert kind != "link" or os.readlink(link) == "elsewhere"
    assert (link / "own").is_dir() == (kind == "directory")


def test_a_link_that_was_removed_is_made_again(person: Person, main: Path) -> None:
    place = made(person, "fix-login", cwd=main)
    (place / "node_modules").unlink()
    assert drift(person, main) == {"node_modules": "missing"}
    made(person, "fix-login", cwd=main)
    assert (place / "node_modules/left-pad").is_dir()


def test_what_is_required_and_missing_fails_the_run(person: Person, main: Path) -> None:
    (main / ".env").unlink()
    done = person.mooring("new", "fix-login", cwd=main, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "it lacks what is required" in done.stderr
    assert f"wants .env; mooring.yaml: files.copy[0] looks for {main}/.env" in done.stderr
    assert "README.md" not in done.stderr, "git has it"
    again = person.mooring("new", "fix-login", cwd=main, check=False)
    assert again.returncode == 1
    assert drift(person, main) == {".env": "missing"}
    (main / ".env").write_text("A=1\n")
    place = made(person, "fix-login", cwd=main)
    assert (place / ".env").read_text() == "A=1\n"
    person.mooring("end", "fix-login", cwd=main)


def test_what_failed_for_a_required_file_can_be_ended(person: Person, main: Path) -> None:
    (main / ".env").unlink()
    assert person.mooring("new", "fix-login", cwd=main, check=False).returncode == 1
    person.mooring("end", "fix-login", cwd=main)
    assert [row["state"] for row in rows(person)] == ["ended"]


def test_an_edited_file_gets_its_source_beside_it(person: Person, main: Path) -> None:
    place = made(person, "fix-login", cwd=main)
    (place / ".env").write_text("MINE=1\n")
    assert "unchanged" in person.mooring("new", "fix-login", cwd=main).stderr
    assert not (place / ".env.mooring-new").exists(), "its source is as it was"
    (main / ".env").write_text("NEWER=1\n")
    (main / ".env").chmod(0o600)
    assert drift(person, main) == {".env": "edited"}
    done = person.mooring("new", "fix-login", cwd=main)
    assert ".env.mooring-new" in done.stderr
    assert (place / ".env").read_text() == "MINE=1\n"
    beside = place / ".env.mooring-new"
    assert (beside.read_text(), beside.stat().st_mode & 0o777) == ("NEWER=1\n", 0o600)
    assert status(person, place) == ""
    assert "unchanged" in person.mooring("new", "fix-login", cwd=main).stderr
    refused = person.mooring("end", "fix-login", cwd=main, check=False)
    assert "  ignored: .env\n" in refused.stderr
    assert ".mooring-new" not in refused.stderr
    (place / ".env").write_bytes((main / ".env").read_bytes())
    person.mooring("end", "fix-login", cwd=main)


def test_an_override_of_the_session(person: Person, main: Path) -> None:
    own = person.home / ".config/mooring/overrides/fix-login.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("files: {copy: [{src: .env.shared, dest: .env}]}\n")
    assert plan(person, main)[".env"]["rule"] == "overrides: files.copy[0]"
    place = made(person, "fix-login", cwd=main)
    other = made(person, "other", cwd=main)
    assert (place / ".env").read_text() == "FROM=.env.shared\n"
    assert (other / ".env").read_text() == "FROM=.env\n"


@pytest.mark.parametrize(
    ("dest", "why"),
    [
        *((dest, "leaves the repo or is git's own") for dest in ("../x", "/tmp/x")),
        *((dest, "leaves the repo or is git's own") for dest in (".git/hooks/x", ".GIT/x")),
        (".mooring/x", "is Mooring's own"),
        ("a\nb", "has a control character"),
    ],
)
@pytest.mark.parametrize("action", ["copy", "symlink"])
def test_no_destination_leaves_the_worktree(
    person: Person, repo: Path, action: str, dest: str, why: str
) -> None:
    entry: dict[str, Any] = {action: [{"src": ".env.local", "dest": dest}]}
    (repo / "mooring.yaml").write_text(json.dumps({"files": entry}))
    done = person.mooring("new", "fix-login", cwd=repo, check=False)
    assert done.returncode == 1
    assert "mooring.yaml line 1" in done.stderr
    assert why in done.stderr
    assert rows(person) == []


@pytest.mark.parametrize("action", ["copy", "symlink"])
def test_no_destination_is_behind_a_symlink(person: Person, repo: Path, action: str) -> None:
    outside = person.home / "outside"
    outside.mkdir()
    (repo / "link").symlink_to(outside)
    entry = {action: [{"src": ".env.local", "dest": "link/x"}]}
    commit(person, repo, {"mooring.yaml": json.dumps({"files": entry})})
    person.git("add", "link", cwd=repo)
    person.git("commit", "-m", "Link", cwd=repo)
    done = person.mooring("new", "fix-login", cwd=repo, check=False)
    assert done.returncode == 1
    assert "link is a file or a symlink that the repo tracks" in done.stderr
    assert list(outside.iterdir()) == []
    assert worktrees(person, repo) == rows(person) == []


@pytest.mark.parametrize("action", ["copy", "symlink"])
def test_no_destination_is_tracked(person: Person, repo: Path, action: str) -> None:
    entry = {action: [{"src": ".env.local", "dest": "README.md"}]}
    commit(person, repo, {"mooring.yaml": json.dumps({"files": entry})})
    done = person.mooring("new", "fix-login", cwd=repo, check=False)
    assert done.returncode == 1
    where = f"(mooring.yaml: files.{action}[0])"
    assert f"Cannot {action} .env.local to README.md {where}: the repo tracks it" in done.stderr
    assert worktrees(person, repo) == rows(person) == []


@pytest.mark.parametrize("action", ["copy", "symlink"])
def test_what_an_agent_committed_is_kept(person: Person, repo: Path, action: str) -> None:
    """Its branch can go on all the same, also in a worktree made again."""
    entry = {action: [{"src": ".env.local", "dest": "kept.txt"}]}
    place = made(person, "fix-login", cwd=repo)
    commit(person, place, {"kept.txt": "theirs\n"})
    person.mooring("end", "fix-login", "--force", cwd=repo)
    commit(person, repo, {"mooring.yaml": json.dumps({"files": entry})})
    done = person.mooring("resume", "fix-login", cwd=repo)
    place = Path(done.stdout.strip())
    assert "kept as it is: kept.txt" in done.stderr
    assert (place / "kept.txt").read_text() == "theirs\n"
    assert status(person, place) == ""


def test_a_mode_is_seen_to(person: Person, repo: Path) -> None:
    """Nobody gets more than the rule says, at any time; less is somebody's own choice."""
    files = {
        "copy": [{"src": ".env.local", "mode": "0640"}],
        "template": [{"src": "t", "dest": "u"}],
    }
    spec = json.dumps({"files": files, "secrets": {"KEY": {"env": "HOME"}}})
    ignored = ".env*\n/u\n"
    commit(person, repo, {"mooring.yaml": spec, "t": "{{ KEY }}", ".gitignore": ignored})
    (repo / ".env.local").write_text("A=1\n")
    place = made(person, "fix-login", "--trust", cwd=repo)
    for name in (".env.local", "u"):
        (place / name).chmod(0o666)
    done = person.mooring("files", "check", "fix-login", "--json", cwd=repo, check=False)
    assert done.returncode == 3
    assert {row["path"]: row["state"] for row in json.loads(done.stdout)} == {
        ".env.local": "mode",
        "u": "mode",
    }
    person.mooring("new", "fix-login", cwd=repo)
    modes = [(place / name).stat().st_mode & 0o777 for name in (".env.local", "u")]
    assert modes == [0o640, 0o600]
    (place / ".env.local").chmod(0o400)
    assert "unchanged" in person.mooring("new", "fix-login", cwd=repo).stderr
    person.mooring("end", "fix-login", cwd=repo)


def test_two_rules_for_one_destination(person: Person, repo: Path) -> None:
    text = "files: {copy: [{src: a, dest: c}, {src: b, dest: c}]}\n"
    commit(person, repo, {"mooring.yaml": text, ".gitignore": "/a\n/b\n"})
    for name in ("a", "b"):
        (repo / name).write_text(name)
    done = person.mooring("new", "fix-login", cwd=repo, check=False)
    assert done.returncode == 1
    assert "files.copy[0] and mooring.yaml: files.copy[1]" in done.stderr
    assert rows(person) == []


def test_a_copy_that_looks_like_a_secret_is_said_once(person: Person, main: Path) -> None:
    planted = "AKIAIOSFODNN7EXAMPLE"
    (main / ".env").write_text(f"A=1\nAWS_ACCESS_KEY_ID={planted}\n")
    (main / ".env.shared").write_text("API_KEY=changeme\n")
    (main / ".env.local").write_text("DB_PASSWORD='hunter2-Zq9'\n")
    done = person.mooring("new", "fix-login", cwd=main)
    assert "copied, with what looks like a secret in it: .env, .env.local (" in done.stderr
    assert planted not in done.stderr
    assert "hunter2" not in done.stderr
    assert "looks like" not in person.mooring("new", "fix-login", cwd=main).stderr
