"""The /move that Claude has, on the host and in a container."""

from __future__ import annotations

import pytest

from tests.claude.desk import Desk

TOPIC = "fix-login"


@pytest.mark.parametrize(("here", "there"), [("host", "container"), ("container", "host")])
def test_move_says_the_command_that_goes_on(box: Desk, here: str, there: str) -> None:
    box.mooring("slash-command", "--write")
    box.mooring("slash-command", "--write")
    box.turn("new", TOPIC, "--in", here, say=f"/move {there}")
    said = box.said()
    assert f"\n{TOPIC}\ndev\n{box.repo}\n" in said
    assert f"in: {there}" in said


def test_another_one_of_that_name_stays(box: Desk) -> None:
    place = box.person.home / ".claude/commands/move.md"
    place.parent.mkdir(parents=True)
    place.write_text("mine")
    assert box.mooring("slash-command", "--write", check=False).returncode == 1
    assert place.read_text() == "mine"
    assert box.mooring("slash-command").stdout.startswith("---\n")
