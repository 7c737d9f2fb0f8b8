"""What a container that runs says itself. It is untrusted: nothing it says is obeyed."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

from ...claude.version import ANY_DIRECTORY, OLDEST
from ...errors import command
from ..doctor import DEFAULT_DAYS, ENOUGH_DAYS, Finding
from .engine import mended as user_mended
from .host import mended
from .look import CREDENTIALS, Look, plain

SKEW = 60
"""Seconds by which its clock may be wrong: Claude deletes by the times of files."""


def _first(look: Look, key: str) -> str:
    """What it said of something, '' for nothing."""
    return plain((look.said or {}).get(key, [""])[0])


def whole(look: Look) -> Iterator[Finding]:
    """Whether it answered at all."""
    if look.said is not None and "end" not in look.said:
        why = look.problem or "it ended in the middle"
        yield Finding("inside", "fail", f"the container can't be looked into: {why}", look.anew)


def _answered(look: Look) -> bool:
    return "end" in (look.said or {})


def store(look: Look) -> Iterator[Finding]:
    """Whether Claude can save a turn in there, to where the host looks for it."""
    if not _answered(look):
        return
    if not _first(look, "config"):
        text = "CLAUDE_CONFIG_DIR isn't set in the container"
        yield Finding("store inside", "fail", text, look.anew)
    elif _first(look, "projects") != "yes":
        text = f"uid {_first(look, 'uid')} can't write to it: no turn would be saved"
        yield Finding("store inside", "fail", text, _mended_rights(look))
    elif _is_another(look):
        text = f"{look.store}/projects was replaced: the container still has the old one"
        yield Finding("store inside", "fail", text, look.anew)
    else:
        yield Finding("store inside", "ok", "a turn can be saved there")


def _is_another(look: Look) -> bool:
    """Whether the directory in there is no longer that of the host, as when one was renamed."""
    inspected, place = look.inspected, look.store / "projects"
    if inspected is None or not place.is_dir() or sys.platform != "linux":
        return False  # elsewhere an engine's machine numbers them anew
    mounted = any(item.destination.endswith("/.claude/projects") for item in inspected.mounts)
    return mounted and _first(look, "inode").strip() != str(place.stat().st_ino)


def _mended_rights(look: Look) -> str:
    """What helps where it can't write: its user, if that is another; else the container itself."""
    other = _first(look, "uid") != str(look.owner[0])
    return user_mended(look) if other else look.anew


def transcript(look: Look) -> Iterator[Finding]:
    """Whether the conversation is there, too, and can go on."""
    if not _answered(look):
        return
    said = [line.partition(" ") for line in (look.said or {}).get("transcript", [])]
    rights = {plain(project): rights for rights, _, project in said}
    there = look.seen
    if not rights and there:
        text = f"it is not there, but on the host: {there[0]}"
        yield Finding("transcript inside", "fail", text, look.anew)
    elif not rights:
        yield Finding("transcript inside", "ok", "the conversation has not begun")
    elif any(value != "rw" for value in rights.values()):
        text = f"uid {_first(look, 'uid')} can't read and write it: {', '.join(rights)}"
        yield Finding("transcript inside", "fail", text, _mended_file(look))
    else:
        yield Finding("transcript inside", "ok", "it can be read and written")


def _mended_file(look: Look) -> str:
    same = _first(look, "uid") == str(look.owner[0])
    return mended(look.seen[0], look.owner, "rw") if same and look.seen else (_mended_rights(look))


def git(look: Look) -> Iterator[Finding]:
    """Whether git works in there."""
    if not _answered(look):
        return
    if why := _first(look, "git"):
        yield Finding("git inside", "fail", f"git status does not work: {why}", look.anew)
        return
    places = {"worktree": look.row.worktree, "admin": look.admin}
    bad = [place for name, place in places.items() if _first(look, name) != "yes"]
    if bad:
        text = f"uid {_first(look, 'uid')} can't write to {' and '.join(bad)}"
        yield Finding("git inside", "fail", text, _mended_rights(look))
    else:
        yield Finding("git inside", "ok", f"HEAD is {_first(look, 'head')[:12]}")


def guarded(look: Look) -> Iterator[Finding]:
    """Whether what git runs on the host can't be changed from in there."""
    if not _answered(look):
        return
    names = {"git-config": "config", "hooks": "hooks"}
    found = [f"{look.common}/{name}" for key, name in names.items() if _first(look, key) == "yes"]
    if found:
        text = f"{' and '.join(found)} can be changed from inside: git runs them on the host"
        yield Finding("guarded", "fail", text, look.anew)
    else:
        yield Finding("guarded", "ok", "config and hooks of the repo are read-only")


def version(look: Look) -> Iterator[Finding]:
    """Whether Claude is there, and finds the conversation from the worktree."""
    if not _answered(look):
        return
    said = _first(look, "claude")
    found = re.match(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})", said)
    if found is None:
        text = f"it does not run there: {said}" if said else "there is none in the container"
        hint = look.new("--set", "claude.provide=host")
        yield Finding("claude inside", "fail", text, hint)
        return
    number = tuple(map(int, found.groups()))
    projects = [line.partition(" ")[2] for line in (look.said or {}).get("transcript", [])]
    if number < OLDEST:
        text = f"{found[0]} is older than {'.'.join(map(str, OLDEST))}, the oldest that was tried"
        hint = look.new("--set", "claude.provide=host")
        yield Finding("claude inside", "warn", text, hint)
    elif number < ANY_DIRECTORY and projects and look.project not in projects:
        text = f"{found[0]} does not find a conversation that began elsewhere: {plain(projects[0])}"
        resume = command("mooring", "resume", *look.row.words)
        hint = resume if _is_of_host(look) else look.new("--set", "claude.provide=host")
        yield Finding("claude inside", "warn", text, hint)
    else:
        yield Finding("claude inside", "ok", f"{found[0]}: finds the conversation from there")


def _is_of_host(look: Look) -> bool:
    """Whether the Claude in there is the host's, by whose version `mooring resume` moves it."""
    there = look.inspected.mounts if look.inspected else ()
    return any(item.destination.endswith("/bin/claude") for item in there)


def credentials(look: Look) -> Iterator[Finding]:
    """Whether Claude can log in there; only names are looked at, never a value."""
    if not _answered(look):
        return
    said = [name for name in (look.said or {}).get("variable", []) if name in CREDENTIALS]
    names = list(dict.fromkeys([*look.passed, *said]))
    if names:
        yield Finding("credentials", "ok", ", ".join(names))
    elif _first(look, "login") or _first(look, "helper"):
        yield Finding("credentials", "ok", "as Claude's own configuration there has them")
    else:
        text = f"there is no login in the container, and none of {', '.join(CREDENTIALS)} is set"
        hint = command("mooring", "run", *look.row.words, "--", "claude", note="and log in")
        yield Finding("credentials", "warn", text, hint)


def cleanup(look: Look) -> Iterator[Finding]:
    """How long the Claude in there keeps transcripts, which are the host's, too."""
    if not _answered(look):
        return
    said = _first(look, "days").strip()
    days = int(said) if said.isdecimal() else DEFAULT_DAYS
    if days >= ENOUGH_DAYS:
        yield Finding("cleanup inside", "ok", f"transcripts are kept for {days} days")
    else:
        text = f"Claude there deletes transcripts that were not written to for {days} days"
        hint = command("mooring", "doctor", *look.row.words, "--keep-transcripts")
        yield Finding("cleanup inside", "warn", text, hint)


def clock(look: Look) -> Iterator[Finding]:
    """Whether the times of what it writes are right."""
    said = _first(look, "time")
    if not said.isdecimal():
        return
    now = int(said)
    off = max(look.asked - now - 1, now - look.answered, 0)
    if off > SKEW:
        text = f"its clock is wrong by {int(off)} seconds: Claude deletes by the times of files"
        hint = command("sudo", "timedatectl", "set-ntp", "true")
        yield Finding("clock", "warn", text, hint)
    else:
        yield Finding("clock", "ok", "it goes as the host's")
