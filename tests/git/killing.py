"""Runs that are killed without warning: the process and everything under it, at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from tests.support import Person, need


def start(person: Person, *args: str, cwd: Path) -> subprocess.Popen[bytes]:
    """`mooring ARGS` as the leader of a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "mooring", *args],
        cwd=cwd,
        env=person.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def kill_after(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Kill it and its children after that time; returns whether it was still running then."""
    time.sleep(seconds)
    was_running = process.poll() is None
    for pid in [*_below(process.pid), process.pid] if was_running else ():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait(30)
    _wait_until_gone(process.pid)
    return was_running


def _below(pid: int) -> list[int]:
    """The process group and all descendants, stopped first so that none is born meanwhile."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
    found: list[int] = []
    for child in _children(pid):
        found += [child, *_below(child)]
    return found


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _wait_until_gone(session: int) -> None:
    """Wait for the last process of the session; one that is dying may still hold a lock."""
    deadline = time.monotonic() + 10
    while _in_session(session):
        assert time.monotonic() < deadline, f"session {session} still runs"
        time.sleep(0.01)


def _in_session(session: int) -> bool:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            return True
    return False


DEADLY = """\
#!/bin/sh
# The real {program}, but the N-th call of these ends the whole process group instead.
if read -r left <'{counter}' 2>/dev/null; then
  if [ "$left" -le 1 ]; then {rm} '{counter}'; kill -9 0; fi
  echo $((left - 1)) >'{counter}'
fi
exec {real} "$@"
"""


class Deadly:
    """Programs of a person's PATH that can be armed to take the whole run down with them."""

    def __init__(self, person: Person, *programs: str) -> None:
        self._person = person
        self._counter = person.home / "tmp/strikes-in"
        here = {"counter": self._counter, "rm": need("rm")}
        for program in programs:
            path = person.home / "bin" / program
            real = path.resolve() if path.exists() else need(program)
            path.unlink(missing_ok=True)
            path.write_text(DEADLY.format(**here, program=program, real=real))
            path.chmod(0o755)

    def strikes(self, call: int, *args: str, cwd: Path) -> bool:
        """Run `mooring ARGS`, killed at that call (from 1); False if it ended before."""
        self._counter.write_text(f"{call}\n")
        process = start(self._person, *args, cwd=cwd)
        process.wait(60)
        _wait_until_gone(process.pid)
        struck = not self._counter.exists()
        self._counter.unlink(missing_ok=True)
        return struck
