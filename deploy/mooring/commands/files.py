"""`mooring files`: what the rules of `files` come to, for one workspace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import runner
from ..errors import MooringError, command

Report = Callable[[str], None]
DRIFT = ("missing", "edited", "outdated", "mode")


def planned(data: dict[str, Any], report: Report) -> list[dict[str, Any]]:
    """Each path with what happens to it, and which rule decided; nothing is changed.

    Raises MooringError where a provision would be refused.
    """
    workspace = runner.run("workspace", data, report, dry=True).workspace
    if workspace.pending:
        raise MooringError(
            f"Cannot tell yet: {workspace.request.repo} is not on the target",
            command("mooring", "new", *workspace.request.words),
        )
    return workspace.file_rows()


def drifted(data: dict[str, Any], report: Report) -> list[dict[str, Any]]:
    """Those that are not as the rules have them, or required and not there."""
    return [row for row in planned({**data, "needs": "record"}, report) if row["state"] in DRIFT]


def refreshed(data: dict[str, Any], report: Report) -> list[str]:
    """Bring the files up to date, all templates rendered anew. Returns the paths that changed."""
    asked = {**data, "needs": "record", "refresh": True}
    workspace = runner.run("workspace", asked, report).workspace
    return sorted(workspace.copied_anew)
