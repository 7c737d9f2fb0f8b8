"""`mooring status`: what the index has, or with a check, how the target differs from the spec."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import command
from ..registry import Registry, Row
from .answer import of_row
from .lookup import LOCAL, Meant, data_of, find, git
from .states import Sight


def status(registry: Registry, row: Row) -> dict[str, Any]:
    """One workspace and its session, from the index, and for a stacked one from git."""
    session = registry.session(row.session)
    rebase = _rebase(registry, row) if row.parent else ""
    return {
        **of_row(row),
        "session_state": Sight(registry).state(session) if session else "reserved",
        "captured_at": session.captured_at if session else None,
        "cleared_at": session.cleared_at if session else None,
        "parent": row.parent,
        "parent_merged": bool(rebase),
        "rebase": rebase,
    }


def _rebase(registry: Registry, row: Row) -> str:
    """The command that rebases a stacked branch once its parent was merged; '' until then."""
    rows = registry.rows(row.parent, row.agent)
    parent = next((item for item in rows if item.repo == row.repo), None)
    place = _repo(row)
    if parent is None or place is None or row.state == "ended":
        return ""
    refs = (f"refs/heads/{parent.branch}", *_bases(parent))
    found = dict(
        line.split(" ", 1)[::-1]
        for line in git(place, "for-each-ref", "--format=%(objectname) %(refname)", *refs) or ()
    )
    tip = found.get(refs[0], parent.commit)
    bases = [name for name in _bases(parent) if name in found]
    if not bases or tip in ("", parent.start):  # it has nothing of its own to be merged
        return ""
    onto = next(
        (name for name in bases if git(place, "rev-list", "-1", tip, "--not", name) == []), ""
    )
    short = onto.removeprefix("refs/remotes/").removeprefix("refs/heads/")
    return command("git", "-C", row.worktree, "rebase", "--onto", short, tip) if onto else ""


def _bases(parent: Row) -> tuple[str, str]:
    """Where a merge of the parent would show: as fetched, or in the local branch."""
    return f"refs/remotes/origin/{parent.base}", f"refs/heads/{parent.base}"


def _repo(row: Row) -> str | None:
    """The repo's git directory on this host: never by the worktree, whose pointer isn't trusted."""
    if row.host != LOCAL:
        return None
    if row.source.startswith("/"):
        inside = Path(row.source) / ".git"
        return str(inside if inside.is_dir() else row.source)
    cache = Path.home() / ".local/share/mooring/cache" / f"{row.repo}.git"
    return str(cache) if cache.is_dir() else None


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
