"""Where Claude keeps conversations, what transcripts say, and how one moves to another project."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mooring.claude import transcripts
from mooring.claude.transcripts import Transcript, find, move, of_repo, read, slug
from mooring.errors import MooringError

ID = "5e5510e1-1111-4111-8111-111111111111"
OTHER = "5e5510e1-2222-4222-8222-222222222222"
SHOP = "/src/shop"
MODES = [{"type": "mode", "mode": "default"}, {"type": "permission-mode"}]

not_for_root = pytest.mark.skipif(os.geteuid() == 0, reason="nothing is denied to root")


def entry(kind: str, content: object, cwd: str = SHOP, branch: str = "main", **more: object) -> Any:
    """One line of a transcript, with the keys in the order Claude writes them."""
    message = {"role": kind, "content": content}
    where = {"cwd": cwd, "sessionId": ID, "version": "2.1.329", "gitBranch": branch}
    return {"parentUuid": None, **more, "type": kind, "message": message, **where}


def asks(content: object, **more: Any) -> Any:
    return entry("user", content, **more)


def answers(text: str, **more: Any) -> Any:
    return entry("assistant", [{"type": "text", "text": text}], **more)


def attached(size: int, **more: Any) -> Any:
    return entry("attachment", "", attachment={"content": "x" * size}, **more)


def lines(*entries: object) -> bytes:
    """The entries as Claude writes them: compact, non-ASCII text as it is."""
    texts = (json.dumps(each, separators=(",", ":"), ensure_ascii=False) for each in entries)
    return b"".join(text.encode() + b"\n" for text in texts)


def write(path: Path, *entries: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(lines(*entries))
    return path


def said(path: Path, content: bytes) -> Transcript:
    path.write_bytes(content)
    found = read(path)
    assert found
    assert found.size == len(content)
    return found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / f"{ID}.jsonl"


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """An empty store."""
    (tmp_path / "store/projects").mkdir(parents=True)
    return tmp_path / "store"


def test_the_store_is_the_persons_unless_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/robin")
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    assert transcripts.store() == Path("/home/robin/.claude")
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", "")
    assert transcripts.store() == Path("/home/robin/.claude")
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", "/srv/store")
    assert transcripts.store() == Path("/srv/store")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", "-"),
        ("/w/plain_under.score", "-w-plain-under-score"),
        ("/w/my shop (1)", "-w-my-shop--1-"),
        ("/w/Grüße/日本", "-w-Gr--e---"),
        ("/w/Gru\u0308n", "-w-Gru-n"),
        ("/w/🚀⚓ x", "-w-----x"),
        ("/" + "a" * 199, "-" + "a" * 199),
    ],
)
def test_a_slug(path: str, name: str) -> None:
    assert slug(path) == name


LONG = {
    "ascii": ("/tmp/shop/" + "/".join(["a" * 60, "a" * 60, "z" * 58 + "y" * 13]), "y-nilrb"),
    "unicode": ("/tmp/shop/" + "/".join(["日本語" * 12] * 6), "--rdpx8d"),
    "emoji": ("/tmp/shop/" + "/".join(["🚀⚓" * 20] * 5), "--2yfp0y"),
}


@pytest.mark.parametrize("kind", LONG)
def test_a_long_slug_ends_with_the_hash_that_claude_made(kind: str) -> None:
    path, end = LONG[kind]
    assert slug(path).endswith(end)
    assert len(slug(path)) == 200 + len(end.rpartition("-")[2]) + 1


@given(st.text())
def test_every_text_has_a_slug(path: str) -> None:
    name = slug(path)
    assert len(name) <= 208
    assert set(name) <= set("-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def test_a_transcript_says_where_it_began_and_what_was_asked(file: Path) -> None:
    found = said(
        file,
        lines(
            *MODES,
            asks("Fix\n\n the\tlogin ", branch="main"),
            answers("Done"),
            asks("And the logout", cwd="/elsewhere", branch="fix-login"),
        ),
    )
    os.utime(file, (1, 1_700_000_000.5))
    assert read(file) == Transcript(
        session_id=ID,
        path=str(file),
        size=found.size,
        modified=1_700_000_000.5,
        cwd=SHOP,
        branch="fix-login",
        first_prompt="Fix the login",
        turns=2,
        turns_exact=True,
    )


NOT_ASKED = {
    "meta": asks("Continue from where you left off.", isMeta=True),
    "sidechain": asks("Look for it", isSidechain=True),
    "summary": asks("This session is being continued", isCompactSummary=True),
    "caveat": asks("<local-command-caveat>The command below</local-command-caveat>"),
    "command": asks("<command-name>/usage</command-name>\n<command-args></command-args>"),
    "command, 2.1.329": asks("<command-message>fix</command-message>\n<command-name>/fix"),
    "output": asks("<local-command-stdout>Compacted</local-command-stdout>"),
    "interrupted": asks([{"type": "text", "text": "[Request interrupted by user for tool use]"}]),
    "tool result": asks([{"type": "tool_result", "content": [{"type": "text", "text": "x"}]}]),
    "nothing": asks([]),
    "queued": {"type": "queue-operation", "content": "Fix the login"},
    "quoted": answers('{"type":"user","message":{"content":"Fix the login"}}'),
    "sent": {"type": "api-request-blob", "message": {"role": "user", "content": "Fix"}},
    "no content": entry("user", None),
    "other content": entry("user", {"text": "Fix"}),
}


@pytest.mark.parametrize("what", NOT_ASKED)
def test_what_the_user_did_not_ask(file: Path, what: str) -> None:
    found = said(file, lines(NOT_ASKED[what]))
    assert (found.first_prompt, found.turns, found.turns_exact) == ("", 0, True)
    found = said(file, lines(NOT_ASKED[what], asks("Fix it"), NOT_ASKED[what], asks("Go on")))
    assert (found.first_prompt, found.turns) == ("Fix it", 2)


@pytest.mark.parametrize(
    ("content", "prompt"),
    [
        ("x" * 300, "x" * 200),
        ("a " * 300, ("a " * 100)),
        ("\u001b[31mred\u0000", "\ufffd[31mred\ufffd"),
        ([{"type": "text", "text": "one"}, {"type": "text", "text": "two"}], "one"),
        ([{"type": "text", "text": "<ide_opened_file>x"}, {"type": "text", "text": "Fix"}], "Fix"),
        ([{"type": "image", "source": {"data": "x"}}, {"type": "text", "text": "See"}], "See"),
        ([{"type": "image", "source": {"data": "x"}}], ""),
        ("Grüße 🚀", "Grüße 🚀"),
        ("< 3 things", "< 3 things"),
    ],
)
def test_a_prompt_is_one_line(file: Path, content: object, prompt: str) -> None:
    found = said(file, lines(asks(content)))
    assert (found.first_prompt, found.turns) == (prompt, 1)


@pytest.mark.parametrize(
    ("escaped", "prompt"),
    [
        (rb"cut \ud83d", "cut \ufffd"),
        (rb"cut \uDE80 here", "cut \ufffd here"),
        (rb"whole \ud83d\ude80", "whole 🚀"),
        (rb"a backslash: \\ud83d", None),
    ],
)
def test_half_of_a_surrogate_pair_spoils_no_line(
    file: Path, escaped: bytes, prompt: str | None
) -> None:
    found = said(file, lines(asks("PROMPT")).replace(b"PROMPT", escaped))
    assert (found.cwd, found.turns) == (SHOP, 1)
    assert found.first_prompt == prompt or prompt is None


def test_lines_that_another_program_wrote(file: Path) -> None:
    found = said(file, json.dumps(asks("Fix it")).encode())
    assert (found.cwd, found.branch, found.first_prompt) == (SHOP, "main", "Fix it")
    assert found.turns_exact


def test_a_detached_head_is_no_branch(file: Path) -> None:
    assert said(file, lines(asks("Fix it", branch="HEAD"))).branch == ""


def test_a_branch_that_is_only_quoted(file: Path) -> None:
    quoted = answers('{"gitBranch":"theirs"}', branch="ours")
    assert said(file, lines(quoted)).branch == "ours"


def test_a_large_transcript_is_read_at_both_ends(file: Path) -> None:
    middle = [answers("x" * 1_000, branch="middle")] * 400
    last = [asks("Last", branch="last"), attached(200_000, branch="snapshot")]
    found = said(file, lines(*MODES, asks("First"), *middle, asks("Middle"), *middle, *last))
    assert (found.cwd, found.first_prompt, found.branch) == (SHOP, "First", "snapshot")
    assert (found.turns, found.turns_exact) == (1, False)
    found = said(file, lines(asks("First"), *middle, asks("Last"), answers("x", branch="end")))
    assert (found.branch, found.turns, found.turns_exact) == ("end", 2, False)


def test_a_small_transcript_is_counted_whole(file: Path) -> None:
    turn = [asks("Again"), attached(40_000)]
    found = said(file, lines(*turn * 5))
    assert (found.turns, found.turns_exact) == (5, True)
    found = said(file, lines(*turn * 50))
    assert not found.turns_exact
    assert found.turns < 50


@pytest.mark.parametrize("size", [40_000, 200_000, 500_000])
def test_a_prompt_behind_what_a_hook_said(file: Path, size: int) -> None:
    found = said(file, lines(*MODES, attached(size), asks("Fix it"), *[answers("x" * 900)] * 999))
    assert (found.cwd, found.first_prompt, found.turns) == (SHOP, "Fix it", 1)


def test_a_prompt_with_a_screenshot(file: Path) -> None:
    image = {"type": "image", "source": {"data": "x" * 3_000_000}}
    blocks = [{"type": "text", "text": "See"}, image]
    found = said(file, lines(*MODES, asks(blocks), *[answers("x" * 900)] * 9_000))
    assert (found.cwd, found.first_prompt) == (SHOP, "See")


@pytest.mark.parametrize("offset", range(-2, 3))
@pytest.mark.parametrize("windows", [1, 2, 3])
def test_no_line_is_lost_or_counted_twice_at_a_windows_edge(
    monkeypatch: pytest.MonkeyPatch, file: Path, windows: int, offset: int
) -> None:
    first = lines(asks("First"))
    monkeypatch.setattr(transcripts, "SMALL", 0)
    size = windows * transcripts.WINDOW + offset - len(first) - len(lines(attached(0)))
    content = first + lines(attached(size)) + lines(*[asks("Again")] * 10)
    found = said(file, content)
    assert found.turns == 11
    assert found.turns_exact == (len(content) <= 2 * transcripts.WINDOW)


@given(cut=st.integers(0, 4_000))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_truncated_last_line(file: Path, cut: int) -> None:
    content = lines(asks("Fix it"), answers("x" * 4_000))
    found = said(file, content[: len(content) - cut])
    assert (found.cwd, found.first_prompt, found.turns, found.turns_exact) == (
        SHOP,
        "Fix it",
        1,
        True,
    )


USER = b'{"type":"user","cwd":"/src/shop","message":'
JUNK = {
    "NULs": b"\0" * 100_000,
    "newlines": b"\n" * 100_000,
    "not UTF-8": USER + b'{"content":"\xff\xfe"}}\n',
    "a list": b'["type","cwd",{"type":"user","cwd":"/x"}]\n',
    "wrong types": b'{"type":"user","cwd":7,"gitBranch":{}}\n{"type":["user"]}\n',
    "wrong message": USER + b"7}\n" + USER + b'{"content":[7,{"type":null}]}}\n',
    "deep": USER + b'{"content":' + b"[" * 100_000 + b"]" * 100_000 + b"}}\n",
    "deep and open": b'{"type":"user","cwd":"/x","message":' + b'{"a":' * 50_000,
    "huge numbers": b'{"type":"user","n":1' + b"0" * 5_000 + b"}\n",
    "bad branch": b'{"gitBranch":"\\ud83d"}\n{"gitBranch":"\xff"}\n',
}


@pytest.mark.parametrize("what", JUNK)
def test_junk_hides_nothing_behind_it(file: Path, what: str) -> None:
    assert said(file, JUNK[what]).turns == 0
    found = said(file, JUNK[what] + b"\n" + lines(asks("Fix it", branch="fix")))
    assert (found.cwd, found.branch, found.first_prompt) == (SHOP, "fix", "Fix it")


@given(st.binary(min_size=1))
@example(b'{"type":"user"}')
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_nothing_in_a_file_raises(file: Path, content: bytes) -> None:
    assert said(file, content).session_id == ID


def test_what_is_no_transcript(tmp_path: Path, file: Path) -> None:
    assert read(file) is None
    assert read(file / "below") is None
    file.touch()
    assert read(file) is None
    (tmp_path / "directory").mkdir()
    assert read(tmp_path / "directory") is None
    os.mkfifo(tmp_path / "pipe")
    assert read(tmp_path / "pipe") is None
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    assert read(tmp_path / "link") is None


def test_a_file_that_cannot_be_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(file, asks("Fix it"))

    def denied(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "open", denied)
    found = read(str(file))
    assert found == Transcript(
        session_id=ID, path=str(file), size=file.stat().st_size, modified=file.stat().st_mtime
    )


def plant(kept: Path, cwd: str, number: int, project: str = "", *, mtime: int = 0) -> str:
    """A transcript of a session that began at `cwd`; returns its id."""
    session = f"{number:08x}-0000-4000-8000-000000000000"
    path = write(
        kept / "projects" / (project or slug(cwd)) / f"{session}.jsonl",
        asks("Fix it", cwd=cwd) if cwd else {"type": "mode"},
    )
    os.utime(path, (mtime, mtime))
    return session


def ids(found: list[Transcript]) -> list[str]:
    return [transcript.session_id for transcript in found]


def test_the_sessions_of_a_repo_newest_first(kept: Path) -> None:
    main = plant(kept, SHOP, 1, mtime=10)
    below = plant(kept, f"{SHOP}/app", 2, mtime=30)
    tree = plant(kept, f"{SHOP}.worktrees/fix", 3, mtime=20)
    known = plant(kept, "/else/where", 4, mtime=40)
    plant(kept, f"{SHOP}-api", 5)
    plant(kept, f"{SHOP}.worktreesque", 6)
    plant(kept, "/src", 7)
    assert ids(of_repo(kept, [SHOP])) == [below, main]
    assert ids(of_repo(kept, [f"{SHOP}/", f"{SHOP}.worktrees", SHOP])) == [below, tree, main]
    assert ids(of_repo(kept, [SHOP], known=[known, OTHER])) == [known, below, main]
    assert len(of_repo(kept, ["/"])) == 7
    assert of_repo(kept, []) == []


def test_the_cwd_decides_and_without_one_the_directory(kept: Path) -> None:
    plant(kept, "/src-shop/app", 1)  # the slug of /src/shop/app
    silent = plant(kept, "", 2, slug(SHOP))
    plant(kept, "", 3, slug(f"{SHOP}/app"))
    assert ids(of_repo(kept, [SHOP])) == [silent]


@pytest.mark.parametrize("length", [190, 198, 199, 200, 201, 260])
def test_long_places(kept: Path, length: int) -> None:
    place = "/" + "s" * (length - 1)
    expected = [plant(kept, place, 1), plant(kept, f"{place}/a", 2)]
    expected.append(plant(kept, f"{place}/{'b' * 50}", 3))
    plant(kept, f"{place}-other", 4)
    assert sorted(ids(of_repo(kept, [place]))) == expected


def test_only_transcripts_of_sessions(kept: Path) -> None:
    session = plant(kept, SHOP, 1)
    project = kept / "projects" / slug(SHOP)
    for name in (f"agent-{ID}", "agent-a1b2c3", "notes", f"{ID}.jsonl", ID.upper()):
        write(project / f"{name}.jsonl", asks("Fix it"))
    (project / f"{ID}.jsonl").mkdir()
    (project / f"{OTHER}.jsonl").touch()
    (project / "memory").mkdir()
    (kept / "projects" / f"{slug(SHOP)}-file").touch()
    assert ids(of_repo(kept, [SHOP])) == [session]


def test_a_file_with_two_names_is_listed_once(kept: Path) -> None:
    session = plant(kept, SHOP, 1)
    project = kept / "projects" / slug(SHOP)
    (kept / "projects" / slug(f"{SHOP}/a")).symlink_to(project)
    other = kept / "projects" / slug(f"{SHOP}/B")
    other.mkdir()
    (other / f"{session}.jsonl").symlink_to(project / f"{session}.jsonl")
    (other / f"{OTHER}.jsonl").symlink_to(project / "gone")
    (found,) = of_repo(kept, [SHOP])
    assert found.path == str(project / f"{session}.jsonl")
    assert find(kept, session) == [project / f"{session}.jsonl"]


def test_an_empty_store(tmp_path: Path) -> None:
    assert of_repo(tmp_path, [SHOP], [ID]) == []
    assert find(tmp_path, ID, ["x"]) == []
    (tmp_path / "projects").touch()
    assert of_repo(tmp_path, [SHOP], [ID]) == []
    assert find(tmp_path, ID, ["x"]) == []


def test_find(kept: Path) -> None:
    here = write(kept / "projects/a" / f"{ID}.jsonl", asks("Fix it"))
    there = write(kept / "projects/b" / f"{ID}.jsonl", asks("Fix it"))
    write(kept / "projects/b" / f"{OTHER}.jsonl")
    assert find(kept, ID) == [here, there]
    assert find(kept, ID, ["b"]) == [there]
    assert find(kept, ID, ["gone", "b", "a", "b"]) == [there, here]
    assert find(kept, ID, ["gone"]) == [here, there]
    assert find(kept, OTHER) == [kept / "projects/b" / f"{OTHER}.jsonl"]
    assert find(kept, f"../b/{ID}") == []
    assert find(kept, "") == []


@not_for_root
def test_what_cannot_be_looked_into_is_not_nothing(kept: Path) -> None:
    here = write(kept / "projects/a" / f"{ID}.jsonl", asks("Fix it"))
    locked = kept / "projects" / slug(SHOP)
    locked.mkdir(mode=0)
    assert find(kept, ID) == [here]
    with pytest.raises(MooringError, match=r"Cannot look for conversations in .*: Permission"):
        find(kept, OTHER)
    with pytest.raises(MooringError, match=r"Cannot look for conversations in .*: Permission"):
        of_repo(kept, [SHOP])
    assert ids(of_repo(kept, ["/a"], [ID])) == [ID]


def test_a_projects_directory_that_cannot_be_listed(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", denied)
    for look in (lambda: find(kept, ID), lambda: of_repo(kept, [SHOP])):
        with pytest.raises(MooringError, match="Permission denied") as caught:
            look()
        assert caught.value.hints == (f"ls -ld {kept}/projects",)


@dataclass
class Move:
    """A conversation with a side directory, about to move into the project of a worktree."""

    old: Path
    worktree: str

    def __post_init__(self) -> None:
        self.new = self.old.parents[1] / slug(self.worktree) / f"{ID}.jsonl"
        self.old_side, self.new_side = self.old.with_suffix(""), self.new.with_suffix("")
        self.content = self.old.read_bytes()

    def run(self) -> Path:
        return move(self.old, self.worktree)

    def assert_done(self) -> None:
        assert self.new.read_bytes() == self.content
        assert not self.new.is_symlink()
        assert not os.path.lexists(self.old)
        assert not self.new_side.is_symlink()
        assert sorted(self.new_side.rglob("*.txt")) == [self.new_side / "tool-results/x.txt"]
        assert not os.path.isabs(self.old_side.readlink())
        assert (self.old_side / "tool-results/x.txt").read_bytes() == lines("result")


@pytest.fixture
def moving(kept: Path, tmp_path: Path) -> Move:
    old = write(kept / "projects/-old" / f"{ID}.jsonl", asks("Fix it", cwd="/old"))
    write(old.with_suffix("") / "tool-results/x.txt", "result")
    return Move(old, str(tmp_path.resolve() / "new tree"))


def test_move(moving: Move, kept: Path) -> None:
    os.utime(moving.old, (5, 5))
    moving.old.chmod(0o600)
    moving.old.parent.chmod(0o700)
    assert moving.run() == moving.new
    moving.assert_done()
    assert moving.new.stat().st_mtime == 5
    assert moving.new.stat().st_mode & 0o777 == 0o600
    assert moving.new.parent.stat().st_mode & 0o777 == 0o700
    assert find(kept, ID) == [moving.new]
    assert moving.run() == moving.new
    assert move(moving.new, moving.worktree) == moving.new
    moving.assert_done()


def test_move_to_where_a_worktree_really_is(moving: Move, tmp_path: Path) -> None:
    Path(moving.worktree).mkdir()
    (tmp_path / "link").symlink_to(moving.worktree)
    assert move(moving.old, str(tmp_path / "link")) == moving.new


def test_move_without_a_side_directory(moving: Move) -> None:
    shutil.rmtree(moving.old_side)
    moving.run()
    assert sorted(moving.new.parent.iterdir()) == [moving.new]
    assert list(moving.old.parent.iterdir()) == []


STEPS: tuple[Callable[[Move], object], ...] = (
    lambda m: m.new.parent.mkdir(),
    lambda m: m.old_side.rename(m.new_side),
    lambda m: m.old_side.symlink_to(f"../{m.new.parent.name}/{ID}"),
    lambda m: m.old.rename(m.new),
)


@pytest.mark.parametrize("done", range(len(STEPS) + 1))
def test_a_move_that_was_killed_is_finished(moving: Move, done: int) -> None:
    for step in STEPS[:done]:
        step(moving)
    assert moving.run() == moving.new
    moving.assert_done()


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours catches it."""


def kill(patch: pytest.MonkeyPatch, calls: int) -> None:
    """Make the nth change to a disk from now on the death of the process."""
    left = calls

    def mortal(change: Callable[..., Any]) -> Callable[..., Any]:
        def changed(*args: Any, **more: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                raise Killed
            return change(*args, **more)

        return changed

    for name in ("mkdir", "rename", "symlink_to", "unlink"):
        patch.setattr(Path, name, mortal(getattr(Path, name)))


@pytest.mark.parametrize("calls", range(1, 6))
@pytest.mark.parametrize("back", [False, True])
def test_a_move_killed_before_each_change(
    moving: Move, calls: int, back: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also on the way back to where the conversation was, and where a link was left."""
    if back:
        moving = Move(move(moving.run(), str(tmp_path / "there")), moving.worktree)
    with monkeypatch.context() as patch, suppress(Killed):
        kill(patch, calls)
        moving.run()
    assert moving.old.exists() != moving.new.exists()
    assert moving.run() == moving.new
    moving.assert_done()


def test_a_conversation_that_moves_on_keeps_its_old_paths(moving: Move, tmp_path: Path) -> None:
    there = moving.run()
    further = move(there, str(tmp_path / "further"))
    for side in (moving.old_side, moving.new_side, further.with_suffix("")):
        assert (side / "tool-results/x.txt").read_bytes() == lines("result")
    back = move(further, moving.worktree)
    moving.assert_done()
    assert back == moving.new
    assert (further.with_suffix("") / "tool-results/x.txt").exists()


def test_a_side_directory_that_is_elsewhere_is_linked(moving: Move, kept: Path) -> None:
    elsewhere = kept / "projects/-elsewhere" / ID
    elsewhere.parent.mkdir()
    moving.old_side.rename(elsewhere)
    moving.old_side.symlink_to(elsewhere)
    moving.run()
    for side in (moving.old_side, moving.new_side, elsewhere):
        assert (side / "tool-results/x.txt").exists()
    assert not elsewhere.is_symlink()


def test_another_transcript_there_is_not_replaced(moving: Move) -> None:
    write(moving.new, asks("Something else"))
    content = moving.new.read_bytes()
    with pytest.raises(MooringError, match="is another transcript of it"):
        moving.run()
    assert moving.new.read_bytes() == content
    assert moving.old.read_bytes() == moving.content
    assert not moving.old_side.is_symlink()


def test_a_side_directory_there_is_not_replaced(moving: Move) -> None:
    write(moving.new_side / "tool-results/y.txt", "theirs")
    with pytest.raises(MooringError, match=r"Cannot move the conversation .*: Directory not empty"):
        moving.run()
    assert moving.old.read_bytes() == moving.content
    assert (moving.old_side / "tool-results/x.txt").exists()
    assert (moving.new_side / "tool-results/y.txt").exists()


@pytest.mark.parametrize("hard", [False, True])
def test_a_link_there_gives_way_to_the_file(moving: Move, hard: bool) -> None:
    moving.new.parent.mkdir()
    if hard:
        moving.new.hardlink_to(moving.old)
    else:
        moving.new.symlink_to(moving.old)
    moving.run()
    moving.assert_done()


def test_a_project_that_is_a_link_to_the_old_one(moving: Move) -> None:
    moving.new.parent.symlink_to(moving.old.parent)
    assert moving.run() == moving.old
    assert moving.new.read_bytes() == moving.content
    assert not moving.old_side.is_symlink()


def test_nothing_to_move(moving: Move) -> None:
    moving.old.unlink()
    with pytest.raises(MooringError, match="is gone"):
        moving.run()
    assert not moving.old_side.is_symlink()


def test_a_move_that_the_system_refuses(moving: Move, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(MooringError) as caught:
        moving.run()
    assert caught.value.message.startswith(f"Cannot move the conversation {ID} to ")
    assert caught.value.message.endswith(": No space left on device")
    assert moving.old.read_bytes() == moving.content
