"""Whether a container has the mounts that it is to have, and none that it must not have."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ...claude import mounts, transcripts
from ...files import guard
from ..doctor import Finding
from .look import Inspected, Look, Mounted, own_directory

SHOWN = 3
"""How many of several are named."""
SOCKET = "docker.sock"


class Due(msgspec.Struct, frozen=True):
    """A mount that is to be there."""

    source: str
    destination: str
    access: str
    """`rw` or `ro`."""


def table(look: Look) -> Iterator[Finding]:
    """Whether each is there, from where it should be, and as it should be."""
    if look.inspected is None:
        return
    due = [*_of_store(look, look.inspected), *_of_repo(look), *_guard(look)]
    there = {_real(item.destination): item for item in look.inspected.mounts}
    found = [(item, there.get(_real(item.destination))) for item in due]
    wrong = {
        "is not mounted": [item for item, one in found if one is None],
        "is mounted from elsewhere": [item for item, one in found if one and _other(item, one)],
        "is read-only": [i for i, one in found if one and i.access == "rw" and not one.rw],
        "can be changed from inside": [
            i for i, one in found if one and i.access == "ro" and one.rw
        ],
    }
    for text, items in wrong.items():
        if items:
            named = _named([item.destination for item in items])
            yield Finding("mounts", "fail", f"{text}: {named}", look.anew)
    if not any(wrong.values()):
        yield Finding("mounts", "ok", f"all {len(due)} are there, from where they should be")


def _other(due: Due, there: Mounted) -> bool:
    return _real(due.source) != _real(there.source)


def _named(paths: list[str]) -> str:
    more = len(paths) - SHOWN
    return ", ".join(paths[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _of_store(look: Look, found: Inspected) -> Iterator[Due]:
    to = config_directory(found)
    if not to:
        return
    yield Due(str(own_directory(look.row)), to, "rw")
    share = _share(look, found, to)
    for entry in mounts.entries(share):
        if entry.access != "copy":
            yield Due(f"{look.store}/{entry.name}", f"{to}/{entry.name}", entry.access)
    if share == "workspace":
        own = f"projects/{look.project}"
        yield Due(f"{look.store}/{own}", f"{to}/{own}", "rw")


def config_directory(found: Inspected) -> str:
    """Where Claude has its configuration in the container, '' where nothing says so."""
    home = found.variable("HOME")
    return found.variable("CLAUDE_CONFIG_DIR") or (f"{home}/.claude" if home else "")


def _share(look: Look, found: Inspected, to: str) -> str:
    """What of the store it shares. Only its mounts tell `workspace` from `all`."""
    if look.row.store:
        return "none"
    there = {item.destination for item in found.mounts}
    own = f"{to}/projects/{look.project}"
    return "workspace" if own in there and f"{to}/projects" not in there else "all"


def _of_repo(look: Look) -> Iterator[Due]:
    """The worktree and git's directories for it, and in them what git runs or follows."""
    if not look.admin or not look.worktree.is_dir():
        return
    yield _same(look.row.worktree, "rw")
    yield _same(look.common, "rw")
    yield _same(look.admin, "rw")
    names = ("config", "config.worktree", "hooks", "info", "modules", "worktrees")
    kept = [f"{look.common}/{name}" for name in names]
    kept += [f"{look.admin}/{name}" for name in ("gitdir", "commondir", "config.worktree")]
    for path in (*kept, f"{look.row.worktree}/.git"):
        if os.path.exists(path):
            yield _same(path, "ro")


def _guard(look: Look) -> Iterator[Due]:
    root = os.path.realpath(Path.home() / ".local/share/mooring")
    place = guard.directory(root, look.row.key)
    if Path(place).is_dir():
        yield _same(place, "ro")


def _same(path: str, access: str) -> Due:
    return Due(path, path, access)


def _real(path: str) -> str:
    """A path of the host as it is; Docker Desktop says where its machine has it."""
    return os.path.realpath(path.removeprefix("/host_mnt"))


def never(look: Look) -> Iterator[Finding]:
    """Whether something can be seen in there that belongs to the host alone."""
    if look.inspected is None:
        return
    bad = [item.source for item in look.inspected.mounts if _is_secret(item)]
    if bad:
        text = f"the container has what must never be in there: {_named(bad)}"
        made = look.inspected.labels.get("mooring.digest")  # so the spec says that
        hint = look.without("container.mounts", "[]") if made else look.anew
        yield Finding("secrets", "fail", text, hint)
    else:
        yield Finding("secrets", "ok", "nothing of the host's own login or processes is in there")


def _is_secret(mount: Mounted) -> bool:
    """Whether a mount shows the engine's socket, the user's store as a whole, or what is secret."""
    if not mount.source:
        return False
    real, whole = Path(_real(mount.source)), Path(_real(str(transcripts.store())))
    kept = [whole / name for name in mounts.NEVER] + [Path.home() / ".claude.json"]
    shows = any(path.is_relative_to(real) for path in (whole, *kept))
    return real.name == SOCKET or shows or any(real.is_relative_to(path) for path in kept)
