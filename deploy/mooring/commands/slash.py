"""`mooring slash-command`: the file that gives Claude a /move."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from ..claude import safely, transcripts
from ..errors import MooringError, command
from ..generate import templates

TEMPLATE = "move.md"


def text() -> str:
    """The slash command's file, as Claude Code reads it (its documentation, "Slash commands")."""
    return (templates() / TEMPLATE).read_text()


def write() -> Path:
    """Have it among the user's own commands, of all repos and containers. Returns the file.

    Raises MooringError if another one of that name is there, or it can't be written.
    """
    place = transcripts.store() / "commands" / TEMPLATE
    there, wanted = safely.read(place), text().encode()
    if there == wanted:
        return place
    if there is not None or place.is_symlink():
        raise MooringError(
            f"Cannot write {place}: there is another one",
            command("mooring", "slash-command", note="prints ours"),
        )
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        handle, stage = tempfile.mkstemp(dir=place.parent, suffix=".new")
        with os.fdopen(handle, "wb") as file:
            file.write(wanted)
        os.link(stage, place)
        Path(stage).unlink()
    except OSError as error:
        raise MooringError(f"Cannot write {place}: {error.strerror}") from None
    return place
