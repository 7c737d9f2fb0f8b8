"""Claude's hooks: set without touching what is somebody else's, and what their command does."""

from __future__ import annotations

import functools
import json
import os
import shutil
import stat
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mooring.claude import events, hooks
from mooring.model import Key
from tests.unit.builders import SESSION, a_record

# Settings, merged and stripped by meaning

THEIRS = {"type": "command", "command": "echo hello"}
OURS = {"type": "command", "command": hooks.COMMAND, "timeout": 5}
OLD = {"type": "command", "command": f"{hooks.TAG} an older one"}


def group(*commands: Any, **more: Any) -> dict[str, Any]:
    return {"hooks": list(commands), **more}


KEPT: dict[str, dict[str, Any]] = {
    "nothing": {},
    "no hooks": {"model": "opus", "permissions": {"allow": ["Bash(ls:*)"]}},
    "another event": {"hooks": {"Stop": [group(THEIRS)]}},
    "the same event": {"hooks": {"SessionStart": [group(THEIRS, matcher="startup")]}},
    "both events": {"hooks": {name: [group(THEIRS)] * 2 for name in hooks.EVENTS}},
    "a group without hooks": {"hooks": {"SessionStart": [{"matcher": "x"}]}},
    "an empty group": {"hooks": {"SessionStart": [group()]}},
    "odd groups": {"hooks": {"SessionStart": ["text", None, 1, {"hooks": "x"}, {"hooks": [1]}]}},
    "a command that mentions ours": {"hooks": {"Stop": [group({"command": f"x {hooks.COMMAND}"})]}},
    "a command that is no text": {
        "hooks": {"Stop": [group({"command": ["x"]}, {"command": None})]}
    },
    "unicode": {"größe": "\u2028 😀"},
}


@pytest.mark.parametrize("settings", KEPT.values(), ids=KEPT.keys())
def test_what_is_somebody_elses_stays(settings: dict[str, Any]) -> None:
    before = json.dumps(settings)
    merged = hooks.merged(settings)
    assert merged
    for name in hooks.EVENTS:
        assert merged["hooks"][name][-1] == group(OURS)
    assert hooks.merged(merged) == merged
    assert hooks.stripped(merged) == hooks.stripped(settings) == settings
    assert json.dumps(settings) == before, "the argument isn't changed"


def test_what_is_empty_leaves_nothing_behind() -> None:
    assert hooks.stripped({"hooks": {}}) == {}
    assert hooks.stripped({"hooks": {"SessionStart": []}}) == {}
    assert hooks.stripped(hooks.merged({})) == {}


def test_an_older_command_of_ours_is_replaced() -> None:
    old = {"hooks": {"SessionStart": [group(OLD)], "Stop": [group(THEIRS, OLD, matcher="x")]}}
    assert hooks.stripped(old) == {"hooks": {"Stop": [group(THEIRS, matcher="x")]}}
    merged = hooks.merged(old)
    assert merged
    assert merged["hooks"]["SessionStart"] == [group(OURS)]


ODD = [
    None,
    [],
    "text",
    1,
    True,
    {"hooks": []},
    {"hooks": None},
    {"hooks": "x"},
    {"hooks": {"Stop": {}}},
    {"hooks": {"Stop": None}},
    {"hooks": {"SessionStart": "x"}},
]


@pytest.mark.parametrize("settings", ODD)
def test_an_odd_shape_is_not_touched(settings: Any) -> None:
    assert hooks.merged(settings) is None
    assert hooks.stripped(settings) is None


words = st.sampled_from(
    ["hooks", "SessionStart", "SessionEnd", "Stop", "command", "matcher", "type"]
)
leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
leaves |= st.sampled_from([hooks.COMMAND, hooks.TAG, f"{hooks.TAG}x", f"x{hooks.TAG}"])
anything = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(words | st.text(), inner, max_size=3)
    ),
    max_leaves=12,
)
commands = st.fixed_dictionaries({"command": leaves}) | anything
groups = st.fixed_dictionaries({"hooks": st.lists(commands, max_size=3)}) | anything
likely = st.fixed_dictionaries(
    {"hooks": st.dictionaries(words, st.lists(groups, max_size=3), max_size=3)},
    optional={"model": leaves, "permissions": anything},
)


@given(likely | anything)
@example({"hooks": {"SessionStart": [{"hooks": [{"command": hooks.TAG}]}, {"hooks": []}]}})
def test_merging_and_stripping_are_each_others_reverse(settings: Any) -> None:
    merged = hooks.merged(settings)
    assert (merged is None) == (hooks.stripped(settings) is None)
    if merged is not None:
        assert hooks.stripped(merged) == hooks.stripped(settings)
        assert hooks.merged(merged) == merged
        assert hooks.parse(hooks.dump(merged).encode()) == merged


@given(st.binary(max_size=60))
@example(b"")
@example(b" \n")
@example(b"\xff\xfe")
@example(b"[" * 100_000)
@example(b"1" * 5000)
def test_any_file_can_be_parsed(text: bytes) -> None:
    hooks.stripped(hooks.parse(text))


def test_an_empty_file_is_empty_settings() -> None:
    assert hooks.parse(b"") == hooks.parse(b" \n") == {}
    assert hooks.parse(b"{") is None


# The command, run as Claude Code runs it

SHELLS = (("sh",), ("bash",), ("dash",), ("busybox", "sh"))
RECORD = a_record()
LINE = events.workspace_line(RECORD.target, RECORD.key)


@functools.cache
def shells() -> dict[str, tuple[str, ...]]:
    """The shells of this machine that a hook may be run by."""
    return {argv[0]: argv for argv in SHELLS if shutil.which(argv[0])}


@pytest.fixture(params=list(shells()))
def shell(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return shells()[request.param]


def mark(work: Path, line: str = LINE) -> Path:
    """A directory that is a workspace."""
    (work / ".mooring").mkdir(parents=True)
    (work / ".mooring/workspace").write_text(f"{line}\n")
    return work


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return mark(tmp_path / "work")


def said(name: str = "SessionStart", session: str = SESSION, **more: Any) -> str:
    """What Claude Code hands to a hook: JSON on one line (here without an end, as it may be)."""
    return json.dumps(
        {
            "session_id": session,
            "transcript_path": "/home/robin/.claude/projects/-w/x.jsonl",
            "cwd": "/w",
            "hook_event_name": name,
            "source": "startup",
            **more,
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )


def start(shell: tuple[str, ...], where: Path, home: Path, **env: str) -> subprocess.Popen[bytes]:
    base = {"PATH": os.environ["PATH"], "HOME": str(home), "CLAUDE_PROJECT_DIR": str(where)}
    return subprocess.Popen(
        [*shell, "-c", hooks.COMMAND],
        cwd=where,
        env={name: value for name, value in (base | env).items() if value},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def fire(shell: tuple[str, ...], where: Path, home: Path, text: str = "", **env: str) -> None:
    """Run the hook; whatever happens it is silent and succeeds, or Claude would show it."""
    process = start(shell, where, home, **env)
    out, err = process.communicate((text or said()).encode(), timeout=20)
    assert (process.returncode, out, err) == (0, b"", b"")


def recorded(store: Path) -> list[str]:
    """The lines of the events' file, each of which is JSON."""
    file = store / events.FILE
    if not file.exists():
        return []
    text = file.read_text(encoding="utf-8")
    assert text.endswith("\n")
    lines = text.removesuffix("\n").split("\n")
    assert all(json.loads(line) for line in lines)
    return lines


def session_of(work: Path) -> str | None:
    file = work / ".mooring/session"
    return file.read_text() if file.exists() else None


@pytest.mark.parametrize("end", ["", "\n"])
def test_an_event_is_appended_and_the_session_put_there(
    shell: tuple[str, ...], work: Path, tmp_path: Path, end: str
) -> None:
    fire(shell, work, tmp_path, said() + end)
    (line,) = recorded(tmp_path / ".claude")
    (event,) = events.parse([line])
    assert (event.target, event.key) == (RECORD.target, RECORD.key)
    assert (event.session, event.starts, event.source) == (SESSION, True, "startup")
    assert json.loads(line)["hook"] == json.loads(said())
    assert session_of(work) == f"{SESSION}\n"
    assert {path.name for path in (work / ".mooring").iterdir()} == {"workspace", "session"}
    assert stat.S_IMODE((tmp_path / ".claude" / events.FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE((work / ".mooring/session").stat().st_mode) == 0o600
    again = SESSION.replace("1", "2")
    fire(shell, work, tmp_path, said(session=again, source="clear"))
    assert len(recorded(tmp_path / ".claude")) == 2
    assert session_of(work) == f"{again}\n"


def test_an_end_is_appended_and_the_session_stays(
    shell: tuple[str, ...], work: Path, tmp_path: Path
) -> None:
    fire(shell, work, tmp_path)
    fire(shell, work, tmp_path, said("SessionEnd", str(uuid.uuid4()), reason="clear"))
    first, last = events.parse(recorded(tmp_path / ".claude"))
    assert (first.starts, last.starts) == (True, False)
    assert session_of(work) == f"{SESSION}\n", "the start of the next one follows"


@pytest.mark.parametrize("reason", ["other", "prompt_input_exit", "logout"])
def test_an_end_puts_the_session_there_too(
    shell: tuple[str, ...], work: Path, tmp_path: Path, reason: str
) -> None:
    """A helper beside it may have begun, and put its own there, since."""
    other = str(uuid.uuid4())
    fire(shell, work, tmp_path)
    fire(shell, work, tmp_path, said(session=other))
    assert session_of(work) == f"{other}\n"
    fire(shell, work, tmp_path, said("SessionEnd", reason=reason))
    assert session_of(work) == f"{SESSION}\n"
    last = list(events.parse(recorded(tmp_path / ".claude")))[-1]
    assert (last.session, last.starts, last.source) == (SESSION, False, "startup")


NO_IDS = [
    "latest",
    "",
    "../../x",
    SESSION.upper().replace("0", "A"),
    f"{SESSION}x",
    SESSION[:-1],
    f"{SESSION}\\n$(touch planted)",
    "$(touch planted)",
    "`touch planted`",
    "*",
    "?" * 8 + "-????-????-????-" + "?" * 12,
]


@pytest.mark.parametrize("session", NO_IDS)
def test_only_a_uuid_is_put_there(
    shell: tuple[str, ...], work: Path, tmp_path: Path, session: str
) -> None:
    fire(shell, work, tmp_path, said(session=session))
    assert session_of(work) is None
    assert not list(tmp_path.rglob("planted"))


def test_an_id_that_a_value_quotes_is_not_taken(
    shell: tuple[str, ...], work: Path, tmp_path: Path
) -> None:
    other = SESSION.replace("1", "9")
    quoted = f'"session_id":"{other}"'
    text = json.dumps({"cwd": quoted, "hook_event_name": "SessionStart", "session_id": SESSION})
    fire(shell, work, tmp_path, text)
    assert session_of(work) == f"{SESSION}\n"
    text = json.dumps({"cwd": '"SessionStart"', "hook_event_name": "Stop", "session_id": other})
    fire(shell, work, tmp_path, text)
    assert session_of(work) == f"{SESSION}\n"


@pytest.mark.parametrize("project", ["deep", "given", "relative", "unset"])
def test_claude_may_have_been_started_below(
    shell: tuple[str, ...], work: Path, tmp_path: Path, project: str
) -> None:
    deep = work / "a/b c/.mooring"
    deep.mkdir(parents=True)
    given = {"deep": str(deep), "given": f"{work}/", "relative": ".", "unset": ""}[project]
    fire(shell, deep, tmp_path, CLAUDE_PROJECT_DIR=given)
    if project == "relative":  # Claude Code gives an absolute one; nothing is guessed
        assert recorded(tmp_path / ".claude") == []
        return
    assert len(recorded(tmp_path / ".claude")) == 1
    assert session_of(work) == f"{SESSION}\n"


@pytest.mark.parametrize("text", [said(), "", "no JSON"])
def test_outside_of_a_workspace_nothing_happens(
    shell: tuple[str, ...], tmp_path: Path, text: str
) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    fire(shell, plain, tmp_path, text)
    fire(shell, Path("/"), tmp_path, text)
    assert [path.name for path in tmp_path.rglob("*")] == ["plain"]


@pytest.mark.parametrize("text", ["no JSON", "{", '"SessionStart"', "\x01", "%s%n\\n"])
def test_junk_on_stdin_breaks_no_other_line(
    shell: tuple[str, ...], work: Path, tmp_path: Path, text: str
) -> None:
    fire(shell, work, tmp_path)
    fire(shell, work, tmp_path, text)
    fire(shell, work, tmp_path, said(source="resume"))
    lines = (tmp_path / ".claude" / events.FILE).read_text().splitlines()
    assert [event.source for event in events.parse(lines)] == ["startup", "resume"]


PLACES = ["it's", 'a"b', "a b", "größe 😀", "$(touch planted)", "a\\b", "*", "-n", "%s", "a;b"]


@pytest.mark.parametrize("name", PLACES)
def test_any_path_will_do(shell: tuple[str, ...], tmp_path: Path, name: str) -> None:
    home, work = tmp_path / "home" / name, mark(tmp_path / name)
    home.mkdir(parents=True)
    fire(shell, work, home, said(cwd=str(work)))
    (event,) = events.parse(recorded(home / ".claude"))
    assert event.cwd == str(work)
    assert session_of(work) == f"{SESSION}\n"
    assert not list(tmp_path.rglob("planted"))


@pytest.mark.parametrize("repo", ["file/srv/a b", "example.com/it's/a\"b", "file/$(x)/%s\\n", "ü"])
def test_any_repo_will_do(shell: tuple[str, ...], tmp_path: Path, repo: str) -> None:
    work = mark(tmp_path / "work", events.workspace_line(RECORD.target, Key(repo, "dev", "x")))
    fire(shell, work, tmp_path)
    (event,) = events.parse(recorded(tmp_path / ".claude"))
    assert event.key == Key(repo, "dev", "x")


def test_the_store_may_be_elsewhere(shell: tuple[str, ...], work: Path, tmp_path: Path) -> None:
    store = tmp_path / "a store"
    fire(shell, work, tmp_path, CLAUDE_CONFIG_DIR=str(store))
    assert len(recorded(store)) == 1
    assert not (tmp_path / ".claude").exists()


def test_a_large_event_is_one_line(shell: tuple[str, ...], work: Path, tmp_path: Path) -> None:
    text = said(prompt="größe \\n " * 6000)
    assert len(text.encode()) > 60_000
    fire(shell, work, tmp_path, text)
    (line,) = recorded(tmp_path / ".claude")
    assert json.loads(line)["hook"] == json.loads(text)
    assert session_of(work) == f"{SESSION}\n"


def many(shell: tuple[str, ...], work: Path, home: Path, count: int, **more: Any) -> list[str]:
    """So many hooks at once, each of a session of its own; the lines they left."""
    started = [start(shell, work, home) for _ in range(count)]
    ids = [str(uuid.uuid4()) for _ in started]
    for process, id_ in zip(started, ids, strict=True):
        assert process.stdin
        process.stdin.write(said(session=id_, **more).encode())
        process.stdin.close()
    for process in started:
        process.stdin = None
        assert process.communicate(timeout=60) == (b"", b"")
    lines = recorded(home / ".claude")
    assert sorted(json.loads(line)["hook"]["session_id"] for line in lines) == sorted(ids)
    assert session_of(work) in {f"{id_}\n" for id_ in ids}
    return lines


@pytest.mark.parametrize("size", [0, 3000])
def test_two_hundred_at_once_leave_whole_lines(
    shell: tuple[str, ...], work: Path, tmp_path: Path, size: int
) -> None:
    """Long paths make a line of some kilobytes: `cwd` and `transcript_path` may hold 4096 each."""
    assert len(many(shell, work, tmp_path, 200, cwd="/" + "x" * size)) == 200
    assert {path.name for path in (work / ".mooring").iterdir()} == {"workspace", "session"}


# What somebody planted, and a store that takes nothing


def theirs(tmp_path: Path) -> Path:
    """A file that only its owner may change."""
    file = tmp_path / "theirs"
    file.write_text("theirs")
    return file


def test_a_mooring_that_is_a_link_is_not_written_through(
    shell: tuple[str, ...], tmp_path: Path
) -> None:
    elsewhere = mark(tmp_path / "elsewhere")
    work = tmp_path / "work"
    work.mkdir()
    (work / ".mooring").symlink_to(elsewhere / ".mooring")
    fire(shell, work, tmp_path)
    assert {path.name for path in (elsewhere / ".mooring").iterdir()} == {"workspace"}


@pytest.mark.parametrize("to", ["file", "directory", "nothing"])
def test_a_session_that_is_a_link_is_not_written_through(
    shell: tuple[str, ...], work: Path, tmp_path: Path, to: str
) -> None:
    planted = theirs(tmp_path)
    places = {"file": planted, "directory": tmp_path / "directory", "nothing": tmp_path / "nothing"}
    places["directory"].mkdir()
    (work / ".mooring/session").symlink_to(places[to])
    fire(shell, work, tmp_path)
    assert planted.read_text() == "theirs"
    assert list(places["directory"].iterdir()) == []
    assert not places["nothing"].exists()


@pytest.mark.parametrize("to", ["file", "nothing", "fifo"])
def test_a_stage_that_is_a_link_is_not_written_through(
    shell: tuple[str, ...], work: Path, tmp_path: Path, to: str
) -> None:
    """Whoever may write to the worktree can guess the name: it holds a process's number."""
    planted = theirs(tmp_path)
    places = {"file": planted, "nothing": tmp_path / "nothing", "fifo": tmp_path / "fifo"}
    if to == "fifo":
        os.mkfifo(places["fifo"])
        reader = os.open(places["fifo"], os.O_RDONLY | os.O_NONBLOCK)
    code = 'ln -s "$PLANTED" ".mooring/.stage.$$"; eval "$HOOK"'
    done = subprocess.run(
        [*shell, "-c", code],
        cwd=work,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "PLANTED": str(places[to]),
            "HOOK": hooks.COMMAND,
        },
        input=said().encode(),
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert planted.read_text() == "theirs"
    assert not places["nothing"].exists()
    if to == "fifo":
        with os.fdopen(reader, "rb") as pipe:
            assert pipe.read() == b""
    assert not (work / ".mooring/session").is_symlink()


def test_a_full_disk_is_silent(shell: tuple[str, ...], work: Path, tmp_path: Path) -> None:
    """A file that may not grow fails as one on a full disk does."""
    file = tmp_path / ".claude" / events.FILE
    file.parent.mkdir(parents=True)
    file.write_text("x" * 2048)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *shell, "-c", hooks.COMMAND],
        cwd=work,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        input=said().encode(),
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert file.read_text() == "x" * 2048
    assert session_of(work) == f"{SESSION}\n"


# Runs a program that gets an error, and no signal, as it makes a file larger than that.
LIMITED = """
import os, resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))
os.execvp(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.parametrize("to", ["file", "nothing", "fifo", "directory", "/dev/null"])
@pytest.mark.parametrize("what", ["mooring/events.jsonl", "mooring"])
def test_a_store_that_is_a_link_is_not_written_through(
    shell: tuple[str, ...], work: Path, tmp_path: Path, what: str, to: str
) -> None:
    planted = theirs(tmp_path)
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "fifo")
    link = tmp_path / ".claude" / what
    link.parent.mkdir(parents=True)
    link.symlink_to({"file": planted}.get(to, tmp_path / to))
    before = sorted(tmp_path.glob("*"))
    fire(shell, work, tmp_path)
    assert sorted(tmp_path.glob("*")) == before
    assert planted.read_text() == "theirs"
    assert list((tmp_path / "directory").iterdir()) == []
    assert link.is_symlink()
    assert session_of(work) == f"{SESSION}\n", "the store is not all there is to it"


def test_a_store_whose_events_are_a_pipe_is_not_waited_for(
    shell: tuple[str, ...], work: Path, tmp_path: Path
) -> None:
    (tmp_path / ".claude/mooring").mkdir(parents=True)
    os.mkfifo(tmp_path / ".claude" / events.FILE)
    pipe = os.open(tmp_path / ".claude" / events.FILE, os.O_RDWR | os.O_NONBLOCK)
    fire(shell, work, tmp_path)
    with os.fdopen(pipe, "rb") as reader:
        assert reader.read() is None, "nobody wrote to it"
    assert session_of(work) == f"{SESSION}\n"


def test_a_person_may_have_their_store_behind_a_link(
    shell: tuple[str, ...], work: Path, tmp_path: Path
) -> None:
    """As with a directory of dot files; only what is below it is ours."""
    (tmp_path / "dotfiles").mkdir()
    (tmp_path / ".claude").symlink_to("dotfiles")
    fire(shell, work, tmp_path)
    assert len(recorded(tmp_path / "dotfiles")) == 1


ODD_LINES = [
    f"{LINE} $(touch planted)",
    "$(touch planted)",
    "`touch planted`",
    f'{LINE}","at":1,"x":"',
    f"{LINE}\\",
    f"{LINE};touch planted",
    f"{LINE}|x",
    f"{LINE}&",
    f"{LINE}*",
    f"{LINE}'",
    f"{LINE}\t",
    f"{LINE}\r",
    f"{LINE}\x1b[0m",
    f"größe {LINE}",
]


@pytest.mark.parametrize("line", ODD_LINES)
def test_a_name_with_odd_characters_is_nobodys(
    shell: tuple[str, ...], tmp_path: Path, line: str
) -> None:
    work = mark(tmp_path / "work", line)
    fire(shell, work, tmp_path)
    assert recorded(tmp_path / ".claude") == []
    assert session_of(work) is None
    assert not list(tmp_path.rglob("planted"))


@pytest.mark.parametrize("kind", ["fifo", "directory"])
def test_a_name_that_is_no_file_is_not_waited_for(
    shell: tuple[str, ...], tmp_path: Path, kind: str
) -> None:
    place = tmp_path / "work/.mooring/workspace"
    place.parent.mkdir(parents=True)
    (os.mkfifo if kind == "fifo" else Path.mkdir)(place)
    fire(shell, tmp_path / "work", tmp_path)
    assert recorded(tmp_path / ".claude") == []


@pytest.mark.parametrize("kind", ["fifo", "directory", "file"])
def test_a_stage_that_is_there_already_is_not_waited_for(
    shell: tuple[str, ...], work: Path, tmp_path: Path, kind: str
) -> None:
    """Whoever may write to the worktree can guess the name: it holds a process's number."""
    make = {"fifo": "mkfifo", "directory": "mkdir", "file": "echo x >"}[kind]
    done = subprocess.run(
        [*shell, "-c", f'{make} ".mooring/.stage.$$"; eval "$HOOK"'],
        cwd=work,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "HOOK": hooks.COMMAND},
        input=said().encode(),
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert session_of(work) in (None, f"{SESSION}\n")


@pytest.mark.parametrize("kind", ["fifo", "directory"])
def test_a_session_that_is_no_file(
    shell: tuple[str, ...], work: Path, tmp_path: Path, kind: str
) -> None:
    place = work / ".mooring/session"
    (os.mkfifo if kind == "fifo" else Path.mkdir)(place)
    fire(shell, work, tmp_path)
    assert {path.name for path in (work / ".mooring").iterdir()} == {"workspace", "session"}
    if kind == "directory":
        assert list(place.iterdir()) == []
    else:
        assert session_of(work) == f"{SESSION}\n"


@pytest.mark.parametrize("blocked", [".claude", ".claude/mooring", ".claude/mooring/events.jsonl"])
def test_a_store_that_cannot_be_written_is_silent(
    shell: tuple[str, ...], work: Path, tmp_path: Path, blocked: str
) -> None:
    """Something of another kind stands in its place, which stops root too."""
    place = tmp_path / blocked
    place.parent.mkdir(parents=True, exist_ok=True)
    if blocked.endswith(".jsonl"):
        place.mkdir()
    else:
        place.write_text("")
    fire(shell, work, tmp_path)
    assert session_of(work) == f"{SESSION}\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.parametrize("what", [".mooring", "store"])
def test_a_directory_without_leave_to_write_is_silent(
    shell: tuple[str, ...], work: Path, tmp_path: Path, what: str
) -> None:
    store = tmp_path / ".claude/mooring"
    store.mkdir(parents=True)
    closed = work / ".mooring" if what == ".mooring" else store
    closed.chmod(0o500)
    try:
        fire(shell, work, tmp_path)
    finally:
        closed.chmod(0o700)
    assert (session_of(work) is None) == (what == ".mooring")
    assert (recorded(tmp_path / ".claude") == []) == (what == "store")


@pytest.mark.parametrize(
    "env", [{"HOME": ""}, {"LC_ALL": "C"}, {"POSIXLY_CORRECT": "1"}, {"IFS": "0"}]
)
def test_an_odd_environment_is_silent(
    shell: tuple[str, ...], work: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    store = {"CLAUDE_CONFIG_DIR": str(tmp_path / ".claude")}
    fire(shell, work, tmp_path, said(), **store | env)
    assert session_of(work) == f"{SESSION}\n"
