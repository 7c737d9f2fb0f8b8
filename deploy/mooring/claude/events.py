"""What the hooks recorded: which conversation began or ended in which workspace, and when.

The lines come from files that anything in a workspace can write to: none is believed beyond its
form, and one that makes no sense is left out.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import msgspec

from ..model import AGENT, SESSION, TOPIC, Key

FILE = "mooring/events.jsonl"
"""Where the hooks append, relative to the store."""

SOURCES = ("startup", "resume", "clear", "compact", "fork")
AHEAD_SECONDS = 300
TWICE_SECONDS = 3
"""Claude Code 2.1.329 runs hooks of the main checkout and of the worktree; each event is one."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation that began in a workspace or ended there; `at` is in epoch seconds.

    `source` is what it began with (one of `SOURCES`), or for an end its reason.
    """

    at: int
    target: str
    key: Key
    starts: bool
    session: str
    source: str
    cwd: str
    transcript: str


def workspace_line(target: str, key: Key) -> str:
    """What `.mooring/workspace` says: one line, safe inside JSON and as a word of sh."""
    return f"{target} {key.agent} {key.topic} {quote(key.repo, safe='/')}"


def parse(lines: Iterable[str], now: float | None = None) -> Iterator[Event]:
    """The events among the lines of a file, in their order; what is none is left out.

    `now` is the time where they were recorded, in epoch seconds; by default it is ours.
    """
    latest = (now or time.time()) + AHEAD_SECONDS
    for line in lines:
        event = _parse(line)
        if event and 0 < event.at <= latest:  # one from the future would never be outdated
            yield event


def _parse(line: str) -> Event | None:
    try:
        said = msgspec.json.decode(line)
        target, agent, topic, repo = said["workspace"].split(" ")
        hook: dict[str, Any] = said["hook"]
        event = Event(
            at=said["at"],
            target=target,
            key=Key(unquote(repo), agent, topic),
            starts=hook["hook_event_name"] == "SessionStart",
            session=hook["session_id"],
            source=hook.get("source") or hook.get("reason") or "",
            cwd=hook.get("cwd") or "",
            transcript=hook.get("transcript_path") or "",
        )
        texts = (event.source, event.cwd, event.transcript)
        valid = (
            isinstance(event.at, int)
            and SESSION.fullmatch(event.session)
            and SESSION.fullmatch(target)
            and AGENT.fullmatch(agent)
            and TOPIC.fullmatch(topic)
            and all(isinstance(text, str) and len(text) < 8192 for text in texts)
        )
        return event if valid else None
    except (msgspec.DecodeError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def unread(store: Path, inode: int, offset: int) -> tuple[list[Event], int, int]:
    """The events a store has behind `offset` bytes, and the file's inode and new offset.

    A file with another inode, or a shorter one, is read from its beginning. A last line that is
    still being written is left for the next time.
    """
    try:
        # Neither a symlink is followed nor a pipe waited for: anybody could have put one there.
        file = os.open(store / FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return [], inode, offset
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            return [], inode, offset
        if status.st_ino != inode or status.st_size < offset:
            offset = 0
        data = os.pread(file, status.st_size - offset, offset)
    finally:
        os.close(file)
    whole = data[: data.rfind(b"\n") + 1]
    lines = whole.decode("utf-8", "replace").split("\n")
    return list(parse(lines)), status.st_ino, offset + len(whole)
