"""All that a person could lose with a worktree: `end` sees it, and the hint it prints saves it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.git.traces import branches, head, holders, live, made, refs, status
from tests.support import Done, Person, commit, make_repo, need, until

TOPIC = "fix-login"
BRANCH = f"refs/heads/{TOPIC}"
PARK = f"refs/mooring/park/dev/{TOPIC}"
SPEC = "files: {copy: ['.env*']}\n"

Lose = Callable[[Person, Path], object]


@pytest.fixture
def before(person: Person, repo: Path) -> str:
    """What the repo's refs, config and excludes are without the workspace."""
    commit(person, repo, {"mooring.yaml": SPEC})
    return refs(person, repo)


@pytest.fixture
def place(person: Person, repo: Path, before: str) -> Path:
    """A workspace `fix-login` with a file copied from the main checkout."""
    return made(person, TOPIC, cwd=repo)


def end(person: Person, repo: Path, *args: str) -> Done:
    """An end that succeeds."""
    done = person.mooring("end", TOPIC, *args, cwd=repo)
    assert live(person.home) == []
    return done


def refusal(person: Person, repo: Path, *args: str) -> tuple[list[str], list[str]]:
    """What a refused end lists, and the commands that it hints at but for the last resort."""
    done = person.mooring("end", TOPIC, *args, cwd=repo, check=False)
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr
    assert live(person.home)
    return [line[2:] for line in done.stderr.splitlines() if line.startswith("  ")], hints(done)


def hints(done: Done) -> list[str]:
    """The commands that it hints at, but for the last resort."""
    lines = [line for line in done.stderr.splitlines() if line.startswith("hint: ")]
    return [line.removeprefix("hint: ") for line in lines if "--force" not in line]


def follow(person: Person, commands: list[str], cwd: Path) -> None:
    """Do what the hints say, as somebody whose editor saves at once.

    There has to be at least one; one that another has made needless may fail.
    """
    assert commands
    for line in commands:
        person.run("sh", "-c", line, cwd=cwd, env={"GIT_EDITOR": "true"}, check=False)


def text(person: Person, repo: Path, path: str, rev: str = TOPIC) -> str | None:
    """A file of a commit, None if that has no such file."""
    done = person.git("cat-file", "blob", f"{rev}:{path}", cwd=repo, check=False)
    return None if done.returncode else done.stdout


def came(person: Person, repo: Path, before: str) -> set[str]:
    """The refs that are new since `before`; nothing else of the repo has changed."""
    then, now = before.splitlines(), refs(person, repo).splitlines()
    assert [line for line in then if line not in now] == []
    new = [line for line in now if line not in then]
    assert [line for line in new if "\trefs/" not in line] == []
    return {line.rpartition("\t")[2] for line in new}


def names(person: Person, repo: Path) -> set[str]:
    """The refs of a repo."""
    return set(person.git("for-each-ref", "--format=%(refname)", cwd=repo).stdout.split())


# Changes of tracked, untracked and ignored files


def edited(person: Person, place: Path) -> None:
    (place / "README.md").write_text("changed\n")


def staged(person: Person, place: Path) -> None:
    edited(person, place)
    person.git("add", "README.md", cwd=place)


def staged_then_reverted(person: Person, place: Path) -> None:
    staged(person, place)
    (place / "README.md").write_text("# Shop\n")


def staged_then_edited(person: Person, place: Path) -> None:
    staged(person, place)
    (place / "README.md").write_text("changed again\n")


def staged_then_deleted(person: Person, place: Path) -> None:
    staged(person, place)
    (place / "README.md").unlink()


def intended(person: Person, place: Path) -> None:
    (place / "new").write_text("changed\n")
    person.git("add", "--intent-to-add", "new", cwd=place)


def untracked(person: Person, place: Path) -> None:
    (place / "a directory").mkdir()
    (place / "a directory/new").write_text("changed\n")


def flagged(flag: str) -> Lose:
    """A change of a file that git was told not to look at."""

    def lose(person: Person, place: Path) -> None:
        person.git("update-index", flag, "README.md", cwd=place)
        edited(person, place)

    return lose


HIDDEN = "uncommitted, and hidden from git status: README.md"
CHANGES = [
    pytest.param(staged, "uncommitted: M  README.md", "README.md", id="staged"),
    pytest.param(edited, "uncommitted:  M README.md", "README.md", id="unstaged"),
    pytest.param(intended, "uncommitted:  A new", "new", id="intended"),
    pytest.param(untracked, "untracked: a directory/new", "a directory/new", id="untracked"),
    pytest.param(
        staged_then_reverted,
        "uncommitted: MM README.md",
        "README.md",
        id="staged, reverted",
    ),
    pytest.param(
        staged_then_edited,
        "uncommitted: MM README.md",
        "README.md",
        id="staged, edited",
    ),
    pytest.param(
        staged_then_deleted,
        "uncommitted: MD README.md",
        "README.md",
        id="staged, deleted",
    ),
    pytest.param(flagged("--assume-unchanged"), HIDDEN, "README.md", id="assume-unchanged"),
    pytest.param(flagged("--skip-worktree"), HIDDEN, "README.md", id="skip-worktree"),
]


@pytest.mark.parametrize(("lose", "item", "path"), CHANGES)
def test_a_change_is_committed_by_the_hint(
    person: Person, repo: Path, before: str, place: Path, lose: Lose, item: str, path: str
) -> None:
    lose(person, place)
    items, commands = refusal(person, repo)
    assert items == [item]
    follow(person, commands, repo)
    end(person, repo)
    new = came(person, repo, before)
    assert new <= {BRANCH, f"{PARK}/1"}
    commits = person.git("rev-list", *new, "--not", "main", cwd=repo).stdout.split()
    assert "changed\n" in [text(person, repo, path, sha) for sha in commits]


def test_a_deletion_and_a_mode_are_committed_by_the_hint(
    person: Person, repo: Path, before: str, place: Path
) -> None:
    (place / "README.md").unlink()
    (place / "app/shop.py").chmod(0o755)
    items, commands = refusal(person, repo)
    assert items == ["uncommitted:  D README.md", "uncommitted:  M app/shop.py"]
    follow(person, commands, repo)
    end(person, repo)
    assert came(person, repo, before) == {BRANCH}
    assert text(person, repo, "README.md") is None
    tree = person.git("ls-tree", TOPIC, "app/shop.py", cwd=repo).stdout
    assert tree.startswith("100755 ")


ODD = (
    "two words",
    'a "b"',
    "it's",
    "日本 é",
    "-rf",
    "new\nline",
    "back\\slash",
    "$(touch x)",
    " y ",
)


def test_files_of_any_name_are_committed_by_the_hint(
    person: Person, repo: Path, place: Path
) -> None:
    for name in ODD:
        (place / name).write_text(name)
    items, commands = refusal(person, repo)
    assert len(items) == len(ODD)
    assert all(item.startswith("untracked: ") for item in items)
    follow(person, commands, repo)
    end(person, repo)
    assert [text(person, repo, name) for name in ODD] == list(ODD)


@pytest.mark.parametrize(
    "name",
    [
        ".env.local",
        ".env it's $(touch x) 日本",
        '.env "b"\nline',
    ],
)
def test_an_ignored_file_is_packed_by_the_hint(
    person: Person, repo: Path, before: str, place: Path, name: str
) -> None:
    """It is still where it was, so that only --force ends the workspace then."""
    (place / name).write_text("changed\n")
    items, commands = refusal(person, repo)
    assert [item.partition(": ")[0] for item in items] == ["ignored"]
    follow(person, commands, repo)
    end(person, repo, "--force")
    assert came(person, repo, before) == set()
    (packed,) = person.home.glob(f"{TOPIC}-*.tar")
    with tarfile.open(packed) as archive:
        (member,) = archive.getmembers()
        assert member.name == name
        saved = archive.extractfile(member)
        assert saved
        assert saved.read() == b"changed\n"


def test_the_hint_for_an_ignored_file_overwrites_nothing(
    person: Person, repo: Path, place: Path
) -> None:
    original = (repo / ".env.local").read_text()
    (place / ".env.local").write_text("changed\n")
    follow(person, refusal(person, repo)[1], repo)
    assert (repo / ".env.local").read_text() == original


def test_a_provisioned_file_of_any_name_hinders_no_end(
    person: Person, repo: Path, before: str
) -> None:
    (repo / '.env it\'s "b"').write_text("KEY=1\n")
    place = made(person, TOPIC, cwd=repo)
    assert (place / '.env it\'s "b"').is_file()
    end(person, repo)


def hidden_link(person: Person, repo: Path) -> Path:
    """The `link` of a workspace, which git was told not to look at."""
    (repo / "link").symlink_to("README.md")
    person.git("add", "link", cwd=repo)
    person.git("commit", "-m", "Link", cwd=repo)
    place = made(person, TOPIC, cwd=repo)
    person.git("update-index", "--skip-worktree", "link", cwd=place)
    return place / "link"


def test_a_hidden_link_as_it_was_hinders_no_end(person: Person, repo: Path) -> None:
    assert hidden_link(person, repo).is_symlink()
    end(person, repo)


def test_a_hidden_link_that_was_changed(person: Person, repo: Path) -> None:
    link = hidden_link(person, repo)
    link.unlink()
    link.symlink_to("changed")
    assert refusal(person, repo)[0] == [HIDDEN.replace("README.md", "link")]


@pytest.mark.parametrize("at", ["vendor/lib", "app"])
def test_a_nested_repo_goes_beside_by_the_hint(
    person: Person, repo: Path, place: Path, at: str
) -> None:
    """Git keeps but a name of its commit; of one beside tracked files it says nothing at all."""
    nested = place / at
    nested.mkdir(parents=True, exist_ok=True)
    person.git("init", "--quiet", cwd=nested)
    person.git("commit", "--quiet", "--allow-empty", "-m", "Own", cwd=nested)
    tip = head(person, nested)
    items, commands = refusal(person, repo)
    tracked = at == "app"
    assert items == [
        f"a repo of its own, beside tracked files: {at}" if tracked else f"untracked: {at}/"
    ]
    follow(person, commands, repo)
    end(person, repo)
    (beside,) = place.parent.glob(f"{TOPIC}.*")
    assert person.git("--git-dir", beside if tracked else beside / ".git", "rev-parse", "HEAD")
    assert (
        head(person, beside)
        if not tracked
        else person.git("--git-dir", beside, "rev-parse", "HEAD").stdout.strip()
    ) == tip


# What git is in the middle of


def forked(person: Person, place: Path) -> None:
    """Two branches that change the same line, one of them another file besides."""
    person.git("switch", "--create", "theirs", cwd=place)
    commit(person, place, {"README.md": "theirs\n"})
    commit(person, place, {"later.txt": "later\n"})
    person.git("switch", TOPIC, cwd=place)
    commit(person, place, {"README.md": "ours\n"})


def stopped(*args: str) -> Lose:
    """A git command that stops at a conflict."""

    def lose(person: Person, place: Path) -> None:
        forked(person, place)
        assert person.git(*args, cwd=place, check=False).returncode

    return lose


def reverting(*args: str) -> Lose:
    """A revert that stops at a conflict."""

    def lose(person: Person, place: Path) -> None:
        for files in ({"README.md": "ours\n"}, {"README.md": "theirs\n"}, {"later.txt": "later\n"}):
            commit(person, place, files)
        assert person.git("revert", *args, cwd=place, check=False).returncode

    return lose


def applying(person: Person, place: Path) -> None:
    forked(person, place)
    box = person.home / "box"
    box.write_text(person.git("format-patch", "--stdout", f"{TOPIC}..theirs", cwd=place).stdout)
    assert person.git("am", "--3way", box, cwd=place, check=False).returncode


STATES = [
    pytest.param(stopped("merge", "theirs"), "MERGE_HEAD", id="merge"),
    pytest.param(stopped("rebase", "--merge", "theirs"), "rebase-merge", id="rebase"),
    pytest.param(stopped("rebase", "--apply", "theirs"), "rebase-apply", id="rebase --apply"),
    pytest.param(stopped("cherry-pick", "theirs~1"), "CHERRY_PICK_HEAD", id="cherry-pick"),
    pytest.param(stopped("cherry-pick", f"{TOPIC}..theirs"), "sequencer", id="cherry-picks"),
    pytest.param(reverting("HEAD~2"), "REVERT_HEAD", id="revert"),
    pytest.param(
        reverting("HEAD~2", "HEAD"),
        "sequencer of reverts",
        id="reverts",
    ),
    pytest.param(applying, "rebase-apply/applying", id="am"),
]


@pytest.mark.parametrize(("lose", "state"), STATES)
def test_what_git_is_in_the_middle_of_is_finished_by_the_hints(
    person: Person, repo: Path, before: str, place: Path, lose: Lose, state: str
) -> None:
    lose(person, place)
    items, commands = refusal(person, repo)
    assert f"in progress: {state}" in items
    assert "uncommitted: UU README.md" in items
    follow(person, commands, repo)
    end(person, repo)
    others = came(person, repo, before) - {BRANCH, "refs/heads/theirs"}
    assert all(name.startswith(f"{BRANCH}-") for name in others)
    log = person.git("log", "-p", "-m", "--format=", TOPIC, cwd=repo).stdout
    assert "+<<<<<<< " in log
    assert "later.txt" in log or state in ("MERGE_HEAD", "CHERRY_PICK_HEAD")


def test_a_bisect_is_left_by_the_hint(person: Person, repo: Path, before: str, place: Path) -> None:
    for count in range(3):
        commit(person, place, {"README.md": f"{count}\n"})
    tip = head(person, place)
    person.git("bisect", "start", "HEAD", "HEAD~3", cwd=place)
    items, commands = refusal(person, repo)
    assert items == ["in progress: BISECT_LOG"]
    follow(person, commands, repo)
    end(person, repo)
    assert came(person, repo, before) == {BRANCH}
    assert head(person, repo, TOPIC) == tip


def test_detached_commits_get_a_branch_by_the_hint(
    person: Person, repo: Path, before: str, place: Path
) -> None:
    tip = detached(person, place)
    items, commands = refusal(person, repo)
    assert items == [f"commit on no branch: {tip[:12]}"]
    follow(person, commands, repo)
    end(person, repo)
    assert came(person, repo, before) == {f"{BRANCH}-{tip[:7]}"}
    assert head(person, repo, f"{TOPIC}-{tip[:7]}") == tip


# Submodules


@pytest.fixture
def nested(person: Person, repo: Path) -> Path:
    """A workspace of a repo with the submodule `lib`, which has `deep`; it may fetch from files."""
    person.git("config", "--global", "protocol.file.allow", "always")
    deep = make_repo(person, person.home / "src/deep", {"deep.c": "int d;\n"})
    lib = make_repo(person, person.home / "src/lib", {"lib.c": "int x;\n", ".gitignore": "*.o\n"})
    add_submodule(person, lib, published(person, deep))
    add_submodule(person, repo, published(person, lib))
    person.git("submodule", "--quiet", "update", "--init", "--recursive", cwd=repo)
    place = made(person, TOPIC, cwd=repo)
    assert (place / "lib/deep/deep.c").is_file()
    return place


def remote_of(person: Person, place: Path) -> Path:
    return person.home / f"remotes/{place.name}.git"


def published(person: Person, repo: Path) -> Path:
    """A bare remote with all that a repo has."""
    person.git("clone", "--quiet", "--bare", repo, remote_of(person, repo))
    return remote_of(person, repo)


def add_submodule(person: Person, repo: Path, remote: Path) -> None:
    person.git("submodule", "--quiet", "add", remote.as_uri(), remote.stem, cwd=repo)
    person.git("commit", "--quiet", "-m", f"Add {remote.stem}", cwd=repo)


def test_clean_submodules_hinder_no_end(person: Person, repo: Path, nested: Path) -> None:
    before = refs(person, repo)
    end(person, repo)
    assert branches(person, repo) == ["main"]
    made(person, TOPIC, cwd=repo)
    assert refs(person, repo) == before
    assert (nested / "lib/deep/deep.c").is_file()


def change(person: Person, place: Path) -> None:
    next(place.glob("*.c")).write_text("changed\n")


def stage(person: Person, place: Path) -> None:
    change(person, place)
    person.git("add", "--all", cwd=place)


def leave_untracked(person: Person, place: Path) -> None:
    (place / "new.txt").write_text("changed\n")


def leave_ignored(person: Person, place: Path) -> None:
    (place / "new.o").write_text("changed\n")


def assume(person: Person, place: Path) -> None:
    person.git("update-index", "--assume-unchanged", "lib.c", cwd=place)
    change(person, place)


def stash(person: Person, place: Path) -> None:
    change(person, place)
    person.git("stash", cwd=place)


def bisect(person: Person, place: Path) -> None:
    person.git("bisect", "start", cwd=place)


INSIDE: tuple[tuple[Lose, str, str], ...] = (
    (stage, "lib", "uncommitted: M  lib/lib.c"),
    (change, "lib", "uncommitted:  M lib/lib.c"),
    (leave_untracked, "lib", "untracked: lib/new.txt"),
    (leave_ignored, "lib", "ignored: lib/new.o"),
    (assume, "lib", "uncommitted, and hidden from git status: lib/lib.c"),
    (stash, "lib", "stash: 1 in lib"),
    (bisect, "lib", "in progress: BISECT_LOG in lib"),
    (stage, "lib/deep", "uncommitted: M  lib/deep/deep.c"),
    (change, "lib/deep", "uncommitted:  M lib/deep/deep.c"),
    (leave_untracked, "lib/deep", "untracked: lib/deep/new.txt"),
)
UNDO = """
git update-index --no-assume-unchanged *.c; git stash drop --quiet || :
git bisect reset; git reset --quiet --hard; git clean --quiet -fdx"""


def test_what_would_be_lost_in_submodules_is_listed(
    person: Person, repo: Path, nested: Path
) -> None:
    """One after the other, each undone: it is listed, and nothing besides."""
    for lose, at, item in INSIDE:
        lose(person, nested / at)
        assert refusal(person, repo)[0] == [item]
        person.git("submodule", "foreach", "--recursive", UNDO, cwd=nested)
    end(person, repo)


def test_a_change_in_a_submodule_of_the_second_it_was_checked_out_in(
    person: Person, repo: Path, nested: Path
) -> None:
    path, index = nested / "lib/lib.c", admin(person, nested) / "modules/lib/index"
    committed, seconds = path.read_text(), {0, 1}
    while len(seconds) > 1:
        path.write_text(committed)
        seconds = {int(path.stat().st_mtime)}
        person.git("update-index", "--refresh", cwd=path.parent)
        path.write_text("int y;\n")
        seconds |= {int(place.stat().st_mtime) for place in (index, path)}
    time.sleep(1)
    assert refusal(person, repo)[0] == ["uncommitted:  M lib/lib.c"]


def saved_by_hints(person: Person, repo: Path) -> None:
    """Follow them until it ends.

    As often as they say something new: what is committed has to be pushed, and so on.
    """
    said: list[list[str]] = [[]]
    while (done := person.mooring("end", TOPIC, cwd=repo, check=False)).returncode:
        said.append(hints(done))
        assert said[-1] != said[-2]
        follow(person, said[-1], repo)


@pytest.mark.parametrize(
    ("lose", "at"),
    [(change, "lib"), (leave_untracked, "lib/deep"), (bisect, "lib")],
)
def test_what_is_in_a_submodule_is_saved_by_the_hints(
    person: Person, repo: Path, nested: Path, lose: Lose, at: str
) -> None:
    lose(person, nested / at)
    saved_by_hints(person, repo)
    log = person.git("log", "--all", "-p", cwd=remote_of(person, nested / at)).stdout
    assert "+changed" in log or lose is bisect


@pytest.mark.parametrize(
    ("at", "branch"),
    [
        ("lib", "work"),
        ("lib", ""),
        ("lib/deep", "work"),
    ],
)
def test_a_commit_in_a_submodule_is_pushed_by_the_hint(
    person: Person, repo: Path, nested: Path, at: str, branch: str
) -> None:
    if branch:
        person.git("switch", "--create", branch, cwd=nested / at)
    tip = commit(person, nested / at, {"work.txt": "done\n"})
    items, commands = refusal(person, repo)
    assert items == [
        f"uncommitted: a submodule at another commit: {at}",
        f"commit that no remote has: {tip[:12]} in {at}",
    ]
    (push,) = refusal(person, repo, "--force")[1]
    assert "push origin" in push
    assert head(person, nested / at) == tip
    follow(person, commands, repo)
    assert tip in person.git("for-each-ref", cwd=remote_of(person, nested / at)).stdout
    saved_by_hints(person, repo)


def test_a_nested_submodule_is_named_by_its_path(person: Person, repo: Path, nested: Path) -> None:
    stash(person, nested / "lib/deep")
    commit(person, nested / "lib/deep", {"work.txt": "done\n"})
    assert {item.rpartition(" ")[2] for item in refusal(person, repo)[0]} == {"lib/deep"}
    done = person.mooring("end", TOPIC, "--force", cwd=repo, check=False)
    assert "lib/deep" in done.stderr


def test_a_tag_of_ones_own_hides_no_commit(person: Person, repo: Path, nested: Path) -> None:
    tip = commit(person, nested / "lib", {"work.txt": "done\n"})
    person.git("tag", "v9", cwd=nested / "lib")
    person.git("commit", "--quiet", "--all", "-m", "Move lib", cwd=nested)
    assert refusal(person, repo)[0] == [f"commit that no remote has: {tip[:12]} in lib"]


def test_a_submodule_at_what_no_branch_of_its_remote_has_hinders_no_end(
    person: Person, repo: Path, nested: Path
) -> None:
    """As a pull request's, or one of a branch that is gone: it was checked out, not made, here."""
    source = person.home / "src/lib"
    tip = commit(person, source, {"proposed.txt": "proposed\n"})
    person.git("push", remote_of(person, source), "main:refs/pull/1/head", cwd=source)
    person.git("update-index", "--cacheinfo", f"160000,{tip},lib", cwd=repo)
    person.git("commit", "--quiet", "-m", "Pin", cwd=repo)
    person.git("config", "--global", "uploadpack.allowAnySHA1InWant", "true")
    end(person, repo)
    place = made(person, "other", cwd=repo)
    person.git("submodule", "--quiet", "update", "--init", "lib", cwd=place)
    assert head(person, place / "lib") == tip
    person.mooring("end", "other", cwd=repo)


def test_every_stash_of_a_submodule_is_pushed_by_the_hint(
    person: Person, repo: Path, nested: Path
) -> None:
    for number in range(2):
        (nested / "lib/lib.c").write_text(f"changed {number}\n")
        person.git("stash", cwd=nested / "lib")
    (item,), commands = refusal(person, repo)
    assert item == "stash: 2 in lib"
    follow(person, commands, repo)
    end(person, repo)
    said = person.git("for-each-ref", cwd=remote_of(person, nested / "lib")).stdout
    assert said.count("-stash-") == 2


def test_what_lies_in_a_submodule_that_is_not_checked_out(
    person: Person, repo: Path, nested: Path
) -> None:
    person.git("submodule", "--quiet", "deinit", "--force", "lib", cwd=nested)
    (nested / "lib/build.log").write_text("mine\n")
    items, commands = refusal(person, repo)
    assert items == ["ignored: lib/build.log"]
    follow(person, commands, repo)
    (packed,) = person.home.glob(f"{TOPIC}-*.tar")
    with tarfile.open(packed) as archive:
        assert archive.getnames() == ["lib/build.log"]


def test_how_a_submodule_compares_its_files_is_its_own(
    person: Person, repo: Path, nested: Path
) -> None:
    kept = admin(person, nested) / "modules/lib"
    (kept / "info/exclude").write_text("*.bin\n")
    (nested / "lib/a.bin").write_text("1")
    assert refusal(person, repo)[0] == ["ignored: lib/a.bin"]
    (nested / "lib/a.bin").unlink()
    person.git("config", "core.fileMode", "false", cwd=nested / "lib")
    (nested / "lib/lib.c").chmod(0o755)
    person.git("update-index", "--split-index", cwd=nested / "lib")
    end(person, repo)


def test_a_branch_without_commits(person: Person, repo: Path, nested: Path) -> None:
    person.git("checkout", "--quiet", "--orphan", "fresh", cwd=nested)
    assert "uncommitted: A  README.md" in refusal(person, repo)[0]


@pytest.mark.parametrize("staging", [False, True])
def test_a_submodule_at_another_commit_of_its_remote_is_committed_by_the_hint(
    person: Person, repo: Path, nested: Path, staging: bool
) -> None:
    source = person.home / "src/lib"
    tip = commit(person, source, {"newer.txt": "newer\n"})
    person.git("push", remote_of(person, source), "main", cwd=source)
    person.git("pull", "--quiet", "origin", "main", cwd=nested / "lib")
    if staging:
        person.git("add", "lib", cwd=nested)
    items, commands = refusal(person, repo)
    said = "M  lib" if staging else "a submodule at another commit: lib"
    assert items == [f"uncommitted: {said}"]
    follow(person, commands, repo)
    end(person, repo)
    assert tip in person.git("ls-tree", TOPIC, "lib", cwd=repo).stdout


def test_a_staged_removal_of_the_only_submodule(person: Person, repo: Path, nested: Path) -> None:
    person.git("rm", "--quiet", "--cached", "lib", cwd=nested)
    person.run("rm", "-rf", "lib", cwd=nested)
    follow(person, refusal(person, repo)[1], repo)
    end(person, repo)
    assert person.git("ls-tree", TOPIC, "lib", cwd=repo).stdout == ""


@pytest.mark.parametrize("leave", [("rm", "--quiet", "lib"), ("submodule", "deinit", "lib")])
def test_commits_of_a_submodule_that_is_not_checked_out_any_more(
    person: Person, repo: Path, nested: Path, leave: tuple[str, ...]
) -> None:
    """Its repo is in git's own directory for the worktree, and goes with that."""
    person.git("switch", "--create", "work", cwd=nested / "lib")
    commit(person, nested / "lib", {"work.txt": "done\n"})
    person.git("commit", "--all", "-m", "Move lib", cwd=nested)
    person.git(*leave, cwd=nested)
    person.git("commit", "--allow-empty", "-m", "Leave lib", cwd=nested)
    refusal(person, repo)
    refusal(person, repo, "--force")


def test_commits_that_a_submodule_has_on_no_branch(
    person: Person, repo: Path, nested: Path
) -> None:
    """As `git submodule update` leaves them behind."""
    commit(person, nested / "lib", {"work.txt": "done\n"})
    person.git("submodule", "update", "--checkout", cwd=nested)
    refusal(person, repo)


STRANGE = ["a submodule whose repo is not the worktree's own: lib"]


def test_a_submodule_with_a_git_directory_of_its_own_is_absorbed_by_the_hint(
    person: Person, repo: Path, nested: Path
) -> None:
    lib, kept = nested / "lib", admin(person, nested) / "modules"
    person.run("rm", "-rf", lib, kept)
    person.git("clone", "--quiet", remote_of(person, lib), lib)
    assert (lib / ".git").is_dir()
    items, commands = refusal(person, repo)
    assert items == STRANGE
    follow(person, commands, repo)
    assert (kept / "lib").is_dir()
    end(person, repo)


def test_a_submodule_whose_repo_is_elsewhere(person: Person, repo: Path, nested: Path) -> None:
    elsewhere = person.home / "src/lib"
    (nested / "lib/.git").write_text(f"gitdir: {elsewhere}/.git\n")
    tip = head(person, elsewhere)
    items, commands = refusal(person, repo)
    assert items == STRANGE
    follow(person, commands, repo)
    end(person, repo, "--force")
    assert head(person, elsewhere) == tip
    assert status(person, elsewhere) == ""


# What stays in the repo, and is said


def test_a_stash_stays_in_the_repo_and_is_said(
    person: Person, repo: Path, before: str, place: Path
) -> None:
    for name in ("first", "second"):
        (place / name).write_text("changed\n")
        person.git("stash", "push", "--include-untracked", "-m", name, cwd=place)
    (repo / "README.md").write_text("of main\n")
    person.git("stash", cwd=repo)
    listed = person.git("stash", "list", cwd=repo).stdout
    lines = [line for line in end(person, repo).stderr.splitlines() if "stash@" in line]
    said = [line.removeprefix("it stays in the repo: ") for line in lines]
    assert said == [line.replace("}: ", "} ") for line in listed.splitlines()[1:]]
    assert person.git("stash", "list", cwd=repo).stdout == listed
    assert came(person, repo, before) == {"refs/stash"}
    person.git("stash", "pop", "stash@{2}", cwd=repo)
    assert (repo / "first").read_text() == "changed\n"


def test_unpushed_commits_are_counted_and_pushed_by_the_hint(
    person: Person, repo: Path, origin: str
) -> None:
    before = refs(person, repo)
    place = made(person, TOPIC, cwd=repo)
    commit(person, place, {"work.txt": "1\n"})
    person.git("push", "origin", TOPIC, cwd=place)
    commit(person, place, {"work.txt": "2\n"})
    tip = commit(person, place, {"work.txt": "3\n"})
    done = end(person, repo)
    assert f"the branch {TOPIC} stays: no remote has 2 of its commits" in done.stderr
    assert came(person, repo, before) == {BRANCH, f"refs/remotes/origin/{TOPIC}"}
    follow(person, hints(done), repo)
    assert holders(person, person.home / "remotes/shop.git", tip) == [BRANCH]


def test_without_a_remote_there_is_nothing_to_push_to(
    person: Person, repo: Path, place: Path
) -> None:
    commit(person, place, {"work.txt": "1\n"})
    done = end(person, repo)
    assert f"the branch {TOPIC} stays: it has commits of its own" in done.stderr
    assert hints(done) == []


# A branch whose changes the base has


def squashed(person: Person, repo: Path) -> None:
    person.git("merge", "--squash", TOPIC, cwd=repo)
    person.git("commit", "-m", "Squash", cwd=repo)


def squashed_at_the_remote(person: Person, repo: Path) -> None:
    squashed(person, repo)
    person.git("update-ref", "refs/remotes/origin/main", "HEAD", cwd=repo)
    person.git("reset", "--hard", "HEAD~1", cwd=repo)


def then_another_file(person: Person, repo: Path) -> None:
    squashed(person, repo)
    commit(person, repo, {"other.txt": "other\n"})


def then_the_same_file(person: Person, repo: Path) -> None:
    squashed(person, repo)
    commit(person, repo, {"work.txt": "1\n2\n3\nof main\n", "README.md": "of main\n"})


def rebased(person: Person, repo: Path) -> None:
    commit(person, repo, {"other.txt": "other\n"})
    person.git("cherry-pick", f"main..{TOPIC}", cwd=repo)


def undone(person: Person, repo: Path) -> None:
    place = Path(f"{repo}.worktrees/{TOPIC}")
    person.git("revert", "--no-edit", f"main..{TOPIC}", cwd=place)


@pytest.mark.parametrize(
    "merge",
    [squashed, squashed_at_the_remote, then_another_file, then_the_same_file, rebased, undone],
)
def test_a_branch_whose_changes_the_base_has_goes_and_its_commits_stay(
    person: Person, repo: Path, place: Path, merge: Lose
) -> None:
    for lines in ("1\n", "1\n2\n"):
        commit(person, place, {"work.txt": lines})
    merge(person, repo)
    tip, then = head(person, place), names(person, repo)
    done = end(person, repo)
    assert f"main has all changes of {TOPIC}: the branch is gone" in done.stderr
    assert f"{PARK}/1" in done.stderr
    assert names(person, repo) == then - {BRANCH} | {f"{PARK}/1"}
    assert holders(person, repo, tip) == [f"{PARK}/1"]


def reverted(person: Person, repo: Path) -> None:
    squashed(person, repo)
    person.git("revert", "--no-edit", "HEAD", cwd=repo)


def in_part(person: Person, repo: Path) -> None:
    person.git("cherry-pick", f"{TOPIC}~1", cwd=repo)


def conflicting(person: Person, repo: Path) -> None:
    commit(person, repo, {"work.txt": "of main\n"})


@pytest.mark.parametrize(
    "merge",
    [reverted, in_part, conflicting],
)
def test_a_branch_with_changes_of_its_own_stays(
    person: Person, repo: Path, place: Path, merge: Lose
) -> None:
    commit(person, place, {"work.txt": "1\n"})
    tip = commit(person, place, {"work.txt": "1\n2\n"})
    merge(person, repo)
    done = end(person, repo)
    assert holders(person, repo, tip) == [BRANCH]
    assert "has all changes" not in done.stderr


@pytest.mark.parametrize("merged", [True, False])
def test_a_branch_without_commits_of_its_own_goes_without_a_word(
    person: Person, repo: Path, before: str, place: Path, merged: bool
) -> None:
    if merged:
        commit(person, place, {"work.txt": "done\n"})
        person.git("merge", "--no-ff", "-m", "Merge", TOPIC, cwd=repo)
        before = before.replace(head(person, repo, "main~1"), head(person, repo))
    said = end(person, repo).stderr.splitlines()
    assert [line for line in said if "branch" in line or PARK in line] == []
    assert came(person, repo, before) == set()


# Commits that only the worktree's own files name


def detached(person: Person, place: Path) -> str:
    person.git("checkout", "--detach", cwd=place)
    return commit(person, place, {"work.txt": "done\n"})


def left(person: Person, place: Path) -> str:
    tip = detached(person, place)
    person.git("switch", TOPIC, cwd=place)
    return tip


def reset(person: Person, place: Path) -> str:
    tip = detached(person, place)
    person.git("reset", "--hard", "HEAD~1", cwd=place)
    return tip


def named_there_alone(person: Person, place: Path) -> str:
    tip = left(person, place)
    person.git("update-ref", "refs/worktree/mine", tip, cwd=place)
    person.git("reflog", "expire", "--expire=now", "HEAD", cwd=place)
    return tip


@pytest.mark.parametrize("leave", [left, reset, named_there_alone])
def test_commits_that_no_branch_has_are_parked(
    person: Person, repo: Path, before: str, place: Path, leave: Callable[[Person, Path], str]
) -> None:
    tip = leave(person, place)
    done = end(person, repo)
    assert f"{PARK}/1" in done.stderr
    assert came(person, repo, before) == {f"{PARK}/1"}
    assert head(person, repo, f"{PARK}/1") == tip


def test_each_line_of_commits_is_parked(
    person: Person, repo: Path, before: str, place: Path
) -> None:
    tips = []
    for name in ("1", "2"):
        person.git("checkout", "--detach", TOPIC, cwd=place)
        tips.append(commit(person, place, {name: "done\n"}))
    person.git("switch", TOPIC, cwd=place)
    end(person, repo)
    parked = came(person, repo, before)
    assert all(name.startswith(PARK) for name in parked)
    assert all(holders(person, repo, tip) for tip in tips)


def test_detached_commits_are_parked_however_long_the_logs_are(
    person: Person, repo: Path, place: Path
) -> None:
    log = repo / ".git/logs/refs/heads/busy"
    line = f"{'1' * 40} {'2' * 40} Robin <r@example.com> 1700000000 +0000\tcommit: x\n"
    log.write_text(line * 4000)
    person.git("checkout", "--detach", cwd=place)
    tip = commit(person, place, {"work.txt": "done\n"})
    person.git("switch", TOPIC, cwd=place)
    end(person, repo)
    assert holders(person, repo, tip)


def test_detached_commits_of_a_deleted_directory_are_parked(
    person: Person, repo: Path, place: Path
) -> None:
    person.git("checkout", "--detach", cwd=place)
    tip = commit(person, place, {"work.txt": "done\n"})
    person.git("switch", TOPIC, cwd=place)
    shutil.rmtree(place)
    made(person, TOPIC, cwd=repo)
    assert holders(person, repo, tip)


def test_what_a_rebase_made_is_parked_with_its_branch(
    person: Person, repo: Path, place: Path
) -> None:
    commit(person, place, {"work.txt": "done\n"})
    commit(person, place, {"more.txt": "more\n"})
    env = {"GIT_SEQUENCE_EDITOR": "sed -i -e 1s/pick/edit/", "GIT_EDITOR": "true"}
    person.git("rebase", "-i", "HEAD~2", cwd=place, env=env)
    amended(person, place)
    person.git("rebase", "--continue", cwd=place, env=env)
    tip = head(person, place)
    person.git("reset", "--quiet", "--hard", "main", cwd=place)
    end(person, repo)
    assert holders(person, repo, tip)


def test_commits_of_a_branch_that_went_are_parked(person: Person, repo: Path, place: Path) -> None:
    tip = commit(person, place, {"work.txt": "done\n"})
    person.git("reset", "--hard", "HEAD~1", cwd=place)
    end(person, repo)
    assert holders(person, repo, tip)


def amended(person: Person, place: Path) -> None:
    (place / "work.txt").write_text("better\n")
    person.git("commit", "--all", "--amend", "-m", "Better", cwd=place)


def replayed(person: Person, place: Path) -> None:
    amended(person, place)
    commit(person, place, {"more.txt": "more\n"})
    person.git("rebase", "--force-rebase", "HEAD~2", cwd=place)


def reordered(person: Person, place: Path) -> None:
    commit(person, place, {"more.txt": "more\n"})
    swap = "sed -i -e '1{h;d}' -e '2{G}'"
    person.git("rebase", "-i", "HEAD~2", cwd=place, env={"GIT_SEQUENCE_EDITOR": swap})


def amended_elsewhere(person: Person, place: Path) -> None:
    person.git("switch", "--create", "other", cwd=place)
    commit(person, place, {"more.txt": "more\n"})
    amended(person, place)


@pytest.mark.parametrize(
    ("edit", "cached"),
    [
        (amended, False),
        (amended, True),
        (replayed, False),
        (reordered, False),
        (amended_elsewhere, False),
    ],
)
def test_what_a_branch_that_stays_went_through_is_not_parked(
    person: Person, repo: Path, origin: str, edit: Lose, cached: bool
) -> None:
    named = ["--repo", origin] if cached else []
    place = made(person, TOPIC, *named, cwd=repo)
    common = admin(person, place).parents[1]
    commit(person, place, {"work.txt": "done\n"})
    edit(person, place)
    then = person.git("for-each-ref", cwd=common).stdout.splitlines()
    end(person, repo, *named)
    now = person.git("for-each-ref", cwd=common).stdout.splitlines()
    gone = [f"refs/heads/{TOPIC}"] if edit is amended_elsewhere else []  # `other` has its commits
    assert [line.rpartition("\t")[2] for line in then if line not in now] == gone
    assert [line for line in now if line not in then] == []


# Somebody else is at work


def admin(person: Person, place: Path) -> Path:
    """Git's own directory for a worktree."""
    done = person.git("rev-parse", "--absolute-git-dir", cwd=place)
    return Path(done.stdout.removesuffix("\n"))


@contextmanager
def committing(person: Person, place: Path, seconds: float) -> Iterator[subprocess.Popen[bytes]]:
    """A git that has the worktree's index locked for as long as its editor is open."""
    argv = ["git", "commit", "--all", "--allow-empty", "--edit", "-m", "Wait"]
    env = person.env | {"GIT_EDITOR": f"sleep {seconds};:"}
    with subprocess.Popen(argv, cwd=place, env=env, stdout=subprocess.DEVNULL) as process:
        try:
            until((admin(person, place) / "index.lock").exists)
            yield process
        finally:
            process.kill()


def test_what_is_saved_after_the_look_is_not_removed(
    person: Person, repo: Path, before: str, place: Path
) -> None:
    """At the moment that the worktree goes: it comes back, with all that is in it."""
    mv = person.home / "bin/mv"
    mv.write_text(
        f"#!/bin/sh\ncase \"$*\" in *'{place} '*) echo late >'{place}/late.txt' ;; esac\n"
        f'exec {need("mv")} "$@"\n'
    )
    mv.chmod(0o755)
    done = person.mooring("end", TOPIC, cwd=repo, check=False)
    assert done.returncode == 1
    assert "the worktree has just changed" in done.stderr
    assert (place / "late.txt").read_text() == "late\n"
    mv.unlink()
    assert refusal(person, repo)[0] == ["untracked: late.txt"]
    (place / "late.txt").unlink()
    end(person, repo)
    assert came(person, repo, before) == set()


def test_what_is_moved_in_after_the_look_is_not_removed(
    person: Person, repo: Path, place: Path
) -> None:
    """Whose time is of long ago."""
    (person.home / "old.txt").write_text("old\n")
    os.utime(person.home / "old.txt", (1, 1))
    mv = person.home / "bin/mv"
    mv.write_text(
        f"#!/bin/sh\ncase \"$*\" in *'{place} '*-removed-*)\n"
        f"{need('mv')} ~/old.txt '{place}/' ;; esac\n"
        f'exec {need("mv")} "$@"\n'
    )
    mv.chmod(0o755)
    assert person.mooring("end", TOPIC, cwd=repo, check=False).returncode == 1
    assert (place / "old.txt").read_text() == "old\n"


def test_what_is_written_where_it_was_goes_beside(
    person: Person, repo: Path, before: str, place: Path
) -> None:
    """A server that makes its directory again while the worktree is away."""
    mv = person.home / "bin/mv"
    mv.write_text(
        f"#!/bin/sh\ncase \"$*\" in *'{place} '*-removed-*) echo late >'{place}/late.txt'\n"
        f'{need("mv")} "$@"; mkdir {place}; echo log >{place}/log; exit 0 ;; esac\n'
        f'exec {need("mv")} "$@"\n'
    )
    mv.chmod(0o755)
    assert person.mooring("end", TOPIC, cwd=repo, check=False).returncode == 1
    assert (place / "late.txt").read_text() == "late\n"
    (beside,) = place.parent.glob(f"{TOPIC}.late.*")
    assert [path.name for path in beside.iterdir()] == ["log"]
    mv.unlink()
    assert refusal(person, repo)[0] == ["untracked: late.txt"]


def test_an_end_waits_for_a_git_that_is_soon_done(person: Person, repo: Path, place: Path) -> None:
    tip = commit(person, place, {"work.txt": "done\n"})
    with committing(person, place, 3) as process:
        end(person, repo)
        assert process.wait(10) == 0
    assert head(person, repo, f"{TOPIC}~1") == tip
    assert not place.exists()


def test_a_git_that_stays_is_named_and_nothing_is_removed(
    person: Person, repo: Path, before: str, place: Path
) -> None:
    with committing(person, place, 60) as process:
        done = person.mooring("end", TOPIC, cwd=repo, check=False)
    assert done.returncode == 1
    assert f"git is at work in {place}: pid {process.pid}: " in done.stderr
    assert "commit --all --allow-empty" in done.stderr
    assert (place / "README.md").is_file()
    assert live(person.home)
    follow(person, hints(done), repo)
    end(person, repo)
    assert came(person, repo, before) == set()


@contextmanager
def held(lock: Path, seconds: float) -> Iterator[None]:
    """A lock of git's that somebody else has, and gives back after that time."""
    lock.touch()
    began = time.monotonic()
    timer = threading.Timer(seconds, lock.unlink)
    timer.start()
    try:
        yield
        assert time.monotonic() - began > seconds
    finally:
        timer.join()


@pytest.mark.parametrize("name", ["packed-refs.lock", "config.lock"])
def test_an_end_waits_for_a_lock_of_the_repo(
    person: Person, repo: Path, origin: str, name: str
) -> None:
    before = refs(person, repo)
    place = made(person, TOPIC, cwd=repo)
    commit(person, place, {"work.txt": "done\n"})
    person.git("push", "--set-upstream", "origin", TOPIC, cwd=place)
    person.git("pack-refs", "--all", cwd=repo)
    with held(repo / ".git" / name, 2):
        done = end(person, repo)
    assert came(person, repo, before) == {f"refs/remotes/origin/{TOPIC}"}
    assert "lock" not in done.stderr


# What git itself leaves out of a checkout

BIG = "big\n" * 1000
POINTER = "version https://git-lfs.github.com/spec/v1\n"


@pytest.fixture
def large(person: Person, repo: Path, origin: str) -> str:
    """The URL of a remote that has `big.bin` in git-lfs, which the clone has set up for itself."""
    need("git-lfs")
    person.git("lfs", "install", "--local", cwd=repo)
    commit(person, repo, {".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n"})
    commit(person, repo, {"big.bin": BIG})
    person.git("push", "origin", "main", cwd=repo)
    assert (text(person, repo, "big.bin", "main") or "").startswith(POINTER)
    return origin


@pytest.mark.parametrize("set_up", [True, False])
def test_large_files_are_there_or_it_is_said(person: Person, large: str, set_up: bool) -> None:
    person = replace(person, env=person.env | {"GIT_CONFIG_NOSYSTEM": "1"})
    if set_up:
        person.git("lfs", "install")
    done = person.mooring("new", TOPIC, "--launch", "none", "--repo", large)
    place = Path(done.stdout.removesuffix("\n"))
    if set_up:
        assert "git-lfs" not in done.stderr
    else:
        assert "the repo keeps files in git-lfs, which is not set up here" in done.stderr
        assert (place / "big.bin").read_text().startswith(POINTER)
        follow(person, hints(done), person.home)
    assert (place / "big.bin").read_text() == BIG
    assert status(person, place) == ""
    person.mooring("end", TOPIC, "--repo", large)
    assert not place.exists()


def test_a_large_file_that_was_changed_is_committed_by_the_hint(
    person: Person, repo: Path, large: str
) -> None:
    place = made(person, TOPIC, cwd=repo)
    assert (place / "big.bin").read_text() == BIG
    (place / "big.bin").write_text(BIG.upper())
    items, commands = refusal(person, repo)
    assert items == ["uncommitted:  M big.bin"]
    follow(person, commands, repo)
    end(person, repo)
    person.git("switch", TOPIC, cwd=repo)
    assert (repo / "big.bin").read_text() == BIG.upper()
    assert (text(person, repo, "big.bin") or "").startswith(POINTER)


@pytest.fixture
def sparse(person: Person, repo: Path) -> Path:
    """A workspace of a clone that has `docs` alone checked out."""
    commit(person, repo, {"docs/read.md": "read\n", "web/index.html": "web\n"})
    person.git("sparse-checkout", "set", "--cone", "docs", cwd=repo)
    return made(person, TOPIC, cwd=repo)


def test_a_sparse_clone_has_sparse_worktrees(person: Person, repo: Path, sparse: Path) -> None:
    assert sorted(path.name for path in sparse.glob("[a-z]*")) == ["docs"]
    assert status(person, sparse) == ""
    assert "unchanged" in person.mooring("new", TOPIC, cwd=repo).stderr
    (sparse / "docs/read.md").write_text("changed\n")
    items, commands = refusal(person, repo)
    assert items == ["uncommitted:  M docs/read.md"]
    follow(person, commands, repo)
    end(person, repo)
    assert text(person, repo, "web/index.html") == "web\n"
    assert text(person, repo, "docs/read.md") == "changed\n"


def test_a_file_outside_of_the_cone_is_seen(person: Person, repo: Path, sparse: Path) -> None:
    (sparse / "web").mkdir()
    (sparse / "web/index.html").write_text("changed\n")
    assert len(refusal(person, repo)[0]) == 1
