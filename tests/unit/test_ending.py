"""What ending a workspace would lose: what counts, what does not, and scans that failed."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from mooring.claude.live import Live
from mooring.ending import KEPT, SHOWN, judge, provisioned
from mooring.errors import MooringError
from mooring.loss import losses
from tests.unit.builders import (
    ADMIN,
    COMMON,
    EDITED,
    PATH,
    SESSION,
    SUM,
    a_record,
    a_request,
    a_session,
    a_whole_one,
    a_worktree,
    observed,
    registered,
    some_files,
)

OURS = frozenset({".envrc", ".env.local", "my file"})
COMMIT = "c" * 40
TOPIC = "fix-login"
ODD = "a file or submodule whose name cannot be carried safely"
STRANGE = "a submodule whose repo is not the worktree's own"


def listed(scan: str) -> list[str]:
    """What a person is shown of a scan."""
    return [str(loss) for loss in losses(scan, OURS)]


@pytest.mark.parametrize(
    ("line", "item"),
    [
        (" M app.py", "uncommitted:  M app.py"),
        ("M  app.py", "uncommitted: M  app.py"),
        ("A  new.py", "uncommitted: A  new.py"),
        (" D app.py", "uncommitted:  D app.py"),
        ("UU app.py", "uncommitted: UU app.py"),
        (" T link", "uncommitted:  T link"),
        (" m sub", "uncommitted:  m sub"),
        ("?? notes.txt", "untracked: notes.txt"),
        ("?? my other file", "untracked: my other file"),
        ('?? a"b', 'untracked: a"b'),
        ("?? a\x01b\x02c", 'untracked: "a\\nb\\tc"'),
        ("!! .env", "ignored: .env"),
        ("!! .env.local.bak", "ignored: .env.local.bak"),
        (" M .envrc", "uncommitted:  M .envrc"),
        ("in-progress MERGE_HEAD", "in progress: MERGE_HEAD"),
        ("in-progress rebase-merge", "in progress: rebase-merge"),
        (f"commit {COMMIT}", f"commit on no branch: {COMMIT[:12]}"),
        ("hidden app.py", "uncommitted, and hidden from git status: app.py"),
        ("hidden .envrc", "uncommitted, and hidden from git status: .envrc"),
        ('odd "new\\nline"', f'{ODD}: "new\\nline"'),
    ],
)
def test_what_counts(line: str, item: str) -> None:
    assert listed(f"{line}\nend") == [item]


@pytest.mark.parametrize(
    ("line", "item"),
    [
        (" M lib.c", "uncommitted:  M {}/lib.c"),
        ("M  deep", "uncommitted: M  {}/deep"),
        ("?? new.txt", "untracked: {}/new.txt"),
        ("!! lib.o", "ignored: {}/lib.o"),
        ("!! .env.local", "ignored: {}/.env.local"),
        ("?? .envrc", "untracked: {}/.envrc"),
        ("hidden lib.c", "uncommitted, and hidden from git status: {}/lib.c"),
        ('odd "new\\nline"', f'{ODD}: {{}}/"new\\nline"'),
        ("in-progress rebase-merge", "in progress: rebase-merge in {}"),
        (f"moved {COMMIT}", "uncommitted: a submodule at another commit: {}"),
        (f"unpushed {COMMIT}", f"commit that no remote has: {COMMIT[:12]} in {{}}"),
        ("stash 1 origin", "stash: 1 in {}"),
        ("elsewhere /srv/lib.git", f"{STRANGE}: {{}}"),
        ("elsewhere ", f"{STRANGE}: {{}}"),
    ],
)
@pytest.mark.parametrize("place", ["lib", "a lib", "lib/deep"])
def test_what_counts_in_a_submodule(line: str, item: str, place: str) -> None:
    """Nothing in there is ours, whatever its name."""
    within = "".join(f"in {part}\t" for part in place.split("/"))
    assert listed(f"{within}{line}\nend") == [item.format(place)]


@pytest.mark.parametrize(
    "scan",
    ["end", "?? .envrc\nend", "!! .env.local\nend", "?? my file\n!! .envrc\nend"],
)
def test_what_does_not_count(scan: str) -> None:
    assert losses(scan, OURS) == []


@pytest.mark.parametrize(
    "scan",
    [
        "",
        " M app.py",
        " M app.py\nen",
        "error 128\nend",
        "fatal: not a git repository: /x\nerror 128\nend",
        "warning: could not open directory 'x/': Permission denied\nend",
        "!! error 128\nerror 1\nend",
        "!! error 128\nend",
        "commit error 128\nend",
        "commit fatal: bad object HEAD\nend",
        "end\nsh: git: not found",
        "git: not found\nend",
        "\nend",
        "in lib\terror 128\nend",
        "in lib\tfatal: bad object HEAD\nend",
        "in lib\tin deep\terror 1\nend",
        "in lib\t\nend",
        "in lib\nend",
        "in lib\tend",
        "in lib\tunpushed error 128\nend",
        "config core.fsmonitor \nend",
        "config core.fsmonitor ",
    ],
)
def test_a_scan_that_failed_never_means_that_nothing_is_there(scan: str) -> None:
    with suppress(MooringError):
        assert losses(scan, OURS)


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85"])
def test_an_item_ends_at_a_newline_only(mark: str) -> None:
    """Git leaves such characters in names as they are under core.quotePath=false."""
    (loss,) = losses(f"?? .envrc{mark}?? .env.local\nend", OURS)
    assert loss.path == f".envrc{mark}?? .env.local"


def test_files_as_we_wrote_them_are_ours() -> None:
    record = a_record(
        files={".env": SUM, "a": SUM, "last": SUM}, generated={".envrc": SUM, "b": SUM}
    )
    present = {".env": SUM, ".envrc": SUM, "a": EDITED, "last": SUM, "stranger": SUM}
    sources = {".env": EDITED, "a": EDITED}  # which the workspace has by now, too
    seen = observed(record=record, files=some_files(present=present, sources=sources))
    assert provisioned(seen) == {".env", ".envrc", "a", *KEPT}, "the source of `last` is gone"
    assert provisioned(observed(files=some_files(present=present))) == frozenset()


def scanned(scan: str | None, **worktree: Any) -> Any:
    """A whole workspace whose scan says that."""
    there = {"kind": "dir", "registered": registered(), "scan": scan} | worktree
    return a_whole_one(worktree=a_worktree(**there))


def refusal(seen: Any, **request: Any) -> MooringError:
    """Why the workspace cannot be ended."""
    with pytest.raises(MooringError) as caught:
        judge(a_request(**request), seen, SESSION)
    assert caught.value.message.startswith("Cannot ")
    return caught.value


@pytest.mark.parametrize(
    "worktree",
    [
        {"scan": "end"},
        {"scan": None, "kind": "", "registered": None},
        {"scan": None, "kind": "", "registered": registered(there=False)},
        {"scan": None, "kind": "empty"},
        {"scan": None, "registered": registered(locked="+initializing")},
    ],
)
def test_nothing_would_be_lost(worktree: dict[str, Any]) -> None:
    judge(a_request(), scanned(**worktree), SESSION)


def test_what_would_be_lost_is_listed() -> None:
    error = refusal(scanned(f" M app.py\n?? notes\n!! .env\ncommit {COMMIT}\nend"))
    lines = error.message.splitlines()
    assert lines[0] == "Cannot end 'fix-login': this would be lost:"
    assert len(lines) == 5
    assert all(PATH in hint for hint in error.hints[:-1])
    assert len(error.hints) == 4, "one for each kind, and the last resort"
    assert error.hints[-1].startswith("mooring end fix-login --force")


UNDO = f"mooring end {TOPIC} --force"


def hints(*lines: str) -> list[str]:
    """What is hinted at for a scan of those lines, but for the last resort."""
    *found, last = refusal(scanned("\n".join([*lines, "end"]))).hints
    assert last.startswith(UNDO)
    return list(found)


@pytest.mark.parametrize(
    ("states", "hint"),
    [
        (["MERGE_HEAD"], "merge --continue"),
        (["CHERRY_PICK_HEAD"], "cherry-pick --continue"),
        (["CHERRY_PICK_HEAD", "sequencer"], "cherry-pick --continue"),
        (["REVERT_HEAD"], "revert --continue"),
        (["REVERT_HEAD", "sequencer of reverts"], "revert --continue"),
        (["BISECT_LOG"], "bisect reset"),
        (["rebase-merge"], "rebase --continue"),
        (["rebase-apply"], "rebase --continue"),
        (["CHERRY_PICK_HEAD", "rebase-merge"], "rebase --continue"),
    ],
)
def test_what_is_in_progress_is_finished_by_its_own_command(states: list[str], hint: str) -> None:
    assert hints(*(f"in-progress {state}" for state in states)) == [f"git -C {PATH} {hint}"]


def test_patches_that_do_not_apply_are_kept() -> None:
    (found,) = hints("in-progress rebase-apply", "in-progress rebase-apply/applying")
    kept, quits = found.split(" && ")
    assert kept == f"cp -R {ADMIN}/rebase-apply {PATH}.am"
    assert quits == f"git -C {PATH} am --quit"


def test_what_is_in_progress_in_a_submodule_hides_no_hint() -> None:
    found = hints("in-progress MERGE_HEAD", "in lib\tin-progress BISECT_LOG")
    assert f"git -C {PATH} merge --continue" in found


def test_each_kind_of_loss_has_its_hint_once() -> None:
    """In the order in which they can be followed."""
    found = hints(
        " M app.py",
        "?? notes",
        "hidden main.py",
        "!! .env",
        "!! .env.mine",
        "in-progress rebase-merge",
        f"in lib\tmoved {COMMIT}",
        f"in lib\tunpushed {COMMIT}",
        "in lib\tstash 1 origin",
        "in vendor\telsewhere /srv/vendor.git",
        f"commit {COMMIT}",
    )
    kinds = (
        "tar -cf",
        "push origin ccc",
        "stash-0",
        "main.py && git",
        "branch fix",
        "absorbgitdirs",
    )
    assert [kind for hint in found for kind in kinds if kind in hint] == list(kinds)
    assert len(found) == len(kinds)
    assert found[3].endswith(f" && git -C {PATH} add -A && git -C {PATH} rebase --continue")
    assert all(PATH in hint or ADMIN in hint for hint in found)


def test_what_is_staged_and_nowhere_else_is_committed_first() -> None:
    (found,) = hints("MD app.py")
    assert found.split(" && ")[0] == f"git -C {PATH} commit -m Staged"
    (found,) = hints("M  app.py")
    assert found.split(" && ")[0] == f"git -C {PATH} add -A"


def test_git_is_not_run_in_a_worktree_whose_pointer_was_rewritten() -> None:
    *packed, mended = hints("pointer .git", " M app.py", "!! .env")
    assert mended == f"git --git-dir {COMMON} worktree repair"
    assert len(packed) == 1
    assert "tar -cf" in packed[0]


def test_a_name_with_control_characters_is_a_pattern_in_a_hint() -> None:
    (found,) = hints("!! it's\x01here")
    assert found.endswith(""" 'it'"'"'s'?here)""")


def test_a_config_of_the_worktrees_own_is_not_looked_behind() -> None:
    scan = "config core.fsmonitor filter.x.clean "
    error = refusal(scanned(scan))
    assert "its own git config sets core.fsmonitor filter.x.clean, which could run" in error.message
    assert error.hints[0] == f"git config --file {ADMIN}/config.worktree --list"
    assert error.hints[1].startswith(UNDO)
    judge(a_request(force=True), scanned(scan), SESSION)


@pytest.mark.parametrize(("count", "lines"), [(SHOWN, SHOWN + 1), (SHOWN + 7, SHOWN + 2)])
def test_a_long_list_is_cut(count: int, lines: int) -> None:
    scan = "".join(f"?? file-{number}\n" for number in range(count)) + "end"
    said = refusal(scanned(scan)).message.splitlines()
    assert len(said) == lines
    assert count == SHOWN or said[-1] == "  and 7 more"


@pytest.mark.parametrize("scan", [" M app.py\nend", "", "error 128\nend", None])
def test_force_accepts_a_loss(scan: str | None) -> None:
    judge(a_request(force=True), scanned(scan), SESSION)


@pytest.mark.parametrize("scan", ["", " M app.py", "error 128\nend"])
def test_a_failed_scan_refuses(scan: str) -> None:
    refusal(scanned(scan))


@pytest.mark.parametrize("kind", ["dir", "other"])
def test_what_git_no_longer_knows_cannot_be_judged(kind: str) -> None:
    error = refusal(scanned(None, kind=kind, registered=None))
    assert "is no worktree of" in error.message


@pytest.mark.parametrize("force", [True, False])
@pytest.mark.parametrize(("locked", "why"), [("+", "no reason given"), ("+on a disk", "on a disk")])
def test_a_locked_worktree_is_refused_even_by_force(force: bool, locked: str, why: str) -> None:
    error = refusal(scanned("end", registered=registered(locked=locked)), force=force)
    assert why in error.message
    assert error.hints == (f"git --git-dir {COMMON} worktree unlock {PATH}",)


OTHER = SESSION.replace("1", "2")

# Who runs where, and whether an end would be in the middle of that.
RUNNERS: dict[str, tuple[str, str, bool]] = {
    "its session, there": (SESSION, PATH, True),
    "its session, elsewhere": (SESSION, "/home/robin", True),
    "another, there": (OTHER, PATH, True),
    "another, below": (OTHER, f"{PATH}/app/deep", True),
    "another, above": (OTHER, PATH.rpartition("/")[0], False),
    "another, in one of a longer name": (OTHER, f"{PATH}-2", False),
    "another, who knows where": (OTHER, "", False),
}


@pytest.mark.parametrize(("session", "cwd", "refused"), RUNNERS.values(), ids=RUNNERS.keys())
def test_nobody_may_run_there(session: str, cwd: str, refused: bool) -> None:
    running = a_session(running=(Live(7, session, cwd, 1000),))
    there = a_worktree(kind="dir", registered=registered(), scan="end")
    seen = a_whole_one(session=running, worktree=there)
    if refused:
        error = refusal(seen)
        assert "Claude is running there (pid 7)" in error.message
        assert error.hints[-1].startswith("mooring end fix-login --force")
    else:
        judge(a_request(), seen, SESSION)
    judge(a_request(force=True), seen, SESSION)
    gone = a_whole_one(session=running, worktree=a_worktree())
    judge(a_request(), gone, SESSION)
