"""Which workspace a person means: topic, agent and repo against the index."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable

import msgspec

from ..errors import MooringError, command, usage
from ..model import Record, check_agent, check_pipeline, check_topic
from ..registry import Registry, Row
from ..repo import parse_source, path_identity
from .places import (
    LOCAL,
    absolute,
    cwd,
    git,
    is_repo,
    main_checkout,
    main_git_dir,
    repo_around,
    standing_in,
)

Report = Callable[[str], None]


class Meant(msgspec.Struct, frozen=True):
    """What the command line says; '' where it says nothing. Without a topic, a pipeline's all."""

    topic: str
    agent: str
    repo: str
    named_repo: bool = False
    """Whether the repo was named on the command line."""
    pipeline: str = ""


class Said(msgspec.Struct, frozen=True):
    """The words of the command line that name workspaces, as they came."""

    topic: str | None = None
    agent: str | None = None
    repo: str | None = None
    pipeline: str | None = None


def meant(registry: Registry, said: Said, report: Report) -> Meant:
    """The one workspace that is meant.

    The topic, `$WORK_TOPIC`, else the workspace one stands in; the latter two are said. Raises a
    usage error where there is none of them.
    """
    found = _meant(registry, said, report)
    if found is None or not found.topic:
        raise usage("Cannot tell which workspace is meant: name its topic", "mooring list")
    return found


def meant_any(registry: Registry, said: Said, report: Report) -> Meant | None:
    """What is meant where a pipeline can be: one workspace, all of a pipeline, or nothing.

    In this order: the topic, the pipeline, `$WORK_TOPIC`, the workspace one stands in,
    `$WORK_PIPELINE_ID`; the last three are said.
    """
    found = _meant(registry, said, report)
    pipeline = os.environ.get("WORK_PIPELINE_ID", "")
    if found or not pipeline:
        return found
    report(f"(using $WORK_PIPELINE_ID: {pipeline})")
    return Meant("", _agent(said), _repo(said), bool(said.repo), check_pipeline(pipeline))


def _meant(registry: Registry, said: Said, report: Report) -> Meant | None:
    named = bool(said.repo)
    if said.topic is not None:
        topic = check_topic("topic", said.topic)
        return Meant(topic, _agent(said), _repo(said), named, named_pipeline(said.pipeline))
    if pipeline := named_pipeline(said.pipeline):
        return Meant("", _agent(said), _repo(said), named, pipeline)
    if topic := os.environ.get("WORK_TOPIC", ""):
        report(f"(using $WORK_TOPIC: {topic})")
        return Meant(check_topic("$WORK_TOPIC", topic), _agent(said), _repo(said), named)
    row = standing_in(registry)
    if row is None:
        return None
    report(f"(using the workspace you stand in: {row.topic})")
    return Meant(row.topic, said.agent or row.agent, _repo(said) or row.source, named)


def named_pipeline(said: str | None) -> str:
    """The pipeline that is named, '' if none is. An empty name is an error, not all of them."""
    if said == "":
        raise usage("Cannot use '' as a pipeline: it names none", "mooring list")
    return check_pipeline(said)


def _agent(said: Said) -> str:
    agent = said.agent or os.environ.get("WORK_AGENT", "")
    return check_agent("agent", agent) if agent else ""


def _repo(said: Said) -> str:
    return absolute(said.repo or os.environ.get("WORK_REPO", ""))


def find(registry: Registry, wanted: Meant) -> Row | None:
    """The one workspace that is meant, or None if the index has none of that name.

    Those on this host go first, since it is where the command line acts. Raises MooringError,
    listing them, if there are several.
    """
    rows = registry.rows(wanted.topic, wanted.agent)
    if wanted.pipeline:
        rows = [row for row in rows if row.pipeline == wanted.pipeline]
    rows = [row for row in rows if row.host == LOCAL] or rows
    if wanted.repo:
        rows = [row for row in rows if is_repo(row, wanted.repo)]
    elif len(rows) > 1:
        here = cwd()
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


def every(registry: Registry, wanted: Meant) -> list[Row]:
    """The workspaces that are meant: one, or all of a pipeline that haven't ended.

    Raises MooringError if there is none.
    """
    if wanted.topic:
        row = find(registry, wanted)
        if row is None:
            raise missing(registry, wanted)
        return [row]
    rows = of_pipeline(registry, wanted, ended=False)
    if not rows:
        raise MooringError(
            f"There is no workspace of pipeline {wanted.pipeline!r}", "mooring list --all"
        )
    return rows


def of_pipeline(registry: Registry, wanted: Meant, *, ended: bool) -> list[Row]:
    """The workspaces of a pipeline, of any unless one is meant; with `ended` also those gone."""
    return [
        row
        for row in registry.rows("", wanted.agent)
        if wanted.pipeline in ("", row.pipeline)
        and (ended or row.state != "ended")
        and (not wanted.repo or is_repo(row, wanted.repo))
    ]


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
    repo = wanted.repo or repo_around()
    if not repo or wanted.pipeline:
        raise missing(registry, wanted)
    agent = wanted.agent or "dev"
    return {
        "topic": wanted.topic,
        "agent": agent,
        "repo": repo,
        "named_repo": wanted.named_repo,
        **_imported(registry, wanted.topic, agent, repo),
    }


def _imported(registry: Registry, topic: str, agent: str, repo: str) -> dict[str, object]:
    """Branch and base of a session that another tool recorded, and no workspace was made for."""
    rows = [row for row in registry.sessions(topic, agent) if not row.target]
    place = identity(registry, repo) if rows else ""
    found = next((row for row in rows if row.repo == place), None)
    return {"branch": found.branch, "base": found.base_ref} if found else {}


def new_data(registry: Registry, wanted: Meant) -> dict[str, object]:
    """Host data for a workspace to make: the repo is that named, or the one we stand in."""
    repo = wanted.repo
    if not repo:
        here = cwd()
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


def row_of(registry: Registry, record: Record) -> Row:
    """The workspace of a record that was just taken into the index. Raises KeyError for another."""
    rows = registry.rows(record.topic, record.agent)
    found = next(
        (row for row in rows if (row.target, row.key) == (record.target, record.key)), None
    )
    if found is None:
        raise KeyError(record.topic)
    return found


def of(row: Row) -> Meant:
    """The workspace in a row of the index, as if it had been named."""
    return Meant(row.topic, row.agent, row.source, named_repo=True)


def pipeline_only(pipeline: str | None, everything: bool, report: Report) -> Meant:
    """Which pipeline's workspaces are meant: the one named, else `$WORK_PIPELINE_ID`, else all."""
    inherited = "" if everything else os.environ.get("WORK_PIPELINE_ID", "")
    if pipeline is None and inherited:
        report(f"(using $WORK_PIPELINE_ID: {inherited})")
    named = named_pipeline(pipeline) or check_pipeline(inherited)
    return Meant("", "", "", pipeline=named)


def repo_here(repo: str | None) -> str:
    """The repo that is named, or the one we stand in. Raises a usage error where there is none."""
    found = _repo(Said(repo=repo)) or repo_around()
    if not found:
        raise usage("Cannot tell which repo is meant: you stand in none", "--repo PATH")
    return found


def identity(registry: Registry, repo: str | None) -> str:
    """The identity of the repo that is named or stood in. Raises MooringError if it is none."""
    place = repo_here(repo)
    row = next((row for row in registry.rows() if is_repo(row, place)), None)
    if row:
        return row.repo
    if found := parse_source(place).identity:
        return found
    checkout = main_checkout(place)
    place_of_git = main_git_dir(checkout)
    origin = git(place_of_git, "config", "--get", "remote.origin.url") or []
    roots = git(place_of_git, "rev-list", "--max-parents=0", "HEAD") or []
    if not origin and not roots:
        raise MooringError(f"Cannot tell which repo is meant: {place} is none, or has no commit")
    return path_identity("".join(origin[:1]), "".join(roots[-1:]))


def missing(registry: Registry, wanted: Meant) -> MooringError:
    """The error that there is no such workspace, with the nearest name."""
    topics = [row.topic for row in registry.rows()]
    near = difflib.get_close_matches(wanted.topic, topics, 1)
    hint = f"mooring status {near[0]}" if near else "mooring list --all"
    return MooringError(f"There is no workspace {wanted.topic!r}", hint)
