"""`mooring list`: the workspaces of the index."""

from __future__ import annotations

from typing import Any

from ..registry import Registry
from .answer import of_row
from .lookup import Meant, of_pipeline
from .states import Sight


def workspaces(registry: Registry, wanted: Meant, *, ended: bool = False) -> list[dict[str, Any]]:
    """The workspaces of a pipeline, or all, by repo, agent, topic; with `ended` those gone too."""
    states = Sight(registry).states(registry.sessions())
    return [
        {**of_row(row), "session_state": states.get(row.session, "reserved")}
        for row in of_pipeline(registry, wanted, ended=ended)
    ]
