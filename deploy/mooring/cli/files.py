"""The `files` group: what a workspace gets besides what git has."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

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


_repo_option = click.option(
    "--repo", metavar="PATH", help="Which repo: $WORK_REPO, or the one you stand in."
)
_write_option = click.option("--write", is_flag=True, help="Add what is proposed to mooring.yaml.")


@files.command()
@_repo_option
@_write_option
@json_option
def audit(repo: str | None, write: bool, as_json: bool) -> None:
    """Propose a `files` section for what git does not have in your main checkout."""
    import msgspec

    from ..commands import audit as command
    from ..files.categories import folded

    found = command.audit(repo, ui.narrate)
    if as_json:
        ui.answer_json(msgspec.to_builtins(found))
    elif found.rows:
        ui.table(
            [_row(msgspec.to_builtins(row)) for row in folded(found.rows)],
            ("path", "category", "size", "action", "reason"),
        )
    _add(found.files, found.notes, Path(found.checkout) if write else None, quiet=as_json)


@files.command(name="import")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@_repo_option
@_write_option
@json_option
def import_(path: Path, repo: str | None, write: bool, as_json: bool) -> None:
    """Turn another tool's list of files into a `files` section.

    PATH is a .worktreeinclude, a list of paths, ACTION:SOURCE:DEST lines, a YAML file with copy,
    template and symlink, or a directory of *.template files.
    """
    from ..commands import audit as command
    from ..commands import imports

    checkout = command.checkout_of(repo) if write or repo else None
    listed = imports.imported(path, repo)
    if as_json:
        ui.answer_json({"files": listed.entries(), "notes": listed.notes})
    _add(listed.entries(), listed.notes, checkout if write else None, quiet=as_json)


def _row(row: dict[str, Any]) -> dict[str, Any]:
    many = f" in {row['files']} files" if row["files"] > 1 else ""
    return {**row, "size": ui.size(row["size"]) + many}


def _add(entries: Any, notes: Iterable[str], checkout: Path | None, *, quiet: bool) -> None:
    """Print a proposal, and add it to the mooring.yaml of a checkout if there is one to add to."""
    from ..commands import spec_file
    from ..files.section import rendered

    if entries and not quiet:
        ui.answer(f"\n{rendered(entries)}".rstrip("\n"))
    for note in notes:
        ui.narrate(note)
    if not entries:
        ui.narrate("there is nothing to add to `files` in mooring.yaml")
    elif checkout:
        ui.narrate(f"wrote {spec_file.write(checkout, entries)}")
