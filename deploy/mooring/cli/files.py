"""The `files` group: what a workspace gets besides what git has."""

from __future__ import annotations

import click

from .. import ui
from ..errors import Kind
from .options import json_option, open_registry, trust_option, which

_COLUMNS = ("path", "action", "state", "source", "rule")


@click.group()
def files() -> None:
    """The untracked files of a workspace, and the rules for them."""


@files.command()
@which
@json_option
def plan(topic: str | None, agent: str | None, repo: str | None, as_json: bool) -> None:
    """Show what happens to each path, and which rule decides; change nothing."""
    from ..commands import files as command
    from ..commands import lookup

    registry = open_registry()
    wanted = lookup.meant(registry, lookup.Said(topic, agent, repo), ui.narrate)
    rows = command.planned(lookup.new_data(registry, wanted), ui.narrate)
    if as_json:
        ui.answer_json(rows)
    elif rows:
        ui.table(rows, _COLUMNS)
    else:
        ui.narrate("no rule brings a file: add some to `files` in mooring.yaml")


@files.command()
@which
@json_option
def check(topic: str | None, agent: str | None, repo: str | None, as_json: bool) -> int:
    """List the files that are missing, edited or outdated; exit 3 if there are any."""
    from ..commands import files as command
    from ..commands import lookup

    registry = open_registry()
    wanted = lookup.meant(registry, lookup.Said(topic, agent, repo), ui.narrate)
    rows = [
        row
        for one in lookup.every(registry, wanted)
        for row in command.drifted(lookup.data_of(registry, lookup.of(one)), ui.narrate)
    ]
    if as_json:
        ui.answer_json(rows)
    elif rows:
        ui.table(rows, _COLUMNS)
    return Kind.DRIFT.value if rows else 0


@files.command()
@which
@click.option("--force", is_flag=True, help="Replace what was edited, too; a copy of it is kept.")
@trust_option
@json_option
def refresh(
    topic: str | None, agent: str | None, repo: str | None, force: bool, trust: bool, as_json: bool
) -> None:
    """Bring the files up to date, and render all templates again, as after a new password."""
    from ..commands import files as command
    from ..commands import lookup

    registry = open_registry()
    wanted = lookup.meant(registry, lookup.Said(topic, agent, repo), ui.narrate)
    data = {**lookup.data_of(registry, wanted), "force": force, "trust": trust}
    changed = command.refreshed(data, ui.narrate)
    if as_json:
        ui.answer_json({"topic": wanted.topic, "changed": changed})
    elif changed:
        for path in changed:
            ui.answer(path)
    else:
        ui.narrate(f"{wanted.topic}: unchanged")
