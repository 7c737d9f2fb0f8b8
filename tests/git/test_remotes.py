"""Real servers of http and ssh: what is asked of them, by whom, and what they can do to a run."""

from __future__ import annotations

import os
import re
import signal
import socket
import socketserver
import sys
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Unpack

import pytest

from tests.claude.terminal import Terminal
from tests.git.killing import kill_after, start
from tests.git.servers import HttpServer, SshServer, ssh_server
from tests.git.test_cache import cache_of
from tests.git.test_many import at_once
from tests.git.traces import ROOT, branches, head, leftovers, live, records, refs, rows, status
from tests.support import Done, Person, RunOptions, commit, need, until

FILES, SIZE = 120, 2000  # files, and bytes of each that cannot be compressed
MIDDLE = FILES * SIZE // 2
TOKEN = "tok-4f9d1c77e0b2"
BOT = "x-access-token"
NOBODY = "could not read Username"


@pytest.fixture
def served(person: Person, repo: Path) -> Path:
    """A directory with `shop.git`, enough in it that a clone can be caught in the act."""
    for number in range(FILES):
        path = repo / f"photos/{number}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(os.urandom(SIZE))
    person.git("add", "photos", cwd=repo)
    person.git("commit", "--quiet", "--message", "Photos", cwd=repo)
    bare = person.home / "served/shop.git"
    person.git("clone", "--quiet", "--bare", repo, bare)
    for setting in ("uploadpack.allowFilter", "http.receivepack"):
        person.git("--git-dir", bare, "config", setting, "true")
    return bare.parent


@pytest.fixture
def bare(served: Path) -> Path:
    return served / "shop.git"


@pytest.fixture
def server(served: Path) -> Iterator[HttpServer]:
    with HttpServer(served) as server:
        yield server


@pytest.fixture
def url(server: HttpServer) -> str:
    return server.url("shop.git")


@pytest.fixture
def closed(server: HttpServer) -> HttpServer:
    """The server, which lets in only who has the token."""
    server.user, server.password = BOT, TOKEN
    return server


@pytest.fixture
def ssh(person: Person) -> Iterator[SshServer]:
    with ssh_server(person) as server:
        yield server


def new(person: Person, topic: str, url: str, *args: str, **options: Unpack[RunOptions]) -> Done:
    """`mooring new` where no terminal is: it may fail, but never wait for anybody."""
    program = ("setsid", "--wait", sys.executable, "-m", "mooring")
    words = ("new", topic, "--repo", url, "--launch", "none", *args)
    settled: RunOptions = {"check": False, "timeout": 90}
    settled.update(options)
    return person.run(*program, *words, **settled)


def made(person: Person, topic: str, url: str, *args: str) -> Path:
    """The workspace that `new` makes."""
    return place_of(new(person, topic, url, *args))


def place_of(done: Done) -> Path:
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.removesuffix("\n"))


def gitconfig(person: Person, text: str) -> None:
    """Add to the person's own git config."""
    with (person.home / ".gitconfig").open("a") as file:
        file.write(text)


def config(person: Person, text: str) -> None:
    path = person.home / ".config/mooring/config.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def script(path: Path, text: str) -> Path:
    """An executable."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def assert_nothing_left(person: Person) -> None:
    """Nothing half made, nothing claimed, no lock held, no progress file."""
    assert leftovers(person.home) == []
    assert rows(person) == []
    assert records(person.home) == []
    assert_unlocked(person)


def assert_unlocked(person: Person) -> None:
    locks = list((person.home / ROOT / "locks").iterdir())
    assert [path.name for path in locks if path.name.startswith("progress")] == []
    for path in locks:
        if path.suffix != ".holder":
            person.run(need("flock"), "--nonblock", path, "true")


def packs(served: Path) -> Callable[[], int]:
    """Have the server's git count the packs that it sends; returns the counter."""
    log = served / "packs"
    hook = script(served / "pack", f"echo >>'{log}'\nexec \"$@\"")
    (served / ".gitconfig").write_text(f"[uploadpack]\n\tpackObjectsHook = {hook}\n")
    return lambda: len(log.read_text()) if log.exists() else 0


# What is asked of a server


def test_a_warm_cache_asks_nothing(person: Person, server: HttpServer, url: str) -> None:
    first = made(person, "first", url)
    count = len(server.requests)
    assert count
    second = made(person, "second", url)
    again = new(person, "first", url)
    assert "unchanged" in again.stderr
    person.mooring("end", "second", "--repo", url)
    person.mooring("run", "first", "--", "git", "status", cwd=first)
    assert first != second
    assert len(server.requests) == count


def test_a_fetch_of_nothing_new(person: Person, served: Path, server: HttpServer, url: str) -> None:
    """No pack is made; nothing but the refs is asked for."""
    sent = packs(served)
    place = made(person, "first", url)
    before, count = refs(person, cache_of(person)), len(server.requests)
    assert sent() == 1
    for topic in ("first", "second"):
        made(person, topic, url, "--fetch")
    asked = [(method, path.partition("?")[0]) for method, path in server.requests[count:]]
    assert asked == [("GET", "/shop.git/info/refs"), ("POST", "/shop.git/git-upload-pack")] * 2
    assert sent() == 1
    person.mooring("end", "second", "--repo", url)
    assert refs(person, cache_of(person)) == before
    assert status(person, place) == ""


class Meter(socketserver.ThreadingTCPServer):
    """Passes connections on to a port of this machine, and counts the bytes that come back."""

    def __init__(self, port: int) -> None:
        self.behind = port
        self.received = 0
        super().__init__(("127.0.0.1", 0), _Metered)


class _Metered(socketserver.BaseRequestHandler):
    server: Meter

    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.behind), 30) as there:
            asking = threading.Thread(target=_pass_on, args=(self.request, there))
            asking.start()
            self.server.received += _pass_on(there, self.request)
            asking.join(30)


def _pass_on(source: socket.socket, sink: socket.socket) -> int:
    """Copy until the source ends; returns how many bytes."""
    size = 0
    with suppress(OSError):
        while data := source.recv(65536):
            size += len(data)
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    return size


@contextmanager
def metered(server: HttpServer) -> Iterator[Meter]:
    with Meter(server.port) as meter:
        thread = threading.Thread(target=meter.serve_forever, args=(0.05,))
        thread.start()
        yield meter
        meter.shutdown()
        thread.join(30)


def test_a_fetch_brings_only_what_is_wanted(
    person: Person, repo: Path, bare: Path, server: HttpServer
) -> None:
    """For each of the two, the server names its refs once (git ls-remote has no way to ask for
    a few), some 70 bytes each; what they have isn't sent."""
    with metered(server) as meter:
        url = f"http://127.0.0.1:{meter.server_address[1]}/shop.git"
        made(person, "first", url)
        tip, old = head(person, bare, "main"), meter.received
        assert old > MIDDLE
        many = "".join(f"create refs/heads/many/{number} {tip}\n" for number in range(5000))
        person.git("--git-dir", bare, "update-ref", "--stdin", input=many)
        person.git("push", bare, "main~1:refs/heads/wanted", cwd=repo)
        for args in (["--fetch"], ["--base", "wanted"]):
            place = made(person, args[-1].strip("-"), url, *args)
        assert head(person, place) == head(person, repo, "main~1")
        assert 0 < meter.received - old < 2 * 5000 * 75 + 20_000


def test_the_first_of_one_url_share_a_clone(
    person: Person, served: Path, server: HttpServer, url: str
) -> None:
    sent, topics = packs(served), ["one", "two", "three", "four"]
    server.slow = 400_000
    calls = [["new", topic, "--repo", url, "--launch", "none"] for topic in topics]
    done = at_once(person, calls, person.home)
    assert [one.returncode for one in done] == [0] * 4, [one.stderr for one in done]
    assert sent() == 1
    assert sorted(branches(person, cache_of(person))) == sorted(topics)
    assert len(list((person.home / ROOT / "cache").glob("**/*.git/HEAD"))) == 1
    assert leftovers(person.home) == []
    assert_unlocked(person)


# Who is asked for a password


ASKS = 'echo "$@" >>~/asked; case $1 in Username*) echo {user} ;; *) echo {word} ;; esac'


@pytest.mark.parametrize("windows", [False, True])
def test_nobody_has_credentials(
    person: Person, closed: HttpServer, url: str, windows: bool
) -> None:
    """No window opens either, not even where ssh's askpass is told to use nothing else."""
    asks = script(person.home / "askpass", ASKS.format(user=BOT, word=TOKEN))
    opens = {"SSH_ASKPASS": str(asks), "DISPLAY": ":0", "SSH_ASKPASS_REQUIRE": "force"}
    done = new(person, "x", url, env=opens if windows else {})
    assert done.returncode == 1
    assert f"Cannot clone {url}" in done.stderr
    assert NOBODY in done.stderr
    assert closed.offered == []
    assert not (person.home / "asked").exists()
    assert_nothing_left(person)


def test_a_terminal_that_nobody_sits_at(person: Person, closed: HttpServer, url: str) -> None:
    """It is the controlling terminal, but stdin is not."""
    argv = (sys.executable, "-m", "mooring", "new", "x", "--repo", url, "--launch", "none")
    with Terminal(person, *argv, stdin=Path(os.devnull), size=(40, 400)) as terminal:
        assert terminal.wait(60) == 1
        assert NOBODY in terminal.screen
        assert "\nUsername for" not in terminal.screen
    assert closed.offered == []
    assert_nothing_left(person)


def test_a_person_at_a_terminal_is_asked(person: Person, closed: HttpServer, url: str) -> None:
    argv = (sys.executable, "-m", "mooring", "new", "x", "--repo", url, "--launch", "none")
    with Terminal(person, *argv, size=(40, 400)) as terminal:
        answer(terminal, {"\nUsername for": BOT, "\nPassword for": TOKEN})
        assert terminal.wait() == 0
        assert TOKEN not in terminal.screen
    assert set(closed.offered) == {(BOT, TOKEN)}
    assert branches(person, cache_of(person)) == ["x"]


def answer(terminal: Terminal, answers: dict[str, str]) -> None:
    """Answer each question as often as it is asked, until the program has ended."""
    given = dict.fromkeys(answers, 0)

    def ended() -> bool:
        for question, text in answers.items():
            if terminal.screen.count(question) > given[question]:
                given[question] += 1
                terminal.press(f"{text}\r")
        with suppress(AssertionError):
            return terminal.wait(0.1) is not None
        return False

    until(ended, 60)
    assert all(given.values())


def test_the_persons_own_askpass_is_used(person: Person, closed: HttpServer, url: str) -> None:
    asks = script(person.home / "askpass", ASKS.format(user=BOT, word=TOKEN))
    place_of(new(person, "x", url, env={"GIT_ASKPASS": str(asks)}))
    assert "Username for" in (person.home / "asked").read_text()


def helper(word: str) -> str:
    """Git config with a credential helper that notes each call."""
    answer = f"echo username={BOT}; echo password={word}"
    return f'[credential]\n\thelper = "!f() {{ echo $1 >>~/helped; {answer}; }}; f"\n'


@pytest.mark.parametrize("right", [True, False])
def test_the_persons_credential_helper(
    person: Person, closed: HttpServer, url: str, right: bool
) -> None:
    gitconfig(person, helper(TOKEN if right else "wrong"))
    done = new(person, "x", url)
    assert (done.returncode == 0) is right
    assert set(closed.offered) == {(BOT, TOKEN if right else "wrong")}
    if not right:
        assert f"Cannot clone {url}" in done.stderr
        assert "Authentication failed" in done.stderr
        assert_nothing_left(person)


# An agent's own credential


@pytest.fixture
def secret(person: Person, tmp_path: Path) -> Path:
    """A file with the token, outside of HOME; the bot's command prints it."""
    path = tmp_path / "secret"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o600)
    git = f"{{name: Bot, email: bot@example.com, credential: {{command: [cat, '{path}']}}}}"
    config(person, f"agents: {{bot: {{git: {git}}}}}\n")
    return path


def plainly(person: Person, place: Path, *argv: str, check: bool = True) -> Done:
    """Run a program with HOME and PATH and nothing else, and no terminal."""
    variables = (f"HOME={person.home}", f"PATH={person.env['PATH']}")
    program = ("setsid", "--wait", "env", "-i", *variables, *argv)
    return person.run(*program, cwd=place, check=check, timeout=60)


def by_run(person: Person, place: Path, *argv: str, check: bool = True) -> Done:
    return person.mooring("run", "--", *argv, cwd=place, check=check)


def by_direnv(person: Person, place: Path, *argv: str, check: bool = True) -> Done:
    return person.run(need("direnv"), "exec", place, *argv, cwd=place, check=check)


SHELLS = (plainly, by_run, by_direnv)


@pytest.mark.usefixtures("secret")
def test_the_agents_own_credential(
    person: Person, bare: Path, closed: HttpServer, url: str
) -> None:
    """It comes before the person's, which nobody asks, nor has to store anything."""
    store = "[credential]\n\thelper = store\n"
    gitconfig(person, f"{helper('wrong')}{store}")
    place = made(person, "fix-login", url, "--agent", "bot")
    for number, shell in enumerate(SHELLS):
        mine = commit(person, place, {"work": f"{number}\n"})
        shell(person, place, "git", "push", "--quiet", "origin", "HEAD")
        assert head(person, bare, "bot/fix-login") == mine
    log = person.git("log", "-1", "--format=%an, %cn", cwd=place).stdout
    assert log == "Bot, Bot\n"
    made(person, "other", url, "--agent", "bot", "--fetch")
    assert set(closed.offered) == {(BOT, TOKEN)}
    assert not (person.home / "helped").exists()
    assert not (person.home / ".git-credentials").exists()
    # For the person it is as if there were no bot.
    done = new(person, "fix-login", url, "--fetch")
    assert "Authentication failed" in done.stderr
    assert closed.offered[-1] == (BOT, "wrong")


@pytest.mark.usefixtures("secret")
def test_the_agents_credential_is_for_one_server(
    person: Person, served: Path, server: HttpServer, url: str
) -> None:
    place = made(person, "fix-login", url, "--agent", "bot")
    with HttpServer(served, user=BOT, password=TOKEN) as other:
        there = other.url("shop.git")
        for shell in SHELLS:
            argv = ("env", "GIT_TERMINAL_PROMPT=0", "git", "ls-remote", there)
            assert shell(person, place, *argv, check=False).returncode
        server.redirects = {"/shop.git": there}
        done = new(person, "other", url, "--agent", "bot", "--fetch")
        assert done.returncode == 1
        assert other.requests
        assert other.offered == []


def test_a_command_that_fails(person: Person, closed: HttpServer, url: str, secret: Path) -> None:
    """Then nobody else is asked."""
    secret.unlink()
    asks = script(person.home / "askpass", ASKS.format(user="robin", word="pass"))
    gitconfig(person, helper("wrong"))
    done = new(person, "x", url, "--agent", "bot", env={"GIT_ASKPASS": str(asks)})
    assert done.returncode == 1
    assert f"Cannot clone {url}" in done.stderr
    assert not (person.home / "asked").exists()
    assert not (person.home / "helped").exists()
    assert closed.offered == []
    assert_nothing_left(person)


def test_a_wrong_token(person: Person, closed: HttpServer, url: str, secret: Path) -> None:
    secret.write_text("wrong\n")
    done = new(person, "x", url, "--agent", "bot")
    assert done.returncode == 1
    assert "Authentication failed" in done.stderr
    assert set(closed.offered) == {(BOT, "wrong")}
    assert_nothing_left(person)


@pytest.mark.usefixtures("secret", "closed")
def test_a_partial_clone_with_the_agents_credential(person: Person, bare: Path, url: str) -> None:
    """Whatever is fetched later is fetched with it too."""
    args = ("--agent", "bot", "--filter", "blob:none")
    place = made(person, "fix-login", url, *args)
    assert status(person, place) == ""
    assert "unchanged" in new(person, "fix-login", url, *args).stderr
    config_of_bot = (person.home / ".config/mooring/config.yaml").read_text()
    config(person, f"{config_of_bot}checkout: {{sparse: [app]}}\n")
    assert sorted(path.name for path in made(person, "other", url, *args).glob("[a-z]*")) == ["app"]


@pytest.mark.usefixtures("secret", "closed")
def test_the_spec_of_a_partial_clone(person: Person, repo: Path, bare: Path, url: str) -> None:
    commit(person, repo, {"mooring.yaml": "ports: [web]\n"})
    person.git("push", "--quiet", bare, "main", cwd=repo)
    made(person, "fix-login", url, "--agent", "bot", "--filter", "blob:none")
    (row,) = rows(person)
    assert list(row["ports"]) == ["PORT", "PORT_WEB"]


@pytest.mark.usefixtures("secret")
def test_a_partial_clone_opens_no_window(person: Person, closed: HttpServer, url: str) -> None:
    asks = script(person.home / "askpass", ASKS.format(user="robin", word="pass"))
    opens = {"SSH_ASKPASS": str(asks), "DISPLAY": ":0", "SSH_ASKPASS_REQUIRE": "force"}
    new(person, "fix-login", url, "--agent", "bot", "--filter", "blob:none", env=opens)
    new(person, "fix-login", url, "--filter", "blob:none", env=opens)
    assert closed.requests
    assert not (person.home / "asked").exists()


@pytest.mark.usefixtures("secret")
def test_git_config_of_the_persons_environment_stays(person: Person, url: str) -> None:
    place = made(person, "fix-login", url, "--agent", "bot")
    own = {"COUNT": "1", "KEY_0": "alias.mine", "VALUE_0": "version"}
    env = {f"GIT_CONFIG_{name}": value for name, value in own.items()}
    argv = ("run", "fix-login", "--agent", "bot", "--", "git", "mine")
    assert "git version" in person.mooring(*argv, cwd=place, env=env).stdout


@pytest.mark.usefixtures("secret")
def test_a_helper_of_the_clone_stores_nothing(
    person: Person, repo: Path, closed: HttpServer, url: str
) -> None:
    """Its config is read after the person's, and so after the bot's file; the variables win."""
    person.git("remote", "add", "origin", url, cwd=repo)
    person.git("config", "credential.helper", "store", cwd=repo)
    place = place_of(person.mooring("new", "fix-login", "--agent", "bot", cwd=repo))
    for shell in (by_run, by_direnv):
        shell(person, place, "git", "push", "--quiet", "--force", "origin", "HEAD")
        assert not (person.home / ".git-credentials").exists()


# Where the token is


def decoded(text: str) -> str:
    """A text, with what is base64 in it readable too."""
    lines = [line.rpartition("] ")[2].strip() for line in text.splitlines()]
    runs = re.findall(r"(?:[A-Za-z0-9+/]{76}\n)*[A-Za-z0-9+/]+={0,2}(?:\n|$)", "\n".join(lines))
    found = [text]
    for run in runs:
        with suppress(ValueError):
            found.append(b64decode(run.replace("\n", "") + "==").decode("latin-1"))
    return "\n".join(found)


def test_decoded() -> None:
    """The test's own eyes: a line of pyinfra's with what the probe said of a URL."""
    line = "[@local] aHR0cDovL3JvYmluOnRvay00ZjlkMWM3N2UwYjJAMTI3LjAuMC4x\n"
    assert TOKEN in decoded(f"--> Running\n{line}")


def holding(home: Path) -> list[str]:
    """The files under HOME that hold the token."""
    files = [path for path in home.rglob("*") if path.is_file() and not path.is_symlink()]
    return [str(path) for path in files if TOKEN.encode() in path.read_bytes()]


class Onlooker:
    """Anybody on this machine, who reads every command line while the block runs."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Onlooker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.005):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):
                    self.seen.add(path.read_bytes())


@pytest.mark.usefixtures("secret")
def test_the_token_is_nowhere(person: Person, closed: HttpServer, url: str, served: Path) -> None:
    said: list[Done] = []
    closed.slow = SIZE * FILES / 4
    with Onlooker() as onlooker:
        said.append(new(person, "fix-login", url, "--agent", "bot"))
    place, closed.slow = place_of(said[0]), None
    assert any(
        str(closed.port).encode() in line and b"remote-http" in line for line in onlooker.seen
    )
    assert [line for line in onlooker.seen if TOKEN.encode() in line] == []

    commit(person, place, {"work": "work\n"})
    for shell in SHELLS:
        said.append(shell(person, place, "git", "push", "--quiet", "origin", "HEAD"))
        said.append(shell(person, place, "env"))
    data = ("mooring.deploys.workspace", "topic=other", f"repo={url}", "agent=bot", "fetch=true")
    said.append(person.pyinfra("-y", "--debug", "-vvv", "@local", *data))
    said.append(new(person, "other", url, "--agent", "bot", "--fetch", "--json"))
    closed.password = "another"
    said.append(new(person, "third", url, "--agent", "bot", "--fetch"))
    assert said[-1].returncode == 1
    said.append(person.mooring("status", "other", "--json", "--agent", "bot", "--repo", url))
    said.append(person.mooring("end", "other", "--agent", "bot", "--repo", url))
    for one in said:
        assert TOKEN not in decoded(one.stdout + one.stderr)
    assert any((person.home / ROOT).glob("registry.db"))
    assert holding(person.home) == []


@pytest.mark.parametrize("failure", ["password", "status", "pyinfra", "redirect"])
def test_the_token_of_an_origin_shows_nowhere(
    person: Person, repo: Path, closed: HttpServer, failure: str
) -> None:
    """Somebody's own clone, whose URL has it: there it stays, and comes to no other place."""
    secret = closed.url("shop.git", "robin", TOKEN)
    person.git("remote", "add", "origin", secret, cwd=repo)
    closed.password = "another"
    if failure == "status":
        closed.fail(times=99)
    elif failure == "redirect":
        closed.user = None
        closed.redirects = {"/shop.git": "/moved.git"}
    said = [new(person, "x", str(repo), "--fetch")]
    assert said[0].returncode == 1
    assert "Cannot fetch" in said[0].stderr
    said.append(new(person, "x", str(repo)))
    place = place_of(said[-1])
    said.append(person.mooring("run", "x", "--", "env", cwd=place))
    said.append(person.mooring("status", "x", "--json", cwd=place))
    if failure == "pyinfra":
        data = ("mooring.deploys.workspace", "topic=x", f"repo={repo}", "fetch=true")
        said.append(person.pyinfra("-y", "@local", *data, check=False))
        assert said[-1].returncode
    for one in said:
        assert TOKEN not in decoded(one.stdout + one.stderr)
    assert holding(person.home) == [str(repo / ".git/config")]


def test_the_token_of_an_origin_is_cut_out(person: Person, repo: Path) -> None:
    """Git leaves it out of most of what it says itself; this is a message of ours."""
    origin = f"ext::sh -c true http://robin:{TOKEN}@127.0.0.1/shop.git"
    person.git("remote", "add", "origin", origin, cwd=repo)
    done = new(person, "x", str(repo), "--fetch")
    assert done.returncode == 1
    assert f"Cannot fetch from {origin.replace(f'robin:{TOKEN}@', '')}" in done.stderr
    assert holding(person.home) == [str(repo / ".git/config")]


def test_the_token_of_an_origin_is_in_no_log(
    person: Person, repo: Path, server: HttpServer
) -> None:
    person.git("remote", "add", "origin", server.url("shop.git", "robin", TOKEN), cwd=repo)
    data = ("mooring.deploys.workspace", "topic=x", f"repo={repo}")
    done = person.pyinfra("-y", "--debug", "-vvv", "@local", *data)
    assert TOKEN not in decoded(done.stdout + done.stderr)


def test_a_token_with_a_slash(person: Person, repo: Path, server: HttpServer) -> None:
    """No git can use such a URL; its message has all of it."""
    origin = f"http://robin:a/{TOKEN}@127.0.0.1:{server.port}/shop.git"
    person.git("remote", "add", "origin", origin, cwd=repo)
    done = new(person, "x", str(repo), "--fetch")
    assert "Cannot fetch" in done.stderr
    assert TOKEN not in done.stderr


# Servers that are slow, or die


@pytest.mark.parametrize(
    "objects",
    [
        "many",
        "few",
    ],
)
def test_progress(person: Person, served: Path, server: HttpServer, objects: str) -> None:
    if objects == "few":
        few = person.home / "few"
        person.git("init", "--quiet", few)
        (few / "photo").write_bytes(os.urandom(FILES * SIZE))
        person.git("add", "photo", cwd=few)
        person.git("commit", "--quiet", "--message", "Photo", cwd=few)
        person.git("clone", "--quiet", "--bare", few, served / "few.git")
    server.slow = SIZE * FILES / 6
    done = new(person, "x", server.url("shop.git" if objects == "many" else "few.git"))
    assert place_of(done).is_dir()
    lines = done.stderr.splitlines()
    (first,) = [line for line in lines if line.startswith("cloning ")]
    steps = [line for line in lines if re.match(r"(Receiving|Unpacking) objects: +\d+% ", line)]
    assert steps
    assert lines.index(first) < lines.index(steps[0])
    assert_unlocked(person)


@pytest.mark.parametrize("fault", ["die", "stall", "fail"])
def test_a_server_that_recovers(
    person: Person, bare: Path, server: HttpServer, url: str, fault: str
) -> None:
    if fault == "fail":
        server.fail()
    else:
        (server.die if fault == "die" else server.stall)(MIDDLE)
    done = new(person, "x", url, env={"GIT_HTTP_LOW_SPEED_TIME": "2"})
    assert head(person, place_of(done)) == head(person, bare, "main")
    person.git("fsck", "--strict", cwd=cache_of(person))
    assert leftovers(person.home) == []
    assert_unlocked(person)


@pytest.mark.parametrize(
    ("fault", "said"),
    [("die", "early EOF"), ("stall", "Operation too slow"), ("fail", "error: 503")],
)
def test_a_server_that_never_recovers(
    person: Person, bare: Path, server: HttpServer, url: str, fault: str, said: str
) -> None:
    if fault == "fail":
        server.fail(times=99)
    else:
        (server.die if fault == "die" else server.stall)(MIDDLE, times=99)
    done = new(person, "x", url, env={"GIT_HTTP_LOW_SPEED_TIME": "2"})
    assert done.returncode == 1
    assert f"Cannot clone {url}" in done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((person.home / ROOT).glob("cache/**/HEAD"))
    assert_nothing_left(person)
    server.heal()
    assert head(person, made(person, "x", url)) == head(person, bare, "main")


@pytest.mark.parametrize("fault", ["die", "fail"])
def test_a_fetch_that_breaks(
    person: Person, repo: Path, bare: Path, server: HttpServer, url: str, fault: str
) -> None:
    """What is there stays as it was, and can be used without the server."""
    place = made(person, "first", url)
    before = refs(person, cache_of(person))
    (repo / "more").write_bytes(os.urandom(MIDDLE))
    person.git("add", "more", cwd=repo)
    person.git("commit", "--quiet", "--message", "More", cwd=repo)
    person.git("push", "--quiet", bare, "main", cwd=repo)
    if fault == "die":
        server.die(MIDDLE // 2, times=99)
    else:
        server.fail(times=99)
    done = new(person, "second", url, "--fetch")
    assert done.returncode == 1
    assert f"Cannot fetch {url}" in done.stderr
    assert refs(person, cache_of(person)) == before
    assert leftovers(person.home) == []
    assert_unlocked(person)
    second = made(person, "second", url)
    assert head(person, second) == head(person, place)
    server.heal()
    assert head(person, made(person, "third", url, "--fetch")) == head(person, repo)


def test_a_clone_that_is_killed(person: Person, bare: Path, server: HttpServer, url: str) -> None:
    server.stall(MIDDLE)
    process = start(person, "new", "x", "--repo", url, "--launch", "none", cwd=person.home)
    server.wait_stalled(30)
    assert kill_after(process, 0)
    assert leftovers(person.home) != []
    assert head(person, made(person, "x", url)) == head(person, bare, "main")
    assert leftovers(person.home) == []
    assert_unlocked(person)
    assert len(live(person.home)) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_clone_that_is_interrupted(
    person: Person, bare: Path, server: HttpServer, url: str, number: int
) -> None:
    """By Control-C, or by a manager of services: to all of the group."""
    server.stall(MIDDLE)
    process = start(person, "new", "x", "--repo", url, "--launch", "none", cwd=person.home)
    try:
        server.wait_stalled(30)
        os.killpg(process.pid, number)
        assert process.wait(30)
        until(lambda: leftovers(person.home) == [])
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)
    assert head(person, made(person, "x", url)) == head(person, bare, "main")
    assert_unlocked(person)


# Remotes that change


def test_a_repo_that_moved(person: Person, bare: Path, server: HttpServer, url: str) -> None:
    made(person, "first", url)
    (bare.parent / "team").mkdir()
    bare.rename(bare.parent / "team/shop.git")
    server.redirects = {"/shop.git": "/team/shop.git"}
    count = len(server.requests)
    for done in (
        new(person, "second", url, "--fetch"),
        new(person, "other", server.url("shop.git"), "--base", "main", "--fetch"),
    ):
        assert place_of(done).is_dir()
        assert f"the repo has moved to {server.url('team/shop.git')}" in done.stderr
    assert len(server.requests) > count


def test_a_clone_of_what_moved(person: Person, bare: Path, server: HttpServer) -> None:
    server.redirects = {"/old.git": "/shop.git"}
    done = new(person, "x", server.url("old.git"))
    assert head(person, place_of(done)) == head(person, bare, "main")
    assert f"the repo has moved to {server.url('shop.git')}" in done.stderr


@pytest.mark.parametrize("scheme", ["file", "ftp", "ssh", "ext"])
def test_a_redirect_to_another_transport(
    person: Person, bare: Path, server: HttpServer, scheme: str
) -> None:
    there = {
        "file": bare.as_uri(),
        "ftp": "ftp://127.0.0.1/shop.git",
        "ssh": "ssh://127.0.0.1/shop.git",
        "ext": "ext::touch pwned",
    }[scheme]
    server.redirects = {"/old.git": there}
    done = new(person, "x", server.url("old.git"))
    assert done.returncode == 1
    assert "Cannot clone" in done.stderr
    assert list(person.home.rglob("pwned")) == []
    assert_nothing_left(person)


def test_a_forced_push(person: Person, bare: Path, url: str) -> None:
    first, old = made(person, "first", url), head(person, bare, "main")
    mine = commit(person, first, {"mine.txt": "mine\n"})
    person.git("--git-dir", bare, "update-ref", "refs/heads/main", "main~1")
    again, second = new(person, "first", url, "--fetch"), new(person, "second", url, "--fetch")
    assert f"main was force-pushed: it was at {old[:7]}" in again.stderr
    assert "force-pushed" not in second.stderr
    assert head(person, first) == head(person, cache_of(person), "first") == mine
    assert head(person, place_of(second)) == head(person, bare, "main") != old


def test_a_forced_push_to_the_workspaces_own_branch(
    person: Person, repo: Path, bare: Path, url: str
) -> None:
    place = made(person, "fix-login", url)
    mine = commit(person, place, {"mine.txt": "mine\n"})
    person.git("push", "--quiet", "origin", "HEAD", cwd=place)
    person.git("push", "--quiet", "--force", bare, "main~1:fix-login", cwd=repo)
    made(person, "fix-login", url, "--fetch")
    assert head(person, place) == head(person, cache_of(person), "refs/heads/fix-login") == mine
    theirs = head(person, cache_of(person), "refs/remotes/origin/fix-login")
    assert theirs == head(person, repo, "main~1")


def test_another_default_branch(person: Person, bare: Path, url: str) -> None:
    made(person, "first", url)
    person.git("--git-dir", bare, "branch", "trunk", "main~1")
    person.git("--git-dir", bare, "symbolic-ref", "HEAD", "refs/heads/trunk")
    assert head(person, made(person, "second", url)) == head(person, bare, "main")
    done = new(person, "third", url, "--fetch")
    assert "the default branch of" in done.stderr
    assert "is trunk now; it was main" in done.stderr
    trunk = head(person, bare, "trunk")
    assert [head(person, place) for place in (place_of(done), made(person, "fourth", url))] == [
        trunk,
        trunk,
    ]


def test_a_default_branch_that_was_renamed(person: Person, bare: Path, url: str) -> None:
    made(person, "first", url)
    person.git("--git-dir", bare, "branch", "--move", "main", "trunk")
    done = new(person, "second", url, "--fetch")
    assert head(person, place_of(done)) == head(person, bare, "trunk")
    assert "is trunk now; it was main" in done.stderr
    names = person.git("for-each-ref", "--format=%(refname)", cwd=cache_of(person)).stdout
    assert "refs/remotes/origin/main" not in names.split()
    assert branches(person, cache_of(person)) == ["first", "second"]


@pytest.mark.parametrize(
    "wanted",
    [
        "base",
        "branch",
    ],
)
def test_a_branch_that_was_deleted(person: Person, bare: Path, url: str, wanted: str) -> None:
    """The remote-tracking ref goes, the workspace's branch stays."""
    person.git("--git-dir", bare, "branch", "feature", "main~1")
    place = made(person, "first", url, "--base", "feature")
    mine = commit(person, place, {"mine.txt": "mine\n"})
    person.git("--git-dir", bare, "branch", "--delete", "--force", "feature")
    if wanted == "base":
        done = new(person, "second", url, "--base", "feature", "--fetch")
        assert done.returncode == 1
        assert "feature" in done.stderr
    else:
        assert head(person, made(person, "feature", url, "--fetch")) == head(person, bare, "main")
    names = person.git("for-each-ref", "--format=%(refname)", cwd=cache_of(person)).stdout
    assert "refs/remotes/origin/feature" not in names.split()
    assert head(person, cache_of(person), "refs/heads/first") == mine


@pytest.mark.parametrize(("old", "new_name"), [("a", "a/b"), ("a/b", "a")])
def test_a_branch_in_the_way_of_another(
    person: Person, bare: Path, url: str, old: str, new_name: str
) -> None:
    person.git("--git-dir", bare, "branch", old, "main~1")
    first = made(person, "first", url, "--base", old)
    person.git("--git-dir", bare, "branch", "--delete", "--force", old)
    person.git("--git-dir", bare, "branch", new_name, "main~2")
    second = made(person, "second", url, "--base", new_name)
    assert head(person, second) == head(person, bare, new_name)
    assert head(person, first) == head(person, bare, "main~1")


@pytest.mark.parametrize("kind", ["tag", "annotated", "sha", "branch"])
def test_a_base_made_after_the_clone(person: Person, bare: Path, url: str, kind: str) -> None:
    """Also a commit that no ref of the server has."""
    made(person, "first", url)
    git = ("--git-dir", bare)
    tree = "main~1^{tree}"
    sha = person.git(*git, "commit-tree", "-m", "Later", "-p", "main~1", tree).stdout.strip()
    if kind == "branch":
        person.git(*git, "branch", "later/on", sha)
    elif kind != "sha":
        annotate = ("--annotate", "--message", "Two") if kind == "annotated" else ()
        person.git(*git, "tag", *annotate, "later/on", sha)
    base = sha if kind == "sha" else "later/on"
    assert head(person, made(person, "second", url, "--base", base)) == sha


@pytest.mark.parametrize(
    "name",
    [
        "a,b",
        "it's.$b&c|d#12",
        "ü/日本",
    ],
)
def test_a_branch_with_an_odd_name(person: Person, bare: Path, url: str, name: str) -> None:
    made(person, "first", url)
    person.git("--git-dir", bare, "branch", name, "main~1")
    assert head(person, made(person, "second", url, "--base", name)) == head(person, bare, "main~1")


def test_a_tag_that_was_moved(person: Person, bare: Path, url: str) -> None:
    """Used as it is now, or refused with git's reason."""
    person.git("--git-dir", bare, "tag", "v1", "main~1")
    made(person, "first", url, "--base", "v1")
    person.git("--git-dir", bare, "tag", "--force", "v1", "main~2")
    done = new(person, "second", url, "--base", "v1", "--fetch")
    assert done.returncode == 0 or "v1" in done.stderr


@pytest.mark.parametrize(
    ("base", "warm"),
    [
        ("nonsense", False),
        ("nonsense", True),
        ("refs/heads/nonsense", True),
        ("f" * 40, False),
        ("f" * 40, True),
    ],
)
def test_no_such_base(person: Person, url: str, base: str, warm: bool) -> None:
    if warm:
        made(person, "first", url)
    done = new(person, "x", url, "--base", base)
    assert done.returncode == 1
    assert "Cannot" in done.stderr
    assert base in done.stderr
    assert "Traceback" not in done.stderr
    assert [row["topic"] for row in rows(person)] == (["first"] if warm else [])
    assert leftovers(person.home) == []
    assert_unlocked(person)


def test_a_reason_with_a_percent_sign(person: Person) -> None:
    done = new(person, "x", (person.home / "100% shop.git").as_uri())
    assert done.returncode == 1
    assert "does not appear to be a git repository" in done.stderr


# The person's own config


@pytest.mark.parametrize("prefix", ["file://", ""])
def test_a_url_that_the_person_rewrites(person: Person, bare: Path, prefix: str) -> None:
    gitconfig(person, f'[url "{prefix}{bare.parent}/"]\n\tinsteadOf = http://127.0.0.1:1/\n')
    place = made(person, "x", "http://127.0.0.1:1/shop.git")
    assert head(person, place) == head(person, bare, "main")
    person.git("--git-dir", bare, "branch", "later", "main~1")
    assert made(person, "y", "http://127.0.0.1:1/shop.git", "--base", "later").is_dir()


def test_a_url_that_is_rewritten_to_a_command(person: Person) -> None:
    gitconfig(
        person,
        '[url "ext::sh -c touch% ~/pwned% "]\n\tinsteadOf = http://127.0.0.1:1/\n'
        '[protocol "ext"]\n\tallow = always\n',
    )
    done = new(person, "x", "http://127.0.0.1:1/shop.git")
    assert done.returncode == 1
    assert "git remote helpers can run any command" in done.stderr
    assert list(person.home.rglob("pwned")) == []
    assert_nothing_left(person)


def test_a_proxy_of_the_persons(person: Person, bare: Path, server: HttpServer) -> None:
    """git's own http settings hold in our fetches."""
    gitconfig(person, f"[http]\n\tproxy = http://127.0.0.1:{server.port}\n")
    server.redirects = {"http://shop.invalid/shop.git": server.url("shop.git")}
    gitconfig(person, f'[http "{server.url("")}"]\n\tproxy =\n')
    done = new(person, "x", "http://shop.invalid/shop.git")
    assert head(person, place_of(done)) == head(person, bare, "main")


def missing(person: Person, place: Path) -> int:
    """How many objects of the commit a partial clone lacks."""
    argv = ("rev-list", "--objects", "--missing=print", "HEAD")
    lines = person.git(*argv, cwd=place).stdout.splitlines()
    return sum(line.startswith("?") for line in lines)


@pytest.mark.parametrize("said", ["config", "option"])
def test_a_part_of_a_repo(
    person: Person, repo: Path, bare: Path, server: HttpServer, url: str, said: str
) -> None:
    more = {"docs/a/b.md": "b\n", "docs/c.md": "c\n", "docs/d/e.md": "e\n"}
    commit(person, repo, more)
    person.git("push", "--quiet", bare, "main", cwd=repo)
    sparse = "checkout: {sparse: [app, docs/a]}\n"
    config(person, sparse + ("cache: {filter: 'blob:none'}\n" if said == "config" else ""))
    place = made(person, "x", url, *(("--filter", "blob:none") if said == "option" else ()))
    tracked = person.git("ls-files", cwd=place).stdout.split()
    there = sorted(name for name in tracked if (place / name).exists())
    assert there == [".gitignore", "README.md", "app/shop.py", "docs/a/b.md", "docs/c.md"]
    assert missing(person, place) == FILES + 1
    assert status(person, place) == ""
    assert person.git("sparse-checkout", "list", cwd=place).stdout.split() == ["app", "docs/a"]
    count = len(server.requests)
    assert "unchanged" in new(person, "x", url).stderr
    commit(person, place, {"app/more.py": "pass\n"})
    assert status(person, place) == ""
    done = person.mooring("end", "x", "--repo", url)
    assert "ended x" in done.stderr
    assert not place.exists()
    assert len(server.requests) == count


def test_a_sparse_workspace_can_be_widened(person: Person, url: str) -> None:
    """By git's own command, and is left so."""
    config(person, "checkout: {sparse: [app]}\n")
    place = made(person, "x", url)
    whole = made(person, "y", url)
    person.git("sparse-checkout", "add", "photos", cwd=place)
    assert len(list((place / "photos").iterdir())) == FILES
    assert "unchanged" in new(person, "x", url).stderr
    assert (place / "photos").is_dir()
    assert not (whole / "photos").exists()
    assert [status(person, where) for where in (place, whole)] == ["", ""]
    config(person, "{}\n")
    assert (made(person, "z", url) / "photos").is_dir()
    assert not (whole / "photos").exists()


def test_a_filter_that_the_server_does_not_know(person: Person, bare: Path, url: str) -> None:
    person.git("--git-dir", bare, "config", "--unset", "uploadpack.allowFilter")
    place = made(person, "x", url, "--filter", "blob:none")
    assert missing(person, place) == 0
    assert status(person, place) == ""


# ssh


REFUSED = {
    "stranger": "Host key verification failed",
    "locked": "Permission denied",
    "unauthorized": "Permission denied",
}


@pytest.mark.parametrize("who", list(REFUSED))
def test_ssh_that_would_ask(person: Person, repo: Path, ssh: SshServer, who: str) -> None:
    """Neither on a terminal that nobody sits at, nor in a window."""
    url = ssh.serve(repo, "shop.git")
    env = {"GIT_SSH_COMMAND": str(getattr(ssh, who))}
    asks = script(person.home / "askpass", "echo >>~/asked; echo yes")
    opens = {"SSH_ASKPASS": str(asks), "DISPLAY": ":0", "SSH_ASKPASS_REQUIRE": "force"}
    for more in ({}, opens):
        done = new(person, "x", url, env=env | more)
        assert done.returncode == 1
        assert "Cannot clone ssh://" in done.stderr
        assert REFUSED[who] in done.stderr
    argv = (sys.executable, "-m", "mooring", "new", "x", "--repo", url, "--launch", "none")
    with Terminal(person, *argv, env=env, stdin=Path(os.devnull), size=(40, 400)) as terminal:
        assert terminal.wait(60) == 1
        assert REFUSED[who] in terminal.screen
        assert "continue connecting" not in terminal.screen
        assert "passphrase" not in terminal.screen
    assert not (person.home / "asked").exists()
    assert_nothing_left(person)


@pytest.mark.parametrize("by", ["GIT_SSH_COMMAND", "GIT_SSH", "core.sshCommand"])
def test_the_persons_own_ssh(person: Person, repo: Path, ssh: SshServer, by: str) -> None:
    url, env = ssh.serve(repo, "shop.git"), {}
    if by == "GIT_SSH_COMMAND":
        env = {by: ssh.known}
    elif by == "GIT_SSH":
        env = {by: str(script(person.home / "own-ssh", f'exec {ssh.known} "$@"'))}
    else:
        person.git("config", "--global", by, ssh.known)
    place = place_of(new(person, "first", url, env=env))
    assert head(person, place) == head(person, repo)
    there = ("git", "-C", "shop.git")
    ssh.target.run(" ".join([*there, "branch", "later", "main~1"]))
    place = place_of(new(person, "later", url, "--base", "later", "--fetch", env=env))
    assert head(person, place) == head(person, repo, "main~1")
    mine = commit(person, place, {"mine.txt": "mine\n"})
    person.git("push", "--quiet", "origin", "HEAD", cwd=place, env=env)
    assert ssh.target.run(" ".join([*there, "rev-parse", "later"])).stdout.strip() == mine


def test_an_ssh_server_that_says_nothing(person: Person, ssh: SshServer) -> None:
    """A port that takes connections and never answers: given up, with a reason."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"ssh://robin@127.0.0.1:{silent.getsockname()[1]}/shop.git"
        command = f"{ssh.known} -o ConnectTimeout=2"
        done = new(person, "x", url, env={"GIT_SSH_COMMAND": command})
    assert done.returncode == 1
    assert "Cannot clone" in done.stderr
    assert "timed out" in done.stderr
    assert_nothing_left(person)


def test_a_partial_clone_by_ssh_asks_nobody(person: Person, repo: Path, ssh: SshServer) -> None:
    """What a probe fetches later waits for nobody either."""
    url = ssh.serve(repo, "shop.git")
    for setting in ("allowFilter", "allowAnySHA1InWant"):
        ssh.target.run(f"git -C shop.git config uploadpack.{setting} true")
    place = place_of(
        new(person, "x", url, "--filter", "blob:none", env={"GIT_SSH_COMMAND": ssh.known})
    )
    assert status(person, place) == ""
    newer = commit(person, repo, {"mooring.yaml": "ports: [web]\n"})
    person.git("push", "--quiet", url, "main", cwd=repo, env={"GIT_SSH_COMMAND": ssh.known})
    fetched = {"GIT_SSH_COMMAND": ssh.known}
    person.git("fetch", "--quiet", "origin", cwd=cache_of(person), env=fetched)
    argv = (sys.executable, "-m", "mooring", "new", "y", "--repo", url, "--launch", "none")
    env = {"GIT_SSH_COMMAND": ssh.stranger}
    with Terminal(person, *argv, env=env, stdin=Path(os.devnull), size=(40, 400)) as terminal:
        assert terminal.wait(60) == 1
        assert "continue connecting" not in terminal.screen
    done = new(person, "y", url, env=fetched)
    assert head(person, place_of(done)) == newer
