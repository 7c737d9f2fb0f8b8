"""Claude on a terminal in a container: it asks nothing, and is the same conversation."""

from __future__ import annotations

import json
import os
import shlex
import signal

from tests.claude.desk import Desk
from tests.claude.terminal import Terminal
from tests.containers.engine import Engine
from tests.support import until

TOPIC = "fix-login"


def processes(box: Desk) -> str:
    """What runs in the container."""
    return box.mooring("run", TOPIC, "--", "ps", "-eo", "args").stdout


def hang_up(box: Desk, terminal: Terminal) -> None:
    """Close the terminal, as its window's cross does: what runs in it ends."""
    assert "claude" in processes(box)
    os.killpg(terminal.pid, signal.SIGHUP)
    until(lambda: "claude" not in processes(box))


def test_a_first_start_asks_nothing(box: Desk) -> None:
    with box.terminal("mooring", "new", TOPIC, "--launch", "exec") as terminal:
        terminal.type("marker-one")
        terminal.wait_turn(box.stub, 1)
        hang_up(box, terminal)
    box.turn("resume", TOPIC, "--in", "host", say="beta")
    assert box.heard("marker-one", "beta") == ["marker-one", "beta"]


def test_after_a_clear_the_new_conversation_goes_on_at_the_host(box: Desk) -> None:
    box.turn("new", TOPIC, say="alpha")
    with box.terminal("mooring", "resume", TOPIC, "--launch", "exec") as terminal:
        terminal.type("/clear")
        terminal.wait_idle()
        terminal.type("marker-two")
        terminal.wait_turn(box.stub, 2)
        hang_up(box, terminal)
    box.turn("resume", TOPIC, "--in", "host", say="beta")
    assert box.heard("alpha", "marker-two", "beta") == ["marker-two", "beta"]


def test_the_users_mcp_servers_come_without_their_tokens(box: Desk, engine: Engine) -> None:
    path = box.person.home / ".claude.json"
    known = json.loads(path.read_text())
    server = {"command": "sh", "args": ["-c", "exit 1"], "env": {"TOKEN": "planted-secret"}}
    path.write_text(json.dumps({**known, "mcpServers": {"tool": server}}))
    box.turn("new", TOPIC, say="alpha")
    script = "cat $CLAUDE_CONFIG_DIR/.claude.json; env"
    inside = box.mooring("run", TOPIC, "--", "sh", "-c", script).stdout
    assert "${MCP_TOOL_TOKEN_" in inside
    assert "planted-secret" not in inside
    assert "planted-secret" not in engine.docker("inspect", box.row(TOPIC)["container"]).stdout


def test_one_that_outlived_its_client_is_named_with_what_ends_it(box: Desk) -> None:
    with box.terminal("mooring", "new", TOPIC, "--launch", "exec") as terminal:
        terminal.type("marker-one")
        terminal.wait_turn(box.stub, 1)
    done = box.turn("resume", TOPIC, "--in", "host", say="beta", check=False)
    assert done.returncode == 1
    hint = next(line for line in done.stderr.splitlines() if "kill -HUP" in line)
    box.person.run(*shlex.split(hint.removeprefix("hint: "), comments=True))
    until(lambda: "claude" not in processes(box))
    box.turn("resume", TOPIC, "--in", "host", say="beta")
    assert box.heard("marker-one", "beta") == ["marker-one", "beta"]


def test_a_shell_ends_with_its_terminal(box: Desk) -> None:
    box.new(TOPIC)
    with Terminal(box.person, "mooring", "shell", TOPIC, cwd=box.repo) as terminal:
        terminal.type("echo here-$((40 + 2)); sleep 987")
        until(lambda: "here-42" in terminal.screen)
        os.kill(terminal.pid, signal.SIGTERM)
        until(lambda: "sleep 987" not in processes(box))
