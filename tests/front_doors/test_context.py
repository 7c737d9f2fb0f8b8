"""What is meant where little is said, and what a workspace keeps: at the command line, for real."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from mooring.cli import cli
from tests.claude.desk import Desk
from tests.claude.stub import MessagesStub
from tests.claude.terminal import Terminal
from tests.git.traces import ROOT, branches, head, listing, live, made, rows
from tests.support import PROJECT, Done, Person, commit, link, make_home, make_person, need


@pytest.fixture
def elsewhere(person: Person) -> Path:
    """A directory in which there is no workspace, and no repo."""
    return person.home / "tmp"


def topics(done: Done) -> list[str]:
    """The topics of an answer in JSON, be it one object or a list."""
    found = json.loads(done.stdout)
    return sorted({row["topic"] for row in (found if isinstance(found, list) else [found])})


def status(person: Person, topic: str, cwd: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads(person.mooring("status", topic, "--json", cwd=cwd).stdout)
    return found


# What is meant


def test_what_is_meant_if_little_is_said(person: Person, repo: Path, elsewhere: Path) -> None:
    one = made(person, "one", "--pipeline", "p7", cwd=repo)
    made(person, "two", "--pipeline", "p7", cwd=repo)
    made(person, "three", "--pipeline", "p8", cwd=repo)
    moved = person.home / "moved"
    person.git("worktree", "move", one, moved, cwd=repo)
    topic, pipeline = {"WORK_TOPIC": "two"}, {"WORK_PIPELINE_ID": "p8"}
    stand = "(using the workspace you stand in: one)\n"
    cases = [
        (["three"], moved, {**topic, **pipeline}, ["three"], ""),
        (["three", "--pipeline", "p8"], moved, {**topic, **pipeline}, ["three"], ""),
        (["--pipeline", "p7"], moved, {**topic, **pipeline}, ["one", "two"], ""),
        ([], moved, {**topic, **pipeline}, ["two"], "(using $WORK_TOPIC: two)\n"),
        ([], moved, pipeline, ["one"], stand),
        ([], moved / "app", {}, ["one"], stand),
        ([], elsewhere, pipeline, ["three"], "(using $WORK_PIPELINE_ID: p8)\n"),
    ]
    for words, where, env, meant, said in cases:
        done = person.mooring("status", *words, "--json", cwd=where, env=env)
        assert (topics(done), done.stderr) == (meant, said), (words, where, env)
    for words, where, env, meant, said in cases[2:5]:
        done = person.mooring("sessions", *words, "--json", cwd=where, env=env)
        assert (topics(done), done.stderr) == (meant, said), (words, where, env)
    assert topics(person.mooring("sessions", "--json", cwd=elsewhere)) == ["one", "three", "two"]
    for verb in ("status", "end"):
        done = person.mooring(verb, cwd=elsewhere, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        assert "Cannot tell which workspace is meant: name its topic" in done.stderr
    done = person.mooring("end", "--json", cwd=moved / "app", env=pipeline)
    assert (topics(done), stand in done.stderr) == (["one"], True)
    assert not moved.exists()
    done = person.mooring("end", "--json", "--yes", cwd=elsewhere, env=pipeline)
    assert topics(done) == ["three"]
    assert "(using $WORK_PIPELINE_ID: p8)\n" in done.stderr
    assert [record["topic"] for record in live(person.home)] == ["two"]


def test_which_workspaces_are_listed(person: Person, repo: Path) -> None:
    one = made(person, "one", "--pipeline", "p7", cwd=repo)
    made(person, "two", cwd=repo)
    env = {"WORK_PIPELINE_ID": "p7", "WORK_TOPIC": "two"}
    for words, where, found, said in (
        ([], one, ["one"], "(using $WORK_PIPELINE_ID: p7)\n"),
        (["--pipeline", "p7"], repo, ["one"], ""),
        (["--all"], one, ["one", "two"], ""),
    ):
        done = person.mooring("list", "--json", *words, cwd=where, env=env)
        assert (topics(done), done.stderr) == (found, said)
    assert topics(person.mooring("list", "--json", cwd=one)) == ["one", "two"]


def test_end_of_several_asks(person: Person, repo: Path, elsewhere: Path) -> None:
    places = [made(person, name, "--pipeline", "p7", cwd=repo) for name in ("one", "two", "three")]
    made(person, "other", cwd=repo)
    question = "End 3 workspaces of pipeline p7: one, three, two"
    for words, env in ((["--pipeline", "p7"], {}), ([], {"WORK_PIPELINE_ID": "p7"})):
        done = person.mooring("end", *words, cwd=elsewhere, env=env, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"{question}: not without being asked on a terminal" in done.stderr
        assert "hint: add: --yes" in done.stderr
    with Terminal(person, "mooring", "end", "--pipeline", "p7") as terminal:
        terminal.wait_for(f"{question} [y/N]:")
        terminal.type("n")
        assert terminal.wait() == 130
    assert len(live(person.home)) == 4
    (places[1] / "mine.txt").write_text("mine\n")
    with Terminal(person, "mooring", "end", "--pipeline", "p7") as terminal:
        terminal.wait_for(f"{question} [y/N]:")
        terminal.type("y")
        assert terminal.wait() == 1
        assert "untracked: mine.txt" in terminal.screen
    assert [place.exists() for place in places] == [False, True, False]
    done = person.mooring("end", "--pipeline", "p7", "--yes", "--force", "--json", cwd=elsewhere)
    assert topics(done) == ["two"]
    assert [record["topic"] for record in live(person.home)] == ["other"]
    done = person.mooring("end", "--pipeline", "p7", "--yes", cwd=elsewhere, check=False)
    assert done.returncode == 1
    assert "There is no workspace of pipeline 'p7'" in done.stderr


@pytest.mark.parametrize("verb", ["status", "end", "sessions", "list", "new"])
def test_an_empty_pipeline_is_none(person: Person, repo: Path, verb: str) -> None:
    one = made(person, "one", "--pipeline", "p7", cwd=repo)
    made(person, "two", cwd=repo)
    flags = {"end": ["--yes", "--force"], "new": ["one"]}.get(verb, [])
    before = listing(person.home, without=("registry.db",), times=False)
    for where, env in ((repo, {}), (one, {"WORK_PIPELINE_ID": "p7", "WORK_TOPIC": "one"})):
        done = person.mooring(verb, "--pipeline", "", *flags, cwd=where, env=env, check=False)
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert "Cannot use '' as" in done.stderr
    assert listing(person.home, without=("registry.db",), times=False) == before


def test_a_topic_with_another_pipeline(person: Person, repo: Path) -> None:
    one = made(person, "one", "--pipeline", "p7", cwd=repo)
    made(person, "two", "--pipeline", "p8", cwd=repo)
    for verb in ("status", "end"):
        for where in (repo, one):
            words = (verb, "one", "--pipeline", "p8")
            done = person.mooring(*words, cwd=where, check=False)
            assert (done.returncode, done.stdout) == (1, ""), done.stderr
            assert "There is no workspace 'one'" in done.stderr
    assert json.loads(person.mooring("sessions", "one", "--pipeline", "p8", "--json").stdout) == []
    assert len(live(person.home)) == 2


def options() -> Iterator[tuple[str, ...]]:
    """Every command with every option of it that takes a value, as words.

    But for `--fork`, whose value is looked at once there is a conversation to fork.
    """
    verbs: list[tuple[tuple[str, ...], click.Command]] = []
    for name, command in cli.commands.items():
        if isinstance(command, click.Group):
            for sub, inner in command.commands.items():
                verbs.append(((name,) if inner.hidden else (name, sub), inner))
        else:
            verbs.append(((name,), command))
    for words, command in verbs:
        needed = (item for item in command.params if isinstance(item, click.Argument))
        given = [
            ".gitignore" if isinstance(item.type, click.Path) else "one"
            for item in needed
            if item.name == "topic" or item.required
        ]
        for item in command.params:
            if isinstance(item, click.Option) and not item.is_flag and item.name != "fork":
                yield (*words, *given, item.opts[0])


def test_a_flag_is_no_value(person: Person, repo: Path) -> None:
    """A forgotten value swallows the next word: nothing may come of it."""
    made(person, "one", cwd=repo)
    (repo / ".claude-sessions.json").write_text("{}")
    before = listing(person.home, without=("registry.db",), times=False)
    calls = list(options())
    assert len(calls) > 30
    taken = []
    for words in calls:
        behind = ("--", "true") if "run" in words[:2] else ()
        done = person.mooring(*words, "--json", *behind, cwd=repo, check=False)
        assert "Traceback" not in done.stderr
        if (done.returncode, done.stdout) != (2, "") or "--json" not in done.stderr:
            taken.append((words, done.returncode, done.stderr))
    assert taken == []
    assert listing(person.home, without=("registry.db",), times=False) == before


# Stacked branches and issues


def test_stack_on_what_was_not_pushed(person: Person, origin: str, elsewhere: Path) -> None:
    parent = made(person, "parent", "--repo", origin, cwd=elsewhere)
    tip = commit(person, parent, {"parent.txt": "parent\n"})
    child = made(person, "child", "--stack", cwd=parent / "app")
    found = status(person, "child", elsewhere)
    assert (found["parent"], found["base"], found["repo"]) == (
        "parent",
        "parent",
        status(person, "parent", elsewhere)["repo"],
    )
    assert head(person, child) == tip
    assert branches(person, child).count("child") == 1
    assert "| stacked on | `parent` |" in (child / ".session-context.md").read_text()
    person.git("switch", "--create", "aside", cwd=parent)
    aside = commit(person, parent, {"aside.txt": "aside\n"})
    second = made(person, "second", "--stack", cwd=parent)
    assert head(person, second) == aside
    assert status(person, "second", elsewhere)["base"] == "aside"
    person.git("switch", "--detach", tip, cwd=parent)
    third = made(person, "third", "--stack", cwd=parent)
    assert head(person, third) == tip
    assert person.git("branch", "--show-current", cwd=third).stdout == "third\n"


def test_a_parent_that_is_merged(person: Person, repo: Path) -> None:
    parent = made(person, "parent", cwd=repo)
    commit(person, parent, {"parent.txt": "parent\n"})
    child = made(person, "child", "--stack", cwd=parent)
    commit(person, child, {"child.txt": "child\n"})
    found = status(person, "child", repo)
    assert (found["parent_merged"], found["rebase"]) == (False, "")
    commit(person, parent, {"parent.txt": "parent, improved\n"})
    commit(person, repo, {"main.txt": "main went on\n"})
    found = status(person, "child", repo)
    assert (found["parent_merged"], found["rebase"]) == (False, "")
    person.git("merge", "--no-ff", "--no-edit", "parent", cwd=repo)
    found = status(person, "child", repo)
    assert found["parent_merged"] is True
    text = person.mooring("status", "child", cwd=repo).stdout
    offered = next(line for line in text.splitlines() if line.startswith("rebase "))
    line = offered.removeprefix("rebase").strip()
    assert line == found["rebase"]
    assert line.startswith("git ")
    person.run("sh", "-c", line)
    assert person.git("log", "--format=%s", "main..HEAD", cwd=child).stdout == "Write child.txt\n"
    assert person.git("status", "--porcelain", cwd=child).stdout == ""
    found = status(person, "child", repo)
    assert (found["parent_merged"], found["rebase"]) == (True, "")
    person.mooring("end", "parent", cwd=repo)
    assert status(person, "child", repo)["parent_merged"] is True
    person.mooring("end", "child", cwd=repo)


def test_refused_stacks(person: Person, repo: Path) -> None:
    one = made(person, "one", cwd=repo)
    for words, where, said in (
        (["two"], repo, "you stand in no workspace"),
        (["one"], one, "Cannot stack 'one' on itself"),
        (["two", "--base", "main"], one, "--stack is a base"),
    ):
        done = person.mooring("new", *words, "--stack", cwd=where, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr
    assert [record["topic"] for record in live(person.home)] == ["one"]


ISSUES = {
    "12": "12",
    "#12": "12",
    "LIN-123": "LIN-123",
    "https://github.com/owner/shop/issues/12": "12",
    "https://gitlab.com/owner/shop/-/issues/12#note_7": "12",
    "https://linear.app/shop/issue/LIN-123/the-login-page": "LIN-123",
    "https://shop.atlassian.net/browse/SHOP-9?focused=1": "SHOP-9",
}


def test_forms_of_an_issue(person: Person, repo: Path) -> None:
    dry = ("--dry-run", "--json")
    for said, key in ISSUES.items():
        found = json.loads(person.mooring("new", "fix", "--issue", said, *dry, cwd=repo).stdout)
        assert (found["issue"], found["branch"]) == (key, f"issue-{key}-fix")
    for said in ("https://github.com/owner/shop/pull/x y", "a b", "../up", "https://example.com/"):
        done = person.mooring("new", "fix", "--issue", said, *dry, cwd=repo, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        assert "as issue" in done.stderr
    assert live(person.home) == []


def test_a_branch_for_an_issue(person: Person, repo: Path) -> None:
    fix = made(person, "fix", "--issue", "LIN-123", cwd=repo)
    bot = made(person, "fix", "--agent", "bot", "--issue", "#12", cwd=repo)
    named = made(person, "named", "--issue", "12", "--branch", "mine/x", cwd=repo)
    found = [
        person.git("branch", "--show-current", cwd=place).stdout.strip()
        for place in (fix, bot, named)
    ]
    assert found == ["issue-LIN-123-fix", "bot/issue-12-fix", "mine/x"]
    shown = person.mooring("run", "named", "--", "sh", "-c", "echo $WORK_ISSUE", cwd=repo)
    assert shown.stdout == "12\n"
    assert "issue `LIN-123`" in (fix / ".session-context.md").read_text()


# What stays


def test_what_was_written_in_the_context_stays(person: Person, repo: Path) -> None:
    place = made(person, "one", cwd=repo)
    file = place / ".session-context.md"
    generated, line, below = file.read_text().partition("<!-- mooring: ")
    assert line
    assert re.findall(r"^## (\w+)$", below, re.M) == ["Task", "Decisions", "Blockers"]
    mine = below.replace("## Decisions\n", "## Decisions\n\n- `$(touch pwned)` — größer, 漢字\n")
    mine += "\n## Mine\n\nno newline at the end"
    file.write_text(f"{generated}{line}{mine}")
    assert "unchanged" in person.mooring("new", "one", cwd=repo).stderr
    assert file.read_text() == f"{generated}{line}{mine}"
    commit(person, repo, {"mooring.yaml": "ports: [web]\n"})
    made(person, "one", cwd=repo)
    assert "PORT_WEB=" in file.read_text().partition(line)[0]
    assert file.read_text().partition(line)[2] == mine
    person.mooring("end", "one", cwd=repo)
    assert not place.exists()
    person.mooring("resume", "one", "--launch", "none", cwd=repo)
    assert file.read_text().partition(line)[2] == mine
    assert "PORT_WEB=" in file.read_text().partition(line)[0]
    file.write_text(file.read_text() + ", still none")
    person.mooring("end", "one", cwd=repo)
    assert made(person, "one", "--fresh", cwd=repo) == place
    assert file.read_text().partition(line)[2] == f"{mine}, still none"
    assert person.git("status", "--porcelain", cwd=place).stdout == ""


def test_sessions_go_to_another_home_and_back(
    claude_person: Person, repo: Path, stub: MessagesStub, tmp_path: Path
) -> None:
    desk = Desk(claude_person, repo, stub)
    unseen = desk.claude(repo, "marker-unseen")
    _, session = desk.begin("one", "marker-one")
    two = desk.row(desk.new("two").name)["session"]
    desk.mooring("end", "one")
    everything = json.loads(desk.mooring("sessions", "--all", "--json").stdout)
    found = {row["session_id"]: row for row in everything}
    assert set(found) == {unseen, session}  # the other one has no transcript
    assert [found[unseen][name] for name in ("state", "topic")] == ["recorded", ""]
    assert [found[session][name] for name in ("state", "topic")] == ["cleared", "one"]
    assert found[unseen]["first_prompt"] == "marker-unseen"
    table = desk.mooring("sessions", "--all").stdout
    assert re.search(rf"^{unseen} +recorded +- +\d+\+? +\d+[smhd] .*marker-unseen$", table, re.M)
    text = desk.mooring("sessions", "export").stdout
    form = json.loads(text)
    assert {topic: entry["sessionId"] for topic, entry in form.items()} == {
        "one": session,
        "two": two,
    }
    assert set(form["one"]) == {
        "sessionId",
        "branch",
        "baseRef",
        "createdAt",
        "capturedAt",
        "clearedAt",
    }
    assert form["one"]["clearedAt"]
    assert (form["two"]["clearedAt"], form["two"]["capturedAt"]) == (None, None)
    assert "nothing new" in desk.mooring("sessions", "import", "-", input=text).stderr
    assert desk.mooring("sessions", "export").stdout == text

    other = make_person(make_home(tmp_path / "other")).with_claude(stub)
    there = Desk(other, repo, stub)
    (other.home / "sessions.json").write_text(text)
    words = ("sessions", "import", other.home / "sessions.json")
    assert there.mooring(*words).stderr == "imported one, two\n"
    assert there.mooring("sessions", "export").stdout == text
    assert "nothing new to import" in there.mooring(*words).stderr
    done = there.turn("resume", "one", say="no", check=False)  # its transcript isn't there yet
    assert (done.returncode, done.stdout) == (1, "")
    (other.home / ".claude").mkdir(exist_ok=True)
    (claude_person.home / ".claude/projects").rename(other.home / ".claude/projects")
    there.turn("resume", "one", say="marker-two")
    assert there.heard("marker-one", "marker-two") == ["marker-one", "marker-two"]
    row = there.row("one")
    assert (row["session"], row["branch"], row["base"]) == (session, "one", "main")
    done = there.mooring("resume", "one", "--fork", "--json", check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Cannot use '--json' as --fork" in done.stderr
    again = json.loads(there.mooring("sessions", "export").stdout)
    assert again["one"]["sessionId"] == session
    assert again["one"]["clearedAt"] is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Cannot read the sessions"),
        ("[]", "Cannot read the sessions"),
        ('{"one": {}}', "Cannot read the sessions"),
        ('{"one": {"sessionId": "../../x"}}', "has no session id"),
        ('{"../up": {"sessionId": "8f14e45f-ceea-467f-a0e6-8a1d9f2c3b4d"}}', "as topic"),
    ],
)
def test_what_cannot_be_imported(person: Person, repo: Path, text: str, said: str) -> None:
    good = {"good": {"sessionId": "8f14e45f-ceea-467f-a0e6-8a1d9f2c3b4c"}}
    if text.startswith("{"):
        text = json.dumps({**good, **json.loads(text)})
    done = person.mooring("sessions", "import", "-", cwd=repo, input=text, check=False)
    assert (done.returncode in (1, 2), done.stdout) == (True, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads(person.mooring("sessions", "export", cwd=repo).stdout) == {}


def findings(person: Person, *words: str) -> dict[str, list[str]]:
    """What the doctor found, by what it looked at: the worst state, and all texts and hints."""
    items = json.loads(person.mooring("doctor", "--json", *words, check=False).stdout)
    found: dict[str, list[str]] = {}
    for item in items:
        found.setdefault(item["what"], []).append(f"{item['state']} {item['text']} {item['hint']}")
    return found


def test_doctor(person: Person, repo: Path) -> None:
    place = made(person, "one", cwd=repo)
    assert findings(person)["hooks"] == ["ok in 1 workspaces "]
    (place / ".claude/settings.local.json").write_text('{"permissions": {"allow": ["Bash(ls)"]}}')
    (finding,) = findings(person)["hooks"]
    assert finding.startswith("warn one: conversations begun by hand there are not noticed")
    hint = finding[finding.index("mooring new") :]
    person.run("sh", "-c", hint)
    assert findings(person)["hooks"] == ["ok in 1 workspaces "]
    settings = person.home / ".claude/settings.json"
    (finding,) = findings(person)["cleanup"]
    assert finding.startswith("warn Claude deletes transcripts that were not written to for 30 d")
    assert finding.endswith(" mooring doctor --keep-transcripts")
    theirs = {"model": "opus", "hooks": {"Stop": []}, "env": {"A": "größer"}}
    settings.parent.mkdir(exist_ok=True)
    settings.write_text(json.dumps({**theirs, "cleanupPeriodDays": 7}))
    settings.chmod(0o640)
    assert "for 7 days" in findings(person)["cleanup"][0]
    done = person.mooring("doctor", "--keep-transcripts")
    assert f"set cleanupPeriodDays to 3650 in {settings}" in done.stderr
    assert "ok    cleanup: transcripts are kept for 3650 days" in done.stdout
    assert json.loads(settings.read_text()) == {**theirs, "cleanupPeriodDays": 3650}
    assert settings.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in settings.parent.glob("settings.json*")] == ["settings.json"]
    settings.write_text(json.dumps({**theirs, "disableAllHooks": True}))
    assert any("disableAllHooks" in text for text in findings(person)["hooks"])


@pytest.mark.parametrize("text", ['{"model": "opus",', "[]", "// mine\n{}"])
def test_doctor_leaves_what_is_no_json(person: Person, text: str) -> None:
    settings = person.home / ".claude/settings.json"
    settings.parent.mkdir()
    settings.write_text(text)
    done = person.mooring("doctor", "--keep-transcripts", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"Cannot change {settings}" in done.stderr
    assert settings.read_text() == text
    assert [path.name for path in settings.parent.iterdir()] == ["settings.json"]
    assert findings(person)["cleanup"] == [f"fail {settings} is not JSON "]


# Where a workspace is


def test_cd_and_run_go_where_it_is(person: Person, repo: Path, elsewhere: Path) -> None:
    place = made(person, "one", cwd=repo)
    assert person.mooring("cd", "one", cwd=elsewhere).stdout == f"{place}\n"
    moved = person.home / "a new place"
    person.git("worktree", "move", place, moved, cwd=repo)
    place.mkdir()  # somebody else's, by now
    place.rmdir()
    for where, words in ((elsewhere, ["one"]), (moved / "app", [])):
        done = person.mooring("cd", *words, cwd=where)
        assert done.stdout == f"{moved}\n"
        done = person.mooring("run", *words, "--", "sh", "-c", "pwd; echo $WORK_TOPIC", cwd=where)
        assert done.stdout == f"{moved}\none\n"
    assert "worktree" not in person.mooring("new", "one", cwd=repo).stderr
    assert status(person, "one", elsewhere)["worktree"] == str(moved)
    person.mooring("end", "one", cwd=repo)
    for words in (["cd", "one"], ["run", "one", "--", "true"], ["cd", "nothing"]):
        done = person.mooring(*words, cwd=elsewhere, check=False)
        assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.parametrize("lost", [False, True])
def test_a_record_of_an_older_mooring(person: Person, repo: Path, lost: bool) -> None:
    """As 0.1 wrote it before these keys were there; with the registry, or without it."""
    place = made(person, "one", "--pipeline", "p7", cwd=repo)
    other = made(person, "two", cwd=repo)
    before = status(person, "one", repo)
    for topic in ("one", "two"):
        (file,) = (person.home / ROOT / "records").glob(f"*/*/{topic}.json")
        lines = file.read_text().splitlines(keepends=True)
        newer = [line for line in lines if re.match(r'"(reserved|parent|carry)": ', line)]
        assert len(newer) == 3
        file.write_text("".join(line for line in lines if line not in newer))
        assert not {"reserved", "parent", "carry"} & set(json.loads(file.read_text()))
    if lost:
        (person.home / ROOT / "registry.db").unlink()
    person.mooring("end", "two", cwd=repo)
    assert not other.exists()
    assert made(person, "one", cwd=repo) == place
    after = status(person, "one", repo)
    for name in ("session", "ports", "branch", "pipeline", "worktree", "state"):
        assert after[name] == before[name], name
    assert "unchanged" in person.mooring("new", "one", cwd=repo).stderr
    person.mooring("end", "one", cwd=repo)
    assert not place.exists()
    assert made(person, "two", cwd=repo) == other
    person.mooring("resume", "one", "--launch", "none", cwd=repo)
    assert status(person, "one", repo)["session"] == before["session"]


# The shell


def snippets() -> dict[str, list[str]]:
    """What the README has for startup files: the lines for bash and zsh, and those for fish."""
    text = (PROJECT / "README.md").read_text()
    part = text.partition("In your shell's startup file")[2].partition("\n## ")[0]
    lines = [line.strip() for line in part.splitlines() if line.startswith("    ")]
    fish = [line for line in lines if line.startswith(("function ", "_MOORING_COMPLETE=fish"))]
    posix = [line for line in lines if line not in fish]
    assert (len(posix), len(fish)) == (2, 2), lines
    zsh = [line.replace("bash_source", "zsh_source") for line in posix]
    assert zsh != posix
    return {"bash": posix, "zsh": zsh, "fish": fish}


STARTUP = {
    "bash": (".bashrc", ["PS1='ready> '", "bind 'set enable-bracketed-paste off'"]),
    "zsh": (".zshrc", ["PROMPT='ready> '", "autoload -U compinit && compinit -u"]),
    "fish": (
        ".config/fish/config.fish",
        ["set fish_greeting", "function fish_prompt; printf 'ready> '; end"],
    ),
}


@pytest.mark.parametrize("shell", STARTUP)
def test_the_readmes_lines_for_a_shell(
    person: Person, repo: Path, elsewhere: Path, shell: str
) -> None:
    link(need(shell), person.home / "bin" / shell)
    name, lines = STARTUP[shell]
    file = person.home / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join([*lines, *snippets()[shell], ""]))
    place = made(person, "fix-login", cwd=repo)
    made(person, "other", "--agent", "robot", cwd=repo)
    with Terminal(person, shell, "-i", cwd=elsewhere, size=(40, 400)) as terminal:
        terminal.wait_for("ready>")

        def at_prompt() -> bool:
            return terminal.screen.rstrip().endswith("ready>")

        def completed(typed: str, whole: str) -> None:
            terminal.press(f"{typed}\t")
            terminal.wait_for(whole)
            terminal.wait_quiet()

        completed("mooring cd fix-l", "mooring cd fix-login")
        terminal.press("\r")
        terminal.wait_for(at_prompt)
        terminal.type("pwd")
        terminal.wait_for(f"\n{place}\n")
        for typed, whole in (
            ("mooring atta", "mooring attach"),
            ("mooring end --agent rob", "mooring end --agent robot"),
        ):
            terminal.wait_for(at_prompt)
            completed(typed, whole)
            terminal.press("\x15")  # the line is taken back
        terminal.wait_for(at_prompt)
        terminal.type("mooring list --json | head -c 1")
        terminal.wait_for("\n[")
        terminal.type("mooring cd no-such || echo still here; pwd")
        terminal.wait_for("still here\n")
        terminal.wait_for(lambda: terminal.screen.count(f"\n{place}\n") == 2)
        assert "There is no workspace 'no-such'" in terminal.screen


def complete(person: Person, words: str, cwd: Path) -> list[str]:
    """What the shell is told to offer, by click's protocol for bash."""
    env = {
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(shlex.split(words)) - (not words.endswith(" "))),
        "_MOORING_COMPLETE": "bash_complete",
    }
    lines = person.run("mooring", cwd=cwd, env=env).stdout.splitlines()
    return [line.partition(",")[2] for line in lines]


def test_what_is_offered(person: Person, repo: Path) -> None:
    for topic in ("fix-login", "fix-logout", "other"):
        made(person, topic, cwd=repo)
    made(person, "fix-login", "--agent", "bot", cwd=repo)
    person.mooring("end", "fix-login", "--agent", "bot", cwd=repo)
    person.mooring("end", "fix-login", "--agent", "dev", cwd=repo)
    ids = [row["session"] for row in rows(person) if row["topic"] == "other"]
    for verb in ("new", "resume", "end", "run", "shell", "cd", "attach", "status", "sessions show"):
        assert complete(person, f"mooring {verb} fix", repo) == ["fix-logout", "fix-login"], verb
    assert set(complete(person, "mooring ", repo)) == set(cli.commands)
    assert complete(person, "mooring end --agent ", repo) == ["dev", "bot"]
    assert complete(person, "mooring resume other --session ", repo) == ids
    assert len(complete(person, "mooring resume --session ", repo)) == 4
    assert complete(person, "mooring new x --launch t", repo) == ["tmux"]
    assert complete(person, "mooring sessions ex", repo) == ["export"]
    assert complete(person, "mooring sessions fix", repo) == ["fix-logout", "fix-login"]
