"""A person in front of their repo, with a real Claude: what tests of conversations stand on."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from tests.claude.stub import MessagesStub
from tests.claude.terminal import Terminal
from tests.support import CLAUDES, Done, Person, RunOptions, until

NEWER, OLDER = CLAUDES


@dataclass(frozen=True)
class Desk:
    """A person in front of their repo, with a Claude that talks to a stub."""

    person: Person
    repo: Path
    stub: MessagesStub

    @property
    def older(self) -> bool:
        """Whether this Claude is the oldest supported one."""
        return f"/{OLDER}-bin" in self.person.env["PATH"]

    def mooring(self, *args: str | Path, **options: Unpack[RunOptions]) -> Done:
        """Mooring, where the repo is unless `cwd` says otherwise."""
        options.setdefault("cwd", self.repo)
        return self.person.mooring(*args, **options)

    def new(self, topic: str, *args: str) -> Path:
        """A workspace in which Claude isn't started; returns its directory."""
        done = self.mooring("new", topic, "--launch", "none", *args)
        return Path(done.stdout.removesuffix("\n"))

    def turn(self, *args: str | Path, say: str, check: bool = True) -> Done:
        """A headless turn: `mooring ARGS -- -p SAY`."""
        return self.mooring(*args, "--", "-p", say, check=check)

    def begin(self, topic: str, say: str) -> tuple[Path, str]:
        """A workspace with a conversation of one turn; returns its directory and the id."""
        self.turn("new", topic, say=say)
        row = self.row(topic)
        return Path(row["worktree"]), row["session"]

    def claude(self, cwd: Path, say: str, *args: str) -> str:
        """A headless turn of a Claude that is started by hand; returns its session's id."""
        argv = ("claude", "-p", say, "--output-format", "json", *args)
        return str(json.loads(self.person.run(*argv, cwd=cwd).stdout)["session_id"])

    def row(self, topic: str) -> dict[str, Any]:
        """What `mooring status` has."""
        row: dict[str, Any] = json.loads(self.mooring("status", topic, "--json").stdout)
        return row

    def sessions(self, *args: str) -> dict[str, str]:
        """Id -> state, of what `mooring sessions` lists."""
        rows = json.loads(self.mooring("sessions", *args, "--json").stdout)
        return {row["session_id"]: row["state"] for row in rows}

    def said(self) -> str:
        """The messages of the newest conversation that the model saw."""
        return "\n".join(self.stub.texts(self.stub.last_conversation()))

    def heard(self, *markers: str) -> list[str]:
        """Which of the markers the model saw last."""
        said = self.said()
        return [marker for marker in markers if marker in said]

    def transcripts(self) -> dict[str, Path]:
        """Id -> transcript; each id has one only."""
        found = sorted(self.person.home.glob(".claude/projects/*/*.jsonl"))
        assert len({path.stem for path in found}) == len(found), found
        return {path.stem: path for path in found}

    def events(self) -> list[tuple[str, str, str, str]]:
        """Kind, topic, session and source of what hooks told the registry."""
        self.mooring("list")  # any command takes them in
        path = self.person.home / ".local/share/mooring/registry.db"
        query = "SELECT kind, topic, session_id, source FROM events WHERE kind LIKE 'session-%'"
        with sqlite3.connect(path) as database:
            return database.execute(f"{query} ORDER BY id").fetchall()

    @contextmanager
    def terminal(self, *argv: str, cwd: Path | None = None) -> Iterator[Terminal]:
        """A terminal in the repo, where Claude waits for a prompt."""
        with Terminal(self.person, *argv, cwd=cwd or self.repo) as terminal:
            terminal.wait_idle()
            yield terminal

    @property
    def narration(self) -> Path:
        """What the `mooring` of `waiting` said."""
        return self.person.home / "narration"

    @contextmanager
    def waiting(self, *args: str) -> Iterator[subprocess.Popen[bytes]]:
        """`mooring ARGS` in the middle of a turn, which ends with the context."""
        asked = len(self.stub.conversations())
        with self.narration.open("wb") as file:
            mooring = subprocess.Popen(
                [sys.executable, "-m", "mooring", *args],
                cwd=self.repo,
                env=self.person.env,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        try:
            with self.stub.hold():
                until(lambda: len(self.stub.conversations()) > asked)
                yield mooring
            mooring.wait(30)
        finally:
            mooring.kill()
            mooring.wait()


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def argv_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]


def exists(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def current(desk: Desk, worktree: Path) -> str:
    """The id of the current session, about which everything that names it agrees."""
    row = desk.row(worktree.name)
    assert (worktree / ".mooring/session").read_text() == f"{row['session']}\n"
    command = ("run", worktree.name, "--", "sh", "-c", "echo $CLAUDE_SESSION_ID")
    assert desk.mooring(*command).stdout == f"{row['session']}\n"
    return str(row["session"])
