"""Which conversations are running now: Claude Code's own pid files, checked against processes.

Claude Code writes `sessions/<pid>.json` into its store while it runs. After a kill -9 the file
stays, so that only a live process that began when the file says counts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

DIRECTORY = "sessions"
_LATEST = 1 << 40


class Live(msgspec.Struct, frozen=True):
    """A running Claude: its process, its conversation, where it is, since when (epoch seconds)."""

    pid: int
    session: str
    cwd: str
    since: int


class _PidFile(msgspec.Struct, rename="camel"):
    pid: int
    session_id: str
    cwd: str = ""
    started_at: int = 0
    """Milliseconds since the epoch."""
    proc_start: str = ""
    """When the kernel started the process, as in /proc/<pid>/stat (proc(5), field 22)."""


def parse(text: str | bytes, started: str) -> Live | None:
    """What a pid file says, if its process is the one that `started` then.

    `started` is the kernel's word for the process with that pid now; '' where there is no /proc to
    ask, and any process of that number has to do.
    """
    try:
        said = msgspec.json.decode(text, type=_PidFile)
    except (msgspec.DecodeError, ValueError):
        return None
    if started and said.proc_start and started != said.proc_start:
        return None
    since = said.started_at // 1000
    shown = "".join(character if character.isprintable() else "?" for character in said.cwd)
    return Live(said.pid, said.session_id, shown, since if 0 < since < _LATEST else 0)


def running(store: Path) -> dict[str, Live]:
    """The conversations that are running on this host, by session id."""
    return {item.session: item for item in _running(store)}


def _running(store: Path) -> Iterator[Live]:
    for path in sorted((store / DIRECTORY).glob("*.json")):
        if not path.stem.isdecimal() or not path.is_file() or not is_alive(int(path.stem)):
            continue
        try:
            found = parse(path.read_bytes(), started(int(path.stem)))
        except OSError:
            continue
        if found and found.pid == int(path.stem):
            yield found


def is_alive(pid: int) -> bool:
    """Whether there is such a process."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def is_same(pid: int, began: str) -> bool:
    """Whether the process that the kernel started then is there still."""
    return is_alive(pid) and started(pid) == began


def started(pid: int) -> str:
    """When the kernel started the process, as it counts; '' where /proc doesn't say."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
