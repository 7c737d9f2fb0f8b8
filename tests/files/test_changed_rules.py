"""Rules that change: another action for one place, `--force`, and what comes of directories."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.git.traces import made, records, status
from tests.support import Person, commit

IGNORED = "/secret\n/many\n/data/\n/data_*\n.env*\n/x.local\n"


def rules(person: Person, repo: Path, **files: object) -> None:
    """Let these be the rules from now on."""
    commit(person, repo, {"mooring.yaml": json.dumps({"files": files}), ".gitignore": IGNORED})


def fill(place: Path, count: int) -> None:
    place.mkdir()
    for number in range(count):
        (place / f"f{number}").write_text(f"{number}\n")


def states(person: Person, repo: Path) -> dict[str, str]:
    done = person.mooring("files", "check", "fix-login", "--json", cwd=repo, check=False)
    return {row["path"]: row["state"] for row in json.loads(done.stdout)}


def assert_settled(person: Person, repo: Path, place: Path) -> None:
    """Nothing is left to do, to see, or in the way of an end."""
    assert "unchanged" in person.mooring("new", "fix-login", cwd=repo).stderr
    assert states(person, repo) == {}
    assert status(person, place) == ""
    person.mooring("end", "fix-login", cwd=repo)
    assert not place.exists()


@pytest.mark.parametrize("count", [1, 250])
def test_a_link_that_becomes_a_copy(person: Person, repo: Path, count: int) -> None:
    """What the workspace writes there is its own from then on."""
    fill(repo / "secret", count)
    rules(person, repo, symlink=["secret"])
    place = made(person, "fix-login", cwd=repo)
    assert (place / "secret").is_symlink()
    rules(person, repo, copy=["secret"])
    done = person.mooring("new", "fix-login", cwd=repo)
    assert "kept as it is" not in done.stderr
    assert not (place / "secret").is_symlink()
    assert len(os.listdir(place / "secret")) == count == len(os.listdir(repo / "secret"))
    assert_settled(person, repo, place)
    assert len(os.listdir(repo / "secret")) == count


@pytest.mark.parametrize("kind", ["copy", "template", "directory"])
def test_what_becomes_a_link(person: Person, repo: Path, kind: str) -> None:
    name = "many" if kind == "directory" else ".env"
    if kind == "directory":
        fill(repo / "many", 250)
    else:
        (repo / ".env").write_text("A=1\n")
    if kind == "template":
        rules(person, repo, template=[{"src": "README.md", "dest": ".env"}])
    else:
        rules(person, repo, copy=[name])
    place = made(person, "fix-login", "--trust", cwd=repo)
    assert not (place / name).is_symlink()
    rules(person, repo, symlink=[name])
    done = person.mooring("new", "fix-login", cwd=repo)
    assert "kept as it is" not in done.stderr
    assert (place / name).is_symlink()
    assert (repo / name).exists()
    assert_settled(person, repo, place)


def test_what_force_replaces_is_all_kept(person: Person, repo: Path) -> None:
    names = ("data/d/k", "data/d_k", "data_d_k")
    (repo / "data/d").mkdir(parents=True)
    for name in names:
        (repo / name).write_text("theirs\n")
    rules(person, repo, copy=["data", "data_d_k"])
    place = made(person, "fix-login", cwd=repo)
    for turn in ("one", "two"):
        for name in names:
            (place / name).write_text(f"{turn} {name}\n")
        done = person.mooring("new", "fix-login", "--force", cwd=repo)
        assert "kept as it is" not in done.stderr
        for name in names:
            assert f"replaced: {name}; what was there: .mooring/saved/" in done.stderr
            assert (place / name).read_text() == "theirs\n"
    found = [path.read_text() for path in (place / ".mooring/saved").rglob("*") if path.is_file()]
    assert sorted(found) == sorted(f"{turn} {name}\n" for turn in ("one", "two") for name in names)


def test_what_is_behind_a_link_is_not_taken_for_ours(person: Person, repo: Path) -> None:
    (repo / "data/x").mkdir(parents=True)
    (repo / "data/x/f").write_text("1\n")
    rules(person, repo, copy=["data"])
    place = made(person, "fix-login", cwd=repo)
    outside = person.home / "outside"
    (place / "data/x").rename(outside)
    (place / "data/x").symlink_to(outside)
    assert states(person, repo) == {"data/x/f": "edited"}
    (repo / "data/x/f").write_text("2\n")
    for force in ([], ["--force"]):
        done = person.mooring("new", "fix-login", *force, cwd=repo)
        assert ("behind a symlink" in done.stderr) == (not force)
        assert (outside / "f").read_text() == "1\n"
    assert not (place / ".mooring/saved").exists()


def test_a_small_directory_keeps_modes_and_times(person: Person, repo: Path) -> None:
    (repo / "secret/in/deep").mkdir(parents=True)
    (repo / "secret/empty").mkdir()
    (repo / "secret/in/deep/k").write_text("k\n")
    for name in ("secret", "secret/in", "secret/empty"):
        (repo / name).chmod(0o700)
    for name in ("secret/in/deep", "secret/empty", "secret"):
        os.utime(repo / name, (1_600_000_000, 1_600_000_000))
    rules(person, repo, copy=["secret"])
    place = made(person, "fix-login", cwd=repo)
    for name in ("secret", "secret/in", "secret/in/deep", "secret/empty"):
        one, other = (place / name).stat(), (repo / name).stat()
        assert (one.st_mode, int(one.st_mtime)) == (other.st_mode, int(other.st_mtime)), name
    assert_settled(person, repo, place)


def test_one_file_can_be_a_hard_link(person: Person, repo: Path) -> None:
    fill(repo / "secret", 2)
    rules(person, repo, copy=[{"src": "secret", "clone": "hardlink"}])
    place = made(person, "fix-login", cwd=repo)
    for name in ("f0", "f1"):
        assert (place / "secret" / name).samefile(repo / "secret" / name)
    assert_settled(person, repo, place)


def test_a_link_that_leads_nowhere_is_said(person: Person, repo: Path) -> None:
    (repo / "x.local").symlink_to("nowhere")
    rules(person, repo, symlink=["x.local"])
    done = person.mooring("new", "fix-login", cwd=repo)
    assert "not linked: x.local (the main checkout has no such file)" in done.stderr
    assert_settled(person, repo, Path(done.stdout.strip()))


def test_a_template_that_no_rule_names_any_more_goes_at_the_end(person: Person, repo: Path) -> None:
    rules(person, repo, template=[{"src": "README.md", "dest": ".env"}])
    place = made(person, "fix-login", "--trust", cwd=repo)
    rules(person, repo)
    made(person, "fix-login", cwd=repo)
    assert (place / ".env").exists()
    person.mooring("end", "fix-login", cwd=repo)
    assert not place.exists()
    assert ".env" not in dict(records(person.home)[0]["files"])


@pytest.mark.parametrize("name", [".claude", ".claude/settings.local.json"])
def test_claudes_settings_are_no_link(person: Person, repo: Path, name: str) -> None:
    """All workspaces would share them, and their hooks."""
    (repo / ".claude").mkdir()
    (repo / ".claude/settings.local.json").write_text("{}\n")
    rules(person, repo, symlink=[name])
    done = person.mooring("new", "fix-login", cwd=repo, check=False)
    assert done.returncode == 1
    assert f"Cannot link {name}: Mooring writes" in done.stderr
    assert (repo / ".claude/settings.local.json").read_text() == "{}\n"


@pytest.mark.parametrize("action", ["copy", "symlink"])
def test_force_leaves_what_the_branch_has(person: Person, repo: Path, action: str) -> None:
    """Beside it another edited file is replaced all the same."""
    for name in (".env", ".env.local"):
        (repo / name).write_text("A=1\n")
    person.git("switch", "-qc", "fix-login", cwd=repo)
    commit(person, repo, {"kept.txt": "theirs\n"})
    person.git("switch", "-q", "main", cwd=repo)
    entry = {"src": ".env.local", "dest": "kept.txt"}
    files = {"copy": [".env", entry]} if action == "copy" else {"copy": [".env"], action: [entry]}
    rules(person, repo, **files)
    done = person.mooring("new", "fix-login", cwd=repo)
    place = Path(done.stdout.strip())
    assert "kept as it is: kept.txt (the worktree has one itself)" in done.stderr
    (place / ".env").write_text("mine\n")
    done = person.mooring("new", "fix-login", "--force", cwd=repo)
    assert "kept as it is: kept.txt" in done.stderr
    assert (place / ".env").read_text() == "A=1\n"
    assert (place / "kept.txt").read_text() == "theirs\n"
    assert status(person, place) == ""


def test_a_template_that_becomes_a_copy_is_kept_as_one(person: Person, repo: Path) -> None:
    """If its source is gone, it is the last one: an end names it."""
    rules(person, repo, template=[{"src": "README.md", "dest": ".env"}])
    place = made(person, "fix-login", "--trust", cwd=repo)
    (repo / ".env").write_text("A=1\n")
    rules(person, repo, copy=[".env"])
    made(person, "fix-login", cwd=repo)
    assert (place / ".env").read_text() == "A=1\n"
    (repo / ".env").unlink()
    done = person.mooring("end", "fix-login", cwd=repo, check=False)
    assert done.returncode == 1
    assert "ignored: .env" in done.stderr
    assert (place / ".env").read_text() == "A=1\n"
