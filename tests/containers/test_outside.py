"""What a container wrote into the worktree is not run by Claude on the host, unless trusted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.claude.desk import Desk
from tests.containers.engine import Engine

TOPIC = "fix-login"


def hook(proof: Path) -> str:
    """Settings whose hook leaves a proof that it ran."""
    ours = [{"hooks": [{"type": "command", "command": f"touch {proof}"}]}]
    return json.dumps({"hooks": {"SessionStart": ours}})


@pytest.mark.parametrize(
    "plant",
    [
        "echo '{text}' >.claude/settings.json",
        "echo '{text}' >.claude/settings.local.json",
        "mkdir evil; echo '{text}' >evil/settings.json; rm -r .claude; ln -s evil .claude",
    ],
)
def test_hooks_that_were_written_in_the_container(box: Desk, plant: str) -> None:
    proof = box.person.home / "proof"
    box.turn("new", TOPIC, say="alpha")
    script = plant.replace("{text}", hook(proof))
    box.mooring("run", TOPIC, "--", "sh", "-c", script)
    done = box.turn("resume", TOPIC, "--in", "host", say="beta", check=False)
    assert done.returncode == 4
    assert ".claude" in done.stderr
    assert not proof.exists()
    box.turn("resume", TOPIC, "--in", "host", "--trust", say="gamma")
    assert box.heard("alpha", "gamma") == ["alpha", "gamma"]
    assert proof.exists()
    box.turn("resume", TOPIC, "--in", "host", say="delta")


def test_what_the_person_changed_at_the_host_is_theirs(box: Desk) -> None:
    box.turn("new", TOPIC, say="alpha")
    box.turn("resume", TOPIC, "--in", "host", say="beta")
    path = Path(box.row(TOPIC)["worktree"]) / ".claude/settings.json"
    path.write_text('{"cleanupPeriodDays": 400}')
    box.turn("resume", TOPIC, say="gamma")
    box.turn("resume", TOPIC, "--in", "host", say="delta")
    assert box.heard("alpha", "beta", "gamma", "delta") == ["alpha", "beta", "gamma", "delta"]


def test_a_container_that_was_entered_by_hand(box: Desk, engine: Engine) -> None:
    proof = box.person.home / "proof"
    box.turn("new", TOPIC, "--in", "host", say="alpha")
    box.new(TOPIC)
    row = box.row(TOPIC)
    script = f"cd {row['worktree']}; cat >.claude/settings.json"
    engine.docker("exec", "-i", row["container"], "sh", "-c", script, input=hook(proof))
    done = box.turn("resume", TOPIC, "--in", "host", say="beta", check=False)
    assert done.returncode == 4
    assert not proof.exists()


def test_claudes_own_worktrees_are_not_looked_at(box: Desk) -> None:
    box.turn("new", TOPIC, say="alpha")
    script = "mkdir -p .claude/worktrees/x; echo '{}' >.claude/worktrees/x/settings.json"
    box.mooring("run", TOPIC, "--", "sh", "-c", script)
    box.turn("resume", TOPIC, "--in", "host", say="beta")
    assert box.heard("alpha", "beta") == ["alpha", "beta"]
