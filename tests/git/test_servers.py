"""The servers themselves, against plain git: they serve, they count, and they fail as told."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.claude.terminal import Terminal
from tests.git.servers import PASSPHRASE, HttpServer, SshServer, ssh_server
from tests.git.traces import head
from tests.support import Done, Person, commit, until

SIZE = 200_000  # bytes that cannot be compressed, in the pack
QUIET = {"GIT_TERMINAL_PROMPT": "0"}


@pytest.fixture
def served(person: Person, repo: Path) -> Path:
    """A directory with `shop.git`, whose pack is a bit larger than SIZE."""
    (repo / "photo").write_bytes(os.urandom(SIZE))
    person.git("add", "photo", cwd=repo)
    person.git("commit", "--quiet", "--message", "Photo", cwd=repo)
    person.git("clone", "--quiet", "--bare", repo, person.home / "served/shop.git")
    return person.home / "served"


@pytest.fixture
def server(served: Path) -> Iterator[HttpServer]:
    with HttpServer(served) as server:
        yield server


@pytest.fixture
def ssh(person: Person) -> Iterator[SshServer]:
    with ssh_server(person) as server:
        yield server


def clone(person: Person, url: str, *config: str, env: dict[str, str] | None = None) -> Done:
    """`git clone` to `~/clone`, without a terminal: it may fail, but never wait for anybody."""
    options = [word for setting in config for word in ("-c", setting)]
    git = ("setsid", "--wait", "git", *options)
    place = person.home / "clone"
    done = person.run(*git, "clone", url, place, env=QUIET | (env or {}), check=False, timeout=30)
    assert place.exists() == (done.returncode == 0)
    return done


def asked(server: HttpServer) -> list[tuple[str, str]]:
    return [(method, path.partition("?")[0]) for method, path in server.requests]


def test_a_clone(person: Person, repo: Path, server: HttpServer) -> None:
    clone(person, server.url("shop.git"))
    assert head(person, person.home / "clone") == head(person, repo)
    assert server.requests[0] == ("GET", "/shop.git/info/refs?service=git-upload-pack")
    assert server.offered == []


@pytest.mark.parametrize(("version", "posts"), [("0", 1), ("2", 2)])
def test_the_protocol_is_what_the_client_wants(
    person: Person, server: HttpServer, version: str, posts: int
) -> None:
    clone(person, server.url("shop.git"), f"protocol.version={version}")
    assert asked(server)[1:] == [("POST", "/shop.git/git-upload-pack")] * posts


def test_a_push_in_chunks(person: Person, repo: Path, served: Path) -> None:
    (repo / "other photo").write_bytes(os.urandom(SIZE))
    person.git("add", "--all", cwd=repo)
    person.git("commit", "-m", "Another", cwd=repo)
    with HttpServer(served, user="robin", password="pass") as server:
        url = server.url("shop.git", "robin", "pass")
        person.git("-c", "http.postBuffer=65536", "push", url, "main", cwd=repo, env=QUIET)
    assert head(person, served / "shop.git", "main") == head(person, repo)


def test_a_push_of_nobody_is_refused(person: Person, repo: Path, server: HttpServer) -> None:
    new = commit(person, repo, {"new": "new\n"})
    done = person.git("push", server.url("shop.git"), "main", cwd=repo, env=QUIET, check=False)
    assert "403" in done.stderr
    assert head(person, server.root / "shop.git", "main") != new


@pytest.mark.parametrize(
    ("user", "password", "said"),
    [
        ("", "", "could not read Username"),
        ("robin", "wrong", "Authentication failed"),
        ("robin", "p@ss:word/ü", ""),
    ],
)
def test_credentials(
    person: Person, server: HttpServer, user: str, password: str, said: str
) -> None:
    server.user, server.password = "robin", "p@ss:word/ü"
    done = clone(person, server.url("shop.git", user, password))
    assert said in done.stderr
    assert (done.returncode == 0) is not bool(said)
    assert set(server.offered) == ({(user, password)} if user else set())


def test_credentials_of_a_helper(person: Person, server: HttpServer) -> None:
    server.user, server.password = "robin", "pass"
    helper = "credential.helper=!f() { echo username=robin; echo password=pass; }; f"
    assert clone(person, server.url("shop.git"), helper).returncode == 0
    assert set(server.offered) == {("robin", "pass")}


def test_slow(person: Person, server: HttpServer) -> None:
    server.slow = SIZE
    begun = time.monotonic()
    assert clone(person, server.url("shop.git")).returncode == 0
    assert time.monotonic() - begun > 0.9


@pytest.mark.parametrize("after", [0, SIZE // 2])
def test_dying(person: Person, server: HttpServer, after: int) -> None:
    server.die(after, times=2)
    for _ in range(2):
        done = clone(person, server.url("shop.git"))
        assert done.returncode == 128
        assert "fatal: " in done.stderr
    assert clone(person, server.url("shop.git")).returncode == 0


def test_dying_later_than_the_end(person: Person, server: HttpServer) -> None:
    server.die(10 * SIZE)
    assert clone(person, server.url("shop.git")).returncode == 0


def test_healed(person: Person, server: HttpServer) -> None:
    server.die(0, times=100)
    server.fail(times=100)
    server.heal()
    assert clone(person, server.url("shop.git")).returncode == 0


def test_stalling(person: Person, server: HttpServer) -> None:
    server.stall(SIZE // 2)
    impatient = ("http.lowSpeedLimit=1", "http.lowSpeedTime=1")
    done = clone(person, server.url("shop.git"), *impatient)
    assert done.returncode == 128
    server.wait_stalled(0)
    assert clone(person, server.url("shop.git")).returncode == 0


@pytest.mark.parametrize("fault", ["stall", "slow"])
def test_the_end_of_a_server_is_that_of_its_answers(
    person: Person, served: Path, fault: str
) -> None:
    threads = threading.active_count()
    done: list[Done] = []
    with HttpServer(served, slow=1 if fault == "slow" else None) as server:
        server.stall(SIZE // 2)
        client = threading.Thread(target=lambda: done.append(clone(person, server.url("shop.git"))))
        client.start()
        if fault == "stall":
            server.wait_stalled()
        else:
            until(lambda: server.requests)
        assert client.is_alive()
    client.join(30)
    assert [one.returncode for one in done] == [128]
    assert threading.active_count() == threads
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", server.port))


def test_a_redirect_is_followed(person: Person, server: HttpServer) -> None:
    server.redirects = {"/old/shop.git": "/shop.git"}
    assert clone(person, server.url("old/shop.git")).returncode == 0
    assert asked(server) == [
        ("GET", "/old/shop.git/info/refs"),
        ("GET", "/shop.git/info/refs"),
        ("POST", "/shop.git/git-upload-pack"),
        ("POST", "/shop.git/git-upload-pack"),
    ]


def test_a_redirect_to_another_server(person: Person, served: Path) -> None:
    with HttpServer(served) as new, HttpServer(served) as old:
        old.redirects = {"/shop.git": new.url("shop.git")}
        assert clone(person, old.url("shop.git")).returncode == 0
        assert [len(old.requests), len(new.requests)] == [1, 3]


def test_an_error(person: Person, server: HttpServer) -> None:
    server.fail(times=2)
    for _ in range(2):
        assert "503" in clone(person, server.url("shop.git")).stderr
    assert clone(person, server.url("shop.git")).returncode == 0
    assert len(server.requests) == 5


def test_no_such_repo(person: Person, server: HttpServer) -> None:
    assert "not found" in clone(person, server.url("other.git")).stderr


def test_over_ssh(person: Person, repo: Path, ssh: SshServer) -> None:
    url = ssh.serve(repo, "it's a shop.git")
    assert clone(person, url, env={"GIT_SSH_COMMAND": ssh.known}).returncode == 0
    assert head(person, person.home / "clone") == head(person, repo)
    mine = commit(person, person.home / "clone", {"new": "new\n"})
    person.git("push", cwd=person.home / "clone", env={"GIT_SSH_COMMAND": ssh.known})
    pushed = ssh.target.run('git -C "it\'s a shop.git" rev-parse main').stdout
    assert pushed.strip() == mine


def test_what_ssh_would_ask_it_cannot_without_a_terminal(
    person: Person, repo: Path, ssh: SshServer
) -> None:
    url = ssh.serve(repo, "shop.git")
    refused = {
        ssh.stranger: "Host key verification failed",
        ssh.locked: "Permission denied",
        ssh.unauthorized: "Permission denied",
    }
    for command, said in refused.items():
        done = clone(person, url, env={"GIT_SSH_COMMAND": command})
        assert done.returncode == 128
        assert said in done.stderr


def test_what_ssh_asks_on_a_terminal(person: Person, repo: Path, ssh: SshServer) -> None:
    argv = ("git", "clone", ssh.serve(repo, "shop.git"))
    with Terminal(person, *argv, "first", env={"GIT_SSH_COMMAND": ssh.stranger}) as terminal:
        terminal.wait_for("Are you sure you want to continue connecting")
        terminal.press("no\r")
        assert terminal.wait() == 128
    with Terminal(person, *argv, "second", env={"GIT_SSH_COMMAND": ssh.locked}) as terminal:
        terminal.wait_for("Enter passphrase")
        terminal.press(f"{PASSPHRASE}\r")
        assert terminal.wait() == 0
    assert head(person, person.home / "second") == head(person, repo)
