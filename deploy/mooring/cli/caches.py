"""The `cache` group: what there is of shared clones, and what a person can do to one."""

from __future__ import annotations

from typing import Any

import click

from .. import ui
from .options import json_option

_REPO = click.argument("repo", required=False, default="")


@click.group()
def cache() -> None:
    """Bare clones that the workspaces of a URL's repo share."""


@cache.command("list")
@json_option
def list_(as_json: bool) -> None:
    """Every cache: its size, its workspaces, when it was last fetched."""
    from ..commands import cache as command

    rows = command.listed(ui.narrate)
    if as_json:
        ui.answer_json(rows)
        return
    if not rows:
        ui.narrate("no caches: a repo given by URL gets one with its first workspace")
        return
    ui.table([_row(row) for row in rows], ("repo", "size", "workspaces", "fetched", "note"))


def _row(row: dict[str, Any]) -> dict[str, Any]:
    left_out = f"without {row['filter']}" if row["filter"] else ""
    note = f"put aside by a repair: {row['broken']}" if row["broken"] else left_out
    fetched = f"{ui.age(row['fetched'])} ago"
    return {**row, "size": ui.size(row["size"]), "fetched": fetched, "note": note}


@cache.command()
@_REPO
@click.option("--all", "every", is_flag=True, help="Every cache.")
@json_option
def fetch(repo: str, every: bool, as_json: bool) -> int:
    """Fetch every branch of REPO, and drop what the remote deleted."""
    if bool(repo) == every:
        raise click.UsageError("name a REPO, or --all")
    return _tend("fetch", repo, as_json)


@cache.command()
@_REPO
@json_option
def verify(repo: str, as_json: bool) -> int:
    """Check every object of REPO's cache, or of all; exit 1 if one is damaged."""
    return _tend("verify", repo, as_json)


@cache.command()
@click.argument("repo")
@click.option("--force", is_flag=True, help="Also without what can't be read any more.")
@json_option
def repair(repo: str, force: bool, as_json: bool) -> int:
    """Clone REPO's cache again; its branches, parks and worktrees come along."""
    return _tend("repair", repo, as_json, force=force)


@cache.command()
@click.argument("repo")
@click.option("--force", is_flag=True, help="Also with commits that no remote has: in a bundle.")
@json_option
def remove(repo: str, force: bool, as_json: bool) -> int:
    """Remove REPO's cache, unless a worktree or a commit needs it."""
    return _tend("remove", repo, as_json, force=force)


@cache.command()
@_REPO
@json_option
def gc(repo: str, as_json: bool) -> int:
    """Pack REPO's cache, or all; it never happens by itself."""
    return _tend("gc", repo, as_json)


def _tend(verb: str, repo: str, as_json: bool, *, force: bool = False) -> int:
    from ..commands import cache as commands

    done = commands.tend(verb, repo, ui.narrate, force=force)
    if as_json:
        ui.answer_json(done)
    return 1 if any(item["result"] in ("damaged", "failed") for item in done) else 0
