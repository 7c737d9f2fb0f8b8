"""The environment of a workspace: its fixed names, and how the spec's `env` is rendered. Pure."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from .model import Record, slug
from .spec import render

OURS = re.compile(
    r"WORK_(TOPIC|BRANCH|AGENT|REPO|ISSUE|PIPELINE_ID)|PORT(_[A-Z0-9_]+)?|CLAUDE_SESSION_ID"
    r"|MOORING_FORK"
)
"""Names that never leak from one workspace's environment into another's."""


_FIXED = (
    "WORK_TOPIC",
    "WORK_BRANCH",
    "WORK_AGENT",
    "WORK_REPO",
    "WORK_ISSUE",
    "WORK_PIPELINE_ID",
)

_WHO = re.compile(r"GIT_(AUTHOR|COMMITTER)_(NAME|EMAIL)")
"""Names that leak only from inside a workspace: elsewhere they are the person's own."""


class Named(Protocol):
    """What an environment needs to know of a workspace; a Record has it, and an index row."""

    @property
    def topic(self) -> str:
        """The topic."""

    @property
    def branch(self) -> str:
        """The branch."""

    @property
    def base(self) -> str:
        """The base's name."""

    @property
    def agent(self) -> str:
        """The agent."""

    @property
    def repo(self) -> str:
        """The repo's identity."""

    @property
    def source(self) -> str:
        """The repo as `--repo` takes it."""

    @property
    def issue(self) -> str:
        """The issue's key, or ''."""

    @property
    def pipeline(self) -> str:
        """The pipeline's id, or ''."""

    @property
    def ports(self) -> Mapping[str, int]:
        """Ports by variable name."""

    @property
    def set(self) -> Sequence[str]:
        """The session's own settings."""

    @property
    def env(self) -> Mapping[str, str]:
        """Variables that a person approved or set."""

    @property
    def container(self) -> str:
        """The name of the container, or ''."""

    @property
    def store(self) -> str:
        """The session store, or '' for that of the target's user."""

    @property
    def passes(self) -> Sequence[str]:
        """Names of variables that are passed into the container."""


def fixed(workspace: Named) -> dict[str, str]:
    """The names every workspace has, but for the session's; an empty value means: unset."""
    return {
        "WORK_TOPIC": workspace.topic,
        "WORK_BRANCH": workspace.branch,
        "WORK_AGENT": workspace.agent,
        "WORK_REPO": workspace.source,
        "WORK_ISSUE": workspace.issue,
        "WORK_PIPELINE_ID": workspace.pipeline,
        **{name: str(port) for name, port in workspace.ports.items()},
    }


def port_name(name: str) -> str:
    """`PORT` for the unnamed one, `PORT_WEB` for `web`."""
    return f"PORT_{name.upper().replace('-', '_')}" if name else "PORT"


def template_names(
    topic: str, agent: str, issue: str, repo: str, base: str, branch: str
) -> dict[str, str]:
    """What templates in the spec may name, but for ports; `date` is today's month and day."""
    return {
        "topic": topic,
        "slug": slug(topic),
        "agent": agent,
        "issue": issue,
        "repo": repo,
        "base": base,
        "branch": branch,
        "date": time.strftime("%m%d"),
    }


def check_env(env: Mapping[str, str], names: Mapping[str, str], ports: Iterable[str]) -> None:
    """Raise MooringError if a value names what will not be there."""
    known = {**names, **dict.fromkeys(ports, "0")}
    for key, value in env.items():
        render(value, known, f"env.{key}")


def render_env(env: Mapping[str, str], workspace: Named) -> dict[str, str]:
    """The spec's `env` for a workspace whose ports are known."""
    names = template_names(
        workspace.topic,
        workspace.agent,
        workspace.issue,
        workspace.repo,
        workspace.base,
        workspace.branch,
    )
    names.update({name: str(port) for name, port in workspace.ports.items()})
    return {key: render(value, names, f"env.{key}") for key, value in env.items()}


_MOMENTS = ("timestamp", "created", "date", "TIMESTAMP")
_SESSION = ("SESSION_SLUG", "SESSION_ID")
"""Names that templates for other tools have already."""


def context_names(env: Iterable[str], ports: Iterable[str]) -> dict[str, Any]:
    """What templates of files may name, without values: `ports` and `env` by their members."""
    names = template_names(*[""] * 6)
    variables = [*_FIXED, *map(port_name, ports), *env]
    members = {member: "" for name in ports for member in _members(name)}
    plain = [*names, "port", "target", *_MOMENTS, *_SESSION, *variables]
    return {**dict.fromkeys(plain, ""), "ports": members, "env": dict.fromkeys(variables, "")}


def context(
    env: Mapping[str, str], ports: Iterable[str], record: Record, target: str
) -> dict[str, Any]:
    """The same with the values that a workspace has; moments are those of its claim."""
    at = time.gmtime(record.created)
    variables = {**dict.fromkeys(_FIXED, ""), **fixed(record), **render_env(env, record)}
    numbers = {
        member: record.ports.get(port_name(name), 0) for name in ports for member in _members(name)
    }
    return {
        **template_names(
            record.topic, record.agent, record.issue, record.repo, record.base, record.branch
        ),
        **variables,
        "port": record.ports.get("PORT", 0),
        "target": target,
        "timestamp": record.created,
        "TIMESTAMP": record.created,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", at),
        "date": time.strftime("%m%d", at),
        "SESSION_SLUG": slug(record.topic),
        "SESSION_ID": record.session,
        "ports": numbers,
        "env": variables,
    }


def _members(port: str) -> tuple[str, ...]:
    """How `ports` has one: by its name, and as a word of a template."""
    return tuple(dict.fromkeys((port, port.replace("-", "_")))) if port else ()


def process(
    inherited: Mapping[str, str], workspace: Named, session: str, trusted: Mapping[str, str]
) -> dict[str, str]:
    """A process's environment there: what it inherits, less another workspace's, plus ours."""
    leaks = (OURS, _WHO) if "WORK_TOPIC" in inherited else (OURS,)
    kept = {
        name: value
        for name, value in inherited.items()
        if not any(names.fullmatch(name) for names in leaks)
    }
    ours = {**fixed(workspace), "CLAUDE_SESSION_ID": session}
    return {**kept, **{name: value for name, value in ours.items() if value}, **trusted}
