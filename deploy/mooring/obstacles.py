"""What stands in the way of a workspace, each with what to do about it. Pure."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import msgspec

from .errors import MooringError, command
from .model import Request, State

if TYPE_CHECKING:
    from .facts.repo import Repo
    from .facts.workspace import Observed
    from .facts.worktree import Registered


def check_repo(request: Request, observed: Observed) -> None:
    """Raise MooringError for a repo that can have no such workspace."""
    repo, target, record = observed.repo, observed.target, observed.record
    what = f"Cannot provision {request.topic!r}"
    if not target.git:
        raise MooringError(f"{what}: git is not installed on the target", "apt-get install git")
    if repo.problem:
        raise MooringError(
            f"{what}: {_first_line(repo.problem)}", *_remedies(request, repo.problem)
        )
    if repo.damage and not repo.base_commit:
        said = _first_line(repo.damage)
        raise MooringError(f"{what}: its repo is damaged: {said}", _mend(repo))
    if re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", repo.source + observed.worktree.path):
        raise MooringError(f"{what}: its path holds control characters, or is not UTF-8")
    if ".mooring" in repo.blobs:
        raise MooringError(f"{what}: the repo has a .mooring of its own, where ours would be")
    if "/.git/modules/" in f"{repo.common}/":
        raise MooringError(f"{what}: {repo.source} is a submodule; name the repo it is part of")
    if repo.common.startswith(f"{target.root}/cache/") and not request.repo.startswith("file:"):
        inside = repo.common.removeprefix(f"{target.root}/cache/").removesuffix(".git")
        if inside != repo.identity:
            raise MooringError(
                f"{what}: {repo.common} is Mooring's cache; name the repo's URL",
                command("git", "--git-dir", repo.common, "config", "remote.origin.url"),
            )
    if record and record.state is not State.ENDED and record.source != repo.source:
        there = msgspec.structs.replace(request, repo=record.source, named_repo=True)
        raise MooringError(
            f"{what}: this repo has a workspace of that topic already, from {record.source}",
            command("mooring", "new", *there.words),
        )


_REMEDIES = (
    ("dubious ownership", "git config --global --add safe.directory {repo}"),
    ("reftable", "git clone --ref-format=files {repo} NEW    # git 2.45 and newer"),
    ("unknown repository extension", "git --version    # a newer one may know it"),
    ("expected git repo version", "git --version    # a newer one may know it"),
    ("", "mooring new TOPIC --repo PATH"),
)


def _remedies(request: Request, problem: str) -> tuple[str, ...]:
    """What helps where a path is no repo that can be used."""
    found = next(hint for part, hint in _REMEDIES if part in problem)
    return (found.replace("{repo}", shlex.quote(request.repo)),)


def _mend(repo: Repo) -> str:
    """The command that mends a damaged repo: a cache can be cloned again."""
    if repo.source == repo.identity or "://" in repo.source or not repo.source.startswith("/"):
        return command("mooring", "cache", "repair", repo.source)
    return command("git", "--git-dir", repo.common, "fsck")


def existing(request: Request, observed: Observed, branch: str) -> Registered | None:
    """The worktree that is there already, if it will do."""
    found = observed.worktree.registered
    if not found or not found.there or observed.half_made:
        return None
    if request.new_worktree:
        raise MooringError(
            f"Cannot make a new worktree for {request.topic!r}: {found.path} exists",
            command("mooring", "resume", *request.words),
        )
    record = observed.record
    ours = record and (record.worktree == found.path or observed.worktree.moved)
    if not record or record.state is State.ENDED or not ours:
        raise MooringError(
            f"Cannot provision {request.topic!r}: {found.path} is a worktree that Mooring "
            "did not make",
            command("git", "-C", observed.repo.source, "worktree", "remove", found.path),
        )
    if request.branch and found.head != f"refs/heads/{branch}":
        raise MooringError(
            f"Cannot put {request.topic!r} on branch {branch!r}: its worktree is on "
            f"{found.head.removeprefix('refs/heads/')!r}",
            command("git", "-C", found.path, "switch", branch),
        )
    if request.base and request.base != record.base:
        raise MooringError(
            f"Cannot base {request.topic!r} on {request.base!r}: it began at {record.base!r}",
            command("git", "-C", found.path, "rebase", request.base),
            command("mooring", "end", *request.words),
        )
    return found


def check_path(request: Request, observed: Observed) -> None:
    """Raise MooringError if something else is where the worktree goes."""
    worktree = observed.worktree
    found = worktree.registered
    if worktree.kind == "blocked":
        parent = worktree.path.rpartition("/")[0]
        raise MooringError(
            f"Cannot make the worktree of {request.topic!r}: {parent} is not a directory",
            command("mv", parent, f"{parent}.old"),
        )
    if worktree.kind in ("dir", "other") and not observed.half_made:
        raise MooringError(
            f"Cannot make the worktree of {request.topic!r}: {worktree.path} exists "
            "and is not a worktree",
            command("mv", worktree.path, f"{worktree.path}.old"),
        )
    if found and found.locked and not observed.half_made:
        raise MooringError(
            f"Cannot make the worktree of {request.topic!r}: git has {worktree.path} locked"
            f" ({found.locked[1:] or 'no reason given'})",
            command("git", "--git-dir", observed.repo.common, "worktree", "unlock", worktree.path),
        )


def check_branch_free(request: Request, observed: Observed, branch: str) -> None:
    """Raise MooringError if the branch is checked out elsewhere, or can't be made."""
    repo, ours = observed.repo, clears(observed)
    places = {item.head: item.path for item in observed.worktree.others if item.admin not in ours}
    if repo.checkout:
        places[repo.head] = repo.checkout
    where = places.get(f"refs/heads/{branch}")
    if where:
        raise MooringError(
            f"Cannot put {request.topic!r} on branch {branch!r}: it is checked out at {where}",
            command("mooring", "new", *request.words, "--branch", f"{branch}-2"),
            command("git", "--git-dir", repo.common, "worktree", "prune", note="if it is gone"),
        )
    blocked = repo.blocked
    if blocked:
        raise MooringError(
            f"Cannot make branch {branch!r}: git keeps branches as paths, and "
            f"{blocked!r} is in its way",
            command("mooring", "new", *request.words, "--branch", f"{branch.replace('/', '-')}-2"),
        )


def clears(observed: Observed) -> tuple[str, ...]:
    """Registrations to drop: ours, of directories that are gone or were half made."""
    record, found = observed.record, observed.worktree.registered
    stale = []
    if found and (observed.half_made or (not found.there and not found.locked)):
        stale.append(found.admin)
    for other in observed.worktree.others:
        if record and other.path == record.worktree and not other.there and not other.locked:
            stale.append(other.admin)
    return tuple(stale)


def _first_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    if lines and lines[0].endswith(":"):
        lines[0] = " ".join([lines[0], *(line.strip() for line in lines[1:])])
    return lines[0].removeprefix("fatal: ") if lines else "git gave no reason"
