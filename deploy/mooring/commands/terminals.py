"""Windows for Claude in tmux and zellij: opened, found again by the workspace's key, gone to.

A window runs a `mooring` command, which sets the environment and becomes Claude: no environment
passes through here, and so none into an argv or a layout. Nothing here knows what a workspace is.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NoReturn

import msgspec

from ..environment import OURS
from ..errors import MooringError, command

Report = Callable[[str], None]
SECONDS = 30
"""How long one call of a multiplexer may take."""
LAYOUT_TEMPLATE = "zellij.kdl.j2"


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
    if not (_inside(place.terminal) or _on_terminal()):
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
    elif _on_terminal():
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


def _on_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _environment() -> dict[str, str]:
    """Ours, for what hands it on to every window of a server that it starts.

    Another workspace's names would reach them all. Where direnv set them they stay: it takes them
    back on leaving that directory, and would not set them again in it if they were missing.
    """
    direnv = "DIRENV_DIFF" in os.environ
    return {name: value for name, value in os.environ.items() if direnv or not OURS.fullmatch(name)}


def _run(*argv: str, cwd: str | None = None) -> subprocess.CompletedProcess[str]:
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


def _must(action: str, done: subprocess.CompletedProcess[str]) -> str:
    """What it printed. Raises MooringError, with what it said, if it failed."""
    if done.returncode:
        said = done.stderr.strip() or done.stdout.strip() or f"status {done.returncode}"
        raise MooringError(f"Cannot {action}: {said}")
    return done.stdout


def _become(*argv: str, cwd: str = "/") -> NoReturn:
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


def _plain(name: str) -> str:
    """`name` without what a format, a target or a file name gives a meaning to."""
    return re.sub(r"[^A-Za-z0-9_@-]", "_", name).lstrip("-@") or "mooring"


# tmux: tmux(1). A pane carries the key as the user option `@mooring`, which outlives any renaming
# and moving. `-c` and `-n` expand formats, `#(…)` included: the directory is therefore that of the
# client, which is taken as it is.

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


def _tmux_find(key: str) -> Place | None:
    done = _run("tmux", "list-panes", "-a", "-F", _PANE)
    if done.returncode and _NO_WINDOWS.match(done.stderr):
        return None
    lines = _must("list tmux's windows", done).splitlines()
    places = [_tmux_place(line) for line in lines if line.split(" ")[2] == key]
    ours = "$" + os.environ.get("TMUX", "").rpartition(",")[2]  # grouped sessions share windows
    return min(places, key=lambda p: (p.dead, not p.target.startswith(f"{ours}:")), default=None)


def _tmux_place(line: str) -> Place:
    """A line of format `_PANE`."""
    target, dead, _key, session = line.split(" ", 3)
    window = target.partition(":")[2].partition(".")[0]
    how = command("tmux", "attach-session", "-t", f"{session}:{window}")
    return Place("tmux", session, target, how, dead == "1")


def _tmux_open(window: Window, old: Place | None) -> Place:
    """The new window; the mark is set in the same breath, by one command list."""
    if not _inside("tmux") and old is None:
        return _tmux_session(window)
    into = () if _inside("tmux") or old is None else ("-t", f"{old.target.partition(':')[0]}:")
    kill = ("kill-pane", "-t", old.target.rpartition(".")[2]) if old else ()
    done = _tmux_new(window, ("new-window", *into), kill)
    return _tmux_place(_must("open a tmux window", done).splitlines()[0])


def _tmux_session(window: Window) -> Place:
    """A new session of the window's name, or of that name with a number."""
    name = _plain(window.name)
    for number in itertools.count(1):
        session = name if number == 1 else f"{name}-{number}"
        done = _tmux_new(window, ("new-session", "-d", "-s", session), (), ("-t", f"={session}:"))
        if not (done.returncode and done.stderr.startswith("duplicate session")):
            break
    return _tmux_place(_must("start a tmux session", done).splitlines()[0])


def _tmux_new(
    window: Window, how: tuple[str, ...], last: tuple[str, ...], pane: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Create the window and mark its pane; prints a line of format `_PANE`."""
    argv = map(_tmux_word, ("sh", "-c", _KEPT, "sh", *window.argv))
    create = (*how, "-P", "-F", _PANE, "-n", _plain(window.name), "--", *argv)
    mark = ("set-option", "-p", *pane, "@mooring", _tmux_word(window.key))
    lists = [create, mark, *([last] if last else [])]
    joined = [word for each in lists for word in (";", *each)][1:]
    return _run("tmux", *joined, cwd=window.cwd)


def _tmux_word(word: str) -> str:
    """A `;` at the end of an argument would end the command."""
    return f"{word[:-1]}\\;" if word.endswith(";") else word


def _tmux_show(place: Place) -> None:
    if not _inside("tmux"):
        _become("tmux", "attach-session", "-t", place.target)
    select = ("select-window", "-t", place.target, ";", "select-pane", "-t", place.target)
    _must(f"go to tmux session {place.session}", _run("tmux", *select))
    _run("tmux", "switch-client", "-t", place.target)  # fails where nobody looks at our session


# zellij, 0.41 and newer: zellij.dev/documentation. It has no marks, so the names of our tabs and
# sessions end in a digest of the key.


def _suffix(key: str) -> str:
    return f"-{sha256(key.encode()).hexdigest()[:6]}"


def _zellij_find(key: str) -> Place | None:
    """The tab with that key; a session of ours that has lost its tab is a dead place."""
    places = [_zellij_place(session, _suffix(key)) for session in _zellij_sessions(exited=False)]
    return min((place for place in places if place), key=lambda place: place.dead, default=None)


def _zellij_place(session: str, suffix: str) -> Place | None:
    done = _run("zellij", "--session", session, "action", "query-tab-names")
    tabs = _must(f"list the tabs of zellij session {session}", done).splitlines()
    tab = next((tab for tab in tabs if tab.endswith(suffix)), "")
    if not (tab or session.endswith(suffix)):
        return None
    return Place("zellij", session, tab, command("zellij", "attach", session), not tab)


def _zellij_sessions(*, exited: bool) -> list[str]:
    """The sessions that live, or those that are kept to be resurrected."""
    done = _run("zellij", "list-sessions", "--no-formatting")
    if done.returncode and "No active zellij sessions" in done.stderr:
        return []
    lines = _must("list zellij's sessions", done).splitlines()
    return [line.partition(" [Created ")[0] for line in lines if ("(EXITED" in line) == exited]


def _zellij_open(window: Window, old: Place | None) -> Place:
    """A tab in our session, or in an old one of the window's; else a session, in our stead."""
    suffix = _suffix(window.key)
    tab = f"{_plain(window.name)}{suffix}"
    session = f"{_plain(window.name)[:17]}{suffix}"  # with macOS's socket paths 24 is all there is
    if not _inside("zellij") and old is None:
        _zellij_session(window, session, tab)
    _write_private(Path(window.layout), layout(window, tab))
    there = old.session if old and not _inside("zellij") else ""
    made = ("--layout", window.layout, "--name", tab, "--cwd", window.cwd)
    into = ("--session", there) if there else ()
    done = _run("zellij", *into, "action", "new-tab", *made, cwd=window.cwd)
    _must("open a zellij tab", done)
    session = there or os.environ.get("ZELLIJ_SESSION_NAME", "")
    return Place("zellij", session, tab, command("zellij", "attach", session))


def _zellij_session(window: Window, session: str, tab: str) -> NoReturn:
    """Become a new zellij session. Raises MooringError where there is no terminal for it."""
    if not _on_terminal():
        raise MooringError(
            "Cannot start zellij: it opens a session only on a terminal", "add: --launch tmux"
        )
    _write_private(Path(window.layout), layout(window, tab))
    if session in _zellij_sessions(exited=True):  # its name is taken until it is deleted
        _must("delete the old session", _run("zellij", "delete-session", session))
    argv = ("zellij", "--session", session, "--new-session-with-layout", window.layout)
    _become(*argv, cwd=window.cwd)


def _zellij_show(place: Place) -> None:
    if place.target:
        go = ("--session", place.session, "action", "go-to-tab-name", place.target)
        _must(f"go to zellij tab {place.target}", _run("zellij", *go))
    if not _inside("zellij"):
        _become("zellij", "attach", place.session)
    if place.session != os.environ.get("ZELLIJ_SESSION_NAME"):
        done = _run("zellij", "action", "switch-session", place.session)  # zellij 0.44 and newer
        if done.returncode:
            raise MooringError(
                f"Cannot go from this zellij session to {place.session}: detach from it first",
                place.how,
            )


def layout(window: Window, tab: str) -> str:
    """zellij's layout for the window: KDL 1, with a tab of that name that runs its command.

    Raises MooringError for text that is not UTF-8.
    """
    import jinja2
    from jinja2.sandbox import SandboxedEnvironment

    from ..generate import templates

    environment = SandboxedEnvironment(
        loader=jinja2.FileSystemLoader(templates()),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # KDL: each value is quoted by a filter
    )
    environment.filters.update({"kdl": kdl_quote, "expanded": _unexpanded})
    first, *args = window.argv
    return environment.get_template(LAYOUT_TEMPLATE).render(
        tab=tab, command=first, args=args, cwd=window.cwd
    )


def kdl_quote(value: str) -> str:
    """`value` as one KDL string on one line. Raises MooringError if it is not UTF-8."""
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise MooringError(f"Cannot write {value!r} into zellij's layout: it is not UTF-8")
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    codes = (c if c.isprintable() else f"\\u{{{ord(c):x}}}" for c in escaped)
    return f'"{"".join(codes)}"'


def _unexpanded(path: str) -> str:
    """zellij expands variables in a command and a directory, though not in arguments."""
    return path.replace("$", "$$")


def _write_private(path: Path, content: str) -> None:
    """Write a file that only its owner can read. Raises MooringError if it can't be written."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, staged = tempfile.mkstemp(dir=path.parent)
        with open(handle, "w", encoding="utf-8") as file:
            file.write(content)
        Path(staged).replace(path)
    except OSError as error:
        raise MooringError(f"Cannot write {path}: {error.strerror}") from None


_TERMINALS = {
    "tmux": _Terminal("TMUX", _tmux_find, _tmux_open, _tmux_show),
    "zellij": _Terminal("ZELLIJ", _zellij_find, _zellij_open, _zellij_show),
}
TERMINALS: dict[str, Callable[[Window, Report], int]] = {
    name: functools.partial(_start, name) for name in _TERMINALS
}
"""How to start a window, by the name that `--launch` takes. Each opens it and shows it if there is
a way to, returns 0 or replaces this process, and raises MooringError if it can't."""
