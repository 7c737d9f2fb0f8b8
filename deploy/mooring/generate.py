"""The files that Mooring writes into a workspace, each composed here and nowhere else."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from .environment import fixed, render_env
from .model import Record
from .plan import Plan

if TYPE_CHECKING:
    import jinja2


HIDDEN = (
    ".mooring/.gitignore",
    ".mooring/.stage.*",
    ".mooring/envrc",
    ".mooring/session",
    ".mooring/session-context.md",
)
"""What of `.mooring/` is composed anew each time, so that nobody can lose it."""


def compose(plan: Plan, record: Record) -> dict[str, str]:
    """Every file that Mooring writes into the workspace itself, by path."""
    context = {
        **msgspec.structs.asdict(record),
        "envrc": plan.envrc,
        "env": sorted(plan.env),
        "start": plan.start if plan.makes_branch else record.start,
        "files": sorted(item.dest for item in plan.copies),
    }
    return {
        ".mooring/.gitignore": "*\n",
        ".mooring/session": f"{record.session}\n",
        plan.context: _template("session-context.md.j2").render(context),
        plan.envrc: _template("envrc.j2").render(
            topic=plan.topic,
            names=fixed(record),
            env=render_env(plan.env, record),
            session_file=f"{plan.worktree}/.mooring/session",
        ),
    }


@functools.cache
def _environment() -> jinja2.Environment:
    import jinja2
    from jinja2.sandbox import SandboxedEnvironment

    own = Path(__file__).parent / "templates"
    source = own if own.is_dir() else Path(__file__).parents[2] / "templates"
    environment = SandboxedEnvironment(
        loader=jinja2.FileSystemLoader(source),
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
