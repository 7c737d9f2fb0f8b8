"""A devcontainer.json is read as its format allows, and keeps what it said when it is composed."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mooring import devcontainer
from mooring.devcontainer import Place
from mooring.errors import MooringError

REPO = "/home/robin/src/shop"
WORKTREE = f"{REPO}.worktrees/fix-login"
ADMIN = f"{REPO}/.git/worktrees/fix-login"
PLACE = Place(
    worktree=WORKTREE,
    common=f"{REPO}/.git",
    admin=ADMIN,
    guarded=(f"{REPO}/.git/config", f"{ADMIN}/gitdir"),
    private="/home/robin/private/claude",
    store="/home/robin/.claude",
    share="all",
    project=("own", "repos"),
    claude="/usr/bin/claude",
    settings=(("safe.directory", "*"),),
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.text(alphabet='/*",\\{}[]:\n '),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(alphabet='a/*",\\ '), inner),
)
GAP = st.sampled_from(
    ["", " ", "\n", "// one, }\n", "/* two */", '/* "x": [1,] */\n', "\t// ]\r\n"]
)


def written(value: Any, draw: st.DrawFn) -> str:
    """The value as a person could have written it: with comments, and a comma after the last."""

    def gap() -> str:
        return draw(GAP)

    if not isinstance(value, dict | list) or not value:
        return gap() + json.dumps(value) + gap()
    if isinstance(value, list):
        parts = [written(item, draw) for item in value]
    else:
        parts = [
            f"{gap()}{json.dumps(key)}{gap()}:{written(item, draw)}" for key, item in value.items()
        ]
    start, end = "[]" if isinstance(value, list) else "{}"
    last = draw(st.sampled_from(["", ","]))
    return f"{gap()}{start}{','.join(parts)}{last}{gap()}{end}{gap()}"


@given(st.data(), JSON)
def test_comments_and_trailing_commas_say_nothing(data: st.DataObject, value: Any) -> None:
    text = written(value, data.draw)
    assert json.loads(devcontainer.plain(text)) == value


@given(st.text())
def test_any_text_is_read_or_refused_and_keeps_its_lines(text: str) -> None:
    assert devcontainer.plain(text).count("\n") == text.count("\n")
    with suppress(MooringError):
        assert isinstance(devcontainer.parse(text.encode(), "x"), dict)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{\n// fine\n"a": }', "line 3: Expecting value"),
        ('{"a": [,]}', "line 1: Expecting value"),
        ('{"a": 1,,}', "line 1:"),
        ("{,}", "line 1:"),
        ("/* never closed", "line 1: Expecting value"),
        ("[1]", "it is no JSON object"),
        ('{"a": NaN}', "NaN is no JSON"),
        ("[" * 100_000, "recursion"),
        (b"{\xff}", "it is not UTF-8"),
        (b" " * (devcontainer.MAX_BYTES + 1), "it has more than 1048576 bytes"),
    ],
)
def test_what_is_refused(text: str | bytes, problem: str) -> None:
    with pytest.raises(MooringError) as caught:
        devcontainer.parse(text.encode() if isinstance(text, str) else text, "x.json")
    assert problem in caught.value.message


def test_a_byte_order_mark_and_a_comment_in_a_string() -> None:
    text = b'\xef\xbb\xbf{"url": "http://x/*y*/", "comma": ",]",}'
    assert devcontainer.parse(text, "x") == {"url": "http://x/*y*/", "comma": ",]"}


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"dockerComposeFile": "compose.yml", "service": "app"}, "it is one of Docker Compose"),
        ({}, "it names neither an image nor a Dockerfile"),
        ({"build": {}}, "it names neither an image nor a Dockerfile"),
        ({"image": "x", "mounts": "type=tmpfs"}, "mounts is no list"),
        ({"image": 7}, "image is no string"),
        ({"image": "x", "containerEnv": None}, "containerEnv is no object"),
    ],
)
def test_what_can_be_no_workspaces(document: dict[str, Any], problem: str) -> None:
    with pytest.raises(MooringError) as caught:
        devcontainer.check(document, "x.json")
    assert problem in caught.value.message


def override(document: dict[str, Any], place: Place = PLACE) -> dict[str, Any]:
    return devcontainer.override(document, f"{WORKTREE}/.devcontainer", place, ("TOKEN",), "sum")


def test_the_repos_own_stays() -> None:
    theirs = {
        "name": "Shop",
        "image": "debian",
        "features": {"./hello": {"version": "1"}},
        "postCreateCommand": {"one": "make", "two": ["make", "b"]},
        "mounts": [{"type": "volume", "source": "v", "target": "/v"}],
        "runArgs": ["--init"],
        "containerEnv": {"A": "1", "GIT_CONFIG_COUNT": "1"}
        | {"GIT_CONFIG_KEY_0": "a.b", "GIT_CONFIG_VALUE_0": "c"},
        "remoteEnv": {"B": "${localEnv:B}", "CLAUDE_CONFIG_DIR": "/elsewhere"},
        "remoteUser": "node",
        "customizations": {"vscode": {"extensions": []}},
    }
    found = override(theirs)
    for name in ("name", "image", "features", "postCreateCommand", "remoteUser", "customizations"):
        assert found[name] == theirs[name]
    assert found["mounts"][0] == {"type": "volume", "source": "v", "target": "/v"}
    assert found["runArgs"] == ["--init", "--label", "mooring.digest=sum"]
    assert found["containerEnv"]["A"] == "1"
    assert found["containerEnv"]["GIT_CONFIG_COUNT"] == "2"
    assert found["containerEnv"]["GIT_CONFIG_KEY_1"] == "safe.directory"
    assert found["remoteEnv"] == {
        "B": "${localEnv:B}",
        "TOKEN": "${localEnv:TOKEN}",
        "CLAUDE_CONFIG_DIR": devcontainer.STORE,
    }


def test_the_workspace_is_where_it_is_on_the_host() -> None:
    found = override({"image": "x", "workspaceFolder": "/workspaces/shop", "workspaceMount": ""})
    assert found["workspaceFolder"] == WORKTREE
    assert found["workspaceMount"] == f"type=bind,source={WORKTREE},target={WORKTREE}"
    common = f"{REPO}/.git"
    assert f"type=bind,source={common},target={common}" in found["mounts"]
    assert f"type=bind,source={common}/config,target={common}/config,readonly" in found["mounts"]


@pytest.mark.parametrize(
    ("share", "there", "not_there"),
    [
        ("all", ["/.claude/projects,", "/.claude/skills,"], ["/.claude/sessions,"]),
        ("workspace", ["/projects/own,", "/projects/repos/memory,"], ["/.claude/projects,"]),
        ("none", ["/private/claude,"], ["/.claude/projects,", "/.claude/skills,"]),
    ],
)
def test_what_of_the_store_is_shared(share: str, there: list[str], not_there: list[str]) -> None:
    place = replace(PLACE, share=share)
    text = "\n".join(override({"image": "x"}, place)["mounts"])
    assert all(part in text for part in there), text
    assert not any(part in text for part in not_there), text


@pytest.mark.parametrize(
    ("document", "file", "context"),
    [
        ({"build": {"dockerfile": "Dockerfile"}}, ".devcontainer/Dockerfile", ".devcontainer"),
        ({"build": {"dockerfile": "../Dockerfile", "context": ".."}}, "Dockerfile", ""),
        ({"build": {"dockerfile": "../d/Dockerfile"}}, "d/Dockerfile", "d"),
        ({"dockerFile": "Dockerfile", "context": ".."}, ".devcontainer/Dockerfile", ""),
    ],
)
def test_the_paths_of_a_build_are_absolute(
    document: dict[str, Any], file: str, context: str
) -> None:
    found = override(document)["build"]
    assert found["dockerfile"] == f"{WORKTREE}/{file}"
    assert found["context"] == f"{WORKTREE}/{context}".rstrip("/")


def test_a_path_that_would_be_read_as_a_variable_is_refused() -> None:
    place = replace(PLACE, worktree="/src/${localEnv:HOME}")
    with pytest.raises(MooringError, match="read as a variable"):
        override({"image": "x"}, place)


def test_a_mount_of_a_path_with_a_comma() -> None:
    assert devcontainer.bind('/a,"b', "/c") == 'type=bind,"source=/a,""b",target=/c'


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("./init.sh && make", ["./init.sh", "", "make"]),
        (["sh", "scripts/init"], ["sh", "scripts/init"]),
        ({"a": "one", "b": ["two"]}, ["one", "two"]),
        (7, []),
    ],
)
def test_the_words_of_what_runs_on_the_host(command: Any, words: list[str]) -> None:
    assert list(devcontainer.scripts({"initializeCommand": command})) == words
