"""What is looked at on the host: the worktree, the store, the conversation, and Claude."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from ...claude import safely
from ...claude.version import INSTALL, installed
from ...errors import MooringError, command
from .. import doctor
from ..doctor import Finding
from ..places import git
from .look import CREDENTIALS, Look


def worktree(look: Look) -> Iterator[Finding]:
    """Whether it is there, all of it, and git knows it."""
    place = look.row.worktree
    if not look.worktree.is_dir():
        yield Finding("worktree", "fail", f"{place} is gone", look.new())
    elif look.row.state != "ready":
        text = f"{place} was not finished: it is {look.row.state}"
        yield Finding("worktree", "fail", text, look.new())
    elif not look.admin:
        yield Finding("worktree", "fail", f"git does not know {place} as a worktree", look.new())
    elif not _points_back(look):
        text = f"{place}/.git does not point to {look.admin}"
        main = look.common.removesuffix("/.git")
        hint = command("git", "-C", main, "worktree", "repair")
        yield Finding("worktree", "fail", text, hint)
    elif _head(look) is None:
        text = f"git can't tell the commit of {place}"
        yield Finding("worktree", "fail", text, command("git", "-C", place, "status"))
    else:
        yield Finding("worktree", "ok", place)


def _points_back(look: Look) -> bool:
    """Whether the worktree's pointer is as git made it: who could write there could change it."""
    said = safely.read(look.worktree / ".git", 8192) or b""
    place = os.fsdecode(said).strip().removeprefix("gitdir: ")
    return os.path.realpath(look.worktree / place) == os.path.realpath(look.admin)


def _head(look: Look) -> list[str] | None:
    """What the worktree is at, None if git can't tell; by gitrevisions(7) of another worktree."""
    name = f"worktrees/{Path(look.admin).name}/HEAD"
    return git(look.common, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")


def store(look: Look) -> Iterator[Finding]:
    """Whether a turn of this conversation can be saved on the host."""
    place = next((path for path in _places(look) if path.exists()), None)
    if place is None:
        text = f"{look.store} isn't there yet: Claude makes it at its first start"
        yield Finding("store", "ok", text)
    elif os.access(place, os.R_OK | os.W_OK | os.X_OK):
        yield Finding("store", "ok", str(look.store))
    else:
        text = f"{place} can't be read and written: no turn would be saved"
        yield Finding("store", "fail", text, mended(place, (os.getuid(), os.getgid()), "rwx"))


def _places(look: Look) -> tuple[Path, ...]:
    """Where a transcript is made: the innermost of these that is there."""
    projects = look.store / "projects"
    return projects / look.project, projects, look.store


def mended(path: Path, owner: tuple[int, int], rights: str) -> str:
    """The command that gives a file or directory to its owner, as whoever may do that."""
    if path.stat().st_uid == owner[0]:
        return command("chmod", f"u+{rights}", "--", str(path))
    root = () if os.getuid() == 0 else ("sudo",)
    return command(*root, "chown", f"{owner[0]}:{owner[1]}", "--", str(path))


def transcript(look: Look) -> Iterator[Finding]:
    """Whether the conversation is there, once, and can go on."""
    try:
        found = look.transcripts
    except MooringError as error:
        yield Finding("transcript", "fail", error.message, *error.hints[:1])
        return
    if not found:
        yield _none(look)
    elif len(found) > 1:
        text = f"{look.row.session} is there {len(found)} times: {', '.join(map(str, found))}"
        yield Finding("transcript", "warn", text, command("ls", "-l", *map(str, found)))
    else:
        yield _one(look, found[0])


def _none(look: Look) -> Finding:
    session = look.registry.session(look.row.session)
    if session is None or session.captured_at is None:
        return Finding("transcript", "ok", "the conversation has not begun")
    text = f"that of {look.row.session} is gone: it was at {session.transcript}"
    return Finding("transcript", "fail", text, look.new("--fresh"))


def _one(look: Look, path: Path) -> Finding:
    me = (os.getuid(), os.getgid())
    if not os.access(path, os.R_OK | os.W_OK):
        text = f"{path} can't be read and written: Claude would not find it, or save nothing"
        return Finding("transcript", "fail", text, mended(path, me, "rw"))
    owner = path.stat().st_uid
    if owner != look.owner[0]:
        text = f"{path} belongs to uid {owner}, the worktree to {look.owner[0]}"
        return Finding("transcript", "warn", text, mended(path, look.owner, "rw"))
    return Finding("transcript", "ok", str(path))


def hooks(look: Look) -> Iterator[Finding]:
    """Whether a conversation that is begun by hand in the worktree is noticed."""
    if doctor.has_hooks(look.worktree):
        yield Finding("hooks", "ok", "conversations begun by hand are noticed")
    else:
        text = "they aren't in the worktree: conversations begun by hand are not noticed"
        yield Finding("hooks", "warn", text, look.new())


def version(look: Look) -> Iterator[Finding]:
    """Whether the Claude of this host finds the conversation from the worktree."""
    if look.row.container:  # that of the container is looked at there
        return
    elsewhere = [path for path in look.seen if path.parent.name != look.project]
    try:
        claude = installed()
    except MooringError as error:
        yield Finding("claude", "warn", error.message, INSTALL)
        return
    if elsewhere and not claude.finds_anywhere:
        text = f"{claude.text} does not find a conversation that began elsewhere: {elsewhere[0]}"
        yield Finding("claude", "warn", text, command("mooring", "resume", *look.row.words))
    else:
        yield from doctor.version_here(look.registry)


def cleanup(look: Look) -> Iterator[Finding]:
    """How long the Claude of this host keeps transcripts."""
    yield from doctor.cleanup(look.registry)


def credentials(look: Look) -> Iterator[Finding]:
    """Whether Claude can log in on this host; macOS keeps that where nobody can look."""
    if look.row.container or sys.platform == "darwin":
        return
    names = ", ".join(look.passed)
    settings = doctor.settings_of(look.store / "settings.json") or {}
    if names or (look.store / ".credentials.json").exists() or "apiKeyHelper" in settings:
        yield Finding("credentials", "ok", names or "as Claude's own configuration has them")
    else:
        text = f"there is no login, and none of {', '.join(CREDENTIALS)} is set"
        hint = command("mooring", "run", *look.row.words, "--", "claude", note="and log in")
        yield Finding("credentials", "warn", text, hint)
