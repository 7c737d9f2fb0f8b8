"""`mooring doctor`: whether conversations here are recorded, found again, and kept."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from ..claude import events, hooks, safely, transcripts
from ..claude.version import INSTALL, OLDEST, installed
from ..errors import MooringError, command
from ..registry import Registry
from .places import LOCAL

DEFAULT_DAYS = 30
KEEP_DAYS = 3650
ENOUGH_DAYS = KEEP_DAYS // 10
FIX = "mooring doctor --keep-transcripts"


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at: `ok`, `warn` or `fail`, in a sentence, and what helps."""

    what: str
    state: str
    text: str
    hint: str = ""


def doctor(registry: Registry) -> list[Finding]:
    """Everything that is looked at, in order."""
    return [finding for look in CHECKS for finding in look(registry)]


def _store(registry: Registry) -> Iterator[Finding]:
    store = transcripts.store()
    if not store.is_dir():
        yield Finding("store", "ok", f"{store} isn't there yet: Claude makes it at its first start")
    elif not os.access(store, os.W_OK | os.X_OK):
        yield Finding("store", "fail", f"{store} can't be written: no turn would be saved")
    else:
        mine = os.getuid()
        others = [path for path in _projects(store) if path.stat().st_uid != mine]
        if others:
            text = f"{others[0]} belongs to somebody else: Claude can't read what is in it"
            yield Finding("store", "warn", text)
        else:
            yield Finding("store", "ok", str(store))


def _projects(store: Path) -> list[Path]:
    try:
        return [path for path in (store / "projects").iterdir() if path.exists()]
    except OSError:
        return []


def version_here(registry: Registry) -> Iterator[Finding]:
    """The Claude Code of this host."""
    try:
        claude = installed()
    except MooringError as error:
        yield Finding("claude", "warn", error.message, INSTALL)
        return
    if claude.version < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        text = f"{claude.text} is older than {oldest}, the oldest that was tried"
        yield Finding("claude", "warn", text, INSTALL)
    else:
        where = "from any directory" if claude.finds_anywhere else "where it began"
        yield Finding("claude", "ok", f"{claude.text}: finds a conversation {where}")


def _hooks(registry: Registry) -> Iterator[Finding]:
    rows = [row for row in registry.rows() if row.host == LOCAL and row.state == "ready"]
    lacking = [row for row in rows if not has_hooks(Path(row.worktree))]
    if lacking:
        names = ", ".join(row.topic for row in lacking[:5])
        text = f"{names}: conversations begun by hand there are not noticed"
        hint = command("mooring", "new", *lacking[0].words, "--launch", "none")
        yield Finding("hooks", "warn", text, hint)
    else:
        yield Finding("hooks", "ok", f"in {len(rows)} workspaces")
    path = transcripts.store() / "settings.json"
    if (settings_of(path) or {}).get("disableAllHooks"):
        yield Finding("hooks", "warn", f"{path} has disableAllHooks: nothing is recorded")
    written = transcripts.store() / events.FILE
    if written.parent.exists() and not os.access(written.parent, os.W_OK):
        yield Finding("hooks", "fail", f"{written.parent} can't be written: nothing is recorded")


def has_hooks(worktree: Path) -> bool:
    """Whether our hooks are in a worktree, as they are to be."""
    places = (worktree / hooks.SETTINGS, worktree / hooks.FLAG_SETTINGS)
    found = (settings_of(place) for place in places)
    return any(item is not None and hooks.merged(item) == item for item in found)


def cleanup(registry: Registry) -> Iterator[Finding]:
    """How long the Claude of this host keeps transcripts."""
    path = transcripts.store() / "settings.json"
    settings = settings_of(path)
    if settings is None and path.exists():
        yield Finding("cleanup", "fail", f"{path} is not JSON")
        return
    days = (settings or {}).get("cleanupPeriodDays", DEFAULT_DAYS)
    if isinstance(days, int) and days >= ENOUGH_DAYS:
        yield Finding("cleanup", "ok", f"transcripts are kept for {days} days")
    else:
        text = f"Claude deletes transcripts that were not written to for {days} days"
        yield Finding("cleanup", "warn", text, FIX)


def settings_of(path: Path, *, follow: bool = True) -> dict[str, Any] | None:
    """The settings in a file; None if there is none, or it isn't JSON of that shape.

    A symlink is followed unless `follow` says otherwise, for where others can put one.
    """
    data = safely.read(path, follow=follow)
    settings = None if data is None else hooks.parse(data)
    return settings if isinstance(settings, dict) else None


def plain(finding: Finding) -> dict[str, str]:
    """A finding as plain data."""
    return msgspec.structs.asdict(finding)


Check = Callable[[Registry], Iterator[Finding]]
CHECKS: tuple[Check, ...] = (_store, version_here, _hooks, cleanup)


def keep_transcripts(place: Path | None = None) -> Path:
    """Have Claude keep transcripts for ten years: one key in its user settings; returns the file.

    `place` is the config directory of another Claude, which may have put a symlink there; None for
    that of this host's. Raises MooringError, and changes nothing, if the file isn't JSON or can't
    be written.
    """
    path = (place or transcripts.store()) / "settings.json"
    if place is None:
        path = Path(os.path.realpath(path))
    settings = settings_of(path, follow=False)
    if settings is None and os.path.lexists(path):
        raise MooringError(f"Cannot change {path}: it is not a JSON object")
    text = json.dumps(
        {**(settings or {}), "cleanupPeriodDays": KEEP_DAYS}, indent=2, ensure_ascii=True
    )
    try:
        _put(path, text + "\n")
    except OSError as error:
        raise MooringError(f"Cannot change {path}: {error.strerror}") from None
    return path


def _put(path: Path, text: str) -> None:
    """Rename a new file over a path; it has the old one's mode, and the owner of the directory."""
    stage = path.with_name(f"{path.name}.mooring-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(os.open(stage, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
            owner = path.parent.stat()
            if owner.st_uid != os.getuid():
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            os.fchmod(file.fileno(), path.stat().st_mode & 0o777 if path.exists() else 0o600)
        stage.replace(path)
    except OSError:
        stage.unlink(missing_ok=True)
        raise
