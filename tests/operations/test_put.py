"""How a file gets into a workspace: whole, past nobody's edits, and never through a symlink."""

from __future__ import annotations

import stat
from hashlib import sha256
from pathlib import Path

import pytest

from mooring.claude import hooks
from mooring.facts import record as record_file
from mooring.model import State
from mooring.operations import envrc, session
from mooring.operations.claim import finish_script
from tests.operations.scripts import Target, tools
from tests.support import Person
from tests.unit.builders import a_record


def text_sum(text: str) -> str:
    """The sha256 of a file's content."""
    return sha256(text.encode()).hexdigest()


@pytest.fixture(params=["system", "busybox"])
def target(request: pytest.FixtureRequest, person: Person, tmp_path: Path) -> Target:
    """A target with a worktree at `work`, once with this machine's programs, once busybox's."""
    work = tmp_path / "work"
    work.mkdir()
    path = "" if request.param == "system" else tools(tmp_path / "tools", "busybox")
    return Target(person, tmp_path / "root", {"path": str(work)}, path)


PUT = 'put "$name" "$known" "$text"'


def put(target: Target, name: str, text: str, known: str = "") -> str:
    """Write a file as an operation does; what the script said."""
    return target.run(PUT, name=name, text=text, known=known).stdout


def refuses_to_put(target: Target, name: str) -> str:
    """Why a file is not written."""
    return target.refuses(PUT, name=name, text="ours", known="")


def tree(directory: Path) -> dict[str, str]:
    """Every file and link below a directory, with its content.

    The `.gitignore` that hides `.mooring` comes with the first file; it is checked and left out.
    """
    found = {}
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file():
            found[name] = path.read_text()
    assert found.pop(".mooring/.gitignore", "*\n") == "*\n"
    return found


NAMES = [
    ".envrc",
    "a b",
    "conf/deep/.env",
    "-n",
    "--",
    "*",
    "it's",
    'a"b',
    "$(touch x)",
    "ü",
    "[a]",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_may_have_any_name(target: Target, tmp_path: Path, name: str) -> None:
    assert put(target, name, "text\n") == ""
    assert tree(tmp_path / "work") == {name: "text\n"}


@pytest.mark.parametrize("text", ["one\ntwo\n", "no newline", "%s\\n\\0\n\n\n", "'\"$x`", ""])
def test_a_file_is_written_whole(target: Target, tmp_path: Path, text: str) -> None:
    put(target, ".envrc", text)
    assert tree(tmp_path / "work") == {".envrc": text}


def test_a_file_of_ours_is_replaced(target: Target, tmp_path: Path) -> None:
    put(target, ".envrc", "old")
    assert put(target, ".envrc", "new", known=text_sum("old")) == ""
    assert tree(tmp_path / "work") == {".envrc": "new"}


def test_the_same_file_is_not_saved(target: Target, tmp_path: Path) -> None:
    put(target, ".envrc", "same")
    assert put(target, ".envrc", "same", known="another") == ""
    assert tree(tmp_path / "work") == {".envrc": "same"}


@pytest.mark.parametrize("name", [".envrc", "conf/a b"])
def test_an_edit_is_kept_beside(target: Target, tmp_path: Path, name: str) -> None:
    put(target, name, "old")
    edited = tmp_path / "work" / name
    edited.write_text("edited by hand\n")
    edited.chmod(0o600)
    said = put(target, name, "new", known=text_sum("old"))
    assert edited.read_text() == "new"
    (saved,) = (tmp_path / "work/.mooring/saved").iterdir()
    assert saved.read_text() == "edited by hand\n"
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    assert said == f"saved {name} as .mooring/saved/{saved.name}\n"


def test_two_edits_are_both_kept(target: Target, tmp_path: Path) -> None:
    for text in ("first edit", "second edit"):
        (tmp_path / "work/.envrc").write_text(text)
        put(target, ".envrc", "new")
    saved = (tmp_path / "work/.mooring/saved").iterdir()
    assert sorted(path.read_text() for path in saved) == ["first edit", "second edit"]


def test_an_edit_that_cannot_be_kept_is_not_lost(target: Target, tmp_path: Path) -> None:
    (tmp_path / "work/.mooring").mkdir()
    (tmp_path / "work/.mooring/saved").write_text("a file in the way")
    (tmp_path / "work/.envrc").write_text("edited by hand")
    refuses_to_put(target, ".envrc")
    assert (tmp_path / "work/.envrc").read_text() == "edited by hand"
    assert list((tmp_path / "work/.mooring").glob(".stage*")) == []


def test_a_link_is_replaced_not_followed(target: Target, tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "work/.envrc").symlink_to(tmp_path / "theirs")
    put(target, ".envrc", "ours")
    assert (tmp_path / "theirs").read_text() == "theirs"
    assert tree(tmp_path / "work") == {".envrc": "ours"}


def test_nothing_is_written_through_a_link_to_a_directory(target: Target, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (tmp_path / "work/.envrc").symlink_to(theirs)
    done = target.run(PUT, name=".envrc", text="ours", known="", check=False)
    assert list(theirs.iterdir()) == []
    assert done.returncode == 65 or tree(tmp_path / "work") == {".envrc": "ours"}


def test_nothing_is_written_through_a_link_in_the_place_of_the_stage(
    target: Target, tmp_path: Path
) -> None:
    """Whoever may write to the worktree can guess the name: it holds a process's number."""
    (tmp_path / "theirs").write_text("theirs")
    plant = 'mkdir "$path/.mooring"; ln -s "$theirs" "$path/.mooring/.stage.$$"\n'
    theirs = str(tmp_path / "theirs")
    target.run(plant + PUT, theirs=theirs, name=".envrc", text="ours", known="", check=False)
    assert (tmp_path / "theirs").read_text() == "theirs"
    assert not (tmp_path / "work/.envrc").is_symlink()


@pytest.mark.parametrize(
    ("link", "name"),
    [
        ("conf", "conf/.env"),
        ("conf", "conf/deep/.env"),
        (".mooring", ".envrc"),
        (".mooring", ".mooring/envrc"),
    ],
)
def test_a_parent_that_is_a_link_is_refused(
    target: Target, tmp_path: Path, link: str, name: str
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (tmp_path / "work" / link).symlink_to(theirs)
    assert "is a symlink" in refuses_to_put(target, name)
    assert list(theirs.iterdir()) == []


def test_edits_are_not_kept_through_a_link(target: Target, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (tmp_path / "work/.mooring").mkdir()
    (tmp_path / "work/.mooring/saved").symlink_to(theirs)
    (tmp_path / "work/.envrc").write_text("edited by hand")
    assert "is a symlink" in refuses_to_put(target, ".envrc")
    assert list(theirs.iterdir()) == []
    assert (tmp_path / "work/.envrc").read_text() == "edited by hand"


def test_a_directory_in_the_way_is_refused(target: Target, tmp_path: Path) -> None:
    (tmp_path / "work/.envrc").mkdir()
    (tmp_path / "work/.envrc/theirs").write_text("theirs")
    said = refuses_to_put(target, ".envrc")
    assert said == "Cannot write .envrc: a directory is in the way\n"
    assert tree(tmp_path / "work") == {".envrc/theirs": "theirs"}


def test_a_file_in_the_place_of_a_parent_is_refused(target: Target, tmp_path: Path) -> None:
    (tmp_path / "work/conf").write_text("theirs")
    assert "Cannot write conf/.env" in refuses_to_put(target, "conf/.env")
    assert tree(tmp_path / "work") == {"conf": "theirs"}


def test_a_workspace_that_is_gone_is_refused(target: Target, tmp_path: Path) -> None:
    (tmp_path / "work").rmdir()
    assert "there is no " in refuses_to_put(target, ".envrc")
    assert not (tmp_path / "work").exists()


# An operation that could not write a file has failed, whatever else its script does.


def written(**names: str) -> dict[str, str]:
    """The variables of the session's script, which writes nothing but what is given."""
    things = ("context", "ignore", "workspace", "session", "flagged", "prompt", "settings")
    return {
        **{f"{thing}_text": "" for thing in things},
        **{f"{thing}_known": "" for thing in things},
        "context": ".session-context.md",
        "prompt": ".session-prompt.md",
        "flagged": hooks.FLAG_SETTINGS,
        "settings": hooks.SETTINGS,
        "settings_seen": "",
        "sections": session.SECTIONS,
        "kept": "/nowhere",
        **names,
    }


def test_a_refused_session_file_leaves_the_record_unfinished(
    target: Target, tmp_path: Path
) -> None:
    (tmp_path / "work/.mooring/session").mkdir(parents=True)
    claimed = record_file.text(a_record(state=State.PARTIAL))
    path = tmp_path / "record.json"
    path.write_text(claimed)
    said = target.refuses(
        session._WRITE,
        finish_script(),
        common=str(tmp_path / "none"),
        record=str(path),
        text=record_file.text(a_record()),
        seen=text_sum(claimed),
        wanted_state="ready",
        **written(session_text="00000000-0000-4000-8000-000000000001\n"),
    )
    assert "a directory is in the way" in said
    assert path.read_text() == claimed


def test_a_refused_envrc_fails_its_operation(target: Target, tmp_path: Path) -> None:
    (tmp_path / "work/.mooring/envrc").mkdir(parents=True)
    said = target.refuses(
        envrc._WRITE,
        common=str(tmp_path / "none"),
        name=".mooring/envrc",
        text="export A=1\n",
        known="",
        allow="",
    )
    assert "a directory is in the way" in said
