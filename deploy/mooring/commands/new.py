"""`mooring new`: a workspace, made or brought up to date, and Claude in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from .. import runner
from ..errors import MooringError, command
from ..model import Record
from . import launch
from .answer import of_record


class Made(msgspec.Struct, frozen=True):
    """What a provision came to, or in a dry run would come to."""

    record: Record | None
    """None in a dry run of a repo that isn't on the target yet."""
    changed: tuple[str, ...]
    dry: bool
    has_transcript: bool
    intentions: tuple[str, ...]
    """What would be done, a sentence each."""

    def answer(self) -> dict[str, Any]:
        """As plain data."""
        base = of_record(self.record, self.changed) if self.record else {}
        if self.dry:
            for unknown in ("session", "ports", "commit", "state"):
                base.pop(unknown, None)
        return {**base, "changed": list(self.changed), "dry_run": self.dry}


def provision(data: dict[str, Any], report: Callable[[str], None], *, dry: bool = False) -> Made:
    """Have the workspace. Raises MooringError with the reason if it can't be had."""
    outcome = runner.run("workspace", data, report, dry=dry)
    workspace = outcome.workspace
    record = workspace.record
    if dry:
        record = None if workspace.pending else workspace.wanted
    return Made(
        record,
        outcome.changed,
        dry,
        bool(record and workspace.observed.session.transcripts),
        workspace.intentions() if dry else (),
    )


def start(made: Made, args: tuple[str, ...]) -> launch.Start:
    """Claude's first start in the workspace, with the id that was reserved.

    Raises MooringError if the session has a conversation already: its id can't be given again.
    """
    record = made.record
    assert record
    if made.has_transcript:
        again = command("mooring", "resume", record.topic, *(["--", *args] if args else []))
        raise MooringError(
            f"Cannot start a new conversation in {record.topic!r}: its session "
            f"{record.session} has one already",
            again,
        )
    return launch.claude(
        record, record.worktree, record.session, ["--session-id", record.session, *args]
    )
