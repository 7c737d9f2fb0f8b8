"""What belongs to a session in a store, and what may be done where two stores differ. Pure."""

from __future__ import annotations

import re
from enum import StrEnum

import msgspec

from ..model import SESSION

NAME = re.compile(r"[^/\x00-\x1f\x7f\ud800-\udfff]{1,255}")
"""What a part of a path may be: one line, so that a script can read a list of them."""
_TRANSCRIPT = re.compile(rf"projects/([^/]+)/({SESSION.pattern})\.jsonl")
_LINK = re.compile(r"\.\./([^/]+)/([^/]+)")
OWN = ("tasks", "file-history", "session-env")
"""Directories with one directory for each session."""


class File(msgspec.Struct, frozen=True):
    """One plain file: its bytes, its sha256, and that of as many of its first bytes as asked.

    `head` is '' where it has fewer, or nobody asked. `modified` is in seconds since the epoch.
    """

    size: int
    digest: str
    mode: int
    modified: float
    head: str = ""


class Verdict(StrEnum):
    """How a file that is to be copied stands to the one that is there."""

    NEW = "new"
    UNCHANGED = "unchanged"
    EXTENDS = "extends"
    """It begins with all that is there."""
    BEHIND = "behind"
    """What is there begins with all of it, and goes on."""
    DIFFERS = "differs"


def judge(file: File, there: File | None, head: str = "") -> Verdict:
    """Compare a file with the one there, None for none.

    `head` is the sha256 of as many first bytes of `file` as there are; `there.head` the converse.
    """
    if there is None:
        return Verdict.NEW
    if there.size == file.size:
        return Verdict.UNCHANGED if there.digest == file.digest else Verdict.DIFFERS
    if there.size < file.size:
        return Verdict.EXTENDS if head == there.digest else Verdict.DIFFERS
    return Verdict.BEHIND if there.head == file.digest else Verdict.DIFFERS


def judge_side(path: str, verdict: Verdict, transcript: Verdict) -> Verdict:
    """The same for a side file, which may also be newer without being longer.

    What only its session writes goes with a transcript that goes on from the one there; a
    project's memory never does, since other sessions write it too.
    """
    ours = "/memory/" not in path
    newer = transcript is Verdict.EXTENDS and ours
    return Verdict.EXTENDS if newer and verdict is Verdict.DIFFERS else verdict


def transcript(path: str) -> tuple[str, str] | None:
    """The project and the session of a path in a store, if it is that of a transcript."""
    found = _TRANSCRIPT.fullmatch(path)
    return (found[1], found[2]) if found and is_path(path) else None


def tops(session: str, project: str) -> tuple[str, ...]:
    """Where a session's parts are, transcript first; each a file or a directory, if it is there.

    What lies in `todos` is missing: its names only contain the id.
    """
    place = f"projects/{project}"
    own = (f"{directory}/{session}" for directory in OWN)
    return (f"{place}/{session}.jsonl", f"{place}/{session}", f"{place}/memory", *own)


def is_path(path: str) -> bool:
    """Whether it is relative, stays where it is, and can stand on a line."""
    names = path.split("/")
    return all(NAME.fullmatch(name) and name not in (".", "..") for name in names)


def is_side_link(path: str, to: str) -> bool:
    """Whether it is the link that stays where a side directory was before `transcripts.move`."""
    names, found = path.split("/"), _LINK.fullmatch(to)
    return bool(
        found and len(names) == 3 and names[0] == "projects" and found[2] == names[2]
    ) and is_path(f"{found and found[1]}/x")


def at_project(path: str, old: str, new: str) -> str:
    """A path in the project `old`, as it is in `new`; any other as it is."""
    prefix = f"projects/{old}/"
    return f"projects/{new}/{path[len(prefix) :]}" if path.startswith(prefix) else path
