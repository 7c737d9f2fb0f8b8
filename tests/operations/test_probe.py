"""The probe, run for real: what it says of every kind of repo, path and workspace."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from mooring import script
from mooring.claude import events, hooks, live
from mooring.errors import MooringError
from mooring.facts import record as record_file
from mooring.facts import workspace as facts
from mooring.facts.workspace import Observed, Question
from mooring.model import Key, State
from mooring.operations import removed
from tests.operations.scripts import tools
from tests.support import Person, commit, make_repo
from tests.unit.builders import SESSION, a_record

# One question and its answer


def question(source: Path | str, **changes: Any) -> Question:
    """What is asked about the topic `fix-login` of a repo given as a path."""
    asked = {
        "identity": "",
        "source": str(source),
        "root": "",
        "agent": "dev",
        "topic": "fix-login",
        "base": "",
        "branch": "",
        "fallback_branch": "fix-login",
        "seen": "",
    }
    return Question(**asked | changes)


def answer(person: Person, asked: Question, **env: str) -> list[str]:
    """The lines of the answer, which comes within seconds."""
    everything = person.env | env
    process = subprocess.Popen(
        [shutil.which("sh", path=everything["PATH"]) or "sh", "-c", script.RUN],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=everything,
        cwd=person.home,
        start_new_session=True,
    )
    try:
        text = facts.text(asked)[:].encode("utf-8", "surrogateescape")
        out, err = process.communicate(text, timeout=15)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    assert process.returncode == 0, err.decode()
    return out.decode("ascii").splitlines()


def look(person: Person, source: Path | str, **changes: Any) -> Observed:
    """What the probe sees."""
    asked = question(source, **changes)
    return facts.parse(answer(person, asked), asked)


def head(person: Person, repo: Path) -> str:
    """The commit a repo is at."""
    return person.git("rev-parse", "HEAD", cwd=repo).stdout.strip()


# Kinds of repos


def test_a_repo_given_as_a_path(person: Person, repo: Path) -> None:
    seen = look(person, repo)
    assert (seen.repo.common, seen.repo.checkout) == (str(repo / ".git"), str(repo))
    assert (seen.repo.source, seen.repo.problem) == (str(repo), "")
    assert seen.repo.default_worktree == f"{repo}.worktrees/fix-login"
    assert (seen.repo.head, seen.repo.base, seen.repo.branch) == (
        "refs/heads/main",
        "main",
        "fix-login",
    )
    assert seen.repo.base_commit == head(person, repo)
    root = person.git("rev-list", "--max-parents=0", "HEAD", cwd=repo).stdout.strip()
    assert seen.repo.identity == f"commit/{root}"
    assert (seen.record, seen.worktree.kind, seen.worktree.registered) == (None, "", None)
    assert seen.session.transcripts == ()
    assert seen.target.id == ""
    assert seen.target.root == str(person.home / ".local/share/mooring")
    assert seen.target.git.endswith("/git")


def test_a_subdirectory_is_its_repo(person: Person, repo: Path) -> None:
    assert look(person, repo / "app") == look(person, repo)


def test_a_tilde_is_the_targets_home(person: Person, repo: Path) -> None:
    assert look(person, "~/src/shop") == look(person, repo)
    assert "no directory" in look(person, "~robin/src/shop").repo.problem


def test_a_relative_path_is_below_the_targets_home(person: Person, repo: Path) -> None:
    assert look(person, "src/shop") == look(person, repo)


def test_a_worktree_is_its_main_checkout(person: Person, repo: Path, tmp_path: Path) -> None:
    person.git("worktree", "add", tmp_path / "other", "-b", "other", cwd=repo)
    seen = look(person, tmp_path / "other")
    assert seen == look(person, repo)
    (other,) = seen.worktree.others
    assert (other.path, other.head, other.there, other.locked) == (
        str(tmp_path / "other"),
        "refs/heads/other",
        True,
        "",
    )
    assert not other.initializing


def test_a_repo_behind_a_symlink(person: Person, repo: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(repo)
    assert look(person, tmp_path / "link") == look(person, repo)


def test_a_bare_repo(person: Person, repo: Path, origin: str) -> None:
    bare = Path(origin.removeprefix("file://"))
    seen = look(person, bare)
    assert (seen.repo.common, seen.repo.checkout, seen.repo.source) == (str(bare), "", str(bare))
    assert seen.repo.default_worktree == f"{bare.with_suffix('')}.worktrees/fix-login"
    assert seen.repo.base_commit == head(person, repo)


def test_a_clone_is_called_as_its_origin(person: Person, repo: Path, origin: str) -> None:
    path = origin.removeprefix("file:///").removesuffix(".git")
    assert look(person, repo).repo.identity == f"file/{path}"
    person.git("remote", "set-url", "origin", "git@example.com:robin/shop.git", cwd=repo)
    assert look(person, repo).repo.identity == "example.com/robin/shop"


@pytest.mark.parametrize("name", ["missing", "missing/deeper", "-x", "$(touch planted)", "a\\b"])
def test_a_missing_path_is_a_problem(person: Person, tmp_path: Path, name: str) -> None:
    seen = look(person, tmp_path / name)
    assert seen.repo.problem == f"there is no directory {tmp_path / name}"
    assert seen.repo.common == ""
    assert not (person.home / "planted").exists()


def test_a_file_is_a_problem(person: Person, repo: Path) -> None:
    assert "there is no directory" in look(person, repo / "README.md").repo.problem


def test_a_directory_without_a_repo_is_a_problem(person: Person, tmp_path: Path) -> None:
    seen = look(person, tmp_path)
    assert "not a git repository" in seen.repo.problem
    assert seen.repo.common == ""


def test_a_repo_without_commits(person: Person, tmp_path: Path) -> None:
    person.git("init", tmp_path / "empty")
    seen = look(person, tmp_path / "empty")
    assert (seen.repo.problem, seen.repo.base, seen.repo.base_commit) == ("", "main", "")
    assert seen.repo.refs == {}
    assert seen.repo.blobs == {}


def test_a_detached_head_is_the_base(person: Person, repo: Path) -> None:
    person.git("checkout", "--detach", "HEAD~1", cwd=repo)
    seen = look(person, repo)
    assert seen.repo.head == seen.repo.base == seen.repo.base_commit == head(person, repo)


def test_a_linked_git_directory(person: Person, tmp_path: Path) -> None:
    """`git init --separate-git-dir`, and submodules, have theirs elsewhere."""
    person.git("init", "--separate-git-dir", tmp_path / "store", tmp_path / "shop")
    commit(person, tmp_path / "shop", {"README.md": "# Shop\n"})
    seen = look(person, tmp_path / "shop")
    assert seen.repo.problem == ""
    assert seen.repo.base_commit == head(person, tmp_path / "shop")


ODD = [
    "a b",
    "it's",
    'a"b',
    "$(touch planted)",
    "a\\b",
    "größe",
    "*",
    "[a]",
    "-n",
    "%s",
    "#x",
    "a;b",
]


@pytest.mark.parametrize("name", ODD)
def test_odd_paths(person: Person, tmp_path: Path, name: str) -> None:
    repo = make_repo(person, tmp_path / name, {"mooring.yaml": "base: main\n"})
    person.git("worktree", "add", f"{repo}.worktrees/fix-login", "-b", "fix-login", cwd=repo)
    seen = look(person, repo)
    assert (seen.repo.source, seen.repo.checkout) == (str(repo), str(repo))
    assert seen.worktree.registered
    assert seen.worktree.registered.path == f"{repo}.worktrees/fix-login"
    assert seen.repo.checkout_files == {"mooring.yaml": b"base: main\n"}


def test_a_path_that_is_not_utf8_is_carried(person: Person, repo: Path) -> None:
    path = os.fsdecode(bytes(repo) + b"\xe9")
    repo.rename(path)
    assert look(person, path).repo.source == path


# Refs and files of the base


def test_the_base_of_a_clone_is_its_remotes_default(
    person: Person, repo: Path, origin: str
) -> None:
    person.git("switch", "-c", "wip", cwd=repo)
    commit(person, repo, {"wip.txt": "x\n"})
    seen = look(person, repo)
    assert (seen.repo.head, seen.repo.base) == ("refs/heads/wip", "main")
    assert seen.repo.base_commit != head(person, repo)


@pytest.mark.parametrize("kind", ["branch", "tag", "annotated tag", "commit", "short commit"])
def test_a_base_may_be_any_commit(person: Person, repo: Path, kind: str) -> None:
    old = person.git("rev-parse", "HEAD~1", cwd=repo).stdout.strip()
    if "commit" in kind:
        base = old[:10] if kind == "short commit" else old
    else:
        base = "v1"
        made = {"branch": ["branch"], "tag": ["tag"], "annotated tag": ["tag", "-a", "-m", "One"]}
        person.git(*made[kind], base, old, cwd=repo)
    assert look(person, repo, base=base).repo.base_commit == old


@pytest.mark.parametrize("base", ["no-such", "deadbeef", "0" * 40])
def test_a_missing_base_has_no_commit(person: Person, repo: Path, base: str) -> None:
    seen = look(person, repo, base=base)
    assert (seen.repo.base, seen.repo.base_commit, seen.repo.blobs) == (base, "", {})


def test_files_of_the_base_and_of_the_checkout(person: Person, repo: Path) -> None:
    whole = {"mooring.yaml": "base: main\n", ".worktreeinclude": ".env*\n", ".envrc": "use flake\n"}
    commit(person, repo, {name: text for name, text in whole.items() if name != ".envrc"})
    (repo / ".envrc").write_text(whole[".envrc"])
    person.git("add", "--force", ".envrc", cwd=repo)
    person.git("commit", "-m", "Track .envrc", cwd=repo)
    (repo / "mooring.yaml").write_text("base: dev\n")
    seen = look(person, repo)
    whole[".gitignore"] = (repo / ".gitignore").read_text()
    assert seen.repo.blobs == {name: text.encode() for name, text in whole.items()}
    assert seen.repo.checkout_files == {
        "mooring.yaml": b"base: dev\n",
        ".worktreeinclude": b".env*\n",
    }


@pytest.mark.parametrize("size", [1048576, 1048577, 3_000_000, *range(4194270, 4194285, 5)])
def test_a_huge_file_of_the_repo_is_cut(person: Person, repo: Path, size: int) -> None:
    """The answer has a bound; where it falls, no header of git's output may be misread."""
    commit(person, repo, {"mooring.yaml": "#" * size})
    seen = look(person, repo)
    assert 1048576 <= len(seen.repo.blobs["mooring.yaml"]) <= 1048577
    assert 1048576 <= len(seen.repo.checkout_files["mooring.yaml"]) <= 1048577


def test_a_spec_that_is_a_symlink_is_not_read(person: Person, repo: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("base: theirs\n")
    (repo / "mooring.yaml").symlink_to(tmp_path / "theirs")
    assert look(person, repo).repo.checkout_files == {}


# The workspace


def workspace(person: Person, repo: Path) -> Path:
    """A worktree of the topic, as Mooring would make it, with its record."""
    path = Path(f"{repo}.worktrees/fix-login")
    person.git("worktree", "add", path, "-b", "fix-login", cwd=repo)
    seen = look(person, repo)
    record = a_record(
        repo=seen.repo.identity,
        source=str(repo),
        worktree=str(path),
        files={"README.md": "a" * 64},
        state=State.READY,
    )
    file = person.home / ".local/share/mooring" / record_file.path(record.key)
    file.parent.mkdir(parents=True)
    file.write_text(record_file.text(record))
    return path


def test_a_workspace(person: Person, repo: Path) -> None:
    path = workspace(person, repo)
    (path / ".envrc").write_text("export A=1\n")
    seen = look(person, repo)
    assert seen.record
    assert seen.record.worktree == seen.worktree.path == str(path)
    assert seen.worktree.kind == "dir"
    assert seen.worktree.registered
    assert seen.worktree.registered.head == "refs/heads/fix-login"
    assert seen.worktree.registered.there
    assert set(seen.files.present) == {".envrc", "README.md"}
    assert seen.repo.refs["refs/heads/fix-login"] == head(person, repo)
    assert seen.worktree.scan is None


def test_a_workspace_is_found_again_when_its_repo_is_gone(person: Person, repo: Path) -> None:
    workspace(person, repo)
    shutil.rmtree(repo)
    seen = look(person, repo)
    assert seen.repo.problem
    assert seen.record
    assert seen.record.source == str(repo)


def test_a_stale_registration(person: Person, repo: Path) -> None:
    shutil.rmtree(workspace(person, repo))
    seen = look(person, repo)
    assert seen.worktree.kind == ""
    assert seen.worktree.registered
    assert not seen.worktree.registered.there


def test_a_registration_by_a_relative_path(person: Person, repo: Path) -> None:
    """As git 2.48 and newer write it under ``worktree.useRelativePaths``."""
    path = workspace(person, repo)
    admin = repo / ".git/worktrees/fix-login"
    (admin / "gitdir").write_text(os.path.relpath(path / ".git", admin) + "\n")
    found = look(person, repo).worktree.registered
    assert found
    assert (found.path, found.admin, found.there) == (str(path), str(admin), True)


@pytest.mark.parametrize("reason", ["", "on a disk"])
def test_a_locked_worktree(person: Person, repo: Path, reason: str) -> None:
    path = workspace(person, repo)
    person.git("worktree", "lock", *(["--reason", reason] if reason else []), path, cwd=repo)
    found = look(person, repo).worktree.registered
    assert found
    assert found.locked == f"+{reason}"


@pytest.mark.parametrize(
    ("make", "kind"),
    [("", ""), ("mkdir", "empty"), ("file", "other"), ("link", "other"), ("dir", "dir")],
)
def test_what_is_at_the_path(person: Person, repo: Path, make: str, kind: str) -> None:
    path = Path(f"{repo}.worktrees/fix-login")
    path.parent.mkdir()
    if make in ("mkdir", "dir"):
        path.mkdir()
    if make == "dir":
        (path / ".hidden").touch()
    elif make == "file":
        path.touch()
    elif make == "link":
        path.symlink_to("nowhere")
    assert look(person, repo).worktree.kind == kind


def test_another_agent_has_another_path(person: Person, repo: Path) -> None:
    workspace(person, repo)
    seen = look(person, repo, agent="reviewer", fallback_branch="reviewer/fix-login")
    assert seen.worktree.path == f"{repo}.worktrees/reviewer@fix-login"
    assert (seen.record, seen.repo.branch) == (None, "reviewer/fix-login")


def test_files_to_provision(person: Person, repo: Path) -> None:
    (repo / "notes.txt").write_text("notes\n")
    seen = look(person, repo, include=(".env*", "notes.txt", "app/*"))
    assert set(seen.files.matched) == {".env.local", "notes.txt"}
    assert seen.files.ignored == {".env.local"}
    assert set(seen.files.sources) == {".env.local", "notes.txt"}
    assert all(len(value) == 64 for value in seen.files.sources.values())


@pytest.mark.parametrize("name", ["a b", "größe", "-n", "it's", "$(touch x)", "[a]", "x  -", "#a"])
def test_odd_files_to_provision(person: Person, repo: Path, name: str) -> None:
    (repo / "node_modules").mkdir()
    (repo / "node_modules" / name).write_text("x\n")
    seen = look(person, repo, include=("node_modules/*",))
    assert seen.files.matched == (f"node_modules/{name}",)
    assert set(seen.files.sources) == seen.files.ignored == {f"node_modules/{name}"}


def test_a_transcript(person: Person, repo: Path) -> None:
    workspace(person, repo)
    store = person.home / ".claude/projects/-home-robin"
    store.mkdir(parents=True)
    (store / f"{SESSION}.jsonl").touch()
    assert look(person, repo).session.transcripts == ()
    (store / f"{SESSION}.jsonl").write_text("{}\n")
    (found,) = look(person, repo).session.transcripts
    assert (found.path, found.size) == (str(store / f"{SESSION}.jsonl"), 3)


# The session in the store

TARGET = a_record().target
OTHER_SESSION = "00000000-0000-4000-8000-000000000002"
THIRD_SESSION = "00000000-0000-4000-8000-000000000003"


def claimed(person: Person, repo: Path) -> Path:
    """A workspace on a target that has its id, and a name of its own in the worktree."""
    path = workspace(person, repo)
    (person.home / ".local/share/mooring/id").write_text(f"{TARGET}\n")
    (path / ".mooring").mkdir()
    (path / ".mooring/.gitignore").write_text("*\n")
    line = events.workspace_line(TARGET, Key(look(person, repo).repo.identity, "dev", "fix-login"))
    (path / ".mooring/workspace").write_text(f"{line}\n")
    return path


def transcript(
    store: Path, session: str, project: str = "-w", at: int = 2000, cwd: Path | None = None
) -> str:
    """A transcript that was last written then, of a session that began in `cwd`; its path."""
    path = store / "projects" / project / f"{session}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps({"cwd": str(cwd)}, separators=(",", ":")) if cwd else "{}"
    path.write_text(f"{line}\n")
    os.utime(path, (at, at))
    return str(path)


def fire(person: Person, path: Path, session: str, *, shell: str = "sh", **more: str) -> None:
    """What happens as Claude Code begins a conversation in the worktree."""
    said = {"session_id": session, "hook_event_name": "SessionStart", "source": "startup", **more}
    person.run(shell, "-c", hooks.COMMAND, cwd=path, input=json.dumps(said, ensure_ascii=False))


def store_of(person: Person) -> Path:
    return person.home / ".claude"


def test_transcripts_of_every_session_that_is_named(person: Person, repo: Path) -> None:
    """By the record, by the registry, and by a hook."""
    path = claimed(person, repo)
    fire(person, path, THIRD_SESSION)
    store = store_of(person)
    named = (SESSION, OTHER_SESSION, THIRD_SESSION)
    paths = [transcript(store, id_, at=1000 + n) for n, id_ in enumerate(named)]
    transcript(store, SESSION.replace("1", "9"))
    seen = look(person, repo, sessions=(OTHER_SESSION, SESSION)).session
    assert seen.store == str(store)
    assert {item.path: item.modified for item in seen.transcripts} == {
        each: 1000 + n for n, each in enumerate(paths)
    }
    for id_, each in zip(named, paths, strict=True):
        found = seen.of(id_)
        assert found
        assert (found.path, found.session, found.size) == (each, id_, 3)
    assert seen.of("none") is None


def test_a_transcript_in_any_project_is_found(person: Person, repo: Path) -> None:
    claimed(person, repo)
    paths = {transcript(store_of(person), SESSION, name) for name in ("-a", "-b c", "-ü")}
    assert {item.path for item in look(person, repo).session.transcripts} == paths


def test_a_store_that_is_elsewhere(person: Person, repo: Path, tmp_path: Path) -> None:
    claimed(person, repo)
    path = transcript(tmp_path / "a store", SESSION)
    env = {"CLAUDE_CONFIG_DIR": str(tmp_path / "a store")}
    asked = question(repo)
    seen = facts.parse(answer(person, asked, **env), asked).session
    assert seen.store == env["CLAUDE_CONFIG_DIR"]
    assert [item.path for item in seen.transcripts] == [path]


def test_when_claude_last_cleaned_up(person: Person, repo: Path) -> None:
    claimed(person, repo)
    assert look(person, repo).session.cleaned == 0
    store_of(person).mkdir()
    (store_of(person) / ".last-cleanup").touch()
    os.utime(store_of(person) / ".last-cleanup", (2000, 2000))
    assert look(person, repo).session.cleaned == 2000


def test_without_a_store_there_is_nothing(person: Person, repo: Path) -> None:
    claimed(person, repo)
    seen = look(person, repo, project="-w").session
    assert (seen.transcripts, seen.held, seen.events, seen.running) == ((), (), (), ())
    assert (seen.settings, seen.kept_settings, seen.source_settings) == (None, None, None)


def test_what_the_worktrees_own_project_holds(person: Person, repo: Path) -> None:
    path = claimed(person, repo)
    store = store_of(person)
    mine = {transcript(store, id_, "-w", cwd=path) for id_ in (SESSION, OTHER_SESSION)}
    transcript(store, THIRD_SESSION, "-elsewhere", cwd=path)
    strangers = (Path(f"{path}-2"), path / "app", path.parent, None)  # "-" may stand for "/" too
    for number, cwd in enumerate(strangers):
        transcript(store, SESSION.replace("1", f"{5 + number}"), "-w", cwd=cwd)
    (store / "projects/-w/empty.jsonl").touch()
    held = look(person, repo, project="-w").session.held
    assert held is not None
    assert {item.path for item in held} == mine
    assert look(person, repo, project="-nothing").session.held == ()
    assert look(person, repo).session.held is None


def test_what_hooks_recorded(person: Person, repo: Path) -> None:
    path = claimed(person, repo)
    fire(person, path, OTHER_SESSION, cwd=str(path))
    fire(person, path / "app", THIRD_SESSION, source="clear", cwd="/größe \u2028/it's")
    first, last = look(person, repo).session.events
    assert (first.session, first.source, first.cwd) == (OTHER_SESSION, "startup", str(path))
    assert (last.session, last.source, last.cwd) == (THIRD_SESSION, "clear", "/größe \u2028/it's")
    assert first.key == last.key
    assert (first.key.topic, first.target) == ("fix-login", TARGET)
    assert (path / ".mooring/session").read_text() == f"{THIRD_SESSION}\n"


@pytest.mark.parametrize(
    ("target", "agent", "topic"),
    [
        (TARGET.replace("a", "b"), "dev", "fix-login"),
        (TARGET, "reviewer", "fix-login"),
        (TARGET, "dev", "fix-login-2"),
        (TARGET, "dev", "fix"),
    ],
)
def test_what_hooks_recorded_elsewhere_is_left_out(
    person: Person, repo: Path, target: str, agent: str, topic: str
) -> None:
    path = claimed(person, repo)
    line = events.workspace_line(target, Key("example.com/x/y", agent, topic))
    (path / ".mooring/workspace").write_text(f"{line}\n")
    fire(person, path, OTHER_SESSION)
    transcript(store_of(person), OTHER_SESSION)
    seen = look(person, repo).session
    assert (seen.events, seen.transcripts) == ((), ())


def test_only_the_last_events_travel(person: Person, repo: Path) -> None:
    path = claimed(person, repo)
    fire(person, path, OTHER_SESSION)
    file = store_of(person) / events.FILE
    (line,) = file.read_text().splitlines()
    said = json.loads(line)
    lines = [json.dumps(said | {"at": at}, separators=(",", ":")) for at in range(1000, 1200)]
    file.write_text("\n".join(lines) + "\n")
    assert [event.at for event in look(person, repo).session.events] == list(range(1150, 1200))


@pytest.mark.parametrize("junk", [b"junk\n", b"\xff\xfe\n", b"\0\0\0\n", b"[" * 9999 + b"\n"])
def test_junk_among_the_events_hides_none(person: Person, repo: Path, junk: bytes) -> None:
    """A machine that lost power leaves NULs at a file's end; grep takes such a file for binary."""
    path = claimed(person, repo)
    fire(person, path, OTHER_SESSION)
    with (store_of(person) / events.FILE).open("ab") as file:
        file.write(junk)
    fire(person, path, THIRD_SESSION)
    transcript(store_of(person), THIRD_SESSION)
    seen = look(person, repo).session
    assert [event.session for event in seen.events] == [OTHER_SESSION, THIRD_SESSION]
    assert seen.of(THIRD_SESSION)


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process that stays until the test is over."""
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def pid_file(person: Person, pid: int, session: str = SESSION, **changes: Any) -> Path:
    """A pid file as Claude Code writes it, its conversation being in `/w`."""
    said = {
        "pid": pid,
        "sessionId": session,
        "cwd": "/w",
        "startedAt": 1_000_500,
        "procStart": live.started(pid),
    }
    path = store_of(person) / live.DIRECTORY / f"{pid}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(said | changes, separators=(",", ":")))
    return path


def test_who_runs_the_session(person: Person, repo: Path, process: subprocess.Popen[bytes]) -> None:
    claimed(person, repo)
    pid_file(person, process.pid)
    pid_file(person, os.getpid(), OTHER_SESSION)
    seen = look(person, repo).session
    assert seen.running == (live.Live(process.pid, SESSION, "/w", 1000),)
    assert seen.process(SESSION) == seen.running[0]
    assert seen.process(OTHER_SESSION) is None
    both = look(person, repo, sessions=(OTHER_SESSION,)).session
    assert {item.session for item in both.running} == {SESSION, OTHER_SESSION}


def test_a_session_that_nobody_runs_any_more(
    person: Person, repo: Path, process: subprocess.Popen[bytes]
) -> None:
    claimed(person, repo)
    pid_file(person, process.pid)
    process.kill()
    process.wait()
    assert look(person, repo).session.running == ()


def test_a_zombie_runs_no_session(
    person: Person, repo: Path, process: subprocess.Popen[bytes]
) -> None:
    claimed(person, repo)
    pid_file(person, process.pid)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert look(person, repo).session.running == ()


def test_who_runs_anything_in_the_worktree(
    person: Person, repo: Path, process: subprocess.Popen[bytes]
) -> None:
    path = claimed(person, repo)
    pid_file(person, process.pid, OTHER_SESSION, cwd=str(path / "app"))
    pid_file(person, os.getpid(), THIRD_SESSION, cwd=str(repo))
    seen = look(person, repo).session
    assert seen.ids_running == {OTHER_SESSION}
    assert seen.inside(str(path)) == seen.process(OTHER_SESSION)
    assert seen.inside(str(repo)) is None
    pid_file(person, process.pid, OTHER_SESSION, cwd=f"{path}-2")
    assert look(person, repo).session.inside(str(path)) is None


def test_a_pipe_beside_the_pid_files_is_not_waited_for(person: Person, repo: Path) -> None:
    claimed(person, repo)
    mine = pid_file(person, os.getpid())
    os.mkfifo(mine.with_name("1.json"))
    assert look(person, repo).session.process(SESSION)


def test_a_pipe_in_the_place_of_anything_of_the_store_is_not_waited_for(
    person: Person, repo: Path
) -> None:
    claimed(person, repo)
    store = store_of(person)
    for name in (events.FILE, f"projects/-w/{SESSION}.jsonl", ".last-cleanup"):
        (store / name).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(store / name)
    seen = look(person, repo, project="-w").session
    assert (seen.events, seen.transcripts, seen.held, seen.cleaned) == ((), (), (), 0)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_a_transcript_that_cannot_be_read_is_said(person: Person, repo: Path) -> None:
    claimed(person, repo)
    path = transcript(store_of(person), SESSION)
    Path(path).chmod(0)
    seen = look(person, repo).session
    assert (seen.transcripts, seen.unreadable) == ((), (path,))


@pytest.mark.parametrize("link", ["", ".claude", hooks.SETTINGS])
def test_settings_behind_a_link_are_said_to_be(person: Person, repo: Path, link: str) -> None:
    path = claimed(person, repo)
    if link:
        (path / link).parent.mkdir(exist_ok=True)
        (path / link).symlink_to("nowhere")
    assert look(person, repo).session.linked == bool(link)


def test_an_event_from_the_targets_future_is_left_out(person: Person, repo: Path) -> None:
    path = claimed(person, repo)
    fire(person, path, OTHER_SESSION)
    file = store_of(person) / events.FILE
    said = json.loads(file.read_text())
    for ahead in (200, 4000):
        more = json.dumps(said | {"at": said["at"] + ahead}, separators=(",", ":"))
        file.write_text(f"{file.read_text()}{more}\n")
    found = look(person, repo).session.events
    assert [item.at for item in found] == [said["at"], said["at"] + 200]


def test_the_clock_that_counts_is_the_targets(person: Person, repo: Path, tmp_path: Path) -> None:
    """One that is years behind ours has events of its own time."""
    path = claimed(person, repo)
    clock = tmp_path / "clock"
    clock.mkdir()
    (clock / "date").write_text("#!/bin/sh\necho 1000\n")
    (clock / "date").chmod(0o755)
    behind = {"PATH": f"{clock}:{person.env['PATH']}"}
    said = {"session_id": OTHER_SESSION, "hook_event_name": "SessionStart"}
    person.run("sh", "-c", hooks.COMMAND, cwd=path, input=json.dumps(said), env=behind)
    fire(person, path, THIRD_SESSION)
    asked = question(repo)
    seen = facts.parse(answer(person, asked, **behind), asked).session
    assert [(item.at, item.session) for item in seen.events] == [(1000, OTHER_SESSION)]


def test_a_pid_that_somebody_else_has_now(
    person: Person, repo: Path, process: subprocess.Popen[bytes]
) -> None:
    claimed(person, repo)
    pid_file(person, process.pid, procStart="1")
    if live.started(process.pid):
        assert look(person, repo).session.running == ()
    pid_file(person, process.pid, procStart="")
    assert look(person, repo).session.process(SESSION)


@pytest.mark.parametrize("name", ["x.json", "1x.json", "a b.json", "-n.json", "$(touch x).json"])
def test_foreign_files_beside_the_pid_files(person: Person, repo: Path, name: str) -> None:
    claimed(person, repo)
    mine = pid_file(person, os.getpid())
    mine.with_name(name).write_text(mine.read_text())
    assert [item.pid for item in look(person, repo).session.running] == [os.getpid()]
    mine.unlink()
    assert look(person, repo).session.running == ()


@pytest.mark.parametrize("junk", ["{", f'{{"sessionId":"{SESSION}"}}', f'"{SESSION}"', SESSION])
def test_a_pid_file_that_makes_no_sense(person: Person, repo: Path, junk: str) -> None:
    claimed(person, repo)
    pid_file(person, os.getpid()).write_text(junk)
    assert look(person, repo).session.running == ()


MINE = b'{"model": "opus"}\n'


def test_settings_of_the_worktree_of_the_main_checkout_and_kept_ones(
    person: Person, repo: Path
) -> None:
    path = claimed(person, repo)
    kept = record_file.path(Key(look(person, repo).repo.identity, "dev", "fix-login"))
    kept_file = person.home / f".local/share/mooring/{kept.removesuffix('.json')}.kept/settings"
    for number, file in enumerate((path / hooks.SETTINGS, repo / hooks.SETTINGS, kept_file)):
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(MINE * (number + 1))
    seen = look(person, repo).session
    assert (seen.settings, seen.source_settings, seen.kept_settings) == (MINE, MINE * 2, MINE * 3)
    shutil.rmtree(path)
    seen = look(person, repo).session
    assert (seen.settings, seen.kept_settings) == (None, MINE * 3)


def test_the_kept_settings_are_where_an_end_keeps_them(person: Person, repo: Path) -> None:
    claimed(person, repo)
    seen = look(person, repo)
    assert seen.record
    directory = Path(removed.kept(seen.target.root, seen.record.key))
    directory.mkdir()
    (directory / "settings").write_bytes(MINE)
    assert look(person, repo).session.kept_settings == MINE


@pytest.mark.parametrize("link", [".claude", hooks.SETTINGS])
def test_settings_behind_a_link_are_not_read(
    person: Person, repo: Path, tmp_path: Path, link: str
) -> None:
    path = claimed(person, repo)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "settings.local.json").write_bytes(MINE)
    for place in (path, repo):
        (place / link).parent.mkdir(exist_ok=True)
        to = theirs if link == ".claude" else theirs / "settings.local.json"
        (place / link).symlink_to(to)
    seen = look(person, repo).session
    assert (seen.settings, seen.source_settings) == (None, None)


def test_settings_that_the_repo_tracks(person: Person, repo: Path) -> None:
    commit(person, repo, {hooks.SETTINGS: "{}\n"})
    seen = look(person, repo)
    assert hooks.SETTINGS in seen.repo.blobs
    assert seen.session.source_settings == b"{}\n"
    assert hooks.SETTINGS in seen.files.visible


@pytest.mark.parametrize("hidden", [False, True])
def test_settings_that_git_would_show(person: Person, repo: Path, hidden: bool) -> None:
    (repo / ".claude").mkdir()
    (repo / hooks.SETTINGS).write_bytes(MINE)
    if hidden:
        (repo / ".git/info/exclude").write_text(f"/{hooks.SETTINGS}\n")
    seen = look(person, repo)
    assert (hooks.SETTINGS in seen.files.visible) != hidden
    assert hooks.SETTINGS not in seen.repo.blobs


HEAD = "# Workspace\n\n<!-- mooring: what follows is yours -->\n"


@pytest.mark.parametrize("name", [".session-context.md", ".mooring/session-context.md"])
@pytest.mark.parametrize("rest", ["", "\n## Task\n\nDone <!-- mooring: x -->\n", "no end"])
def test_of_a_context_only_the_head_counts(
    person: Person, repo: Path, name: str, rest: str
) -> None:
    path = claimed(person, repo)
    (path / name).write_text(HEAD + rest)
    assert look(person, repo).files.present[name] == sha256(HEAD.encode()).hexdigest()
    (path / name).write_text(HEAD.replace("W", "w") + rest)
    assert look(person, repo).files.present[name] != sha256(HEAD.encode()).hexdigest()
    (path / name).unlink()
    (path / name).symlink_to(repo / "README.md")
    assert name not in look(person, repo).files.present


@pytest.mark.parametrize("name", ["elsewhere", "a b/it's", "größe", "-n"])
def test_a_worktree_that_was_moved_is_found(
    person: Person, repo: Path, tmp_path: Path, name: str
) -> None:
    path, there = claimed(person, repo), tmp_path / name
    there.parent.mkdir(exist_ok=True)
    person.git("worktree", "move", path, there, cwd=repo)
    seen = look(person, repo, scan=True)
    assert (seen.worktree.path, seen.worktree.moved) == (str(there), True)
    assert seen.worktree.kind == "dir"
    assert seen.worktree.registered
    assert seen.worktree.registered.there
    assert seen.record
    assert seen.record.worktree == str(path)
    assert seen.worktree.scan
    assert seen.worktree.scan.endswith("\nend")


def test_a_worktree_that_was_moved_and_repaired_is_found(
    person: Person, repo: Path, tmp_path: Path
) -> None:
    path = claimed(person, repo)
    path.rename(tmp_path / "elsewhere")
    seen = look(person, repo)
    assert (seen.worktree.path, seen.worktree.moved) == (str(path), False), "git doesn't know"
    person.git("worktree", "repair", tmp_path / "elsewhere", cwd=repo)
    seen = look(person, repo)
    assert (seen.worktree.path, seen.worktree.moved) == (str(tmp_path / "elsewhere"), True)


def test_a_worktree_that_stayed_was_not_moved(person: Person, repo: Path, tmp_path: Path) -> None:
    """Though somebody copied its name into another one."""
    path = claimed(person, repo)
    person.git("worktree", "add", tmp_path / "copy", "-b", "copy", cwd=repo)
    shutil.copytree(path / ".mooring", tmp_path / "copy/.mooring")
    seen = look(person, repo)
    assert (seen.worktree.path, seen.worktree.moved) == (str(path), False)
    person.git("worktree", "remove", "--force", path, cwd=repo)
    (tmp_path / "copy/.mooring/workspace").unlink()
    (tmp_path / "copy/.mooring/workspace").symlink_to(repo / "README.md")
    assert not look(person, repo).worktree.moved


def test_the_worktree_of_another_topic_was_not_moved(
    person: Person, repo: Path, tmp_path: Path
) -> None:
    path = claimed(person, repo)
    line = events.workspace_line(TARGET, Key("example.com/x/y", "dev", "fix-login-2"))
    (path / ".mooring/workspace").write_text(f"{line}\n")
    person.git("worktree", "move", path, tmp_path / "elsewhere", cwd=repo)
    seen = look(person, repo)
    assert (seen.worktree.path, seen.worktree.moved) == (str(path), False)
    assert seen.worktree.registered is None


OWNERS = ["copy", "it's", "größe", 'a"b', "a\\b", "a.*b"]


@pytest.mark.parametrize("name", OWNERS)
@pytest.mark.parametrize("state", [State.READY, State.PARTIAL])
def test_a_worktree_that_another_record_has_is_not_taken(
    person: Person, repo: Path, tmp_path: Path, name: str, state: State
) -> None:
    """Whoever works in it can write into it that it was another's."""
    path = claimed(person, repo)
    theirs = tmp_path / name
    person.git("worktree", "add", theirs, "-b", "other", cwd=repo)
    shutil.copytree(path / ".mooring", theirs / ".mooring")
    person.git("worktree", "remove", "--force", path, cwd=repo)
    assert look(person, repo).worktree.moved, "nobody has it"
    record = a_record(topic="other", worktree=str(theirs), state=state)
    file = person.home / ".local/share/mooring" / record_file.path(record.key)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(record_file.text(record))
    seen = look(person, repo)
    assert (seen.worktree.path, seen.worktree.moved) == (str(path), False)
    assert str(theirs) in {item.path for item in seen.worktree.others}


def test_the_sum_of_a_record_is_that_of_its_file(person: Person, repo: Path) -> None:
    assert look(person, repo).record_sum == ""
    workspace(person, repo)
    file = file_of_record(person)
    seen = look(person, repo)
    assert seen.record_sum == sha256(file.read_bytes()).hexdigest()
    file.write_text(file.read_text().replace('"carry": "",\n', ""))
    older = look(person, repo)
    assert older.record == seen.record
    assert older.record_sum == sha256(file.read_bytes()).hexdigest() != seen.record_sum


def test_a_record_of_an_older_mooring_is_read(person: Person, repo: Path, tmp_path: Path) -> None:
    """By the shell too, which has to know where to look, and at which branch."""
    workspace(person, repo)
    file = file_of_record(person)
    fields = json.loads(file.read_text())
    for name in ("reserved", "parent", "carry"):
        del fields[name]
    fields |= {"worktree": str(tmp_path / "elsewhere"), "branch": "recorded", "base": "fix-login"}
    lines = [f'"{name}": {json.dumps(value)}' for name, value in fields.items()]
    file.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    transcript(store_of(person), SESSION)
    seen = look(person, repo)
    assert seen.record
    assert (seen.record.branch, seen.record.reserved, seen.record.carry) == ("recorded", 0, "")
    assert seen.record_sum == sha256(file.read_bytes()).hexdigest()
    assert (seen.worktree.path, seen.repo.branch, seen.repo.base) == (
        str(tmp_path / "elsewhere"),
        "recorded",
        "fix-login",
    )
    assert seen.session.of(SESSION)


def file_of_record(person: Person) -> Path:
    """The only record's file."""
    (found,) = (person.home / ".local/share/mooring/records").rglob("*.json")
    return found


def test_busybox_sees_the_same_session(
    person: Person, repo: Path, tmp_path: Path, process: subprocess.Popen[bytes]
) -> None:
    path = claimed(person, repo)
    (path / ".claude").mkdir()
    (path / hooks.SETTINGS).write_bytes(MINE)
    (path / ".session-context.md").write_text(f"{HEAD}mine\n")
    fire(person, path, OTHER_SESSION, cwd="/größe")
    transcript(store_of(person), OTHER_SESSION, cwd=tmp_path / "elsewhere")
    pid_file(person, process.pid, OTHER_SESSION)
    person.git("worktree", "move", path, tmp_path / "elsewhere", cwd=repo)
    asked = question(repo, project="-w", scan=True)
    usual = facts.parse(answer(person, asked), asked)
    assert usual.worktree.moved
    assert usual.session.events
    assert usual.session.held
    assert usual.session.running
    assert usual.session.settings == MINE
    path_of_busybox = tools(tmp_path / "tools", "busybox")
    seen = facts.parse(answer(person, asked, PATH=path_of_busybox), asked)
    for noun in ("repo", "record", "worktree", "files", "session"):
        assert getattr(seen, noun) == getattr(usual, noun)


# A scan


def scanned(person: Person, repo: Path, *excludes: str) -> list[str]:
    """What a removal could lose, as the probe lists it."""
    scan = look(person, repo, scan=True, excludes=excludes).worktree.scan
    assert scan is not None
    *lines, last = scan.split("\n")
    assert last == "end"
    return lines


def test_a_scan_lists_what_is_nowhere_else(person: Person, repo: Path) -> None:
    path = workspace(person, repo)
    assert scanned(person, repo) == []
    (path / "README.md").write_text("edited\n")
    (path / "notes é.txt").write_text("x\n")
    (path / ".env.local").write_text("x\n")
    (path / "node_modules/a").mkdir(parents=True)
    (path / "node_modules/a/b.js").write_text("x\n")
    assert scanned(person, repo, ":(exclude,glob)**/node_modules/**") == [
        " M README.md",
        "?? notes é.txt",
        "!! .env.local",
    ]
    assert "!! node_modules/a/b.js" in scanned(person, repo)


def test_a_scan_lists_commits_on_no_branch(person: Person, repo: Path) -> None:
    path = workspace(person, repo)
    person.git("switch", "--detach", cwd=path)
    assert scanned(person, repo) == []
    lost = commit(person, path, {"new.txt": "x\n"})
    assert scanned(person, repo) == [f"commit {lost}"]


@pytest.mark.parametrize("state", ["MERGE_HEAD", "CHERRY_PICK_HEAD", "BISECT_LOG"])
def test_a_scan_lists_what_is_under_way(person: Person, repo: Path, state: str) -> None:
    workspace(person, repo)
    (repo / ".git/worktrees/fix-login" / state).write_text(head(person, repo) + "\n")
    assert scanned(person, repo) == [f"in-progress {state}"]


def test_a_scan_that_fails_says_so(person: Person, repo: Path) -> None:
    workspace(person, repo)
    (repo / ".git/worktrees/fix-login/index").write_bytes(b"broken")
    assert any(line.startswith("error ") for line in scanned(person, repo))


def test_settings_of_the_user_hide_nothing_from_a_scan(person: Person, repo: Path) -> None:
    path = workspace(person, repo)
    person.git("config", "status.showUntrackedFiles", "no", cwd=repo)
    person.git("config", "status.relativePaths", "true", cwd=repo)
    (path / "notes.txt").write_text("x\n")
    (path / "sub").mkdir()
    (path / "sub/notes.txt").write_text("x\n")
    assert scanned(person, repo) == ["?? notes.txt", "?? sub/notes.txt"]


# The answer


def test_the_probe_changes_nothing(person: Person, repo: Path) -> None:
    path = workspace(person, repo)
    (path / "README.md").write_text("edited\n")
    before = snapshot(person.home)
    look(person, repo, scan=True)
    assert snapshot(person.home) == before


def snapshot(directory: Path) -> dict[str, tuple[int, int]]:
    """Each file's size and time of change."""
    files = [path for path in directory.rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


def test_the_probe_runs_nothing_of_the_repos(person: Person, repo: Path, tmp_path: Path) -> None:
    path = workspace(person, repo)
    planted = tmp_path / "planted"
    hook = repo / ".git/hooks/post-index-change"
    hook.write_text(f"#!/bin/sh\ntouch {planted}\n")
    hook.chmod(0o755)
    person.git("config", "core.fsmonitor", f"touch {planted}; false", cwd=repo)
    (path / "README.md").write_text("edited\n")
    look(person, repo, scan=True, include=("*",))
    assert not planted.exists()


HAZARDS = {
    "a locale": {"LANG": "de_DE.UTF-8", "LC_ALL": "tr_TR.UTF-8"},
    "another repo": {"GIT_DIR": "/nowhere", "GIT_WORK_TREE": "/nowhere", "GIT_PREFIX": "x/"},
    "another index": {"GIT_INDEX_FILE": "/nowhere", "GIT_OBJECT_DIRECTORY": "/nowhere"},
    "git's tracing": {"GIT_TRACE": "1"},
    "git's settings": {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.quotePath",
        "GIT_CONFIG_VALUE_0": "true",
    },
    "directories for cd": {"CDPATH": ".:/usr:/"},
    "names of ours": {"repo": "x", "common": "x", "w_head": "x", "commit": "x", "_id": "x"},
    "POSIX": {"POSIXLY_CORRECT": "1"},
    "grep's colours": {"GREP_OPTIONS": "--color=always", "GREP_COLORS": "mt=01"},
}


@pytest.mark.parametrize("env", HAZARDS.values(), ids=HAZARDS.keys())
def test_the_answer_does_not_depend_on_the_environment(
    person: Person, repo: Path, env: dict[str, str]
) -> None:
    workspace(person, repo)
    asked = question("src/shop", scan=True, include=(".env*",))
    lines = answer(person, asked, **env)
    assert facts.parse(lines, asked) == facts.parse(answer(person, asked), asked)


def test_busybox_gives_the_same_answer(person: Person, repo: Path, tmp_path: Path) -> None:
    path = workspace(person, repo)
    (path / "notes.txt").write_text("x\n")
    commit(person, repo, {"mooring.yaml": "base: main\n"})
    asked = question(repo, scan=True, include=(".env*",))
    seen = facts.parse(answer(person, asked, PATH=tools(tmp_path / "tools", "busybox")), asked)
    usual = look(person, repo, scan=True, include=(".env*",))
    for noun in ("repo", "record", "worktree", "files", "session"):
        assert getattr(seen, noun) == getattr(usual, noun)


@pytest.mark.parametrize("scan", [False, True])
def test_an_answer_that_is_cut_short_is_an_error(person: Person, repo: Path, scan: bool) -> None:
    workspace(person, repo)
    asked = question(repo, scan=scan)
    whole = "\n".join(answer(person, asked))
    assert facts.parse(whole.splitlines(), asked).repo.common
    for end in range(0, len(whole.rstrip("=")) - 8, 7):
        with pytest.raises(MooringError, match="Cannot read the target's answer"):
            facts.parse(whole[:end].splitlines(), asked)


NO_ANSWERS: dict[str, list[str]] = {
    "nothing": [],
    "an empty line": [""],
    "words": ["sh: 1: base64: not found"],
    "a greeting": ["Welcome!"],
    "a greeting in French": ["Bienvenue à bord"],
    "another answer": ["aGVsbG8="],
}


@pytest.mark.parametrize("lines", NO_ANSWERS.values(), ids=NO_ANSWERS.keys())
def test_what_is_no_answer_is_an_error(lines: list[str]) -> None:
    with pytest.raises(MooringError, match="Cannot read the target's answer"):
        facts.parse(lines, question("/srv/shop"))
