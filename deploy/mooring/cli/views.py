"""The verbs that show what there is, and look after it."""

from __future__ import annotations

from typing import Any

import click

from .. import ui
from ..errors import Kind, usage
from .options import WithDefault, json_option, meant_any, open_registry, pipeline_option, which


@click.command()
@which
@pipeline_option
@click.option(
    "--check", is_flag=True, help="Compare the target with the spec; exit 3 if it differs."
)
@json_option
def status(
    topic: str | None,
    agent: str | None,
    repo: str | None,
    pipeline: str | None,
    check: bool,
    as_json: bool,
) -> int:
    """Show a workspace and its session, as last seen."""
    from ..commands import lookup
    from ..commands import status as command

    registry = open_registry()
    wanted = meant_any(lookup.Said(topic, agent, repo, pipeline))
    drifted, answers = False, []
    for row in lookup.every(registry, wanted):
        answer = {}
        if check:
            drift = command.check(registry, row, ui.narrate)
            drifted = drifted or bool(drift)
            answer = {"drift": drift}
        answers.append(command.status(registry, row) | answer)
    if as_json:
        ui.answer_json(answers[0] if wanted.topic else answers)
    else:
        for index, answer in enumerate(answers):
            if index:
                ui.answer("")
            ui.details(answer)
    return Kind.DRIFT.value if drifted else 0


@click.command(name="list")
@pipeline_option
@click.option("--all", "everything", is_flag=True, help="Ended ones too, and of any pipeline.")
@json_option
def list_(pipeline: str | None, everything: bool, as_json: bool) -> None:
    """List the workspaces: all, or those of a pipeline ($WORK_PIPELINE_ID)."""
    from ..commands import list as command
    from ..commands import lookup

    wanted = lookup.pipeline_only(pipeline, everything, ui.narrate)
    rows = command.workspaces(open_registry(), wanted, ended=everything)
    if as_json:
        ui.answer_json(rows)
    elif rows:
        contained = ("container_state",) if any(row["container"] for row in rows) else ()
        columns = ("topic", "agent", "state", "session_state", *contained, "host", "branch")
        ui.table(rows, (*columns, "ports", "worktree"))
    else:
        ui.narrate("there are no workspaces yet: mooring new TOPIC")


@click.group(cls=WithDefault)
def sessions() -> None:
    """List the conversations: of one topic, a pipeline, or all. Also: export, import.

    \b
    mooring sessions [TOPIC] [--pipeline ID] [--all] [--agent NAME] [--repo PATH] [--json]
    """


@sessions.command(name="show", hidden=True)
@which
@pipeline_option
@click.option("--all", "everything", is_flag=True, help="All that Claude has of this repo.")
@json_option
def show_sessions(
    topic: str | None,
    agent: str | None,
    repo: str | None,
    pipeline: str | None,
    everything: bool,
    as_json: bool,
) -> None:
    """List the conversations: of one topic, a pipeline, or all."""
    from ..commands import lookup
    from ..commands import sessions as command

    registry = open_registry()
    if everything:
        rows = command.stored(registry, lookup.repo_here(repo))
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
    from ..commands import lookup, transfer
    from ..model import check_agent

    registry = open_registry()
    place = lookup.identity(registry, repo)
    ui.answer_json(transfer.export(registry, place, check_agent("agent", agent)))


@sessions.command(name="import")
@click.argument("file", type=click.File("rb"), default=".claude-sessions.json")
@click.option("--agent", metavar="NAME", default="dev", show_default=True)
@click.option("--repo", metavar="URL|PATH", help="Which repo: $WORK_REPO, or where you stand.")
def import_sessions(file: Any, agent: str, repo: str | None) -> None:
    """Take in topics' sessions from a file of that form, or from - (stdin)."""
    from ..commands import lookup, transfer
    from ..model import check_agent

    registry = open_registry()
    place = lookup.identity(registry, repo)
    done = transfer.import_(registry, file.read(), place, check_agent("agent", agent))
    ui.narrate(f"imported {', '.join(done)}" if done else "nothing new to import")


@click.command()
@which
@click.option(
    "--keep-transcripts", is_flag=True, help="Set cleanupPeriodDays in Claude's user settings."
)
@json_option
def doctor(
    topic: str | None, agent: str | None, repo: str | None, keep_transcripts: bool, as_json: bool
) -> int:
    """Look at what could lose a conversation: here, or with TOPIC in that workspace.

    Of a workspace with a container: whether that is as it should be, and Claude and git work in it.
    """
    from ..commands import doctor as command
    from ..commands import examine, lookup

    registry = open_registry()
    row = None
    if topic is not None:
        row = examine.one(
            registry, lookup.meant(registry, lookup.Said(topic, agent, repo), ui.narrate)
        )
    elif agent or repo:
        raise usage("Cannot tell which workspace is meant: name its topic", "mooring list")
    if keep_transcripts:
        for path in (command.keep_transcripts(), *(examine.keep_transcripts(row) if row else ())):
            ui.narrate(f"set cleanupPeriodDays to {command.KEEP_DAYS} in {path}")
    findings = examine.examine(registry, row) if row else command.doctor(registry)
    if as_json:
        ui.answer_json([command.plain(item) for item in findings])
    else:
        for item in findings:
            ui.answer(f"{item.state:4}  {item.what}: {item.text}")
            if item.hint:
                ui.answer(f"      hint: {item.hint}")
    return int(any(item.state == "fail" for item in findings))
