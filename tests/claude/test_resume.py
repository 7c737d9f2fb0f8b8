"""The conversation outlives the workspace: the real Claude Code CLI against the stub."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.claude.stub import MessagesStub
from tests.support import Done, Person

MARKER = "the-blue-heron"


def turn(person: Person, repo: Path, *args: str, check: bool = True) -> Done:
    """One headless turn: `mooring ARGS -- -p …`."""
    return person.mooring(*args, cwd=repo, check=check)


def claude_json(done: Done) -> dict[str, object]:
    """Claude's own result, which passes through on stdout."""
    result = json.loads(done.stdout)
    assert isinstance(result, dict)
    return result


def transcripts(person: Person) -> list[Path]:
    """Every transcript in the person's store."""
    return sorted(person.home.glob(".claude/projects/*/*.jsonl"))


def begin(person: Person, repo: Path, topic: str = "fix-login") -> dict[str, object]:
    """Make a workspace, and have the first turn of its conversation."""
    prompt = f"remember {MARKER}"
    done = turn(person, repo, "new", topic, "--", "-p", prompt, "--output-format", "json")
    return claude_json(done)


def go_on(person: Person, repo: Path, *args: str) -> dict[str, object]:
    """Resume with a second headless turn."""
    done = turn(person, repo, "resume", *args, "--", "-p", "go on", "--output-format", "json")
    return claude_json(done)


def assert_resumed(
    person: Person,
    stub: MessagesStub,
    first: dict[str, object],
    second: dict[str, object],
    size: int,
) -> None:
    """The model saw the earlier turn, the id is the same, and one transcript grew."""
    texts = "\n".join(stub.texts(stub.last_conversation()))
    assert MARKER in texts
    assert "go on" in texts
    assert second["session_id"] == first["session_id"]
    (transcript,) = transcripts(person)
    assert transcript.stem == first["session_id"]
    assert transcript.stat().st_size > size


def test_new_end_resume(claude_person: Person, repo: Path, stub: MessagesStub) -> None:
    first = begin(claude_person, repo)
    row = json.loads(claude_person.mooring("status", "fix-login", "--json", cwd=repo).stdout)
    assert row["session"] == first["session_id"]
    size = transcripts(claude_person)[0].stat().st_size
    claude_person.mooring("end", "fix-login", cwd=repo)
    assert not Path(row["worktree"]).exists()
    second = go_on(claude_person, repo, "fix-login", "--new-worktree")
    assert_resumed(claude_person, stub, first, second, size)
    assert Path(row["worktree"]).is_dir()


def test_the_directory_was_deleted_by_hand(
    claude_person: Person, repo: Path, stub: MessagesStub
) -> None:
    first = begin(claude_person, repo)
    row = json.loads(claude_person.mooring("status", "fix-login", "--json", cwd=repo).stdout)
    size = transcripts(claude_person)[0].stat().st_size
    shutil.rmtree(row["worktree"])
    done = turn(
        claude_person, repo, "resume", "fix-login", "--", "-p", "go on", "--output-format", "json"
    )
    assert f"rebuilt {row['worktree']}" in done.stderr
    assert_resumed(claude_person, stub, first, claude_json(done), size)


def test_a_deleted_branch_is_made_again_from_the_last_commit_seen(
    claude_person: Person, repo: Path, stub: MessagesStub
) -> None:
    first = begin(claude_person, repo)
    row = json.loads(claude_person.mooring("status", "fix-login", "--json", cwd=repo).stdout)
    worktree = Path(row["worktree"])
    (worktree / "work.txt").write_text("work\n")
    claude_person.git("add", "work.txt", cwd=worktree)
    claude_person.git("commit", "-qm", "work", cwd=worktree)
    commit = claude_person.git("rev-parse", "HEAD", cwd=worktree).stdout.strip()
    claude_person.mooring("new", "fix-login", "--launch", "none", cwd=repo)  # a probe sees it
    shutil.rmtree(worktree)
    claude_person.git("worktree", "prune", cwd=repo)
    claude_person.git("branch", "-qD", "fix-login", cwd=repo)
    size = transcripts(claude_person)[0].stat().st_size
    second = go_on(claude_person, repo, "fix-login")
    assert_resumed(claude_person, stub, first, second, size)
    assert claude_person.git("rev-parse", "HEAD", cwd=worktree).stdout.strip() == commit


def test_resume_in_the_workspace_as_it_is(
    claude_person: Person, repo: Path, stub: MessagesStub
) -> None:
    first = begin(claude_person, repo)
    size = transcripts(claude_person)[0].stat().st_size
    second = go_on(claude_person, repo, "fix-login")
    assert_resumed(claude_person, stub, first, second, size)


def test_two_workspaces_have_conversations_of_their_own(
    claude_person: Person, repo: Path, stub: MessagesStub
) -> None:
    first, other = begin(claude_person, repo), begin(claude_person, repo, "other")
    assert first["session_id"] != other["session_id"]
    assert go_on(claude_person, repo, "other")["session_id"] == other["session_id"]
    assert len(transcripts(claude_person)) == 2


def test_without_a_transcript_claude_is_not_started(
    claude_person: Person, repo: Path, stub: MessagesStub
) -> None:
    claude_person.mooring("new", "fix-login", "--launch", "none", cwd=repo)
    done = turn(claude_person, repo, "resume", "fix-login", "--", "-p", "go on", check=False)
    assert done.returncode == 1
    assert "no transcript" in done.stderr
    assert "hint: mooring new fix-login" in done.stderr
    assert stub.requests == []
    path = claude_person.mooring("resume", "fix-login", "--launch", "none", cwd=repo).stdout
    assert Path(path.strip()).is_dir()


def test_new_never_gives_a_used_session_id_again(
    claude_person: Person, repo: Path, stub: MessagesStub
) -> None:
    first = begin(claude_person, repo)
    asked = len(stub.requests)
    done = turn(claude_person, repo, "new", "fix-login", "--", "-p", "again", check=False)
    assert done.returncode == 1
    assert "hint: mooring resume fix-login -- -p again" in done.stderr
    assert len(stub.requests) == asked
    claude_person.mooring("end", "fix-login", cwd=repo)
    row = json.loads(
        claude_person.mooring("new", "fix-login", "--launch", "none", "--json", cwd=repo).stdout
    )
    assert row["session"] == first["session_id"]


def test_claude_has_the_environment_and_its_status_is_ours(
    claude_person: Person, repo: Path, stub: MessagesStub
) -> None:
    done = turn(claude_person, repo, "new", "x", "--", "-p", "hi", "--no-such-flag", check=False)
    assert done.returncode == 1
    assert "--no-such-flag" in done.stderr


def test_a_captured_session_is_listed_as_recorded(claude_person: Person, repo: Path) -> None:
    begin(claude_person, repo)
    claude_person.mooring("new", "fix-login", "--launch", "none", cwd=repo)
    (row,) = json.loads(claude_person.mooring("sessions", "--json", cwd=repo).stdout)
    assert row["state"] == "recorded"
    claude_person.mooring("end", "fix-login", cwd=repo)
    (row,) = json.loads(claude_person.mooring("sessions", "fix-login", "--json", cwd=repo).stdout)
    assert row["state"] == "cleared"


@pytest.mark.parametrize("option", ["--branch", "--base"])
def test_resume_can_override(
    claude_person: Person, repo: Path, stub: MessagesStub, option: str
) -> None:
    first = begin(claude_person, repo)
    claude_person.git("branch", "side", "HEAD~1", cwd=repo)
    claude_person.mooring("end", "fix-login", cwd=repo)
    second = go_on(claude_person, repo, "fix-login", "--new-worktree", option, "side")
    assert second["session_id"] == first["session_id"]
    row = json.loads(claude_person.mooring("status", "fix-login", "--json", cwd=repo).stdout)
    head = claude_person.git("rev-parse", "HEAD", cwd=Path(row["worktree"])).stdout
    assert head == claude_person.git("rev-parse", "side", cwd=repo).stdout
    assert row["branch"] == ("side" if option == "--branch" else "fix-login")
