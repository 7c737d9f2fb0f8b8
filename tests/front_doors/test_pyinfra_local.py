"""Plain pyinfra on this host: made, unchanged, dry, ended, refused; what it prints and keeps."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import pytest

from mooring.deploys import PROVISION, RETIRE
from tests.git.traces import ROOT, branches, leftovers, listing, live, made, refs, rows, worktrees
from tests.support import PROJECT, Done, Person, commit, make_repo

LOCAL = PROJECT / "inventories/local.py"
SECRET = "hunter2-Zq9vX4"
STEPS = tuple(name for name, _ in PROVISION)


def deploy(
    person: Person,
    name: str,
    *flags: str,
    inventory: Path = LOCAL,
    check: bool = True,
    **data: object,
) -> Done:
    """Run one of the entry files with plain pyinfra."""
    given = [word for key, value in data.items() for word in ("--data", f"{key}={value}")]
    entry = PROJECT / f"deploy/{name}.py"
    return person.pyinfra(*flags, inventory, entry, *given, check=check)


def said(done: Done) -> str:
    return done.stdout + done.stderr


def outcomes(done: Done) -> list[str]:
    """What pyinfra says of each operation on the one host, in order."""
    return re.findall(r"^ +\[@local] +(Success|No changes|Error)", said(done), re.MULTILINE)


def changing(done: Done) -> list[str]:
    """The operations that `--dry --json` says would change something."""
    plan = json.loads(done.stdout)["plan"]
    return [item["name"] for item in plan if item["hosts_with_change"]]


def test_made_unchanged_ended(person: Person, repo: Path) -> None:
    before = refs(person, repo)
    first = deploy(person, "workspace", "-y", topic="fix-login", repo=repo)
    assert outcomes(first).count("Success") == 4
    place = repo.parent / "shop.worktrees/fix-login"
    assert (place / "app/shop.py").is_file()
    assert [row["state"] for row in rows(person)] == ["ready"]

    there = listing(place, repo, person.home / ROOT / "records")
    again = deploy(person, "workspace", "-y", topic="fix-login", repo=repo)
    assert outcomes(again) == ["No changes"] * len(STEPS)
    assert listing(place, repo, person.home / ROOT / "records") == there

    ended = deploy(person, "retire", "-y", topic="fix-login", repo=repo)
    assert outcomes(ended) == ["No changes", "Success", "Success"]  # it has no container
    assert not place.parent.exists()
    assert refs(person, repo) == before
    assert [row["state"] for row in rows(person)] == ["ended"]
    assert outcomes(deploy(person, "retire", "-y", topic="fix-login", repo=repo)) == [
        "No changes"
    ] * len(RETIRE)


@pytest.mark.parametrize("flags", [("--dry",), ("--dry", "--json")])
def test_dry_changes_nothing(person: Person, repo: Path, flags: tuple[str, ...]) -> None:
    before = listing(person.home)
    done = deploy(person, "workspace", *flags, topic="fix-login", repo=repo)
    assert "Worktree of fix-login" in said(done)
    if "--json" in flags:
        assert changing(done) == [
            f"Workspace | {step} of fix-login" for step in ("Claim", "Worktree", "Envrc", "Session")
        ]
    assert listing(person.home) == before


def test_dry_of_a_url_changes_nothing(person: Person, origin: str) -> None:
    before = listing(person.home)
    done = deploy(person, "workspace", "--dry", "--json", topic="fix-login", repo=origin)
    assert "Workspace | Cache of fix-login" in changing(done)
    assert listing(person.home) == before


def test_dry_of_an_end_changes_nothing(person: Person, repo: Path) -> None:
    made(person, "fix-login", cwd=repo)
    before = listing(person.home, without=("registry.db", "locks"), times=False)
    done = deploy(person, "retire", "--dry", "--json", topic="fix-login", repo=repo)
    assert changing(done) == ["Retire | Worktree of fix-login", "Retire | Record of fix-login"]
    assert listing(person.home, without=("registry.db", "locks"), times=False) == before


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        ("Fix Login", "Cannot use 'Fix Login' as topic"),
        ("../up", "Cannot use '../up' as topic"),
        ("$(touch pwned)", "Cannot use '$(touch pwned)' as topic"),
        ("007", "as topic: pyinfra read it as int"),
        ("1e3", "as topic: pyinfra read it as float"),
        ("true", "as topic: pyinfra read it as bool"),
        ("null", "no topic was given"),
        ("[a]", "as topic"),
        ("", "topic"),
    ],
)
def test_bad_topic(person: Person, repo: Path, topic: str, reason: str) -> None:
    before = listing(person.home)
    done = deploy(person, "workspace", "-y", check=False, topic=topic, repo=repo)
    assert_refused(done, reason)
    assert listing(person.home) == before


def test_quoted_number_is_a_topic(person: Person, repo: Path) -> None:
    deploy(person, "workspace", "-y", topic='"007"', repo=repo)
    assert [row["topic"] for row in rows(person)] == ["007"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"topic": "x"}, "no repo was given"),
        ({"repo": "src/shop"}, "no topic was given"),
        ({"topic": "x", "repo": "/no/such/repo"}, "there is no directory /no/such/repo"),
        ({"topic": "x", "repo": "ext::sh -c true"}, "remote helpers"),
        ({"topic": "x", "repo": "src/shop", "base": "nowhere"}, "Cannot start 'x' from 'nowhere'"),
        ({"topic": "x", "repo": "src/shop", "fetch": "maybe"}, "must be true or false"),
    ],
)
def test_bad_data(person: Person, repo: Path, data: dict[str, str], reason: str) -> None:
    before = listing(person.home)
    done = deploy(person, "workspace", "-y", check=False, **data)
    assert_refused(done, reason)
    assert listing(person.home) == before


def assert_refused(done: Done, reason: str) -> None:
    """One sentence, that host failed, and no trace of Python."""
    assert done.returncode == 1
    lines = [line for line in said(done).splitlines() if "[@local]" in line]
    sentences = [line for line in lines if "Cannot" in line]
    assert len(sentences) == 1, said(done)
    assert reason in sentences[0]
    assert "Traceback" not in said(done)
    assert "pyinfra-debug.log" not in said(done)


def test_a_relative_path_is_one_of_the_target(person: Person, repo: Path) -> None:
    deploy(person, "workspace", "-y", topic="x", repo="src/shop")
    deploy(person, "workspace", "-y", topic="x", repo="~/src/shop")
    assert [row["source"] for row in rows(person)] == [str(repo)]


def test_module_form_from_elsewhere(person: Person, repo: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    words = ("topic=fix-login", f"repo={repo}")
    for deploy_name in ("workspace", "workspace", "retire"):
        done = person.pyinfra(
            "-y", "@local", f"mooring.deploys.{deploy_name}", *words, cwd=elsewhere
        )
        assert "Error" not in outcomes(done)
    assert list(elsewhere.iterdir()) == []
    assert live(person.home) == []
    assert worktrees(person, repo) == []


def test_both_front_doors_make_the_same(person: Person, repo: Path) -> None:
    place = made(person, "fix-login", cwd=repo)
    there = listing(place)
    done = deploy(person, "workspace", "-y", topic="fix-login", repo=repo)
    assert outcomes(done) == ["No changes"] * len(STEPS)
    assert listing(place) == there


def plant(person: Person, repo: Path) -> None:
    """A value that nobody may see, in the repo's spec and in the user's own config."""
    (repo / "mooring.yaml").write_text(f'env: {{REPO_KEY: "repo-{SECRET}"}}\n')
    config = person.home / ".config/mooring/config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text(f'env: {{OWN_KEY: "own-{SECRET}"}}\n')
    commit(person, repo, {"mooring.yaml": (repo / "mooring.yaml").read_text()})


@pytest.mark.parametrize(
    "flags",
    [("-y", "-vvv"), ("--dry", "--json"), ("-y", "--json")],
)
def test_no_secret_in_what_pyinfra_prints(
    person: Person, repo: Path, flags: tuple[str, ...]
) -> None:
    plant(person, repo)
    done = deploy(person, "workspace", *flags, topic="fix-login", repo=repo)
    assert SECRET not in said(done)
    if "-y" in flags:
        place = repo.parent / "shop.worktrees/fix-login"
        assert f"repo-{SECRET}" in (place / ".envrc").read_text()
        assert SECRET not in (place / ".session-context.md").read_text()
    assert_root_holds_no_secret(person)


def test_no_secret_in_pyinfras_debugging(person: Person, repo: Path) -> None:
    plant(person, repo)
    done = deploy(person, "workspace", "--debug-all", check=False, topic="fix-login", repo=repo)
    assert "fix-login" in said(done)
    assert SECRET not in said(done)


def test_no_secret_when_it_fails(person: Person, repo: Path) -> None:
    plant(person, repo)
    hook = repo / ".git/hooks/post-checkout"
    hook.write_text("#!/bin/sh\necho hook failed >&2\nexit 1\n")
    hook.chmod(0o755)
    done = deploy(person, "workspace", "-y", "-vvv", check=False, topic="x", repo=repo)
    assert done.returncode == 1
    assert "hook failed" in said(done)
    assert SECRET not in said(done)


def test_no_secret_in_what_the_cli_prints(person: Person, repo: Path) -> None:
    plant(person, repo)
    for args in (
        ("new", "fix-login", "--dry-run"),
        ("new", "fix-login", "--dry-run", "--json"),
        ("new", "fix-login"),
        ("new", "fix-login", "--json"),
        ("status", "fix-login"),
        ("status", "fix-login", "--json", "--check"),
        ("list", "--json"),
        ("sessions", "--json"),
        ("resume", "fix-login", "--launch", "none", "--json"),
        ("end", "fix-login", "--json"),
    ):
        assert SECRET not in said(person.mooring(*args, cwd=repo)), args
    assert_root_holds_no_secret(person)


def assert_root_holds_no_secret(person: Person) -> None:
    """Neither the registry nor records nor anything else that Mooring keeps has the value."""
    for path in (person.home / ROOT).rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path


def test_url_repo(person: Person, origin: str) -> None:
    bare = Path(origin.removeprefix("file://"))
    name = f"file{bare.with_suffix('')}"
    deploy(person, "workspace", "-y", topic="fix-login", repo=origin)
    cache = person.home / ROOT / "cache" / f"{name}.git"
    place = person.home / ROOT / "worktrees" / name / "dev/fix-login"
    assert person.git("config", "remote.origin.url", cwd=cache).stdout.strip() == origin
    assert (place / "app/shop.py").is_file()
    assert branches(person, cache) == ["fix-login"]

    there = listing(person.home, without=("registry.db",))
    again = deploy(person, "workspace", "-y", topic="fix-login", repo=origin)
    assert outcomes(again) == ["No changes"] * len(STEPS)
    after = listing(person.home, without=("registry.db",))
    after[str(person.home / ROOT)] = there[str(person.home / ROOT)]  # SQLite's own files
    assert after == there

    deploy(person, "retire", "-y", topic="fix-login", repo=origin)
    assert not place.exists()
    assert cache.is_dir()
    assert branches(person, cache) == []


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("prots: [web]\n", "unknown key 'prots'; did you mean 'ports'?"),
        ("env: {A: '{{ nothing }}'}\n", "there is no 'nothing'"),
        ("branch: '{{ topic }}..x'\n", "as branch"),
        ("base: nowhere\n", "'nowhere'"),
    ],
)
def test_bad_spec_in_a_fresh_url_repo(
    person: Person, repo: Path, origin: str, spec: str, reason: str
) -> None:
    commit(person, repo, {"mooring.yaml": spec})
    person.git("push", "origin", "main", cwd=repo)
    done = deploy(person, "workspace", "-y", check=False, topic="fix-login", repo=origin)
    assert done.returncode == 1
    assert said(done).count("Cannot ") == 1, said(done)
    assert reason in said(done)
    assert "Traceback" not in said(done)
    assert not (person.home / "pyinfra-debug.log").exists()
    assert_nothing_made(person)


def assert_nothing_made(person: Person) -> None:
    """No worktree, branch, record, row, port or stage directory; a whole cache may stay."""
    root = person.home / ROOT
    assert not (root / "worktrees").exists()
    assert not (root / "records").exists()
    assert rows(person) == []
    assert leftovers(person.home) == []
    for cache in root.glob("cache/**/*.git"):
        assert branches(person, cache) == []
        assert worktrees(person, cache) == []


def test_unreachable_host_stops_no_other(person: Person, repo: Path) -> None:
    with socket.socket() as closed:  # bound, not listening: nobody else gets the port
        closed.bind(("127.0.0.1", 0))
        inventory = person.home / "hosts.py"
        away = ("@ssh/127.0.0.1", {"ssh_port": closed.getsockname()[1]})
        inventory.write_text(f"hosts = ['@local', {away!r}]\n")
        done = deploy(
            person, "workspace", "-y", inventory=inventory, check=False, topic="x", repo=repo
        )
    assert done.returncode == 1
    assert outcomes(done).count("Success") == 4
    assert [row["state"] for row in rows(person)] == ["ready"]
    assert "[@ssh/127.0.0.1]" in said(done)
    assert "Traceback" not in said(done)
    assert not (person.home / "pyinfra-debug.log").exists()


def test_refusing_host_stops_no_other(person: Person, repo: Path) -> None:
    """Two roots stand for two hosts: one of them has another worktree in the way."""
    other = make_repo(person, person.home / "src/other", {"README.md": "# Other\n"})
    inventory = person.home / "hosts.py"
    hosts = [
        ("@local", {"repo": str(repo)}),
        ("@ssh/nowhere.invalid", {"repo": str(other), "topic": "Bad Topic"}),
    ]
    inventory.write_text(f"hosts = {hosts!r}\n")
    done = deploy(person, "workspace", "-y", inventory=inventory, check=False, topic="x")
    assert done.returncode == 1
    assert [row["topic"] for row in rows(person)] == ["x"]
