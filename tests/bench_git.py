"""What git does, for design/0008 and 0009: `python -m tests.bench_git [PART…]`. No test.

The parts are `identity`, `credentials` and `clone`; without one, all of them. It takes the git that
is first on PATH, makes all that it needs in a temporary directory, and talks to 127.0.0.1 only.
Times are medians, measured in turns in this run; those of `clone` of up to three lives.
"""

from __future__ import annotations

import contextlib
import os
import pty
import queue
import random
import re
import resource
import select
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Self

from tests.git.servers import HttpServer
from tests.support import Person, make_home, make_person, make_repo

ROUNDS = int(os.environ.get("ROUNDS", "5"))
AGENT = {"name": "Agent", "email": "agent@example.com"}


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table as Markdown."""
    print(f"\n{title}\n")
    print(f"| {' | '.join(head)} |")
    print(f"|{' --- |' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(str(cell) for cell in row)} |")
    sys.stdout.flush()


def cpu() -> float:
    """The CPU seconds of all children so far; unlike the wall's, a busy machine hardly adds any."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def milliseconds(
    rounds: int, clock: Callable[[], float], commands: Mapping[str, Callable[[], object]]
) -> dict[str, float]:
    """The median of each command, measured in turns."""
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):  # the first is to warm up
        for name, command in commands.items():
            start = clock()
            command()
            if number:
                taken[name].append((clock() - start) * 1000)
    return {name: statistics.median(values) for name, values in taken.items()}


# -- identity


def quoted(text: str) -> str:
    """A value, or a subsection's name, of git's config; a name can't hold a newline at all."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped.replace(chr(9), chr(92) + "t")}"'


def pattern(path: str) -> str:
    """What `gitdir:` takes for exactly that path, inside the quotes of a section's head."""
    glob = re.sub(r"[\\*?[]", r"\\\g<0>", path).replace("\n", "?")
    return glob.replace("\\", "\\\\").replace('"', '\\"')


def each(admin: Path | str, file: Path, below: str) -> str:
    """A section for a git directory, or with `/` for those below it."""
    return f'[includeIf "gitdir:{pattern(str(admin))}{below}"]\n\tpath = {quoted(str(file))}\n'


def conditions(admin: Path | str, file: Path) -> str:
    """The two sections that one workspace needs: its own git directory, and its submodules'."""
    return each(admin, file, "") + each(admin, file, "/")


def identity_file(path: Path, *sections: str) -> Path:
    """A file that says who the agent is, in those sections."""
    lines = [f"[{s}]\n\tname = {AGENT['name']}\n\temail = {AGENT['email']}\n" for s in sections]
    path.write_text("".join(lines))
    return path


@dataclass
class Place:
    """A person's clone with a submodule, an agent's worktree of it, and another worktree."""

    person: Person
    clone: Path
    worktree: Path
    other: Path

    @property
    def admin(self) -> Path:
        return self.clone / ".git/worktrees" / self.worktree.name

    @property
    def ours(self) -> Path:
        return self.person.home / "ours.gitconfig"


def make_place(person: Person, directory: Path) -> Place:
    """Make one anew."""
    person.git("config", "--global", "protocol.file.allow", "always")
    library = make_repo(person, directory / "library", {"a": "a\n"})
    clone = make_repo(person, directory / "clone", {"a": "a\n"})
    person.git("submodule", "--quiet", "add", library, "library", cwd=clone)
    person.git("commit", "-m", "Add the library", cwd=clone)
    place = Place(person, clone, directory / "agent", directory / "other")
    for path in (place.worktree, place.other):
        person.git("worktree", "add", "-b", path.name, path, cwd=clone)
        person.git("submodule", "update", "--init", cwd=path)
    return place


def author(person: Person, where: Path, **env: str) -> str:
    """Who a commit there would be by: `agent`, `mixed`, or another's e-mail."""
    ask = ("-c", "user.useConfigOnly=true", "var")
    names = ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT")
    done = [person.git(*ask, name, cwd=where, env=env, check=False) for name in names]
    found = {re.sub(r".*<(.*)>.*", r"\1", each.stdout.strip()) or "nobody" for each in done}
    if found == {AGENT["email"]}:
        return "yes"
    return "author other" if len(found) > 1 else f"no ({found.pop().split('@')[0]})"


def by_environment(place: Place) -> dict[str, str]:
    kinds = [(kind, part) for kind in ("AUTHOR", "COMMITTER") for part in AGENT]
    return {f"GIT_{kind}_{part.upper()}": AGENT[part] for kind, part in kinds}


def by_config_variables(place: Place) -> dict[str, str]:
    file = identity_file(place.person.home / "id", "user", "author", "committer")
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "include.path",
        "GIT_CONFIG_VALUE_0": str(file),
    }


def by_worktree_config(place: Place) -> dict[str, str]:
    place.person.git("config", "extensions.worktreeConfig", "true", cwd=place.clone)
    for part, value in AGENT.items():
        place.person.git("config", "--worktree", f"user.{part}", value, cwd=place.worktree)
    return {}


def by_global_include(place: Place, *sections: str) -> dict[str, str]:
    file = identity_file(place.person.home / "id", *sections)
    place.ours.write_text(conditions(place.admin, file))
    place.person.git("config", "--global", "--add", "include.path", place.ours)
    return {}


def by_own_include(place: Place) -> dict[str, str]:
    file = identity_file(place.person.home / "id", "user", "author", "committer")
    with (place.clone / ".git/config").open("a") as config:
        config.write(conditions(f"./worktrees/{place.worktree.name}", file))
    return {}


WAYS: dict[str, Callable[[Place], dict[str, str]]] = {
    "`GIT_AUTHOR_*`, `GIT_COMMITTER_*`": by_environment,
    "`GIT_CONFIG_COUNT`, `_KEY_0`, `_VALUE_0`": by_config_variables,
    "`config.worktree`": by_worktree_config,
    "global `includeIf`, `user.*`": lambda place: by_global_include(place, "user"),
    "global `includeIf`, `user.*` `author.*` `committer.*`": lambda place: by_global_include(
        place, "user", "author", "committer"
    ),
    "the repo's own config, `includeIf`": by_own_include,
}


def holds(way: Callable[[Place], dict[str, str]]) -> list[str]:
    """Where the agent's identity holds, one answer per situation."""
    with tempfile.TemporaryDirectory() as directory:
        person = make_person(make_home(Path(directory).resolve() / "home"))
        place = make_place(person, Path(directory).resolve())
        config = place.clone / ".git/config"
        before = config.stat().st_size
        env = way(place)
        grown = config.stat().st_size - before

        def ask(where: Path = place.worktree, **more: str) -> str:
            return author(person, where, **env, **more)

        elsewhere = replace(person, env=person.env | {"HOME": "/nonexistent"})
        exported = {"GIT_AUTHOR_EMAIL": "exported@x"}
        said = [
            ask(),
            author(person, place.worktree),
            author(elsewhere, place.worktree),
            ask(place.worktree / "library"),
            author(person, place.worktree, **(exported | env)),
            author(person, place.other, **env) + ", " + author(person, place.clone, **env),
        ]
        for key, value in (("user.email", "local@x"), ("author.email", "localauthor@x")):
            person.git("config", key, value, cwd=place.clone)
            said.append(ask())
            person.git("config", "--unset", key, cwd=place.clone)
        main = person.home / ".gitconfig"
        main.write_text(main.read_text() + "[user]\n\temail = later@x\n")
        said.append(ask())
        person.git(
            "worktree", "add", "-b", "child", place.worktree.parent / "child", cwd=place.worktree
        )
        said.append(author(person, place.worktree.parent / "child"))
        return [*said, f"{grown} bytes"]


def show_precedence() -> None:
    situations = [
        "its own shell",
        "plain shell, cron",
        "other HOME",
        "submodule",
        "GIT_AUTHOR_EMAIL exported",
        "other worktree, clone",
        "repo has `user.email`",
        "repo has `author.email`",
        "`[user]` below the include",
        "worktree made inside it",
        "shared config grows by",
    ]
    columns = [holds(way) for way in WAYS.values()]
    rows = [[name, *cells] for name, *cells in zip(situations, *columns, strict=True)]
    table("Is a commit the agent's?", ["", *WAYS], rows)


NAMES = [
    "plain",
    "sp ace",
    "tr ail ",
    "[x]",
    "st*r",
    "qu?st",
    "back\\slash",
    "end\\",
    "ha#sh",
    "semi;c",
    'quo"te',
    "ünï 日本",
    "{a,b}",
    "~home",
    "tab\there",
    "new\nline",
]


def show_patterns() -> None:
    """Whether `gitdir:` finds a clone in a directory of that name, as it is and escaped."""
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        person = make_person(make_home(Path(directory).resolve() / "home"))
        ours = person.home / "ours.gitconfig"
        person.git("config", "--global", "--add", "include.path", ours)
        file = identity_file(person.home / "id", "author", "committer")
        for name in NAMES:
            ours.write_text("")
            clone = make_repo(person, Path(directory).resolve() / name / "clone", {"a": "a\n"})
            person.git("worktree", "add", "-b", "agent", clone.parent / "agent", cwd=clone)
            admin = str(clone / ".git/worktrees/agent")
            for_config = admin.replace("\\", "\\\\").replace('"', '\\"')
            cells = []
            for key in (admin, for_config, pattern(admin)):
                text = f'[includeIf "gitdir:{key}"]\n\tpath = {quoted(str(file))}\n'
                ours.write_bytes(os.fsencode(text))
                cells.append(author(person, clone.parent / "agent"))
            rows.append([f"`{name!r}`", *(c.replace("no (nobody)", "fatal") for c in cells)])
    table("Does `gitdir:` match a path with it?", ["", "raw", "quoted", "glob, quoted"], rows)


def show_cost() -> None:
    """What so many workspaces' conditions cost a git command, in and outside a workspace."""
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        person = make_person(make_home(Path(directory).resolve() / "home"))
        place = make_place(person, Path(directory).resolve())
        file = identity_file(person.home / "id", "user", "author", "committer")
        for many in (1, 10, 100, 1000):
            admins = [place.admin, *(place.admin.parent / f"topic-{i}" for i in range(1, many))]
            flat = person.home / f"flat-{many}"
            flat.write_text("".join(conditions(admin, file) for admin in admins))
            nested, own, modules = (
                person.home / f"{n}-{many}" for n in ("nested", "own", "modules")
            )
            head = pattern(str(place.clone / ".git/worktrees"))
            nested.write_text(
                f'[includeIf "gitdir:{head}/"]\n\tpath = {own}\n'
                f'[includeIf "gitdir:{head}/*/modules/"]\n\tpath = {modules}\n'
            )
            own.write_text("".join(each(admin, file, "") for admin in admins))
            modules.write_text("".join(each(admin, file, "/") for admin in admins))
        config = person.home / ".gitconfig"
        plain = config.read_text()

        def once(where: Path, ours: str, verb: str) -> Callable[[], object]:
            argv = {
                "var": ("var", "GIT_AUTHOR_IDENT"),
                "status": ("status", "--porcelain"),
                "commit": ("commit", "--quiet", "--allow-empty", "--message=x"),
            }[verb]

            def command() -> None:
                config.write_text(plain + f"[include]\n\tpath = ~/{ours}\n")  # none isn't there
                person.git(*argv, cwd=where)

            return command

        rounds = max(ROUNDS * 6, 30)
        kinds = ["none", *(f"{k}-{n}" for k in ("flat", "nested") for n in (1, 10, 100, 1000))]
        for verb in ("var", "status", "commit"):
            library = place.clone.parent / "library"
            outside = ("none", "flat-1000", "nested-1000")
            commands = {k: once(place.worktree, k, verb) for k in kinds}
            commands |= {f"{k} elsewhere": once(library, k, verb) for k in outside}
            taken = milliseconds(rounds, cpu, commands)
            more = [f"{taken[k] - taken['none']:+.1f}" for k in kinds if k != "none"]
            away = taken["none elsewhere"]
            more += [f"{taken[f'{k} elsewhere'] - away:+.1f}" for k in outside[1:]]
            rows.append([f"git {verb}", f"{taken['none']:.1f}", *more])
    kinds_of = [f"{kind} {n}" for kind in ("flat", "per repo") for n in (1, 10, 100, 1000)]
    columns = ["CPU ms", "none", *kinds_of, "elsewhere, flat 1000", "elsewhere, per repo 1000"]
    table("What the conditions add to a command", columns, rows)


def show_planted() -> None:
    """What runs on the host if somebody may write to a worktree and to its git directory."""
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        person = make_person(make_home(Path(directory).resolve() / "home"))
        place = make_place(person, Path(directory).resolve())
        ran, times = person.home / "ran", [1]
        evil = person.home / "evil"
        evil.write_text(f"#!/bin/sh\necho >>{ran}\ncat\n")
        evil.chmod(0o755)
        named = (
            "-c",
            "core.fsmonitor=",
            "-c",
            "core.hooksPath=/dev/null",
            f"--git-dir={place.admin}",
            f"--work-tree={place.worktree}",
        )
        pin = {"GIT_COMMON_DIR": str(place.clone / ".git")}

        def runs(*argv: str, **env: str) -> str:
            times.append(len(times))  # another time each time: else git trusts its index
            os.utime(place.worktree / "a", (times[-1], times[-1]))
            ran.unlink(missing_ok=True)
            person.git(*argv, "status", cwd=place.worktree, env=env, check=False)
            return "runs" if ran.exists() else "no"

        def row(what: str) -> None:
            rows.append([what, runs(), runs(*named), runs(*named, **pin)])

        (place.worktree / ".gitattributes").write_text("* filter=e\n")
        settings = f'[core]\n\tfsmonitor = {evil}\n[filter "e"]\n\tclean = {evil}\n'
        (place.admin / "config.worktree").write_text(settings)
        row("`config.worktree`")
        person.git("config", "extensions.worktreeConfig", "true", cwd=place.clone)
        row("`config.worktree`, extension on")
        (place.admin / "config.worktree").unlink()
        own = person.home / "own.git"
        shutil.copytree(place.clone / ".git", own)
        with (own / "config").open("a") as config:
            config.write(settings)
        kept = (place.admin / "commondir").read_text()
        (place.admin / "commondir").write_text(f"{own}\n")
        row("`commondir`")
        (place.admin / "commondir").write_text(kept)
        (place.worktree / ".git").write_text(f"gitdir: {own}/worktrees/{place.worktree.name}\n")
        row("the worktree's `.git`")
    head = ["rewritten", "`git status` there", "`--git-dir`", "and `GIT_COMMON_DIR`"]
    table("Does the planted program run?", head, rows)


TOOLS_PYTHON = os.environ.get("TOOLS_PYTHON", sys.executable)
TOOLS = {
    "pygit2": "import pygit2; print(pygit2.Repository('.').default_signature.email)",
    "dulwich": "from dulwich.repo import Repo, get_user_identity as who; "
    "print(who(Repo('.').get_config_stack(), kind='AUTHOR').decode().split('<')[-1].strip('>'))",
}


def show_tools() -> None:
    """What other tools, if they are installed, say of the same worktree."""
    rows = []
    for tool, code in TOOLS.items():
        probe = (TOOLS_PYTHON, "-c", f"import {tool}")
        if subprocess.run(probe, capture_output=True).returncode:
            continue
        cells = []
        for way in (*WAYS.values(), None):
            with tempfile.TemporaryDirectory() as directory:
                person = make_person(make_home(Path(directory).resolve() / "home"))
                place = make_place(person, Path(directory).resolve())
                env = way(place) if way else {}
                if not way:
                    person.git("config", "core.repositoryFormatVersion", "1", cwd=place.clone)
                    person.git("config", "extensions.partialClone", "origin", cwd=place.clone)
                ask = (TOOLS_PYTHON, "-c", code)
                done = person.run(*ask, cwd=place.worktree, env=env, check=False)
                said = (done.stdout or done.stderr).strip().splitlines()[-1]
                cells.append(
                    {AGENT["email"]: "agent", "robin@example.com": "person"}.get(said) or said[-70:]
                )
        rows.append([tool, *cells])
    table("Other tools, in the agent's worktree", ["", *WAYS, "a partial clone"], rows)


def identity() -> None:
    """Who a commit is by."""
    show_precedence()
    show_patterns()
    show_cost()
    show_planted()
    show_tools()


# -- a link


class Link:
    """A relay to a port on loopback, which counts bytes and can be slow; both ways alike."""

    def __init__(self, port: int, rate: float = 0, latency: float = 0) -> None:
        self.port, self.rate, self.latency = port, rate, latency
        self.received = 0
        self._server = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._free = {"up": 0.0, "down": 0.0}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    @property
    def at(self) -> str:
        return f"127.0.0.1:{self._server.getsockname()[1]}"

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # until it is closed
            while True:
                client = self._server.accept()[0]
                with contextlib.suppress(OSError):  # one that has hung up already
                    self._relay(client, socket.create_connection(("127.0.0.1", self.port)))

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for way, source, sink in (("up", client, server), ("down", server, client)):
            pieces: queue.Queue[tuple[float, bytes]] = queue.Queue(64)
            for step in (self._take, self._give):
                ends = (way, source, sink, pieces)
                threading.Thread(target=step, args=ends, daemon=True).start()

    def _take(
        self,
        way: str,
        source: socket.socket,
        _: socket.socket,
        pieces: queue.Queue[tuple[float, bytes]],
    ) -> None:
        data = b"-"
        while data:
            try:
                data = source.recv(65536)
            except OSError:
                data = b""
            with self._lock:
                due = max(time.monotonic(), self._free[way])
                if self.rate:
                    due = self._free[way] = due + len(data) / self.rate
                if way == "down":
                    self.received += len(data)
            pieces.put((due + self.latency, data))

    def _give(
        self,
        way: str,
        source: socket.socket,
        sink: socket.socket,
        pieces: queue.Queue[tuple[float, bytes]],
    ) -> None:
        with contextlib.suppress(OSError):
            while True:
                due, data = pieces.get()
                if (wait := due - time.monotonic()) > 0:
                    time.sleep(wait)
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                sink.sendall(data)


# -- credentials

USER, TOKEN, WRONG = "x-access-token", "tok3n-of-the-agent", "tok3n-that-is-wrong"
PERSONS = "passw0rd-of-the-person"


@dataclass
class Login:
    """How one fetch logs in: options before the verb, and an environment."""

    options: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)


def included(home: Path, name: str, text: str) -> Login:
    path = home / f"{name}.gitconfig"
    path.write_text(text)
    return Login(["-c", f"include.path={path}"])


def by_askpass(home: Path, host: str, token: str) -> Login:
    script = home / "askpass"
    secret(home, token)
    script.write_text(f"#!/bin/sh\ncase $1 in Username*) echo {USER} ;; *) {home}/token ;; esac\n")
    script.chmod(0o755)
    return Login(env={"GIT_ASKPASS": str(script)})


def by_helper(home: Path, host: str, token: str) -> Login:
    secret(home, token)
    code = (
        '!f() { if [ \\"$1\\" = get ]; then t=$('
        f'{home}/token) && echo username={USER} && echo \\"password=$t\\" || echo quit=1; '
        "fi; }; f"
    )
    text = f'[credential "{host}"]\n\thelper =\n\thelper = "{code}"\n'
    return included(home, "helper", text)


def by_global_helper(home: Path, host: str, token: str) -> Login:
    path = by_helper(home, host, token).options[1].removeprefix("include.path=")
    with (home / ".gitconfig").open("a") as config:
        config.write(f"[include]\n\tpath = {path}\n")
    return Login()


def by_url(home: Path, host: str, token: str) -> Login:
    there = host.replace("://", f"://{USER}:{token}@")
    return included(home, "url", f'[url "{there}/"]\n\tinsteadOf = {host}/\n')


def by_header(home: Path, host: str, token: str) -> Login:
    value = b64encode(f"{USER}:{token}".encode()).decode()
    text = f'[http "{host}/"]\n\textraHeader = "Authorization: Basic {value}"\n'
    return included(home, "header", text)


def by_header_option(home: Path, host: str, token: str) -> Login:
    value = b64encode(f"{USER}:{token}".encode()).decode()
    return Login(["-c", f"http.{host}/.extraHeader=Authorization: Basic {value}"])


LOGINS: dict[str, Callable[[Path, str, str], Login]] = {
    "`GIT_ASKPASS`": by_askpass,
    "scoped helper by `-c`": by_helper,
    "scoped helper, global": by_global_helper,
    "`insteadOf` with token": by_url,
    "`extraHeader` in a file": by_header,
    "`extraHeader` by `-c`": by_header_option,
}


def secret(home: Path, token: str) -> None:
    """The command that prints a token, as a person configures one; without a token it fails."""
    (home / "token").write_text(f"#!/bin/sh\necho {token}\n" if token else "#!/bin/sh\nexit 1\n")
    (home / "token").chmod(0o755)


def forms(token: str) -> list[bytes]:
    """A token as it is, and as it stands in a Basic header."""
    return [token.encode(), b64encode(f"{USER}:{token}".encode())]


class Watch:
    """Looks, as another process of the same user could, for a token in argv and environments."""

    def __init__(self, home: Path, token: str) -> None:
        self.mark = f"HOME={home}\0".encode()
        self.token = token
        self.found: set[str] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.is_set():
            for directory in Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError):
                    environ = (directory / "environ").read_bytes() + b"\0"
                    if self.mark not in environ:
                        continue
                    for kind, data in (
                        ("argv", (directory / "cmdline").read_bytes()),
                        ("environ", environ),
                    ):
                        if any(form in data for form in forms(self.token)):
                            self.found.add(kind)


@dataclass
class Remote:
    """A server that wants a login, and a person's clone of what it serves."""

    person: Person
    server: HttpServer
    link: Link
    clone: Path
    host: str

    def fetch(self, login: Login, *more: str, timeout: float = 60, **env: str) -> tuple[int, str]:
        """Fetch without a terminal; 124 for one that hangs."""
        argv = [*login.options, "fetch", "--quiet", *(more or ("origin",))]
        try:
            done = self.person.git(
                *argv, cwd=self.clone, env=login.env | env, check=False, timeout=timeout
            )
        except subprocess.TimeoutExpired:
            return 124, ""
        return done.returncode, done.stdout + done.stderr


@contextlib.contextmanager
def remote() -> Iterator[Remote]:
    with tempfile.TemporaryDirectory() as directory:
        base = Path(directory).resolve()
        person = make_person(make_home(base / "home"))
        origin = make_repo(person, base / "origin", {"a": "a\n"})
        (base / "served").mkdir()
        person.git("clone", "--quiet", "--bare", origin, base / "served/shop.git")
        with HttpServer(base / "served") as server, Link(server.port) as link:
            host = f"http://{link.at}"
            person.git("clone", "--quiet", f"{host}/shop.git", base / "clone")
            server.user, server.password = USER, TOKEN
            yield Remote(person, server, link, base / "clone", host)


def on_disk(*roots: Path) -> list[str]:
    """The files that have the agent's token, other than those the login itself was put in."""
    own = ("token", "askpass", ".gitconfig-")
    return sorted(
        str(path.relative_to(root))
        for root in roots
        for path in root.rglob("*")
        if path.is_file()
        and path.name not in own
        and path.suffix != ".gitconfig"
        and any(form in path.read_bytes() for form in forms(TOKEN))
    ) + [".gitconfig" for root in roots[:1] if TOKEN.encode() in (root / ".gitconfig").read_bytes()]


def show_exposure() -> None:
    """Where the token can be seen, during a fetch and after."""
    rows = []
    for name, way in LOGINS.items():
        with remote() as there:
            home = there.person.home
            login = way(home, there.host, TOKEN)
            there.link.latency = 0.1
            with Watch(home, TOKEN) as watch:
                status, _ = there.fetch(login)
            there.link.latency = 0
            traced = there.fetch(login, GIT_TRACE="1", GIT_TRACE_CURL="1")[1]
            missing = there.fetch(login, f"{there.host}/none.git")[1]
            refused = there.fetch(login, f"{there.host.rsplit(':', 1)[0]}:1/shop.git")[1]
            shown = there.person.git(*login.options, "remote", "-v", cwd=there.clone).stdout
            after = on_disk(home, there.clone)
            there.person.git("config", "--global", "credential.helper", "store")
            there.fetch(login)
            stored = (home / ".git-credentials").exists()

            with HttpServer(there.server.root) as stranger:
                stranger.user = "nobody"
                there.server.redirects["/shop.git"] = stranger.url("shop.git")
                there.fetch(login, GIT_TERMINAL_PROMPT="0")
                given = any(TOKEN in offer for offer in stranger.offered)

            def seen(text: str) -> str:
                return "yes" if any(form.decode() in text for form in forms(TOKEN)) else "no"

            rows.append(
                [
                    name,
                    "ok" if not status else f"failed {status}",
                    ", ".join(sorted(watch.found)) or "no",
                    ", ".join(after) or "no",
                    seen(shown),
                    seen(traced),
                    seen(missing) + ", " + seen(refused),
                    "yes" if stored else "no",
                    "yes" if given else "no",
                ]
            )
    head = [
        "",
        "fetch",
        "in /proc",
        "on disk after",
        "`remote -v`",
        "trace",
        "error: 404, no server",
        "kept by the person's `store`",
        "given to another host after a redirect",
    ]
    table("Where the token can be seen", head, rows)


def show_precedence_of_logins() -> None:
    """Whose login is used where the person's own helper has one and the agent's is refused."""
    rows = []
    for name, way in LOGINS.items():
        cells = []
        for scope in ("--global", "--local", "later"):
            with remote() as there:
                login = way(there.person.home, there.host, WRONG)
                there.server.user, there.server.password = "robin", PERSONS
                kept = there.person.home / ".git-credentials"
                kept.write_text(there.host.replace("://", f"://robin:{PERSONS}@") + "\n")
                if scope == "later":
                    with (there.person.home / ".gitconfig").open("a") as config:
                        section = f'[credential "{there.host}"]'
                        config.write(f"{section}\n\thelper =\n\thelper = store\n")
                else:
                    there.person.git("config", scope, "credential.helper", "store", cwd=there.clone)
                there.fetch(login, GIT_TERMINAL_PROMPT="0")
                first = there.server.offered[0][1] if there.server.offered else "nobody"
                lost = "" if PERSONS in kept.read_text() else ", erases the person's"
                cells.append({WRONG: "agent", PERSONS: "person"}.get(first, first) + lost)
        rows.append([name, *cells])
    head = [
        "",
        "`store` in ~/.gitconfig",
        "`store` in .git/config",
        "scoped, added to ~/.gitconfig later",
    ]
    table("Whose login is offered first; the agent's is out of date here", head, rows)


def on_terminal(there: Remote, login: Login, **env: str) -> str:
    """Fetch at a terminal where nobody types; says whether it asks."""
    leader, terminal = pty.openpty()
    argv = ["git", *login.options, "fetch", "--quiet", "origin"]
    child = subprocess.Popen(
        ["setsid", "--ctty", "--wait", *argv],
        cwd=there.clone,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=there.person.env | login.env | env,
    )
    os.close(terminal)
    said, end = b"", time.monotonic() + 5
    asks = False
    while child.poll() is None and time.monotonic() < end and not asks:
        if select.select([leader], [], [], 0.1)[0]:
            with contextlib.suppress(OSError):
                said += os.read(leader, 4096)
        asks = bool(re.search(rb"(?m)^(Username|Password) for ", said))
    os.close(leader)
    child.kill()
    child.wait()
    return "asks, waits" if asks else "hangs" if time.monotonic() > end else "fails"


def show_wrong() -> None:
    """What happens with a wrong token, and with a command that fails."""
    rows = []
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": ""}
    for what, token in (("wrong token", WRONG), ("the command fails", "")):
        for name, way in LOGINS.items():
            if not token and way not in (by_askpass, by_helper, by_global_helper):
                continue
            with remote() as there:
                login = way(there.person.home, there.host, token)
                asked = there.person.home / "asked"
                window = there.person.home / "window"
                window.write_text(f"#!/bin/sh\necho >>{asked}\nexit 1\n")
                window.chmod(0o755)
                start = time.perf_counter()
                status, said = there.fetch(login)
                took = time.perf_counter() - start
                there.fetch(login, SSH_ASKPASS=str(window), GIT_TERMINAL_PROMPT="0")
                opened = "opens" if asked.exists() else "no"
                asked.unlink(missing_ok=True)
                guarded = Login(login.options, quiet | login.env)
                there.fetch(guarded, SSH_ASKPASS=str(window))
                rows.append(
                    [
                        f"{name}, {what}",
                        f"{status}, {took:.1f} s",
                        said.strip().splitlines()[-1].replace(there.host, "URL")[:60],
                        on_terminal(there, login),
                        on_terminal(there, login, GIT_TERMINAL_PROMPT="0"),
                        opened,
                        on_terminal(there, guarded) + (", opens" if asked.exists() else ""),
                    ]
                )
    head = [
        "",
        "without a terminal",
        "it says",
        "at a terminal",
        "with GIT_TERMINAL_PROMPT=0",
        "the window of SSH_ASKPASS",
        "that and GIT_ASKPASS empty",
    ]
    table("A token that does not do", head, rows)


def show_effort() -> None:
    """Requests, processes and time of one fetch with nothing new."""
    rows = []
    with remote() as there:
        ways: dict[str, Login] = {"no login wanted": Login()}
        ways |= {
            name: way(there.person.home, there.host, TOKEN)
            for name, way in LOGINS.items()
            if way is not by_global_helper
        }

        def once(name: str) -> None:
            there.server.user = USER if name in LOGINS else None
            status, said = there.fetch(ways[name])
            assert not status, (name, said)

        commands = {name: partial(once, name) for name in ways}
        taken = milliseconds(ROUNDS * 4, time.perf_counter, commands)
        for name, login in ways.items():
            there.server.user = USER if name in LOGINS else None
            before = len(there.server.requests)
            once(name)
            requests = len(there.server.requests) - before
            rows.append(
                [
                    name,
                    requests,
                    programs(there, login),
                    f"{taken[name]:.0f}",
                    f"{taken[name] / taken['no login wanted']:.2f}",
                ]
            )
    table("One fetch", ["", "requests", "programs run", "ms", "times"], rows)


def programs(there: Remote, login: Login) -> str:
    """How many programs one fetch starts; needs strace."""
    if not shutil.which("strace"):
        return "-"
    with tempfile.NamedTemporaryFile("r") as log:
        argv = ("strace", "-f", "-qq", "-e", "trace=execve,fork,vfork,clone,clone3", "-o", log.name)
        there.person.run(
            *argv,
            "git",
            *login.options,
            "fetch",
            "--quiet",
            "origin",
            cwd=there.clone,
            env=login.env,
        )
        lines = log.read().splitlines()
    ran = sum(" execve(" in line and line.endswith("= 0") for line in lines)
    return str(ran)


def credentials() -> None:
    """How an agent logs in."""
    show_exposure()
    show_precedence_of_logins()
    show_wrong()
    show_effort()


# -- clone

COMMITS, FILES, BRANCHES = 5_000, 3_000, 300
BINARIES, REVISIONS = 40, 3
WORDS = 2_000
STRATEGIES = {
    "full": (),
    "blob:none": ("--filter=blob:none",),
    "blob:limit=64k": ("--filter=blob:limit=64k",),
    "depth 1": ("--depth=1",),
}
SPEEDS = {"loopback": (0.0, 0.0), "5 MB/s, 50 ms": (5e6, 0.025)}


def stream(chance: random.Random) -> Iterator[bytes]:
    """A history for fast-import: text that grows by lines, and binaries that are replaced."""
    words = [
        "".join(chance.choices("abcdefghijklmnopqrstuvwxyz_", k=chance.randint(2, 11)))
        for _ in range(WORDS)
    ]

    def text(lines: int) -> list[str]:
        return [" ".join(chance.choices(words, k=9)) for _ in range(lines)]

    names = [f"src/area{i % 40}/part{i % 7}/module_{i}.py" for i in range(FILES)]
    pictures = [f"assets/picture_{i}.bin" for i in range(BINARIES)]
    held = {name: text(chance.randint(20, 250)) for name in names}

    def put(name: str, data: bytes) -> bytes:
        return b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(data), data)

    def head(ref: str, number: int, mark: int, parent: int) -> bytes:
        who = b"Robin Shore <robin@example.com> %d +0000\n" % (1_600_000_000 + number * 600)
        said = b"Change %d\n" % number
        out = b"commit %s\nmark :%d\nauthor %scommitter %s" % (ref.encode(), mark, who, who)
        return (
            out + b"data %d\n%s" % (len(said), said) + (b"from :%d\n" % parent if parent else b"")
        )

    on_main = COMMITS - BRANCHES * 4
    for number in range(1, on_main + 1):
        yield head("refs/heads/main", number, number, number - 1)
        if number == 1:
            for name in names:
                yield put(name, "\n".join(held[name]).encode())
        for name in chance.sample(names, 3):
            lines = held[name]
            at = chance.randrange(len(lines))
            lines[at : at + chance.randint(0, 2)] = text(chance.randint(1, 3))
            yield put(name, "\n".join(lines).encode())
        if number % (on_main // (BINARIES * REVISIONS)) == 0:
            picture = pictures[(number * BINARIES * REVISIONS // on_main) % BINARIES]
            yield put(picture, chance.randbytes(chance.randint(200_000, 1_800_000)))
    mark = on_main
    for branch in range(BRANCHES):
        parent = chance.randrange(on_main // 2, on_main)
        for step in range(4):
            mark += 1
            yield head(f"refs/heads/topic-{branch}", mark, mark, parent)
            yield put(
                f"src/area{branch % 40}/topic_{branch}.py", "\n".join(text(30 + step)).encode()
            )
            parent = mark


def make_origin(person: Person, path: Path) -> Path:
    """The repo that is cloned, packed as a host would have it."""
    person.git("init", "--quiet", "--bare", path)
    feed = subprocess.Popen(
        ["git", "fast-import", "--quiet"], cwd=path, env=person.env, stdin=subprocess.PIPE
    )
    assert feed.stdin
    for piece in stream(random.Random(1)):
        feed.stdin.write(piece)
    feed.stdin.close()
    assert feed.wait() == 0
    person.git("repack", "-adfbq", "--depth=50", "--window=10", cwd=path, timeout=1200)
    person.git("config", "uploadpack.allowFilter", "true", cwd=path)
    person.git("config", "uploadpack.allowAnySHA1InWant", "true", cwd=path)
    return path


def size(path: Path) -> int:
    return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())


@dataclass
class Bill:
    """What one step cost."""

    seconds: float
    received: int
    requests: int
    status: int
    said: str

    def __str__(self) -> str:
        if self.status:
            return f"fails after {self.seconds:.1f} s"
        moved = f", {self.received / 1e6:.1f} MB, {self.requests}" if self.requests else ""
        return f"{self.seconds:.2f}{moved}"


@dataclass
class Meter:
    """Runs git and says what it cost on the link."""

    person: Person
    server: HttpServer
    link: Link

    def git(self, *argv: str | Path, check: bool = True) -> Bill:
        requests, received = len(self.server.requests), self.link.received
        start = time.perf_counter()
        done = self.person.git(*argv, check=False, timeout=1200)
        took = time.perf_counter() - start
        assert not check or done.returncode == 0, done.stderr
        return Bill(
            took,
            self.link.received - received,
            len(self.server.requests) - requests,
            done.returncode,
            done.stdout,
        )


STEPS = {
    "clone": (),
    "1st worktree": (),
    "2nd worktree (another branch)": (),
    "`log -p -- FILE`": (),
    "the same again": (),
    "`blame FILE`": (),
    "`merge-base` of 20 branches": (),
    "fetch of 5 commits": (),
}


def one_life(
    meter: Meter, origin: Path, cache: Path, options: Sequence[str], file: str, update: str
) -> dict[str, Bill | str]:
    """A cache from its clone on, over a link."""
    work = cache.parent / f"{cache.name}.worktrees"
    person, bills = meter.person, dict[str, Bill | str]()
    person.git("init", "--quiet", "--bare", cache)
    there = f"--git-dir={cache}"
    person.git(there, "remote", "add", "origin", f"http://{meter.link.at}/{origin.name}")
    refs = "+refs/heads/*:refs/remotes/origin/*"
    bills["clone"] = meter.git(there, "fetch", "-q", "--prune", *options, "origin", refs)
    bills["disk after it, MB"] = f"{size(cache) / 1e6:.0f}"
    for number, (name, start) in enumerate((("1st", "main"), ("2nd", "topic-7")), 1):
        add = ("worktree", "add", "-q", "--no-track", "-b", f"w{number}", work / str(number))
        bills[f"{name} worktree"] = meter.git(there, *add, f"refs/remotes/origin/{start}")
    here = ("-C", work / "1")
    bills["`log -p -- FILE`"] = meter.git(*here, "log", "-p", "--", file)
    bills["the same again"] = meter.git(*here, "log", "-p", "--", file)
    bills["`blame FILE`"] = meter.git(*here, "blame", file)
    bills["`log --stat -100`"] = meter.git(*here, "log", "--stat", "-100")
    found = sum(
        not meter.git(
            there,
            "merge-base",
            "refs/remotes/origin/main",
            f"refs/remotes/origin/topic-{n}",
            check=False,
        ).status
        for n in range(20)
    )
    bills["merge bases found, of 20"] = str(found)
    (work / "1/new").write_text("new\n")
    person.git(*here, "add", "new")
    person.git(*here, "commit", "-q", "-m", "new")
    not_pushed = ("rev-list", "--count", "HEAD", "--not", "--remotes")
    bills["ahead of the remote (1)"] = meter.git(*here, *not_pushed).said.strip()
    person.git("-C", origin, "update-ref", "refs/heads/main", update)
    bills["fetch of 5 commits"] = meter.git(
        there, "fetch", "-q", "--prune", *options, "origin", refs
    )
    bills["ahead, after it (1)"] = meter.git(*here, *not_pushed).said.strip()
    merge = meter.git(*here, "merge", "-q", "-m", "m", "refs/remotes/origin/main", check=False)
    bills["merge of main"] = "refused" if merge.status else merge
    bills["disk at the end, MB"] = f"{size(cache) / 1e6:.0f}"
    person.git("-C", origin, "update-ref", "refs/heads/main", f"{update}~5")
    return bills


def offline(meter: Meter, cache: Path, file: str, other: str) -> dict[str, str]:
    """What still works when the server is gone."""
    person = meter.person
    there, work = f"--git-dir={cache}", cache.parent / f"{cache.name}.worktrees"
    person.git(there, "remote", "set-url", "origin", "http://127.0.0.1:1/gone.git")
    here = ("-C", work / "1")
    (work / "1" / file).write_text("changed\n")
    steps: dict[str, tuple[str | Path, ...]] = {
        "`status`, `commit`": (*here, "commit", "-q", "-am", "offline"),
        "worktree of main again": (there, "worktree", "add", "-q", "-b", "w3", work / "3", "w1~2"),
        "worktree of a third branch": (
            there,
            "worktree",
            "add",
            "-q",
            "-b",
            "w4",
            work / "4",
            "refs/remotes/origin/topic-99",
        ),
        "`log -p` of a file seen before": (*here, "log", "-p", "--", file),
        "`log -p` of another": (*here, "log", "-p", "--", other),
        "`checkout HEAD~1500`": (*here, "checkout", "-q", "HEAD~1500"),
    }
    bills = {name: meter.git(*argv, check=False) for name, argv in steps.items()}
    return {name: "fails" if bill.status else "works" for name, bill in bills.items()}


def clone() -> None:
    """What the cache of a repo is."""
    with tempfile.TemporaryDirectory() as directory:
        base = Path(directory).resolve()
        person = make_person(make_home(base / "home"))
        person.git("config", "--global", "gc.auto", "0")  # as in all that Mooring runs
        start = time.perf_counter()
        origin = make_origin(person, base / "served/shop.git")
        made = time.perf_counter() - start
        update = person.git("-C", origin, "rev-parse", "main").stdout.strip()
        person.git("-C", origin, "update-ref", "refs/heads/main", f"{update}~5")
        often = person.git("-C", origin, "log", "--format=", "--name-only", "main", "--", "src")
        names = [name for name in often.stdout.split() if name]
        file, other = sorted(set(names), key=names.count)[-1:-3:-1]
        commits = person.git("-C", origin, "rev-list", "--all", "--count").stdout.strip()
        print(
            f"\n{commits} commits, {FILES + BINARIES} files, {BRANCHES} branches, "
            f"{size(origin) / 1e6:.0f} MB packed, made in {made:.0f} s; FILE changed "
            f"{names.count(file)} times"
        )
        for speed, (rate, latency) in SPEEDS.items():
            runs: dict[str, list[dict[str, Bill | str]]] = {name: [] for name in STRATEGIES}
            still: dict[str, dict[str, str]] = {}
            for number in range(1 if rate else min(3, ROUNDS)):
                for name, options in STRATEGIES.items():
                    cache = base / f"cache-{number}-{len(runs[name])}-{bool(rate)}"
                    cache = cache.with_name(f"{cache.name}-{list(STRATEGIES).index(name)}.git")
                    with (
                        HttpServer(base / "served") as server,
                        Link(server.port, rate, latency) as link,
                    ):
                        meter = Meter(person, server, link)
                        runs[name].append(one_life(meter, origin, cache, options, file, update))
                        still[name] = offline(meter, cache, file, other)
                    shutil.rmtree(cache)
                    shutil.rmtree(cache.parent / f"{cache.name}.worktrees")
            rows = []
            for step in runs["full"][0]:
                cells = []
                for lives in runs.values():
                    each = sorted(
                        (life[step] for life in lives),
                        key=lambda b: b.seconds if isinstance(b, Bill) else 0,
                    )
                    cells.append(each[len(each) // 2])
                rows.append([step, *cells])
            table(f"{speed}: seconds, received, requests", ["", *STRATEGIES], rows)
            if rate:
                continue
            rows = [[step, *(still[name][step] for name in STRATEGIES)] for step in still["full"]]
            table("With the server gone", ["", *STRATEGIES], rows)


PARTS: dict[str, Callable[[], None]] = {
    "identity": identity,
    "credentials": credentials,
    "clone": clone,
}


def main() -> None:
    """Print the tables."""
    print(subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout)
    for part in sys.argv[1:] or PARTS:
        PARTS[part]()


if __name__ == "__main__":
    main()
