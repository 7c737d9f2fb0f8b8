"""Which conversations are running now: Claude Code's own pid files, checked against processes.

Claude Code writes `sessions/<pid>.json` into its store while it runs. After a kill -9 the file
stays, so that only a live process that began when the file says counts.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from ..errors import MooringError, command
from . import safely

DIRECTORY = "sessions"
_LATEST = 1 << 40


class Live(msgspec.Struct, frozen=True):
    """A running Claude: its process, its conversation, where it is, since when (epoch seconds)."""

    pid: int
    session: str
    cwd: str
    since: int
    container: str = ""
    """The container whose pid that is, '' for the host's own."""


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


def parse_all(lines: Iterable[str], container: str = "") -> tuple[Live, ...]:
    """What pid files say, each behind what `started` is for it, with a space between."""
    found = (line.partition(" ")[::2] for line in lines)
    running = (parse(text, began) for began, text in found)
    return tuple(msgspec.structs.replace(item, container=container) for item in running if item)


def refusal(session: str, words: tuple[str, ...], by: Live) -> MooringError:
    """The error that somebody runs the session; `words` name its workspace on the command line."""
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(by.since))
    where, ends = "", list[str]()
    if by.container:
        where = f" of the container {by.container}"
        end = ("docker", "exec", by.container, "kill", "-HUP", str(by.pid))
        ends.append(command(*end, note="if its terminal is gone"))
    return MooringError(
        f"Cannot go on with {words[0]!r}: its session {session} is running, "
        f"pid {by.pid} in {by.cwd}{where} since {since}",
        *ends,
        command("mooring", "attach", *words, note="if it is in tmux or Zellij"),
        command("mooring", "resume", *words, "--fork", f"{words[0][:60]}-2"),
    )


def running(store: Path) -> dict[str, Live]:
    """The conversations that are running on this host, by session id."""
    return {item.session: item for item in _running(store)}


def _running(store: Path) -> Iterator[Live]:
    for path in sorted((store / DIRECTORY).glob("*.json")):
        if not path.stem.isdecimal() or not is_alive(int(path.stem)):
            continue
        text = safely.read(path)
        found = parse(text, started(int(path.stem))) if text else None
        if found and found.pid == int(path.stem):
            yield found


def holds(store: Path) -> Callable[[str, int, str], bool]:
    """Whether the process that took a session's lease still has that session.

    It has it no longer if it is gone, or if Claude's own pid file says that it went on to another
    one, as after a /clear.
    """
    named = {item.pid: item.session for item in _running(store)}
    return lambda session, pid, began: is_same(pid, began) and named.get(pid, session) == session


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
    return _stat(pid)[0] not in ("Z", "X")  # one that only waits to be reaped is gone


def is_same(pid: int, began: str) -> bool:
    """Whether the process that the kernel started then is there still."""
    return is_alive(pid) and started(pid) == began


def started(pid: int) -> str:
    """When the kernel started the process, as it counts; '' where /proc doesn't say."""
    return _stat(pid)[1]


def _stat(pid: int) -> tuple[str, str]:
    """A process's state and when it started, as proc(5) has them; '' where it doesn't say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return fields[0], fields[19]
    except (OSError, IndexError):
        return "", ""
