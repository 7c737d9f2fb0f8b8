"""`mooring end`: no worktree, no ports; the conversation and the record stay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import runner
from .answer import of_record


def end(data: dict[str, Any], report: Callable[[str], None]) -> dict[str, Any]:
    """End the workspace. Returns it as plain data.

    Raises MooringError, listing each item, if anything would be lost and `force` isn't given.
    """
    outcome = runner.run("retire", data, report)
    record = outcome.workspace.record
    assert record
    if not outcome.changed:
        report(f"{record.topic} has ended already")
    return of_record(record, outcome.changed)
