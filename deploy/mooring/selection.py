"""Where the files go that Mooring writes itself. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from .claude import hooks
from .facts.files import selects

if TYPE_CHECKING:
    from .facts.workspace import Observed

ENVRC = (".envrc", ".mooring/envrc")
CONTEXT = (".session-context.md", ".mooring/session-context.md")
PROMPT = (".session-prompt.md", ".mooring/session-prompt.md")
"""Where a generated file goes, and where it goes instead if the repo has such a file itself."""


def place(places: tuple[str, str], observed: Observed, taken: set[str]) -> str:
    """Where a generated file goes: not where the repo, or a copy, has one."""
    name = places[0]
    theirs = name in observed.repo.blobs or name in observed.files.visible or name in taken
    return places[1] if theirs or reincluded(observed, name) else name


def reincluded(observed: Observed, name: str) -> bool:
    """Whether the repo's .gitignore takes it out again: then no line of ours could hide it."""
    lines = observed.repo.blobs.get(".gitignore", b"").decode("utf-8", "replace").splitlines()
    return selects([line[1:].rstrip() for line in lines if line.startswith("!")], name)


def owns_settings(observed: Observed) -> bool:
    """Whether the worktree's own settings are ours to write: git neither has nor shows them."""
    theirs = {*observed.repo.blobs, *observed.files.visible}
    if hooks.SETTINGS in theirs or _linked(observed):
        return False
    return not reincluded(observed, hooks.SETTINGS)


def _linked(observed: Observed) -> bool:
    """Whether they lie behind a symlink, in the worktree or the repo, or in a submodule."""
    modules = observed.repo.blobs.get(".gitmodules", b"")
    submodule = re.search(rb"(?m)^\s*path\s*=\s*\.claude\s*$", modules)
    return observed.session.linked or bool(observed.repo.blobs.get(".claude") or submodule)


_NOT_OURS: tuple[tuple[Callable[[Observed], bool], str], ...] = (
    (_linked, "lies behind a symlink, or in a submodule"),
    (lambda seen: hooks.SETTINGS in seen.repo.blobs, "is the repo's own"),
    (lambda seen: reincluded(seen, hooks.SETTINGS), "is one that the repo's .gitignore shows"),
    (
        lambda seen: hooks.SETTINGS in seen.files.visible,
        "is one that git would show in the main checkout",
    ),
    (lambda seen: True, "is not JSON that hooks can be added to"),
)
"""Why the worktree's own settings get no hooks, the first that holds."""


def settings(
    observed: Observed, makes_worktree: bool, rendered: bool
) -> tuple[str, str, list[str]]:
    """Which file gets Claude's hooks, its text if that has to change, and what to say of it.

    Where it is `rendered` it has them from there.
    """
    if rendered:
        return hooks.SETTINGS, "", []
    session = observed.session
    there = session.settings
    if there is None and makes_worktree and session.kept_settings is not None:
        base = session.kept_settings
    else:
        copied = hooks.SETTINGS in observed.files.matched and session.source_settings
        base = there if there is not None else copied or b""
    wanted = hooks.merged(hooks.parse(base)) if owns_settings(observed) else None
    if wanted is None:
        why = next(text for says, text in _NOT_OURS if says(observed))
        note = (
            f"{hooks.SETTINGS} {why}: Claude gets its hooks by --settings, so that a `claude` "
            "started by hand there is not noticed"
        )
        return hooks.FLAG_SETTINGS, "", [note]
    if there is not None and hooks.parse(there) == wanted:
        return hooks.SETTINGS, "", []
    return hooks.SETTINGS, hooks.dump(wanted), []
