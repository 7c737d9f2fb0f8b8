"""`mooring sessions`: the conversations of a topic, a pipeline, or all of a repo's in the store."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from ..claude import transcripts
from ..errors import MooringError, usage
from ..model import SESSION
from ..registry import Registry, Row
from .lookup import Meant, identity
from .places import is_repo, main_checkout
from .states import Sight


def sessions(registry: Registry, wanted: Meant | None) -> list[dict[str, Any]]:
    """The sessions of one topic, a pipeline, or all, newest first; times in epoch seconds."""
    sight = Sight(registry)
    rows = registry.sessions(wanted.topic, wanted.agent) if wanted else registry.sessions()
    if wanted:
        owners = {(item.repo, item.agent, item.topic): item for item in registry.rows()}
        owned = ((row, owners.get((row.repo, row.agent, row.topic))) for row in rows)
        rows = [row for row, owner in owned if _is_meant(owner, wanted)]
    return [{**msgspec.structs.asdict(row), "state": sight.state(row)} for row in rows]


def _is_meant(owner: Row | None, wanted: Meant) -> bool:
    """Whether a session's workspace is of the pipeline and repo that are meant, if any are."""
    if owner is None:
        return not wanted.pipeline
    in_pipeline = wanted.pipeline in ("", owner.pipeline)
    return in_pipeline and (not wanted.repo or is_repo(owner, wanted.repo))


def stored(registry: Registry, repo: str) -> list[dict[str, Any]]:
    """Every conversation of a repo that the store on this host has, newest first.

    `repo` is a path in it or in a worktree of it, or its URL.
    """
    name = identity(registry, repo)
    rows = [row for row in registry.rows() if row.repo == name]
    ours = {(row.repo, row.agent, row.topic) for row in rows}
    known = {row.session_id: row for row in registry.sessions()}
    own = [key for key, row in known.items() if (row.repo, row.agent, row.topic) in ours]
    sight = Sight(registry)
    found = transcripts.of_repo(transcripts.store(), _places(rows, main_checkout(repo)), own)
    return [
        {
            **msgspec.structs.asdict(item),
            "modified": int(item.modified),
            "topic": known[item.session_id].topic if item.session_id in known else "",
            "state": sight.state(known[item.session_id])
            if item.session_id in known
            else "recorded",
        }
        for item in found
    ]


def shown(row: dict[str, Any]) -> dict[str, str]:
    """What a person sees otherwise than a program: a turn count that is a lower bound."""
    return {"turns": f"{row['turns']}{'' if row['turns_exact'] else '+'}"}


def _places(rows: list[Row], repo: Path) -> list[str]:
    """Where conversations of the repo happen: its checkouts, and where its worktrees go."""
    sources = {str(repo), *(row.source for row in rows if row.source.startswith("/"))}
    beside = {f"{source.removesuffix('.git')}.worktrees" for source in sources}
    return sorted({*sources, *beside, *(row.worktree for row in rows)})


def resolve(registry: Registry, said: str, repo: str) -> str:
    """The id of the session that is meant: in full, or by a beginning that only one has.

    Raises MooringError, listing them, if several begin so, or none.
    """
    if SESSION.fullmatch(said):
        return said
    if not re.fullmatch(r"[0-9a-f][0-9a-f-]{3,35}", said):
        raise usage(f"Cannot use {said!r} as a session: it must be its id, or 4 or more of it")
    known = {row.session_id for row in registry.sessions()}
    known |= {item["session_id"] for item in stored(registry, repo)}
    found = sorted(item for item in known if item.startswith(said))
    if len(found) != 1:
        many = "\n".join([f"Cannot tell which session {said!r} is meant:", *found])
        raise MooringError(
            many if found else f"There is no session {said!r}", "mooring sessions --all"
        )
    return found[0]
