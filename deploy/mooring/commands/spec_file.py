"""The mooring.yaml of a checkout: read, and added to."""

from __future__ import annotations

import os
from pathlib import Path

from ..claude import safely
from ..errors import MooringError
from ..files.section import Entries, added
from ..spec import MAX_BYTES

NAME = "mooring.yaml"


def content(checkout: Path, name: str = NAME) -> bytes:
    """A file at the top of a checkout, b'' if there is none. Raises MooringError if it is odd."""
    path = checkout / name
    data = safely.read(path, MAX_BYTES + 1)
    if data is None and os.path.lexists(path):
        raise MooringError(f"Cannot read {path}: it is no plain file, or not readable")
    return data or b""


def write(checkout: Path, entries: Entries) -> Path:
    """Add entries to `files` in mooring.yaml, which may not be there yet; returns its path.

    Raises MooringError, and changes nothing, where that can't be done safely.
    """
    path = checkout / NAME
    data = added(content(checkout), entries)
    stage = path.with_name(f".{NAME}.{os.getpid()}")
    try:
        with open(os.open(stage, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
            file.write(data)
        if path.exists():
            stage.chmod(path.stat().st_mode & 0o777)
        stage.replace(path)
    except OSError as error:
        stage.unlink(missing_ok=True)
        raise MooringError(f"Cannot change {path}: {error.strerror}") from None
    return path
