"""Windows for Claude in tmux and zellij: opened, found again by the workspace's key, gone to.

A window runs a `mooring` command, which sets the environment and becomes Claude: no environment
passes through here, and so none into an argv or a layout. Nothing here knows what a workspace is.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from ...errors import MooringError, command
from . import tmux, zellij
from .window import Place, Report, Window, on_terminal

__all__ = ["TERMINALS", "Place", "Window", "attach", "found"]


class _Terminal(msgspec.Struct, frozen=True):
    """What one multiplexer can do. `find` raises MooringError if it can't be asked."""

    variable: str
    """Set in the environment of whatever runs inside it."""
    find: Callable[[str], Place | None]
    open: Callable[[Window, Place | None], Place]
    """Opens the window: inside in the session we are in, instead of a dead place if there is one.
    Where the multiplexer needs this process's terminal for that, it replaces it."""
    show: Callable[[Place], None]
    """Goes to the place; outside, by replacing this process."""


def found(key: str) -> Place | None:
    """Where the window with that key is, or None; what isn't installed has none.

    One whose command still runs goes before one that only shows how it ended. Raises MooringError
    if a multiplexer that is there can't be asked: that is no proof that there is none.
    """
    places = [one.find(key) for name, one in _TERMINALS.items() if shutil.which(name)]
    return min((place for place in places if place), key=lambda place: place.dead, default=None)


def attach(key: str, report: Report, words: Sequence[str]) -> int:
    """Go to the window with that key: returns 0, or never where it replaces this process.

    `words` name the workspace on the command line, its topic first. Raises MooringError if there
    is no such window, or no terminal to show it on.
    """
    place = found(key)
    if place is None:
        raise MooringError(
            f"Cannot attach to {words[0]!r}: no window of {' or '.join(TERMINALS)} belongs to it",
            command("mooring", "resume", *words, "--launch", "tmux"),
        )
    if not (_inside(place.terminal) or on_terminal()):
        raise MooringError(f"Cannot attach to {words[0]!r}: this is no terminal", place.how)
    if place.dead:
        report("its command has ended; the window shows what it said")
    _TERMINALS[place.terminal].show(place)
    return 0


def _start(terminal: str, window: Window, report: Report) -> int:
    """Open the window, or find it: returns 0, or never where it replaces this process."""
    if not Path(window.cwd).is_dir():
        raise MooringError(f"Cannot enter the workspace: {window.cwd} is gone", "mooring list")
    if not shutil.which(terminal):
        raise MooringError(
            f"Cannot start Claude in {terminal}: `{terminal}` is not on PATH",
            f"install {terminal}, or add: --launch exec",
        )
    with _one_at_a_time(window.cwd):
        place = _TERMINALS[terminal].find(window.key)
        fresh = place is None or place.dead
        if place is None or place.dead:
            place = _TERMINALS[terminal].open(window, place)
        else:
            report(f"{window.name} runs already, in {terminal} session {place.session}")
    if _inside(terminal):
        if not fresh:
            _TERMINALS[terminal].show(place)
    elif on_terminal():
        _TERMINALS[terminal].show(place)
    else:
        report(f"to see {window.name}: {place.how}")
    return 0


@contextlib.contextmanager
def _one_at_a_time(directory: str) -> Iterator[None]:
    """Two starts in one directory at once would both find nothing. Death, or exec, lets go."""
    held = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # some network filesystems lock no directory
            fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def _inside(terminal: str) -> bool:
    return bool(os.environ.get(_TERMINALS[terminal].variable))


_TERMINALS = {
    "tmux": _Terminal(tmux.VARIABLE, tmux.find, tmux.open_window, tmux.show),
    "zellij": _Terminal(zellij.VARIABLE, zellij.find, zellij.open_window, zellij.show),
}
TERMINALS: dict[str, Callable[[Window, Report], int]] = {
    name: functools.partial(_start, name) for name in _TERMINALS
}
"""How to start a window, by the name that `--launch` takes. Each opens it and shows it if there is
a way to, returns 0 or replaces this process, and raises MooringError if it can't."""
