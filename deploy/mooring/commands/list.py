"""`mooring list`: the workspaces of the index."""

from __future__ import annotations

from typing import Any

from ..registry import Registry
from .answer import of_row


def workspaces(registry: Registry, *, ended: bool = False) -> list[dict[str, Any]]:
    """Every workspace, by repo, agent and topic; with `ended` also those that are gone."""
    return [of_row(row) for row in registry.rows() if ended or row.state != "ended"]
