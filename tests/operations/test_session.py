"""What a session's files keep of a person's: a context below its head, settings beside our hooks.

The script that writes them is run for real in a worktree, and so is the one that ends it.
"""

from __future__ import annotations

import stat
from hashlib import sha256
from pathlib import Path

import pytest

from mooring.claude import hooks
from mooring.facts import worktree as fact
from mooring.operations import identity, parks, removed, session
from tests.operations.scripts import Target, tools
from tests.support import Person

HEAD = "# Workspace\n\nGenerated.\n\n<!-- mooring: what follows is yours -->\n"
NEW_HEAD = HEAD.replace("Generated", "Generated anew")
CONTEXT = ".session-context.md"


@pytest.fixture(params=["system", "busybox"])
def target(
    request: pytest.FixtureRequest, person: Person, repo: Path, tmp_path: Path, work: Path
) -> Target:
    """A target with a worktree, once with this machine's programs, once with busybox's."""
    path = "" if request.param == "system" else tools(tmp_path / "tools", "busybox")
    things = ("context", "ignore", "workspace", "session", "flagged", "prompt", "settings")
    names = {
        "path": str(work),
        "common": str(repo / ".git"),
        "kept": str(tmp_path / "kept"),
        "sections": session.SECTIONS,
        **{f"{thing}_text": "" for thing in things},
        **{f"{thing}_known": "" for thing in things},
        "context": CONTEXT,
        "prompt": ".session-prompt.md",
        "flagged": hooks.FLAG_SETTINGS,
        "settings": hooks.SETTINGS,
        "settings_seen": "",
    }
    return Target(person, tmp_path / "root", names, path)


@pytest.fixture
def work(person: Person, repo: Path, tmp_path: Path) -> Path:
    """A worktree of the repo."""
    person.git("worktree", "add", tmp_path / "work", "-b", "fix-login", cwd=repo)
    return tmp_path / "work"


def write(target: Target, **names: str) -> str:
    return target.run(session._WRITE, **names).stdout


def shown(person: Person, work: Path) -> str:
    """What git would show a person of the worktree."""
    return person.git("status", "--porcelain", "--untracked-files=all", cwd=work).stdout


# The context


def test_a_new_context_has_sections_to_fill(target: Target, person: Person, work: Path) -> None:
    write(target, context_text=HEAD)
    assert (work / CONTEXT).read_text() == HEAD + session.SECTIONS
    assert shown(person, work) == ""


BELOW = {
    "sections": "\n## Task\n\nDone.\n",
    "nothing": "",
    "no end": "\nno newline",
    "many ends": "\ntext\n\n\n\n",
    "odd": "\n$(touch planted) `x` '\" \\n %s größe \u2028\n<!-- mooring: not this one -->\nmore\n",
    "a backslash": "\\",
    "a dot": ".",
}


@pytest.mark.parametrize("below", BELOW.values(), ids=BELOW.keys())
def test_what_is_below_the_head_stays(target: Target, work: Path, below: str) -> None:
    (work / CONTEXT).write_text(HEAD + below)
    assert write(target, context_text=NEW_HEAD) == ""
    assert (work / CONTEXT).read_text() == NEW_HEAD + below


@pytest.mark.parametrize("text", ["# My notes\n\nDone.\n", "no end", "\n"])
def test_a_context_without_a_head_stays_whole(target: Target, work: Path, text: str) -> None:
    """A person, or Claude, has replaced the file by one of their own."""
    (work / CONTEXT).write_text(text)
    write(target, context_text=HEAD)
    assert (work / CONTEXT).read_text() == f"{HEAD}\n{text}"


def test_a_context_comes_back_from_the_last_end(target: Target, work: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/context").write_text("\n## Task\n\nHalf done.\n")
    write(target, context_text=HEAD)
    assert (work / CONTEXT).read_text() == HEAD + "\n## Task\n\nHalf done.\n"
    (work / CONTEXT).write_text(HEAD + "mine\n")
    write(target, context_text=NEW_HEAD)
    assert (work / CONTEXT).read_text() == NEW_HEAD + "mine\n", "what is there counts"


def test_a_contexts_mode_is_not_widened(target: Target, work: Path) -> None:
    (work / CONTEXT).write_text(f"{HEAD}mine\n")
    (work / CONTEXT).chmod(0o600)
    write(target, context_text=NEW_HEAD)
    assert stat.S_IMODE((work / CONTEXT).stat().st_mode) == 0o600


def test_a_context_that_is_a_link_is_replaced_not_read(
    target: Target, work: Path, tmp_path: Path
) -> None:
    (tmp_path / "theirs").write_text("theirs")
    (work / CONTEXT).symlink_to(tmp_path / "theirs")
    write(target, context_text=HEAD)
    assert (work / CONTEXT).read_text() == HEAD + session.SECTIONS
    assert not (work / CONTEXT).is_symlink()
    assert (tmp_path / "theirs").read_text() == "theirs"


# The settings

MINE = '{"model": "opus"}\n'
OURS = '{"model": "opus", "hooks": {}}\n'
LEFT = f"left as it is: {hooks.SETTINGS} (somebody has just changed it; the next run looks again)\n"


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def test_settings_are_written_where_there_are_none(
    target: Target, person: Person, work: Path
) -> None:
    write(target, settings_text=OURS)
    assert (work / hooks.SETTINGS).read_text() == OURS
    assert stat.S_IMODE((work / hooks.SETTINGS).stat().st_mode) == 0o600
    assert shown(person, work) == ""


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_settings_are_replaced_by_what_was_composed_from_them(
    target: Target, work: Path, mode: int
) -> None:
    (work / ".claude").mkdir()
    (work / hooks.SETTINGS).write_text(MINE)
    (work / hooks.SETTINGS).chmod(mode)
    assert write(target, settings_text=OURS, settings_seen=digest(MINE)) == ""
    assert (work / hooks.SETTINGS).read_text() == OURS
    assert stat.S_IMODE((work / hooks.SETTINGS).stat().st_mode) == mode
    assert not (work / ".mooring/saved").exists()


@pytest.mark.parametrize("seen", ["", digest("something else")])
def test_settings_that_somebody_has_just_changed_are_left(
    target: Target, work: Path, seen: str
) -> None:
    (work / ".claude").mkdir()
    (work / hooks.SETTINGS).write_text(MINE)
    assert write(target, settings_text=OURS, settings_seen=seen) == LEFT
    assert (work / hooks.SETTINGS).read_text() == MINE


def test_settings_that_somebody_has_just_removed_are_not_brought_back(
    target: Target, work: Path
) -> None:
    assert write(target, settings_text=OURS, settings_seen=digest(MINE)) == LEFT
    assert not (work / hooks.SETTINGS).exists()


def test_settings_are_not_written_through_a_link(
    target: Target, work: Path, tmp_path: Path
) -> None:
    (tmp_path / "theirs").mkdir()
    (work / ".claude").symlink_to(tmp_path / "theirs")
    assert "is a symlink" in target.refuses(session._WRITE, settings_text=OURS)
    assert list((tmp_path / "theirs").iterdir()) == []


def test_settings_at_home_are_not_taken_for_the_worktrees(
    target: Target, person: Person, work: Path
) -> None:
    """A script begins at home, where Claude Code's directory has the same name."""
    for place in (person.home, work):
        (place / ".claude").mkdir()
        (place / hooks.SETTINGS).write_text(MINE)
    (work / hooks.SETTINGS).write_text("changed since")
    assert write(target, settings_text=OURS, settings_seen=digest(MINE)) == LEFT
    assert (work / hooks.SETTINGS).read_text() == "changed since"
    assert (person.home / hooks.SETTINGS).read_text() == MINE


# The prompt, and the session's id


def test_a_prompt_is_private_and_hidden(target: Target, person: Person, work: Path) -> None:
    write(target, prompt_text="$(touch planted)\nFix it")
    prompt = work / ".session-prompt.md"
    assert prompt.read_text() == "$(touch planted)\nFix it"
    assert stat.S_IMODE(prompt.stat().st_mode) == 0o600
    assert shown(person, work) == ""


def test_a_prompt_that_was_edited_is_saved(target: Target, work: Path) -> None:
    (work / ".session-prompt.md").write_text("edited")
    assert "saved .session-prompt.md" in write(target, prompt_text="Fix it")
    (saved,) = (work / ".mooring/saved").iterdir()
    assert saved.read_text() == "edited"


def test_the_sessions_id_is_replaced_and_never_saved(
    target: Target, work: Path, tmp_path: Path
) -> None:
    (tmp_path / "theirs").write_text("theirs")
    (work / ".mooring").mkdir()
    (work / ".mooring/session").symlink_to(tmp_path / "theirs")
    write(target, session_text="one\n")
    write(target, session_text="two\n")
    assert (work / ".mooring/session").read_text() == "two\n"
    assert (tmp_path / "theirs").read_text() == "theirs"
    assert not (work / ".mooring/saved").exists()


# What an end keeps


DULL = '{"hooks": {}}\n'


def end(target: Target, work: Path) -> None:
    """Remove the worktree; what a scan finds in it has been judged by others."""
    scan = target.run(
        fact.SCAN,
        'find_admin; ref_of "$w_admin/HEAD"; w_head=$ref; scan "$w_admin" "$path"',
        excludes="",
    ).stdout
    target.run(
        fact.SCAN,
        identity.IDENTITY,
        parks.PARK,
        removed._REMOVE,
        topic="fix-login",
        branch="fix-login",
        owned="yes",
        dull_context=digest(session.SECTIONS),
        dull_settings=digest(DULL),
        judged=digest(scan.removesuffix("\n")),
        base="main",
        remote="",
        file=str(target.root / "fix-login.gitconfig"),
        includes=str(target.root / "gitconfig"),
        of_repo=str(target.root / "records/gitconfig"),
        parks=parks.parks("dev", "fix-login"),
        excludes="",
    )
    assert not work.exists()


@pytest.mark.parametrize(
    ("text", "kept"),
    [(HEAD + "mine\n", "mine\n"), (HEAD, ""), ("my own\n", "my own\n"), (None, None)],
)
def test_an_end_keeps_what_is_below_the_head(
    target: Target, work: Path, tmp_path: Path, text: str | None, kept: str | None
) -> None:
    if text is not None:
        (work / CONTEXT).write_text(text)
    end(target, work)
    file = tmp_path / "kept/context"
    assert (file.read_text() if file.exists() else None) == kept
    assert not file.exists() or stat.S_IMODE(file.stat().st_mode) == 0o600


def test_an_end_keeps_settings(target: Target, work: Path, tmp_path: Path) -> None:
    (work / ".claude").mkdir()
    (work / hooks.SETTINGS).write_text(MINE)
    end(target, work)
    assert (tmp_path / "kept/settings").read_text() == MINE
    assert stat.S_IMODE((tmp_path / "kept/settings").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["settings"]


def test_an_end_keeps_nothing_that_the_repo_has(
    target: Target, person: Person, work: Path, tmp_path: Path
) -> None:
    (work / ".claude").mkdir()
    (work / hooks.SETTINGS).write_text(MINE)
    person.git("add", "--force", hooks.SETTINGS, cwd=work)
    person.git("commit", "-m", "Settings", cwd=work)
    end(target, work)
    assert not (tmp_path / "kept").exists()


def test_an_end_keeps_nothing_that_nobody_wrote(target: Target, work: Path, tmp_path: Path) -> None:
    write(target, context_text=HEAD, settings_text=DULL)
    end(target, work)
    assert not (tmp_path / "kept").exists()


def test_an_end_keeps_what_is_left_after_an_earlier_one(
    target: Target, person: Person, repo: Path, work: Path, tmp_path: Path
) -> None:
    """Somebody emptied the context in between: the old one must not come back."""
    (work / CONTEXT).write_text(f"{HEAD}mine\n")
    end(target, work)
    person.git("worktree", "add", work, "-B", "fix-login", cwd=repo)
    write(target, context_text=HEAD)
    (work / CONTEXT).write_text(HEAD + session.SECTIONS)
    end(target, work)
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("name", [CONTEXT, hooks.SETTINGS])
def test_an_end_reads_through_no_link(
    target: Target, work: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "theirs").write_text("theirs")
    (work / ".claude").mkdir()
    (work / name).symlink_to(tmp_path / "theirs")
    end(target, work)
    assert not (tmp_path / "kept").exists()
    assert (tmp_path / "theirs").read_text() == "theirs"


def test_an_end_reads_through_no_link_to_a_directory(
    target: Target, work: Path, tmp_path: Path
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "settings.local.json").write_text("theirs")
    (work / ".claude").symlink_to(theirs)
    end(target, work)
    assert not (tmp_path / "kept").exists()


def test_a_context_survives_an_end_and_a_resume(
    target: Target, person: Person, repo: Path, work: Path
) -> None:
    write(target, context_text=HEAD)
    with (work / CONTEXT).open("a") as file:
        file.write("\nDecided: größe.\n\n")
    below = (work / CONTEXT).read_text().removeprefix(HEAD)
    for head in (NEW_HEAD, HEAD):
        end(target, work)
        person.git("worktree", "add", work, "-B", "fix-login", cwd=repo)
        write(target, context_text=head)
        assert (work / CONTEXT).read_text() == head + below
