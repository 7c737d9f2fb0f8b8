"""Whatever moment a run dies at, the next comes to one container, and leaves nothing beside."""

from __future__ import annotations

import json
import time

import pytest

from tests.claude.desk import Desk
from tests.containers.engine import Engine
from tests.git.killing import kill_after, start

TOPIC = "fix-login"


def containers(box: Desk, engine: Engine) -> list[str]:
    """The names of this desk's containers."""
    form = '{{.Names}} {{.Label "mooring.worktree"}}'
    listed = ("ps", "--all", "--filter", "label=mooring.topic", "--format", form)
    rows = (line.split(" ", 1) for line in engine.docker(*listed).stdout.splitlines())
    return [name for name, worktree in rows if worktree.startswith(str(box.repo.parent))]


@pytest.mark.parametrize("share", range(1, 8))
@pytest.mark.parametrize("verb", ["new", "end"])
def test_a_run_that_dies_is_done_by_the_next(
    box: Desk, engine: Engine, verb: str, share: int
) -> None:
    args = {"new": ("new", TOPIC, "--launch", "none"), "end": ("end", TOPIC)}
    began = time.monotonic()
    box.mooring(*args["new"])
    if verb == "new":
        took = time.monotonic() - began
        box.mooring("end", TOPIC)
    else:
        took = 1.0
    kill_after(start(box.person, *args[verb], cwd=box.repo), took * share / 8)
    box.mooring(*args[verb])
    there = containers(box, engine)
    if verb == "end":
        assert there == []
        return
    name = box.row(TOPIC)["container"]
    assert there == [name]
    assert not engine.docker("ps", "-aq", "--filter", f"label=mooring.look={name}").stdout
    assert box.mooring("run", TOPIC, "--", "git", "status", "--short").stdout == ""
    assert json.loads(box.mooring("new", TOPIC, "--json").stdout)["changed"] == []
