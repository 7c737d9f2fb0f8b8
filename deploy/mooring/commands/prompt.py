"""What `--prompt` says: text, a file, or stdin."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from ..errors import MooringError, command, usage
from ..model import MAX_PROMPT

INTRO = "Prompt:"
"""Said in front of a prompt that Claude Code would take for a command of its own."""

_COMMAND = re.compile(r"\s*(/|[:\w!]{1,8}\s*$)")


def intro(text: str) -> tuple[str, ...]:
    """An argument that makes a prompt a message, whatever it begins with; none for most.

    Measured: with 2.1.329 a text that begins with a slash, after blanks too, is run as a command,
    one such as `exit` ends Claude, and one that begins with an invisible character isn't sent; with
    words on the command line in front, all arrive as they are.
    """
    first = text.lstrip()[:1]
    plain = first.isprintable() and not _COMMAND.match(text)
    return () if plain else (INTRO,)


def read(said: str | None) -> str:
    """The prompt: the text itself, the content of ``@FILE``, or with ``-`` of stdin; '' for none.

    Raises MooringError if it can't be read, is empty, or looks like a forgotten value.
    """
    if said is None:
        return ""
    if re.fullmatch(r"--[a-z-]+", said):
        raise usage(f"Cannot use {said!r} as a prompt: it looks like an option", "--prompt TEXT")
    try:
        if said == "-":
            data = sys.stdin.buffer.read(MAX_PROMPT + 1)
        elif said.startswith("@"):
            with Path(said[1:]).expanduser().open("rb") as file:
                data = file.read(MAX_PROMPT + 1)
        else:
            data = said.encode("utf-8", "surrogateescape")
        text = data.decode()
    except OSError as error:
        raise MooringError(
            f"Cannot read the prompt {said[1:]}: {error.strerror}",
            f"{command('printf', '%s', said)} | mooring … --prompt -    # to say just that",
        ) from None
    except UnicodeDecodeError:
        raise MooringError("Cannot use the prompt: it is not UTF-8 text") from None
    if not text.strip():
        raise usage("Cannot use the prompt: it is empty", "--prompt TEXT")
    return text
