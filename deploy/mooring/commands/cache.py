"""`mooring cache`: the bare clones that workspaces of URL repos share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from .. import runner

Report = Callable[[str], None]


def listed(report: Report) -> list[dict[str, Any]]:
    """Every cache on this host, as plain data: `size` in bytes, `fetched` in epoch seconds."""
    return [msgspec.to_builtins(cache) for cache in runner.list_caches("", report)]


def tend(verb: str, repo: str, report: Report, *, force: bool = False) -> list[dict[str, Any]]:
    """Fetch, verify, repair, remove or pack; of one repo, or '' for every cache.

    Returns what came of each: `result`, and in `said` what a person should know. Raises
    MooringError if it could not be done.
    """
    done = runner.tend({"verb": verb, "repo": repo, "force": force}, report)
    return [{"repo": name, **_result(lines)} for name, lines in done.items()]


def _result(lines: tuple[str, ...]) -> dict[str, Any]:
    words = ("damaged", "failed", "fetched", "sound", "removed", "packed")
    return {
        "result": next((line for line in lines if line in words), "repaired"),
        "said": [line for line in lines if line not in words],
    }
