"""Which workspace a person means: topic, agent and repo against the index."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from ..errors import MooringError, command, usage
from ..model import check_agent, check_topic
from ..registry import Registry, Row
from ..repo import parse_source

Report = Callable[[str], None]
LOCAL = "@local"


class Meant(msgspec.Struct, frozen=True):
    """What the command line says; '' where it says nothing."""

    topic: str
    agent: str
    repo: str
    named_repo: bool = False
    """Whether the repo was named on the command line."""


def meant(topic: str | None, agent: str | None, repo: str | None, report: Report) -> Meant:
    """Fill in the defaults, `$WORK_TOPIC` (which is said), `$WORK_AGENT`, `$WORK_REPO`; check them.

    Raises a usage error where there is no topic at all.
    """
    if topic is None:
        topic = os.environ.get("WORK_TOPIC", "")
        if not topic:
            raise usage("Cannot tell which workspace is meant: name its topic", "mooring list")
        report(f"(using $WORK_TOPIC: {topic})")
    agent = agent or os.environ.get("WORK_AGENT", "")
    return Meant(
        check_topic("topic", topic),
        check_agent("agent", agent) if agent else "",
        _absolute(repo or os.environ.get("WORK_REPO", "")),
        bool(repo),
    )


def _absolute(repo: str) -> str:
    """A path as an absolute one; a URL, or an identity, as it is."""
    if not repo or parse_source(repo).is_url:
        return repo
    path = Path(repo).expanduser()
    return os.path.realpath(path) if path.exists() else repo


def find(registry: Registry, wanted: Meant) -> Row | None:
    """The one workspace that is meant, or None if the index has none of that name.

    Those on this host go first, since it is where the command line acts. Raises MooringError,
    listing them, if there are several.
    """
    rows = registry.rows(wanted.topic, wanted.agent)
    rows = [row for row in rows if row.host == LOCAL] or rows
    if wanted.repo:
        rows = [row for row in rows if is_repo(row, wanted.repo)]
    elif len(rows) > 1:
        here = _cwd()
        rows = [row for row in rows if is_repo(row, here)] or rows
    if len({(row.repo, row.agent) for row in rows}) == 1:  # the same, under another root
        rows = sorted(rows, key=lambda row: row.updated_at)[-1:]
    if len(rows) > 1:
        raise MooringError(
            "\n".join(
                [
                    f"Cannot tell which {wanted.topic!r} is meant:",
                    *(f"  {command('--agent', row.agent, '--repo', row.source)}" for row in rows),
                ]
            ),
            command(
                "mooring",
                "status",
                wanted.topic,
                "--agent",
                rows[0].agent,
                "--repo",
                rows[0].source,
            ),
        )
    return rows[0] if rows else None


def is_repo(row: Row, repo: str) -> bool:
    """Whether `repo` names the workspace's repo: by URL, identity, or a path in it."""
    if repo in (row.repo, row.source):
        return True
    if not repo.startswith("/"):
        return parse_source(repo).identity == row.repo
    return any(
        repo == place or repo.startswith(f"{place}/")
        for place in (row.worktree, row.source if row.source.startswith("/") else row.worktree)
    )


def data_of(registry: Registry, wanted: Meant) -> dict[str, object]:
    """Host data for a workspace that should be there: from the index, else as named.

    The record on the target decides: an index that lost it is no reason to refuse.
    """
    row = find(registry, wanted)
    if row and row.host != LOCAL:
        raise MooringError(
            f"Cannot act on {row.topic!r}: it is on {row.host}",
            "pyinfra INVENTORY mooring.deploys.retire topic=… repo=…",
        )
    if row:
        return {
            "topic": row.topic,
            "agent": row.agent,
            "repo": row.source,
            "named_repo": wanted.named_repo,
        }
    repo = wanted.repo or _here()
    if not repo:
        raise missing(registry, wanted)
    return {
        "topic": wanted.topic,
        "agent": wanted.agent or "dev",
        "repo": repo,
        "named_repo": wanted.named_repo,
    }


def new_data(registry: Registry, wanted: Meant) -> dict[str, object]:
    """Host data for a workspace to make: the repo is that named, or the one we stand in."""
    repo = wanted.repo
    if not repo:
        here = _cwd()
        inside = [row for row in registry.rows() if here.startswith(f"{row.worktree}/")]
        inside += [row for row in registry.rows() if here == row.worktree]
        repo = inside[0].source if inside else here
        if not repo:
            raise usage(
                "Cannot tell which repo is meant: the directory we stand in is gone", "cd ~"
            )
    known = {row.repo: row.source for row in registry.rows()}
    return {
        "topic": wanted.topic,
        "agent": wanted.agent or "dev",
        "repo": known.get(repo, repo),
        "named_repo": wanted.named_repo,
    }


def missing(registry: Registry, wanted: Meant) -> MooringError:
    """The error that there is no such workspace, with the nearest name."""
    topics = [row.topic for row in registry.rows()]
    near = difflib.get_close_matches(wanted.topic, topics, 1)
    hint = f"mooring status {near[0]}" if near else "mooring list --all"
    return MooringError(f"There is no workspace {wanted.topic!r}", hint)


def _cwd() -> str:
    """Where we stand, or '' if that directory is gone, as after an `end` inside the workspace."""
    try:
        return os.path.realpath(Path.cwd())
    except FileNotFoundError:
        return ""


def _here() -> str:
    """The repo we stand in, if a `.git` says that there is one."""
    here = Path(_cwd() or "/")
    return str(here) if any((place / ".git").exists() for place in (here, *here.parents)) else ""
