"""Odd repos: each gets its workspace, and is what it was once that ends; or is refused cleanly.

With this machine's git, and with the oldest and the newest of `.ci/gits`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.git import matrix
from tests.git.matrix import Builder
from tests.git.traces import branches, listing, live
from tests.git.versions import NAME, gits, with_git
from tests.support import Done, Person, lack, link, need

Args = tuple[str, ...]

# What Mooring keeps for itself. What is fetched into a clone for a checkout stays there, too.
KEPT = ("/.local",)
FETCHED: dict[Builder, Args] = {
    matrix.partial: ("/objects/pack/",),
    matrix.lfs_elsewhere: ("/.git/lfs/",),
    matrix.own_hook: ("/hook-ran",),
}
AS_ROOT = (matrix.somebody_elses, matrix.somebody_elses_but_safe)
WITH_LFS = (matrix.lfs, matrix.lfs_elsewhere)

# A newer git keeps house behind one's back, and a state is not to change while one looks.
IN_THE_FOREGROUND = "[maintenance]\n\tautoDetach = false\n[gc]\n\tautoDetach = false\n"


@pytest.fixture(params=gits(), ids=NAME)
def person(person: Person, request: pytest.FixtureRequest) -> Person:
    with (person.home / ".gitconfig").open("a") as config:
        config.write(IN_THE_FOREGROUND)
    git, directory = request.param
    return person if git == "system" else with_git(person, git, directory)


def built(person: Person, build: Builder) -> Path:
    """Where one stands in that repo, on a machine that has what it needs."""
    if build in AS_ROOT and os.geteuid() != 0:
        lack("not root: a file cannot be given to another user")
    if build is matrix.somebody_elses and matrix.version(person) < (2, 36):
        pytest.skip("git before 2.35.2 trusts every repo")
    if build in WITH_LFS:
        link(need("git-lfs"), person.home / "bin/git-lfs")
    return build(person, person.home / "src/shop")


def new(person: Person, place: Path, *args: str, check: bool = True) -> Done:
    return person.mooring("new", "t", "--launch", "none", *args, cwd=place, check=check)


def made(person: Person, place: Path, *args: str) -> Path:
    return Path(new(person, place, *args).stdout.removesuffix("\n"))


def refs(person: Person, place: Path, without: str) -> list[str]:
    """All refs with their commits, without one branch."""
    done = person.git("for-each-ref", "--format=%(refname) %(objectname)", cwd=place)
    lines = done.stdout.splitlines()
    return [line for line in lines if line.partition(" ")[0] != f"refs/heads/{without}"]


def status(person: Person, place: Path) -> str:
    """`git status`, which must not even refresh an index; empty where there is no checkout."""
    calm = {"GIT_OPTIONAL_LOCKS": "0"}
    return person.git("status", "--porcelain", cwd=place, env=calm, check=False).stdout


def state(person: Person, build: Builder) -> dict[str, str]:
    """All that a workspace must leave as it is."""
    return listing(person.home, without=KEPT + FETCHED.get(build, ()), times=False)


def differences(before: dict[str, str], after: dict[str, str]) -> dict[str, tuple[str, str]]:
    """What is different at the paths of two states."""
    return {
        path: (before.get(path, "nothing"), after.get(path, "nothing"))
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    }


def sparse_too(person: Person, place: Path, workspace: Path) -> None:
    if matrix.version(person) >= (2, 36):  # an older git checks out all
        assert not (workspace / "docs").exists()
        assert person.git("sparse-checkout", "list", cwd=workspace).stdout == "app\n"


def with_content(person: Person, place: Path, workspace: Path) -> None:
    assert (workspace / "large.bin").read_text() == "large\n" * 1000


def hook_ran_once(person: Person, place: Path, workspace: Path) -> None:
    assert (person.home / "tmp/hook-ran").read_text() == f"{workspace}\n"


def nothing_precious_touched(person: Person, place: Path, workspace: Path) -> None:
    precious = person.home / "precious"
    assert [path.name for path in precious.iterdir()] == ["notes"]
    assert (precious / "notes").read_text() == "mine\n"


def still_locked(person: Person, place: Path, workspace: Path) -> None:
    assert len(list((place / ".git/worktrees").glob("*/locked"))) == 2


def own_worktree(person: Person, place: Path, workspace: Path) -> None:
    top = person.git("rev-parse", "--show-toplevel", cwd=workspace).stdout.strip()
    assert top == str(workspace)


def both_forms(person: Person, place: Path, workspace: Path) -> None:
    texts = [(workspace / name).read_text() for name in (matrix.NFC, matrix.NFD)]
    assert texts == ["composed\n", "decomposed\n"]


# What must be so while there is a workspace.
CHECKS: dict[Builder, Callable[[Person, Path, Path], None]] = {
    matrix.sparse: sparse_too,
    matrix.lfs: with_content,
    matrix.lfs_elsewhere: with_content,
    matrix.own_hook: hook_ran_once,
    matrix.hostile: nothing_precious_touched,
    matrix.linked_claude: nothing_precious_touched,
    matrix.locked_worktrees: still_locked,
    matrix.core_worktree: own_worktree,
    matrix.worktree_config: own_worktree,
    matrix.unicode_names: both_forms,
}


WORKS = [
    (matrix.plain, ()),
    (matrix.cloned, ()),
    (matrix.shallow, ()),
    (matrix.partial, ()),
    (matrix.bare, ()),
    (matrix.bare, ("--branch", "main")),
    (matrix.bare_as_dot_git, ()),
    (matrix.bare_as_dot_git, ("--branch", "main")),
    (matrix.bare_behind_a_file, ()),
    (matrix.bare_behind_a_file, ("--branch", "main")),
    (matrix.linked, ()),
    (matrix.subdirectory, ()),
    (matrix.through_a_link, ()),
    (matrix.sparse, ()),
    (matrix.separate_git_dir, ()),
    (matrix.core_worktree, ()),
    (matrix.worktree_config, ()),
    (matrix.sha256, ()),
    (matrix.detached, ()),
    (matrix.somebody_elses_but_safe, ()),
    (matrix.unicode_names, ()),
    (matrix.unicode_names, ("--branch", "tópico/ünï")),
    (matrix.odd_names, ()),
    (matrix.submodules, ()),
    (matrix.claude_as_submodule, ()),
    (matrix.lfs, ()),
    (matrix.lfs_elsewhere, ()),
    (matrix.own_hook, ()),
    (matrix.locked_worktrees, ()),
    (matrix.alternates, ()),
    (matrix.stash, ()),
    (matrix.dirty, ()),
    (matrix.hostile, ()),
    (matrix.linked_claude, ()),
    (matrix.linked_gitignore, ()),
    (matrix.graft, ()),
    (matrix.listing_gitignore, ()),
    (matrix.no_info, ()),
    (matrix.linked_exclude, ()),
    (matrix.linked_worktrees, ()),
]
REFUSED = [
    (matrix.no_commits, (), "the repo has no commit on 'main' yet"),
    (matrix.orphan, (), "the repo has no commit on 'fresh' yet"),
    (matrix.unknown_extension, (), "foo"),
    (matrix.as_reftable, (), "refstorage"),
    (matrix.somebody_elses, (), "dubious ownership"),
    (matrix.branch_below, (), "'t/x' is in its way"),
    (matrix.branch_above, ("--branch", "t/x"), "'t' is in its way"),
    (matrix.cloned, ("--branch", "main"), "it is checked out at"),
    (matrix.core_worktree, ("--branch", "main"), "it is checked out at"),
    (matrix.blocked_worktrees, (), "shop.worktrees"),
]
BREAKS = [
    matrix.missing_blob,
    matrix.partial_and_alone,
]


def name(value: object) -> str:
    """A builder by its name, arguments by what they say."""
    return value if isinstance(value, str) else getattr(value, "__name__", "")


@pytest.mark.parametrize(("build", "args"), WORKS, ids=name)
def test_a_workspace_comes_and_goes(person: Person, build: Builder, args: Args) -> None:
    place = built(person, build)
    branch = args[1] if args else "t"
    before, was = state(person, build), status(person, place)
    others = refs(person, place, branch)
    workspace = made(person, place, *args)
    head = person.git("symbolic-ref", "HEAD", cwd=workspace).stdout.strip()
    assert head == f"refs/heads/{branch}"
    assert [status(person, workspace), status(person, place)] == ["", was]
    assert refs(person, place, branch) == others
    assert "unchanged" in new(person, place, *args).stderr
    if build in CHECKS:
        CHECKS[build](person, place, workspace)
    person.mooring("end", "t", cwd=place)
    assert differences(before, state(person, build)) == {}
    assert not list(person.home.rglob("pwned"))


def is_clear(said: str, reason: str) -> None:
    """One sentence with the reason, and what to do about it."""
    first, *hints = said.splitlines()
    assert first.startswith("Cannot ")
    assert reason in first
    assert hints
    assert all(hint.startswith("hint: ") for hint in hints)


@pytest.mark.parametrize(("build", "args", "reason"), REFUSED, ids=name)
def test_a_refusal_changes_nothing(person: Person, build: Builder, args: Args, reason: str) -> None:
    if build is matrix.as_reftable and matrix.version(person) >= (2, 45):
        pytest.skip("git since 2.45 reads reftables")
    place = built(person, build)
    before = listing(person.home, times=False)
    done = new(person, place, *args, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert differences(before, listing(person.home, times=False)) == {}
    is_clear(done.stderr, reason)


def test_reftables_are_refused(person: Person) -> None:
    if matrix.version(person) < (2, 45):
        pytest.skip("git before 2.45 has no reftables")
    test_a_refusal_changes_nothing(person, matrix.reftable, (), "reftable")


@pytest.mark.parametrize("build", BREAKS, ids=name)
def test_what_breaks_can_be_ended(person: Person, build: Builder) -> None:
    place = built(person, build)
    before = state(person, build)
    done = new(person, place, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Cannot make the worktree")
    person.mooring("end", "t", cwd=place)
    assert live(person.home) == []
    assert differences(before, state(person, build)) == {}


def test_a_failing_hook(person: Person) -> None:
    place = built(person, matrix.failing_hook)
    before = state(person, matrix.failing_hook)
    done = new(person, place, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "hook" in done.stderr.splitlines()[0]
    assert "the hook is unhappy" in done.stderr
    assert status(person, made(person, place)) == ""
    assert "unchanged" in new(person, place).stderr
    person.mooring("end", "t", cwd=place)
    assert differences(before, state(person, matrix.failing_hook)) == {}


def test_submodules_as_they_were_hinder_no_end(person: Person) -> None:
    """And their end costs the main checkout nothing."""
    place = built(person, matrix.submodules)
    before = state(person, matrix.submodules)
    workspace = made(person, place)
    fetch = ("-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init")
    person.git(*fetch, "--recursive", cwd=workspace)
    person.mooring("end", "t", cwd=place)
    assert differences(before, state(person, matrix.submodules)) == {}


def test_many_branches(person: Person) -> None:
    place = matrix.many_branches(person, person.home / "src/shop")
    assert not list((place / ".git/refs/heads").iterdir())
    assert status(person, made(person, place)) == ""
    assert len(branches(person, place)) == matrix.BRANCHES + 2


def test_many_files(person: Person) -> None:
    place = matrix.many_files(person, person.home / "src/shop", 1000)
    assert len(list((place / "files").rglob("*.txt"))) == 1000
    assert status(person, made(person, place)) == ""
