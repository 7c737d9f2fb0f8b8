"""Where files come from: the controller's checkout, the user's config, other places, git itself."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.files.test_directories import fill, inside
from tests.git.traces import leftovers, made, status, worktrees
from tests.support import PROJECT, Person, commit
from tests.targets.sshd import SshTarget, ssh_target

IGNORED = ".env*\n/fixtures/\n/link\n/certs/\n"
SPEC: dict[str, object] = {
    "copy": [".env*", "/fixtures", "/link", {"src": ".env.shared", "dest": ".env.team"}],
    "skip": [".env.old"],
    "required": [".env"],
}


def write(person: Person, **files: object) -> None:
    """Let these be the `files` of the person's own config."""
    own = person.home / ".config/mooring"
    own.mkdir(parents=True, exist_ok=True)
    (own / "config.yaml").write_text(json.dumps({"files": files}))


@pytest.fixture
def checkout(person: Person, repo: Path) -> Path:
    """A checkout with untracked files, whose commits a server has."""
    commit(person, repo, {"mooring.yaml": json.dumps({"files": SPEC}), ".gitignore": IGNORED})
    for name in (".env", ".env.old", ".env.shared"):
        (repo / name).write_text(f"FROM={name}\n")
    (repo / ".env").chmod(0o600)
    os.utime(repo / ".env", (0, 1_600_000_000))
    (repo / "link").symlink_to(".env")
    return repo


@pytest.fixture
def url(person: Person, checkout: Path, origin: str) -> str:
    """What it was cloned from, as it were."""
    person.git("push", origin, "main", cwd=checkout)
    remotes = person.git("remote", cwd=checkout).stdout
    verb = "set-url" if "origin" in remotes else "add"
    person.git("remote", verb, "origin", origin, cwd=checkout)
    return origin


def test_of_a_url_they_come_from_where_the_command_runs(
    person: Person, checkout: Path, url: str
) -> None:
    fill(checkout / "fixtures")
    done = person.mooring("new", "fix-login", "--repo", url, cwd=checkout / "app")
    place = Path(done.stdout.strip())
    assert (place / ".env").read_text() == "FROM=.env\n"
    assert (place / ".env").stat().st_mode & 0o777 == 0o600
    assert (place / ".env").stat().st_mtime == 1_600_000_000
    assert (place / ".env.team").read_text() == "FROM=.env.shared\n"
    assert not (place / ".env.old").exists()
    assert os.readlink(place / "link") == ".env"
    assert inside(place / "fixtures").keys() == inside(checkout / "fixtures").keys()
    assert status(person, place) == ""
    assert leftovers(person.home) == []
    again = person.mooring("new", "fix-login", "--repo", url, cwd=checkout)
    assert "unchanged" in again.stderr
    (checkout / ".env").write_text("NEWER=1\n")
    person.mooring("new", "fix-login", "--repo", url, cwd=checkout)
    assert (place / ".env").read_text() == "NEWER=1\n"
    person.mooring("end", "fix-login", "--repo", url)
    assert not place.exists()


def test_elsewhere_there_is_no_such_checkout(person: Person, checkout: Path, url: str) -> None:
    done = person.mooring("new", "fix-login", "--repo", url, check=False)
    assert done.returncode == 1, "one is required"
    assert "the command doesn't run in one either" in done.stderr
    other = person.home / "other"
    other.mkdir()
    person.git("init", cwd=other)
    (other / ".env").write_text("PLANTED=1\n")
    again = person.mooring("new", "fix-login", "--repo", url, cwd=other, check=False)
    assert again.returncode == 1
    assert "the command doesn't run in one either" in again.stderr


def test_what_is_edited_in_a_workspace_of_a_url_stays(
    person: Person, checkout: Path, url: str
) -> None:
    place = made(person, "fix-login", "--repo", url, cwd=checkout)
    (place / ".env").write_text("MINE=1\n")
    (checkout / ".env").write_text("NEWER=1\n")
    person.mooring("new", "fix-login", "--repo", url, cwd=checkout)
    assert (place / ".env").read_text() == "MINE=1\n"
    assert (place / ".env.mooring-new").read_text() == "NEWER=1\n"
    refused = person.mooring("end", "fix-login", "--repo", url, check=False)
    assert "  ignored: .env\n" in refused.stderr


def test_of_the_users_own_config(person: Person, repo: Path) -> None:
    entry = {"src": "shared.env", "dest": ".env.mine", "root": "user", "mode": "0600"}
    write(person, copy=[entry])
    (person.home / ".config/mooring/shared.env").write_text("A=1\n")
    place = made(person, "fix-login", cwd=repo)
    assert (place / ".env.mine").read_text() == "A=1\n"
    assert (place / ".env.mine").stat().st_mode & 0o777 == 0o600
    assert status(person, place) == ""
    assert "unchanged" in person.mooring("new", "fix-login", cwd=repo).stderr
    (person.home / ".config/mooring/shared.env").write_text("A=2\n")
    person.mooring("new", "fix-login", cwd=repo)
    assert (place / ".env.mine").read_text() == "A=2\n"
    person.mooring("end", "fix-login", cwd=repo)


@pytest.mark.parametrize("action", ["copy", "symlink"])
def test_of_another_place_on_the_target(person: Person, repo: Path, action: str) -> None:
    source = person.home / "certs/dev.pem"
    source.parent.mkdir()
    source.write_text("PEM\n")
    entry = {"src": str(source), "dest": "certs/dev.pem", "root": "target"}
    write(person, **{action: [entry]})
    place = made(person, "fix-login", cwd=repo)
    assert (place / "certs/dev.pem").read_text() == "PEM\n"
    assert (place / "certs/dev.pem").is_symlink() == (action == "symlink")
    assert status(person, place) == ""
    assert "unchanged" in person.mooring("new", "fix-login", cwd=repo).stderr
    person.mooring("end", "fix-login", cwd=repo)
    assert source.read_text() == "PEM\n"


def test_a_missing_source_is_said_with_its_root(person: Person, repo: Path) -> None:
    write(
        person,
        copy=[
            {"src": "nope", "dest": "a", "root": "user"},
            {"src": "/nope", "dest": "b", "root": "target"},
            {"src": "nope", "dest": "c"},
            {"src": "other", "dest": "d", "optional": True},
        ],
        symlink=[{"src": "/nope", "dest": "e", "root": "target"}],
    )
    said = person.mooring("new", "fix-login", cwd=repo).stderr
    assert "not copied: nope (your config directory has no such file)" in said
    assert "not copied: /nope (the target has no such file)" in said
    assert f"not copied: nope ({repo} has no such file)" in said
    assert "not linked: /nope (the target has no such file)" in said
    assert "other" not in said


@pytest.mark.parametrize("root", ["user", "target"])
def test_a_repo_names_nothing_outside_of_it(person: Person, repo: Path, root: str) -> None:
    src = "/etc/passwd" if root == "target" else "config.yaml"
    entry = {"src": src, "dest": ".env.x", "root": root}
    (repo / "mooring.yaml").write_text(json.dumps({"files": {"copy": [entry]}}))
    done = person.mooring("new", "fix-login", cwd=repo, check=False)
    assert done.returncode == 1
    assert f"root: {root} is for your own config" in done.stderr
    assert worktrees(person, repo) == []


def test_what_git_tracks(person: Person, repo: Path) -> None:
    entries: list[dict[str, object]] = [{"src": "app/shop.py"}]
    (repo / "mooring.yaml").write_text(json.dumps({"files": {"copy": entries}}))
    (repo / "app/shop.py").write_text("changed = True\n")
    done = person.mooring("new", "fix-login", cwd=repo)
    place = Path(done.stdout.strip())
    assert "not copied: app/shop.py (git tracks it" in done.stderr
    assert (place / "app/shop.py").read_text() != "changed = True\n"
    entries[0]["tracked"] = True
    (repo / "mooring.yaml").write_text(json.dumps({"files": {"copy": entries}}))
    person.mooring("new", "fix-login", cwd=repo)
    assert (place / "app/shop.py").read_text() == "changed = True\n"
    assert status(person, place) == " M app/shop.py\n"
    assert "unchanged" in person.mooring("new", "fix-login", cwd=repo).stderr
    person.mooring("end", "fix-login", cwd=repo)
    place = made(person, "other", cwd=repo)
    (place / "app/shop.py").write_text("mine\n")
    kept = person.mooring("new", "other", cwd=repo)
    assert "kept as it is: app/shop.py" in kept.stderr
    refused = person.mooring("end", "other", cwd=repo, check=False)
    assert "uncommitted:  M app/shop.py" in refused.stderr


@pytest.fixture
def sshd(person: Person) -> Iterator[SshTarget]:
    """Another user of this machine, behind an ssh server."""
    with ssh_target(person) as target:
        yield target


def test_over_ssh_in_one_stream(person: Person, checkout: Path, sshd: SshTarget) -> None:
    fill(checkout / "fixtures")
    sshd.run("git init -q --bare --initial-branch=main remotes/shop.git")
    url = f"file://{sshd.home}/remotes/shop.git"
    person.git("push", f"box:{sshd.home}/remotes/shop.git", "main", cwd=checkout)
    person.git("remote", "add", "origin", url, cwd=checkout)
    entry = PROJECT / "deploy/workspace.py"
    data = ("--data", "topic=fix-login", "--data", f"repo={url}")
    flags = ("-y", "-vvv", "--debug", PROJECT / "inventories/fleet.py", entry, *data)
    env = {"MOORING_FLEET": "box"}
    (checkout / ".env").write_text("KEY=hunter2-Zq9vX4\n")
    done = person.pyinfra(*flags, env=env, cwd=checkout, timeout=300)
    assert "hunter2-Zq9vX4" not in done.stdout + done.stderr
    places = "find ~/.local/share/mooring/worktrees -name fix-login -type d"
    place = Path(sshd.run(places).stdout.strip())
    assert sshd.run(f"cat {place}/.env").stdout == "KEY=hunter2-Zq9vX4\n"
    assert sshd.run(f"stat -c %a {place}/.env").stdout == "600\n"
    assert sshd.run(f"ls {place}/fixtures/d0 | wc -l").stdout.strip() == "50"
    assert sshd.run(f"git -C {place} status --porcelain").stdout == ""
    again = person.pyinfra(*flags, env=env, cwd=checkout, timeout=300)
    assert again.stdout.count("Success") == 0
