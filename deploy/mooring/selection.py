"""Which files a workspace gets, and where those that Mooring writes go. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from .claude import hooks
from .errors import MooringError, command
from .facts.files import selects
from .spec import Copy, is_inside

if TYPE_CHECKING:
    from .facts.workspace import Observed
    from .spec import Spec

ENVRC = (".envrc", ".mooring/envrc")
CONTEXT = (".session-context.md", ".mooring/session-context.md")
PROMPT = (".session-prompt.md", ".mooring/session-prompt.md")
"""Where a generated file goes, and where it goes instead if the repo has such a file itself."""


class Copied(msgspec.Struct, frozen=True):
    """One file to bring from the main checkout; `sum` is the sha256 of its content there."""

    src: str
    dest: str
    mode: str
    sum: str


def copies(spec: Spec, observed: Observed) -> tuple[tuple[Copied, ...], list[str]]:
    """The untracked files to bring from the main checkout, and what to say of the others."""
    files, repo = observed.files, observed.repo
    if spec.patterns and not repo.checkout:
        return (), ["no files were copied: there is no main checkout on the target to copy from"]
    chosen, notes = [], []
    for path in files.matched:
        if path == hooks.SETTINGS and _owns_settings(observed):
            continue  # composed with our hooks instead
        problem = _no_copy(path, observed)
        if problem:
            notes.append(f"not copied: {path} ({problem})")
            if problem == _SHOWN:
                notes[-1] += f"\nhint: {command('echo', f'/{path}')} >> .gitignore"
            continue
        named = spec.copies.get(path, Copy(path))
        chosen.append(Copied(path, named.dest or path, named.mode, files.sources[path]))
    _check_copies(chosen)
    missing = [name for name in spec.copies if name not in files.matched]
    notes += [
        f"not copied: {name} (the main checkout has no such untracked file)" for name in missing
    ]
    known = observed.record.files if observed.record else {}
    for item in chosen:
        there = files.present.get(item.dest)
        if there and there not in (item.sum, known.get(item.dest)):
            notes.append(f"kept as it is: {item.dest} (it was edited in the workspace)")
    return tuple(chosen), notes


def _check_copies(copies: list[Copied]) -> None:
    sources: dict[str, str] = {}
    for item in copies:
        other = sources.setdefault(item.dest, item.src)
        if other != item.src:
            raise MooringError(
                f"Cannot copy both {other} and {item.src} to {item.dest}: files.copy names one "
                "destination twice"
            )


_SHOWN = "git would show it"


def _no_copy(path: str, observed: Observed) -> str:
    if path.startswith('"') or not is_inside(path):
        return "its name cannot be carried safely"
    if path not in observed.files.sources:
        return "it is not a plain file"
    if path not in observed.files.ignored:
        return _SHOWN
    return ""


def place(places: tuple[str, str], observed: Observed, taken: set[str]) -> str:
    """Where a generated file goes: not where the repo, or a copy, has one."""
    name = places[0]
    theirs = name in observed.repo.blobs or name in observed.files.visible or name in taken
    return places[1] if theirs or reincluded(observed, name) else name


def reincluded(observed: Observed, name: str) -> bool:
    """Whether the repo's .gitignore takes it out again: then no line of ours could hide it."""
    lines = observed.repo.blobs.get(".gitignore", b"").decode("utf-8", "replace").splitlines()
    return selects([line[1:].rstrip() for line in lines if line.startswith("!")], name)


def _owns_settings(observed: Observed) -> bool:
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


def settings(observed: Observed, makes_worktree: bool) -> tuple[str, str, list[str]]:
    """Which file gets Claude's hooks, its text if that has to change, and what to say of it."""
    session = observed.session
    there = session.settings
    if there is None and makes_worktree and session.kept_settings is not None:
        base = session.kept_settings
    else:
        copied = hooks.SETTINGS in observed.files.matched and session.source_settings
        base = there if there is not None else copied or b""
    wanted = hooks.merged(hooks.parse(base)) if _owns_settings(observed) else None
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
