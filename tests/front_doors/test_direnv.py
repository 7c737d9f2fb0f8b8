"""The environment, in real direnv: right in each workspace, gone after it, and nobody's door."""

from __future__ import annotations

import json
import shlex
import uuid
from pathlib import Path

import pytest

from tests.git.traces import branches, made, rows, status
from tests.support import Done, Person, commit, need

SECRET_LIKE = """it's "q" $HOME `touch pwned` $(touch pwned) \\ ; touch pwned # é"""


@pytest.fixture
def direnv(person: Person) -> str:
    """direnv, of which older ones look for a home under XDG_DATA_HOME too."""
    return need("direnv")


def env(person: Person, direnv: str, place: Path, check: bool = True) -> dict[str, str]:
    """What `direnv exec PLACE env` shows."""
    done = person.run(direnv, "exec", place, "env", "-0", check=check)
    return dict(item.partition("=")[::2] for item in done.stdout.split("\0") if item)


def config(person: Person, text: str) -> None:
    path = person.home / ".config/mooring/config.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def shell(person: Person, script: str, cwd: Path) -> Done:
    """A bash with direnv's hook; `prompt` stands for the prompt that calls it."""
    start = f'eval "$({need("direnv")} hook bash)"; prompt() {{ eval "$PROMPT_COMMAND"; }}\n'
    return person.run("bash", "--norc", "-c", start + script, cwd=cwd, env={"PS1": "$ "})


def ports(person: Person, topic: str) -> dict[str, int]:
    (found,) = (row["ports"] for row in rows(person) if row["topic"] == topic)
    assert isinstance(found, dict)
    return found


def test_two_workspaces_at_once(person: Person, repo: Path, direnv: str) -> None:
    commit(person, repo, {"mooring.yaml": "ports: [web]\n"})
    one = made(person, "one", cwd=repo)
    two = made(person, "two", "--agent", "bot", cwd=repo)
    sessions = {row["topic"]: row["session"] for row in rows(person)}
    for topic, agent, branch, place in (
        ("one", "dev", "one", one),
        ("two", "bot", "bot/two", two),
    ):
        found = env(person, direnv, place)
        mine = ports(person, topic)
        assert {
            name: value for name, value in found.items() if name.startswith(("WORK_", "PORT"))
        } == {
            "WORK_TOPIC": topic,
            "WORK_BRANCH": branch,
            "WORK_AGENT": agent,
            "WORK_REPO": str(repo),
            "PORT": str(mine["PORT"]),
            "PORT_WEB": str(mine["PORT_WEB"]),
        }
        assert found["CLAUDE_SESSION_ID"] == sessions[topic]
    assert set(ports(person, "one").values()).isdisjoint(ports(person, "two").values())


def test_unset_after_leaving(person: Person, repo: Path) -> None:
    one, two = made(person, "one", cwd=repo), made(person, "two", cwd=repo)
    script = f"""
show() {{
  prompt 2>/dev/null
  echo "${{WORK_TOPIC-none}} ${{CLAUDE_SESSION_ID:+id}} ${{PORT:+p}}"
}}
cd {one}; show
cd {two}; show
cd {repo}; show
cd {one}/app; show
cd /; show
env | grep -c '^WORK_' || true
"""
    lines = shell(person, script, repo).stdout.splitlines()
    assert [line.strip() for line in lines] == [
        "one id p",
        "two id p",
        "none",
        "one id p",
        "none",
        "0",
    ]


def test_names_of_another_workspace_do_not_leak(person: Person, repo: Path, direnv: str) -> None:
    place = made(person, "one", cwd=repo)
    leaked = {"WORK_ISSUE": "X-1", "WORK_PIPELINE_ID": "7", "CLAUDE_SESSION_ID": "junk"}
    done = person.run(direnv, "exec", place, "env", env=leaked)
    assert "WORK_ISSUE=" not in done.stdout
    assert "WORK_PIPELINE_ID=" not in done.stdout
    assert "CLAUDE_SESSION_ID=junk" not in done.stdout


def test_a_new_session_shows_without_a_new_allow(person: Person, repo: Path) -> None:
    place = made(person, "one", cwd=repo)
    new = str(uuid.uuid4())
    script = f"""
cd {place}; prompt 2>/dev/null; echo "$CLAUDE_SESSION_ID"
sleep 1.1; echo {new} >.mooring/session
prompt 2>/dev/null; echo "$CLAUDE_SESSION_ID"
"""
    before, after = shell(person, script, repo).stdout.split()
    assert before == rows(person)[0]["session"]
    assert after == new


@pytest.mark.parametrize(
    "junk",
    [
        "",
        "not a uuid\n",
        "$(touch pwned)\n",
        "`touch pwned`-4e86-4648-a790-91c8af8e891c\n",
        "4E866055-223D-4648-A790-91C8AF8E891C\n",
        "\x00\x01\x02",
        "x" * 100_000,
        "a[$(touch pwned)]\n",
    ],
)
def test_junk_in_the_session_file_is_nothing(
    person: Person, repo: Path, direnv: str, junk: str
) -> None:
    place = made(person, "one", cwd=repo)
    (place / ".mooring/session").write_text(junk)
    found = env(person, direnv, place)
    assert "CLAUDE_SESSION_ID" not in found
    assert found["WORK_TOPIC"] == "one"
    assert_nothing_ran(person)


@pytest.mark.parametrize("kind", ["link", "fifo", "directory", "missing"])
def test_no_plain_session_file_is_nothing(
    person: Person, repo: Path, direnv: str, kind: str
) -> None:
    place = made(person, "one", cwd=repo)
    session = place / ".mooring/session"
    (person.home / "elsewhere").write_text(session.read_text())
    session.unlink()
    if kind == "link":
        session.symlink_to(person.home / "elsewhere")
    elif kind == "fifo":
        person.run("mkfifo", session)
    elif kind == "directory":
        session.mkdir()
    assert "CLAUDE_SESSION_ID" not in env(person, direnv, place)


def test_the_repos_env_is_blocked_and_said(person: Person, repo: Path, direnv: str) -> None:
    commit(person, repo, {"mooring.yaml": "env: {EVIL: value, LD_PRELOAD: /tmp/evil.so}\n"})
    done = person.mooring("new", "one", cwd=repo)
    place = Path(done.stdout.strip())
    assert "direnv blocks" in done.stderr
    assert f"hint: direnv allow {place}/.envrc" in done.stderr
    blocked = person.run(direnv, "exec", place, "env", check=False)
    assert "is blocked" in blocked.stderr
    assert "EVIL" not in blocked.stdout
    ran = person.mooring("run", "one", "--", "env", cwd=repo).stdout
    assert "WORK_TOPIC=one" in ran
    assert "EVIL" not in ran
    assert "LD_PRELOAD" not in ran
    assert "unchanged" in person.mooring("new", "one", cwd=repo).stderr
    hint = done.stderr.partition("hint: ")[2].splitlines()[0]
    person.run("sh", "-c", hint)
    assert env(person, direnv, place)["EVIL"] == "value"


def test_an_env_that_appears_takes_the_approval_away(
    person: Person, repo: Path, direnv: str
) -> None:
    place = made(person, "one", cwd=repo)
    assert env(person, direnv, place)["WORK_TOPIC"] == "one"
    commit(person, repo, {"mooring.yaml": "env: {EVIL: value}\n"})
    done = person.mooring("new", "one", cwd=repo)
    assert "direnv blocks" in done.stderr
    assert "is blocked" in person.run(direnv, "exec", place, "env", check=False).stderr


def test_a_persons_own_env_is_allowed(person: Person, repo: Path, direnv: str) -> None:
    config(person, 'env: {DATABASE_URL: "postgresql://localhost/{{ slug }}", WEB: "{{ PORT }}"}\n')
    place = made(person, "fix-login", cwd=repo)
    found = env(person, direnv, place)
    assert found["DATABASE_URL"] == "postgresql://localhost/fix_login"
    assert found["WEB"] == found["PORT"]
    ran = person.mooring("run", "fix-login", "--", "env", cwd=repo).stdout
    assert "DATABASE_URL=postgresql://localhost/fix_login\n" in ran
    assert f"WEB={found['PORT']}\n" in ran


def test_an_override_for_one_topic(person: Person, repo: Path, direnv: str) -> None:
    config(person, "env: {LEVEL: user}\n")
    commit(person, repo, {"mooring.yaml": "env: {LEVEL: repo}\n"})
    overrides = person.home / ".config/mooring/overrides"
    overrides.mkdir()
    (overrides / "one.yaml").write_text("env: {LEVEL: override}\n")
    one, two = made(person, "one", cwd=repo), made(person, "two", cwd=repo)
    assert "export LEVEL='override'" in (one / ".envrc").read_text()
    assert "export LEVEL='repo'" in (two / ".envrc").read_text()
    for topic, level in (("one", "override"), ("two", "user")):
        ran = person.mooring("run", topic, "--", "sh", "-c", "echo $LEVEL", cwd=repo)
        assert ran.stdout.strip() == level


def test_a_tracked_envrc_is_never_overwritten(person: Person, repo: Path, direnv: str) -> None:
    theirs = "export THEIRS=1\n"
    (repo / ".envrc").write_text(theirs)
    person.git("add", "--force", ".envrc", cwd=repo)
    person.git("commit", "-m", "Their own", cwd=repo)
    done = person.mooring("new", "one", cwd=repo)
    place = Path(done.stdout.strip())
    assert (place / ".envrc").read_text() == theirs
    assert status(person, place) == ""
    assert f'source_env "{place}/.mooring/envrc"' in done.stderr
    assert "is blocked" in person.run(direnv, "exec", place, "env", check=False).stderr
    with (place / ".envrc").open("a") as envrc:
        envrc.write(f'source_env "{place}/.mooring/envrc"\n')
    person.run(direnv, "allow", place)
    found = env(person, direnv, place)
    assert (found["THEIRS"], found["WORK_TOPIC"]) == ("1", "one")
    assert "unchanged" in person.mooring("new", "one", cwd=repo).stderr


def test_an_envrc_tracked_on_the_branch_alone(person: Person, repo: Path) -> None:
    person.git("switch", "--create", "one", cwd=repo)
    (repo / ".envrc").write_text("export THEIRS=1\n")
    person.git("add", "--force", ".envrc", cwd=repo)
    person.git("commit", "-m", "On the branch", cwd=repo)
    person.git("switch", "main", cwd=repo)
    place = made(person, "one", cwd=repo)
    assert (place / ".envrc").read_text() == "export THEIRS=1\n"
    assert status(person, place) == ""


def test_main_has_an_envrc_of_its_own(person: Person, repo: Path) -> None:
    """Untracked and ignored there: ours may be `.envrc`, theirs stays as it is."""
    (repo / ".envrc").write_text("export MINE=1\n")
    place = made(person, "one", cwd=repo)
    assert (repo / ".envrc").read_text() == "export MINE=1\n"
    assert "WORK_TOPIC='one'" in (place / ".envrc").read_text()
    person.mooring("end", "one", cwd=repo)
    assert (repo / ".envrc").read_text() == "export MINE=1\n"


@pytest.mark.parametrize(
    "name",
    ["x'$(touch${IFS}pwned)'", "a`touch${IFS}pwned`b", "a;touch${IFS}pwned", 'a"$(id)"', "é"],
)
def test_hostile_branch_names_run_nothing(
    person: Person, repo: Path, direnv: str, name: str
) -> None:
    person.git("branch", name, cwd=repo)
    place = made(person, "one", "--branch", name, cwd=repo)
    assert env(person, direnv, place)["WORK_BRANCH"] == name
    ran = person.mooring("run", "one", "--", "printenv", "WORK_BRANCH", cwd=repo)
    assert ran.stdout == f"{name}\n"
    assert "unchanged" in person.mooring("new", "one", cwd=repo).stderr
    person.mooring("end", "one", cwd=repo)
    assert name in branches(person, repo)
    assert_nothing_ran(person)


@pytest.mark.parametrize(
    "value", [SECRET_LIKE, "line\nline", "tab\tbell\x07", "", " spaced ", "-n", "é日本", "'", "\\'"]
)
def test_odd_values_arrive_as_they_are(person: Person, repo: Path, direnv: str, value: str) -> None:
    config(person, f"env: {{ODD: {json.dumps(value, ensure_ascii=False)}}}\n")
    place = made(person, "one", cwd=repo)
    assert env(person, direnv, place)["ODD"] == value
    script = ("sh", "-c", 'printf %s "$ODD"')
    assert person.mooring("run", "one", "--", *script, cwd=repo).stdout == value
    exports = [line for line in (place / ".envrc").read_text().split("\n") if "ODD=" in line]
    assert len(exports) == 1
    assert_nothing_ran(person)


def test_a_hostile_repo_path_runs_nothing(person: Person, repo: Path, direnv: str) -> None:
    """Without `$(…)` and `"`: direnv 2.32 itself runs or loses them when it loads a path."""
    odd = repo.rename(repo.parent / "it's odd;touch pwned & #")
    place = made(person, "one", cwd=odd)
    assert env(person, direnv, place)["WORK_REPO"] == str(odd)
    shell(person, f"cd {shlex.quote(str(place))}; prompt", odd)
    assert_nothing_ran(person)


def test_an_edited_envrc_is_saved_and_not_allowed(person: Person, repo: Path, direnv: str) -> None:
    """direnv knows content, not names: the edit is blocked, then ours again, the edit kept."""
    place = made(person, "one", cwd=repo)
    with (place / ".envrc").open("a") as envrc:
        envrc.write("touch $HOME/pwned\n")
    person.run(direnv, "exec", place, "true", check=False)
    assert_nothing_ran(person)
    person.mooring("new", "one", cwd=repo)
    assert env(person, direnv, place)["WORK_TOPIC"] == "one"
    (saved,) = (place / ".mooring/saved").iterdir()
    assert "touch $HOME/pwned" in saved.read_text()
    assert_nothing_ran(person)


def assert_nothing_ran(person: Person) -> None:
    assert list(person.home.rglob("pwned")) == []
