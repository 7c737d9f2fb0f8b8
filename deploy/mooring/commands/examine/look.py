"""What is looked at: a workspace, and its container by one inspect and one exec, each once."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import msgspec

from ... import identity
from ...claude import transcripts
from ...container import private
from ...errors import MooringError, command
from ...registry import Registry, Row
from ...settings import keys
from .. import launch
from ..places import git_dir, guard_settings
from .script import SCRIPT

INSPECT_SECONDS = 10
EXEC_SECONDS = 60

CREDENTIALS = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
)
"""Variables that say as whom Claude speaks; looked for by name only."""


class Mounted(msgspec.Struct, frozen=True, rename="pascal"):
    """One mount, as ``docker inspect`` has it."""

    destination: str
    source: str = ""
    """'' for what is in memory alone."""
    rw: bool = msgspec.field(name="RW", default=True)


class _Config(msgspec.Struct, frozen=True, rename="pascal"):
    user: str = ""
    env: list[str] | None = None
    labels: dict[str, str] | None = None


class _State(msgspec.Struct, frozen=True, rename="pascal"):
    status: str = ""


class Inspected(msgspec.Struct, frozen=True, rename="pascal"):
    """A container, as far as it matters here."""

    state: _State
    config: _Config
    mounts: list[Mounted] = []

    @property
    def labels(self) -> dict[str, str]:
        """Its labels, by name."""
        return self.config.labels or {}

    def variable(self, name: str) -> str:
        """The value of a variable of it, '' for none."""
        found = (item.partition("=") for item in self.config.env or ())
        return next((value for key, _, value in found if key == name), "")


class Look:
    """A workspace on this host. What is asked of the engine is asked when it is needed first."""

    def __init__(self, registry: Registry, row: Row) -> None:
        """Look at a workspace of the index."""
        self.registry, self.row = registry, row
        self.worktree = Path(row.worktree)
        self.problem = ""
        """Why the engine, or the container, did not answer."""
        self.asked = self.answered = 0.0
        """When the container was asked and had answered, in seconds since the epoch."""

    @property
    def store(self) -> Path:
        """The session store of the workspace on this host."""
        return Path(self.row.store) if self.row.store else transcripts.store()

    @functools.cached_property
    def transcripts(self) -> list[Path]:
        """Its session's transcripts on this host. Raises MooringError as `transcripts.find`."""
        likely = (self.project,)
        return transcripts.find(self.store, self.row.session, likely)

    @property
    def seen(self) -> list[Path]:
        """The same, none where they can't be looked for."""
        try:
            return self.transcripts
        except MooringError:
            return []

    @property
    def project(self) -> str:
        """The name of Claude's directory for the worktree."""
        return transcripts.slug(os.path.realpath(self.worktree))

    @functools.cached_property
    def common(self) -> str:
        """The repo's git directory, '' where it is gone."""
        found = git_dir(self.row) or ""
        return os.path.realpath(found) if found and Path(found).is_dir() else ""

    @functools.cached_property
    def admin(self) -> str:
        """Git's own directory for the worktree, '' where it has none."""
        pointer = os.path.realpath(self.worktree / ".git")
        places = Path(self.common, "worktrees").glob("*/gitdir") if self.common else ()
        found = (file for file in places if os.path.realpath(_line(file)) == pointer)
        file = next(found, None)
        return str(file.parent) if file else ""

    @functools.cached_property
    def owner(self) -> tuple[int, int]:
        """The uid and gid that the worktree belongs to; ours where it is gone."""
        try:
            found = self.worktree.stat()
        except OSError:
            return os.getuid(), os.getgid()
        return found.st_uid, found.st_gid

    @functools.cached_property
    def passed(self) -> list[str]:
        """Names of the variables that Claude gets of here and can log in with."""
        given = launch.environment(self.row, self.row.session)
        return [name for name in CREDENTIALS if given.get(name)]

    @functools.cached_property
    def inspected(self) -> Inspected | None:
        """The container as the engine has it, None where it doesn't, or `problem` says why."""
        if not self.row.container or shutil.which("docker") is None:
            self.problem = "there is no `docker` here"
            return None
        argv = ["docker", "container", "inspect", "--", self.row.container]
        done = self._run(argv, INSPECT_SECONDS)
        if done is None:
            return None
        if done.returncode:
            why = plain(done.stderr)
            self.problem = "" if "no such container" in why.lower() else why or "it failed"
            return None
        try:
            found = msgspec.json.decode(done.stdout, type=list[Inspected])
        except msgspec.DecodeError:
            self.problem = "what it answers can't be understood"
            return None
        return found[0] if found else None

    @functools.cached_property
    def said(self) -> dict[str, list[str]] | None:
        """What the container says of itself, None where it doesn't run; without `end`, not all."""
        found = self.inspected if self.row.container else None
        if found is None or found.state.status != "running":
            return None
        settings = [("safe.directory", "*"), *guard_settings(self.row)]
        env = identity.variables({}, settings)
        names = (word for name in env for word in ("--env", name))
        places = (str(self.worktree), self.admin, self.common, self.row.session)
        argv = ["docker", "exec", "--workdir", "/", *names, self.row.container]
        self.asked = time.time()
        done = self._run([*argv, "sh", "-c", SCRIPT, "sh", *places, *CREDENTIALS], env=env)
        self.answered = time.time()
        if done is not None and done.returncode:
            self.problem = plain(done.stderr or done.stdout)
        answer: dict[str, list[str]] = {}
        for line in done.stdout.splitlines() if done else ():
            key, _, value = line.partition(" ")
            answer.setdefault(key, []).append(value)
        return answer

    def _run(
        self, argv: list[str], seconds: int = EXEC_SECONDS, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str] | None:
        """What a client of the engine says; None, with the `problem`, if it doesn't in time."""
        try:
            return subprocess.run(
                argv,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            self.problem = f"no answer in {seconds} seconds"
        except OSError as error:
            self.problem = str(error.strerror)
        return None

    def new(self, *more: str) -> str:
        """The command that brings the workspace up to date."""
        return command("mooring", "new", *self.row.words, *more, "--launch", "none")

    @property
    def anew(self) -> str:
        """The command that makes its container anew."""
        return self.new("--recreate")

    def without(self, key: str, other: str) -> str:
        """The command that takes back a setting of the session; else the one that says `other`."""
        if key in keys(self.row.set):
            return self.new("--unset", key)
        return self.new("--set", f"{key}={other}")


def own_directory(row: Row) -> Path:
    """Claude's config directory of a workspace's container, on this host."""
    root = os.path.realpath(Path.home() / ".local/share/mooring")
    return Path(root) / private(row.key) / "claude"


def plain(text: str) -> str:
    """A line of what others said, short and without what a terminal would obey."""
    line = next((line for line in text.splitlines() if line.strip()), "")
    line = line.removeprefix("Error response from daemon: ")
    return re.sub(r"[^\x20-\x7e]", "?", line)[:200]


def _line(file: Path) -> str:
    try:
        return file.read_text(errors="surrogateescape").strip()
    except OSError:
        return ""
