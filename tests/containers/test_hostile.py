"""What somebody in a container can plant, and that nothing outside follows it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.claude.desk import Desk
from tests.containers.engine import Engine
from tests.support import Done, until

TOPIC = "fix-login"
SLUG = {ord(character): "-" for character in "/._"}


def inside(box: Desk, script: str, *, topic: str = TOPIC) -> Done:
    return box.mooring("run", topic, "--", "sh", "-c", script)


def again(box: Desk, *args: str) -> Done:
    return box.mooring("new", TOPIC, "--recreate", "--launch", "none", *args, check=False)


@pytest.fixture
def precious(box: Desk) -> Path:
    """A directory of the person's, with a file in it."""
    place = box.person.home / "precious"
    place.mkdir()
    (place / "config").write_text("mine")
    return place


@pytest.mark.parametrize("of", ["worktree", "repo"])
def test_a_link_for_a_project_directory(box: Desk, precious: Path, of: str) -> None:
    box.new(TOPIC)
    place = box.row(TOPIC)["worktree"] if of == "worktree" else str(box.repo)
    name = place.translate(SLUG)
    link = f"~/.claude/projects/{name}" + ("/memory" if of == "repo" else "")
    inside(box, f"mkdir -p ~/.claude/projects/{name}; rm -rf {link}; ln -s {precious} {link}")
    done = again(box, "--set", "claude.share=workspace")
    assert done.returncode == 1
    assert "it is a symlink" in done.stderr
    assert (precious / "config").read_text() == "mine"


@pytest.mark.parametrize("name", ["settings.json", ".claude.json", ".claude.json.new"])
def test_directories_and_links_where_files_belong(box: Desk, precious: Path, name: str) -> None:
    store = box.person.home / ".claude"
    store.mkdir(exist_ok=True)
    (store / "settings.json").write_text("{}\n")
    box.turn("new", TOPIC, say="alpha")
    plant = f"rm -rf {name}; mkdir {name}; ln -s {precious}/config {name}/{name}"
    inside(box, f"cd ~/.claude; {plant}")
    box.turn("resume", TOPIC, say="beta")
    inside(box, f"cd ~/.claude; {plant}")
    assert again(box).returncode == 0
    box.turn("resume", TOPIC, say="gamma")
    assert box.heard("alpha", "gamma") == ["alpha", "gamma"]
    assert (precious / "config").read_text() == "mine"


def test_a_link_for_a_submodules_repo(box: Desk, precious: Path) -> None:
    box.new(TOPIC)
    modules = f"{box.repo}/.git/worktrees/{TOPIC}/modules"
    inside(box, f"mkdir -p {modules}; ln -s {precious} {modules}/evil")
    assert again(box).returncode == 0
    assert box.mooring("run", TOPIC, "--", "ls", str(precious), check=False).returncode


def test_configs_that_were_not_there_yet(box: Desk) -> None:
    box.person.git("config", "extensions.worktreeConfig", "true", cwd=box.repo)
    box.new(TOPIC)
    common, proof = box.repo / ".git", box.person.home / "proof"
    script = f"""
        for d in {common} {common}/worktrees/{TOPIC}; do
            printf '[core]\\n\\tfsmonitor = touch {proof}\\n' >$d/config.worktree
        done
        mkdir -p {common}/modules/sub
        true
    """
    inside(box, script)
    worktree = Path(box.row(TOPIC)["worktree"])
    for place in (box.repo, worktree):
        box.person.git("status", "--short", cwd=place)
    assert not proof.exists()
    assert not list((common / "modules").iterdir())


def test_a_container_that_never_answers_holds_nobody_up(box: Desk, engine: Engine) -> None:
    box.new(TOPIC)
    name = box.row(TOPIC)["container"]
    inside(box, "mkdir -p ~/.claude/sessions; echo '{}' >~/.claude/sessions/77.json")
    # What is `sh` in there answers no more.
    engine.docker("exec", name, "sh", "-c", "cp /bin/sleep /usr/bin/never; exec 9>/dev/null")
    script = (
        "printf '#!/usr/bin/bash\\nexec -a x /usr/bin/sleep 1000\\n' >/tmp/sh; chmod 755 /tmp/sh"
    )
    engine.docker("exec", name, "bash", "-c", f"{script}; mv -f /tmp/sh /usr/bin/sh")
    assert box.mooring("new", TOPIC, "--launch", "none", timeout=60).returncode == 0
    assert box.mooring("end", TOPIC, timeout=60).returncode == 0


@contextmanager
def running(box: Desk, *argv: str) -> Iterator[None]:
    """A command in the container, which ends with the context."""
    mooring = [sys.executable, "-m", "mooring", "run", TOPIC, "--", *argv]
    run = subprocess.Popen(mooring, cwd=box.repo, env=box.person.env, stdin=subprocess.DEVNULL)
    try:
        until(lambda: " ".join(argv) in inside(box, "ps -eo args").stdout)
        yield
    finally:
        run.terminate()
        run.wait()


def test_a_command_that_runs_in_it_is_not_ended_unasked(box: Desk, engine: Engine) -> None:
    box.new(TOPIC)
    with running(box, "sleep", "600"):
        done = box.mooring("new", TOPIC, "--launch", "none", "--set", "container.memory=64m")
        assert "this runs in it: sleep 600" in done.stderr
        done = box.mooring("end", TOPIC, check=False)
        assert done.returncode == 1
        assert "sleep 600" in done.stderr
        box.mooring("end", TOPIC, "--force")
