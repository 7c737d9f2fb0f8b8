"""zellij, 0.41 and newer: zellij.dev/documentation.

It has no marks, so the names of our tabs and sessions end in a digest of the key.
"""

from __future__ import annotations

import os
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import NoReturn

from ...errors import MooringError, command
from .window import Place, Window, become, must, on_terminal, plain, run

VARIABLE = "ZELLIJ"
"""Set in the environment of whatever runs inside zellij."""
LAYOUT_TEMPLATE = "zellij.kdl.j2"


def _inside() -> bool:
    return bool(os.environ.get(VARIABLE))


def _suffix(key: str) -> str:
    return f"-{sha256(key.encode()).hexdigest()[:6]}"


def find(key: str) -> Place | None:
    """The tab with that key; a session of ours that has lost its tab is a dead place."""
    places = [_place(session, _suffix(key)) for session in _sessions(exited=False)]
    return min((place for place in places if place), key=lambda place: place.dead, default=None)


def _place(session: str, suffix: str) -> Place | None:
    done = run("zellij", "--session", session, "action", "query-tab-names")
    tabs = must(f"list the tabs of zellij session {session}", done).splitlines()
    tab = next((tab for tab in tabs if tab.endswith(suffix)), "")
    if not (tab or session.endswith(suffix)):
        return None
    return Place("zellij", session, tab, command("zellij", "attach", session), not tab)


def _sessions(*, exited: bool) -> list[str]:
    """The sessions that live, or those that are kept to be resurrected."""
    done = run("zellij", "list-sessions", "--no-formatting")
    if done.returncode and "No active zellij sessions" in done.stderr:
        return []
    lines = must("list zellij's sessions", done).splitlines()
    return [line.partition(" [Created ")[0] for line in lines if ("(EXITED" in line) == exited]


def open_window(window: Window, old: Place | None) -> Place:
    """A tab in our session, or in an old one of the window's; else a session, in our stead."""
    suffix = _suffix(window.key)
    tab = f"{plain(window.name)}{suffix}"
    session = f"{plain(window.name)[:17]}{suffix}"  # with macOS's socket paths 24 is all there is
    if not _inside() and old is None:
        _session(window, session, tab)
    _write_private(Path(window.layout), layout(window, tab))
    there = old.session if old and not _inside() else ""
    made = ("--layout", window.layout, "--name", tab, "--cwd", window.cwd)
    into = ("--session", there) if there else ()
    done = run("zellij", *into, "action", "new-tab", *made, cwd=window.cwd)
    must("open a zellij tab", done)
    session = there or os.environ.get("ZELLIJ_SESSION_NAME", "")
    return Place("zellij", session, tab, command("zellij", "attach", session))


def _session(window: Window, session: str, tab: str) -> NoReturn:
    """Become a new zellij session. Raises MooringError where there is no terminal for it."""
    if not on_terminal():
        raise MooringError(
            "Cannot start zellij: it opens a session only on a terminal", "add: --launch tmux"
        )
    _write_private(Path(window.layout), layout(window, tab))
    if session in _sessions(exited=True):  # its name is taken until it is deleted
        must("delete the old session", run("zellij", "delete-session", session))
    argv = ("zellij", "--session", session, "--new-session-with-layout", window.layout)
    become(*argv, cwd=window.cwd)


def show(place: Place) -> None:
    """Go to the tab; outside zellij by becoming its client. Raises MooringError if it can't."""
    if place.target:
        go = ("--session", place.session, "action", "go-to-tab-name", place.target)
        must(f"go to zellij tab {place.target}", run("zellij", *go))
    if not _inside():
        become("zellij", "attach", place.session)
    if place.session != os.environ.get("ZELLIJ_SESSION_NAME"):
        done = run("zellij", "action", "switch-session", place.session)  # zellij 0.44 and newer
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

    from ...generate import templates

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
