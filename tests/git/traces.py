"""What lies on a disk and in a repo, to compare before and after, and what a run must not leave."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.support import Person

ROOT = ".local/share/mooring"


def listing(*places: Path, without: tuple[str, ...] = (), times: bool = True) -> dict[str, str]:
    """Every path under `places`: its mode, owner, content and, with `times`, when it changed.

    What lies at or under a path that contains one of `without` is left out.
    """
    paths = (path for place in places for path in _walk(place))
    return {
        str(path): _describe(path, times)
        for path in paths
        if not any(part in str(path) for part in without)
    }


def _walk(place: Path) -> Iterator[Path]:
    yield place
    for directory, names, files in os.walk(place):
        yield from (Path(directory, name) for name in sorted([*names, *files]))


def _describe(path: Path, times: bool) -> str:
    status = path.lstat()
    changed = f" {status.st_mtime_ns}" if times else ""
    return f"{status.st_mode:o} {status.st_uid} {_content(path, status)}{changed}"


def _content(path: Path, status: os.stat_result) -> str:
    if stat.S_ISLNK(status.st_mode):
        return os.readlink(path)
    if stat.S_ISREG(status.st_mode):
        return sha256(path.read_bytes()).hexdigest()
    return ""


def refs(person: Person, repo: Path) -> str:
    """Every ref of a repo, what HEAD is, its config, excludes and worktrees."""
    common = Path(person.git("rev-parse", "--git-common-dir", cwd=repo).stdout.strip())
    git_dir = repo / common
    found = [
        person.git("for-each-ref", cwd=repo).stdout,
        person.git("worktree", "list", "--porcelain", cwd=repo).stdout,
        *((git_dir / name).read_text() for name in ("HEAD", "config", "info/exclude")),
    ]
    return "\n".join(found)


def leftovers(home: Path) -> list[str]:
    """What only a run that died would leave: stages, half records, git's locks."""
    return [str(path) for path in _walk(home) if _is_leftover(path)]


def _is_leftover(path: Path) -> bool:
    name, in_root = path.name, path.parent.name == "mooring"
    return (
        name.startswith((".stage", ".mooring-removed"))
        or name.endswith((".lock", "exclude.mooring"))
        or name == "locked"
        or (in_root and name.startswith("id."))
        or (f"{ROOT}/records/" in str(path) and path.is_file() and path.suffix != ".json")
    )


def records(home: Path) -> list[dict[str, Any]]:
    """Every record of the root in that HOME."""
    files = sorted((home / ROOT / "records").glob("*/*/*.json"))
    return [json.loads(path.read_text()) for path in files]


def live(home: Path) -> list[dict[str, Any]]:
    """The records of workspaces that have not ended."""
    return [record for record in records(home) if record["state"] != "ended"]


def rows(person: Person) -> list[dict[str, Any]]:
    """The index: `mooring list --all --json`."""
    found: list[dict[str, Any]] = json.loads(person.mooring("list", "--all", "--json").stdout)
    return found


def worktrees(person: Person, repo: Path) -> list[str]:
    """The paths of a repo's worktrees, without its main one."""
    lines = person.git("worktree", "list", "--porcelain", cwd=repo).stdout.splitlines()
    paths = [line.removeprefix("worktree ") for line in lines if line.startswith("worktree ")]
    return paths[1:]


def branches(person: Person, repo: Path) -> list[str]:
    """The local branches of a repo."""
    return person.git(
        "for-each-ref", "--format=%(refname:short)", "refs/heads", cwd=repo
    ).stdout.split()


def made(person: Person, topic: str, *args: str, cwd: Path) -> Path:
    """The workspace that `mooring new` prints."""
    return Path(person.mooring("new", topic, *args, cwd=cwd).stdout.removesuffix("\n"))


def status(person: Person, repo: Path) -> str:
    """`git status --porcelain`, ignored files left out."""
    return person.git("status", "--porcelain", cwd=repo).stdout


def head(person: Person, repo: Path, rev: str = "HEAD") -> str:
    """The SHA of a revision."""
    return person.git("rev-parse", "--verify", f"{rev}^{{commit}}", cwd=repo).stdout.strip()


def holders(person: Person, repo: Path, commit: str) -> list[str]:
    """The refs from which a commit can be reached."""
    done = person.git("for-each-ref", "--contains", commit, "--format=%(refname)", cwd=repo)
    return done.stdout.split()


def hook(repo: Path, script: str) -> None:
    """Make `script` the repo's post-checkout hook."""
    path = repo / ".git/hooks/post-checkout"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
