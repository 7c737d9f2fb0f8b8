"""What `--prompt` says: text, a file, or stdin."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from ..errors import MooringError, usage
from ..model import MAX_PROMPT


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
        raise MooringError(f"Cannot read the prompt {said[1:]}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise MooringError("Cannot use the prompt: it is not UTF-8 text") from None
    if not text.strip():
        raise usage("Cannot use the prompt: it is empty", "--prompt TEXT")
    return text
