"""`mooring sessions`: the conversations, with the workspace each belongs to."""

from __future__ import annotations

from typing import Any

import msgspec

from ..registry import Registry
from .lookup import Meant, is_repo


def sessions(registry: Registry, wanted: Meant | None) -> list[dict[str, Any]]:
    """The sessions of one topic, or of all, newest first; times in seconds since the epoch."""
    rows = registry.sessions(wanted.topic if wanted else "", wanted.agent if wanted else "")
    if wanted and wanted.repo:
        repos = {row.repo for row in registry.rows(wanted.topic) if is_repo(row, wanted.repo)}
        rows = [row for row in rows if row.repo in repos]
    return [{**msgspec.structs.asdict(row), "state": _state(row)} for row in rows]


def _state(row: Any) -> str:
    if row.cleared_at:
        return "cleared"
    return "recorded" if row.captured_at else "reserved"
