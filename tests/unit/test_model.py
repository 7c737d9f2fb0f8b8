"""What makes a topic, an agent, a ref and a request valid, whoever asks."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mooring.errors import Kind, MooringError
from mooring.model import (
    MAX_PROMPT,
    REQUEST_DATA,
    Needs,
    Request,
    check_agent,
    check_ref,
    check_topic,
    parse_record,
    request,
    slug,
)

GIVEN = {"topic": "fix-login", "repo": "/srv/shop"}


def refusal(**data: Any) -> MooringError:
    """What `request` raises for these data beside a good topic and repo."""
    with pytest.raises(MooringError) as caught:
        request(GIVEN | data)
    assert caught.value.kind is Kind.USAGE
    return caught.value


@pytest.mark.parametrize("topic", ["a", "7", "fix-login", "0-day", "a--b", "a-", "x" * 64])
def test_topics(topic: str) -> None:
    assert check_topic("topic", topic) == topic


NO_TOPICS = {
    "empty": "",
    "slash": "fix/login",
    "absolute": "/etc/passwd",
    "space": "fix login",
    "trailing space": "fix ",
    "dots": "..",
    "up": "../x",
    "dot": "v1.2",
    "capital": "Fix",
    "underscore": "fix_login",
    "dash first": "-fix",
    "option": "--topic",
    "short option": "-x",
    "unicode": "größe",
    "unicode digit": "\u0661",
    "full width": "\uff41",
    "long s": "\u017f",
    "newline": "fix\n",
    "newline inside": "fix\nlogin",
    "escape": "\x1b[31m",
    "NUL": "a\0b",
    "delete": "a\x7f",
    "too long": "x" * 65,
    "300 characters": "x" * 300,
    "command": "$(touch x)",
    "backticks": "`touch x`",
    "semicolon": "a;b",
    "quote": "a'b",
    "glob": "*",
    "tilde": "~",
    "percent": "a%2fb",
    "not UTF-8": "\udcff",
}


@pytest.mark.parametrize("topic", NO_TOPICS.values(), ids=NO_TOPICS.keys())
def test_no_topics(topic: str) -> None:
    error = refusal(topic=topic)
    assert "topic" in error.message
    assert len(error.message) < 250
    assert error.message.isprintable()


@pytest.mark.parametrize("value", [1, 0, 17, 1.5, True, False, ["a"], {"a": 1}])
def test_a_topic_that_pyinfra_parsed_is_explained(value: object) -> None:
    error = refusal(topic=value)
    assert type(value).__name__ in error.message
    assert error.hints[0].startswith("--data")


@pytest.mark.parametrize("missing", ["topic", "repo"])
@pytest.mark.parametrize("value", [None, ""])
def test_topic_and_repo_are_needed(missing: str, value: str | None) -> None:
    if missing == "repo" and value == "":
        assert request(GIVEN | {"repo": ""}).repo == ""
        return
    assert missing in refusal(**{missing: value}).message
    with pytest.raises(MooringError, match=missing):
        request({name: text for name, text in GIVEN.items() if name != missing})


@pytest.mark.parametrize("agent", ["dev", "a", "9", "code_review", "a-b", "x" * 32])
def test_agents(agent: str) -> None:
    assert check_agent("agent", agent) == agent


@pytest.mark.parametrize(
    "agent", ["A", "_a", "-a", "a b", "a/b", "..", "x" * 33, "a\n", "ü", "$(x)", "@", 7, True]
)
def test_no_agents(agent: object) -> None:
    assert "agent" in refusal(agent=agent).message


REFS = ["main", "v1.2", "feature/x", "a" * 200, "größe", "a@b", "1e5", "refs/heads/x", "x-"]


@pytest.mark.parametrize("ref", REFS)
def test_refs(ref: str) -> None:
    assert check_ref("branch", ref) == ref
    assert accepted_by_git(ref)


NO_REFS = [
    "",
    "-x",
    "--upload-pack=x",
    "a b",
    "a..b",
    "a~1",
    "a^",
    "a:b",
    "a?",
    "a*",
    "a[b",
    "a\\b",
    "a@{1}",
    "@{-1}",
    "/a",
    "a/",
    "a//b",
    ".a",
    "a/.b",
    "a.",
    "a.lock",
    "a.lock/b",
    "a\n",
    "a\tb",
    "a\x7f",
]


@pytest.mark.parametrize("ref", NO_REFS)
def test_no_refs(ref: str) -> None:
    with pytest.raises(MooringError, match="branch"):
        check_ref("branch", ref)
    assert not accepted_by_git(ref)


@pytest.mark.parametrize("ref", ["@", "a" * 201, "ü" * 101, "a\0b", None, True, False, 1.5, [], {}])
def test_no_refs_of_ours(ref: object) -> None:
    with pytest.raises(MooringError):
        check_ref("base", ref)


def test_a_ref_of_digits_may_come_as_a_number() -> None:
    assert check_ref("base", 1234567) == "1234567"


def test_a_branch_is_never_called_head() -> None:
    """``git worktree add -b HEAD`` fails, which would be after the claim."""
    assert not accepted_by_git("HEAD")
    assert "branch" in refusal(branch="HEAD").message


def test_a_ref_that_is_no_text_is_a_usage_error() -> None:
    """Bytes of argv that are not UTF-8 arrive as lone surrogates."""
    assert "branch" in refusal(branch="a\udcff").message


def accepted_by_git(ref: str) -> bool:
    """Whether git itself would make a branch of that name, in no repo: `@{-1}` is one's last."""
    argv = ["git", "check-ref-format", "--branch", ref]
    return subprocess.run(argv, capture_output=True, check=False, cwd="/").returncode == 0


ref_like = st.text(st.sampled_from("ab./@{-~^:?*[\\ \x01.lock\x7fHEADü"), min_size=1, max_size=12)
any_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@given(ref_like | any_text)
@example("HEAD")
@example("a.lock/b")
@example("\u2028")
def test_what_we_accept_as_a_branch_git_accepts(ref: str) -> None:
    try:
        branch = request(GIVEN | {"branch": ref}).branch
    except MooringError:
        return
    assert not branch or accepted_by_git(branch)


def test_a_request_with_everything() -> None:
    data = {
        **GIVEN,
        "agent": "reviewer",
        "base": "main",
        "branch": "feature/login",
        "issue": 17,
        "pipeline": "run-3",
        "root": "/srv/mooring/",
        "fetch": True,
        "new_worktree": False,
        "force": True,
        "fresh": True,
        "session": "00000000-0000-4000-8000-000000000001",
        "prompt": "Fix it",
        "parent": "big-change",
        "carry": "/srv/shop.worktrees/big-change",
    }
    assert request(data) == Request(
        topic="fix-login",
        repo="/srv/shop",
        agent="reviewer",
        base="main",
        branch="feature/login",
        issue="17",
        pipeline="run-3",
        root="/srv/mooring",
        fetch=True,
        force=True,
        fresh=True,
        session="00000000-0000-4000-8000-000000000001",
        prompt="Fix it",
        parent="big-change",
        carry="/srv/shop.worktrees/big-change",
    )


ISSUES = {
    12: "12",
    "12": "12",
    "#12": "12",
    "LIN-123": "LIN-123",
    "proj_2-7": "proj_2-7",
    "https://github.com/robin/shop/issues/12": "12",
    "https://github.com/robin/shop/issues/12#issuecomment-99": "12",
    "https://github.example.com/robin/shop/issues/12?x=y": "12",
    "https://gitlab.com/group/sub/shop/-/issues/12": "12",
    "https://gitlab.com/group/shop/-/work_items/12": "12",
    "https://linear.app/shop/issue/LIN-123/the-login-is-broken": "LIN-123",
    "https://linear.app/shop/issue/LIN-123": "LIN-123",
    "https://shop.atlassian.net/browse/SHOP-7": "SHOP-7",
    "https://shop.atlassian.net/browse/SHOP-7?focusedId=1": "SHOP-7",
}


@pytest.mark.parametrize(("value", "key"), ISSUES.items())
def test_issues(value: object, key: str) -> None:
    """People paste what their tracker shows; it is one issue however it is written."""
    issue = request(GIVEN | {"issue": value}).issue
    assert issue == key
    assert accepted_by_git(f"issue-{issue}-fix-login")


@pytest.mark.parametrize(
    "value",
    [
        "#",
        "##12",
        "two words",
        "12/13",
        "a.lock",
        "..",
        "$(x)",
        "größe",
        "x" * 65,
        "https://github.com/robin/shop/pull/12",
        "https://github.com/robin/shop/issues/",
        "https://github.com/robin/shop",
        "https://example.com/issues/%2e%2e",
    ],
)
def test_no_issues(value: str) -> None:
    assert "issue" in refusal(issue=value).message


def test_an_issue_of_a_repo_that_is_called_issues() -> None:
    url = "https://github.com/robin/issues/issues/12"
    assert request(GIVEN | {"issue": url}).issue == "12"


@pytest.mark.parametrize(
    "prompt", ["Fix it", "one\ntwo\n", "-x", "'\"$(x)`", "größe 😀", "\t", "7"]
)
def test_prompts(prompt: str) -> None:
    assert request(GIVEN | {"prompt": prompt}).prompt == prompt


def test_a_prompt_has_a_bound() -> None:
    longest = "ü" * (MAX_PROMPT // 2)
    assert request(GIVEN | {"prompt": longest}).prompt == longest
    assert "prompt" in refusal(prompt=longest + "x").message


@pytest.mark.parametrize("session", ["00000000-0000-4000-8000-000000000001"])
def test_a_session_is_named_by_its_id(session: str) -> None:
    assert request(GIVEN | {"session": session}).session == session
    for other in (
        session.replace("4", "A"),
        session[:-1],
        f"{session}\n",
        f" {session}",
        "latest",
        7,
    ):
        assert "session" in refusal(session=other).message


def test_a_stacked_request() -> None:
    asked = request(GIVEN | {"parent": "big-change", "carry": "/srv/shop.worktrees/big-change/"})
    assert (asked.parent, asked.carry) == ("big-change", "/srv/shop.worktrees/big-change")


def test_what_is_empty_is_as_if_not_given() -> None:
    empty = dict.fromkeys((*REQUEST_DATA, "unknown"), None) | {"agent": "", "base": ""}
    assert request(empty | GIVEN) == Request(topic="fix-login", repo="/srv/shop")
    assert request(dict(GIVEN)).needs is Needs.NOTHING


def test_unknown_data_are_named() -> None:
    error = refusal(brunch="x")
    assert "'brunch'" in error.message
    assert "branch" in error.hints[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("issue", True),
        ("issue", "a\nb"),
        ("issue", "-x"),
        ("issue", "x" * 201),
        ("issue", "\udcff"),
        ("pipeline", "\x1b[2J"),
        ("root", "relative"),
        ("root", "~/mooring"),
        ("root", "/a\nb"),
        ("root", 7),
        ("repo", 7),
        ("fetch", "yes"),
        ("fetch", 1),
        ("force", "false"),
        ("new_worktree", []),
        ("needs", "everything"),
        ("fresh", "yes"),
        ("prompt", "a\0b"),
        ("prompt", "\udcff"),
        ("parent", "Big Change"),
        ("parent", "../x"),
        ("carry", "relative"),
        ("session", "x"),
    ],
)
def test_bad_data_are_named(name: str, value: object) -> None:
    assert name in refusal(**{name: value}).message


def test_the_filesystem_as_root_is_not_the_default_root() -> None:
    """``/`` less its slash would be '', which stands for the default."""
    with suppress(MooringError):
        assert request(GIVEN | {"root": "/"}).root == "/"


@pytest.mark.parametrize(
    ("topic", "expected"), [("a", "a"), ("fix-login", "fix_login"), ("a--", "a__")]
)
def test_slugs(topic: str, expected: str) -> None:
    assert slug(topic) == expected


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"{}", b"\xff", b'{"topic": 7}', b"null"])
def test_a_file_that_is_no_record_is_explained(text: bytes) -> None:
    with pytest.raises(MooringError, match="record"):
        parse_record(text)


def test_a_request_cannot_be_changed() -> None:
    asked = request(dict(GIVEN))
    with pytest.raises(AttributeError):
        asked.topic = "other"
    assert msgspec.structs.replace(asked, topic="other").topic == "other"
