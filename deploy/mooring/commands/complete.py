"""What the shell can complete: topics, agents and sessions that the registry knows."""

from __future__ import annotations

from collections.abc import Iterable

from ..registry import Registry


def topics(registry: Registry, typed: str) -> list[str]:
    """Topics that begin so; those of live workspaces first."""
    rows = sorted(registry.rows(), key=lambda row: (row.state == "ended", row.topic))
    return _beginning(typed, (row.topic for row in rows))


def agents(registry: Registry, typed: str) -> list[str]:
    """Agents that begin so."""
    return _beginning(typed, ("dev", *(row.agent for row in registry.rows())))


def sessions(registry: Registry, topic: str | None, typed: str) -> list[tuple[str, str]]:
    """Ids of sessions that begin so, with their topic; a topic's own only, if one is given."""
    return [
        (row.session_id, row.topic)
        for row in registry.sessions(topic or "")
        if row.session_id.startswith(typed)
    ]


def _beginning(typed: str, names: Iterable[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if name.startswith(typed)]
