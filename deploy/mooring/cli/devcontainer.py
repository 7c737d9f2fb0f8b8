"""The `devcontainer` group: a workspace in the dev container that its repo describes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .. import ui
from ..errors import Kind, MooringError, usage
from .approvals import agreed, safe
from .options import WithArguments, WithDefault, json_option, no_flag, open_registry, which

_config = click.option(
    "--config",
    metavar="PATH",
    default="",
    help="Which devcontainer.json of the repo's. Default: where the specification has it.",
    callback=no_flag,
)


@click.group(cls=WithDefault)
def devcontainer() -> None:
    """The dev container of a workspace, from the repo's devcontainer.json.

    Words that name no command go to `show`.
    """


@devcontainer.command()
@which
@_config
@click.option("--print", "printed", is_flag=True, help="Print the composed devcontainer.json.")
@json_option
def show(
    topic: str | None,
    agent: str | None,
    repo: str | None,
    config: str,
    printed: bool,
    as_json: bool,
) -> None:
    """Say which devcontainer.json a workspace has; --print composes the workspace's own of it."""
    from .. import devcontainer as composing
    from ..commands import devcontainer as command

    row = _row(topic, agent, repo)
    if printed:
        ui.answer(composing.dump(command.printed(row, config)).rstrip("\n"))
        return
    what = command.asked(row, config)
    answer = {
        "file": what.file,
        "approved": what.approved,
        "override": str(command.override_file(row)),
    }
    if as_json:
        ui.answer_json(answer)
    else:
        ui.details(answer)


@devcontainer.command()
@which
@_config
@click.option("--recreate", is_flag=True, help="Make the dev container anew.")
@json_option
def up(
    topic: str | None,
    agent: str | None,
    repo: str | None,
    config: str,
    recreate: bool,
    as_json: bool,
) -> None:
    """Have a workspace's dev container running, by the real `devcontainer up`. Prints its id."""
    from ..commands import devcontainer as command

    made = command.up(_row(topic, agent, repo), ui.narrate, recreate=recreate, config=config)
    if as_json:
        ui.answer_json({"container": made.container, "user": made.user, "override": made.override})
    else:
        ui.answer(made.container)


@devcontainer.command(cls=WithArguments)
@which
def run(topic: str | None, agent: str | None, repo: str | None, arguments: tuple[str, ...]) -> int:
    """Run a command in a workspace's dev container: mooring devcontainer run TOPIC -- CMD."""
    from ..commands import devcontainer as command
    from ..commands import launch

    if not arguments:
        raise click.UsageError("no command: mooring devcontainer run TOPIC -- CMD")
    row = _row(topic, agent, repo)
    start = launch.Start(arguments, row.worktree, launch.environment(row, row.session))
    return launch.start(command.inside(start, row), open_registry())


@devcontainer.command()
@which
def down(topic: str | None, agent: str | None, repo: str | None) -> None:
    """Remove a workspace's dev container. The conversation stays."""
    from ..commands import devcontainer as command

    count = command.down(_row(topic, agent, repo))
    ui.narrate(f"{count} removed" if count else "there was none")


@devcontainer.command()
@which
@_config
@click.option("--yes", is_flag=True, help="Approve without being asked.")
def trust(topic: str | None, agent: str | None, repo: str | None, config: str, yes: bool) -> int:
    """Show what of the repo a dev container would be made from, and approve exactly that."""
    from ..commands import devcontainer as command

    what = command.asked(_row(topic, agent, repo), config)
    for line in what.text.rstrip("\n").split("\n"):
        ui.answer(safe(line))
    if not what.approved:
        if not agreed(what.repo, yes):
            return Kind.NOT_APPROVED.value
        command.approve(what)
    ui.narrate(f"the dev container of {what.repo}: approved")
    return 0


@devcontainer.command()
@click.option("--repo", metavar="PATH", help="Which repo: the one you stand in.", callback=no_flag)
@click.option(
    "--image",
    metavar="NAME",
    default="",
    help="An image, instead of a Dockerfile.",
    callback=no_flag,
)
def init(repo: str | None, image: str) -> None:
    """Write a devcontainer.json for a repo that has none; nothing is overwritten."""
    from ..commands import devcontainer as command
    from ..commands import places

    directory = Path(places.absolute(repo or places.repo_around()))
    while not (directory / ".git").exists() and directory != directory.parent:
        directory = directory.parent
    if not directory.is_absolute() or not (directory / ".git").exists():
        raise usage(
            f"Cannot write a devcontainer.json: {repo or 'this directory'} is in no checkout",
            "mooring devcontainer init --repo PATH",
        )
    for path in command.init(directory, image):
        ui.answer(str(path))


def _row(topic: str | None, agent: str | None, repo: str | None) -> Any:
    """The workspace that is meant. Raises MooringError if it isn't on this host."""
    from ..commands import lookup
    from ..commands import run as entering

    registry = open_registry()
    row = entering.here(
        registry, lookup.meant(registry, lookup.Said(topic, agent, repo), ui.narrate)
    )
    if not Path(row.worktree).is_dir():
        raise MooringError(f"Cannot use a dev container for {row.topic!r}: {row.worktree} is gone")
    return row
