"""`mooring new`: a workspace, made or brought up to date, and Claude in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from .. import runner
from ..claude import hooks
from ..errors import MooringError, OccupiedError, command, usage
from ..model import Needs, Record
from ..registry import Registry, Row
from . import launch, outside, prompt
from .answer import of_record
from .lookup import Meant, data_of, of
from .places import is_repo, standing_in

DEVCONTAINER = "devcontainer"
"""Where Claude can be besides `host` and `container`: made by another program, after the rest."""


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What a provision came to, or in a dry run would come to."""

    record: Record | None
    """None in a dry run of a repo that isn't on the target yet."""
    session: str
    """The id of its conversation."""
    transcript: str
    """The path of the session's transcript, '' if there is none."""
    continues: str
    """The id of the only conversation that the worktree holds, if it has none of its own."""
    flags: tuple[str, ...]
    """Arguments that Claude needs there."""
    head: str
    """What is checked out: `refs/heads/…`, or a commit; '' where nothing is yet."""
    origin: str
    """The topic whose conversation is forked here, '' if none is."""
    container: str
    """The container that Claude is to be in, by name, or `devcontainer`; '' for the host."""
    trusted: bool
    """Whether a person said that what runs of the worktree may."""
    prompt: str
    """The file with what to say first, '' for nothing."""
    intro: tuple[str, ...]
    """An argument that the prompt needs in front of it."""
    changed: tuple[str, ...]
    dry: bool
    intentions: tuple[str, ...]
    """What would be done, a sentence each."""

    def answer(self) -> dict[str, Any]:
        """As plain data."""
        base = of_record(self.record, self.changed) if self.record else {}
        if self.dry:
            for unknown in ("session", "ports", "commit", "state"):
                base.pop(unknown, None)
        elif self.record:
            base["session"] = self.session
        return {**base, "changed": list(self.changed), "dry_run": self.dry}


def provision(data: dict[str, Any], report: Callable[[str], None], *, dry: bool = False) -> Made:
    """Have the workspace.

    Raises MooringError with the reason if it can't be had; OccupiedError, before anything is
    changed, if a conversation is to begin where there is one.
    """
    beside = data.get("place") == DEVCONTAINER
    data = {**data, "place": "host"} if beside else data
    outcome = runner.run("workspace", data, report, dry=dry)
    workspace = outcome.workspace
    record = workspace.record
    if dry:
        record = None if workspace.pending else workspace.wanted
    if record is None:
        return _unknown(outcome.changed, workspace.intentions())
    if record.container and "container" in outcome.changed and not dry:
        outside.note_inside(record, record.worktree)
    plan, session = workspace.plan, workspace.session
    transcript = workspace.observed.session.of(session)
    found = workspace.observed.worktree.registered
    said = workspace.request.prompt
    flagged = plan.settings == hooks.FLAG_SETTINGS
    return Made(
        record=record,
        session=session,
        transcript=transcript.path if transcript else "",
        continues=workspace.continues,
        flags=("--settings", f"{plan.worktree}/{plan.settings}") if flagged else (),
        head=found.head if found else "",
        origin=record.parent if workspace.request.carry else "",
        container=DEVCONTAINER if beside else workspace.container,
        trusted=workspace.request.trust,
        prompt=f"{plan.worktree}/{plan.prompt}" if said else "",
        intro=prompt.intro(said) if said else (),
        changed=outcome.changed,
        dry=dry,
        intentions=workspace.intentions() if dry else (),
    )


def _unknown(changed: tuple[str, ...], intentions: tuple[str, ...]) -> Made:
    """A dry run of what can't be known before the repo is there."""
    return Made(
        record=None,
        session="",
        transcript="",
        continues="",
        flags=(),
        head="",
        origin="",
        container="",
        trusted=False,
        prompt="",
        intro=(),
        changed=changed,
        dry=True,
        intentions=intentions,
    )


def look(registry: Registry, row: Row, report: Callable[[str], None]) -> Made:
    """A workspace as its target has it now; nothing is changed.

    Raises MooringError if its worktree is gone.
    """
    data = {**data_of(registry, of(row)), "needs": Needs.RECORD}
    made = provision(data, report, dry=True)
    if not made.head:
        raise MooringError(
            f"Cannot go on from {row.topic!r}: its worktree is gone",
            command("mooring", "resume", *row.words, "--launch", "none"),
        )
    return made


def stacked(
    registry: Registry, wanted: Meant, base: str | None, report: Callable[[str], None]
) -> dict[str, str]:
    """Host data for a branch that begins at that of the workspace one stands in.

    Raises MooringError where one stands in none, or in another repo's.
    """
    row = standing_in(registry)
    if row is None:
        raise usage("Cannot stack: you stand in no workspace", "mooring cd TOPIC")
    if base:
        raise usage("Cannot stack and take another base: --stack is a base", "leave out --base")
    if row.topic == wanted.topic and row.agent == (wanted.agent or row.agent):
        raise usage(f"Cannot stack {row.topic!r} on itself", "mooring new OTHER-TOPIC --stack")
    if wanted.repo and not is_repo(row, wanted.repo):
        raise usage(f"Cannot stack on {row.topic!r}: it is of another repo", "leave out --repo")
    made = look(registry, row, report)
    assert made.record
    base = made.head.removeprefix("refs/heads/")
    return {"base": base, "start": made.record.commit, "parent": row.topic}


def with_arguments(error: OccupiedError, args: tuple[str, ...]) -> MooringError:
    """The refusal, with hints that take Claude's arguments along."""
    behind = f" {command('--', *args)}" if args else ""
    hints = (hint.partition("    #") for hint in error.hints)
    return MooringError(error.message, *(f"{a}{behind}{b}{c}" for a, b, c in hints))


def start(made: Made, how: launch.Launch, *args: str) -> launch.Start:
    """Claude in the workspace; by default its first start, with the id that was reserved."""
    record = made.record
    assert record
    ours = args or ("--session-id", made.session)
    return launch.Start(
        argv=launch.claude_argv(how, record, *made.flags, *ours, *made.intro),
        cwd=record.worktree,
        env=launch.environment(record, made.session),
        headless=how.headless,
        session=made.continues or made.session,
        words=(record.topic, "--agent", record.agent, "--repo", record.source),
        stdin=made.prompt,
        store=record.store,
    )
