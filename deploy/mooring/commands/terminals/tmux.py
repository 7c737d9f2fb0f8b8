"""tmux: tmux(1).

A pane carries the key as the user option `@mooring`, which outlives any renaming and moving. `-c`
and `-n` expand formats, `#(…)` included: the directory is therefore that of the client, which is
taken as it is.
"""

from __future__ import annotations

import itertools
import os
import re
import subprocess

from ...errors import command
from .window import Place, Window, become, must, plain, run

VARIABLE = "TMUX"
"""Set in the environment of whatever runs inside tmux."""

_TARGET = "#{session_id}:#{window_id}.#{pane_id}"
_ENDED = "#{?#{||:#{pane_dead},#{@mooring_ended}},1,0}"
_PANE = f"{_TARGET} {_ENDED} #{{@mooring}} #{{session_name}}"
_NO_WINDOWS = re.compile(
    r"no server running on |error connecting to .* \(No such file or directory|no current target"
)
_KEPT = """\
goes_on() {
    [ $status -gt 128 ] && kill -0 %% 2>/dev/null || return 0
    fg >/dev/null
    status=$?
    goes_on
}
set -m
"$@"
status=$?
goes_on
[ $status = 0 ] && exit
tmux set-option -p -t "$TMUX_PANE" @mooring_ended $status
printf '\n[ended with status %s: Enter closes this window] ' $status
read -r _
"""
"""Runs a command, and keeps its window if it fails, so that what it said can be read.

Not by `remain-on-exit`: tmux before 3.6, where it is built with utempter, misses how a command
ended (shown: 17 of 30) and leaves a frozen window. A command that stops itself goes on at once, as
it would as tmux's own child: nobody can say `fg` here. Not in a loop: bash leaves it on a stop."""


def find(key: str) -> Place | None:
    """The pane with that key, one that still runs first. Raises MooringError if tmux can't say."""
    done = run("tmux", "list-panes", "-a", "-F", _PANE)
    if done.returncode and _NO_WINDOWS.match(done.stderr):
        return None
    lines = must("list tmux's windows", done).splitlines()
    places = [_place(line) for line in lines if line.split(" ")[2] == key]
    ours = "$" + os.environ.get("TMUX", "").rpartition(",")[2]  # grouped sessions share windows
    return min(places, key=lambda p: (p.dead, not p.target.startswith(f"{ours}:")), default=None)


def _inside() -> bool:
    return bool(os.environ.get(VARIABLE))


def _place(line: str) -> Place:
    """A line of format `_PANE`."""
    target, dead, _key, session = line.split(" ", 3)
    window = target.partition(":")[2].partition(".")[0]
    how = command("tmux", "attach-session", "-t", f"{session}:{window}")
    return Place("tmux", session, target, how, dead == "1")


def open_window(window: Window, old: Place | None) -> Place:
    """The new window; the mark is set in the same breath, by one command list."""
    if not _inside() and old is None:
        return _session(window)
    into = () if _inside() or old is None else ("-t", f"{old.target.partition(':')[0]}:")
    kill = ("kill-pane", "-t", old.target.rpartition(".")[2]) if old else ()
    done = _new(window, ("new-window", *into), kill)
    return _place(must("open a tmux window", done).splitlines()[0])


def _session(window: Window) -> Place:
    """A new session of the window's name, or of that name with a number."""
    name = plain(window.name)
    for number in itertools.count(1):
        session = name if number == 1 else f"{name}-{number}"
        done = _new(window, ("new-session", "-d", "-s", session), (), ("-t", f"={session}:"))
        if not (done.returncode and done.stderr.startswith("duplicate session")):
            break
    return _place(must("start a tmux session", done).splitlines()[0])


def _new(
    window: Window, how: tuple[str, ...], last: tuple[str, ...], pane: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Create the window and mark its pane; prints a line of format `_PANE`."""
    argv = map(_word, ("sh", "-c", _KEPT, "sh", *window.argv))
    create = (*how, "-P", "-F", _PANE, "-n", plain(window.name), "--", *argv)
    mark = ("set-option", "-p", *pane, "@mooring", _word(window.key))
    lists = [create, mark, *([last] if last else [])]
    joined = [word for each in lists for word in (";", *each)][1:]
    return run("tmux", *joined, cwd=window.cwd)


def _word(word: str) -> str:
    """A `;` at the end of an argument would end the command."""
    return f"{word[:-1]}\\;" if word.endswith(";") else word


def show(place: Place) -> None:
    """Go to the pane; outside tmux by becoming its client. Raises MooringError if it can't."""
    if not _inside():
        become("tmux", "attach-session", "-t", place.target)
    select = ("select-window", "-t", place.target, ";", "select-pane", "-t", place.target)
    must(f"go to tmux session {place.session}", run("tmux", *select))
    run("tmux", "switch-client", "-t", place.target)  # fails where nobody looks at our session
