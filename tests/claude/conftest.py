"""The desks that tests of conversations share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.claude.desk import Desk
from tests.claude.stub import MessagesStub
from tests.claude.terminal import ready
from tests.support import Person


@pytest.fixture
def desk(any_claude_person: Person, repo: Path, stub: MessagesStub) -> Desk:
    """A desk with each of the two versions of Claude."""
    ready(any_claude_person, repo)
    return Desk(any_claude_person, repo, stub)


@pytest.fixture
def newer(claude_person: Person, repo: Path, stub: MessagesStub) -> Desk:
    """A desk with the current Claude, where the version makes no difference."""
    ready(claude_person, repo)
    return Desk(claude_person, repo, stub)
