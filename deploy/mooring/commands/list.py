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
    rows = of_pipeline(registry, wanted, ended=ended)
    contained = container_states() if any(row.container for row in rows) else {}
    return [
        {
            **of_row(row),
            "session_state": states.get(row.session, "reserved"),
            "container_state": _state(row.container, contained),
        }
        for row in rows
    ]


def _state(name: str, states: dict[str, str] | None) -> str:
    if not name:
        return ""
    return "unknown" if states is None else states.get(name, "gone")


def container_states() -> dict[str, str] | None:
    """The state of each container of ours on this host's engine, by name; asked for at once.

    None where no engine answers in five seconds.
    """
    import subprocess  # only here: without a container nothing is asked

    listed = ("docker", "ps", "--all", "--filter", "label=mooring.topic")
    argv = [*listed, "--format", "{{.Names}} {{.State}}"]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode:
        return None
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
