"""`mooring status`: what the index has, or with a check, how the target differs from the spec."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..registry import Registry
from .answer import of_row
from .lookup import Meant, data_of, find, missing


def status(registry: Registry, wanted: Meant) -> dict[str, Any]:
    """One workspace and its session, from the index alone. Raises MooringError if there is none."""
    row = find(registry, wanted)
    if row is None:
        raise missing(registry, wanted)
    sessions = [item for item in registry.sessions(row.topic, row.agent) if item.repo == row.repo]
    session = next((item for item in sessions if item.session_id == row.session), None)
    return {
        **of_row(row),
        "captured_at": session.captured_at if session else None,
        "cleared_at": session.cleared_at if session else None,
    }


def check(registry: Registry, wanted: Meant, report: Callable[[str], None]) -> list[str]:
    """What a provision would change on the target; empty where nothing differs.

    Changes nothing itself. Raises MooringError where a provision would be refused.
    """
    from .new import provision

    data = data_of(registry, wanted)
    row = find(registry, wanted)
    if row and row.state == "ended":
        return []
    return list(provision({**data, "needs": "record"}, report, dry=True).changed)
