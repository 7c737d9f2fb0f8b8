"""One topic from morning to evening and on: every step with the real tools, by hand where it is."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from tests.claude.desk import Desk, current
from tests.claude.stub import MessagesStub
from tests.claude.terminal import Terminal, ready
from tests.git.traces import ROOT
from tests.support import Person, link, need

STARTUP = """\
PS1='ready> '
bind 'set enable-bracketed-paste off'
eval "$(direnv hook bash)"
"""


def test_a_day(claude_person: Person, repo: Path, stub: MessagesStub) -> None:
    direnv = need("direnv")
    person, desk = claude_person, Desk(claude_person, repo, stub)
    link(direnv, person.home / "bin/direnv")
    ready(person, repo)
    (person.home / ".bashrc").write_text(STARTUP)
    names = ("WORK_TOPIC", "WORK_PIPELINE_ID", "CLAUDE_SESSION_ID")
    show = f'echo "{" ".join(f"<${{{name}-none}}>" for name in names)}"'

    # In the morning: a workspace, whose .envrc direnv takes at once.
    place = desk.new("fix-login", "--pipeline", "p7")
    reserved = current(desk, place)
    allowed = person.run(direnv, "status", cwd=place).stdout
    assert "Found RC allowed true" in allowed or "Found RC allowed 0" in allowed

    with Terminal(person, "bash", "-i", cwd=repo, size=(40, 160)) as terminal:
        terminal.wait_for("ready>")
        terminal.type(show)
        terminal.wait_for("<none> <none> <none>")
        terminal.type(f"cd {shlex.quote(str(place))}")
        terminal.wait_for("direnv: export")
        terminal.type(show)
        terminal.wait_for(f"<fix-login> <p7> <{reserved}>")

        # A Claude that nobody but the person starts.
        terminal.type("claude")
        terminal.wait_idle()
        terminal.type("marker-day")
        terminal.wait_turn(stub, 1)
        by_hand = current(desk, place)
        assert by_hand != reserved
        assert desk.sessions("fix-login") == {reserved: "cleared", by_hand: "running"}
        terminal.type("/exit")
        terminal.wait_for(lambda: desk.sessions("fix-login")[by_hand] == "recorded")
        terminal.wait_for(lambda: terminal.screen.rstrip().endswith("ready>"))
        terminal.type(show)  # by the prompt before it, direnv has the newer id
        terminal.wait_for(f"<fix-login> <p7> <{by_hand}>")
        terminal.type(f"cd {shlex.quote(str(repo))}")
        terminal.wait_for("direnv: unloading")

    # In the evening: the workspace goes, what is known of it stays.
    (file,) = (person.home / ROOT / "records").glob("*/*/fix-login.json")
    assert json.loads(file.read_text())["state"] == "ready"
    assert desk.row("fix-login")["cleared_at"] is None
    desk.mooring("end", "fix-login")
    assert not place.exists()
    record = json.loads(file.read_text())
    assert (record["state"], record["session"], record["pipeline"]) == ("ended", by_hand, "p7")
    row = desk.row("fix-login")
    assert (row["state"], row["session_state"]) == ("ended", "cleared")
    assert row["cleared_at"] >= row["captured_at"] > 0

    # The next day.
    asked = len(stub.conversations())
    desk.turn("resume", "fix-login", say="marker-next")
    assert len(stub.conversations()) == asked + 1
    assert desk.heard("marker-day", "marker-next") == ["marker-day", "marker-next"]
    assert current(desk, place) == by_hand
    again = desk.row("fix-login")
    assert (again["state"], again["cleared_at"]) == ("ready", None)
    assert desk.sessions("fix-login") == {reserved: "cleared", by_hand: "recorded"}

    # From elsewhere, by the pipeline alone.
    elsewhere = person.home / "tmp"
    env = {"WORK_PIPELINE_ID": "p7"}
    done = person.mooring("status", "--json", cwd=elsewhere, env=env)
    assert done.stderr == "(using $WORK_PIPELINE_ID: p7)\n"
    (found,) = json.loads(done.stdout)
    assert (found["topic"], found["session"]) == ("fix-login", by_hand)
    assert (found["pipeline"], found["session_state"]) == ("p7", "recorded")
    done = person.mooring("status", cwd=elsewhere, check=False)
    assert (done.returncode, done.stdout) == (2, "")
