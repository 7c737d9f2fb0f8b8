"""What a repo or a person can do that must not cost anybody anything: once broken, now held."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.support import Person, commit


def new(person: Person, repo: Path, topic: str, *args: str) -> Path:
    """A workspace, without Claude."""
    done = person.mooring("new", topic, "--launch", "none", *args, cwd=repo)
    return Path(done.stdout.strip())


@pytest.mark.parametrize("planted", ["a file of ours", "the directory"])
def test_a_tracked_mooring_directory_is_never_written_through(
    person: Person, repo: Path, planted: str
) -> None:
    precious = person.home / "precious"
    precious.mkdir()
    (precious / "notes").write_text("mine\n")
    if planted == "the directory":
        (repo / ".mooring").symlink_to(precious)
    else:
        (repo / ".mooring").mkdir()
        (repo / ".mooring/.gitignore").symlink_to(precious / "notes")
    person.git("add", "--force", ".mooring", cwd=repo)
    person.git("commit", "-qm", "Plant", cwd=repo)
    done = person.mooring("new", "fix-login", "--launch", "none", cwd=repo, check=False)
    assert done.returncode == 1
    assert "has a .mooring of its own" in done.stderr
    assert [path.name for path in precious.iterdir()] == ["notes"]
    assert (precious / "notes").read_text() == "mine\n"
    assert not list(person.home.glob(".local/share/mooring/records/*/*/*"))


def test_a_base_that_no_ref_keeps_keeps_its_branch(person: Person, repo: Path) -> None:
    lone = person.git("commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "x", cwd=repo)
    sha = lone.stdout.strip()
    new(person, repo, "fix-login", "--base", sha)
    person.mooring("end", "fix-login", cwd=repo)
    holders = person.git("for-each-ref", "--contains", sha, cwd=repo).stdout
    assert "refs/heads/fix-login" in holders


def test_the_last_copy_of_a_file_is_not_removed(person: Person, repo: Path) -> None:
    (repo / "mooring.yaml").write_text("files: {copy: ['.env*']}\n")
    new(person, repo, "fix-login")
    (repo / ".env.local").unlink()
    done = person.mooring("end", "fix-login", cwd=repo, check=False)
    assert done.returncode == 1
    assert "ignored: .env.local" in done.stderr


def test_commits_in_a_submodule_are_refused_even_by_force(
    person: Person, repo: Path, tmp_path: Path
) -> None:
    allow = ("-c", "protocol.file.allow=always")
    library = tmp_path / "library"
    shutil.copytree(repo, library)
    person.git(*allow, "submodule", "--quiet", "add", str(library), "library", cwd=repo)
    person.git("commit", "-qm", "Add the library", cwd=repo)
    place = new(person, repo, "fix-login")
    person.git(*allow, "submodule", "--quiet", "update", "--init", cwd=place)
    commit(person, place / "library", {"work.txt": "work\n"})
    done = person.mooring("end", "fix-login", "--force", cwd=repo, check=False)
    assert done.returncode == 1
    assert "library" in done.stderr
    assert (place / "library/work.txt").exists()


def test_the_record_follows_the_branch_a_person_went_to(person: Person, repo: Path) -> None:
    place = new(person, repo, "fix-login")
    person.git("switch", "-qc", "other", cwd=place)
    commit(person, place, {"work.txt": "work\n"})
    person.mooring("end", "fix-login", cwd=repo)
    again = person.mooring("resume", "fix-login", "--launch", "none", "--json", cwd=repo)
    assert json.loads(again.stdout)["branch"] == "other"
    assert (place / "work.txt").exists()


def test_where_we_stand_may_be_gone(person: Person, repo: Path) -> None:
    place = new(person, repo, "fix-login")
    script = "$0 -m mooring end fix-login && $0 -m mooring new other --launch none --repo $1"
    done = person.run("sh", "-c", script, sys.executable, str(repo), cwd=place)
    assert done.stdout.strip() == f"{repo}.worktrees/other"
    done = person.run(
        "sh",
        "-c",
        "$0 -m mooring end other; $0 -m mooring new third",
        sys.executable,
        cwd=Path(done.stdout.strip()),
        check=False,
    )
    assert done.returncode == 2
    assert "is gone" in done.stderr


def test_an_empty_topic_is_no_default(person: Person, repo: Path) -> None:
    place = new(person, repo, "fix-login")
    done = person.mooring("end", "", cwd=repo, check=False, env={"WORK_TOPIC": "fix-login"})
    assert done.returncode == 2
    assert place.is_dir()


def test_a_mode_only_takes_rights_away(person: Person, repo: Path) -> None:
    (repo / "mooring.yaml").write_text("files: {copy: [{src: .env.local, mode: '0666'}]}\n")
    place = new(person, repo, "fix-login")
    assert (place / ".env.local").stat().st_mode & 0o777 == 0o600


def test_a_branch_that_reads_as_a_commit_is_refused(person: Person, repo: Path) -> None:
    done = person.mooring("new", "x", "--branch", "f" * 40, cwd=repo, check=False)
    assert done.returncode == 2
    assert person.git("branch", cwd=repo).stdout == "* main\n"
