"""`mooring resume`: the workspace again, where it is gone, and the conversation in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..model import Needs
from . import launch
from .new import Made, provision


def rebuild(
    data: dict[str, Any], report: Callable[[str], None], *, launching: bool, dry: bool = False
) -> Made:
    """Have the workspace again. With `launching`, a conversation must be there to go on with.

    Raises MooringError, before anything is made, if there is none.
    """
    needs = Needs.TRANSCRIPT if launching else Needs.RECORD
    made = provision({**data, "needs": needs}, report, dry=dry)
    if made.record and "worktree" in made.changed:
        report(f"rebuilt {made.record.worktree} on branch {made.record.branch}")
    return made


def start(made: Made, args: tuple[str, ...]) -> launch.Start:
    """Claude going on with the recorded conversation."""
    record = made.record
    assert record
    return launch.claude(
        record, record.worktree, record.session, ["--resume", record.session, *args]
    )
