"""The command line: arguments in, one use case, its answer out. Nothing heavy is imported here."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from . import __version__, ui
from .errors import Kind, MooringError, OccupiedError, usage

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


def _topics(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    from .commands import complete

    return complete.topics(_registry(), typed)


def _agents(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    from .commands import complete

    return complete.agents(_registry(), typed)


def _session_ids(context: click.Context, parameter: click.Parameter, typed: str) -> list[Any]:
    from click.shell_completion import CompletionItem

    from .commands import complete

    return [
        CompletionItem(value, help=text)
        for value, text in complete.sessions(_registry(), context.params.get("topic"), typed)
    ]


def _which(function: F) -> F:
    """TOPIC, and what tells workspaces of one topic apart."""
    function = click.argument("topic", required=False, shell_complete=_topics)(function)
    function = click.option(
        "--agent",
        metavar="NAME",
        shell_complete=_agents,
        help="Who works there: $WORK_AGENT, or dev.",
    )(function)
    return click.option(
        "--repo", metavar="URL|PATH", help="Which repo: $WORK_REPO, or the one you stand in."
    )(function)


_json = click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")
_launch = click.option(
    "--launch",
    type=click.Choice(["exec", "tmux", "zellij", "none"]),
    help="How to start Claude. Default: exec, on a terminal or if it gets arguments; else none.",
)
_prompt = click.option(
    "--prompt",
    metavar="TEXT|@FILE|-",
    help="What to say to Claude first; - reads stdin. Kept in .session-prompt.md.",
)
_pipeline = click.option("--pipeline", metavar="ID", help="All workspaces of a pipeline.")
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
@click.option("--stack", is_flag=True, help="Base it on the workspace you stand in.")
@click.option("--issue", metavar="KEY|URL", help="The issue: 12, LIN-123, or its URL.")
@click.option("--pipeline", metavar="ID", help="The pipeline it belongs to.")
@click.option("--fetch", is_flag=True, help="Fetch from the remote first.")
@click.option("--fresh", is_flag=True, help="Begin another conversation; the old one stays.")
@_prompt
@_launch
@_dry_run
@_json
def new(
    topic: str | None,
    agent: str | None,
    repo: str | None,
    base: str | None,
    branch: str | None,
    stack: bool,
    issue: str | None,
    pipeline: str | None,
    fetch: bool,
    fresh: bool,
    prompt: str | None,
    launch: str | None,
    dry_run: bool,
    as_json: bool,
    arguments: tuple[str, ...],
) -> int:
    """Make a workspace, or bring it up to date, and start Claude in it.

    Prints the workspace's path. Arguments for Claude go behind --.
    """
    from .commands import lookup
    from .commands import new as command
    from .commands import prompt as prompting

    how = _how(launch, arguments, as_json)
    registry = _registry()
    wanted = lookup.meant(registry, lookup.Said(topic, agent, repo), ui.narrate)
    data = lookup.new_data(registry, wanted)
    data |= {"base": base, "branch": branch, "issue": issue, "pipeline": pipeline, "fetch": fetch}
    data |= {"fresh": fresh, "prompt": prompting.read(prompt)}
    if stack:
        data |= command.stacked(registry, wanted, base)
    if how.starts:
        data["needs"] = "vacancy"
    try:
        made = command.provision(data, ui.narrate, dry=dry_run)
    except OccupiedError as error:
        return _occupied(error, how, wanted, data, dry_run)
    return _made(made, as_json, how, lambda: command.start(made, how))


def _occupied(error: OccupiedError, how: Any, wanted: Any, data: dict[str, Any], dry: bool) -> int:
    """Ask whether to resume or to begin afresh; without a terminal, refuse with both commands."""
    from .commands import new as command
    from .commands import resume as resuming

    if not (sys.stdin.isatty() and sys.stderr.isatty()) or dry:
        raise command.with_arguments(error, how.args)
    ui.narrate(error.message)
    chosen = click.prompt(
        "Resume it, begin a fresh one, or quit", type=click.Choice(["r", "f", "q"]), err=True
    )
    if chosen == "q":
        return 1
    data.pop("needs")
    if chosen == "f":
        fresh = command.provision({**data, "fresh": True, "needs": "vacancy"}, ui.narrate)
        return _made(fresh, False, how, lambda: command.start(fresh, how))
    made = resuming.rebuild(data, ui.narrate, how)
    return _made(made, False, how, lambda: resuming.start(made, how, ui.narrate))


@cli.command(cls=WithArguments)
@_which
@click.option(
    "--new-worktree",
    is_flag=True,
    help="Make a new directory, instead of using or rebuilding the recorded one.",
)
@click.option("--base", metavar="REF", help="What the branch starts from, if it is gone.")
@click.option("--branch", metavar="NAME", help="Another branch than the recorded one.")
@click.option(
    "--session",
    metavar="ID",
    shell_complete=_session_ids,
    help="Another conversation: an older one, another topic's, or one Mooring never saw.",
)
@click.option(
    "--fork", metavar="NEW-TOPIC", help="Go on in a new workspace, with a copy of what is here."
)
@_prompt
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
    session: str | None,
    fork: str | None,
    prompt: str | None,
    launch: str | None,
    dry_run: bool,
    as_json: bool,
    arguments: tuple[str, ...],
) -> int:
    """Go on with a conversation; the workspace is rebuilt if it is gone.

    Arguments for Claude go behind --.
    """
    from .commands import fork as forking
    from .commands import lookup, sessions
    from .commands import new as making
    from .commands import prompt as prompting
    from .commands import resume as command

    how = _how(launch, arguments, as_json)
    registry = _registry()
    wanted = lookup.meant(registry, lookup.Said(topic, agent, repo), ui.narrate)
    said = prompting.read(prompt)
    if fork:
        if new_worktree or base or branch or session:
            raise click.UsageError("--fork takes no other option for the workspace")
        origin = forking.origin(registry, wanted, ui.narrate)
        data = {**forking.data(origin, fork), "prompt": said, "needs": "vacancy"}
        made = making.provision(data, ui.narrate, dry=dry_run)
        return _made(made, as_json, how, lambda: forking.start(made, how, origin))
    data = lookup.data_of(registry, wanted)
    data |= {"base": base or data.get("base"), "branch": branch or data.get("branch")}
    data |= {"new_worktree": new_worktree, "prompt": said}
    if session:
        data["session"] = sessions.resolve(registry, session, lookup.main_checkout(data["repo"]))
    made = command.rebuild(data, ui.narrate, how, dry=dry_run)
    return _made(made, as_json, how, lambda: command.start(made, how, ui.narrate))


def _how(launch: str | None, arguments: tuple[str, ...], as_json: bool) -> Any:
    from .commands import launch as launching

    return launching.wanted(launch, arguments, json=as_json, report=ui.narrate)


def _made(made: Any, as_json: bool, how: Any, start: Callable[[], Any]) -> int:
    """Answer what was made, or start Claude there."""
    from .commands import launchers

    record = made.record
    if made.dry:
        for sentence in made.intentions:
            ui.narrate(f"would {sentence}")
    elif record:
        done = ", ".join(made.changed) if made.changed else "unchanged"
        ports = " ".join(f"{name}={port}" for name, port in record.ports.items())
        ui.narrate(f"{record.topic}: {done} (branch {record.branch}, {ports})")
        if made.prompt and not how.starts:
            ui.narrate(f"the prompt is in {made.prompt}; Claude is not started")
    if how.starts and not made.dry:
        return launchers.LAUNCHERS[how.how](made, how, start, _registry(), ui.narrate)
    if as_json:
        ui.answer_json(made.answer())
    elif record and not made.dry:
        ui.answer(record.worktree)
    return 0


@cli.command()
@_which
@_pipeline
@click.option("--force", is_flag=True, help="Lose what is uncommitted or untracked. Commits stay.")
@click.option("--yes", is_flag=True, help="Don't ask before ending several.")
@_json
def end(
    topic: str | None,
    agent: str | None,
    repo: str | None,
    pipeline: str | None,
    force: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Remove a workspace, or refuse to if anything would be lost. The conversation stays."""
    from .commands import end as command
    from .commands import lookup

    registry = _registry()
    wanted = _meant_any(lookup.Said(topic, agent, repo, pipeline))
    if wanted.topic:
        answer = command.end({**lookup.data_of(registry, wanted), "force": force}, ui.narrate)
        answers = [answer]
        if answer["changed"] and not as_json:
            ui.narrate(
                f"ended {answer['topic']}; its conversation stays: mooring resume {answer['topic']}"
            )
    else:
        rows = lookup.every(registry, wanted)
        names = ", ".join(row.topic for row in rows)
        _confirm(f"End {len(rows)} workspaces of pipeline {wanted.pipeline}: {names}", yes)
        answers = command.end_all(rows, force=force, report=ui.narrate)
    if as_json:
        ui.answer_json(answers[0] if wanted.topic else answers)
    return 0


def _meant_any(said: Any) -> Any:
    """What is meant, where a pipeline can be. Raises a usage error where nothing is."""
    from .commands import lookup

    found = lookup.meant_any(_registry(), said, ui.narrate)
    return found or lookup.meant(_registry(), said, ui.narrate)


def _confirm(question: str, yes: bool) -> None:
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise usage(f"{question}: not without being asked on a terminal", "add: --yes")
    click.confirm(question, abort=True, err=True)


@cli.command()
@_which
@_pipeline
@click.option(
    "--check", is_flag=True, help="Compare the target with the spec; exit 3 if it differs."
)
@_json
def status(
    topic: str | None,
    agent: str | None,
    repo: str | None,
    pipeline: str | None,
    check: bool,
    as_json: bool,
) -> int:
    """Show a workspace and its session, as last seen."""
    from .commands import lookup
    from .commands import status as command

    registry = _registry()
    wanted = _meant_any(lookup.Said(topic, agent, repo, pipeline))
    drifted, answers = False, []
    for row in lookup.every(registry, wanted):
        one = lookup.of(row, wanted)
        drift = command.check(registry, one, ui.narrate) if check else None
        seen = lookup.find(registry, one) or row
        answers.append(command.status(registry, seen) | ({} if drift is None else {"drift": drift}))
        drifted = drifted or bool(drift)
    if as_json:
        ui.answer_json(answers[0] if wanted.topic else answers)
    else:
        for index, answer in enumerate(answers):
            if index:
                ui.answer("")
            ui.details(answer)
    return Kind.DRIFT.value if drifted else 0


@cli.command(name="list")
@_pipeline
@click.option("--all", "everything", is_flag=True, help="Ended ones too, and of any pipeline.")
@_json
def list_(pipeline: str | None, everything: bool, as_json: bool) -> None:
    """List the workspaces: all, or those of a pipeline ($WORK_PIPELINE_ID)."""
    from .commands import list as command
    from .commands import lookup

    wanted = lookup.pipeline_only(pipeline, everything, ui.narrate)
    rows = command.workspaces(_registry(), wanted, ended=everything)
    if as_json:
        ui.answer_json(rows)
    elif rows:
        columns = ("topic", "agent", "state", "session_state", "host", "branch", "ports")
        ui.table(rows, (*columns, "worktree"))
    else:
        ui.narrate("there are no workspaces yet: mooring new TOPIC")


class WithDefault(click.Group):
    """A group whose words, where they name none of its commands, go to the command `show`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `show` in front of what names no command."""
        if not args or args[0] not in {*self.commands, "-h", "--help"}:
            args = ["show", *args]
        return super().parse_args(ctx, args)


@cli.group(cls=WithDefault)
def sessions() -> None:
    """List the conversations: of one topic, a pipeline, or all. Also: export, import.

    mooring sessions [TOPIC] [--pipeline ID] [--all] [--agent NAME] [--repo PATH] [--json]
    """


@sessions.command(name="show", hidden=True)
@_which
@_pipeline
@click.option("--all", "everything", is_flag=True, help="All that Claude has of this repo.")
@_json
def show_sessions(
    topic: str | None,
    agent: str | None,
    repo: str | None,
    pipeline: str | None,
    everything: bool,
    as_json: bool,
) -> None:
    """List the conversations: of one topic, a pipeline, or all."""
    from .commands import lookup
    from .commands import sessions as command

    registry = _registry()
    if everything:
        place = lookup.main_checkout(lookup.repo_here(repo))
        rows = command.stored(registry, place)
        columns = ("session_id", "state", "topic", "turns", "age", "branch", "first_prompt")
        if not as_json:
            rows = [{**row, **command.shown(row), "age": ui.age(row["modified"])} for row in rows]
    else:
        said = lookup.Said(topic, agent, repo, pipeline)
        rows = command.sessions(registry, lookup.meant_any(registry, said, ui.narrate))
        columns = ("topic", "agent", "state", "session_id", "branch", "created_at", "worktree")
    if as_json:
        ui.answer_json(rows)
    elif rows:
        ui.table(rows, columns)
    else:
        ui.narrate("there are no sessions yet: mooring new TOPIC")


@sessions.command(name="export")
@click.option("--agent", metavar="NAME", default="dev", show_default=True)
@click.option("--repo", metavar="URL|PATH", help="Which repo: $WORK_REPO, or where you stand.")
def export_sessions(agent: str, repo: str | None) -> None:
    """Print the topics' sessions in the form of .claude-sessions.json."""
    from .commands import lookup, transfer

    registry = _registry()
    ui.answer_json(transfer.export(registry, lookup.identity(registry, repo), agent))


@sessions.command(name="import")
@click.argument("file", type=click.File("rb"), default=".claude-sessions.json")
@click.option("--agent", metavar="NAME", default="dev", show_default=True)
@click.option("--repo", metavar="URL|PATH", help="Which repo: $WORK_REPO, or where you stand.")
def import_sessions(file: Any, agent: str, repo: str | None) -> None:
    """Take in topics' sessions from a file of that form, or from - (stdin)."""
    from .commands import lookup, transfer
    from .model import check_agent

    registry = _registry()
    place = lookup.identity(registry, repo)
    done = transfer.import_(registry, file.read(), place, check_agent("agent", agent))
    ui.narrate(f"imported {', '.join(done)}" if done else "nothing new to import")


@cli.command(cls=WithArguments)
@_which
def run(topic: str | None, agent: str | None, repo: str | None, arguments: tuple[str, ...]) -> int:
    """Run a command in a workspace's environment: mooring run TOPIC -- CMD."""
    from .commands import launch, lookup
    from .commands import run as command

    if not arguments:
        raise click.UsageError("no command: mooring run TOPIC -- CMD")
    registry = _registry()
    wanted = lookup.meant(registry, lookup.Said(topic, agent, repo), ui.narrate)
    return launch.start(command.in_workspace(registry, wanted, arguments), registry)


@cli.command()
@_which
def cd(topic: str | None, agent: str | None, repo: str | None) -> None:
    """Print a workspace's path, for a shell function that goes there."""
    from .commands import lookup
    from .commands import run as command

    registry = _registry()
    wanted = lookup.meant(registry, lookup.Said(topic, agent, repo), ui.narrate)
    ui.answer(command.here(registry, wanted).worktree)


@cli.command()
@_which
def attach(topic: str | None, agent: str | None, repo: str | None) -> int:
    """Go to the tmux or Zellij window that a workspace's Claude runs in."""
    from .commands import launchers, lookup

    registry = _registry()
    wanted = lookup.meant(registry, lookup.Said(topic, agent, repo), ui.narrate)
    return launchers.attach(registry, wanted, ui.narrate)


@cli.command()
@click.option(
    "--keep-transcripts", is_flag=True, help="Set cleanupPeriodDays in Claude's user settings."
)
@_json
def doctor(keep_transcripts: bool, as_json: bool) -> int:
    """Look at what could lose a conversation here: the store, Claude, hooks, clean-up."""
    from .commands import doctor as command

    if keep_transcripts:
        ui.narrate(f"set cleanupPeriodDays to {command.KEEP_DAYS} in {command.keep_transcripts()}")
    findings = command.doctor(_registry())
    if as_json:
        ui.answer_json([command.plain(item) for item in findings])
    else:
        for item in findings:
            ui.answer(f"{item.state:4}  {item.what}: {item.text}")
            if item.hint:
                ui.answer(f"      hint: {item.hint}")
    return int(any(item.state == "fail" for item in findings))


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
