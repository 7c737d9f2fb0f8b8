"""`mooring resume TOPIC --fork NEW`: the same conversation, going on in two workspaces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ..claude import hooks
from ..errors import MooringError, command
from ..model import Needs
from ..registry import Registry
from . import launch
from .lookup import Meant, data_of, find, missing
from .new import Made, provision
from .new import start as start_new
from .resume import is_home

Report = Callable[[str], None]


def origin(registry: Registry, wanted: Meant, report: Report) -> Made:
    """The workspace to fork from, as it is; nothing is changed.

    Raises MooringError if it isn't there, or has no conversation.
    """
    row = find(registry, wanted)
    if row is None:
        raise missing(registry, wanted)
    data = {**data_of(registry, wanted), "needs": Needs.RECORD}
    made = provision(data, report, dry=True)
    if not made.head:
        raise MooringError(
            f"Cannot fork {row.topic!r}: its worktree is gone",
            command("mooring", "resume", row.topic, "--launch", "none"),
        )
    if not made.transcript:
        raise MooringError(
            f"Cannot fork {row.topic!r}: its session {made.session} has no conversation yet",
            command("mooring", "new", row.topic),
        )
    return made


def data(made: Made, topic: str) -> dict[str, Any]:
    """Host data for the fork's workspace: at the same commit, with what is uncommitted there."""
    record = made.record
    assert record
    return {
        "topic": topic,
        "agent": record.agent,
        "repo": record.source,
        "base": made.head.removeprefix("refs/heads/"),
        "parent": record.topic,
        "pipeline": record.pipeline,
        "carry": record.worktree,
    }


def start(made: Made, how: launch.Launch, origin: Made) -> launch.Start:
    """Claude in the fork's workspace, with the earlier conversation under an id of its own."""
    assert made.record
    assert how.claude
    # An older Claude finds no session from another directory, but takes a transcript's path.
    anywhere = how.claude.finds_anywhere or is_home(origin.transcript, made.record.worktree)
    snapshot = ("--system-prompt-snapshot", "off") if how.claude.knows_snapshot else ()
    args = ("--resume", origin.session if anywhere else origin.transcript, "--fork-session")
    what = start_new(made, how, *args, "--session-id", made.session, *snapshot)
    env = {**what.env, hooks.FORK: f"{origin.session}:{made.session}"}
    return msgspec.structs.replace(what, env=env)
