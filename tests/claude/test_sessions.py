"""Which conversation belongs to which workspace, whoever starts the real Claude, and however."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mooring.claude.hooks import TAG
from mooring.claude.transcripts import slug
from tests.claude.desk import Desk, argv_of, children, current, exists
from tests.claude.stub import MessagesStub
from tests.claude.terminal import Terminal, ready
from tests.support import (
    Done,
    Person,
    commit,
    make_repo,
    need,
    until,
)


def test_claude_started_by_hand_is_recorded(desk: Desk) -> None:
    one = desk.new("one")
    reserved = current(desk, one)
    assert desk.sessions("one") == {reserved: "reserved"}
    by_hand = desk.claude(one, "marker-one")
    assert current(desk, one) == by_hand
    assert desk.sessions("one") == {reserved: "cleared", by_hand: "recorded"}
    with desk.terminal("claude", cwd=one) as terminal:
        terminal.type("marker-two")
        terminal.wait_turn(desk.stub, 2)
        third = current(desk, one)
        assert third not in (reserved, by_hand)
        assert desk.sessions("one")[third] == "running"
    assert desk.sessions("one") == {reserved: "cleared", by_hand: "cleared", third: "recorded"}
    desk.turn("resume", "one", say="go on")
    assert desk.heard("marker-one", "marker-two") == ["marker-two"]


def test_claude_started_by_hand_in_the_very_second(newer: Desk) -> None:
    """As the README has it: `cd "$(mooring new TOPIC)"`, then `claude`."""
    script = 'cd "$(mooring new one)" && claude -p marker-one --output-format json'
    done = newer.person.run("sh", "-c", script, cwd=newer.repo)
    by_hand = json.loads(done.stdout)["session_id"]
    assert current(newer, newer.repo.parent / "shop.worktrees/one") == by_hand
    newer.turn("resume", "one", say="go on")
    assert newer.heard("marker-one") == ["marker-one"]


def test_back_and_forth_in_quick_succession(newer: Desk) -> None:
    one = newer.new("one")
    first = newer.claude(one, "marker-one")
    assert newer.claude(one, "again", "--resume", first) == first
    second = newer.claude(one, "marker-two")
    assert newer.claude(one, "again", "--resume", first) == first
    assert current(newer, one) == first
    assert newer.sessions("one")[second] == "cleared"


def test_below_a_workspaces_root_claude_reads_no_hooks_but_is_found(desk: Desk) -> None:
    """Neither version reads the settings of a directory above where it was started."""
    one = desk.new("one")
    reserved = current(desk, one)
    below = desk.claude(one / "app", "marker-one")
    assert current(desk, one) == reserved
    assert desk.sessions("--all") == {below: "recorded"}
    desk.turn("resume", "one", "--session", below[:8], say="go on")
    assert desk.heard("marker-one") == ["marker-one"]
    assert current(desk, one) == below


def test_clear_begins_another_session_and_the_old_one_comes_back(desk: Desk) -> None:
    one = desk.new("one")
    with desk.terminal("mooring", "new", "one") as terminal:
        terminal.type("marker-one")
        terminal.wait_turn(desk.stub, 1)
        first = current(desk, one)
        terminal.type("/clear")
        until(lambda: desk.row("one")["session"] != first)
        second = current(desk, one)  # before anything is said in it
        assert desk.sessions("one") == {first: "cleared", second: "running"}
        terminal.wait_for(lambda: "marker-one" not in terminal.screen)
        terminal.wait_idle()
        terminal.type("marker-two")
        terminal.wait_turn(desk.stub, 2)
        assert current(desk, one) == second
    desk.turn("resume", "one", say="go on")
    assert desk.heard("marker-one", "marker-two") == ["marker-two"]
    desk.turn("resume", "one", "--session", first[:8], say="go on")
    assert desk.heard("marker-one", "marker-two") == ["marker-one"]
    assert current(desk, one) == first
    assert desk.sessions("one") == {first: "recorded", second: "cleared"}
    desk.turn("resume", "one", "--session", second, say="go on")
    assert desk.heard("marker-one", "marker-two") == ["marker-two"]


def test_states(desk: Desk) -> None:
    one = desk.new("one")
    session = current(desk, one)
    assert desk.row("one")["session_state"] == "reserved"
    desk.turn("new", "one", say="marker-one")
    assert desk.sessions("one") == {session: "recorded"}
    with desk.terminal("mooring", "resume", "one") as terminal:
        assert desk.sessions("one") == {session: "running"}
        assert json.loads(desk.mooring("list", "--json").stdout)[0]["session_state"] == "running"
        asked = len(desk.stub.requests)
        done = desk.turn("resume", "one", say="no", check=False)
        assert done.returncode == 1
        assert f"is running, pid {terminal.pid} in {one} since 20" in done.stderr
        assert "hint: mooring resume one --fork one-2" in done.stderr
        done = desk.mooring("end", "one", check=False)
        assert done.returncode == 1
        assert f"Claude is running there (pid {terminal.pid})" in done.stderr
        assert len(desk.stub.requests) == asked
        terminal.kill(signal.SIGKILL)
        assert desk.sessions("one") == {session: "recorded"}
    desk.turn("resume", "one", say="go on")
    assert desk.heard("marker-one") == ["marker-one"]
    desk.mooring("end", "one")
    assert desk.sessions("one") == {session: "cleared"}


def test_compaction_keeps_the_id(desk: Desk) -> None:
    one, session = desk.begin("one", "marker-one")
    with desk.terminal("mooring", "resume", "one") as terminal:
        terminal.type("marker-two")  # the older one doesn't compact a single turn
        terminal.wait_turn(desk.stub, 2)
        terminal.type("/compact")
        terminal.wait_turn(desk.stub, 3)
        until(lambda: ("session-start", "one", session, "compact") in desk.events())
        assert current(desk, one) == session
    desk.turn("resume", "one", say="marker-three")
    assert desk.heard("marker-one", "marker-three") == ["marker-three"]
    assert current(desk, one) == session
    assert desk.sessions("one") == {session: "recorded"}


def test_new_where_there_is_a_conversation(newer: Desk) -> None:
    desk = newer
    one, first = desk.begin("one", "marker-one")
    asked = len(desk.stub.requests)
    done = desk.turn("new", "one", say="again", check=False)
    assert done.returncode == 1
    assert f"its session {first} has one already" in done.stderr
    assert "hint: mooring resume one -- -p again" in done.stderr
    assert re.search(r"hint: mooring new one --fresh -- -p again +# another", done.stderr)
    assert desk.new("one") == one
    assert current(desk, one) == first
    with Terminal(desk.person, "mooring", "new", "one", cwd=desk.repo) as terminal:
        terminal.wait_for("quit (r, f, q):")
        assert first in terminal.screen
        terminal.type("q")
        assert terminal.wait() == 1
    assert len(desk.stub.requests) == asked
    assert desk.sessions("one") == {first: "recorded"}
    with Terminal(desk.person, "mooring", "new", "one", cwd=desk.repo) as terminal:
        terminal.wait_for("quit (r, f, q):")
        terminal.type("r")
        terminal.wait_idle()
        terminal.type("marker-two")
        terminal.wait_turn(desk.stub, 2)
    assert desk.heard("marker-one", "marker-two") == ["marker-one", "marker-two"]
    assert current(desk, one) == first
    with Terminal(desk.person, "mooring", "new", "one", cwd=desk.repo) as terminal:
        terminal.wait_for("quit (r, f, q):")
        terminal.type("f")
        terminal.wait_idle()
        terminal.type("marker-three")
        terminal.wait_turn(desk.stub, 3)
    assert desk.heard("marker-one", "marker-three") == ["marker-three"]
    second = current(desk, one)
    desk.turn("new", "one", "--fresh", say="marker-four")
    assert desk.heard("marker-one", "marker-three", "marker-four") == ["marker-four"]
    third = current(desk, one)
    assert desk.sessions("one") == {first: "cleared", second: "cleared", third: "recorded"}
    reserved = desk.new("one", "--fresh")
    fourth = current(desk, reserved)
    assert desk.sessions("one")[fourth] == "reserved"


def test_another_session_is_picked(desk: Desk) -> None:
    _, ended = desk.begin("one", "marker-one")
    desk.mooring("end", "one")
    unseen = desk.claude(desk.repo, "marker-unseen")
    other, others = desk.begin("other", "marker-other")
    asked = len(desk.stub.requests)
    for said in (others, others[:8]):
        done = desk.turn("resume", "one", "--session", said, say="no", check=False)
        assert done.returncode == 1
        assert "it is that of the workspace 'other'" in done.stderr
        assert "hint: mooring resume other --fork one" in done.stderr
    done = desk.turn("resume", "one", "--session", "abc", say="no", check=False)
    assert done.returncode == 2
    assert len(desk.stub.requests) == asked
    desk.turn("resume", "one", "--session", unseen[:6], say="marker-two")
    assert desk.heard("marker-one", "marker-unseen", "marker-two") == [
        "marker-unseen",
        "marker-two",
    ]
    assert desk.row("one")["session"] == unseen
    desk.mooring("end", "one")
    desk.turn("resume", "other", "--session", ended, say="marker-three")
    assert desk.heard("marker-one", "marker-other", "marker-three") == [
        "marker-one",
        "marker-three",
    ]
    assert current(desk, other) == ended
    assert desk.sessions("other") == {others: "cleared", ended: "recorded"}


def changed(desk: Desk, worktree: Path) -> dict[str, str]:
    """What git has to say of a worktree, and what is in its files."""
    names = ("status", "--porcelain=v1"), ("diff",), ("diff", "--cached"), ("rev-parse", "HEAD")
    said = {name[-1]: desk.person.git(*name, cwd=worktree).stdout for name in names}
    listed = ("ls-files", "--others", "--exclude-standard")
    untracked = desk.person.git(*listed, cwd=worktree).stdout.split()
    modes = {name: oct((worktree / name).stat().st_mode) for name in untracked}
    return said | {name: f"{modes[name]} {(worktree / name).read_text()}" for name in untracked}


def test_fork(desk: Desk) -> None:
    commit(desk.person, desk.repo, {"gone.txt": "gone\n", "removed.txt": "removed\n"})
    one, session = desk.begin("one", "marker-one")
    desk.person.mooring("new", "one", "--set", "env.MODE=x", "--set", "env.GONE=y", cwd=desk.repo)
    (one / "README.md").write_text("# Staged\n")
    desk.person.git("add", "README.md", cwd=one)
    (one / "README.md").write_text("# Staged, then changed\n")
    (one / "app/shop.py").write_text('print("unstaged")\n')
    (one / "gone.txt").unlink()
    desk.person.git("rm", "-q", "removed.txt", cwd=one)
    (one / "added.txt").write_text("added\n")
    desk.person.git("add", "added.txt", cwd=one)
    (one / "untracked.sh").write_text("#!/bin/sh\n")
    (one / "untracked.sh").chmod(0o755)
    before = changed(desk, one)
    assert len(before["--porcelain=v1"].splitlines()) == 6
    fork = ("resume", "one", "--fork", "two", "--set", "env.MORE=z", "--unset", "env.GONE")
    desk.turn(*fork, say="marker-two")
    assert desk.heard("marker-one", "marker-two") == ["marker-one", "marker-two"]
    two = one.parent / "two"
    assert changed(desk, two) == changed(desk, one) == before
    forked = current(desk, two)
    assert forked != session
    assert current(desk, one) == session
    assert [(topic, of) for kind, topic, of, _ in desk.events() if kind == "session-start"] == [
        ("one", session),
        ("two", forked),
    ]
    desk.turn("resume", "one", say="marker-three")
    assert desk.heard("marker-one", "marker-two", "marker-three") == ["marker-one", "marker-three"]
    desk.turn("resume", "two", say="marker-four")
    assert desk.heard("marker-one", "marker-two", "marker-three", "marker-four") == [
        "marker-one",
        "marker-two",
        "marker-four",
    ]
    assert set(desk.transcripts()) == {session, forked}
    assert desk.sessions() == {session: "recorded", forked: "recorded"}
    assert desk.row("two")["parent"] == "one"
    assert desk.row("two")["set"] == ["env.MODE=x", "env.MORE=z"]


def test_fork_of_a_running_session(desk: Desk) -> None:
    one, session = desk.begin("one", "marker-one")
    with desk.terminal("mooring", "resume", "one") as terminal:
        with desk.terminal("mooring", "resume", "one", "--fork", "two") as forked:
            two = current(desk, one.parent / "two")
            assert desk.sessions() == {session: "running", two: "running"}
            forked.type("marker-two")
            forked.wait_turn(desk.stub, 2)
            assert desk.heard("marker-one", "marker-two") == ["marker-one", "marker-two"]
        terminal.type("marker-three")
        terminal.wait_turn(desk.stub, 3)
        assert desk.heard("marker-two", "marker-three") == ["marker-three"]
    assert current(desk, one) == session
    assert current(desk, one.parent / "two") == two


def test_claude_killed_in_mid_turn(desk: Desk) -> None:
    _, session = desk.begin("one", "marker-one")
    with desk.waiting("resume", "one", "--", "-p", "marker-two") as mooring:
        (claude,) = children(mooring.pid)
        until(lambda: "marker-two" in desk.transcripts()[session].read_text())
        assert desk.sessions() == {session: "running"}
        os.kill(claude, signal.SIGKILL)
        assert mooring.wait(30) == 128 + signal.SIGKILL
    assert desk.sessions() == {session: "recorded"}
    desk.turn("resume", "one", say="marker-three")
    assert desk.heard("marker-one", "marker-two", "marker-three") == [
        "marker-one",
        "marker-two",
        "marker-three",
    ]
    assert desk.row("one")["session"] == session


def test_mooring_killed_in_mid_turn(desk: Desk) -> None:
    """Claude goes on alone, and as long as it does, nobody else gets its session."""
    _, session = desk.begin("one", "marker-one")
    with desk.waiting("resume", "one", "--", "-p", "marker-two") as mooring:
        (claude,) = children(mooring.pid)
        mooring.kill()
        mooring.wait()
        assert exists(claude)
        assert desk.sessions() == {session: "running"}
        done = desk.turn("resume", "one", say="no", check=False)
        assert done.returncode == 1
        assert f"pid {claude} " in done.stderr
    until(lambda: not exists(claude))
    assert desk.sessions() == {session: "recorded"}
    desk.turn("resume", "one", say="marker-three")
    assert desk.heard("marker-one", "marker-two", "marker-three") == [
        "marker-one",
        "marker-two",
        "marker-three",
    ]
    assert "no" not in desk.stub.texts(desk.stub.last_conversation())


def test_two_workspaces_at_once(newer: Desk) -> None:
    _, one = newer.begin("one", "marker-one")
    _, two = newer.begin("two", "marker-two")
    with (
        newer.terminal("mooring", "resume", "one") as first,
        newer.terminal("mooring", "resume", "two") as second,
    ):
        assert newer.sessions() == {one: "running", two: "running"}
        second.type("to two")
        second.wait_turn(newer.stub, 3)
        assert newer.heard("marker-one", "marker-two") == ["marker-two"]
        first.type("to one")
        first.wait_turn(newer.stub, 4)
        assert newer.heard("marker-one", "marker-two") == ["marker-one"]
    assert (newer.row("one")["session"], newer.row("two")["session"]) == (one, two)


def moved_by_git(desk: Desk, old: Path, new: Path) -> None:
    desk.person.git("worktree", "move", old, new, cwd=desk.repo)


def moved_by_hand(desk: Desk, old: Path, new: Path) -> None:
    old.rename(new)
    desk.person.git("worktree", "repair", new, cwd=desk.repo)


@pytest.mark.parametrize("move", [moved_by_git, moved_by_hand])
def test_a_moved_workspace(desk: Desk, move: Callable[[Desk, Path, Path], None]) -> None:
    old, session = desk.begin("one", "marker-one")
    was = desk.transcripts()[session]
    side = was.with_suffix("") / "tool-results/1.txt"
    side.parent.mkdir(parents=True)
    side.write_text("a tool's result")
    new = desk.person.home / "moved/one"
    new.parent.mkdir()
    move(desk, old, new)
    with desk.waiting("resume", "one", "--", "-p", "marker-two") as mooring:
        (claude,) = children(mooring.pid)
        argv = argv_of(claude)
        assert os.readlink(f"/proc/{claude}/cwd") == str(new)
    assert mooring.returncode == 0
    said = desk.narration.read_text()
    now = desk.transcripts()[session]
    assert desk.heard("marker-one", "marker-two") == ["marker-one", "marker-two"]
    assert "marker-two" in now.read_text()
    assert side.read_text() == "a tool's result"  # the transcript names this path
    if desk.older:
        assert now.parent.name == slug(str(new))
        assert f"moved the transcript to {now.parent}, where Claude 2.1.197 looks" in said
        assert (now.with_suffix("") / "tool-results/1.txt").samefile(side)
        assert "--system-prompt-snapshot" not in argv
    else:
        assert now == was
        assert "moved the transcript" not in said
        assert argv[argv.index("--system-prompt-snapshot") + 1] == "off"
    assert desk.row("one")["worktree"] == str(new)
    assert current(desk, new) == session
    desk.turn("resume", "one", say="marker-three")
    assert desk.heard("marker-one", "marker-three") == ["marker-one", "marker-three"]
    assert set(desk.transcripts()) == {session}
    assert not old.exists()


def test_a_long_path_with_spaces_and_other_letters(
    any_claude_person: Person, stub: MessagesStub
) -> None:
    """Claude cuts the name of its project directory at 200 characters, and adds a hash."""
    name = f"my shop — Größe 漢字 🐚 {'x' * 205}"
    assert 230 < len(name.encode()) < 245  # `.worktrees` has to fit in a component too
    repo = make_repo(any_claude_person, any_claude_person.home / name, {"README.md": "# Shop\n"})
    ready(any_claude_person, repo)
    desk = Desk(any_claude_person, repo, stub)
    one, session = desk.begin("one", "marker-one")
    assert one == repo.parent / f"{name}.worktrees/one"
    assert current(desk, one) == session
    assert desk.transcripts()[session].parent.name == slug(str(one))
    desk.mooring("end", "one")
    desk.turn("resume", "one", say="marker-two")
    assert desk.heard("marker-one", "marker-two") == ["marker-one", "marker-two"]
    with desk.terminal("claude", cwd=one):
        assert current(desk, one) != session
    assert desk.sessions("--all")[session] == "cleared"


def test_a_topic_is_used_again_after_its_end(newer: Desk) -> None:
    desk = newer
    one, session = desk.begin("one", "marker-one")
    desk.mooring("end", "one")
    done = desk.turn("new", "one", say="no", check=False)
    assert done.returncode == 1
    assert "hint: mooring new one --fresh -- -p no" in done.stderr
    assert not one.exists()
    desk.turn("new", "one", "--fresh", say="marker-two")
    assert desk.heard("marker-one", "marker-two") == ["marker-two"]
    second = current(desk, one)
    assert desk.sessions("one") == {session: "cleared", second: "recorded"}
    desk.turn("resume", "one", "--session", session, say="marker-three")
    assert desk.heard("marker-one", "marker-two", "marker-three") == ["marker-one", "marker-three"]


def test_a_truncated_last_line(desk: Desk) -> None:
    _, session = desk.begin("one", "marker-one")
    desk.turn("resume", "one", say="marker-two")
    transcript = desk.transcripts()[session]
    with transcript.open("ab") as file:
        file.write(b'{"type":"user","message":{"role":"user","content":"marker-cu')
    desk.turn("resume", "one", say="marker-three")
    assert desk.heard("marker-one", "marker-two", "marker-cu", "marker-three") == [
        "marker-one",
        "marker-two",
        "marker-three",
    ]
    desk.turn("resume", "one", say="marker-four")
    assert desk.heard("marker-two", "marker-four") == ["marker-two", "marker-four"]


def test_a_transcript_of_50_mb(desk: Desk) -> None:
    _, session = desk.begin("one", "marker-one")
    transcript = desk.transcripts()[session]
    lines = transcript.read_text()
    ids = set(re.findall(r'"uuid": ?"([0-9a-f-]{36})"', lines))
    with transcript.open("w") as file:
        while file.tell() < 50_000_000:  # earlier branches of the conversation, as a rewind leaves
            again = lines.replace("marker-one", "filler " * 2000)
            for old in ids:
                again = again.replace(old, str(uuid.uuid4()))
            file.write(again)
        file.write(lines)
    desk.turn("resume", "one", say="marker-two")
    assert desk.heard("marker-one", "filler", "marker-two") == ["marker-one", "marker-two"]
    assert desk.row("one")["session"] == session
    (row,) = json.loads(desk.mooring("sessions", "--all", "--json").stdout)
    assert (row["session_id"], row["turns_exact"]) == (session, False)
    assert row["size"] > 50_000_000
    assert re.search(r" \d+\+ ", desk.mooring("sessions", "--all").stdout)


def test_a_transcript_that_is_gone(newer: Desk) -> None:
    desk = newer
    _, session = desk.begin("one", "marker-one")
    os.utime(desk.transcripts()[session], (1_700_000_000, 1_700_000_000))
    desk.new("one")  # a probe sees when it was written last
    asked = len(desk.stub.requests)
    desk.transcripts()[session].unlink()
    (desk.person.home / ".claude/.last-cleanup").touch()
    done = desk.turn("resume", "one", say="no", check=False)
    assert done.returncode == 1
    assert f"Claude has no transcript of its session {session}" in done.stderr
    assert "last written to on 2023-11-14" in done.stderr
    today = time.strftime("%Y-%m-%d")
    assert f"gone since Claude's clean-up of {today}" in done.stderr
    assert "mooring doctor" in done.stderr
    assert "hint: mooring new one" in done.stderr
    assert len(desk.stub.requests) == asked


@dataclass(frozen=True)
class Bound(Person):
    """A person whom modes bind, if root runs the tests: one without root's leave to pass them."""

    def run(self, *argv: str | Path, **options: Any) -> Done:
        drop = "-dac_override,-dac_read_search"
        become = ("setpriv", f"--bounding-set={drop}", f"--inh-caps={drop}")
        return super().run(*(() if os.geteuid() else become), *argv, **options)


@pytest.fixture
def bound(claude_person: Person, repo: Path, stub: MessagesStub) -> Desk:
    """A desk of somebody whom modes bind."""
    need("setpriv")
    return Desk(Bound(claude_person.home, claude_person.env), repo, stub)


def test_a_turn_that_was_not_saved_is_none(bound: Desk) -> None:
    _, session = bound.begin("one", "marker-one")
    transcript = bound.transcripts()[session]
    size = transcript.stat().st_size
    transcript.chmod(0o444)
    transcript.parent.chmod(0o555)
    done = bound.turn("resume", "one", say="marker-two", check=False)
    assert bound.heard("marker-one", "marker-two") == ["marker-one", "marker-two"]
    assert "stub reply" in done.stdout  # Claude itself ends well
    assert done.returncode == 1
    assert f"the transcript {transcript} did not grow" in done.stderr
    assert "hint: mooring doctor" in done.stderr
    assert transcript.stat().st_size == size
    transcript.parent.chmod(0o755)
    transcript.chmod(0o644)
    assert bound.turn("resume", "one", say="marker-three").returncode == 0
    assert transcript.stat().st_size > size


def test_a_transcript_that_cannot_be_read(bound: Desk) -> None:
    _, session = bound.begin("one", "marker-one")
    transcript = bound.transcripts()[session]
    transcript.chmod(0)
    done = bound.turn("resume", "one", say="marker-two", check=False)
    assert done.returncode == 1
    assert f"the transcript of its session can't be read: {transcript}" in done.stderr
    assert "marker-two" not in bound.said()


def speak_unnoticed(desk: Desk, cwd: Path, say: str, how: str) -> str:
    """A conversation of one turn, with its hooks switched off; returns its id."""
    known, turns = set(desk.transcripts()), len(desk.stub.conversations())
    quiet = ("--settings", '{"disableAllHooks":true}')
    if how == "headless":
        return desk.claude(cwd, say, *quiet)
    with desk.terminal("claude", *quiet, cwd=cwd) as terminal:
        terminal.type(say)
        terminal.wait_turn(desk.stub, turns + 1)
    (session,) = set(desk.transcripts()) - known
    return session


@pytest.mark.parametrize("how", ["interactive", "headless"])
def test_the_only_conversation_of_a_worktree(desk: Desk, how: str) -> None:
    one = desk.new("one")
    unseen = speak_unnoticed(desk, one, "marker-one", how)
    assert current(desk, one) != unseen
    done = desk.turn("resume", "one", say="no", check=False)
    assert done.returncode == 1
    assert "Claude has no transcript" in done.stderr
    assert len(desk.stub.conversations()) == 1
    with desk.terminal("mooring", "resume", "one") as terminal:
        assert b"going on with the only one that the worktree holds" in terminal.output
        terminal.type("marker-two")
        terminal.wait_turn(desk.stub, 2)
    assert desk.heard("marker-one", "marker-two") == ["marker-one", "marker-two"]
    assert current(desk, one) == unseen
    desk.turn("resume", "one", say="marker-three")
    assert desk.heard("marker-one", "marker-three") == ["marker-one", "marker-three"]


def test_one_of_two_unseen_conversations_is_not_guessed(newer: Desk) -> None:
    one = newer.new("one")
    markers = ("marker-one", "marker-two")
    unseen = {speak_unnoticed(newer, one, marker, "headless") for marker in markers}
    asked = len(newer.stub.requests)
    with Terminal(newer.person, "mooring", "resume", "one", cwd=newer.repo) as terminal:
        assert terminal.wait() == 1
        assert "Claude has no transcript" in terminal.screen
        assert "mooring sessions --all" in terminal.screen
    assert len(newer.stub.requests) == asked
    assert set(newer.sessions("--all")) == unseen


SETTINGS = ".claude/settings.local.json"


def test_settings_that_the_repo_tracks(desk: Desk) -> None:
    text = '{"permissions": {"allow": ["Bash(ls)"]}}\n'
    commit(desk.person, desk.repo, {SETTINGS: text})
    done = desk.turn("new", "one", say="marker-one")
    assert f"{SETTINGS} is the repo's own: Claude gets its hooks by --settings" in done.stderr
    one = desk.repo.parent / "shop.worktrees/one"
    session = current(desk, one)
    assert ("session-start", "one", session, "startup") in desk.events()
    with desk.terminal("mooring", "resume", "one") as terminal:
        terminal.type("/clear")
        until(lambda: desk.row("one")["session"] != session)
    second = current(desk, one)
    assert desk.claude(one, "marker-two") != current(desk, one) == second
    assert (one / SETTINGS).read_text() == text
    for place in (one, desk.repo):
        assert desk.person.git("status", "--porcelain", cwd=place).stdout == ""
    desk.mooring("end", "one")


def hooks_of(settings: dict[str, Any], event: str) -> list[str]:
    """The commands of an event's hooks, ours as `mooring`."""
    commands = [hook["command"] for group in settings["hooks"][event] for hook in group["hooks"]]
    return ["mooring" if command.startswith(TAG) else command for command in commands]


def test_the_persons_own_settings_are_composed_with_ours(desk: Desk) -> None:
    files = {".gitignore": f"/{SETTINGS}\n.env*\n", ".worktreeinclude": f"{SETTINGS}\n"}
    commit(desk.person, desk.repo, files)
    log = desk.person.home / "log"
    ours = {"hooks": [{"type": "command", "command": f"echo theirs >>{log}"}]}
    settings = {"permissions": {"allow": ["Bash(ls)"]}, "hooks": {"SessionStart": [ours]}}
    (desk.repo / SETTINGS).parent.mkdir()
    (desk.repo / SETTINGS).write_text(json.dumps(settings))
    one = desk.new("one")

    def there() -> dict[str, Any]:
        found: dict[str, Any] = json.loads((one / SETTINGS).read_text())
        return found

    assert hooks_of(there(), "SessionStart") == [f"echo theirs >>{log}", "mooring"]
    assert hooks_of(there(), "SessionEnd") == ["mooring"]
    session = desk.claude(one, "marker-one")
    assert log.read_text().split() == ["theirs"]
    assert current(desk, one) == session
    allowed = there() | {"permissions": {"allow": ["Bash(ls)", "Bash(make)"]}}
    (one / SETTINGS).write_text(json.dumps(allowed))
    assert "unchanged" in desk.mooring("new", "one", "--launch", "none").stderr
    assert there() == allowed
    assert desk.person.git("status", "--porcelain", cwd=one).stdout == ""
    desk.mooring("end", "one")
    desk.turn("resume", "one", say="marker-two")
    assert desk.heard("marker-one", "marker-two") == ["marker-one", "marker-two"]
    assert there() == allowed


def test_an_event_that_comes_twice_counts_once(desk: Desk) -> None:
    """A newer Claude runs the hooks of the main checkout, too, unless they are the very same."""
    commit(desk.person, desk.repo, {".gitignore": f"/{SETTINGS}\n.env*\n"})
    one = desk.new("one")
    (desk.repo / SETTINGS).parent.mkdir()
    text = (one / SETTINGS).read_text()
    another = text.replace('; exit 0"', '; exit 0 # another"')
    assert another != text
    (desk.repo / SETTINGS).write_text(another)
    session = desk.claude(one, "marker-one")
    lines = (desk.person.home / ".claude/mooring/events.jsonl").read_text().splitlines()
    starts = [line for line in lines if '"SessionStart"' in line]
    assert len(starts) == (1 if desk.older else 2)
    found = desk.events()
    assert found.count(("session-start", "one", session, "startup")) == 1
    assert len(found) == len({kind for kind, *_ in found}) == 2
    assert current(desk, one) == session


def test_a_turn_that_leaves_no_transcript_is_none(newer: Desk) -> None:
    done = newer.mooring("new", "one", "--", "-p", "--version", check=False)
    session = newer.row("one")["session"]
    assert "Claude Code" in done.stdout
    assert done.returncode == 1
    assert f"there is no transcript of session {session}" in done.stderr
    assert newer.sessions("one") == {session: "reserved"}
    assert newer.turn("new", "one", say="marker-one").returncode == 0
    persistent = len(newer.transcripts()[session].read_bytes())
    done = newer.mooring("resume", "one", "--", "-p", "marker-two", "--no-session-persistence")
    assert newer.heard("marker-one", "marker-two") == ["marker-one", "marker-two"]
    assert len(newer.transcripts()[session].read_bytes()) == persistent


def test_what_claude_answers_itself_is_a_conversation_too(newer: Desk) -> None:
    newer.turn("new", "one", say="/help")
    assert newer.stub.requests == []
    session = newer.row("one")["session"]
    assert newer.sessions("one") == {session: "recorded"}
    newer.turn("resume", "one", say="marker-one")
    assert newer.heard("marker-one") == ["marker-one"]
    assert set(newer.transcripts()) == {session}


def test_nobody_who_was_killed_keeps_a_session(newer: Desk) -> None:
    """Neither a lease, nor a pid file, nor a process that nobody waits for."""
    _, session = newer.begin("one", "marker-one")
    with newer.waiting("resume", "one", "--", "-p", "marker-two") as mooring:
        (claude,) = children(mooring.pid)
        mooring.kill()
        os.kill(claude, signal.SIGKILL)
        until(lambda: not exists(claude))
        path = newer.person.home / ".local/share/mooring/registry.db"
        with sqlite3.connect(path) as database:
            rows = database.execute("SELECT session_id, pid FROM leases").fetchall()
        assert rows == [(session, mooring.pid)]
    assert newer.sessions() == {session: "recorded"}
    newer.turn("resume", "one", say="marker-three")
    assert "marker-three" in newer.said()
