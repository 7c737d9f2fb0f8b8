"""`mooring run`: a command in a workspace's environment, without direnv."""

from __future__ import annotations

import os

from ..errors import MooringError, command
from ..registry import Registry, Row
from . import container, devcontainer, launch
from .lookup import Meant, find, missing
from .places import LOCAL, moved


def here(registry: Registry, wanted: Meant) -> Row:
    """The workspace, if it is there, on this host.

    Raises MooringError if there is no such workspace, or it ended.
    """
    row = find(registry, wanted)
    if row is None:
        raise missing(registry, wanted)
    if row.host != LOCAL:
        raise MooringError(f"Cannot enter {row.topic!r}: it is on {row.host}", "mooring list")
    if row.state == "ended":
        raise MooringError(
            f"Cannot enter {row.topic!r}: it has ended",
            command("mooring", "resume", *row.words, "--launch", "none"),
        )
    return moved(row)


def in_workspace(
    registry: Registry, wanted: Meant, argv: tuple[str, ...], place: str = ""
) -> launch.Start:
    """The command in the workspace, as the index knows it: in its container, if it has one.

    `place` is `host`, `container` or `devcontainer`, where somebody said which. No argv is a shell.
    Raises MooringError if there is no such workspace or container, or it ended.
    """
    row = here(registry, wanted)
    if place == "devcontainer":
        env = launch.environment(row, row.session)
        start = launch.Start(argv or ("sh", "-c", _SHELL), row.worktree, env)
        return devcontainer.inside(start, row)
    contained = bool(row.container) and place != "host"
    if place == "container" and not contained:
        raise MooringError(
            f"Cannot enter the container of {row.topic!r}: it has none",
            command("mooring", "new", *row.words, "--in", "container", "--launch", "none"),
        )
    shell = ("sh", "-c", _SHELL) if contained else (os.environ.get("SHELL", "sh"),)
    start = launch.Start(argv or shell, row.worktree, launch.environment(row, row.session))
    return container.inside(start, row) if contained else start


_SHELL = "command -v bash >/dev/null && exec bash || exec sh"
