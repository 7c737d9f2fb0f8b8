"""The generated files: values reach bash whole, and nothing that a value holds ever runs."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mooring.claude import hooks
from mooring.claude.events import workspace_line
from mooring.config import parse
from mooring.generate import bash_quote, compose, digest
from mooring.model import Record
from mooring.plan import Plan, resolve
from mooring.spec import Layers
from tests.support import Person
from tests.unit.builders import (
    BASE,
    SESSION,
    SUM,
    a_record,
    a_repo,
    a_request,
    a_spec,
    a_worktree,
    observed,
    some_files,
)

texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0")
    | st.sampled_from("\"'\\$`!\n\r\t\x01\x7f\x1b(){}*?[]~#&;|<> 0123456789"),
    max_size=30,
)


def evaluated(words: list[str], env: dict[str, str]) -> list[str]:
    """The values of bash words, as one bash sees them."""
    line = "printf '%s\\0' " + " ".join(words) + "\n"
    done = subprocess.run(
        ["bash", "--norc", "-s"], input=line.encode(), env=env, capture_output=True, check=True
    )
    assert done.stderr == b""
    return done.stdout.decode().split("\0")[:-1]


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
@given(st.lists(texts, min_size=1, max_size=8))
@example(["\n0", "\x017", "\\\n", "'\n'", "\\'", "$'\\n'", "", " ", "\x7f1", "!!\n", "\\\\\x01"])
@example(["\x01", "\x02\x01", "\x16", "ü\n", "\u2028", "\x85\n", "'"])
def test_bash_reads_back_exactly_what_was_quoted(locale: str, values: list[str]) -> None:
    words = [bash_quote(value) for value in values]
    assert not any(set(word) & set("\n\r\0") for word in words)
    assert evaluated(words, {"LC_ALL": locale, "PATH": "/usr/bin:/bin"}) == values


HOSTILE = {
    "command": "$(touch planted)",
    "backticks": "`touch planted`",
    "quote": "'; touch planted; '",
    "double quote": '"; touch planted; "',
    "newline": "x\ntouch planted",
    "return": "x\r\ntouch planted",
    "quote and newline": "'\ntouch planted\n'",
    "backslash": "\\'\n; touch planted #",
    "escape": "$'\\n'touch planted",
    "arithmetic": "$((a[$(touch planted)]))",
    "process": "<(touch planted)",
    "braces": "${x:=$(touch planted)}",
    "history": "!touch planted",
    "template": "{{ ''.__class__ }}{% raw %}",
    "comment": "# x\ntouch planted",
    "control": "\x01\x7f\x1b]0;x\x07",
    "unicode": "größe \u2028 \x85 😀",
}


def a_plan(env: dict[str, str], **changes: Any) -> Plan:
    """The plan of a fresh workspace, with changes that no front door would let through."""
    plan = resolve(a_request(), a_spec(), observed())
    return msgspec.structs.replace(plan, env=env, **changes)


def sourced(person: Person, where: Path, text: str) -> dict[str, str]:
    """The environment after a real bash sourced the text in an empty directory, as direnv does."""
    where.mkdir(exist_ok=True)
    (where / ".envrc").write_bytes(text.encode())
    code = "watch_file() { :; }\nset -euo pipefail\n. ./.envrc\nenv -0"
    done = subprocess.run(
        ["bash", "--norc", "-c", code], cwd=where, env=person.env, capture_output=True, check=True
    )
    assert done.stderr == b""
    assert not [path for path in where.iterdir() if path.name not in (".envrc", ".mooring")]
    words = done.stdout.decode().split("\0")[:-1]
    return {name: value for name, _, value in (word.partition("=") for word in words)}


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE.keys())
def test_sourcing_a_generated_envrc_runs_nothing(
    person: Person, tmp_path: Path, value: str
) -> None:
    where = tmp_path / "work"
    record = a_record(
        topic=value, branch=value, source=value, issue=value, pipeline=value, agent=value
    )
    plan = a_plan({"A": "{{ topic }}"}, topic=value, worktree=f"{where}{value}")
    seen = sourced(person, where, compose(plan, record)[".envrc"])
    for name in ("A", "WORK_TOPIC", "WORK_BRANCH", "WORK_REPO", "WORK_ISSUE", "WORK_PIPELINE_ID"):
        assert seen[name] == value
    assert seen["PORT"] == "20001"
    assert "CLAUDE_SESSION_ID" not in seen


@pytest.mark.parametrize("value", [text for text in HOSTILE.values() if "{{" not in text])
def test_env_of_a_file_runs_nothing(person: Person, tmp_path: Path, value: str) -> None:
    import yaml

    spec = a_spec(Layers(repo=parse(yaml.safe_dump({"env": {"A": value, "B": "b"}}).encode())))
    plan = resolve(a_request(), spec, observed())
    assert not plan.approves
    seen = sourced(person, tmp_path / "work", compose(plan, a_record())[".envrc"])
    assert (seen["A"], seen["B"]) == (value, "b")


SESSIONS = {
    "a UUID": (SESSION, SESSION),
    "a UUID and a newline": (f"{SESSION}\n", SESSION),
    "more than a UUID": (f"{SESSION}; touch planted\n", SESSION),
    "a command": ("$(touch planted)\n", None),
    "shell": ("export PATH=/evil; touch planted\n", None),
    "capitals": (SESSION.replace("0", "A") + "\n", None),
    "nothing": ("", None),
    "a line before": (f"x\n{SESSION}\n", None),
}


@pytest.mark.parametrize(("content", "expected"), SESSIONS.values(), ids=SESSIONS.keys())
def test_only_a_uuid_comes_from_the_session_file(
    person: Person, tmp_path: Path, content: str, expected: str | None
) -> None:
    where = tmp_path / "work"
    (where / ".mooring").mkdir(parents=True)
    (where / ".mooring/session").write_text(content)
    text = compose(a_plan({}, worktree=str(where)), a_record())[".envrc"]
    assert sourced(person, where, text).get("CLAUDE_SESSION_ID") == expected


def test_a_session_file_that_is_a_link_is_not_read(person: Person, tmp_path: Path) -> None:
    where = tmp_path / "work"
    (where / ".mooring").mkdir(parents=True)
    (tmp_path / "elsewhere").write_text(SESSION)
    (where / ".mooring/session").symlink_to(tmp_path / "elsewhere")
    text = compose(a_plan({}, worktree=str(where)), a_record())[".envrc"]
    assert "CLAUDE_SESSION_ID" not in sourced(person, where, text)


def test_names_without_a_value_are_unset(person: Person, tmp_path: Path) -> None:
    text = compose(a_plan({}), a_record())[".envrc"]
    outer = "export WORK_ISSUE=99 WORK_PIPELINE_ID=run-9 CLAUDE_SESSION_ID=other\n"
    seen = sourced(person, tmp_path / "work", outer + text)
    assert not {"WORK_ISSUE", "WORK_PIPELINE_ID", "CLAUDE_SESSION_ID"} & seen.keys()


def composed(record: Record, **plan: Any) -> dict[str, str]:
    """The files of a workspace with one copied file and one variable."""
    seen = observed(
        record=record,
        repo=a_repo(refs={"refs/heads/main": BASE}),
        worktree=a_worktree(),
        files=some_files(matched=(".env",), sources={".env": SUM}, ignored=frozenset({".env"})),
    )
    made = resolve(a_request(), a_spec(include=b".env\n"), seen)
    return compose(
        msgspec.structs.replace(made, env={"A": "{{ slug }}-{{ PORT }}"}, **plan), record
    )


def test_every_file_is_composed_once() -> None:
    files = composed(a_record(issue="17"))
    assert set(files) == {
        ".mooring/.gitignore",
        ".mooring/workspace",
        ".session-context.md",
        ".envrc",
    }
    assert files[".mooring/.gitignore"] == "*\n"
    record = a_record()
    assert files[".mooring/workspace"] == f"{workspace_line(record.target, record.key)}\n"
    assert "export A='fix_login-20001'\n" in files[".envrc"]
    context = files[".session-context.md"]
    for said in ("`fix-login`", "issue `17`", "`.env`", "`PORT=20001`", "`A`"):
        assert said in context
    assert SESSION not in context, "it changes, and then the file would"


def test_a_head_ends_where_what_is_kept_begins() -> None:
    """The shell tells the generated part by the one line that begins so."""
    head = composed(a_record())[".session-context.md"].splitlines()
    assert [line.startswith("<!-- mooring: ") for line in head] == [False] * (len(head) - 1) + [
        True
    ]


@pytest.mark.parametrize("parent", ["", "big-change"])
def test_the_context_says_what_it_is_stacked_on(parent: str) -> None:
    context = composed(a_record(parent=parent))[".session-context.md"]
    assert ("stacked on" in context) == bool(parent)
    assert f"`{parent}`" in context or not parent


def test_the_flag_settings_are_there_where_the_plan_wants_them() -> None:
    """They hold the hooks and nothing else; the worktree's own settings aren't composed here."""
    assert not {hooks.FLAG_SETTINGS, hooks.SETTINGS} & composed(a_record()).keys()
    files = composed(a_record(), settings=hooks.FLAG_SETTINGS)
    settings = hooks.parse(files[hooks.FLAG_SETTINGS].encode())
    assert set(settings) == {"hooks"}
    assert hooks.stripped(settings) == {}
    assert hooks.merged(settings) == settings


def test_the_digest_tells_what_the_files_depend_on() -> None:
    """Where it is the same nothing is composed, so each change has to show."""
    plan = a_plan({})
    first = digest(plan, a_record())
    assert digest(plan, a_record(session=SESSION.replace("1", "2"))) == first
    changed = msgspec.structs.replace(plan, settings=hooks.FLAG_SETTINGS)
    others = {digest(changed, a_record()), digest(plan, a_record(parent="big-change"))}
    assert first not in others
    assert len(others) == 2


def test_the_context_does_not_repeat_values_of_env() -> None:
    context = composed(a_record())[".session-context.md"]
    assert "fix_login-20001" not in context


def test_files_go_where_the_plan_says() -> None:
    files = composed(a_record(), envrc=".mooring/envrc", context=".mooring/session-context.md")
    assert {".mooring/envrc", ".mooring/session-context.md"} <= set(files)
    assert not {".envrc", ".session-context.md"} & set(files)


def test_the_same_record_gives_the_same_files() -> None:
    assert composed(a_record()) == composed(a_record())
