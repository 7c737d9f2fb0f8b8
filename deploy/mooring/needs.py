"""Whether the conversation that a request is about can go on, or begin. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import MooringError, OccupiedError, command
from .model import Needs, Request

if TYPE_CHECKING:
    from .facts.workspace import Observed


def check_needs(
    request: Request, observed: Observed, session: str, gone: str, others: tuple[str, ...] = ()
) -> None:
    """Raise MooringError if the conversation that is to go on, or to begin, can't.

    `session` is the one that is meant, '' if there is none yet; `gone` says since when its
    transcript is gone, if it ever had one; `others` began in the worktree, and are nobody's.
    """
    topic, needs, seen = request.topic, request.needs, observed.session
    if needs is Needs.VACANCY and seen.of(session):
        raise OccupiedError(
            f"Cannot start a new conversation in {topic!r}: its session {session} has one already",
            command("mooring", "resume", *request.words),
            command("mooring", "new", *request.words, "--fresh", note="another; the old one stays"),
        )
    if not needs.resumes and not request.session:
        return
    if not session:
        raise MooringError(
            f"Cannot resume {topic!r}: there is no workspace and no session of that name",
            "mooring list --all",
        )
    if needs is Needs.RECORD and not request.session:
        return
    if not seen.of(session) and not continues(request, others, gone):
        raise _without_transcript(request, observed, session, gone)


def _without_transcript(
    request: Request, observed: Observed, session: str, gone: str
) -> MooringError:
    what = f"Cannot resume {request.topic!r}"
    locked = [path for path in observed.session.unreadable if session in path]
    if locked:
        return MooringError(
            f"{what}: the transcript of its session can't be read: {locked[0]}",
            command("ls", "-l", locked[0]),
        )
    words = request.words
    return MooringError(
        f"{what}: Claude has no transcript of its session {session} in "
        f"{observed.session.store}{gone and f'; {gone}'}",
        command("mooring", "resume", *words, "--launch", "none", note="without Claude"),
        command("mooring", "new", *words, note="starts the conversation"),
        command("mooring", "sessions", "--all", note="every conversation of this repo"),
    )


def continues(request: Request, others: tuple[str, ...], gone: str) -> str:
    """The one conversation that the worktree ever held, if that is what is gone on with; else ''.

    Only where no session of the workspace ever had a transcript, and only interactively. By its
    id: measured, ``claude --continue`` passes over one that was headless, and ``-p --continue``
    begins a new one where it finds none.
    """
    wanted = request.needs is Needs.CONVERSATION and not request.session and not gone
    return others[0] if wanted and len(others) == 1 else ""
