"""What this person has approved of each repo: a file for each approval, named by its digest."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import msgspec

from .approval import digest
from .errors import MooringError


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """One approval."""

    repo: str
    text: str
    """What was approved (see approval.text)."""
    at: int
    """Seconds since the epoch."""


def holds(repo: str, text: str) -> bool:
    """Whether exactly this text was approved for the repo."""
    return (_directory(repo) / f"{digest(text)}.json").is_file()


def last(repo: str) -> str:
    """The text that was approved last for the repo, '' if none ever was."""
    newest = max(_files(repo), key=lambda path: path.stat().st_mtime, default=None)
    if newest is None:
        return ""
    try:
        return msgspec.json.decode(newest.read_bytes(), type=Approval).text
    except (OSError, msgspec.DecodeError):
        return ""


def approve(repo: str, text: str, at: int) -> None:
    """Keep an approval. Raises MooringError if it can't be written."""
    place = _directory(repo)
    content = msgspec.json.encode(Approval(repo=repo, text=_utf8(text), at=at))
    try:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, stage = tempfile.mkstemp(dir=place)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(stage).rename(place / f"{digest(text)}.json")
    except OSError as error:
        raise MooringError(f"Cannot keep the approval in {place}: {error.strerror}") from None


def revoke(repo: str) -> int:
    """Forget what was approved for the repo. Returns how many approvals that were."""
    found = list(_files(repo))
    for path in found:
        path.unlink(missing_ok=True)
    return len(found)


def _files(repo: str) -> Iterator[Path]:
    return _directory(repo).glob("*.json")


def _directory(repo: str) -> Path:
    import platformdirs

    name = sha256(repo.encode()).hexdigest()[:24]
    return Path(platformdirs.user_data_dir("mooring")) / "trust" / name


def _utf8(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
