"""The installed Claude Code: its version, read once, and what that version can do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import msgspec
import platformdirs

from ..errors import MooringError

ANY_DIRECTORY = (2, 1, 223)
"""From here on a conversation is found from any directory; before, only from where it began."""
PROMPT_SNAPSHOT = (2, 1, 257)
"""The first release with ``--system-prompt-snapshot`` (its program holds the word, 2.1.252's
doesn't)."""
OLDEST = (2, 1, 197)
"""The oldest release that Mooring is tested with."""

INSTALL = "npm install -g @anthropic-ai/claude-code"
_SECONDS = 30


class Claude(msgspec.Struct, frozen=True):
    """An installed Claude Code."""

    program: str
    version: tuple[int, ...]

    @property
    def text(self) -> str:
        """The version as people write it."""
        return ".".join(map(str, self.version))

    @property
    def finds_anywhere(self) -> bool:
        """Whether it finds a conversation from another directory than where it began."""
        return self.version >= ANY_DIRECTORY

    @property
    def knows_snapshot(self) -> bool:
        """Whether it knows ``--system-prompt-snapshot``."""
        return self.version >= PROMPT_SNAPSHOT


class _Seen(msgspec.Struct):
    """A program as it was when it was asked."""

    path: str
    mtime: int
    version: tuple[int, ...]


def installed() -> Claude:
    """The Claude Code on PATH. Asks it for its version once, until the program changes.

    Raises MooringError if there is none, or it doesn't say.
    """
    program = shutil.which("claude")
    if program is None:
        raise MooringError(
            "Cannot start Claude: `claude` is not on PATH", INSTALL, "or add: --launch none"
        )
    real = os.path.realpath(program)
    mtime = Path(real).stat().st_mtime_ns
    cache = Path(platformdirs.user_cache_dir("mooring")) / "claude.json"
    try:
        seen = msgspec.json.decode(cache.read_bytes(), type=_Seen)
    except (OSError, msgspec.DecodeError):
        seen = _Seen("", 0, ())
    if (seen.path, seen.mtime) != (real, mtime):
        seen = _Seen(real, mtime, _ask(program))
        _remember(cache, seen)
    return Claude(program, seen.version)


def _ask(program: str) -> tuple[int, ...]:
    try:
        done = subprocess.run(
            [program, "--version"],
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MooringError(f"Cannot ask {program} for its version: {error}", INSTALL) from None
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", done.stdout)
    if not found:
        raise MooringError(f"Cannot tell the version of {program}: it said {done.stdout[:80]!r}")
    return tuple(map(int, found.groups()))


def _remember(cache: Path, seen: _Seen) -> None:
    """Keep what was asked; where that can't be written, it is asked again."""
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        stage = cache.with_name(f"{cache.name}.{os.getpid()}")
        stage.write_bytes(msgspec.json.encode(seen))
        stage.replace(cache)
    except OSError:
        pass
