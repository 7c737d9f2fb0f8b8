"""`mooring doctor TOPIC`: whether one workspace, and its container, are as a conversation needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from ...registry import Registry, Row
from ..doctor import Finding
from ..doctor import keep_transcripts as _keep
from ..lookup import Meant
from ..run import here
from . import engine, host, inside, mounts
from .look import Look, own_directory

Check = Callable[[Look], Iterator[Finding]]
CHECKS: tuple[Check, ...] = (
    host.worktree,
    host.store,
    host.transcript,
    host.hooks,
    host.version,
    host.cleanup,
    host.credentials,
)
"""Of every workspace, on the host."""

OF_CONTAINER: tuple[Check, ...] = (
    engine.state,
    engine.origin,
    mounts.table,
    mounts.never,
    engine.user,
)
"""What the engine says of its container."""

INSIDE: tuple[Check, ...] = (
    inside.whole,
    inside.store,
    inside.transcript,
    inside.git,
    inside.guarded,
    inside.version,
    inside.credentials,
    inside.cleanup,
    inside.clock,
)
"""What the container, which runs, says itself."""


def one(registry: Registry, wanted: Meant) -> Row:
    """The workspace that is meant. Raises MooringError if it isn't on this host, or ended."""
    return here(registry, wanted)


def examine(registry: Registry, row: Row) -> list[Finding]:
    """Everything that is looked at in a workspace, in order."""
    look = Look(registry, row)
    checks = [*CHECKS, *(OF_CONTAINER if row.container else ())]
    if look.said is not None:
        checks += INSIDE
    return [finding for check in checks for finding in check(look)]


def keep_transcripts(row: Row) -> tuple[Path, ...]:
    """Have Claude in the workspace's container keep transcripts, too; returns the file, if any."""
    place = own_directory(row)
    return (_keep(place),) if row.container and place.is_dir() else ()
