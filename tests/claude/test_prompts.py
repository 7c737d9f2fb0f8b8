"""What `--prompt` says reaches the real Claude as it is, as a message, and by no command line."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.claude.desk import NEWER, OLDER, Desk
from tests.claude.stub import MessagesStub
from tests.claude.terminal import Terminal, ready
from tests.git.traces import listing, records
from tests.support import Person, until

FILE = ".session-prompt.md"
FORMS = ("TEXT", "@FILE", "-")
NOT_RUN = {
    "/clear": "Prompt:\n/clear",
    "/help": "Prompt:\n/help",
    "  /clear after blanks": "Prompt:\n  /clear after blanks",
    "exit": "Prompt:\nexit",
    "!touch ran": "!touch ran",
    "# remember this": "# remember this",
    "\n\nafter empty lines\n\nand before them\n\n": "\n\nafter empty lines\n\nand before them\n\n",
}
"""What is said, and how it arrives."""


def new_messages(desk: Desk) -> list[str]:
    """The texts of the first message after the model's last answer, which must be a user's."""
    messages = desk.stub.last_conversation()["messages"]
    answers = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
    left = messages[answers[-1] + 1 if answers else 0 :]
    first = next(message for message in left if message["role"] != "system")
    assert first["role"] == "user"
    return desk.stub.texts({"messages": [first]})


def answers(desk: Desk) -> int:
    """How many answers of the model's the newest conversation has."""
    messages = desk.stub.last_conversation()["messages"]
    return sum(message["role"] == "assistant" for message in messages)


def carriers(marker: str) -> set[int]:
    """The processes of this machine that have a text on their command line."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            data = path.read_bytes()
        except OSError:  # it has ended
            continue
        if marker.encode() in data:
            found.add(int(path.parent.name))
    return found


@contextmanager
def said(desk: Desk, how: str, form: str, text: str, *args: str) -> Iterator[int]:
    """`mooring ARGS --prompt …` until Claude has asked the model; the answer waits for the end.

    Gives the pid of what was `mooring`. The command must then end well, or wait for a prompt.
    """
    file = desk.person.home / "prompt.txt"
    file.write_text(text)
    given = {"TEXT": text, "@FILE": f"@{file}", "-": "-"}[form]
    argv = ["mooring", *args, "--prompt", given]
    turns = len(desk.stub.conversations()) + 1

    def asked() -> bool:
        found = carriers(text[:36]) if form != "TEXT" else set()
        assert found == set()
        return len(desk.stub.conversations()) >= turns

    if how == "interactive":
        # With a stdin that is no terminal, Claude isn't started unless somebody says so.
        stdin, how_to = (file, ("--launch", "exec")) if form == "-" else (None, ())
        with Terminal(desk.person, *argv, *how_to, cwd=desk.repo, stdin=stdin) as terminal:
            with desk.stub.hold():
                terminal.wait_for(asked, what="request")
                yield terminal.pid
            terminal.wait_turn(desk.stub, turns)
        return
    with file.open("rb") as stdin_file:
        process = subprocess.Popen(
            [sys.executable, "-m", *argv, "--", "-p"],
            cwd=desk.repo,
            env=desk.person.env,
            stdin=stdin_file if form == "-" else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    try:
        with desk.stub.hold():
            until(asked)
            yield process.pid
        stdout, stderr = process.communicate(timeout=30)
        assert process.returncode == 0, stderr
        assert b"stub reply" in stdout
    finally:
        process.kill()
        process.wait()


def long(size: int) -> str:
    """A text of about that many bytes that begins with 36 characters that no other has."""
    lines = (f"line {number}: der Größe nach — 漢字\n" for number in range(size // 38))
    return f"{uuid.uuid4()}\n{''.join(lines)}"


@pytest.mark.parametrize("how", ["headless", "interactive"])
@pytest.mark.parametrize(("program", "form"), [*((NEWER, form) for form in FORMS), (OLDER, "-")])
def test_a_long_prompt_arrives_and_is_on_no_command_line(
    person: Person, repo: Path, stub: MessagesStub, program: str, form: str, how: str
) -> None:
    desk = Desk(person.with_claude(stub, program), repo, stub)
    ready(desk.person, repo)
    place = repo.parent / "shop.worktrees/one"
    for number, verb in enumerate(("new", "resume")):
        # The system takes no argument of more than 128 KiB.
        text = long(100_000 if form == "TEXT" else 200_000)
        assert len(text.encode()) > (95_000 if form == "TEXT" else 200_000)
        with said(desk, how, form, text, verb, "one") as mooring:
            waits_itself = {mooring} if how == "headless" and form == "TEXT" else set()
            assert carriers(text[:36]) == waits_itself
            assert text in new_messages(desk)
            assert answers(desk) == number
            assert (place / FILE).read_text() == text
            assert (place / FILE).stat().st_mode & 0o777 == 0o600
            for where in (place, repo):
                assert desk.person.git("status", "--porcelain", cwd=where).stdout == ""
    assert len(desk.transcripts()) == 1


def some(desk: Desk) -> list[str]:
    """What a desk's Claude is told: not all of it again to the older one."""
    return ["/clear", "exit", "!touch ran"] if desk.older else list(NOT_RUN)


def test_headless_what_looks_like_a_command_is_a_message(desk: Desk) -> None:
    place, session = desk.begin("one", "marker-one")
    for text in some(desk):
        asked = len(desk.stub.conversations())
        done = desk.mooring("resume", "one", "--prompt", "-", "--", "-p", input=text)
        assert len(desk.stub.conversations()) == asked + 1, done
        assert NOT_RUN[text] in new_messages(desk)
        assert desk.heard("marker-one") == ["marker-one"]
        assert done.stdout.strip() == desk.stub.answer(desk.stub.last_conversation())
        assert (place / FILE).read_text() == text
    assert_nothing_ran(desk, place, session)


def test_interactive_what_looks_like_a_command_is_a_message(desk: Desk) -> None:
    place, session = desk.begin("one", "marker-one")
    for text in (text for text in some(desk) if not text.startswith(" ")):
        with said(desk, "interactive", "TEXT", text, "resume", "one"):
            assert NOT_RUN[text] in new_messages(desk)
            assert desk.heard("marker-one") == ["marker-one"]
    assert_nothing_ran(desk, place, session)


def assert_nothing_ran(desk: Desk, place: Path, session: str) -> None:
    assert list(desk.transcripts()) == [session]
    assert desk.row("one")["session"] == session
    assert desk.sessions("one") == {session: "recorded"}
    assert not (place / "ran").exists()
    assert not (desk.person.home / ".claude/CLAUDE.md").exists()
    assert desk.person.git("status", "--porcelain", cwd=place).stdout == ""


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "it is empty"),
        (b" \n\t\n", "it is empty"),
        (b"before\0after", "without NUL"),
        (b"caf\xe9", "it is not UTF-8"),
        (b"x" * (1 << 20) + b"y", "at most 1 MiB"),
    ],
)
def test_refused_contents(newer: Desk, data: bytes, said: str) -> None:
    desk = newer
    file = desk.person.home / "prompt.txt"
    file.write_bytes(data)
    before = listing(desk.person.home, without=("registry.db", "/.cache"), times=False)
    for words in (f"mooring new one --prompt @{file}", f"mooring new one --prompt - <{file}"):
        done = desk.person.run("sh", "-c", f"{words} -- -p", cwd=desk.repo, check=False)
        assert_refused(desk, done.returncode, done.stdout, done.stderr, said)
    assert listing(desk.person.home, without=("registry.db", "/.cache"), times=False) == before


REFUSED = {
    "": "it is empty",
    "  ": "it is empty",
    "--json": "it looks like an option",
    "--launch": "it looks like an option",
    "@no-such-file": "No such file",
    "@.": "Is a directory",
    "@": "Cannot read the prompt",
}


def test_refused_values(newer: Desk) -> None:
    desk = newer
    desk.new("there")
    before = listing(desk.person.home, without=("registry.db", "/.cache"), times=False)
    for value, said in REFUSED.items():
        for words in (
            ("new", "one", "--prompt", value, "--", "-p"),
            ("resume", "there", "--launch", "none", f"--prompt={value}"),
        ):
            done = desk.mooring(*words, check=False)
            assert_refused(desk, done.returncode, done.stdout, done.stderr, said)
    assert listing(desk.person.home, without=("registry.db", "/.cache"), times=False) == before


def assert_refused(desk: Desk, code: int, stdout: str, stderr: str, said: str) -> None:
    assert code in (1, 2), stderr
    assert stdout == ""
    assert "Traceback" not in stderr
    (message,) = (line for line in stderr.splitlines() if line.startswith("Cannot"))
    assert "prompt" in message
    assert said in message
    assert desk.stub.requests == []


def test_a_prompt_that_is_only_written(newer: Desk) -> None:
    desk = newer
    text = "# Task\n\nThe login page shows `a blank screen`: $(touch ran)\n"
    done = desk.mooring("new", "one", "--launch", "none", "--prompt", text)
    place = Path(done.stdout.removesuffix("\n"))
    assert f"the prompt is in {place / FILE}; Claude is not started" in done.stderr
    assert (place / FILE).read_text() == text
    assert (place / FILE).stat().st_mode & 0o777 == 0o600
    other = f"{text}And more.\n"
    desk.mooring("new", "one", "--launch", "none", "--prompt", "-", input=other)
    assert (place / FILE).read_text() == other
    assert (place / FILE).stat().st_mode & 0o777 == 0o600
    assert desk.new("one") == place  # without a prompt the last one stays
    assert (place / FILE).read_text() == other
    assert desk.person.git("status", "--porcelain", cwd=place).stdout == ""
    assert "$(touch" not in "".join(map(str, records(desk.person.home)))
    assert not (place / "ran").exists()
    desk.mooring("resume", "one", "--launch", "none", "--prompt", "@.session-prompt.md", cwd=place)
    assert (place / FILE).read_text() == other
    assert desk.stub.requests == []
    desk.mooring("end", "one")
    assert not place.exists()


def test_a_prompt_that_somebody_edited_is_not_lost(newer: Desk) -> None:
    desk = newer
    place = desk.new("one", "--prompt", "as Mooring wrote it")
    (place / FILE).write_text("as a person wrote it")
    done = desk.mooring("end", "one", check=False)
    assert done.returncode == 1
    assert f"ignored: {FILE}" in done.stderr
    assert (place / FILE).read_text() == "as a person wrote it"
    desk.new("one", "--prompt", "as Mooring wrote it")
    assert (place / FILE).read_text() == "as Mooring wrote it"
    saved = [path.read_text() for path in (place / ".mooring/saved").rglob("*") if path.is_file()]
    assert saved == ["as a person wrote it"]
