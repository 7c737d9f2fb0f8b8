"""Starting Claude in a workspace: replacing this process, or as a child for a headless turn."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from .. import identity
from ..claude import live, transcripts
from ..claude.version import OLDEST, Claude, installed
from ..config import load_user, user_directory
from ..document import File
from ..environment import Named, process, render_env
from ..errors import MooringError, usage
from ..registry import Registry
from ..settings import over_layers
from ..spec import Spec, merge
from .places import git, guard_settings, main_git_dir

Report = Callable[[str], None]
UNSAVED = "--no-session-persistence"
"""With this argument Claude saves nothing, and is believed."""


class Start(msgspec.Struct, frozen=True):
    """A program to start in a workspace."""

    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str]
    headless: bool = False
    """Whether to wait for it and pass on its status, instead of becoming it."""
    session: str = ""
    """The conversation it goes on with, '' where it is none."""
    words: tuple[str, ...] = ()
    """What names the workspace on the command line."""
    stdin: str = ""
    """The file it reads first, as Claude does its prompt; '' for our own stdin."""
    store: str = ""
    """The session store, where it isn't this user's own."""
    passes: tuple[str, ...] = ()
    """Names in `env` that a container gets besides those of every start in the workspace."""
    stop: tuple[str, ...] = ()
    """What ends it where that doesn't end with its client, as in a container."""


class Launch(msgspec.Struct, frozen=True):
    """How Claude is to be started, as the command line says; `how` is a key of the launchers."""

    how: str
    args: tuple[str, ...]
    claude: Claude | None

    @property
    def starts(self) -> bool:
        """Whether Claude is started at all."""
        return self.how != "none"

    @property
    def headless(self) -> bool:
        """Whether for one turn without a terminal."""
        return is_headless(self.args)


def is_headless(args: Sequence[str]) -> bool:
    """Whether Claude's arguments ask for one turn without a terminal."""
    return any(arg in ("-p", "--print") for arg in args)


def wanted(
    how: str | None,
    args: tuple[str, ...],
    *,
    json: bool,
    piped: bool,
    contained: bool,
    report: Report,
) -> Launch:
    """How Claude is to be started. By default: on a terminal, or when it got arguments.

    `piped` says that stdin is the prompt, so that it needs to be no terminal; `contained` that it
    is for a container, which may have a `claude` of its own.
    Raises MooringError if it is to be and `claude` isn't installed, before anything is promised.
    """
    if json and (how not in (None, "none") or args):
        raise usage(
            "Cannot print JSON and start Claude: both want stdout", "leave out --json, or -- ARGS"
        )
    terminal = (piped or sys.stdin.isatty()) and sys.stdout.isatty() and not json
    if how is None and not args and not terminal:
        return Launch("none", args, None)
    if how == "none":
        return Launch(how, args, None)
    if how in ("tmux", "zellij") and not shutil.which(how):
        raise MooringError(
            f"Cannot start Claude in {how}: `{how}` is not on PATH", "or add: --launch exec"
        )
    try:
        claude = installed()
    except MooringError:
        if contained:
            return Launch(how or "exec", args, Claude("claude", (999, 0, 0)))
        if how is None and not args:
            return Launch("none", args, None)
        raise
    if claude.version < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        report(f"Claude Code {claude.text} is older than {oldest}, the oldest that was tried")
    return Launch(how or "exec", args, claude)


def claude_argv(launch: Launch, workspace: Named, *args: str) -> tuple[str, ...]:
    """Claude's command line: the user's own `claude.args`, ours, then those behind ``--``."""
    assert launch.claude
    return (launch.claude.program, *user_args(workspace), *args, *launch.args)


def user_args(workspace: Named) -> list[str]:
    """`claude.args` of the user's own configuration and of ``--set``; never the repo's."""
    return spec_of(workspace).claude_args


def spec_of(workspace: Named) -> Spec:
    """The user's own configuration, and what the record keeps of the repo's and of ``--set``."""
    layers = load_user(user_directory(), workspace.topic, workspace.agent)
    known = File(env=dict(workspace.env))
    layers = msgspec.structs.replace(layers, repo=known, approved=True)
    return merge(over_layers(layers, workspace.set))


def environment(workspace: Named, session: str) -> dict[str, str]:
    """The environment of a process in the workspace: fixed names, and `env`.

    Of the repo's `env` it has what was approved when the workspace was last brought up to date.
    """
    spec = spec_of(workspace)
    found = identity.settings(spec.git, _remote(workspace)) if spec.git.credential else ()
    settings = [(name, render_env({name: value}, workspace)[name]) for name, value in found]
    settings += guard_settings(workspace)
    trusted = {
        **render_env(spec.trusted_env, workspace),
        **identity.variables(os.environ, settings),
    }
    return process(os.environ, workspace, session, trusted)


def own_variables(workspace: Named) -> dict[str, str]:
    """The spec's `env` for the workspace, as far as it needs no approval any more."""
    return render_env(spec_of(workspace).trusted_env, workspace)


def _remote(workspace: Named) -> str:
    """The URL of the repo's origin, '' where it has none."""
    if not workspace.source.startswith("/"):
        return workspace.source
    place = main_git_dir(Path(workspace.source))
    return "".join(git(place, "config", "--get", "remote.origin.url") or ())


def start(what: Start, registry: Registry) -> int:
    """Start it: returns a child's exit status, or never where it replaces this process.

    Takes the session's lease first. Raises MooringError if somebody else has that, if it can't be
    started, or if a headless turn was not saved.
    """
    if not Path(what.cwd).is_dir():
        raise MooringError(f"Cannot enter the workspace: {what.cwd} is gone", "mooring list")
    if what.session:
        _take_lease(what, registry)
    try:
        if what.headless:
            return _turn(what, registry)
        if what.stop:
            with ExitStack() as stack:
                if what.session:
                    stack.callback(registry.release, what.session, os.getpid())
                return _child(what)
        registry.close()
        replace(what)
    except OSError as error:
        raise MooringError(f"Cannot start {what.argv[0]}: {error.strerror}") from None
    return 70


def _take_lease(what: Start, registry: Registry) -> None:
    """Have the right to write to the session; it stays with this process, whatever it becomes."""
    pid, holds = os.getpid(), live.holds(transcripts.store())
    held = registry.lease(what.session, what.cwd, pid, live.started(pid), holds)
    if held:
        by = live.Live(held.pid, what.session, held.holder, held.at)
        raise live.refusal(what.session, what.words, by)


def _turn(what: Start, registry: Registry) -> int:
    """One headless turn; a success that was not saved is none."""
    before = _saved(what)
    with ExitStack() as stack:
        stack.callback(registry.release, what.session, os.getpid())
        status = _child(what)
    if status or not what.session or UNSAVED in what.argv:
        return status
    after = _saved(what)
    registry.fold_store(store_of(what.store))
    if after:
        registry.captured(what.session, after.path, int(after.modified))
    if after is None or (before and after.size <= before.size):
        where = f"the transcript {after.path} did not grow" if after else "there is no transcript"
        raise MooringError(
            f"Cannot say that the turn was saved: Claude ended with 0, but {where} of session "
            f"{what.session}",
            "mooring doctor",
        )
    return status


def store_of(store: str) -> Path:
    """The session store of a workspace, as its record names it."""
    return Path(store) if store else transcripts.store()


def _saved(what: Start) -> transcripts.Transcript | None:
    """The transcript of the session as it is now; the largest, if there are several."""
    session, store = what.session, store_of(what.store)
    found = map(transcripts.read, transcripts.find(store, session)) if session else ()
    return max((item for item in found if item), key=lambda item: item.size, default=None)


@contextmanager
def _stdin(what: Start) -> Iterator[int | None]:
    if not what.stdin:
        yield None
        return
    file = os.open(what.stdin, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        yield file
    finally:
        os.close(file)


def _child(what: Start) -> int:
    """Run it with our stdin, stdout and stderr; an interrupt is the child's to handle.

    Where it would outlive its client, a hang-up of ours, and a request to end, is one for it too.
    """
    client: list[subprocess.Popen[bytes]] = []
    told: list[int] = []

    def pass_on(number: int, _frame: object) -> None:
        told.append(number)
        for one in client:
            one.terminate()

    ends = dict.fromkeys((signal.SIGHUP, signal.SIGTERM) if what.stop else (), pass_on)
    with _stdin(what) as stdin, _handling(ends):
        argv, env = what.argv, dict(what.env)
        with subprocess.Popen(argv, cwd=what.cwd, env=env, stdin=stdin) as child:
            client.append(child)
            status = child.wait()
        if what.stop and (told or status < 0):
            subprocess.run(what.stop, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return 128 - status if status < 0 else status


Handler = Callable[[int, object], None]


@contextmanager
def _handling(handlers: Mapping[signal.Signals, Handler]) -> Iterator[None]:
    """Handle these signals, and leave an interrupt to the child."""
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        # A handler of ours is the child's default again.
        handlers = {**handlers, signal.SIGINT: lambda _number, _frame: None}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def replace(what: Start) -> None:
    """Become the program: signals as a shell would have them, output flushed. Raises OSError."""
    sys.stdout.flush()
    sys.stderr.flush()
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them
        signal.signal(number, signal.SIG_DFL)
    os.chdir(what.cwd)
    with _stdin(what) as stdin:
        if stdin is not None:
            os.dup2(stdin, 0)
    os.execvpe(what.argv[0], what.argv, dict(what.env))  # noqa: S606
