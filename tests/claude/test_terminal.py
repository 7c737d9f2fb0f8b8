"""The terminal, tried with the real Claude CLI, and what Claude does with a prompt on its stdin."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.claude.stub import MessagesStub
from tests.claude.terminal import Terminal, ready
from tests.support import Person


@pytest.fixture
def someone(any_claude_person: Person, repo: Path) -> Person:
    """A person whose Claude, of either version, trusts `repo`."""
    ready(any_claude_person, repo)
    return any_claude_person


@contextmanager
def claude(person: Person, cwd: Path, *args: str, stdin: Path | None = None) -> Iterator[Terminal]:
    with Terminal(person, "claude", *args, cwd=cwd, stdin=stdin) as terminal:
        yield terminal


def transcripts(person: Person) -> dict[str, str]:
    """Session id -> what its transcript holds."""
    return {path.stem: path.read_text() for path in person.home.glob(".claude/projects/*/*.jsonl")}


def headless_session(person: Person, cwd: Path, prompt: str) -> str:
    done = person.run("claude", "-p", prompt, "--output-format", "json", cwd=cwd)
    return str(json.loads(done.stdout)["session_id"])


def test_a_typed_prompt_reaches_the_stub(someone: Person, repo: Path, stub: MessagesStub) -> None:
    with claude(someone, repo) as terminal:
        terminal.wait_idle()
        terminal.type("marker-one")
        terminal.wait_turn(stub, 1)
        assert stub.answer(stub.last_conversation()) in terminal.screen
        terminal.type("marker-two")
        terminal.wait_turn(stub, 2)
    texts = stub.texts(stub.last_conversation())
    assert [text for text in texts if text.startswith("marker")] == ["marker-one", "marker-two"]
    assert len(transcripts(someone)) == 1


def test_clear_begins_another_session(someone: Person, repo: Path, stub: MessagesStub) -> None:
    with claude(someone, repo) as terminal:
        terminal.wait_idle()
        terminal.type("marker-one")
        terminal.wait_turn(stub, 1)
        terminal.type("/clear")
        terminal.wait_for(lambda: "marker-one" not in terminal.screen)
        terminal.wait_idle()
        terminal.type("marker-two")
        terminal.wait_turn(stub, 2)
    assert "marker-one" not in stub.texts(stub.last_conversation())
    first, second = sorted(transcripts(someone).values(), key=lambda text: "marker-two" in text)
    assert "marker-one" in first
    assert "marker-one" not in second
    assert "marker-two" in second


def test_killed_in_mid_turn_claude_has_kept_the_prompt(
    someone: Person, repo: Path, stub: MessagesStub
) -> None:
    with claude(someone, repo) as terminal, stub.hold():
        terminal.wait_idle()
        terminal.type("marker-one")
        terminal.wait_for(stub.conversations)
        terminal.wait_for(lambda: "marker-one" in "".join(transcripts(someone).values()))
        assert not terminal.idle
        assert terminal.kill(signal.SIGKILL) == -signal.SIGKILL
    ((session, text),) = transcripts(someone).items()
    assert "marker-one" in text
    assert "stub reply" not in text
    with claude(someone, repo, "--resume", session) as terminal:
        terminal.wait_idle()
        terminal.type("marker-two")
        terminal.wait_turn(stub, 2)
    texts = "\n".join(stub.texts(stub.last_conversation()))
    assert texts.index("marker-one") < texts.index("marker-two")


def test_who_is_ready_is_asked_nothing_in_the_worktrees_of_a_repo(
    someone: Person, repo: Path, stub: MessagesStub
) -> None:
    worktree = someone.home / "elsewhere"
    someone.git("worktree", "add", worktree, cwd=repo)
    with claude(someone, worktree) as terminal:
        terminal.wait_idle()
        assert "trust" not in terminal.screen


@pytest.mark.parametrize("resumed", [False, True], ids=["new", "resumed"])
def test_a_file_on_stdin_is_the_first_message(
    someone: Person, repo: Path, stub: MessagesStub, resumed: bool
) -> None:
    prompt = someone.home / "prompt.txt"
    prompt.write_text("\n" + "".join(f"line {n} of \t 'any' $text\n" for n in range(8_000)))
    assert prompt.stat().st_size > 200_000
    args = ["--resume", headless_session(someone, repo, "marker-zero")] if resumed else []
    with claude(someone, repo, *args, stdin=prompt) as terminal:
        terminal.wait_turn(stub, len(args) // 2 + 1, seconds=60)
        texts = stub.texts(stub.last_conversation())
        assert prompt.read_text() in texts
        assert ("marker-zero" in texts) == resumed
        terminal.type("marker-two")
        terminal.wait_turn(stub, len(args) // 2 + 2)
    assert "marker-two" in stub.texts(stub.last_conversation())
    assert len(transcripts(someone)) == 1


def test_the_program_ends_with_the_terminal(person: Person) -> None:
    with Terminal(person, "sh", "-c", "trap '' HUP TERM; sleep 600 & echo $!; wait") as terminal:
        terminal.wait_for(lambda: terminal.screen.strip().isdigit())
        child = int(terminal.screen)
    with pytest.raises(ProcessLookupError):
        os.kill(terminal.pid, 0)
    deadline = time.monotonic() + 10
    while (state := process_state(person, child)) not in ("", "Z"):
        assert time.monotonic() < deadline, state
        time.sleep(0.05)


def process_state(person: Person, pid: int) -> str:
    """The letter that `ps` has for a process; Z is one that ended, nothing one that is gone."""
    done = person.run("ps", "-o", "stat=", "-p", str(pid), check=False)
    return done.stdout.strip()[:1]


def test_it_is_the_programs_own_terminal(person: Person) -> None:
    stdin = person.home / "stdin.txt"
    stdin.write_text("from the file\n")
    script = "cat; stty size </dev/tty; read line </dev/tty; echo read $line; exit 3"
    with Terminal(person, "sh", "-c", script, size=(20, 70), stdin=stdin) as terminal:
        terminal.wait_for("from the file\n20 70\n")
        terminal.type("from the keys")
        assert terminal.wait() == 3
        assert "read from the keys" in terminal.screen


def test_what_never_comes_is_reported_with_the_screen(person: Person) -> None:
    with Terminal(person, "sh", "-c", "echo something else; exec cat") as terminal:
        with pytest.raises(AssertionError, match=r"(?s)no 'never'.*something else"):
            terminal.wait_for("never", 0.3)
        terminal.press("\x04")
        assert terminal.wait() == 0


@pytest.mark.parametrize(
    ("drawn", "seen"),
    [
        (r"one\r\ntwo\033[1;1HO", "One\ntwo"),
        (r"\033[2J\033[2;3Hab\033[5Gc\033[1Ad", "     d\n  abc"),
        (r"abcdef\033[3D\033[K\033[1K!", "   !"),
        (r"abc\033[1G\033[1Pd\033[2@", "d  c"),
        (r"\033]0;title\007\033[31m\360\237\220\232\033[0mx\033[4Gy", "\N{SPIRAL SHELL}xy"),
        (r"1\r\n2\r\n3\r\n4\r\n5\r\n6", "2\n3\n4\n5\n6"),
        (r"1\r\n2\r\n3\033[1;2r\033[2;1H\r\nx\033[r\033[M", "x\n3"),
        (r"123456789012", "1234567890\n12"),
    ],
)
def test_the_screen(person: Person, drawn: str, seen: str) -> None:
    with Terminal(person, "sh", "-c", f"stty raw; printf '{drawn}'", size=(5, 10)) as it:
        assert it.wait() == 0
        it.close()
        assert it.screen.rstrip("\n") == seen
