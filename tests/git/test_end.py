"""The end of a workspace: what it refuses to lose, what it keeps, and that it leaves no trace."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.git.traces import (
    branches,
    head,
    holders,
    leftovers,
    listing,
    live,
    made,
    records,
    refs,
    rows,
    worktrees,
)
from tests.support import Person, commit, make_repo

SAME_SIZE = "# Pohs\n"  # as README.md's: git has to read it, through its filter, to see a change
SPEC = "files: {copy: [.env.local]}\n"


@pytest.fixture
def place(person: Person, repo: Path) -> Path:
    """A workspace `fix-login` with a file copied from the main checkout."""
    commit(person, repo, {"mooring.yaml": SPEC})
    place = made(person, "fix-login", cwd=repo)
    assert (place / ".env.local").is_file()
    return place


def end(person: Person, repo: Path, *args: str) -> None:
    person.mooring("end", "fix-login", *args, cwd=repo)


def refusal(person: Person, repo: Path) -> list[str]:
    """The items that a refused end lists; it must have changed nothing."""
    before = listing(person.home, without=("registry.db", "mooring/locks"), times=False)
    done = person.mooring("end", "fix-login", cwd=repo, check=False)
    assert done.returncode == 1, done
    assert "this would be lost" in done.stderr
    assert "hint: mooring end fix-login --force" in done.stderr
    after = listing(person.home, without=("registry.db", "mooring/locks"), times=False)
    assert after == before
    return [line.strip() for line in done.stderr.splitlines() if line.startswith("  ")]


def staged(person: Person, place: Path) -> None:
    (place / "README.md").write_text("changed\n")
    person.git("add", "README.md", cwd=place)


def unstaged(person: Person, place: Path) -> None:
    (place / "README.md").write_text("changed\n")


def staged_then_reverted(person: Person, place: Path) -> None:
    staged(person, place)
    (place / "README.md").write_text("# Shop\n")


def removed(person: Person, place: Path) -> None:
    (place / "README.md").unlink()


def untracked(person: Person, place: Path) -> None:
    (place / "new dir").mkdir()
    (place / "new dir/idea.txt").write_text("mine\n")


def ignored(person: Person, place: Path) -> None:
    (place / ".env.mine").write_text("KEY=mine\n")


def edited(person: Person, place: Path) -> None:
    (place / ".env.local").write_text("API_KEY=changed\n")


def edited_envrc(person: Person, place: Path) -> None:
    with (place / ".envrc").open("a") as file:
        file.write("export MINE=1\n")


def stashed_in_a_nested_repo(person: Person, place: Path) -> None:
    make_repo(person, place / "vendor/lib", {"lib.c": "int x;\n"})


def detached(person: Person, place: Path) -> None:
    person.git("checkout", "--detach", cwd=place)
    commit(person, place, {"work.txt": "done\n"})


def merging(person: Person, place: Path) -> None:
    commit(person, place, {"README.md": "ours\n"})
    person.git("switch", "--create", "other", "HEAD~1", cwd=place)
    commit(person, place, {"README.md": "theirs\n"})
    person.git("merge", "fix-login", cwd=place, check=False)


def rebasing(person: Person, place: Path) -> None:
    merging(person, place)
    person.git("merge", "--abort", cwd=place)
    person.git("rebase", "fix-login", cwd=place, check=False)


def assumed_unchanged(person: Person, place: Path) -> None:
    person.git("update-index", "--assume-unchanged", "README.md", cwd=place)
    (place / "README.md").write_text("changed\n")


def skipped(person: Person, place: Path) -> None:
    person.git("update-index", "--skip-worktree", "README.md", cwd=place)
    (place / "README.md").write_text("changed\n")


LOSSES: list[tuple[Callable[[Person, Path], None], str]] = [
    (staged, "README.md"),
    (unstaged, "README.md"),
    (staged_then_reverted, "README.md"),
    (removed, "README.md"),
    (untracked, "new dir/idea.txt"),
    (ignored, ".env.mine"),
    (edited, ".env.local"),
    (edited_envrc, ".envrc"),
    (stashed_in_a_nested_repo, "vendor/lib"),
    (detached, "commit on no branch"),
    (merging, "MERGE_HEAD"),
    (rebasing, "rebase-merge"),
    (assumed_unchanged, "README.md"),
    (skipped, "README.md"),
]


@pytest.mark.parametrize(
    ("lose", "named"), LOSSES, ids=[function.__name__ for function, _ in LOSSES]
)
def test_refuses_what_would_be_lost(
    person: Person,
    repo: Path,
    place: Path,
    lose: Callable[[Person, Path], None],
    named: str,
) -> None:
    lose(person, place)
    items = refusal(person, repo)
    assert any(named in item for item in items), items
    commits = person.git("rev-list", "HEAD", cwd=place).stdout.split()
    end(person, repo, "--force")
    assert not place.exists()
    assert live(person.home) == []
    assert all(holders(person, repo, sha) for sha in commits)


def test_lists_each_item_once(person: Person, repo: Path, place: Path) -> None:
    for lose in (unstaged, untracked, ignored, edited):
        lose(person, place)
    items = refusal(person, repo)
    assert len(items) == 4
    for named in ("README.md", "new dir/idea.txt", ".env.mine", ".env.local"):
        assert sum(named in item for item in items) == 1


def test_a_long_list_is_cut_and_counted(person: Person, repo: Path, place: Path) -> None:
    for number in range(30):
        (place / f"new{number}.txt").write_text("mine\n")
    items = refusal(person, repo)
    assert len(items) == 21
    assert items[-1] == "and 10 more"


def test_odd_names_are_listed(person: Person, repo: Path, place: Path) -> None:
    for name in ('a "b".txt', "new\nline.txt", "café.txt", " leading"):
        (place / name).write_text("mine\n")
    assert len(refusal(person, repo)) == 4


@pytest.mark.parametrize(
    "name", ["node_modules/left-pad/index.js", "app/__pycache__/shop.pyc", ".venv/bin/python"]
)
def test_what_is_rebuilt_anyway_does_not_count(
    person: Person, repo: Path, place: Path, name: str
) -> None:
    with (repo / ".git/info/exclude").open("a") as exclude:
        exclude.write("__pycache__/\n.venv/\n")
    (place / name).parent.mkdir(parents=True)
    (place / name).write_text("rebuilt\n")
    end(person, repo)
    assert not place.exists()


def test_untracked_work_in_a_disposable_place_counts_unless_ignored(
    person: Person, repo: Path, place: Path
) -> None:
    """`dist` of a repo that does not ignore it is somebody's work."""
    (place / "dist").mkdir()
    (place / "dist/notes.txt").write_text("mine\n")
    assert [item for item in refusal(person, repo) if "dist/notes.txt" in item]


def test_disposable_of_the_spec(person: Person, repo: Path, place: Path) -> None:
    spec = SPEC + "disposable: [.env.cache]\n"
    commit(person, repo, {"mooring.yaml": spec})
    (place / ".env.cache").write_text("rebuilt\n")
    end(person, repo)
    assert not place.exists()


def test_branch_with_own_commits_stays(person: Person, repo: Path, place: Path) -> None:
    tip = commit(person, place, {"work.txt": "done\n"})
    end(person, repo)
    assert head(person, repo, "fix-login") == tip


def test_branch_without_own_commits_goes(person: Person, repo: Path, place: Path) -> None:
    end(person, repo)
    assert branches(person, repo) == ["main"]


def test_merged_branch_goes(person: Person, repo: Path, place: Path) -> None:
    tip = commit(person, place, {"work.txt": "done\n"})
    person.git("merge", "--ff-only", "fix-login", cwd=repo)
    end(person, repo)
    assert branches(person, repo) == ["main"]
    assert head(person, repo, "main") == tip


@pytest.mark.parametrize("again", [("new",), ("resume", "--launch", "none")])
def test_own_commits_outlive_every_further_end(
    person: Person, repo: Path, place: Path, again: tuple[str, ...]
) -> None:
    """The branch that was kept at one end is not one without commits of its own at the next."""
    tip = commit(person, place, {"work.txt": "done\n"})
    for _ in range(2):
        end(person, repo)
        person.mooring(again[0], "fix-login", *again[1:], cwd=repo)
        assert head(person, place) == tip
    end(person, repo)
    assert "refs/heads/fix-login" in holders(person, repo, tip)


def test_own_commits_outlive_a_directory_removed_by_hand(
    person: Person, repo: Path, place: Path
) -> None:
    tip = commit(person, place, {"work.txt": "done\n"})
    shutil.rmtree(place)
    made(person, "fix-login", cwd=repo)
    end(person, repo)
    assert "refs/heads/fix-login" in holders(person, repo, tip)


def test_own_commits_outlive_a_switch_back(person: Person, repo: Path, place: Path) -> None:
    tip = commit(person, place, {"work.txt": "done\n"})
    person.git("switch", "--create", "second", "main", cwd=place)
    made(person, "fix-login", cwd=repo)
    person.git("switch", "fix-login", cwd=place)
    made(person, "fix-login", cwd=repo)
    end(person, repo)
    assert "refs/heads/fix-login" in holders(person, repo, tip)


def test_worktree_deleted_by_hand(person: Person, repo: Path, place: Path) -> None:
    shutil.rmtree(place)
    end(person, repo)
    assert live(person.home) == []
    assert worktrees(person, repo) == []
    assert branches(person, repo) == ["main"]


def test_detached_commits_of_a_worktree_deleted_by_hand(
    person: Person, repo: Path, place: Path
) -> None:
    person.git("checkout", "--detach", cwd=place)
    tip = commit(person, place, {"work.txt": "done\n"})
    shutil.rmtree(place)
    person.mooring("end", "fix-login", cwd=repo, check=False)
    still_registered = any(
        path.read_text().strip() == tip for path in (repo / ".git/worktrees").glob("*/HEAD")
    )
    assert holders(person, repo, tip) or still_registered


def test_staged_work_of_a_worktree_deleted_by_hand(person: Person, repo: Path, place: Path) -> None:
    """What was staged is in the object store still, and only the worktree's index names it."""
    (place / "work.txt").write_text("done\n")
    person.git("add", "work.txt", cwd=place)
    person.git("stash", "list", cwd=place)
    shutil.rmtree(place)
    end(person, repo)
    assert live(person.home) == []


def test_no_trace_where_no_work_was_done(person: Person, repo: Path, origin: str) -> None:
    git = repo / ".git"
    (git / "info/exclude").write_text("# mine\n*.swp\n")
    kept = ("/logs/", "/objects/", "/.git/index")
    before = listing(git, without=kept, times=False)
    before_refs = refs(person, repo)
    made(person, "fix-login", cwd=repo)
    made(person, "fix-login", "--agent", "bot", cwd=repo)
    end(person, repo, "--agent", "dev")
    end(person, repo, "--agent", "bot")
    assert refs(person, repo) == before_refs
    after = listing(git, without=kept, times=False)
    new = {path for path in after if after[path] != before.get(path)}
    assert {path for path in new if not Path(path).is_dir()} == set()
    assert set(before) <= set(after)
    assert not (repo.parent / "shop.worktrees").exists()
    assert leftovers(person.home) == []


def test_the_session_and_its_facts_stay(person: Person, repo: Path, place: Path) -> None:
    tip = commit(person, place, {"work.txt": "done\n"})
    (before,) = live(person.home)
    done = person.mooring("end", "fix-login", "--json", cwd=repo)
    answer = json.loads(done.stdout)
    (after,) = records(person.home)
    assert after["state"] == answer["state"] == "ended"
    assert after["ports"] == answer["ports"] == {}
    for name in ("session", "branch", "base", "worktree"):
        assert after[name] == before[name] == answer[name]
    assert after["commit"] == tip
    (row,) = rows(person)
    assert (row["state"], row["commit"], row["ports"]) == ("ended", tip, {})


def test_ended_twice(person: Person, repo: Path, place: Path) -> None:
    end(person, repo)
    before = listing(person.home, without=("registry.db", "mooring/locks"), times=False)
    again = person.mooring("end", "fix-login", cwd=repo)
    assert "has ended already" in again.stderr
    after = listing(person.home, without=("registry.db", "mooring/locks"), times=False)
    assert after == before


def test_an_ended_workspace_owns_nothing(person: Person, repo: Path, place: Path) -> None:
    """A branch, a worktree or a directory that somebody made there since is not ours."""
    end(person, repo)
    person.git("branch", "fix-login", "main", cwd=repo)
    person.mooring("end", "fix-login", cwd=repo, check=False)
    assert "fix-login" in branches(person, repo)
    person.git("worktree", "add", place, "fix-login", cwd=repo)
    person.mooring("end", "fix-login", cwd=repo, check=False)
    assert worktrees(person, repo) == [str(place)]
    assert (place / "README.md").is_file()


def test_no_workspace_of_that_name(person: Person, repo: Path) -> None:
    done = person.mooring("end", "nothing", cwd=repo, check=False)
    assert done.returncode == 1
    assert "there is no workspace of that name" in done.stderr


def test_locked_by_git_is_refused(person: Person, repo: Path, place: Path) -> None:
    person.git("worktree", "lock", "--reason", "in use", place, cwd=repo)
    for args in ((), ("--force",)):
        done = person.mooring("end", "fix-login", *args, cwd=repo, check=False)
        assert done.returncode == 1
        assert "in use" in done.stderr
    assert (place / "README.md").is_file()


def test_branch_another_worktree_has_stays(person: Person, repo: Path, place: Path) -> None:
    person.git("switch", "--detach", cwd=place)
    elsewhere = repo.parent / "elsewhere"
    person.git("worktree", "add", elsewhere, "fix-login", cwd=repo)
    end(person, repo)
    assert "fix-login" in branches(person, repo)
    assert person.git("status", "--porcelain", cwd=elsewhere).stdout == ""


def test_force_parks_detached_commits_once(person: Person, repo: Path, place: Path) -> None:
    detached(person, place)
    tip = head(person, place)
    end(person, repo, "--force")
    assert holders(person, repo, tip) == ["refs/mooring/park/dev/fix-login/1"]
    made(person, "fix-login", cwd=repo)
    detached(person, place)
    second = head(person, place)
    end(person, repo, "--force")
    assert all(holders(person, repo, sha) for sha in (tip, second))


def hostile_repo(person: Person, path: Path) -> Path:
    """A repo whose config and hooks leave a mark when git reads them."""
    evil = make_repo(person, path, {"README.md": "# Shop\n"})
    mark = f"touch {person.home}/pwned"
    for key in ("core.fsmonitor", "core.sshCommand", "filter.x.clean", "diff.external"):
        person.git("config", key, f"{mark}; cat", cwd=evil)
    (evil / ".git/info").mkdir(exist_ok=True)
    (evil / ".git/info/attributes").write_text("* filter=x\n")
    for name in ("post-checkout", "reference-transaction", "post-index-change", "pre-commit"):
        hook = evil / ".git/hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\n{mark}\n")
        hook.chmod(0o755)
    return evil


@pytest.mark.parametrize("as_directory", [False, True])
def test_a_rewritten_git_pointer_runs_nothing(
    person: Person, repo: Path, place: Path, as_directory: bool
) -> None:
    evil = hostile_repo(person, place / "evil")
    (person.home / "pwned").unlink(missing_ok=True)
    (place / ".git").unlink()
    if as_directory:
        (evil / ".git").rename(place / ".git")
        shutil.rmtree(evil)
    else:
        (place / ".git").write_text(f"gitdir: {evil}/.git\n")
    (place / "README.md").write_text(SAME_SIZE)
    assert_runs_nothing(person, repo, place)


def test_a_submodule_runs_nothing(person: Person, repo: Path) -> None:
    """git status looks into submodules, with the config that is in them."""
    library = make_repo(person, person.home / "src/lib", {"lib.c": "int x;\n"})
    allow = ("-c", "protocol.file.allow=always")
    person.git(*allow, "submodule", "add", library.as_uri(), "lib", cwd=repo)
    person.git("commit", "-m", "Add lib", cwd=repo)
    place = made(person, "fix-login", cwd=repo)
    (place / "lib").rmdir()
    evil = hostile_repo(person, place / "lib")
    (person.home / "pwned").unlink(missing_ok=True)
    (evil / "README.md").write_text(SAME_SIZE)
    assert_runs_nothing(person, repo, place)


def assert_runs_nothing(person: Person, repo: Path, place: Path) -> None:
    for args in (
        ("status", "--check"),
        ("new",),
        ("new", "--dry-run"),
        ("end",),
        ("end", "--force"),
    ):
        person.mooring(args[0], "fix-login", *args[1:], cwd=repo, check=False)
        assert not (person.home / "pwned").exists(), args
    assert (repo / ".git/HEAD").is_file()
    assert branches(person, repo)[-1] == "main"
    assert not place.exists()


def test_standing_in_the_workspace(person: Person, repo: Path, place: Path) -> None:
    """The shell that ends it stands in it: that is how people do it."""
    person.mooring("end", cwd=place, env={"WORK_TOPIC": "fix-login"})
    assert not place.exists()
