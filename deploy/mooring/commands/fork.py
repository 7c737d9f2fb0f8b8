"""`mooring resume TOPIC --fork NEW`: the same conversation, going on in two workspaces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from .. import settings
from ..claude import hooks
from ..errors import MooringError, command
from ..model import check_topic
from ..registry import Registry
from . import launch
from .lookup import Meant, find, missing
from .new import Made, look
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
    made = look(registry, row, report)
    if not made.transcript:
        raise MooringError(
            f"Cannot fork {row.topic!r}: its session {made.session} has no conversation yet",
            command("mooring", "new", *row.words),
        )
    return made


def data(
    registry: Registry, made: Made, topic: str, given: Sequence[str] = (), unset: Sequence[str] = ()
) -> dict[str, Any]:
    """Host data for the fork's workspace: at the same commit, with what is uncommitted there.

    It has the settings of the first one too, as `--set` and `--unset` change them.

    Raises MooringError if the topic is taken by anything but this very fork.
    """
    record = made.record
    assert record
    rows = registry.rows(check_topic("--fork", topic), record.agent)
    there = next((row for row in rows if row.repo == record.repo), None)
    if there and there.state != "ended" and there.parent != record.topic:
        raise MooringError(
            f"Cannot fork {record.topic!r} as {topic!r}: there is a workspace of that name",
            command("mooring", "resume", record.topic, "--fork", f"{topic[:60]}-2"),
        )
    return {
        "topic": topic,
        "agent": record.agent,
        "repo": record.source,
        "base": made.head.removeprefix("refs/heads/"),
        "start": record.commit,
        "parent": record.topic,
        "pipeline": record.pipeline,
        "carry": record.worktree,
        "set": settings.combined(record.set, given, unset),
        "unset": [key for key in unset if key not in settings.keys(record.set)],
        "fresh": there is not None and there.state == "ended",
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
