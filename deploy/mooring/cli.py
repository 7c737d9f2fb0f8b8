"""The command line: arguments in, one use case, its answer out. Nothing heavy is imported here."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from . import __version__, ui
from .errors import Kind, MooringError

F = TypeVar("F", bound=Callable[..., Any])


class WithArguments(click.Command):
    """A command that hands over whatever stands behind ``--``, untouched, as `arguments`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Cut off the part behind ``--`` before click looks at it."""
        rest: list[str] = []
        if "--" in args:
            cut = args.index("--")
            args, rest = args[:cut], args[cut + 1 :]
        left = super().parse_args(ctx, args)
        ctx.params["arguments"] = tuple(rest)
        return left


def _which(function: F) -> F:
    """TOPIC, and what tells workspaces of one topic apart."""
    function = click.argument("topic", required=False)(function)
    function = click.option(
        "--agent", metavar="NAME", help="Who works there: $WORK_AGENT, or dev."
    )(function)
    return click.option(
        "--repo", metavar="URL|PATH", help="Which repo: $WORK_REPO, or the one you stand in."
    )(function)


_json = click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")
_launch = click.option(
    "--launch",
    type=click.Choice(["exec", "none"]),
    help="Start Claude or not. Default: on a terminal, or if it gets arguments.",
)
_dry_run = click.option("--dry-run", is_flag=True, help="Say what would be done; change nothing.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="mooring")
def cli() -> None:
    """Workspaces for coding with Claude Code, whose conversations outlive them."""


@cli.command(cls=WithArguments)
@_which
@click.option(
    "--base",
    metavar="REF",
    help="What the branch starts from. Default: base: in mooring.yaml, or the default branch.",
)
@click.option("--branch", metavar="NAME", help="The branch. Default: the topic.")
@click.option("--fetch", is_flag=True, help="Fetch from the remote first.")
@_launch
@_dry_run
@_json
def new(
    topic: str | None,
    agent: str | None,
    repo: str | None,
    base: str | None,
    branch: str | None,
    fetch: bool,
    launch: str | None,
    dry_run: bool,
    as_json: bool,
    arguments: tuple[str, ...],
) -> int:
    """Make a workspace, or bring it up to date, and start Claude in it.

    Prints the workspace's path. Arguments for Claude go behind --.
    """
    from .commands import launch as launching
    from .commands import lookup
    from .commands import new as command

    wants = launching.wants_launch(launch, arguments, as_json) and not dry_run
    registry = _registry()
    wanted = lookup.meant(topic, agent, repo, ui.narrate)
    data = lookup.new_data(registry, wanted)
    data |= {"base": base, "branch": branch, "fetch": fetch}
    made = command.provision(data, ui.narrate, dry=dry_run)
    return _made(made, as_json, wants, arguments, command.start)


@cli.command(cls=WithArguments)
@_which
@click.option(
    "--new-worktree",
    is_flag=True,
    help="Make a new directory, instead of using or rebuilding the recorded one.",
)
@click.option("--base", metavar="REF", help="What the branch starts from, if it is gone.")
@click.option("--branch", metavar="NAME", help="Another branch than the recorded one.")
@_launch
@_dry_run
@_json
def resume(
    topic: str | None,
    agent: str | None,
    repo: str | None,
    new_worktree: bool,
    base: str | None,
    branch: str | None,
    launch: str | None,
    dry_run: bool,
    as_json: bool,
    arguments: tuple[str, ...],
) -> int:
    """Go on with a conversation; the workspace is rebuilt if it is gone.

    Arguments for Claude go behind --.
    """
    from .commands import launch as launching
    from .commands import lookup
    from .commands import resume as command

    wants = launching.wants_launch(launch, arguments, as_json)
    registry = _registry()
    data = lookup.data_of(registry, lookup.meant(topic, agent, repo, ui.narrate))
    data |= {"base": base, "branch": branch, "new_worktree": new_worktree}
    made = command.rebuild(data, ui.narrate, launching=wants, dry=dry_run)
    return _made(made, as_json, wants and not dry_run, arguments, command.start)


def _made(
    made: Any, as_json: bool, launching: bool, arguments: tuple[str, ...], start: Callable[..., Any]
) -> int:
    """Answer what was made, or start Claude there."""
    from .commands import launch

    record = made.record
    if made.dry:
        for sentence in made.intentions:
            ui.narrate(f"would {sentence}")
    elif record:
        done = ", ".join(made.changed) if made.changed else "unchanged"
        ports = " ".join(f"{name}={port}" for name, port in record.ports.items())
        ui.narrate(f"{record.topic}: {done} (branch {record.branch}, {ports})")
        if arguments and not launching:
            ui.narrate("Claude's arguments are not used: it is not started")
    if launching:
        what = start(made, arguments)
        ui.narrate(f"starting {' '.join(what.argv[:3])} in {what.cwd}")
        return launch.start(what, _registry().close)
    if as_json:
        ui.answer_json(made.answer())
    elif record and not made.dry:
        ui.answer(record.worktree)
    return 0


@cli.command()
@_which
@click.option("--force", is_flag=True, help="Lose what is uncommitted or untracked. Commits stay.")
@_json
def end(topic: str | None, agent: str | None, repo: str | None, force: bool, as_json: bool) -> int:
    """Remove a workspace, or refuse to if anything would be lost. The conversation stays."""
    from .commands import end as command
    from .commands import lookup

    registry = _registry()
    data = lookup.data_of(registry, lookup.meant(topic, agent, repo, ui.narrate))
    answer = command.end({**data, "force": force}, ui.narrate)
    if as_json:
        ui.answer_json(answer)
    elif answer["changed"]:
        ui.narrate(
            f"ended {answer['topic']}; its conversation stays: mooring resume {answer['topic']}"
        )
    return 0


@cli.command()
@_which
@click.option(
    "--check", is_flag=True, help="Compare the target with the spec; exit 3 if it differs."
)
@_json
def status(
    topic: str | None, agent: str | None, repo: str | None, check: bool, as_json: bool
) -> int:
    """Show a workspace and its session, as last seen."""
    from .commands import lookup
    from .commands import status as command

    registry = _registry()
    wanted = lookup.meant(topic, agent, repo, ui.narrate)
    drift = command.check(registry, wanted, ui.narrate) if check else None
    answer = command.status(registry, wanted)
    if drift is not None:
        answer["drift"] = drift
    if as_json:
        ui.answer_json(answer)
    else:
        ui.details(answer)
    return Kind.DRIFT.value if drift else 0


@cli.command(name="list")
@click.option("--all", "everything", is_flag=True, help="Ended ones too.")
@_json
def list_(everything: bool, as_json: bool) -> None:
    """List the workspaces."""
    from .commands import list as command

    registry = _registry()
    rows = command.workspaces(registry, ended=everything)
    if as_json:
        ui.answer_json(rows)
    elif rows:
        ui.table(rows, ("topic", "agent", "state", "host", "branch", "ports", "worktree"))
    else:
        ui.narrate("there are no workspaces yet: mooring new TOPIC")


@cli.command()
@_which
@_json
def sessions(topic: str | None, agent: str | None, repo: str | None, as_json: bool) -> None:
    """List the conversations: of one topic, or all."""
    import os

    from .commands import lookup
    from .commands import sessions as command

    registry = _registry()
    named = topic or os.environ.get("WORK_TOPIC")
    wanted = lookup.meant(topic, agent, repo, ui.narrate) if named else None
    rows = command.sessions(registry, wanted)
    if as_json:
        ui.answer_json(rows)
    elif rows:
        ui.table(rows, ("topic", "agent", "state", "session_id", "branch", "worktree"))
    else:
        ui.narrate("there are no sessions yet: mooring new TOPIC")


@cli.command(cls=WithArguments)
@_which
def run(topic: str | None, agent: str | None, repo: str | None, arguments: tuple[str, ...]) -> int:
    """Run a command in a workspace's environment: mooring run TOPIC -- CMD."""
    from .commands import launch, lookup
    from .commands import run as command

    if not arguments:
        raise click.UsageError("no command: mooring run TOPIC -- CMD")
    registry = _registry()
    wanted = lookup.meant(topic, agent, repo, ui.narrate)
    what = command.in_workspace(registry, wanted, arguments)
    return launch.start(what, _registry().close)


def _registry() -> Any:
    from .registry import opened

    return opened()


def main() -> None:
    """Run the command line and exit with the status that belongs to what happened."""
    gc.disable()  # a short life: collecting while importing costs a tenth of it
    sys.exit(_main())


def _main() -> int:
    try:
        return int(cli.main(standalone_mode=False) or 0)
    except MooringError as error:
        ui.show_error(error)
        return error.kind.value
    except click.ClickException as error:
        error.show()
        return Kind.USAGE.value
    except (KeyboardInterrupt, click.Abort):
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 141
    except Exception:
        import traceback

        traceback.print_exc()
        ui.narrate(
            f"This is a bug in Mooring {__version__}: please report it with the lines above."
        )
        return Kind.BUG.value
