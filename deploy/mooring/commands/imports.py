"""`mooring files import`: another tool's list of files, as our `files:` section."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ..claude import safely
from ..errors import MooringError
from ..files.formats import Listed, of_templates, read
from ..spec import MAX_BYTES
from .audit import checkout_of


def imported(path: Path, repo: str | None) -> Listed:
    """What a file in one of the formats, or a directory of `*.template` files, comes to.

    Raises MooringError for what can't be read, and for a directory outside of the repo's main
    checkout; `repo` names that, else it is the one we stand in.
    """
    if path.is_dir():
        return _directory(path, checkout_of(repo))
    data = safely.read(path, MAX_BYTES + 1, follow=True)
    if data is None:
        raise MooringError(f"Cannot read {path}: there is no such file, or it is not readable")
    return read(path.name, data)


def _directory(path: Path, checkout: Path) -> Listed:
    inside = os.path.relpath(os.path.realpath(path), os.path.realpath(checkout))
    if inside.startswith(".."):
        raise MooringError(f"Cannot read {path}: templates have to be in the repo, {checkout}")
    try:
        with os.scandir(path) as entries:
            names = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
    except OSError as error:
        raise MooringError(f"Cannot read {path}: {error.strerror}") from None
    listed = of_templates("" if inside == "." else inside, names)
    below = (
        f"left out: templates in {ascii(place)[1:-1]} (import that directory itself)"
        for place in _below(path)
    )
    return msgspec.structs.replace(listed, notes=(*listed.notes, *below))


def _below(path: Path) -> Iterator[str]:
    """The directories below one that have templates."""
    for place, directories, names in os.walk(path):
        directories[:] = sorted(name for name in directories if name != ".git")
        if place != str(path) and any(name.endswith(".template") for name in names):
            yield f"{os.path.relpath(place, path)}/"
