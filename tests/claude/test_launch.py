"""An interactive Claude replaces `mooring`, which leaves it nothing of its own."""

from __future__ import annotations

import os
import pty
import signal
import sys
import time
from pathlib import Path

from tests.support import Person


def spawn(person: Person, cwd: Path, *argv: str) -> tuple[int, int]:
    """Start a program on a terminal of its own. Returns its pid and the terminal."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(cwd)
        os.execvpe(argv[0], list(argv), person.env)
    return pid, terminal


def wait_for_claude(pid: int, seconds: float = 20) -> list[str]:
    """The arguments of Claude, once the process has become it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        argv = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        if argv[0].endswith("/claude"):
            return argv[1:-1]
        time.sleep(0.05)
    raise AssertionError(f"still {argv}")


def test_an_interactive_claude_is_execed(claude_person: Person, repo: Path) -> None:
    pid, terminal = spawn(claude_person, repo, sys.executable, "-m", "mooring", "new", "fix-login")
    try:
        args = wait_for_claude(pid)
        assert args[0] == "--session-id"
        open_files = [os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.exists()]
        assert Path(f"/proc/{pid}/cwd").resolve().name == "fix-login"
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)
    assert not [name for name in open_files if "registry.db" in name]


def test_a_program_inherits_no_ignored_signal(person: Person, repo: Path) -> None:
    person.mooring("new", "fix-login", "--launch", "none", cwd=repo)
    done = person.mooring("run", "fix-login", "--", "grep", "SigIgn", "/proc/self/status", cwd=repo)
    ignored = int(done.stdout.split()[1], 16)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        assert not ignored & (1 << (number - 1))
