"""Where things are on this host: where one stands, a repo's git directory, a moved worktree."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec.structs import replace

from ..claude import safely
from ..claude.events import workspace_line
from ..environment import Named
from ..files import guard
from ..model import Key
from ..registry import Registry, Row
from ..repo import parse_source

LOCAL = "@local"
"""This host's name in the index."""


def cwd() -> str:
    """Where we stand, or '' if that directory is gone, as after an `end` inside the workspace."""
    try:
        return os.path.realpath(Path.cwd())
    except FileNotFoundError:
        return ""


def repo_around() -> str:
    """The repo we stand in, if a `.git` says that there is one."""
    here = Path(cwd() or "/")
    return str(here) if any((place / ".git").exists() for place in (here, *here.parents)) else ""


def standing_in(registry: Registry) -> Row | None:
    """The workspace one stands in, by the name it has in `.mooring/workspace`, or by its path."""
    here = cwd()
    if not here:
        return None
    rows = [row for row in registry.rows() if row.host == LOCAL and row.state != "ended"]
    for place in (Path(here), *Path(here).parents):
        line = name_of(place)
        if line:
            named = (row for row in rows if workspace_line(row.target, row.key) == line)
            # It may have been moved since the index saw it.
            return next((replace(row, worktree=str(place)) for row in named), None)
    return next((row for row in rows if f"{here}/".startswith(f"{row.worktree}/")), None)


def name_of(place: Path) -> str:
    """What a directory says it is the worktree of, '' if it says nothing."""
    said = safely.read(place / ".mooring" / "workspace", 8192)
    return said.decode("utf-8", "replace").rstrip("\n") if said else ""


def guard_settings(workspace: Named) -> tuple[tuple[str, str], ...]:
    """What git is told of the workspace's guard on this host, if it has one."""
    key = Key(workspace.repo, workspace.agent, workspace.topic)
    place = guard.directory(os.path.realpath(Path.home() / ".local/share/mooring"), key)
    return guard.settings(place) if Path(place).is_dir() else ()


def moved(row: Row) -> Row:
    """The workspace at where git has its worktree now, if somebody moved it."""
    place = git_dir(row)
    if Path(row.worktree).is_dir() or place is None:
        return row
    listed = git(place, "worktree", "list", "--porcelain") or ()
    paths = (line.removeprefix("worktree ") for line in listed if line.startswith("worktree "))
    line = workspace_line(row.target, row.key)
    found = next((path for path in paths if name_of(Path(path)) == line), row.worktree)
    return replace(row, worktree=found)


def git_dir(row: Row) -> str | None:
    """The repo's git directory on this host: never by the worktree, whose pointer isn't trusted."""
    return git_dir_of(row) if row.host == LOCAL else None


def git_dir_of(workspace: Named) -> str | None:
    """The same of a workspace that is known to be on this host."""
    if workspace.source.startswith("/"):
        return main_git_dir(Path(workspace.source))
    cache = Path.home() / ".local/share/mooring/cache" / f"{workspace.repo}.git"
    return str(cache) if cache.is_dir() else None


def main_git_dir(checkout: Path) -> str:
    """The git directory of a main checkout, or of a bare repo."""
    inside = checkout / ".git"
    return str(inside if inside.is_dir() else checkout)


def main_checkout(repo: object) -> Path:
    """The main checkout of a repo given by a path in it, or in a worktree of it; a URL as it is."""
    start = Path(str(repo))
    for place in (start, *start.parents) if start.is_absolute() else ():
        pointer = place / ".git"
        if pointer.is_dir():
            return place
        if pointer.is_file():
            # gitrepository-layout(5): "gitdir: <main>/.git/worktrees/<name>"
            text = pointer.read_text(errors="surrogateescape").strip()
            common = (place / text.removeprefix("gitdir: ")).resolve().parent.parent
            return common.parent if common.name == ".git" else place
    return start


def git(place: str, *args: str) -> list[str] | None:
    """The lines that git says of a repo on this host, None if it fails.

    It runs nothing that the repo could have chosen, and needs the git directory itself: a
    worktree's pointer to it isn't trusted.
    """
    import subprocess  # only here: `list` does without

    quiet = ("-c", "core.fsmonitor=", "-c", "core.hooksPath=/dev/null")
    argv = ["git", *quiet, f"--git-dir={place}", *args]
    env = {**os.environ, "GIT_COMMON_DIR": place}  # else a file there could name another config
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    return None if done.returncode else done.stdout.splitlines()


def is_repo(row: Row, repo: str) -> bool:
    """Whether `repo` names the workspace's repo: by URL, identity, or a path in it."""
    if repo in (row.repo, row.source):
        return True
    if not repo.startswith("/"):
        return parse_source(repo).identity == row.repo
    return any(
        repo == place or repo.startswith(f"{place}/")
        for place in (row.worktree, row.source if row.source.startswith("/") else row.worktree)
    )


def absolute(repo: str) -> str:
    """A path as an absolute one; a URL, or an identity, as it is."""
    if not repo or parse_source(repo).is_url:
        return repo
    path = Path(repo).expanduser()
    return os.path.realpath(path) if path.exists() else repo
