"""The verbs that enter a workspace: a command, a shell, its path, its window."""

from __future__ import annotations

import click

from .. import ui
from .options import WithArguments, open_registry, place_option, which


@click.command(cls=WithArguments)
@which
@place_option
def run(
    topic: str | None,
    agent: str | None,
    repo: str | None,
    place: str | None,
    arguments: tuple[str, ...],
) -> int:
    """Run a command in a workspace's environment: mooring run TOPIC -- CMD.

    In its container, if it has one.
    """
    from ..commands import launch, lookup
    from ..commands import run as command

    if not arguments:
        raise click.UsageError("no command: mooring run TOPIC -- CMD")
    registry = open_registry()
    wanted = lookup.meant(registry, lookup.Said(topic, agent, repo), ui.narrate)
    start = command.in_workspace(registry, wanted, arguments, place or "")
    return launch.start(start, registry)


@click.command()
@which
@place_option
def shell(topic: str | None, agent: str | None, repo: str | None, place: str | None) -> int:
    """Open a shell in a workspace: in its container, if it has one."""
    from ..commands import launch, lookup
    from ..commands import run as command

    registry = open_registry()
    wanted = lookup.meant(registry, lookup.Said(topic, agent, repo), ui.narrate)
    return launch.start(command.in_workspace(registry, wanted, (), place or ""), registry)


@click.command()
@which
def cd(topic: str | None, agent: str | None, repo: str | None) -> None:
    """Print a workspace's path, for a shell function that goes there."""
    from ..commands import lookup
    from ..commands import run as command

    registry = open_registry()
    wanted = lookup.meant(registry, lookup.Said(topic, agent, repo), ui.narrate)
    ui.answer(command.here(registry, wanted).worktree)


@click.command()
@which
def attach(topic: str | None, agent: str | None, repo: str | None) -> int:
    """Go to the tmux or Zellij window that a workspace's Claude runs in."""
    from ..commands import launchers, lookup

    registry = open_registry()
    wanted = lookup.meant(registry, lookup.Said(topic, agent, repo), ui.narrate)
    return launchers.attach(registry, wanted, ui.narrate)


@click.command(name="slash-command")
@click.option("--write", is_flag=True, help="Put it among your own, in ~/.claude/commands.")
def slash_command(write: bool) -> None:
    """Print the file that gives Claude a /move: how to go on in the container, or at the host."""
    from ..commands import slash

    if write:
        ui.narrate(f"/move is in {slash.write()}")
    else:
        ui.answer(slash.text().rstrip("\n"))
