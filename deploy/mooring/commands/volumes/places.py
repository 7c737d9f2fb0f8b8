"""What `copy` takes from and brings to: the words that a host's store and a volume share."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Protocol

import msgspec

from ...claude.parts import File

CHUNK = 1 << 20


class Held(msgspec.Struct):
    """The parts of one session in a store: path -> file, and path -> where a link leads.

    `left_out` says what can't be copied, and why.
    """

    files: dict[str, File] = {}
    links: dict[str, str] = {}
    left_out: list[str] = []


class Bring(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be put in place: paths of the destination, the transcript's last.

    `base` has the files by the paths that `files` maps to. `expected` is the size that the
    transcript has there, None for no such file. `modified` is when each was, by path, in seconds.
    """

    transcript: str
    expected: int | None
    base: Path
    files: dict[str, str]
    links: dict[str, str]
    modified: dict[str, float]
    digests: dict[str, str]


class Place(Protocol):
    """A store that sessions are copied from and to. Everything may raise MooringError."""

    name: str

    def sessions(self) -> dict[str, list[tuple[str, int]]]:
        """Id -> the project and size of every transcript of that id."""

    def running(self) -> dict[str, str]:
        """Id -> where it is running."""

    def fetch(
        self, session: str, project: str, near: Path | None
    ) -> AbstractContextManager[tuple[Path, Held]]:
        """The parts as files below a directory; for a volume a new one in `near`."""

    def held(self, session: str, project: str, sizes: Mapping[str, int]) -> Held:
        """The parts; of each file also the digest of its first so many bytes."""

    def staging(self) -> Path | None:
        """A directory from which files can be renamed into this place, if it has such."""

    def bring(self, what: Bring) -> None:
        """Put it in place, checked before it is seen."""

    def remove(self, session: str, project: str, held: Held) -> None:
        """Remove a session's parts, but for its project's memory."""

    def days(self) -> int | None:
        """After how many days Claude deletes what nobody wrote to, if its settings say so."""


def digested(chunks: Iterable[bytes], at: int | None = None) -> tuple[int, str, str]:
    """The size, the sha256, and the sha256 of the first `at` bytes ('' if there are fewer)."""
    whole, first = hashlib.sha256(), hashlib.sha256()
    size = 0
    for chunk in chunks:
        whole.update(chunk)
        if at is not None and size < at:
            first.update(chunk[: at - size])
        size += len(chunk)
    return size, whole.hexdigest(), first.hexdigest() if at is not None and size >= at else ""


def chunks(file: IO[bytes]) -> Iterator[bytes]:
    """What is in a file, a MiB at a time."""
    while data := file.read(CHUNK):
        yield data


def opened(path: str | Path) -> IO[bytes]:
    """A plain file to read, never through a link. Raises OSError."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    handle = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(f"{path} is no plain file")
    return os.fdopen(handle, "rb")


def file_at(path: Path, at: int | None = None) -> File:
    """What a plain file is. Raises OSError."""
    with opened(path) as file:
        found = os.fstat(file.fileno())
        size, digest, head = digested(chunks(file), at)
    return File(size, digest, stat.S_IMODE(found.st_mode), found.st_mtime, head)
