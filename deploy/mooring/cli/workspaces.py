"""The verbs that make and end workspaces: arguments in, one use case, its answer out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click

from .. import ui
from ..errors import OccupiedError, usage
from ..model import check_topic
from .options import (
    WithArguments,
    container_options,
    dry_run_option,
    json_option,
    launch_option,
    meant_any,
    open_registry,
    pipeline_option,
    prompt_option,
    session_ids,
    settings_options,
    trust_option,
    which,
)


@click.command(cls=WithArguments)
@which
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
@click.option(
    "--filter", "left_out", metavar="SPEC", help="Leave objects out of a new cache: blob:none."
)
@click.option("--fresh", is_flag=True, help="Begin another conversation; the old one stays.")
@click.option(
    "--force", is_flag=True, help="Replace provisioned files that were edited; a copy is kept."
)
@container_options
@settings_options
@trust_option
@prompt_option
@launch_option
@dry_run_option
@json_option
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
    left_out: str | None,
    fresh: bool,
    force: bool,
    place: str | None,
    recreate: bool,
    settings: tuple[str, ...],
    unset: tuple[str, ...],
    trust: bool,
    prompt: str | None,
    launch: str | None,
    dry_run: bool,
    as_json: bool,
    arguments: tuple[str, ...],
) -> int:
    """Make a workspace, or bring it up to date, and start Claude in it.

    Prints the workspace's path. Arguments for Claude go behind --.
    """
    from ..commands import lookup
    from ..commands import new as command
    from ..commands import prompt as prompting

    how = _how(launch, arguments, as_json, prompt, place)
    registry = open_registry()
    wanted = lookup.meant(registry, lookup.Said(topic, agent, repo), ui.narrate)
    data = lookup.new_data(registry, wanted)
    data |= {"base": base, "branch": branch, "issue": issue, "fetch": fetch}
    data["filter"] = left_out
    data |= {"pipeline": lookup.named_pipeline(pipeline)}
    data |= {"fresh": fresh, "prompt": prompting.read(prompt)}
    data |= {"force": force, "trust": trust, "set": settings, "unset": unset}
    data |= {"place": place, "recreate": recreate}
    if stack:
        data |= command.stacked(registry, wanted, base, ui.narrate)
    if how.starts:
        data["needs"] = "vacancy"
    try:
        made = command.provision(data, ui.narrate, dry=dry_run)
    except OccupiedError as error:
        return _occupied(error, how, wanted, data, dry_run)
    return _made(made, as_json, how, lambda: command.start(made, how))


def _occupied(error: OccupiedError, how: Any, wanted: Any, data: dict[str, Any], dry: bool) -> int:
    """Ask whether to resume or to begin afresh; without a terminal, refuse with both commands."""
    from ..commands import new as command
    from ..commands import resume as resuming

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


@click.command(cls=WithArguments)
@which
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
    shell_complete=session_ids,
    help="Another conversation: an older one, another topic's, or one Mooring never saw.",
)
@click.option(
    "--fork", metavar="NEW-TOPIC", help="Go on in a new workspace, with a copy of what is here."
)
@container_options
@settings_options
@trust_option
@prompt_option
@launch_option
@dry_run_option
@json_option
def resume(
    topic: str | None,
    agent: str | None,
    repo: str | None,
    new_worktree: bool,
    base: str | None,
    branch: str | None,
    session: str | None,
    fork: str | None,
    place: str | None,
    recreate: bool,
    settings: tuple[str, ...],
    unset: tuple[str, ...],
    trust: bool,
    prompt: str | None,
    launch: str | None,
    dry_run: bool,
    as_json: bool,
    arguments: tuple[str, ...],
) -> int:
    """Go on with a conversation; the workspace is rebuilt if it is gone.

    Arguments for Claude go behind --.
    """
    from ..commands import fork as forking
    from ..commands import lookup, sessions
    from ..commands import new as making
    from ..commands import prompt as prompting
    from ..commands import resume as command

    how = _how(launch, arguments, as_json, prompt, place)
    registry = open_registry()
    wanted = lookup.meant(registry, lookup.Said(topic, agent, repo), ui.narrate)
    said = prompting.read(prompt)
    if fork:
        if new_worktree or base or branch or session:
            raise click.UsageError("--fork takes no other option for the workspace")
        check_topic("--fork", fork)
        origin = forking.origin(registry, wanted, ui.narrate)
        data = forking.data(registry, origin, fork, settings, unset)
        data |= {"prompt": said, "trust": trust, "needs": "vacancy"}
        data |= {"place": place, "recreate": recreate}
        made = making.provision(data, ui.narrate, dry=dry_run)
        return _made(made, as_json, how, lambda: forking.start(made, how, origin))
    data = lookup.data_of(registry, wanted)
    data |= {"base": base or data.get("base"), "branch": branch or data.get("branch")}
    data |= {"new_worktree": new_worktree, "prompt": said, "trust": trust}
    data |= {"set": settings, "unset": unset, "place": place, "recreate": recreate}
    if session:
        data["session"] = sessions.resolve(registry, session, str(data["repo"]))
    made = command.rebuild(data, ui.narrate, how, dry=dry_run)
    return _made(made, as_json, how, lambda: command.start(made, how, ui.narrate))


def _how(
    launch: str | None,
    arguments: tuple[str, ...],
    as_json: bool,
    prompt: str | None,
    place: str | None,
) -> Any:
    from ..commands import launch as launching

    options = {
        "json": as_json,
        "piped": prompt == "-",
        "contained": place in ("container", "devcontainer"),
    }
    return launching.wanted(launch, arguments, **options, report=ui.narrate)


def _made(made: Any, as_json: bool, how: Any, start: Callable[[], Any]) -> int:
    """Answer what was made, or start Claude there."""
    from ..commands import launchers
    from ..commands.new import DEVCONTAINER

    record = made.record
    if made.dry:
        for sentence in made.intentions:
            ui.narrate(f"would {sentence}")
        if not made.intentions:
            rest = ", ".join(made.changed)
            ui.narrate(f"would change: {rest}" if rest else "nothing to do")
    elif record:
        done = ", ".join(made.changed) if made.changed else "unchanged"
        ports = " ".join(f"{name}={port}" for name, port in record.ports.items())
        ui.narrate(f"{record.topic}: {done} (branch {record.branch}, {ports})")
        if made.prompt and not how.starts:
            ui.narrate(f"the prompt is in {made.prompt}; Claude is not started")
    if made.container == DEVCONTAINER and record and not made.dry:
        from ..commands import devcontainer, lookup

        devcontainer.up(lookup.row_of(open_registry(), record), ui.narrate)
    if how.starts and not made.dry:
        return launchers.LAUNCHERS[how.how](made, how, start, open_registry(), ui.narrate)
    if as_json:
        ui.answer_json(made.answer())
    elif record and not made.dry:
        ui.answer(record.worktree)
    return 0


@click.command()
@which
@pipeline_option
@click.option("--force", is_flag=True, help="Lose what is uncommitted or untracked. Commits stay.")
@click.option("--yes", is_flag=True, help="Don't ask before ending several.")
@json_option
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
    from ..commands import end as command
    from ..commands import lookup

    registry = open_registry()
    wanted = meant_any(lookup.Said(topic, agent, repo, pipeline))
    if wanted.topic:
        answer = command.end({**lookup.data_of(registry, wanted), "force": force}, ui.narrate)
        answers = [answer]
        if answer["changed"] and not as_json:
            agent = "" if answer["agent"] == "dev" else f" --agent {answer['agent']}"
            again = f"mooring resume {answer['topic']}{agent}"
            ui.narrate(f"ended {answer['topic']}; its conversation stays: {again}")
    else:
        rows = lookup.every(registry, wanted)
        names = ", ".join(row.topic for row in rows)
        _confirm(f"End {len(rows)} workspaces of pipeline {wanted.pipeline}: {names}", yes)
        answers = command.end_all(rows, force=force, report=ui.narrate)
    if as_json:
        ui.answer_json(answers[0] if wanted.topic else answers)
    return 0


def _confirm(question: str, yes: bool) -> None:
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise usage(f"{question}: not without being asked on a terminal", "add: --yes")
    click.confirm(question, abort=True, err=True)
