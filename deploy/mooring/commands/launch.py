"""Starting Claude in a workspace: replacing this process, or as a child for a headless turn."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from ..config import load_user, user_directory
from ..environment import Named, process, render_env
from ..errors import MooringError, usage


class Start(msgspec.Struct, frozen=True):
    """A program to start in a workspace."""

    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str]
    as_child: bool = False
    """Whether to wait for it and pass on its status, instead of becoming it."""


def is_headless(args: Sequence[str]) -> bool:
    """Whether Claude's arguments ask for one turn without a terminal."""
    return any(arg in ("-p", "--print") for arg in args)


def wants_launch(launch: str | None, args: Sequence[str], json: bool) -> bool:
    """Whether Claude is to be started. By default: on a terminal, or when it got arguments.

    Raises MooringError if it is to be and `claude` isn't installed.
    """
    if json and (launch == "exec" or args):
        raise usage(
            "Cannot print JSON and start Claude: both want stdout", "leave out --json, or -- ARGS"
        )
    terminal = sys.stdin.isatty() and sys.stdout.isatty() and not json
    installed = shutil.which("claude") is not None
    wanted = launch == "exec" or (launch is None and bool(args or (terminal and installed)))
    if wanted and not installed:
        raise MooringError(
            "Cannot start Claude: `claude` is not on PATH",
            "npm install -g @anthropic-ai/claude-code",
            "or add: --launch none",
        )
    return wanted


def claude(workspace: Named, worktree: str, session: str, args: Sequence[str]) -> Start:
    """Claude in the workspace, with `args` and the user's own `claude.args` before them."""
    own = user_args(workspace.topic)
    program = shutil.which("claude") or "claude"
    env = environment(workspace, session)
    return Start((program, *own, *args), worktree, env, is_headless(args))


def user_args(topic: str) -> list[str]:
    """`claude.args` of the user's own configuration; the repo's nobody has approved."""
    layers = load_user(user_directory(), topic)
    return [*layers.user.claude.args, *layers.overrides.claude.args]


def environment(workspace: Named, session: str) -> dict[str, str]:
    """The environment of a process in the workspace: fixed names and the user's own `env`."""
    layers = load_user(user_directory(), workspace.topic)
    trusted = render_env({**layers.user.env, **layers.overrides.env}, workspace)
    return process(os.environ, workspace, session, trusted)


def start(what: Start, closing: Callable[[], None]) -> int:
    """Start it: returns a child's exit status, or never where it replaces this process.

    `closing` is called before that. Raises MooringError if it can't be started.
    """
    if not Path(what.cwd).is_dir():
        raise MooringError(f"Cannot enter the workspace: {what.cwd} is gone", "mooring list")
    try:
        if what.as_child:
            return _child(what)
        closing()
        replace(what)
    except OSError as error:
        raise MooringError(f"Cannot start {what.argv[0]}: {error.strerror}") from None
    return 70


def _child(what: Start) -> int:
    """Run it with our stdin, stdout and stderr; an interrupt is the child's to handle."""
    before = signal.getsignal(signal.SIGINT)
    if before != signal.SIG_IGN:  # a handler of ours is the child's default again
        signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        with subprocess.Popen(what.argv, cwd=what.cwd, env=dict(what.env)) as child:
            status = child.wait()
    finally:
        signal.signal(signal.SIGINT, before)
    return 128 - status if status < 0 else status


def replace(what: Start) -> None:
    """Become the program: signals as a shell would have them, output flushed. Raises OSError."""
    sys.stdout.flush()
    sys.stderr.flush()
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them
        signal.signal(number, signal.SIG_DFL)
    os.chdir(what.cwd)
    os.execvpe(what.argv[0], what.argv, dict(what.env))  # noqa: S606
