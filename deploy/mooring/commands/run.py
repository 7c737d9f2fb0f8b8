"""`mooring run`: a command in a workspace's environment, without direnv."""

from __future__ import annotations

from ..errors import MooringError, command
from ..registry import Registry, Row
from . import launch
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


def in_workspace(registry: Registry, wanted: Meant, argv: tuple[str, ...]) -> launch.Start:
    """The command in the workspace, as the index knows it.

    Raises MooringError if there is no such workspace, or it ended.
    """
    row = here(registry, wanted)
    return launch.Start(argv, row.worktree, launch.environment(row, row.session))
