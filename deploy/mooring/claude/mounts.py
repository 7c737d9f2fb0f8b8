"""What of Claude's session store a container has, and how: the one table of it.

Claude Code's own names, relative to its config directory; which of them matter to a conversation
was found out with the real program (docs/containers.md).
"""

from __future__ import annotations

from typing import Literal

import msgspec

Access = Literal["rw", "ro", "copy"]


class Entry(msgspec.Struct, frozen=True):
    """One entry of the store, and what the container may do with it.

    `rw` and `ro` are directories, mounted; a `copy` is one file that the container has for itself:
    whoever writes it renames another over it, which a mount of the old one would never show.
    """

    name: str
    access: Access


STORE = (
    Entry("projects", "rw"),
    Entry("todos", "rw"),
    Entry("tasks", "rw"),
    Entry("session-env", "rw"),
    Entry("file-history", "rw"),
    Entry("plans", "rw"),
    Entry("paste-cache", "rw"),
    Entry("cache", "rw"),
    Entry("mooring", "rw"),
    Entry("agents", "ro"),
    Entry("commands", "ro"),
    Entry("skills", "ro"),
    Entry("settings.json", "copy"),
    Entry("CLAUDE.md", "copy"),
    Entry("mcp.json", "copy"),
)
"""What every container of `claude.share: all` has."""

NEVER = (
    "sessions",
    ".claude.json",
    ".credentials.json",
    "shell-snapshots",
    "backups",
    "stats-cache.json",
)
"""What stays where it is. Of processes (`sessions`) two namespaces would delete each other's; the
JSON files are written anew by every Claude, and hold credentials."""

OF_WORKSPACE = ("mooring",)
"""What of the table's read-write part a container of `claude.share: workspace` has too."""


def entries(share: str) -> tuple[Entry, ...]:
    """The table for what is shared: `all`, `workspace` (besides its own projects), or `none`."""
    if share == "none":
        return ()
    if share == "workspace":
        return tuple(item for item in STORE if item.access != "rw" or item.name in OF_WORKSPACE)
    return STORE
