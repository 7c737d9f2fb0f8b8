"""The worktree: every state git can be in at its path or branch converges, or is refused."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.git.traces import (
    ROOT,
    branches,
    head,
    hook,
    leftovers,
    listing,
    live,
    made,
    records,
    refs,
    status,
    worktrees,
)
from tests.support import Done, Person, commit, make_repo

OWN_EXCLUDES = "# mine\n*.swp\n/notes/\n"


def refused(person: Person, *args: str, cwd: Path) -> str:
    """What a `mooring` that has to fail says on stderr; it answers nothing."""
    done = person.mooring(*args, cwd=cwd, check=False)
    assert done.returncode in (1, 2), done
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr


def hints(text: str) -> list[str]:
    marked = [line for line in text.splitlines() if line.startswith("hint: ")]
    return [line.removeprefix("hint: ").partition("    #")[0] for line in marked]


def on_branch(person: Person, place: Path) -> str:
    return person.git("symbolic-ref", "--short", "HEAD", cwd=place).stdout.strip()


def test_new_branch(person: Person, repo: Path) -> None:
    place = made(person, "fix-login", cwd=repo)
    assert place == repo.parent / "shop.worktrees/fix-login"
    assert on_branch(person, place) == "fix-login"
    assert head(person, place) == head(person, repo, "main")
    config = person.git("config", "--list", "--local", cwd=repo).stdout
    assert "branch.fix-login" not in config


def test_existing_branch_is_used_as_it_is(person: Person, repo: Path) -> None:
    person.git("switch", "--create", "fix-login", cwd=repo)
    tip = commit(person, repo, {"work.txt": "half done\n"})
    person.git("switch", "main", cwd=repo)
    place = made(person, "fix-login", cwd=repo)
    assert head(person, place) == tip
    assert (place / "work.txt").read_text() == "half done\n"
    person.mooring("end", "fix-login", cwd=repo)
    assert head(person, repo, "fix-login") == tip


def test_existing_branch_that_is_not_ours_outlives_the_end(person: Person, repo: Path) -> None:
    person.git("branch", "fix-login", "main", cwd=repo)
    made(person, "fix-login", cwd=repo)
    person.mooring("end", "fix-login", cwd=repo)
    assert "fix-login" in branches(person, repo)


def test_remote_only_branch_is_where_it_starts(person: Person, repo: Path, origin: str) -> None:
    person.git("switch", "--create", "fix-login", cwd=repo)
    tip = commit(person, repo, {"work.txt": "from elsewhere\n"})
    person.git("push", "origin", "fix-login", cwd=repo)
    person.git("switch", "main", cwd=repo)
    person.git("branch", "--delete", "--force", "fix-login", cwd=repo)
    place = made(person, "fix-login", cwd=repo)
    assert head(person, place) == tip
    assert on_branch(person, place) == "fix-login"


def test_existing_worktree_is_kept(person: Person, repo: Path) -> None:
    place = made(person, "fix-login", cwd=repo)
    (place / "work.txt").write_text("mine\n")
    tip = commit(person, place, {"done.txt": "done\n"})
    again = person.mooring("new", "fix-login", cwd=repo)
    assert "unchanged" in again.stderr
    assert head(person, place) == tip
    assert (place / "work.txt").read_text() == "mine\n"


def test_branch_switched_inside_is_followed_and_said(person: Person, repo: Path) -> None:
    place = made(person, "fix-login", cwd=repo)
    person.git("switch", "--create", "other", cwd=place)
    again = person.mooring("new", "fix-login", cwd=repo)
    assert "the worktree is on branch 'other' now" in again.stderr
    assert on_branch(person, place) == "other"
    assert [record["branch"] for record in records(person.home)] == ["other"]


def test_stale_registration(person: Person, repo: Path) -> None:
    place = made(person, "fix-login", cwd=repo)
    tip = commit(person, place, {"done.txt": "done\n"})
    person.run("rm", "-rf", place)
    assert made(person, "fix-login", cwd=repo) == place
    assert head(person, place) == tip
    assert worktrees(person, repo) == [str(place)]
    assert len(records(person.home)) == 1
    assert person.git("fsck", "--strict", cwd=repo).returncode == 0


def test_detached_commits_outlive_a_stale_registration(person: Person, repo: Path) -> None:
    place = made(person, "fix-login", cwd=repo)
    person.git("checkout", "--detach", cwd=place)
    tip = commit(person, place, {"done.txt": "done\n"})
    person.run("rm", "-rf", place)
    person.mooring("new", "fix-login", cwd=repo, check=False)
    reachable = person.git("rev-list", "--all", "--reflog", cwd=repo).stdout
    on_a_ref = person.git("for-each-ref", "--contains", tip, cwd=repo).stdout
    in_worktree = tip == head(person, place) if place.exists() else False
    registered = any(
        path.read_text().strip() == tip for path in (repo / ".git/worktrees").glob("*/HEAD")
    )
    assert on_a_ref or in_worktree or registered, f"{tip} is lost; still there: {reachable}"


def test_plain_directory_in_the_way(person: Person, repo: Path) -> None:
    place = repo.parent / "shop.worktrees/fix-login"
    place.mkdir(parents=True)
    (place / "notes.txt").write_text("mine\n")
    before = listing(person.home)
    said = refused(person, "new", "fix-login", cwd=repo)
    assert f"{place} exists and is not a worktree" in said
    assert listing(person.home) == before
    person.run("sh", "-c", hints(said)[0])
    assert made(person, "fix-login", cwd=repo) == place


def test_empty_directory_is_taken(person: Person, repo: Path) -> None:
    place = repo.parent / "shop.worktrees/fix-login"
    place.mkdir(parents=True)
    assert made(person, "fix-login", cwd=repo) == place
    assert (place / "README.md").is_file()


@pytest.mark.parametrize("kind", ["file", "link", "dangling"])
def test_no_directory_in_the_way(person: Person, repo: Path, kind: str) -> None:
    place = repo.parent / "shop.worktrees/fix-login"
    place.parent.mkdir()
    if kind == "file":
        place.write_text("mine\n")
    else:
        place.symlink_to(person.home / ("src" if kind == "link" else "nothing"))
    before = listing(person.home)
    refused(person, "new", "fix-login", cwd=repo)
    assert listing(person.home) == before


def test_worktree_of_somebody_else_is_refused(person: Person, repo: Path) -> None:
    place = repo.parent / "shop.worktrees/fix-login"
    person.git("worktree", "add", "-b", "fix-login", place, cwd=repo)
    before = listing(person.home)
    said = refused(person, "new", "fix-login", cwd=repo)
    assert "is a worktree that Mooring did not make" in said
    assert listing(person.home) == before


def test_branch_checked_out_in_the_main_checkout(person: Person, repo: Path) -> None:
    person.git("switch", "--create", "fix-login", cwd=repo)
    before = listing(person.home)
    said = refused(person, "new", "fix-login", cwd=repo)
    assert f"it is checked out at {repo}" in said
    assert listing(person.home) == before
    person.run("sh", "-c", hints(said)[0], cwd=repo)
    assert [record["branch"] for record in live(person.home)] == ["fix-login-2"]


def test_branch_checked_out_in_another_worktree(person: Person, repo: Path) -> None:
    elsewhere = repo.parent / "elsewhere"
    person.git("worktree", "add", "-b", "fix-login", elsewhere, cwd=repo)
    before = listing(person.home)
    said = refused(person, "new", "fix-login", cwd=repo)
    assert f"it is checked out at {elsewhere}" in said
    assert listing(person.home) == before


@pytest.mark.parametrize(("there", "topic"), [("fix/deep", "fix"), ("fix", "x --branch fix/deep")])
def test_branch_whose_name_is_a_path_in_the_way(
    person: Person, repo: Path, there: str, topic: str
) -> None:
    person.git("branch", there, cwd=repo)
    before = listing(person.home)
    said = refused(person, "new", *topic.split(), cwd=repo)
    assert f"{there!r} is in its way" in said
    assert listing(person.home) == before


def test_locked_and_away_is_refused(person: Person, repo: Path) -> None:
    place = made(person, "fix-login", cwd=repo)
    person.git("worktree", "lock", "--reason", "on a USB stick", place, cwd=repo)
    place.rename(person.home / "usb")
    said = refused(person, "new", "fix-login", cwd=repo)
    assert "on a USB stick" in said
    assert worktrees(person, repo) == [str(place)]


@pytest.mark.parametrize(
    "name", ["it's a shop", 'say "hi";touch pwned', "café-日本 $(touch pwned)", "-x"]
)
def test_odd_repo_paths(person: Person, name: str) -> None:
    odd = make_repo(person, person.home / "src" / name, {"README.md": "# Odd\n"})
    (odd / ".git/info/exclude").write_text(".env.local\n")
    (odd / ".env.local").write_text("KEY=1\n")
    commit(person, odd, {"mooring.yaml": "files: {copy: [.env.local]}\n"})
    before = refs(person, odd)
    place = made(person, "fix-login", cwd=odd)
    assert place == odd.parent / f"{name}.worktrees/fix-login"
    assert (place / ".env.local").read_text() == "KEY=1\n"
    assert status(person, place) == ""
    assert status(person, odd) == ""
    assert "unchanged" in person.mooring("new", "fix-login", cwd=odd).stderr
    assert person.mooring("status", "--check", "fix-login", cwd=place).returncode == 0
    (place / "new.txt").write_text("mine\n")
    said = refused(person, "end", "fix-login", cwd=odd)
    person.run("sh", "-c", f"{hints(said)[0]} -m saved", cwd=odd)  # git add … && git commit
    person.mooring("end", "fix-login", cwd=odd)
    person.git("branch", "-D", "fix-login", cwd=odd)
    assert refs(person, odd) == before
    assert not place.parent.exists()
    assert not list(person.home.rglob("pwned"))


def test_bare_repo_as_a_path(person: Person, origin: str) -> None:
    bare = Path(origin.removeprefix("file://"))
    place = made(person, "fix-login", "--repo", str(bare), cwd=person.home)
    assert place == bare.parent / "shop.worktrees/fix-login"
    assert (place / "README.md").is_file()
    assert status(person, place) == ""


@pytest.mark.parametrize("ignored", [True, False])
def test_status_stays_clean(person: Person, repo: Path, ignored: bool) -> None:
    """In a repo that ignores Mooring's files, and in one that has never heard of them."""
    if not ignored:
        (repo / ".env.local").unlink()
        commit(person, repo, {".gitignore": "node_modules/\n"})
    exclude = repo / ".git/info/exclude"
    exclude.write_text(OWN_EXCLUDES)
    first = made(person, "first", cwd=repo)
    second = made(person, "second", cwd=repo)
    assert [status(person, place) for place in (first, second, repo)] == ["", "", ""]
    assert exclude.read_text().startswith(OWN_EXCLUDES)
    person.mooring("end", "first", cwd=repo)
    assert status(person, second) == ""
    person.mooring("end", "second", cwd=repo)
    assert exclude.read_text() == OWN_EXCLUDES


def test_a_file_that_main_has_is_not_hidden_from_it(person: Person, repo: Path) -> None:
    """`info/exclude` counts in the main checkout too: its own untracked `.envrc` must show."""
    commit(person, repo, {".gitignore": "node_modules/\n"})
    (repo / ".envrc").write_text("export MINE=1\n")
    before = status(person, repo)
    place = made(person, "fix-login", cwd=repo)
    assert "?? .envrc" in before
    assert status(person, repo) == before
    assert status(person, place) == ""
    assert not (place / ".envrc").exists()
    assert "export WORK_TOPIC='fix-login'" in (place / ".mooring/envrc").read_text()


def test_excludes_without_a_last_newline(person: Person, repo: Path) -> None:
    commit(person, repo, {".gitignore": "node_modules/\n.env.local\n"})
    exclude = repo / ".git/info/exclude"
    exclude.write_text("*.swp")
    place = made(person, "fix-login", cwd=repo)
    (repo / "a.swp").write_text("")
    assert status(person, place) == ""
    assert status(person, repo) == ""
    person.mooring("end", "fix-login", cwd=repo)
    assert status(person, repo) == ""
    assert exclude.read_text().strip() == "*.swp"


def test_a_persons_hook_runs_in_the_worktree(person: Person, repo: Path) -> None:
    hook(repo, f'pwd >{shlex.quote(str(person.home))}/hook-ran; echo "from the hook"')
    place = made(person, "fix-login", cwd=repo)
    assert (person.home / "hook-ran").read_text() == f"{place}\n"


def test_a_failing_hook_is_said_and_a_rerun_converges(person: Person, repo: Path) -> None:
    hook(repo, "echo the hook is unhappy >&2; exit 1")
    said = refused(person, "new", "fix-login", cwd=repo)
    assert "a git hook of yours failed" in said
    assert "the hook is unhappy" in said
    assert [record["state"] for record in records(person.home)] == ["partial"]
    assert_converges(person, repo)
    assert leftovers(person.home) == []
    assert "unchanged" in person.mooring("new", "fix-login", cwd=repo).stderr


def test_an_end_finishes_what_a_hook_broke(person: Person, repo: Path) -> None:
    before = refs(person, repo)
    hook(repo, "exit 1")
    refused(person, "new", "fix-login", cwd=repo)
    person.mooring("end", "fix-login", cwd=repo)
    assert refs(person, repo) == before
    assert live(person.home) == []
    assert not (repo.parent / "shop.worktrees").exists()


def test_a_cache_runs_no_hook(person: Person, origin: str) -> None:
    made(person, "first", "--repo", origin, cwd=person.home)
    (cache,) = (person.home / ROOT / "cache").glob("**/shop.git")
    path = cache / "hooks/post-checkout"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\ntouch {person.home}/pwned\n")
    path.chmod(0o755)
    made(person, "second", "--repo", origin, cwd=person.home)
    assert not (person.home / "pwned").exists()


def assert_converges(person: Person, repo: Path, topic: str = "fix-login") -> Done:
    """Another `new` makes the workspace whole, and only one."""
    done = person.mooring("new", topic, cwd=repo)
    place = Path(done.stdout.removesuffix("\n"))
    assert status(person, place) == ""
    for name in (".envrc", ".session-context.md", ".mooring/session"):
        assert (place / name).is_file(), name
    assert [record["state"] for record in live(person.home)] == ["ready"]
    assert worktrees(person, repo) == [str(place)]
    return done
