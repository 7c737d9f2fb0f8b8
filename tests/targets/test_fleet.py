"""A target over ssh, through the fleet's inventory: another user, another home, umask 077."""

from __future__ import annotations

import json
import pwd
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mooring.deploys import PROVISION, RETIRE
from tests.git.traces import ROOT, listing, rows
from tests.support import PROJECT, Done, Person
from tests.targets.sshd import SshTarget

FLEET = PROJECT / "inventories/fleet.py"
STEPS = len(PROVISION)
MAKE_SHOP = """
set -e
git config --global user.name Robin
git config --global user.email robin@example.com
git config --global init.defaultBranch main
mkdir -p src/shop && cd src/shop && git init -q
echo '# Shop' >README.md
echo '.env*' >.gitignore
printf 'files: {copy: [.env.local]}\\nports: [web]\\n' >mooring.yaml
git add . && git commit -q -m Open
echo API_KEY=planted-secret >.env.local
"""


@pytest.fixture
def shop(sshd: SshTarget) -> str:
    """A repo of the target's user, `~/src/shop` there."""
    sshd.run(MAKE_SHOP)
    return f"{sshd.home}/src/shop"


@pytest.fixture
def served(sshd: SshTarget, shop: str) -> str:
    """A `file://` URL on the target, for which it has no clone yet."""
    sshd.run("git clone -q --bare src/shop remotes/shop.git")
    return f"file://{sshd.home}/remotes/shop.git"


def deploy(
    person: Person, name: str, *flags: str, fleet: str = "box", check: bool = True, **data: str
) -> Done:
    given = [word for key, value in data.items() for word in ("--data", f"{key}={value}")]
    entry = PROJECT / f"deploy/{name}.py"
    env = {"MOORING_FLEET": fleet}
    return person.pyinfra(*flags, FLEET, entry, *given, env=env, check=check)


def outcomes(done: Done, host: str = "@ssh/box") -> list[str]:
    """What pyinfra says of each operation on that host, in order."""
    lines = (done.stdout + done.stderr).splitlines()
    mine = [line.replace(f"[{host}]", "").strip() for line in lines if f"[{host}]" in line]
    return [line for line in mine if line in ("Success", "No changes", "Error")]


def there(target: SshTarget, *places: str) -> dict[str, str]:
    """A listing of places below the target's home, which its user alone may read (we are root)."""
    return listing(*(target.home / place for place in places))


def assert_owned(target: SshTarget, *places: str) -> None:
    """All of it is that user's, and closed to others."""
    user = pwd.getpwnam(target.user).pw_uid
    for place in places:
        for path in [target.home / place, *(target.home / place).rglob("*")]:
            status = path.lstat()
            assert status.st_uid == user, path
            assert path.is_symlink() or not status.st_mode & 0o077, (path, oct(status.st_mode))


@contextmanager
def controller_untouched(person: Person) -> Iterator[None]:
    """Nothing is written on the controller's disk but the registry."""
    own = ("registry.db", "known_hosts")
    before = listing(person.home, without=own, times=False)
    yield
    after = listing(person.home, without=own, times=False)
    new = {path for path in after if after[path] != before.get(path)}
    allowed = {person.home / place for place in (".local", ".local/share", ROOT)}
    assert {Path(path) for path in new} <= allowed
    assert set(before) <= set(after)


def record(target: SshTarget) -> dict[str, object]:
    (path,) = (target.home / ROOT / "records").glob("*/*/*.json")
    value = json.loads(path.read_text())
    assert isinstance(value, dict)
    return value


def test_a_path_on_the_target(person: Person, sshd: SshTarget, shop: str) -> None:
    place = "src/shop.worktrees/fix-login"
    with controller_untouched(person):
        made = deploy(person, "workspace", "-y", topic="fix-login", repo=shop)
        assert outcomes(made).count("Success") == 5
        assert "Error" not in outcomes(made)
        before = there(sshd, place, f"{ROOT}/records")
        again = deploy(person, "workspace", "-y", topic="fix-login", repo=shop)
        assert outcomes(again) == ["No changes"] * STEPS
        assert there(sshd, place, f"{ROOT}/records") == before
    assert_owned(sshd, "src/shop.worktrees", ROOT)
    assert (sshd.home / place / ".env.local").read_text() == "API_KEY=planted-secret\n"
    assert sshd.run(f"git -C {place} status --porcelain").stdout == ""
    assert sshd.run("git -C src/shop status --porcelain").stdout == ""
    assert_row_is_the_record(person, sshd)

    deploy(person, "retire", "-y", topic="fix-login", repo=shop)
    assert not (sshd.home / place).parent.exists()
    assert record(sshd)["state"] == "ended"
    assert rows(person)[0]["state"] == "ended"
    assert sshd.run("git -C src/shop branch").stdout == "* main\n"
    again = outcomes(deploy(person, "retire", "-y", topic="fix-login", repo=shop))
    assert again == ["No changes"] * len(RETIRE)


def assert_row_is_the_record(person: Person, target: SshTarget) -> None:
    (row,) = rows(person)
    found = record(target)
    assert row["host"] == "@ssh/box"
    for name in ("topic", "agent", "repo", "source", "state", "worktree", "branch", "ports"):
        assert row[name] == found[name], name
    assert row["session"] == found["session"]


def test_direnv_there(person: Person, sshd: SshTarget, shop: str) -> None:
    deploy(person, "workspace", "-y", topic="fix-login", repo=shop)
    done = sshd.run("direnv exec src/shop.worktrees/fix-login env")
    assert "WORK_TOPIC=fix-login\n" in done.stdout
    assert f"CLAUDE_SESSION_ID={record(sshd)['session']}\n" in done.stdout


def test_a_url(person: Person, sshd: SshTarget, served: str) -> None:
    name = served.removeprefix("file://").removesuffix(".git").removeprefix("/")
    place = f"{ROOT}/worktrees/file/{name}/dev/fix-login"
    with controller_untouched(person):
        deploy(person, "workspace", "-y", topic="fix-login", repo=served)
        before = there(sshd, ROOT)
        again = deploy(person, "workspace", "-y", topic="fix-login", repo=served)
        assert outcomes(again) == ["No changes"] * STEPS
        assert there(sshd, ROOT) == before
    assert (sshd.home / place / "README.md").is_file()
    assert (sshd.home / ROOT / f"cache/file/{name}.git/HEAD").is_file()
    assert_owned(sshd, ROOT)
    deploy(person, "retire", "-y", topic="fix-login", repo=served)
    assert not (sshd.home / place).exists()


@pytest.mark.parametrize("flags", [("--dry",), ("--dry", "--json")])
def test_dry(person: Person, sshd: SshTarget, shop: str, flags: tuple[str, ...]) -> None:
    before, mine = there(sshd, ""), listing(person.home)
    done = deploy(person, "workspace", *flags, topic="fix-login", repo=shop)
    assert "Worktree of fix-login" in done.stdout + done.stderr
    if "--json" in flags:
        plan = json.loads(done.stdout)["plan"]
        assert any(item["hosts_with_change"] for item in plan)
    assert there(sshd, "") == before
    assert listing(person.home) == mine


def test_the_controllers_own_repo_is_not_meant(person: Person, repo: Path, sshd: SshTarget) -> None:
    """A path is one on the target, even where the controller has one of that name."""
    done = deploy(person, "workspace", "-y", check=False, topic="x", repo=str(repo))
    assert done.returncode == 1
    assert f"there is no directory {repo}" in done.stdout + done.stderr
    assert not (repo.parent / "shop.worktrees").exists()
    assert not (sshd.home / ROOT / "records").exists()


def test_refuses_to_lose_work_there(person: Person, sshd: SshTarget, shop: str) -> None:
    deploy(person, "workspace", "-y", topic="fix-login", repo=shop)
    sshd.run("echo mine >src/shop.worktrees/fix-login/idea.txt")
    done = deploy(person, "retire", "-y", check=False, topic="fix-login", repo=shop)
    assert done.returncode == 1
    assert "untracked: idea.txt" in done.stdout + done.stderr
    assert (sshd.home / "src/shop.worktrees/fix-login/idea.txt").is_file()
    deploy(person, "retire", "-y", topic="fix-login", repo=shop, force="true")
    assert not (sshd.home / "src/shop.worktrees").exists()


def test_no_secret_over_ssh(person: Person, sshd: SshTarget, shop: str) -> None:
    sshd.run("cd src/shop && echo 'env: {KEY: hunter2-Zq9vX4}' >>mooring.yaml")
    done = deploy(person, "workspace", "-y", "-vvv", topic="fix-login", repo=shop)
    assert "hunter2-Zq9vX4" in (sshd.home / "src/shop.worktrees/fix-login/.envrc").read_text()
    assert "hunter2-Zq9vX4" not in done.stdout + done.stderr
    assert "planted-secret" not in done.stdout + done.stderr


def test_a_slow_and_chatty_login(person: Person, sshd: SshTarget, shop: str) -> None:
    """What a login shell prints is not the answer of a script."""
    (sshd.home / ".profile").write_text("echo welcome; echo to the box >&2\n")
    (sshd.home / ".bashrc").write_text("echo welcome\n")
    deploy(person, "workspace", "-y", topic="fix-login", repo=shop)
    again = deploy(person, "workspace", "-y", topic="fix-login", repo=shop)
    assert outcomes(again) == ["No changes"] * STEPS


def test_the_same_topic_here_and_there(
    person: Person, repo: Path, sshd: SshTarget, served: str
) -> None:
    """Two targets, two workspaces, two sessions: one id on two stores would be a fork."""
    person.mooring("new", "fix-login", cwd=repo)
    deploy(person, "workspace", "-y", topic="fix-login", repo=served)
    found = rows(person)
    assert {str(row["host"]) for row in found} == {"@local", "@ssh/box"}
    assert len({str(row["session"]) for row in found}) == 2
    assert len({str(row["target"]) for row in found if "target" in row}) in (0, 2)


def test_unreachable_host_stops_no_other(person: Person, sshd: SshTarget, shop: str) -> None:
    with socket.socket() as closed:  # bound, not listening: nobody else gets the port
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with (person.home / ".ssh/config").open("a") as config:
            config.write(f"Host gone\n  HostName 127.0.0.1\n  Port {port}\n")
        done = deploy(
            person, "workspace", "-y", fleet="gone,box", check=False, topic="x", repo=shop
        )
    assert done.returncode == 1
    assert outcomes(done).count("Success") == 5
    assert "Traceback" not in done.stdout + done.stderr
    assert not (person.home / "pyinfra-debug.log").exists()
    assert record(sshd)["state"] == "ready"


def test_a_refusing_host_stops_no_other(person: Person, sshd: SshTarget, shop: str) -> None:
    """The same target under two names; for the other one the repo is not there."""
    with (person.home / ".ssh/config").open("a") as config:
        ssh = (person.home / ".ssh/config").read_text()
        config.write(ssh.replace("Host box", "Host other"))
    inventory = person.home / "hosts.py"
    hosts = [("@ssh/other", {"repo": "/no/such/repo"}), ("@ssh/box", {"repo": shop})]
    inventory.write_text(f"hosts = {hosts!r}\n")
    entry = PROJECT / "deploy/workspace.py"
    done = person.pyinfra("-y", inventory, entry, "--data", "topic=x", check=False)
    assert done.returncode == 1
    assert "there is no directory /no/such/repo" in done.stdout + done.stderr
    assert outcomes(done).count("Success") == 5
    assert record(sshd)["state"] == "ready"


def test_two_hosts_of_one_machine_at_once(person: Person, sshd: SshTarget, shop: str) -> None:
    """One target under two names: whoever is second finds it made, or says who made it."""
    with (person.home / ".ssh/config").open("a") as config:
        ssh = (person.home / ".ssh/config").read_text()
        config.write(ssh.replace("Host box", "Host other"))
    done = deploy(person, "workspace", "-y", fleet="box,other", check=False, topic="x", repo=shop)
    assert done.returncode == 0, done.stdout + done.stderr
    assert record(sshd)["state"] == "ready"
    assert len(rows(person)) == 1


def test_without_a_fleet(person: Person) -> None:
    done = deploy(person, "workspace", "-y", fleet="", check=False, topic="x", repo="y")
    assert "Traceback" not in done.stdout + done.stderr
