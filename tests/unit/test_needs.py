"""What has to be there for a conversation to go on, or to begin; decided from data alone."""

from __future__ import annotations

from typing import Any

import pytest

from mooring.errors import MooringError, OccupiedError
from mooring.facts.workspace import Observed
from mooring.model import Needs
from mooring.needs import check_needs, continues
from tests.unit.builders import (
    SESSION,
    STORE,
    TRANSCRIPT,
    a_request,
    a_session,
    a_whole_one,
    observed,
)

OTHER = SESSION.replace("1", "2")
THIRD = SESSION.replace("1", "3")
RECORDED = a_whole_one(session=a_session(TRANSCRIPT))
RESUMING = [needs for needs in Needs if needs.resumes]


def unmet(
    needs: Needs,
    seen: Observed,
    session: str = SESSION,
    gone: str = "",
    others: tuple[str, ...] = (),
    session_: str = "",
) -> MooringError | None:
    """Why that can't go on, or begin; None if it can. `session_` is the one that was named."""
    error = None
    try:
        check_needs(a_request(needs=needs, session=session_), seen, session, gone, others)
    except MooringError as caught:
        error = caught
    assert error is None or error.message.startswith("Cannot ")
    assert error is None or error.hints
    return error


def test_an_ended_workspaces_branch_counts_for_what_resumes() -> None:
    assert set(Needs) - set(RESUMING) == {Needs.NOTHING, Needs.VACANCY}


@pytest.mark.parametrize("needs", RESUMING)
def test_what_was_never_there_cannot_be_resumed(needs: Needs) -> None:
    error = unmet(needs, observed(), session="", others=(OTHER,))
    assert error
    assert "there is no workspace and no session of that name" in error.message


@pytest.mark.parametrize("needs", [Needs.TRANSCRIPT, Needs.CONVERSATION])
def test_without_a_transcript_there_is_nothing_to_resume(needs: Needs) -> None:
    error = unmet(needs, a_whole_one())
    assert error
    assert f"Claude has no transcript of its session {SESSION} in {STORE}" in error.message
    assert not isinstance(error, OccupiedError)
    assert "mooring new fix-login" in error.hints[1]
    assert unmet(needs, RECORDED) is None
    assert unmet(needs, RECORDED, session=OTHER), "it is another's"


@pytest.mark.parametrize("needs", list(Needs))
def test_a_session_that_is_named_has_to_have_a_transcript(needs: Needs) -> None:
    """Whatever else is asked for: it is what the workspace is to have as its own."""
    assert unmet(needs, a_whole_one(), session=OTHER, session_=OTHER) is not None
    there = a_whole_one(session=a_session(TRANSCRIPT.replace(SESSION, OTHER)))
    error = unmet(needs, there, session=OTHER, session_=OTHER)
    assert (error is not None) == (needs is Needs.VACANCY)


def test_a_transcript_that_is_gone_is_said_since_when() -> None:
    error = unmet(Needs.TRANSCRIPT, a_whole_one(), gone="it had one, last written on 2026-01-02")
    assert error
    assert f"in {STORE}; it had one, last written on 2026-01-02" in error.message


@pytest.mark.parametrize("needs", [Needs.TRANSCRIPT, Needs.CONVERSATION])
def test_a_transcript_that_cannot_be_read_is_not_said_to_be_gone(needs: Needs) -> None:
    locked = TRANSCRIPT.replace(SESSION, OTHER)
    seen = a_whole_one(session=a_session(unreadable=(locked, TRANSCRIPT)))
    error = unmet(needs, seen)
    assert error
    assert f"can't be read: {TRANSCRIPT}" in error.message
    assert error.hints == (f"ls -l {TRANSCRIPT}",)
    foreign = a_whole_one(session=a_session(unreadable=(locked,)))
    error = unmet(needs, foreign)
    assert error
    assert "has no transcript" in error.message


def test_a_record_is_enough_without_claude() -> None:
    assert unmet(Needs.RECORD, a_whole_one()) is None
    assert unmet(Needs.RECORD, RECORDED) is None


@pytest.mark.parametrize("session", ["", SESSION])
@pytest.mark.parametrize("seen", [observed(), a_whole_one(), RECORDED])
def test_a_provision_alone_needs_nothing(session: str, seen: Observed) -> None:
    assert unmet(Needs.NOTHING, seen, session) is None


def test_a_new_conversation_needs_a_session_that_has_none() -> None:
    assert unmet(Needs.VACANCY, observed(), session="") is None
    assert unmet(Needs.VACANCY, a_whole_one()) is None
    error = unmet(Needs.VACANCY, RECORDED)
    assert isinstance(error, OccupiedError)
    assert SESSION in error.message
    assert error.hints[0] == "mooring resume fix-login"
    assert error.hints[1].startswith("mooring new fix-login --fresh ")


# The conversations in the worktree that nobody has -> whether a resume goes on with one of them.
CONTINUED: dict[str, tuple[tuple[str, ...], dict[str, Any], str, str]] = {
    "one": ((OTHER,), {}, "", OTHER),
    "none": ((), {}, "", ""),
    "two": ((OTHER, THIRD), {}, "", ""),
    "one, but ours is gone": ((OTHER,), {}, "it had one", ""),
    "one, but a session was named": ((OTHER,), {"session_": SESSION}, "", ""),
}


@pytest.mark.parametrize(
    ("others", "request_", "gone", "expected"), CONTINUED.values(), ids=CONTINUED.keys()
)
def test_the_only_conversation_there_ever_was_is_continued(
    others: tuple[str, ...], request_: dict[str, Any], gone: str, expected: str
) -> None:
    seen = a_whole_one()
    named = {"session": request_["session_"]} if request_ else {}
    assert continues(a_request(needs=Needs.CONVERSATION, **named), others, gone) == expected
    error = unmet(Needs.CONVERSATION, seen, gone=gone, others=others, **request_)
    assert (error is None) == bool(expected)
    for needs in sorted(set(Needs) - {Needs.CONVERSATION}):
        assert continues(a_request(needs=needs, **named), others, gone) == ""
    assert unmet(Needs.TRANSCRIPT, seen, gone=gone, others=others, **request_)
