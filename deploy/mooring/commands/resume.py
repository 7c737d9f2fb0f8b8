"""`mooring resume`: the workspace again, where it is gone, and the conversation in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..claude import transcripts
from ..model import Needs
from . import launch
from .new import Made, provision
from .new import start as start_new

Report = Callable[[str], None]


def rebuild(data: dict[str, Any], report: Report, how: launch.Launch, *, dry: bool = False) -> Made:
    """Have the workspace again. If Claude is started, a conversation must be there to go on with.

    Raises MooringError, before anything is made, if there is none.
    """
    needs = Needs.RECORD
    if how.starts:
        needs = Needs.TRANSCRIPT if how.headless else Needs.CONVERSATION
    made = provision({**data, "needs": needs}, report, dry=dry)
    if made.record and "worktree" in made.changed and not dry:
        report(f"rebuilt {made.record.worktree} on branch {made.record.branch}")
    return made


def start(made: Made, how: launch.Launch, report: Report) -> launch.Start:
    """Claude going on with the conversation; what that takes is said.

    Raises MooringError if a transcript can't be brought to where an older Claude looks.
    """
    record, claude = made.record, how.claude
    assert record
    assert claude
    if made.continues:
        report("no session was recorded here: going on with the only one that the worktree holds")
        return start_new(made, how, "--resume", made.continues)
    report(f"resuming session {made.session}")
    flags = []
    if not is_home(made.transcript, record.worktree):
        if not claude.finds_anywhere:
            moved = transcripts.move(Path(made.transcript), record.worktree)
            report(f"moved the transcript to {moved.parent}, where Claude {claude.text} looks")
        if claude.knows_snapshot:
            # Its frozen system prompt names the directory where the conversation began.
            flags = ["--system-prompt-snapshot", "off"]
    return start_new(made, how, "--resume", made.session, *flags)


def is_home(transcript: str, worktree: str) -> bool:
    """Whether a transcript is in the project directory of the worktree itself."""
    return Path(transcript).parent.name == transcripts.slug(os.path.realpath(worktree))
