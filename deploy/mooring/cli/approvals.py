"""`mooring trust`: a person reads what a repo would run, and says yes."""

from __future__ import annotations

import sys
from typing import Any

import click

from .. import ui
from ..errors import Kind, MooringError
from .options import json_option, open_registry, which


@click.command()
@which
@click.option("--yes", is_flag=True, help="Approve without being asked.")
@click.option("--show", is_flag=True, help="Only show it; exit 4 if it isn't approved.")
@click.option("--revoke", is_flag=True, help="Take back every approval of this repo.")
@json_option
def trust(
    topic: str | None,
    agent: str | None,
    repo: str | None,
    yes: bool,
    show: bool,
    revoke: bool,
    as_json: bool,
) -> int:
    """Show the templates, secrets and commands of a repo, and approve exactly these.

    What has changed since the last approval is shown as a diff.
    """
    from ..commands import trust as command

    what = command.asked(_data(topic, agent, repo), ui.narrate)
    if revoke:
        count = command.revoke(what)
        ui.narrate(f"{what.repo}: {count} approvals taken back")
        return 0
    if not as_json:
        for line in what.shown():
            ui.answer(safe(line))
    approved = what.approved or not what.text
    if not approved and not show and agreed(what.repo, yes):
        command.approve(what)
        approved = True
    if as_json:
        ui.answer_json({"repo": what.repo, "text": what.text, "approved": approved})
    elif not what.text:
        ui.narrate(f"{what.repo} has nothing that needs an approval")
    else:
        ui.narrate(f"{what.repo}: {'approved' if approved else 'not approved'}")
    return 0 if approved else Kind.NOT_APPROVED.value


def agreed(repo: str, yes: bool) -> bool:
    """Whether the person approves what was shown. Raises MooringError where nobody can be asked."""
    if yes:
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise MooringError(
            f"Cannot approve {repo}: nobody was asked, since this is no terminal",
            "add: --yes",
            kind=Kind.NOT_APPROVED,
        )
    return click.confirm(f"Approve this for {repo}?", err=True)


def _data(topic: str | None, agent: str | None, repo: str | None) -> dict[str, Any]:
    """Host data: of the workspace that is named or stood in, else of the repo alone."""
    from ..commands import lookup

    registry = open_registry()
    said = lookup.Said(topic, agent, repo)
    wanted = lookup.meant_any(registry, said, ui.narrate)
    if wanted is None or not wanted.topic:
        wanted = lookup.meant(registry, lookup.Said("trust", agent, repo), ui.narrate)
    return lookup.new_data(registry, wanted)


def safe(line: str) -> str:
    """A line of a repo's, without what a terminal would act on."""
    return "".join(c if c.isprintable() or c == "\t" else repr(c)[1:-1] for c in line)
