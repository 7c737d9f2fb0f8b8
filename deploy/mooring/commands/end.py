"""`mooring end`: no worktree, no ports; the conversation and the record stay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import runner
from ..errors import MooringError
from ..registry import Row
from .answer import of_record
from .places import LOCAL

Report = Callable[[str], None]


def end(data: dict[str, Any], report: Report) -> dict[str, Any]:
    """End the workspace. Returns it as plain data.

    Raises MooringError, listing each item, if anything would be lost and `force` isn't given.
    """
    outcome = runner.run("retire", data, report)
    record = outcome.workspace.record
    assert record
    if not outcome.changed:
        report(f"{record.topic} has ended already")
    return of_record(record, outcome.changed)


def end_all(rows: list[Row], *, force: bool, report: Report) -> list[dict[str, Any]]:
    """End several workspaces; one that can't be doesn't keep the others.

    Returns those that ended. Raises MooringError at the end for the others.
    """
    done, errors = [], []
    for row in rows:
        data = {"topic": row.topic, "agent": row.agent, "repo": row.source, "force": force}
        try:
            if row.host != LOCAL:
                raise MooringError(f"Cannot end {row.topic!r}: it is on {row.host}", "mooring list")
            done.append(end(data, report))
            report(f"ended {row.topic}")
        except MooringError as error:
            errors.append(error)
    if errors:
        hints = [hint for error in errors for hint in error.hints]
        raise MooringError("\n".join(error.message for error in errors), *hints)
    return done
