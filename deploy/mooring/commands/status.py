"""`mooring status`: what the index has, or with a check, how the target differs from the spec."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import command
from ..registry import Registry, Row
from .answer import of_row
from .lookup import data_of, of
from .places import git, git_dir
from .states import Sight


def status(registry: Registry, row: Row) -> dict[str, Any]:
    """One workspace and its session, from the index, and for a stacked one from git."""
    session = registry.session(row.session)
    merged, rebase = _merged(registry, row) if row.parent else (False, "")
    return {
        **of_row(row),
        "session_state": Sight(registry).state(session) if session else "reserved",
        "captured_at": session.captured_at if session else None,
        "cleared_at": session.cleared_at if session else None,
        "parent": row.parent,
        "parent_merged": merged,
        "rebase": rebase,
    }


def _merged(registry: Registry, row: Row) -> tuple[bool, str]:
    """Whether the parent of a stacked branch was merged, and the command that rebases it then.

    '' where the branch has all of the base already.
    """
    rows = registry.rows(row.parent, row.agent)
    parent = next((item for item in rows if item.repo == row.repo), None)
    place = git_dir(row)
    if parent is None or place is None or row.state == "ended":
        return False, ""
    own = f"refs/heads/{row.branch}"
    refs = (f"refs/heads/{parent.branch}", *_bases(parent), own)
    lines = git(place, "for-each-ref", "--format=%(refname) %(objectname)", *refs) or ()
    found = dict(line.split(" ", 1) for line in lines)
    tip = found.get(refs[0], parent.commit)
    if tip in ("", parent.start):  # it has nothing of its own to be merged
        return False, ""
    bases = [name for name in _bases(parent) if name in found]
    onto = next((name for name in bases if _has(place, name, tip)), "")
    onto = onto or next((name for name in bases if _has_changes(place, name, tip)), "")
    if not onto or own not in found or _has(place, own, onto):
        return bool(onto), ""
    short = onto.removeprefix("refs/remotes/").removeprefix("refs/heads/")
    return True, command("git", "-C", row.worktree, "rebase", "--onto", short, tip)


def _has(place: str, ref: str, commit: str) -> bool:
    """Whether a ref has all of a commit."""
    return git(place, "rev-list", "-1", commit, "--not", ref) == []


def _has_changes(place: str, ref: str, commit: str) -> bool:
    """Whether merging a commit would change nothing, as after a squash (git 2.38 can say so)."""
    tree = git(place, "rev-parse", "--verify", "--quiet", f"{ref}^{{tree}}")
    return bool(tree) and git(place, "merge-tree", "--write-tree", ref, commit) == tree


def _bases(parent: Row) -> tuple[str, str]:
    """Where a merge of the parent would show: as fetched, or in the local branch."""
    return f"refs/remotes/origin/{parent.base}", f"refs/heads/{parent.base}"


def check(registry: Registry, row: Row, report: Callable[[str], None]) -> list[str]:
    """What a provision would change on the target; empty where nothing differs.

    Changes nothing itself. Raises MooringError where a provision would be refused.
    """
    from .new import provision

    if row.state == "ended":
        return []
    data = {**data_of(registry, of(row)), "needs": "record"}
    return list(provision(data, report, dry=True).changed)
