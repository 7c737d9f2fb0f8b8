"""The files that Mooring writes into a workspace, each composed here and nowhere else."""

from __future__ import annotations

import functools
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from .claude import hooks
from .claude.events import workspace_line
from .environment import fixed, render_env
from .model import Record
from .plan import Plan

if TYPE_CHECKING:
    import jinja2


ENVRC_TEMPLATE = "envrc.j2"
CONTEXT_TEMPLATE = "session-context.md.j2"
SECTIONS = "\n## Task\n\n\n## Decisions\n\n\n## Blockers\n"
"""What a context has below its generated part, until somebody writes there."""
HIDDEN = (
    ".mooring/.gitignore",
    ".mooring/.stage.*",
    ".mooring/.stage.*/**",
    ".mooring/envrc",
    ".mooring/session",
    ".mooring/session-context.md",
    ".mooring/session-prompt.md",
    ".mooring/workspace",
    ".mooring/provisioned",
    ".mooring/setup",
    ".mooring/setup.log",
    hooks.FLAG_SETTINGS,
)
"""What of `.mooring/` is composed anew each time, so that nobody can lose it."""


def digest(plan: Plan, record: Record) -> str:
    """A sha256 over all that `compose` reads: where it is the same, so are the files."""
    inputs = [
        _envrc_names(plan, record),
        _context_names(plan, record),
        plan.context,
        plan.settings,
        hooks.COMMAND,
    ]
    texts = [(templates() / name).read_bytes() for name in (ENVRC_TEMPLATE, CONTEXT_TEMPLATE)]
    return sha256(b"\0".join([msgspec.json.encode(inputs), *texts])).hexdigest()


def compose(plan: Plan, record: Record) -> dict[str, str]:
    """Every file that Mooring writes into the workspace itself, by path; of the context, its head.

    The session's id isn't among them: Claude's hooks write that too.
    """
    flagged = {hooks.FLAG_SETTINGS: hooks.dump(hooks.merged({}) or {})}
    return {
        ".mooring/.gitignore": "*\n",
        ".mooring/workspace": f"{workspace_line(record.target, record.key)}\n",
        **(flagged if plan.settings == hooks.FLAG_SETTINGS else {}),
        plan.context: _template(CONTEXT_TEMPLATE).render(_context_names(plan, record)),
        plan.envrc: _template(ENVRC_TEMPLATE).render(_envrc_names(plan, record)),
    }


def _envrc_names(plan: Plan, record: Record) -> dict[str, Any]:
    return {
        "topic": plan.topic,
        "names": fixed(record),
        "env": render_env(plan.env, record),
        "git_settings": [
            (name, render_env({name: value}, record)[name]) for name, value in plan.git_settings
        ],
        "session_file": f"{plan.worktree}/.mooring/session",
    }


def _context_names(plan: Plan, record: Record) -> dict[str, Any]:
    shown = ("topic", "agent", "issue", "repo", "branch", "base", "worktree", "ports", "parent")
    return {
        **{name: getattr(record, name) for name in shown},
        "start": plan.start if plan.makes_branch else record.start,
        "envrc": plan.envrc,
        "env": sorted(plan.env),
        "files": sorted((item.dest, item.action, item.src) for item in plan.files),
    }


def templates() -> Path:
    """Where the templates are: inside an installed package, or beside `deploy/` in a checkout."""
    own = Path(__file__).parent / "templates"
    return own if own.is_dir() else Path(__file__).parents[2] / "templates"


@functools.cache
def _environment() -> jinja2.Environment:
    import jinja2
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment(
        loader=jinja2.FileSystemLoader(templates()),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # shell and Markdown: each value is quoted by a filter
    )
    filters: dict[str, Any] = {"bash": bash_quote, "comment": lambda text: repr(text)}
    environment.filters.update(filters)
    return environment


def _template(name: str) -> jinja2.Template:
    return _environment().get_template(name)


def bash_quote(value: str) -> str:
    """`value` as one bash word on one line, whatever it holds."""
    if any(character < " " or character == "\x7f" for character in value):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        codes = (f"\\{ord(c):03o}" if c < " " or c == "\x7f" else c for c in escaped)
        return f"$'{''.join(codes)}'"
    return "'" + value.replace("'", "'\\''") + "'"
