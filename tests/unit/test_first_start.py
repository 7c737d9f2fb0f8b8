"""What Claude is told in a container before its first start there."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mooring.claude import first_start

WORKTREE = "/work/fix"
USERS = {
    "customApiKeyResponses": {"approved": ["abc"]},
    "oauthAccount": {"emailAddress": "robin@example.com"},
    "projects": {"/elsewhere": {"history": ["planted-secret"]}},
    "mcpServers": {
        "git-hub": {"command": "x", "env": {"TOKEN": "planted-secret", "URL": "${URL:-x}"}},
        "other": {"url": "https://mcp.example", "headers": {"Authorization": "planted-secret"}},
    },
}


def test_tokens_become_references() -> None:
    said = first_start.merged(None, WORKTREE, USERS)
    assert "planted-secret" not in json.dumps(said)
    assert "oauthAccount" not in said
    assert said["projects"] == {WORKTREE: {"hasTrustDialogAccepted": True}}
    assert said["customApiKeyResponses"] == {"approved": ["abc"]}
    env = said["mcpServers"]["git-hub"]["env"]
    token, url = env["TOKEN"], env["URL"]
    header = said["mcpServers"]["other"]["headers"]["Authorization"]
    assert token.startswith("${MCP_GIT_HUB_TOKEN_")
    assert header.startswith("${MCP_OTHER_AUTHORIZATION_")
    assert url == "${URL:-x}"
    named = dict.fromkeys((token[2:-1], header[2:-1]), "planted-secret")
    assert first_start.variables(USERS) == named


def test_servers_whose_names_are_alike_keep_their_own_tokens() -> None:
    servers = {
        "my-srv": {"headers": {"Authorization": "one"}},
        "my_srv": {"env": {"authorization": "two"}, "headers": {"AUTHORIZATION": "three"}},
    }
    assert sorted(first_start.variables({"mcpServers": servers}).values()) == [
        "one",
        "three",
        "two",
    ]


def test_what_claude_wrote_there_stays() -> None:
    there = {"userID": "x", "projects": {WORKTREE: {"lastCost": 1}, "/other": {}}}
    said = first_start.merged(there, WORKTREE, {})
    assert said["userID"] == "x"
    assert said["projects"][WORKTREE] == {"lastCost": 1, "hasTrustDialogAccepted": True}
    assert first_start.merged(said, WORKTREE, {}) == said


KEYS = st.sampled_from(["projects", "mcpServers", "env", "headers", WORKTREE, "other", ""])
SHAPES = st.recursive(
    st.none() | st.integers() | st.sampled_from(["", "text", "${NAME}"]) | st.just([]),
    lambda inner: st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(SHAPES, SHAPES)
def test_any_file_will_do(there: Any, users: Any) -> None:
    said = first_start.merged(there, WORKTREE, users)
    assert first_start.merged(said, WORKTREE, users) == said
    assert all(isinstance(value, str) for value in first_start.variables(users).values())


@pytest.mark.parametrize("there", [None, [], "text", {"projects": []}, {"projects": {WORKTREE: 1}}])
def test_odd_shapes_count_as_empty(there: Any) -> None:
    said = first_start.merged(there, WORKTREE, {})
    assert said["projects"][WORKTREE] == {"hasTrustDialogAccepted": True}
