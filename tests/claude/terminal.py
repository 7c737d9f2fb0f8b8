"""A terminal for tests: any program on a pty of its own, with its screen to read and keys to type.

It is made for the real Claude CLI, whose newer versions draw only the cells that changed: what they
write makes sense on a screen only, hence `_Screen`. The stub it talks to is `tests.claude.stub`.
"""

from __future__ import annotations

import codecs
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from unicodedata import combining, east_asian_width

from tests.claude.stub import MessagesStub
from tests.support import Person

# Takes the terminal on fd 2 for its own, and becomes the program. A fork here, in a process that
# has threads, is what this spares us; Python's own ignored signals must not reach the program.
BECOME = """\
import fcntl, os, signal, sys, termios
fcntl.ioctl(2, termios.TIOCSCTTY, 0)
for number in (signal.SIGPIPE, signal.SIGXFSZ):
    signal.signal(number, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[2:])
"""

# What Claude shows when it waits for a prompt: the sign in the window's title, and the one before
# the input, whose no-break space tells it from the pointer of a menu.
IDLE_TITLE = "✳"
PROMPT = "❯\N{NO-BREAK SPACE}"  # noqa: RUF001 (no other sign will do)


def ready(person: Person, *trusted: Path) -> None:
    """Let an interactive Claude start without a question in these directories.

    A newer one must be told a repo's main worktree, or the very directory: a parent won't do.
    """
    settings = {
        "hasCompletedOnboarding": True,
        "customApiKeyResponses": {"approved": ["sk-dummy"], "rejected": []},
        "projects": {str(path): {"hasTrustDialogAccepted": True} for path in trusted},
    }
    (person.home / ".claude.json").write_text(json.dumps(settings))


class Terminal:
    """A program on a terminal; as a context manager it ends what it started.

    `stdin` is a file that the program has for its stdin, its /dev/tty being the terminal all the
    same. Keys are typed with `type` and `press`; nothing but `wait_…` says that they took effect.
    """

    def __init__(
        self,
        person: Person,
        *argv: str | Path,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
        size: tuple[int, int] = (40, 120),
        stdin: Path | None = None,
    ) -> None:
        everything = person.env | {"TERM": "xterm-256color"} | (env or {})
        program = shutil.which(argv[0], path=everything["PATH"])
        assert program, f"{argv[0]} is not on PATH"
        self._terminal, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, size)
        source = os.open(stdin, os.O_RDONLY) if stdin else os.dup(theirs)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", BECOME, program, *map(str, argv)],
                stdin=source,
                stdout=theirs,
                stderr=theirs,
                cwd=cwd or person.home,
                env=everything,
                start_new_session=True,
            )
        finally:
            os.close(source)
            os.close(theirs)
        self._screen = _Screen(*size)
        self._changed = threading.Condition()
        self._last_change = time.monotonic()
        self._output = bytearray()
        self._closing = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def screen(self) -> str:
        """What a person would see now: the lines without their trailing spaces."""
        with self._changed:
            return self._screen.text()

    @property
    def title(self) -> str:
        """The window's title."""
        with self._changed:
            return self._screen.title

    @property
    def output(self) -> bytes:
        """All that was written to the terminal, as it was."""
        with self._changed:
            return bytes(self._output)

    @property
    def idle(self) -> bool:
        """Whether this is a Claude that waits for a prompt."""
        return self.title.startswith(IDLE_TITLE) and PROMPT in self.screen

    def press(self, keys: str) -> None:
        """Send keys as they are: `\\r` is Enter, `\\x1b` Escape, `\\x03` Control-C."""
        left = keys.encode()
        while left:
            left = left[os.write(self._terminal, left) :]

    def type(self, text: str, seconds: float = 20) -> None:
        """Type a line into what waits for one, and press Enter once it stands before the cursor.

        Text and Enter in one go are a paste to Claude, which makes of Enter a line break.
        """
        self.press(text)
        wanted = _squeezed(text)
        self.wait_for(
            lambda: _squeezed(self._before_cursor()).endswith(wanted),
            seconds,
            f"echo of {text!r}",
        )
        with suppress(AssertionError):  # a spinner may turn all the while
            self.wait_quiet(0.15, 0.6)
        self.press("\r")

    def _before_cursor(self) -> str:
        with self._changed:
            return self._screen.before_cursor()

    def wait_for(
        self, wanted: str | Callable[[], object], seconds: float = 30, what: str = ""
    ) -> None:
        """Wait until the screen holds a text, or something is true.

        Raises AssertionError, with the screen, if that takes too long or the program has ended.
        """
        met = (lambda: wanted in self.screen) if isinstance(wanted, str) else wanted
        deadline = time.monotonic() + seconds
        while not met():
            ended = self._process.poll() is not None and not self._reader.is_alive()
            if ended and met():
                return
            if ended or time.monotonic() > deadline:
                why = f"it ended with {self._process.returncode}" if ended else f"{seconds} s"
                name = what or (repr(wanted) if isinstance(wanted, str) else "the condition")
                raise AssertionError(f"no {name}: {why}\n-- screen\n{self.screen}")
            with self._changed:
                self._changed.wait(0.05)

    def wait_quiet(self, quiet: float = 0.3, seconds: float = 30) -> None:
        """Wait until nothing has been written for `quiet` seconds."""
        self.wait_for(lambda: time.monotonic() - self._last_change > quiet, seconds, "quiet")

    def wait_idle(self, seconds: float = 30) -> None:
        """Wait until Claude waits for a prompt."""
        self.wait_for(lambda: self.idle, seconds, "idle Claude")
        with suppress(AssertionError):  # the newer one greets with an animation of a second or two
            self.wait_quiet(0.3, 3)

    def wait_turn(self, stub: MessagesStub, turns: int, seconds: float = 30) -> None:
        """Wait until the stub has answered so many requests of conversations, and Claude is idle.

        For a Claude that talks to this stub alone; counted from the stub's start.
        """

        def answered() -> bool:
            return len(stub.conversations()) >= turns and not stub.pending and self.idle

        self.wait_for(answered, seconds, f"turn {turns}")
        # Claude may look idle all through a short turn; the answer shows its end, but for /compact.
        with suppress(AssertionError):
            self.wait_for(stub.answer(stub.conversations()[turns - 1]), 5)
        self.wait_quiet(0.3, seconds)
        self.wait_for(answered, seconds, f"end of turn {turns}")

    def wait(self, seconds: float = 30) -> int:
        """Wait until the program has ended by itself; returns its status, negative for a signal."""
        self.wait_for(lambda: self._process.poll() is not None, seconds, "end")
        self._reader.join(1)  # what it wrote last; a child that goes on may keep the terminal open
        return self._process.wait()

    def kill(self, number: int = signal.SIGKILL) -> int:
        """Send a signal to the program alone, and wait for its end; returns what `wait` does."""
        self._process.send_signal(number)
        return self.wait()

    def close(self) -> None:
        """End the program with its process group, and hang up. Does nothing the second time."""
        if self._closing:
            return
        self._closing = True
        with suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for a group of zombies
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join()
        os.close(self._terminal)

    def _read(self) -> None:
        """Bring what is written to the screen, until nobody has the terminal open any more."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while not self._closing:
            if not select.select([self._terminal], [], [], 0.1)[0]:
                continue
            try:
                data = os.read(self._terminal, 65536)
            except OSError:  # Linux says EIO, others return nothing
                data = b""
            if not data:
                return
            with self._changed:
                self._output += data
                answer = self._screen.feed(decoder.decode(data))
                self._last_change = time.monotonic()
                self._changed.notify_all()
            if answer:
                self.press(answer)


def _squeezed(text: str) -> str:
    """A text without the white space, which depends on the width of the screen."""
    return re.sub(r"\s", "", text)


# A control sequence with its parameters and its end, a command to the terminal, another escape, a
# control character, or text.
TOKEN = re.compile(
    r"\x1b\[(?P<parameters>[0-?]*)[ -/]*(?P<control>[@-~])"
    r"|\x1b\](?P<command>[^\x07\x1b]*)(?:\x07|\x1b\\)"
    r"|\x1b[PX^_][^\x1b]*\x1b\\"
    r"|\x1b(?P<escape>[ -/]*[0-OQ-WYZ`-~])"
    r"|(?P<character>[\x00-\x1a\x1c-\x1f\x7f])"
    r"|(?P<text>[^\x00-\x1f\x7f]+)"
)


class _Screen:
    """As much of a terminal as the programs in the tests draw with; colours are left out."""

    def __init__(self, rows: int, columns: int) -> None:
        self._rows, self._columns = rows, columns
        self._lines = [self._blank() for _ in range(rows)]
        self._row = self._column = 0
        self._top, self._bottom = 0, rows - 1
        self._saved = (0, 0)
        self._rest = ""
        self.title = ""

    def text(self) -> str:
        return "\n".join("".join(line).rstrip(" ") for line in self._lines)

    def before_cursor(self) -> str:
        lines = [*self._lines[: self._row], self._lines[self._row][: self._column]]
        return "".join(map("".join, lines))

    def feed(self, data: str) -> str:
        """Draw; returns what a terminal would answer to the program."""
        data, answer = self._rest + data, ""
        at = 0
        while found := TOKEN.match(data, at):
            at = found.end()
            answer += self._take(found)
        self._rest = data[at:]
        return answer

    def _take(self, found: re.Match[str]) -> str:
        if text := found["text"]:
            for character in text:
                self._put(character)
        elif character := found["character"]:
            self._control_character(character)
        elif control := found["control"]:
            return self._control(control, found["parameters"])
        elif escape := found["escape"]:
            self._escape(escape)
        elif (command := found["command"]) and command[:2] in ("0;", "2;"):
            self.title = command[2:]
        return ""

    def _blank(self) -> list[str]:
        return [" "] * self._columns

    def _put(self, character: str) -> None:
        if combining(character) or character in "\u200d\ufe0e\ufe0f":
            return
        width = 2 if east_asian_width(character) in "WF" else 1
        if self._column + width > self._columns:
            self._column = 0
            self._line_feed()
        self._lines[self._row][self._column] = character
        if width == 2:
            self._lines[self._row][self._column + 1] = ""
        self._column += width

    def _control_character(self, character: str) -> None:
        if character == "\r":
            self._column = 0
        elif character in "\n\v\f":
            self._line_feed()
        elif character == "\b":
            self._column = max(0, min(self._column, self._columns - 1) - 1)
        elif character == "\t":
            self._column = min(self._columns - 1, self._column // 8 * 8 + 8)

    def _escape(self, escape: str) -> None:
        if escape == "7":
            self._saved = (self._row, self._column)
        elif escape == "8":
            self._row, self._column = self._saved
        elif escape == "M":
            if self._row == self._top:
                self._scroll(self._top, -1)
            else:
                self._go(self._row - 1, self._column)
        elif escape in "DE":
            self._column = 0 if escape == "E" else self._column
            self._line_feed()

    def _line_feed(self) -> None:
        if self._row == self._bottom:
            self._scroll(self._top, 1)
        else:
            self._go(self._row + 1, self._column)

    def _scroll(self, top: int, lines: int) -> None:
        """Move what is between a row and the bottom of the region up, or down if negative."""
        for _ in range(min(abs(lines), self._rows)):
            if lines > 0:
                self._lines.insert(self._bottom + 1, self._blank())
                del self._lines[top]
            else:
                del self._lines[self._bottom]
                self._lines.insert(top, self._blank())

    def _go(self, row: int, column: int) -> None:
        self._row = max(0, min(row, self._rows - 1))
        self._column = max(0, min(column, self._columns - 1))

    def _control(self, control: str, parameters: str) -> str:
        if parameters[:1] in ("<", "=", ">", "?"):
            if parameters == "?1049":  # the other screen, and back; only one is kept
                self._erase(0, self._rows * self._columns)
            return ""
        if control == "c":
            return "\x1b[?6c"
        numbers = [int(part) if part.isdigit() else 0 for part in parameters.split(";")]
        first, count = numbers[0], max(1, numbers[0])
        second = numbers[1] if len(numbers) > 1 else 0
        row, column = self._row, min(self._column, self._columns - 1)
        if control in "HfABCDEFGd`aej":
            self._go(*self._target(control, row, column, count, second))
        elif control in "JKX":
            self._erase(*self._erased(control, first, row, column))
        elif control in "LMST":
            top = row if control in "LM" else self._top
            self._scroll(top, count if control in "MS" else -count)
        elif control in "@P":
            line = self._lines[row]
            moved = [" "] * count + line[column:] if control == "@" else line[column + count :]
            self._lines[row] = (line[:column] + moved + self._blank())[: self._columns]
        elif control == "r":
            self._top, self._bottom = count - 1, min(second or self._rows, self._rows) - 1
            self._go(0, 0)
        return ""

    @staticmethod
    def _target(control: str, row: int, column: int, count: int, second: int) -> tuple[int, int]:
        """Where a control sequence moves the cursor."""
        return {
            "H": (count - 1, second - 1),
            "f": (count - 1, second - 1),
            "A": (row - count, column),
            "B": (row + count, column),
            "C": (row, column + count),
            "D": (row, column - count),
            "E": (row + count, 0),
            "F": (row - count, 0),
            "G": (row, count - 1),
            "`": (row, count - 1),
            "a": (row, column + count),
            "d": (count - 1, column),
            "e": (row + count, column),
            "j": (row, column - count),
        }[control]

    def _erased(self, control: str, first: int, row: int, column: int) -> tuple[int, int]:
        """The cells, counted from the top left, that a control sequence erases."""
        line, here = row * self._columns, row * self._columns + column
        if control == "X":
            return here, min(here + max(1, first), line + self._columns)
        start, end = (
            (0, self._rows * self._columns) if control == "J" else (line, line + self._columns)
        )
        return (here if first == 0 else start), (here + 1 if first == 1 else end)

    def _erase(self, start: int, end: int) -> None:
        for cell in range(start, end):
            self._lines[cell // self._columns][cell % self._columns] = " "
