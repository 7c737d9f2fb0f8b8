"""What the verbs answer: a workspace as plain data, the same in each of them."""

from __future__ import annotations

from typing import Any

from ..model import Record
from ..registry import Row


def of_record(record: Record, changed: tuple[str, ...] = ()) -> dict[str, Any]:
    """A workspace from its record; `changed` names the operations that did something."""
    return {
        "topic": record.topic,
        "agent": record.agent,
        "repo": record.repo,
        "source": record.source,
        "state": record.state.value,
        "worktree": record.worktree,
        "branch": record.branch,
        "base": record.base,
        "commit": record.commit,
        "session": record.session,
        "container": record.container,
        "ports": record.ports,
        "issue": record.issue,
        "pipeline": record.pipeline,
        "set": record.set,
        "changed": list(changed),
    }


def of_row(row: Row) -> dict[str, Any]:
    """A workspace from the index; `host` is the target's name in the inventory."""
    return {
        "topic": row.topic,
        "agent": row.agent,
        "repo": row.repo,
        "source": row.source,
        "host": row.host,
        "state": row.state,
        "worktree": row.worktree,
        "branch": row.branch,
        "base": row.base,
        "commit": row.commit,
        "session": row.session,
        "container": row.container,
        "ports": row.ports,
        "issue": row.issue,
        "pipeline": row.pipeline,
        "set": row.set,
        "updated_at": row.updated_at,
    }
