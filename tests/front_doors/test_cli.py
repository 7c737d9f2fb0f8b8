"""The command line as people and scripts use it: answers, defaults, exit statuses, refusals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.git.traces import (
    ROOT,
    head,
    hook,
    leftovers,
    listing,
    live,
    made,
    records,
    rows,
)
from tests.support import Done, Person, commit, make_repo


def sh(person: Person, script: str, cwd: Path, **env: str) -> Done:
    return person.run("sh", "-c", script, cwd=cwd, env=env)


def answer(done: Done) -> dict[str, object]:
    """The one JSON object on stdout."""
    value = json.loads(done.stdout)
    assert isinstance(value, dict)
    return value


@pytest.fixture
def other(person: Person) -> Path:
    """Another repo of the person's."""
    return make_repo(person, person.home / "src/other", {"README.md": "# Other\n"})


def test_cd_into_what_new_prints(person: Person, repo: Path) -> None:
    done = sh(person, 'cd "$(mooring new fix-login)" && pwd && git branch --show-current', repo)
    assert done.stdout.splitlines() == [str(repo.parent / "shop.worktrees/fix-login"), "fix-login"]


def test_stdout_is_the_answer_alone(person: Person, repo: Path) -> None:
    place = str(repo.parent / "shop.worktrees/fix-login")
    first = person.mooring("new", "fix-login", cwd=repo)
    assert first.stdout == f"{place}\n"
    assert "branch fix-login, PORT=" in first.stderr
    assert person.mooring("new", "fix-login", cwd=repo).stdout == f"{place}\n"
    assert (
        person.mooring("resume", "fix-login", "--launch", "none", cwd=repo).stdout == f"{place}\n"
    )
    assert person.mooring("end", "fix-login", cwd=repo).stdout == ""


def test_json_is_one_object(person: Person, repo: Path) -> None:
    new = answer(person.mooring("new", "fix-login", "--json", cwd=repo))
    assert (new["topic"], new["agent"], new["state"]) == ("fix-login", "dev", "ready")
    assert new["worktree"] == str(repo.parent / "shop.worktrees/fix-login")
    assert new["changed"] == ["claim", "worktree", "envrc", "session"]
    again = answer(person.mooring("new", "fix-login", "--json", cwd=repo))
    assert again == new | {"changed": []}
    status = answer(person.mooring("status", "fix-login", "--json", "--check", cwd=repo))
    assert status["drift"] == []
    assert {name: status[name] for name in ("session", "ports", "commit", "source")} == {
        name: new[name] for name in ("session", "ports", "commit", "source")
    }
    (row,) = rows(person)
    assert row["session"] == new["session"]
    (session,) = json.loads(person.mooring("sessions", "--json").stdout)
    assert session["session_id"] == new["session"]
    assert session["state"] == "reserved"
    resumed = answer(person.mooring("resume", "fix-login", "--launch", "none", "--json", cwd=repo))
    assert resumed["session"] == new["session"]
    ended = answer(person.mooring("end", "fix-login", "--json", cwd=repo))
    assert (ended["state"], ended["session"]) == ("ended", new["session"])
    (session,) = json.loads(person.mooring("sessions", "--json").stdout)
    assert session["state"] == "cleared"


def test_what_a_person_reads(person: Person, repo: Path) -> None:
    assert "there are no workspaces yet" in person.mooring("list").stderr
    assert "there are no sessions yet" in person.mooring("sessions").stderr
    place = made(person, "fix-login", cwd=repo)
    header, line = person.mooring("list").stdout.splitlines()
    columns = "topic agent state session_state host branch ports worktree"
    assert header.split() == columns.split()
    assert line.split()[:4] == ["fix-login", "dev", "ready", "reserved"]
    assert line.endswith(str(place))
    status = person.mooring("status", "fix-login").stdout
    assert ["worktree", str(place)] in [line.split() for line in status.splitlines()]
    assert "fix-login" in person.mooring("sessions", "fix-login").stdout
    person.mooring("end", "fix-login")
    assert person.mooring("list").stdout == ""
    assert "ended" in person.mooring("list", "--all").stdout


def test_topic_of_the_environment_is_said(person: Person, repo: Path) -> None:
    env = {"WORK_TOPIC": "fix-login"}
    for args in (("new",), ("status",), ("resume", "--launch", "none"), ("end",)):
        done = person.mooring(*args, cwd=repo, env=env)
        assert "(using $WORK_TOPIC: fix-login)" in done.stderr, args
    assert [row["topic"] for row in rows(person)] == ["fix-login"]
    done = person.mooring("status", cwd=repo, check=False)
    assert done.returncode == 2
    assert "name its topic" in done.stderr


def test_ambiguous_topic(person: Person, repo: Path, other: Path) -> None:
    first = made(person, "fix-login", cwd=repo)
    second = made(person, "fix-login", cwd=other)
    for args in (("status",), ("end",), ("run",), ("resume", "--launch", "none")):
        words = [args[0], "fix-login", *args[1:], *(["--", "true"] if args[0] == "run" else [])]
        done = person.mooring(*words, check=False)
        assert done.returncode in (1, 2), args
        assert f"--repo {repo}" in done.stderr
        assert f"--repo {other}" in done.stderr
    hint = done.stderr.partition("hint: ")[2].splitlines()[0]
    assert sh(person, hint, person.home).returncode == 0
    for where, place in ((repo, first), (first / "app", first), (other, second), (second, second)):
        status = answer(person.mooring("status", "fix-login", "--json", cwd=where))
        assert status["worktree"] == str(place)
    named = person.mooring("status", "fix-login", "--json", "--repo", other)
    assert answer(named)["worktree"] == str(second)
    env = {"WORK_REPO": str(other)}
    assert answer(person.mooring("status", "fix-login", "--json", env=env))["source"] == str(other)


def test_two_agents(person: Person, repo: Path) -> None:
    dev = made(person, "fix-login", cwd=repo)
    bot = made(person, "fix-login", "--agent", "bot", cwd=repo)
    assert bot == repo.parent / "shop.worktrees/bot@fix-login"
    found = {str(row["agent"]): row for row in rows(person)}
    assert {agent: row["branch"] for agent, row in found.items()} == {
        "dev": "fix-login",
        "bot": "bot/fix-login",
    }
    assert found["dev"]["session"] != found["bot"]["session"]
    assert found["dev"]["ports"] != found["bot"]["ports"]
    assert person.mooring("end", "fix-login", cwd=repo, check=False).returncode in (1, 2)
    person.mooring("end", "fix-login", cwd=repo, env={"WORK_AGENT": "bot"})
    assert (dev.exists(), bot.exists()) == (True, False)


@pytest.mark.parametrize("where", [".", "app", "../shop.worktrees/first", "../shop.worktrees"])
def test_new_from_anywhere_in_the_repo(person: Person, repo: Path, where: str) -> None:
    made(person, "first", cwd=repo)
    done = person.mooring("new", "second", cwd=repo / where, check=where != "../shop.worktrees")
    if done.returncode:
        assert "Cannot provision 'second'" in done.stderr
    else:
        assert done.stdout == f"{repo.parent}/shop.worktrees/second\n"
        assert {row["source"] for row in rows(person)} == {str(repo)}


def test_new_from_a_plain_worktree_of_the_repo(person: Person, repo: Path) -> None:
    plain = repo.parent / "plain"
    person.git("worktree", "add", "-b", "plain", plain, cwd=repo)
    assert made(person, "second", cwd=plain) == repo.parent / "shop.worktrees/second"


def test_repo_by_a_symlink_is_the_same(person: Person, repo: Path) -> None:
    link = person.home / "link"
    link.symlink_to(repo)
    made(person, "fix-login", cwd=repo)
    assert "unchanged" in person.mooring("new", "fix-login", cwd=link).stderr
    assert "unchanged" in person.mooring("new", "fix-login", "--repo", "link").stderr


def test_base_and_branch(person: Person, repo: Path) -> None:
    person.git("tag", "v1", "main~1", cwd=repo)
    place = made(person, "x", "--base", "v1", "--branch", "fix/deep", cwd=repo)
    assert head(person, place) == head(person, repo, "main~1")
    (row,) = rows(person)
    assert (row["branch"], row["base"]) == ("fix/deep", "v1")


def test_branch_by_template(person: Person, repo: Path) -> None:
    commit(person, repo, {"mooring.yaml": 'branch: "{{ agent }}/{{ slug }}-{{ date }}"\n'})
    made(person, "fix-login", cwd=repo)
    branch = str(rows(person)[0]["branch"])
    assert branch.startswith("dev/fix_login-")
    assert branch[-4:].isdigit()


def drift(person: Person, repo: Path) -> tuple[int, list[str]]:
    done = person.mooring("status", "fix-login", "--check", "--json", cwd=repo, check=False)
    found = answer(done)["drift"]
    assert isinstance(found, list)
    return done.returncode, found


def test_check_finds_drift(person: Person, repo: Path) -> None:
    commit(person, repo, {"mooring.yaml": "files: {copy: [.env.local]}\n"})
    place = made(person, "fix-login", cwd=repo)
    assert drift(person, repo) == (0, [])
    (place / ".session-context.md").unlink()
    assert drift(person, repo) == (3, ["session"])
    with (place / ".envrc").open("a") as envrc:
        envrc.write("export MINE=1\n")
    assert drift(person, repo) == (3, ["envrc", "session"])
    (repo / ".env.local").write_text("API_KEY=rotated\n")
    assert drift(person, repo)[1][0] == "files"
    before = listing(person.home, without=("registry.db",), times=False)
    drift(person, repo)
    assert listing(person.home, without=("registry.db",), times=False) == before
    done = person.mooring("new", "fix-login", cwd=repo)
    assert "saved .envrc as .mooring/saved/" in done.stderr
    assert drift(person, repo) == (0, [])
    assert (place / ".env.local").read_text() == "API_KEY=rotated\n"


def test_check_of_what_was_edited_in_the_workspace(person: Person, repo: Path) -> None:
    """A copied file that somebody edited is theirs: said, not replaced, and no drift."""
    commit(person, repo, {"mooring.yaml": "files: {copy: [.env.local]}\n"})
    place = made(person, "fix-login", cwd=repo)
    (place / ".env.local").write_text("API_KEY=mine\n")
    assert "kept as it is: .env.local" in person.mooring("new", "fix-login", cwd=repo).stderr
    assert (place / ".env.local").read_text() == "API_KEY=mine\n"
    assert drift(person, repo) == (0, [])


def test_check_of_a_worktree_that_is_gone(person: Person, repo: Path) -> None:
    place = made(person, "fix-login", cwd=repo)
    person.run("rm", "-rf", place)
    code, found = drift(person, repo)
    assert code == 3
    assert "worktree" in found


@pytest.mark.parametrize("name", [".envrc", ".session-context.md", ".mooring/session"])
def test_a_directory_where_a_file_belongs(person: Person, repo: Path, name: str) -> None:
    """It can't be written, so it must not be reported as done."""
    place = made(person, "fix-login", cwd=repo)
    (place / name).unlink()
    (place / name).mkdir()
    (place / name / "mine.txt").write_text("mine\n")
    done = person.mooring("new", "fix-login", cwd=repo, check=False)
    assert done.returncode == 1, done
    assert f"Cannot write {name}" in done.stderr
    assert (place / name / "mine.txt").read_text() == "mine\n"


def test_modes_are_kept_or_tightened(person: Person, repo: Path) -> None:
    spec = 'files: {copy: [{src: .env.local, mode: "0400"}, .env.tight]}\n'
    commit(person, repo, {"mooring.yaml": spec})
    (repo / ".env.local").chmod(0o644)
    (repo / ".env.tight").touch(mode=0o600)
    place = made(person, "fix-login", cwd=repo)
    assert (place / ".env.local").stat().st_mode & 0o777 == 0o400
    assert (place / ".env.tight").stat().st_mode & 0o777 == 0o600


def test_worktreeinclude(person: Person, repo: Path) -> None:
    commit(person, repo, {".worktreeinclude": "# mine\n.env*\n!.env.skip\n"})
    for name in (".env.test", ".env.skip"):
        (repo / name).write_text(f"{name}\n")
    place = made(person, "fix-login", cwd=repo)
    assert (place / ".env.test").read_text() == ".env.test\n"
    assert (place / ".env.local").read_text() == (repo / ".env.local").read_text()
    assert not (place / ".env.skip").exists()


def test_run_has_this_workspaces_names_alone(person: Person, repo: Path) -> None:
    commit(person, repo, {"mooring.yaml": "ports: [web]\n"})
    place = made(person, "fix-login", cwd=repo)
    leaked = {
        "WORK_TOPIC": "other",
        "WORK_ISSUE": "X-1",
        "PORT_DB": "1",
        "CLAUDE_SESSION_ID": "x",
        "WORK_BRANCH": "other",
        "KEPT": "yes",
    }
    done = person.mooring("run", "fix-login", "--", "sh", "-c", "pwd; env", cwd=repo, env=leaked)
    where, *lines = done.stdout.splitlines()
    found = dict(line.partition("=")[::2] for line in lines)
    (row,) = rows(person)
    ports = row["ports"]
    assert isinstance(ports, dict)
    assert where == str(place)
    assert {name: value for name, value in found.items() if name.startswith(("WORK", "PORT"))} == {
        "WORK_TOPIC": "fix-login",
        "WORK_BRANCH": "fix-login",
        "WORK_AGENT": "dev",
        "WORK_REPO": str(repo),
        "PORT": str(ports["PORT"]),
        "PORT_WEB": str(ports["PORT_WEB"]),
    }
    assert found["CLAUDE_SESSION_ID"] == row["session"]
    assert found["KEPT"] == "yes"


def test_run_passes_arguments_input_and_status(person: Person, repo: Path) -> None:
    made(person, "fix-login", cwd=repo)
    words = ("a b", "--help", "--", "$x", "")
    done = person.mooring("run", "fix-login", "--", "printf", "[%s]", *words, cwd=repo)
    assert done.stdout == "[a b][--help][--][$x][]"
    assert person.mooring("run", "fix-login", "--", "cat", cwd=repo, input="in").stdout == "in"
    done = person.mooring("run", "fix-login", "--", "sh", "-c", "exit 42", cwd=repo, check=False)
    assert done.returncode == 42


def test_run_ends_by_the_signal_its_command_ends_by(person: Person, repo: Path) -> None:
    made(person, "fix-login", cwd=repo)
    script = ("sh", "-c", "kill -TERM $$")
    done = person.mooring("run", "fix-login", "--", *script, cwd=repo, check=False)
    assert done.returncode in (-signal.SIGTERM, 128 + signal.SIGTERM)
    quiet = "mooring run fix-login -- yes | head -n 1"
    done = sh(person, quiet, repo)
    assert (done.stdout, done.stderr) == ("y\n", "")


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("run", "fix-login"), 2, "no command"),
        (("run", "fix-login", "--", "no-such-program"), 1, "Cannot start no-such-program"),
        (("run", "nothing", "--", "true"), 1, "no workspace 'nothing'"),
        (("status", "fix-logn"), 1, "hint: mooring status fix-login"),
        (("resume", "nothing", "--launch", "none"), 1, "hint: mooring list --all"),
        (("new", "fix-login", "--launch", "maybe"), 2, "--launch"),
        (("new", "fix-login", "--no-such-option"), 2, "--no-such-option"),
        (("no-such-verb",), 2, "no-such-verb"),
        (("new", "fix-login", "extra"), 2, "extra"),
    ],
)
def test_wrong_calls(
    person: Person, repo: Path, args: tuple[str, ...], code: int, said: str
) -> None:
    made(person, "fix-login", cwd=repo)
    done = person.mooring(*args, cwd=repo, check=False)
    assert done.returncode == code, done
    assert said in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_run_in_an_ended_workspace(person: Person, repo: Path) -> None:
    made(person, "fix-login", cwd=repo)
    person.mooring("end", "fix-login", cwd=repo)
    done = person.mooring("run", "fix-login", "--", "true", cwd=repo, check=False)
    assert done.returncode == 1
    assert "it has ended" in done.stderr
    hint = done.stderr.partition("hint: ")[2]
    sh(person, hint, repo)
    person.mooring("run", "fix-login", "--", "true", cwd=repo)


TOPICS = [
    "a/b",
    "with space",
    "..",
    "../up",
    "café",
    "tab\tbed",
    "new\nline",
    "x" * 300,
    "x" * 65,
    "$(touch pwned)",
    "`touch pwned`",
    "x;touch pwned",
    "Upper",
    ".hidden",
    "x_y",
    "*",
    "",
]
URLS = [
    "ext::sh -c 'touch pwned'",
    "fd::7",
    "--upload-pack=touch pwned",
    "-oProxyCommand=touch pwned",
    "ssh://-oProxyCommand=touch%20pwned/x",
    "-oProxyCommand=touch pwned:x/y",
    "https://user:secret@example.com/o/n",
    "ftp://example.com/o/n",
    "file:///../../etc",
    "https://example.com/",
    "https://example.com/o/n?x=1",
    "git@example.com:../../x",
    "http://[::1/x",
    "new\nline",
    "/no/such/place",
]
REFS = [
    "-x",
    "--force",
    "a..b",
    "a b",
    "x~1^{",
    "@{-1}",
    "x.lock",
    "a//b",
    "/x",
    "x" * 300,
]
SPECS = {
    "unknown key": "prots: [web]\n",
    "unknown nested": "files: {copies: [x]}\n",
    "wrong type": "ports: web\n",
    "wrong element": "ports: [[web]]\n",
    "wrong version": "version: 2\n",
    "no mapping": "- a\n- b\n",
    "scalar": "hello\n",
    "yaml tag": "base: !!python/object/apply:os.system ['touch pwned']\n",
    "alias bomb": "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nports: *c\n",
    "duplicate": "base: main\nbase: other\n",
    "bad port": "ports: ['a b']\n",
    "bad env name": "env: {'A B': x}\n",
    "fixed env name": "env: {WORK_TOPIC: x}\n",
    "unknown template": "env: {A: '{{ nothing }}'}\n",
    "template code": "branch: '{% for x in y %}'\n",
    "bad branch": "branch: '..'\n",
    "copy outside": "files: {copy: [{src: ../../etc/passwd}]}\n",
    "copy of git": "files: {copy: [{src: .git/config}]}\n",
    "dest outside": "files: {copy: [{src: .env.local, dest: ../x}]}\n",
    "everything disposable": "disposable: ['*']\n",
    "not yet": "prebuild: [make]\n",
    "broken": "base: [main\n",
    "deep": "[" * 3000,
    "tab": "\tbase: main\n",
    "ten megabytes": "# x\n" * 2_621_440,
    "binary": "\x00\x01\x02\x7f",
}


def test_bad_topics(person: Person, repo: Path) -> None:
    for topic in TOPICS:
        assert_refused(person, repo, ["new", topic])
    for topic in ("-x", "--force"):
        assert_refused(person, repo, ["new", "--", topic])


def test_bad_repos(person: Person, repo: Path) -> None:
    for url in URLS:
        assert_refused(person, repo, ["new", "x", f"--repo={url}"])


def test_bad_refs(person: Person, repo: Path) -> None:
    for ref in REFS:
        assert_refused(person, repo, ["new", "x", f"--base={ref}"])
        assert_refused(person, repo, ["new", "x", f"--branch={ref}"])
    assert_refused(person, repo, ["new", "x", "--base=nowhere"])


def test_bad_agents(person: Person, repo: Path) -> None:
    for agent in ("a/b", "..", "-x", "A", "a b", "x" * 40, "$(touch pwned)"):
        assert_refused(person, repo, ["new", "x", f"--agent={agent}"])


@pytest.mark.parametrize("name", SPECS)
def test_bad_spec(person: Person, repo: Path, name: str) -> None:
    (repo / "mooring.yaml").write_text(SPECS[name])
    said = assert_refused(person, repo, ["new", "x"])
    if name not in ("unknown template", "template code", "bad branch"):
        assert "mooring.yaml" in said


@pytest.mark.parametrize("data", [b"\xff\xfebase: main\n", b"base: \xe9\n"])
def test_spec_that_is_no_utf8(person: Person, repo: Path, data: bytes) -> None:
    (repo / "mooring.yaml").write_bytes(data)
    assert "mooring.yaml" in assert_refused(person, repo, ["new", "x"])


@pytest.mark.parametrize("name", ["config.yaml", "overrides/x.yaml"])
def test_bad_config_of_the_person(person: Person, repo: Path, name: str) -> None:
    path = person.home / ".config/mooring" / name
    path.parent.mkdir(parents=True)
    path.write_text("\nprots: [web]\n")
    assert f"{path} line 2" in assert_refused(person, repo, ["new", "x"])


def test_no_repo_here(person: Person, repo: Path) -> None:
    said = assert_refused(person, repo, ["new", "x"], cwd=person.home / "tmp")
    assert "hint: " in said


def test_repo_without_a_commit(person: Person, repo: Path) -> None:
    empty = person.home / "src/empty"
    person.git("init", empty)
    said = assert_refused(person, repo, ["new", "x"], cwd=empty)
    assert "no commit" in said


def assert_refused(person: Person, repo: Path, args: list[str], cwd: Path | None = None) -> str:
    """One message and nothing half-made: HOME, and the repo in it, are as they were."""
    before = listing(person.home)
    done = person.mooring(*args, cwd=cwd or repo, check=False)
    assert done.returncode in (1, 2), done
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    messages = [line for line in done.stderr.splitlines() if line.startswith(("Cannot", "Error:"))]
    assert len(messages) == 1, done.stderr
    assert len(done.stderr) < 1000
    assert listing(person.home) == before
    return done.stderr


def test_password_in_a_url_is_not_repeated(person: Person) -> None:
    url = "https://user:planted-secret@example.com/o/n"
    done = person.mooring("new", "x", "--repo", url, check=False)
    assert "planted-secret" not in done.stderr + done.stdout


@pytest.mark.parametrize("as_json", [False, True])
def test_dry_run_changes_nothing(person: Person, repo: Path, as_json: bool) -> None:
    before = listing(person.home)
    flags = ["--json"] if as_json else []
    done = person.mooring("new", "fix-login", "--dry-run", *flags, cwd=repo)
    place = str(repo.parent / "shop.worktrees/fix-login")
    if as_json:
        found = answer(done)
        assert found["dry_run"] is True
        assert found["worktree"] == place
        assert found["changed"] == ["claim", "worktree", "envrc", "session"]
    else:
        assert f"would make the worktree {place} on new branch fix-login" in done.stderr
    assert listing(person.home) == before


def test_dry_run_of_a_url_changes_nothing(person: Person, origin: str) -> None:
    before = listing(person.home)
    done = person.mooring("new", "fix-login", "--dry-run", "--repo", origin)
    assert f"{origin}; branch and files are known after it" in done.stderr
    assert listing(person.home) == before


def test_dry_run_of_a_resume_changes_nothing(person: Person, repo: Path) -> None:
    made(person, "fix-login", cwd=repo)
    person.mooring("end", "fix-login", cwd=repo)
    before = listing(person.home, without=("registry.db",), times=False)
    person.mooring("resume", "fix-login", "--dry-run", "--launch", "none", cwd=repo)
    assert listing(person.home, without=("registry.db",), times=False) == before


@pytest.mark.parametrize(
    "args", [("--help",), ("new", "--help"), ("list",), ("status", "fix-login"), ("sessions",)]
)
def test_imports_nothing_heavy(person: Person, repo: Path, args: tuple[str, ...]) -> None:
    made(person, "fix-login", cwd=repo)
    done = person.run(sys.executable, "-X", "importtime", "-m", "mooring", *args, cwd=repo)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "mooring.cli" in imported
    heavy = {name for name in imported if name.partition(".")[0] in ("pyinfra", "docker", "gevent")}
    assert heavy == set()


def test_completion(person: Person) -> None:
    script = person.run("mooring", env={"_MOORING_COMPLETE": "bash_source"}).stdout
    probe = """
COMP_WORDS=(mooring sta) COMP_CWORD=1
_mooring_completion mooring
printf '%s\\n' "${COMPREPLY[@]}"
"""
    done = person.run("bash", "--norc", "-c", f"{script}\n{probe}")
    assert done.stdout.split() == ["status"]


def test_registry_that_is_lost_is_made_anew(person: Person, repo: Path) -> None:
    """Records on targets are the truth: what the index lost, a run puts back."""
    place = made(person, "fix-login", cwd=repo)
    (before,) = rows(person)
    (person.home / ROOT / "registry.db").unlink()
    assert rows(person) == []
    assert made(person, "fix-login", cwd=repo) == place
    (after,) = rows(person)
    assert {**after, "updated_at": 0} == {**before, "updated_at": 0}
    (person.home / ROOT / "registry.db").unlink()
    person.mooring("end", "fix-login", cwd=repo)
    assert live(person.home) == []


def test_registry_that_is_broken_is_said(person: Person, repo: Path) -> None:
    made(person, "fix-login", cwd=repo)
    (person.home / ROOT / "registry.db").write_text("this is no database\n" * 100)
    done = person.mooring("list", check=False)
    assert done.returncode == 1
    assert "Cannot use the registry" in done.stderr
    assert "Traceback" not in done.stderr
    sh(person, done.stderr.partition("hint: ")[2], repo)
    assert made(person, "fix-login", cwd=repo).is_dir()


def test_record_that_is_broken_is_said(person: Person, repo: Path) -> None:
    made(person, "fix-login", cwd=repo)
    (record,) = (person.home / ROOT / "records").glob("*/*/*.json")
    record.write_text("{")
    done = person.mooring("new", "fix-login", cwd=repo, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "Cannot read the workspace's record" in done.stderr


@pytest.mark.parametrize("interrupt", [os.killpg, os.kill])
def test_interrupt(person: Person, repo: Path, interrupt: Callable[[int, int], None]) -> None:
    """Ctrl-C at the terminal, or `kill -INT`, while git checks out: the next run converges."""
    began = person.home / "began"
    hook(repo, f"touch {began}; sleep 2")
    process = subprocess.Popen(
        [sys.executable, "-m", "mooring", "new", "fix-login"],
        cwd=repo,
        env=person.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not began.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    interrupt(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGINT)
    assert stdout == ""
    assert "Traceback" not in stderr
    hook(repo, ":")
    made(person, "fix-login", cwd=repo)
    assert [record["state"] for record in records(person.home)] == ["ready"]
    assert leftovers(person.home) == []


def test_session_is_kept_when_a_topic_is_used_anew(person: Person, repo: Path) -> None:
    first = answer(person.mooring("new", "fix-login", "--json", cwd=repo))
    person.mooring("end", "fix-login", cwd=repo)
    commit(person, repo, {"more.txt": "more\n"})
    person.git("branch", "release", cwd=repo)
    words = ("new", "fix-login", "--json", "--base", "release", "--branch", "other")
    second = answer(person.mooring(*words, cwd=repo))
    assert second["session"] == first["session"]
    assert (second["branch"], second["base"]) == ("other", "release")
    (session,) = json.loads(person.mooring("sessions", "--json").stdout)
    assert (session["branch"], session["base_ref"]) == ("other", "release")
    assert session["state"] == "reserved"


def test_resume_in_a_new_worktree(person: Person, repo: Path) -> None:
    place = made(person, "fix-login", cwd=repo)
    tip = commit(person, place, {"work.txt": "done\n"})
    done = person.mooring(
        "resume", "fix-login", "--new-worktree", "--launch", "none", cwd=repo, check=False
    )
    assert done.returncode == 1
    assert f"{place} exists" in done.stderr
    person.mooring("end", "fix-login", cwd=repo)
    person.git("branch", "-D", "fix-login", cwd=repo)
    done = person.mooring("resume", "fix-login", "--new-worktree", "--launch", "none", cwd=repo)
    assert head(person, Path(done.stdout.strip())) == tip
    assert "rebuilt" in done.stderr
