"""What the tests stand on: programs that must be there, a person with a HOME, real git repos.

The fixtures over it live in `tests/conftest.py`; nothing here knows what Mooring does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn, TypedDict, TypeVar, Unpack

import pytest

from tests.claude.stub import MessagesStub

PROJECT = Path(__file__).parents[1]
Done = subprocess.CompletedProcess[str]
T = TypeVar("T")
SYSTEM_PATH = ("/usr/bin", "/bin", "/usr/sbin", "/sbin")

GIT_CONFIG = """\
[user]
	name = Robin Shore
	email = robin@example.com
[init]
	defaultBranch = main
"""


# The Claude CLIs that the tests know: the variable that names another, and where the pinned one is.
CLAUDES = {
    "claude": ("MOORING_TEST_CLAUDE", PROJECT / "node_modules/.bin/claude"),
    "claude-oldest": (
        "MOORING_TEST_CLAUDE_OLDEST",
        PROJECT / "node_modules/.oldest/node_modules/.bin/claude",
    ),
}


def need(program: str) -> str:
    """The path of a program; without it the test is skipped, or fails if MOORING_REQUIRE_ALL=1.

    `claude` is the current version of the Claude CLI, `claude-oldest` the oldest that is supported.
    """
    found = _find_claude(program) if program in CLAUDES else _find(program)
    return found or lack(f"{program} is not installed")


def lack(reason: str) -> NoReturn:
    """Leave the test because this machine lacks something."""
    if os.environ.get("MOORING_REQUIRE_ALL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def _find(program: str) -> str | None:
    return shutil.which(program, path=os.pathsep.join([os.environ["PATH"], *SYSTEM_PATH]))


def _find_claude(program: str) -> str | None:
    """A pinned Claude CLI; never one from PATH, which would be a person's own."""
    variable, pinned = CLAUDES[program]
    return shutil.which(os.environ.get(variable) or pinned)


class RunOptions(TypedDict, total=False):
    """What `Person.run` takes by name: `env` is added to the person's, `timeout` is in seconds."""

    cwd: Path | None
    input: str | None
    check: bool
    env: Mapping[str, str] | None
    timeout: float


@dataclass(frozen=True)
class Person:
    """Someone with a HOME of their own and an environment that holds nothing of this machine's."""

    home: Path
    env: dict[str, str]

    def run(
        self,
        *argv: str | Path,
        cwd: Path | None = None,
        input: str | None = None,  # noqa: A002 (subprocess's name)
        check: bool = True,
        env: Mapping[str, str] | None = None,
        timeout: float = 120,
    ) -> Done:
        """Run a program, in HOME unless `cwd` says otherwise, with an empty stdin unless given.

        Raises AssertionError for a status other than 0, if `check`.
        """
        everything = self.env | dict(env or {})
        program = shutil.which(argv[0], path=everything["PATH"]) or argv[0]
        done = subprocess.run(
            [program, *argv[1:]],
            cwd=cwd or self.home,
            input=input or "",
            env=everything,
            timeout=timeout,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(_account(done))
        return done

    def mooring(self, *args: str | Path, **options: Unpack[RunOptions]) -> Done:
        return self.run(sys.executable, "-m", "mooring", *args, **options)

    def pyinfra(self, *args: str | Path, **options: Unpack[RunOptions]) -> Done:
        return self.run(sys.executable, "-m", "pyinfra", *args, **options)

    def git(self, *args: str | Path, **options: Unpack[RunOptions]) -> Done:
        return self.run("git", *args, **options)

    def with_claude(self, stub: MessagesStub, program: str = "claude") -> Person:
        """The same person with a pinned Claude CLI on PATH as `claude`, which talks to the stub.

        `program` is what `need` takes.
        """
        directory = self.home / f"{program}-bin"
        link(need(program), directory / "claude")
        return replace(
            self,
            env=self.env
            | {
                "PATH": f"{directory}:{self.env['PATH']}",
                "ANTHROPIC_BASE_URL": stub.url,
                "ANTHROPIC_API_KEY": "sk-dummy",
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
                "DISABLE_TELEMETRY": "1",
                "DISABLE_AUTOUPDATER": "1",
            },
        )


def _account(done: Done) -> str:
    ended = f"{done.args} ended with {done.returncode}"
    return f"{ended}\n-- stdout\n{done.stdout}\n-- stderr\n{done.stderr}"


def make_home(home: Path) -> Path:
    """A HOME with a git identity, a directory for temporary files, and `bin`, first on PATH."""
    (home / "tmp").mkdir(parents=True)
    (home / ".gitconfig").write_text(GIT_CONFIG)
    link(need("git"), home / "bin/git")
    return home


def make_person(home: Path) -> Person:
    """The person who lives in a HOME that `make_home` made.

    git comes by a link, not by its directory: that may hold a person's own `claude`.
    """
    path = [str(home / "bin"), str(Path(sys.executable).parent), *SYSTEM_PATH]
    return Person(
        home,
        {
            "PATH": os.pathsep.join(path),
            "HOME": str(home),
            "TMPDIR": str(home / "tmp"),
            "LANG": "C.UTF-8",
            "PYINFRA_PROGRESS": "off",
        },
    )


def link(program: str, at: Path) -> None:
    """A symlink to a program, made once."""
    at.parent.mkdir(exist_ok=True)
    if not at.is_symlink():
        at.symlink_to(Path(program).resolve())


def make_repo(person: Person, path: Path, files: Mapping[str, str]) -> Path:
    """A git repo with one commit of `files` (path -> content) on main."""
    path.mkdir(parents=True)
    person.git("init", cwd=path)
    commit(person, path, files)
    return path


def commit(person: Person, repo: Path, files: Mapping[str, str]) -> str:
    """Write files into a repo and commit them; returns the SHA."""
    for name, content in files.items():
        (repo / name).parent.mkdir(parents=True, exist_ok=True)
        (repo / name).write_text(content)
    person.git("add", "--", *files, cwd=repo)
    person.git("commit", "-m", f"Write {', '.join(files)}", cwd=repo)
    return person.git("rev-parse", "HEAD", cwd=repo).stdout.strip()


def until(what: Callable[[], T], seconds: float = 30) -> T:
    """What `what` gives as soon as it is true. Raises AssertionError after that many seconds."""
    deadline = time.monotonic() + seconds
    while not (got := what()):
        assert time.monotonic() < deadline, f"still {got!r}"
        time.sleep(0.02)
    return got
