"""A conversation goes on wherever its workspace is entered: host, container, another container."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.claude.desk import Desk
from tests.claude.terminal import Terminal
from tests.containers.engine import Engine
from tests.support import need, until

TOPIC = "fix-login"


def turn(box: Desk, place: str, say: str) -> None:
    box.turn("resume", TOPIC, "--in", place, say=say)


def container_of(box: Desk) -> str:
    return str(box.row(TOPIC)["container"])


@pytest.mark.parametrize("first", ["host", "container"])
def test_a_conversation_goes_on_in_the_other_place_and_back(box: Desk, first: str) -> None:
    other = "container" if first == "host" else "host"
    box.turn("new", TOPIC, "--in", first, say="alpha")
    turn(box, other, "beta")
    assert box.heard("alpha", "beta") == ["alpha", "beta"]
    turn(box, first, "gamma")
    assert box.heard("alpha", "beta", "gamma") == ["alpha", "beta", "gamma"]
    assert list(box.transcripts()) == [box.row(TOPIC)["session"]]


def test_a_container_that_is_made_anew_from_another_image(
    box: Desk, engine: Engine, vscode_image: str
) -> None:
    box.turn("new", TOPIC, say="alpha")
    first = engine.inspect(container_of(box))
    box.turn("resume", TOPIC, "--set", f"container.image={vscode_image}", say="beta")
    assert box.heard("alpha", "beta") == ["alpha", "beta"]
    second = engine.inspect(container_of(box))
    assert second["Id"] != first["Id"]
    assert second["Image"] != first["Image"]


def test_a_container_that_somebody_removed(box: Desk, engine: Engine) -> None:
    box.turn("new", TOPIC, say="alpha")
    engine.docker("rm", "--force", container_of(box))
    box.turn("resume", TOPIC, say="beta")
    assert box.heard("alpha", "beta") == ["alpha", "beta"]


def test_a_workspace_that_ended(box: Desk, engine: Engine) -> None:
    box.turn("new", TOPIC, say="alpha")
    name = container_of(box)
    box.mooring("end", TOPIC)
    assert engine.docker("inspect", name, check=False).returncode
    box.turn("resume", TOPIC, say="beta")
    assert box.heard("alpha", "beta") == ["alpha", "beta"]


def test_two_containers_at_once_have_a_conversation_each(box: Desk) -> None:
    box.turn("new", TOPIC, say="alpha")
    box.turn("new", "other", say="delta")
    box.turn("resume", TOPIC, say="beta")
    assert box.heard("alpha", "beta", "delta") == ["alpha", "beta"]
    box.turn("resume", "other", say="epsilon")
    assert box.heard("alpha", "delta", "epsilon") == ["delta", "epsilon"]


def test_a_conversation_that_runs_in_the_container_is_not_begun_twice(box: Desk) -> None:
    box.turn("new", TOPIC, say="alpha")
    with box.waiting("resume", TOPIC, "--", "-p", "beta"):
        done = box.turn("resume", TOPIC, "--in", "host", say="gamma", check=False)
        assert done.returncode == 1
        assert "is running" in done.stderr
        refused = box.mooring("end", TOPIC, check=False)
        assert "Claude is running there" in refused.stderr


def test_a_store_of_its_own_survives_the_container(box: Desk, engine: Engine) -> None:
    box.turn("new", "elsewhere", "--in", "host", say="omega")
    box.turn("new", TOPIC, "--set", "claude.share=none", say="alpha")
    assert len(box.transcripts()) == 1
    inside = box.mooring("run", TOPIC, "--", "sh", "-c", "ls ~/.claude/projects").stdout
    assert TOPIC in inside
    assert "elsewhere" not in inside
    engine.docker("rm", "--force", container_of(box))
    box.turn("resume", TOPIC, say="beta")
    assert box.heard("alpha", "beta", "omega") == ["alpha", "beta"]
    box.mooring("end", TOPIC)
    box.turn("resume", TOPIC, say="gamma")
    assert box.heard("alpha", "beta", "gamma") == ["alpha", "beta", "gamma"]


def test_a_share_of_the_workspace_sees_no_other_conversation(box: Desk) -> None:
    box.turn("new", "elsewhere", "--in", "host", say="omega")
    box.turn("new", TOPIC, "--in", "host", say="alpha")
    box.turn("resume", TOPIC, "--set", "claude.share=workspace", say="beta")
    assert box.heard("alpha", "beta") == ["alpha", "beta"]
    script = "find ~/.claude/projects -name '*.jsonl'"
    inside = box.mooring("run", TOPIC, "--", "sh", "-c", script).stdout.split()
    assert [Path(path).stem for path in inside] == [box.row(TOPIC)["session"]]


def test_a_store_that_cannot_be_written_is_refused_before_claude_starts(box: Desk) -> None:
    box.turn("new", TOPIC, say="alpha")
    asked = len(box.stub.conversations())
    box.mooring("new", TOPIC, "--set", "container.user=1234:1234", "--launch", "none")
    done = box.turn("resume", TOPIC, say="beta", check=False)
    assert done.returncode == 1
    assert "uid 1234 can't write to the session store" in done.stderr
    assert len(box.stub.conversations()) == asked


def test_a_fork_has_a_container_of_its_own(box: Desk) -> None:
    box.turn("new", TOPIC, say="alpha")
    box.turn("resume", TOPIC, "--fork", "second", say="beta")
    assert box.heard("alpha", "beta") == ["alpha", "beta"]
    first, second = box.row(TOPIC), box.row("second")
    assert first["container"] != second["container"]
    assert first["session"] != second["session"]
    box.turn("resume", "second", "--in", "host", say="gamma")
    assert box.heard("alpha", "beta", "gamma") == ["alpha", "beta", "gamma"]


@pytest.fixture
def windows(box: Desk) -> Iterator[Desk]:
    """The desk with a tmux server of its own, which is there before the engine's name is known."""
    need("tmux")
    with tempfile.TemporaryDirectory(prefix="mooring-") as sockets:  # a socket's path is short
        own = replace(box.person, env=box.person.env | {"TMUX_TMPDIR": sockets, "TERM": "xterm"})
        bare = {name: value for name, value in own.env.items() if name != "DOCKER_HOST"}
        replace(own, env=bare).run("tmux", "new-session", "-d", "-s", "base", "sleep", "600")
        yield replace(box, person=own)
        own.run("tmux", "kill-server", check=False)


def test_in_tmux_it_is_the_same_container(windows: Desk) -> None:
    def processes() -> str:
        return windows.mooring("run", TOPIC, "--", "ps", "-eo", "args").stdout

    windows.mooring("new", TOPIC, "--launch", "tmux", "--prompt", "alpha")
    until(lambda: windows.stub.conversations())
    assert windows.heard("alpha") == ["alpha"]
    assert "claude" in processes()
    windows.person.run("tmux", "kill-server")
    until(lambda: "claude" not in processes())


def test_a_store_of_its_own_is_not_changed_under_a_conversation(box: Desk) -> None:
    box.turn("new", TOPIC, say="alpha")
    done = box.turn("resume", TOPIC, "--set", "claude.share=none", say="beta", check=False)
    assert done.returncode == 1
    assert "its conversation is in the host's" in done.stderr
    box.turn("resume", TOPIC, say="beta")
    assert box.heard("alpha", "beta") == ["alpha", "beta"]
    own = ("--set", "claude.share=none")
    box.turn("new", "own", *own, say="gamma")
    for args in (("--in", "host"), ("--unset", "claude.share")):
        done = box.turn("resume", "own", *args, say="delta", check=False)
        assert done.returncode == 1
        assert "the container's own store" in done.stderr
    box.turn("resume", "own", say="delta")
    assert box.heard("gamma", "delta") == ["gamma", "delta"]


def test_a_conversation_of_its_own_store_is_known_as_recorded(box: Desk) -> None:
    box.new(TOPIC, "--set", "claude.share=none")
    session = box.row(TOPIC)["session"]
    script = 'claude -p --session-id "$CLAUDE_SESSION_ID" hello'
    box.mooring("run", TOPIC, "--", "sh", "-c", script)
    assert box.sessions() == {session: "recorded"}
    assert box.row(TOPIC)["session_state"] == "recorded"


def test_a_worktree_that_was_deleted_comes_back_with_its_container(box: Desk) -> None:
    box.turn("new", TOPIC, say="alpha")
    shutil.rmtree(box.row(TOPIC)["worktree"])
    box.turn("resume", TOPIC, say="beta")
    assert box.heard("alpha", "beta") == ["alpha", "beta"]
    assert box.mooring("run", TOPIC, "--", "git", "status", "--short").stdout == ""


def test_claude_that_is_just_starting_is_not_ended(box: Desk) -> None:
    """At a first dialogue it has no pid file yet, but the lease of its session."""
    (box.person.home / ".claude.json").write_text("{}")  # it will ask whether the key may be used
    with Terminal(
        box.person, "mooring", "new", TOPIC, "--launch", "exec", cwd=box.repo
    ) as terminal:
        until(lambda: "API key" in terminal.screen)
        done = box.mooring("end", TOPIC, check=False)
        assert done.returncode == 1
        assert "Claude is just starting there" in done.stderr
        drift = ("--set", "container.memory=64m")
        done = box.mooring("new", TOPIC, "--launch", "none", *drift)
        assert "stays as it is" in done.stderr
