"""Which conversation a request is about, as far as registry, record and target know by now."""

from __future__ import annotations

import time

import msgspec

from .claude.live import refusal
from .errors import MooringError, command
from .facts.workspace import Observed
from .model import Key, Needs, Record, Request
from .needs import check_needs, continues
from .registry import Registry


class Conversation(msgspec.Struct, frozen=True):
    """That of one workspace, at one moment of a run."""

    request: Request
    observed: Observed
    record: Record | None
    registry: Registry
    host: str
    """What pyinfra calls the target."""

    @property
    def id(self) -> str:
        """The one that is meant: asked for, else the workspace's current one.

        That of the newest start in the workspace, else the reserved one; '' where there is none.
        """
        if self.request.session:
            return self.request.session
        if self.record:
            return self.registry.current(self.record, self.observed.session.ids_running)
        rows = self.registry.sessions(self.request.topic, self.request.agent)
        ours = [row for row in rows if row.repo == self.observed.repo.identity]
        current = [row for row in ours if row.cleared_at is None] or ours
        session = current[0].session_id if current else ""  # imported, and without a record yet
        return "" if session and self._elsewhere(session) else session

    def check(self) -> None:
        """Raise MooringError if what is asked for can't go on, or begin."""
        request = self.request
        asked = request.needs is not Needs.NOTHING or request.session
        if asked and not self.anew:
            check_needs(request, self.observed, self.id, self._gone, self._nobodys)
            self._check_others()

    def _check_others(self) -> None:
        """Raise MooringError if somebody else runs the session, or has it as their own."""
        request, session = self.request, self.id
        if not session or (request.needs is Needs.RECORD and not request.session):
            return
        running = self.observed.session.process(session)
        if running:
            raise refusal(session, request.words, running)
        if holder := self._holder:
            raise MooringError(
                f"Cannot go on with session {session} in {request.topic!r}: it is that of the "
                f"workspace {holder!r}",
                command("mooring", "resume", holder, *request.words[1:]),
                command("mooring", "resume", holder, *request.words[1:], "--fork", request.topic),
            )

    @property
    def anew(self) -> bool:
        """Whether another conversation is to begin than the one that was here."""
        request = self.request
        if request.session or request.needs.resumes:
            return False
        return request.fresh or self._holder is not None

    @property
    def untouched(self) -> bool:
        """Whether nobody ever began the session that is reserved."""
        session, seen = self.id, self.observed.session
        row = self.registry.session(session)
        return not (
            seen.of(session)
            or seen.process(session)
            or any(event.session == session for event in seen.events)
            or (row is not None and row.captured_at)
        )

    @property
    def continues(self) -> str:
        """The id of the one conversation that the worktree ever held, if a resume goes on with it.

        '' where it goes on with the workspace's own.
        """
        if self.observed.session.of(self.id):
            return ""
        return continues(self.request, self._nobodys, self._gone)

    @property
    def _nobodys(self) -> tuple[str, ...]:
        """Ids of conversations that began in the worktree and that no workspace has."""
        held = self.observed.session.held or ()
        return tuple(item.session for item in held if not self.registry.session(item.session))

    def _elsewhere(self, session: str) -> bool:
        """Whether another live workspace has it, which is not one that this one replaces.

        It does where a host, as a container, was made anew and has its store again.
        """
        request, observed = self.request, self.observed
        key = Key(observed.repo.identity, request.agent, request.topic)
        replaces = self.host if observed.session.of(session) else ""
        return self.registry.holder(session, observed.target.id, key, replaces) is not None

    @property
    def _holder(self) -> str | None:
        """The topic of another live workspace that has our session as its own, if there is one."""
        request, observed = self.request, self.observed
        key = Key(observed.repo.identity, request.agent, request.topic)
        return self.registry.holder(self.id, observed.target.id, key)

    @property
    def _gone(self) -> str:
        """Since when the session's transcript is gone, '' if it never had one or still has it."""
        row = self.registry.session(self.id) if self.id else None
        if row is None or row.captured_at is None or self.observed.session.of(self.id):
            return ""
        last, cleaned = row.seen_at or row.captured_at, self.observed.session.cleaned
        went = f", and gone since Claude's clean-up of {_day(cleaned)}" if cleaned > last else ""
        return (
            f"it had one, last written to on {_day(last)}{went}. Claude deletes those older than "
            "its cleanupPeriodDays: mooring doctor"
        )


def _day(at: int) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(at))
