"""What windows are, and how the program of a terminal multiplexer is asked."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import NoReturn

import msgspec

from ...environment import OURS
from ...errors import MooringError

Report = Callable[[str], None]
SECONDS = 30
"""How long one call of a multiplexer may take."""


class Window(msgspec.Struct, frozen=True):
    """A window to open."""

    name: str
    """What a person sees: the topic, or `agent@topic`."""
    key: str
    """What tells the workspace from all others on this host: ASCII without spaces."""
    cwd: str
    argv: tuple[str, ...]
    """The whole command that runs in it."""
    layout: str
    """Where zellij's layout may be written: a file of the caller's, overwritten each time."""


class Place(msgspec.Struct, frozen=True):
    """Where a workspace's window is."""

    terminal: str
    """A key of TERMINALS."""
    session: str
    target: str
    """What the terminal itself calls it: `$1:@2.%3` in tmux, the tab's name in zellij."""
    how: str
    """The command that shows it, from a terminal outside."""
    dead: bool = False
    """Whether its command has ended, so that nothing but its output is left."""


def on_terminal() -> bool:
    """Whether a person is there to see what is shown."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _environment() -> dict[str, str]:
    """Ours, for what hands it on to every window of a server that it starts.

    Another workspace's names would reach them all. Where direnv set them they stay: it takes them
    back on leaving that directory, and would not set them again in it if they were missing.
    """
    direnv = "DIRENV_DIFF" in os.environ
    return {name: value for name, value in os.environ.items() if direnv or not OURS.fullmatch(name)}


def run(*argv: str, cwd: str | None = None) -> subprocess.CompletedProcess[str]:
    """What a multiplexer's program did. Raises MooringError if it can't be run, or hangs."""
    try:
        return subprocess.run(
            argv,
            cwd=cwd,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except OSError as error:
        raise MooringError(f"Cannot run {argv[0]}: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise MooringError(f"Cannot ask {argv[0]}: no answer in {SECONDS} seconds") from None


def must(action: str, done: subprocess.CompletedProcess[str]) -> str:
    """What it printed. Raises MooringError, with what it said, if it failed."""
    if done.returncode:
        said = done.stderr.strip() or done.stdout.strip() or f"status {done.returncode}"
        raise MooringError(f"Cannot {action}: {said}")
    return done.stdout


def become(*argv: str, cwd: str = "/") -> NoReturn:
    """Replace this process, as a shell would have started it. Raises MooringError if it can't."""
    sys.stdout.flush()
    sys.stderr.flush()
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them
        signal.signal(number, signal.SIG_DFL)
    try:
        os.chdir(cwd)
        os.execvpe(argv[0], argv, _environment())  # noqa: S606
    except OSError as error:
        raise MooringError(f"Cannot start {argv[0]}: {error.strerror}") from None


def plain(name: str) -> str:
    """`name` without what a format, a target or a file name gives a meaning to."""
    return re.sub(r"[^A-Za-z0-9_@-]", "_", name).lstrip("-@") or "mooring"
