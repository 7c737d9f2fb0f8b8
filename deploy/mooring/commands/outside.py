"""What Claude on the host would run of a worktree that a container can write to.

Claude Code runs the hooks, and the MCP servers, that a project's settings name. So what these say
is noted when something is started in the container, and compared before Claude is at the host.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import msgspec

from ..claude import safely
from ..container import private
from ..environment import Named
from ..errors import Kind, MooringError, command
from ..model import Key

PLACES = (".claude", ".mcp.json")
"""What of a worktree Claude's settings, and programs that they name, are in."""

NOT_RUN = "worktrees"
"""Where in `.claude` Claude Code puts worktrees of its own: whole checkouts, no settings."""

_MOST = 16 << 20


class Noted(msgspec.Struct, frozen=True):
    """What was there when something was started in the container, by path; and since when."""

    sums: dict[str, str]
    inside: bool
    """Whether anything was started there since."""


def note_inside(workspace: Named, worktree: str) -> None:
    """Something is about to be started in the container: what is there now is the host's own."""
    noted = _noted(workspace)
    if noted is None or not noted.inside:
        _note(workspace, Noted(_sums(Path(worktree)), inside=True))


def check(workspace: Named, worktree: str, *, trusted: bool) -> None:
    """Raise MooringError if what Claude would run on the host may be the container's.

    What a person trusts, or what is as it was, counts as the host's own again.
    """
    noted = _noted(workspace)
    if noted is None:
        return
    now = _sums(Path(worktree))
    changed = sorted(path for path in {*now, *noted.sums} if now.get(path) != noted.sums.get(path))
    if noted.inside and changed and not trusted:
        words = (workspace.topic, "--agent", workspace.agent, "--repo", workspace.source)
        raise MooringError(
            f"Cannot start Claude on the host: {', '.join(changed[:5])} changed since the "
            "container was used, and says what Claude runs here",
            command("cat", f"{worktree}/{changed[0]}"),
            command("mooring", "resume", *words, "--in", "host", "--trust", note="it is all right"),
            command("mooring", "resume", *words, "--in", "container"),
            kind=Kind.NOT_APPROVED,
        )
    _note(workspace, Noted(now, inside=False))


def _sums(worktree: Path) -> dict[str, str]:
    return {str(path.relative_to(worktree)): _sum(path) for path in _files(worktree)}


def _files(worktree: Path) -> Iterator[Path]:
    for name in PLACES:
        place = worktree / name
        if place.is_symlink() or place.is_file():
            yield place
            continue
        for directory, directories, names in os.walk(place):
            if Path(directory) == place and NOT_RUN in directories:
                directories.remove(NOT_RUN)
            links = [each for each in directories if (Path(directory) / each).is_symlink()]
            yield from (Path(directory) / each for each in (*names, *links))


def _sum(path: Path) -> str:
    if path.is_symlink():
        return f"-> {os.readlink(path)}"
    return sha256(safely.read(path, _MOST) or b"").hexdigest()


def _file(workspace: Named) -> Path:
    """Beside what the container sees, not in it."""
    key = Key(workspace.repo, workspace.agent, workspace.topic)
    root = Path(os.path.realpath(Path.home() / ".local/share/mooring"))
    return root / private(key) / "outside.json"


def _noted(workspace: Named) -> Noted | None:
    try:
        return msgspec.json.decode(_file(workspace).read_bytes(), type=Noted)
    except (OSError, msgspec.DecodeError):
        return None


def _note(workspace: Named, noted: Noted) -> None:
    file = _file(workspace)
    if not file.parent.is_dir():
        return
    stage = file.with_name(f"{file.name}.{os.getpid()}")
    stage.write_bytes(msgspec.json.encode(noted))
    stage.replace(file)
