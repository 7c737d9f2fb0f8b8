"""How Claude is started once a workspace is there: one table, one entry for each way."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import platformdirs

from ..claude.events import workspace_line
from ..model import Record
from ..registry import Registry, Row
from . import container, devcontainer, launch, outside, terminals
from .lookup import Meant, find, missing, row_of
from .new import DEVCONTAINER, Made
from .places import LOCAL

Report = Callable[[str], None]
Compose = Callable[[], launch.Start]
Launcher = Callable[[Made, launch.Launch, Compose, Registry, Report], int]


def _exec(
    made: Made, how: launch.Launch, start: Compose, registry: Registry, report: Report
) -> int:
    """Become Claude, or for a headless turn wait for it."""
    what, where = start(), ""
    said = " ".join(what.argv[:3])
    if made.container:
        assert made.record
        what = _contained(container.claude(what, made.record), made, registry)
        where = f" of the container {made.container}"
    elif made.record:
        outside.check(made.record, made.record.worktree, trusted=made.trusted)
    report(f"starting {said} in {what.cwd}{where}")
    return launch.start(what, registry)


def _contained(what: launch.Start, made: Made, registry: Registry) -> launch.Start:
    """The start in the workspace's container, or in its dev container."""
    assert made.record
    if made.container != DEVCONTAINER:
        return container.inside(what, made.record)
    return devcontainer.inside(what, row_of(registry, made.record))


def _in(terminal: str) -> Launcher:
    """Have a window of that terminal multiplexer do it, by the same command again."""

    def start(
        made: Made, how: launch.Launch, start: Compose, registry: Registry, report: Report
    ) -> int:
        record = made.record
        assert record
        argv = _again(record, how, made)
        registry.close()
        return terminals.TERMINALS[terminal](_window(record, argv), report)

    return start


LAUNCHERS: dict[str, Launcher] = {"exec": _exec, "tmux": _in("tmux"), "zellij": _in("zellij")}
"""By the word that `--launch` takes; `none` starts nothing."""


def _again(record: Record, how: launch.Launch, made: Made) -> tuple[str, ...]:
    """The command that starts Claude in this workspace, now that it is there."""
    verb = (
        ("resume", made.origin, "--fork", record.topic)
        if made.origin
        else (
            "resume" if made.transcript or made.continues else "new",
            record.topic,
        )
    )
    prompt = ("--prompt", f"@{made.prompt}") if made.prompt else ()
    where = ("--agent", record.agent, "--repo", record.source, "--launch", "exec")
    place = ("--in", _place(made)) if record.container or made.container else ()
    return (
        *_kept_names(),
        *_mooring(),
        *verb,
        *where,
        *place,
        *prompt,
        *(("--", *how.args) if how.args else ()),
    )


def _place(made: Made) -> str:
    if made.container == DEVCONTAINER:
        return DEVCONTAINER
    return "container" if made.container else "host"


def _kept_names() -> tuple[str, ...]:
    """What a terminal's server may have otherwise, and decides which store and registry it is.

    Paths only: an argv is no place for anything else.
    """
    names = ("CLAUDE_CONFIG_DIR", "MOORING_REGISTRY", "DOCKER_HOST")
    paths = ("/", "unix:///")
    kept = [
        f"{name}={os.environ[name]}" for name in names if os.environ.get(name, "").startswith(paths)
    ]
    return ("env", *kept) if kept else ()


def _mooring() -> tuple[str, ...]:
    """This program, by a path that holds where another PATH does."""
    program = shutil.which(sys.argv[0])
    return (os.path.abspath(program),) if program else (sys.executable, "-m", "mooring")


def _window(record: Record, argv: tuple[str, ...]) -> terminals.Window:
    key = _key(record)
    layouts = Path(platformdirs.user_cache_dir("mooring")) / "layouts"
    return terminals.Window(
        name=_name(record.agent, record.topic),
        key=key,
        cwd=record.worktree,
        argv=argv,
        layout=str(layouts / f"{sha256(key.encode()).hexdigest()[:24]}.kdl"),
    )


def _name(agent: str, topic: str) -> str:
    return topic if agent == "dev" else f"{agent}@{topic}"


def attach(registry: Registry, wanted: Meant, report: Report) -> int:
    """Go to the window of a workspace. Raises MooringError if there is none."""
    row = find(registry, wanted)
    if row is None or row.host != LOCAL:
        raise missing(registry, wanted)
    registry.close()
    return terminals.attach(_key(row), report, row.words)


def _key(workspace: Row | Record) -> str:
    return workspace_line(workspace.target, workspace.key).replace(" ", "/")
