"""What a spec says and cannot have: a person is told, with the reason, and nothing is guessed."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import pytest

from tests.git.traces import made, status, worktrees
from tests.support import Person, commit


def spec(**files: object) -> str:
    """A mooring.yaml with these `files`."""
    return json.dumps({"files": files})


def put_no_file(place: Path, kind: str) -> None:
    """Something that is no plain file."""
    if kind == "symlink":
        place.symlink_to("shared.yaml")
    elif kind == "directory":
        place.mkdir()
    else:
        os.mkfifo(place)


def test_a_pattern_that_ends_with_a_backslash(person: Person, repo: Path) -> None:
    (repo / ".worktreeinclude").write_text("# ours\na\\\n")
    done = person.mooring("new", "fix-login", cwd=repo, check=False)
    assert done.returncode == 1
    assert "Cannot read .worktreeinclude line 2: 'a\\\\' ends with a backslash" in done.stderr


@pytest.mark.parametrize("name", ["mooring.yaml", ".worktreeinclude"])
@pytest.mark.parametrize("kind", ["symlink", "directory", "fifo"])
def test_a_spec_that_is_no_file(person: Person, repo: Path, name: str, kind: str) -> None:
    (repo / "shared.yaml").write_text(spec(required=[".env.none"]))
    place = made(person, "earlier", cwd=repo)
    put_no_file(repo / name, kind)
    done = person.mooring("new", "fix-login", cwd=repo, check=False)
    assert done.returncode == 1
    said = f"Cannot read {name}: it is no plain file that can be read"
    assert said in done.stderr
    assert f"hint: ls -ld {repo}/{name}" in done.stderr
    ended = person.mooring("end", "earlier", cwd=repo)
    assert f"{said}; going on without it" in ended.stderr
    assert not place.exists()
    assert worktrees(person, repo) == []


@pytest.mark.parametrize("kind", ["symlink", "directory"])
def test_a_committed_spec_that_is_no_file(person: Person, repo: Path, kind: str) -> None:
    if kind == "symlink":
        (repo / "mooring.yaml").symlink_to("shared.yaml")
        person.git("add", "mooring.yaml", cwd=repo)
    commit(person, repo, {"x": "x\n"} if kind == "symlink" else {"mooring.yaml/x": "x\n"})
    url = f"file://{repo}"
    done = person.mooring("new", "fix-login", "--repo", url, check=False)
    assert done.returncode == 1
    assert "Cannot read mooring.yaml" in done.stderr


def dry(person: Person, repo: Path, *args: str) -> list[str]:
    """What a dry run of `new fix-login` says."""
    return person.mooring("new", "fix-login", "--dry-run", *args, cwd=repo).stderr.splitlines()


def test_a_dry_run_says_which_files_would_change(person: Person, repo: Path) -> None:
    (repo / "mooring.yaml").write_text(spec(copy=[".env*"], skip=[".env.local"]))
    (repo / ".env").write_text("A=1\n")
    place = made(person, "fix-login", cwd=repo)
    assert "nothing to do" in dry(person, repo)
    (repo / ".env").write_text("A=2\n")
    (repo / ".env.more").write_text("B=1\n")
    said = dry(person, repo)
    assert "would copy .env to .env" in said
    assert "would copy .env.more to .env.more" in said
    assert "nothing to do" not in said
    assert (place / ".env").read_text() == "A=1\n"
    (place / ".env").write_text("MINE=1\n")
    assert "would copy .env to .env" not in dry(person, repo)
    assert "would copy .env to .env" in dry(person, repo, "--force")


def test_a_dry_run_after_a_setup_was_added(person: Person, repo: Path) -> None:
    own = person.home / ".config/mooring"
    own.mkdir(parents=True)
    made(person, "fix-login", cwd=repo)
    (own / "config.yaml").write_text(json.dumps({"setup": ["true"]}))
    said = dry(person, repo)
    assert "nothing to do" not in said
    assert any(line.startswith("would ") for line in said), said


def test_a_tracked_file_comes_to_another_place(person: Person, repo: Path) -> None:
    commit(person, repo, {"example": "A=1\n", "cfg": "x\n", ".gitignore": ".env*\n"})
    (repo / "mooring.yaml").write_text(
        spec(copy=[{"src": "example", "dest": ".env.mine", "mode": "0600"}, "cfg", "nope"])
    )
    (repo / "example").write_text("A=2\n")
    done = person.mooring("new", "fix-login", cwd=repo)
    place = Path(done.stdout.strip())
    assert (place / ".env.mine").read_text() == "A=2\n"
    assert (place / ".env.mine").stat().st_mode & 0o777 == 0o600
    assert (place / "example").read_text() == "A=1\n"
    assert "not copied: example" not in done.stderr
    assert "not copied: cfg (git tracks it" in done.stderr
    assert f"not copied: nope ({repo} has no such file)" in done.stderr
    assert status(person, place) == ""
    assert "unchanged" in person.mooring("new", "fix-login", cwd=repo).stderr
    (repo / "example").write_text("A=3\n")
    assert made(person, "fix-login", cwd=repo) == place
    assert (place / ".env.mine").read_text() == "A=3\n"
    person.mooring("end", "fix-login", cwd=repo)
    assert worktrees(person, repo) == []


def test_a_tracked_file_of_a_url_comes_from_where_the_command_runs(
    person: Person, repo: Path
) -> None:
    files = {"mooring.yaml": spec(copy=[{"src": "cfg", "dest": "mine"}])}
    commit(person, repo, {**files, "cfg": "x\n"})
    url = f"file://{repo}"
    person.git("remote", "add", "origin", url, cwd=repo)
    done = person.mooring("new", "fix-login", "--repo", url, cwd=repo)
    assert (Path(done.stdout.strip()) / "mine").read_text() == "x\n"


def test_what_a_tracked_file_would_be_put_over_is_named(person: Person, repo: Path) -> None:
    commit(person, repo, {"cfg": "x\n", "cfg.dev": "y\n"})
    (repo / "mooring.yaml").write_text(spec(copy=[{"src": "cfg.dev", "dest": "cfg"}]))
    done = person.mooring("new", "fix-login", cwd=repo, check=False)
    assert "Cannot copy cfg.dev to cfg (mooring.yaml: files.copy[0]): the repo tracks it" in (
        done.stderr
    )


def test_what_a_setting_makes_to_be_approved_can_be(person: Person, repo: Path) -> None:
    commit(person, repo, {"t.j2": "A=1\n"})
    told = "files.template=[{src: t.j2, dest: .env.t}]"
    done = person.mooring("new", "fix-login", "--set", told, cwd=repo, check=False)
    assert done.returncode == 4
    words = ("mooring", "new", "fix-login", "--set", told, "--trust")
    assert f"hint: {shlex.join(words)}    # approves them" in done.stderr
    place = made(person, *words[2:], cwd=repo)
    assert (place / ".env.t").read_text() == "A=1\n"


def test_why_a_required_file_is_not_brought(person: Person, repo: Path) -> None:
    (repo / "mooring.yaml").write_text(spec(copy=["cfg"], required=["cfg"]))
    (repo / "cfg").write_text("x\n")
    done = person.mooring("new", "fix-login", cwd=repo, check=False)
    assert done.returncode == 1
    assert f"looks for {repo}/cfg; not copied: cfg (git would show it)" in done.stderr


def test_templates_in_directories_below_are_named(person: Person, repo: Path) -> None:
    names = ("a.template", "sub/b.template", "sub/deep/c.template", "none/x")
    commit(person, repo, {f"conf/{name}": "A=1\n" for name in names})
    done = person.mooring("files", "import", "conf", "--json", cwd=repo)
    assert json.loads(done.stdout) == {
        "files": {"template": [{"src": "conf/a.template", "dest": "a"}]},
        "notes": [
            "left out: templates in sub/ (import that directory itself)",
            "left out: templates in sub/deep/ (import that directory itself)",
        ],
    }
