"""The files of a checkout that git doesn't have: how large they are, and what looks like a secret.

Nothing of them is run, no symlink is followed, and nothing of what they hold is given back.
"""

from __future__ import annotations

import os
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from ..claude import safely
from ..errors import MooringError
from ..files.categories import LARGE, MANY, Found, kind, unit, wants_content
from ..files.secretish import LIMIT, found
from ..paths import is_inside

Report = Callable[[str], None]
PATIENCE = 0.5
"""Seconds without a word."""


class Untracked(msgspec.Struct, frozen=True):
    """What there is, and what has to be said of the rest."""

    found: list[Found]
    notes: list[str]


class _Look(msgspec.Struct):
    """One look at a checkout: what it has to say, and when it last said that it goes on."""

    checkout: Path
    report: Report
    notes: list[str] = []
    last: float = 0.0

    def on(self, name: str) -> None:
        """Say where it is, if nobody has heard of it for a while."""
        if time.monotonic() - self.last > PATIENCE:
            self.report(f"looking at {name}")
            self.last = time.monotonic()


def look(checkout: Path, git_dir: str, report: Report) -> Untracked:
    """Every untracked or ignored path, a directory that is one thing as one.

    Raises MooringError if git can't list them.
    """
    now = _Look(checkout, report, last=time.monotonic())
    groups: dict[tuple[str, bool], list[str]] = {}
    for path, ignored in _listed(now, git_dir):
        if carried(path):
            groups.setdefault((unit(path), ignored), []).append(path)
        else:
            now.notes.append(f"left out: {path!a} (its name cannot be carried safely)")
    found = [
        one
        for (name, ignored), paths in sorted(groups.items())
        for one in _one(now, name if len(paths) > 1 else paths[0], ignored, paths)
    ]
    return Untracked(found, now.notes)


def carried(path: str) -> bool:
    """Whether a path from git can be carried safely: into a pattern, and onto a screen."""
    return is_inside(path.rstrip("/")) and '"' not in path and path.isprintable()


def _listed(now: _Look, git_dir: str) -> Iterator[tuple[str, bool]]:
    """Paths, and whether git ignores each; an ignored directory is one, with a `/` at its end."""
    argv = ["git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"]
    argv += [f"--git-dir={git_dir}", f"--work-tree={now.checkout}", "status", "--porcelain=v1"]
    argv += ["-z", "--no-renames", "--ignore-submodules=all"]
    argv += ["--untracked-files=all", "--ignored=matching"]
    env = {**os.environ, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"}
    done = subprocess.run(argv, cwd=now.checkout, env=env, capture_output=True, check=False)
    said = done.stderr.decode("utf-8", "replace").splitlines()
    if done.returncode:
        raise MooringError(f"Cannot list the files of {now.checkout}: {''.join(said[-1:])!a}")
    now.notes += [f"git says: {line!a}" for line in said]  # of directories that it can't read
    for entry in done.stdout.split(b"\0"):
        if entry[:3] in (b"?? ", b"!! "):
            yield entry[3:].decode("utf-8", "surrogateescape"), entry[:2] == b"!!"


def _one(now: _Look, name: str, ignored: bool, paths: list[str]) -> Iterator[Found]:
    """One row, and of a directory to copy one more for each file in it that holds a secret."""
    now.on(name)
    parts = ignored and paths != [unit(name)] and kind(name)[1] == "symlink"
    problem = "only a part of the directory is ignored" if parts else ""
    if len(paths) == 1 and not name.endswith("/"):
        yield from _file(now, name, ignored, problem)
        return
    sizes = [_measured(now, path) for path in paths]
    size, files = (sum(column) for column in zip(*sizes, strict=True))
    if os.path.lexists(now.checkout / name / ".git"):
        problem = "a repo of its own"
    yield Found(path=name, ignored=ignored, size=size, files=files, problem=problem)
    small = files <= MANY and size <= LARGE
    if paths == [name] and not problem and small and kind(name)[1] == "copy":
        for path in filter(carried, _below(now.checkout, name)):
            yield from (one for one in _file(now, path, ignored) if one.secret)


def _below(checkout: Path, directory: str) -> Iterator[str]:
    for place, _, files in os.walk(checkout / directory):
        for file in sorted(files):
            yield Path(place, file).relative_to(checkout).as_posix()


def _file(now: _Look, name: str, ignored: bool, problem: str = "") -> Iterator[Found]:
    """One file, if it is still there."""
    path = now.checkout / name
    try:
        status = path.lstat()
    except OSError:
        return
    secret = ""
    if not stat.S_ISREG(status.st_mode):
        problem = "a symlink" if stat.S_ISLNK(status.st_mode) else "not a plain file"
    elif not ignored or wants_content(name):
        data = safely.read(path, LIMIT)
        secret = found(data or b"")
        if data is None:
            problem = "it cannot be read"
            now.notes.append(f"cannot be read: {name}")
    size, mode = status.st_size, stat.S_IMODE(status.st_mode)
    yield Found(path=name, ignored=ignored, size=size, mode=mode, secret=secret, problem=problem)


def _measured(now: _Look, name: str) -> tuple[int, int]:
    """Bytes and files of a file, or of a directory with all that is below it."""
    place = str(now.checkout / name)
    if not name.endswith("/"):
        try:
            return os.lstat(place).st_size, 1
        except OSError:
            return 0, 0
    size = files = 0
    waiting = [place]
    while waiting:
        now.on(name)
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        size += entry.stat(follow_symlinks=False).st_size
                        files += 1
        except OSError:
            now.notes.append(f"cannot be read in full: {name}")
    return size, files
