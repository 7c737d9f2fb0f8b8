"""Where a file may go, for anything that a document may say: strictly inside, never in `.git`."""

from __future__ import annotations

import json
import os
import unicodedata

import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from mooring.config import parse
from mooring.errors import MooringError
from mooring.spec import Layers, merge

ACTIONS = ("copy", "template", "symlink")
TOP = "/w"
PARTS = (
    *("..", ".", "", " ", "~", "~root", "-n", "a", ".env", "a b", "*", "$(x)", "'", '"', ";"),
    *(".git", ".GIT", ".Git", ".git ", ".git.", ".git...", ".git . ", ".g\u0131t", ".\uff47it"),
    *(".git\u200c", ".g\u200cit", "\ufeff.git", ".git::$INDEX_ALLOCATION", ".gitignore", ".gitx"),
    *(".mooring", ".MOORING", ".mooring ", "a\\b", "..\\x", "a\nb", "a\rb", "a\0b", "\x1b[2J"),
    *("\x7f", "\x85", "\u2028", "\u2025", "\uff0e\uff0e", "x" * 300, "é", "e\u0301", "\U0001f680"),
)
COMMON = settings(max_examples=500, derandomize=True, deadline=None, database=None)


def destinations() -> st.SearchStrategy[str]:
    part = st.one_of(st.sampled_from(PARTS), st.text(max_size=8))
    return st.lists(part, min_size=1, max_size=5).map("/".join)


def accepted(action: str, dest: str) -> str | None:
    """The destination of the one rule that a document makes of it; None if it is refused."""
    data = json.dumps({"files": {action: [{"src": "a", "dest": dest}]}}).encode()
    try:
        (rule,) = merge(Layers(repo=parse(data))).rules
    except MooringError:
        return None
    return rule.dest


def assert_inside(dest: str) -> None:
    at = os.path.normpath(os.path.join(TOP, dest))
    assert at == f"{TOP}/{dest}", "it is where it says"
    assert at.startswith(f"{TOP}/")
    parts = dest.split("/")
    assert not {"..", "."} & set(parts)
    assert ".git" not in [part.lower() for part in parts]
    assert parts[0] != ".mooring"
    assert not any(
        unicodedata.category(letter) in ("Cc", "Cs") for letter in dest if letter < "\x80"
    )


@COMMON
@example(action="copy", dest="a/../../x")
@example(action="template", dest=".git/hooks/post-checkout")
@example(action="symlink", dest="sub/.GIT/config")
@given(action=st.sampled_from(ACTIONS), dest=destinations())
def test_what_is_accepted_is_inside(action: str, dest: str) -> None:
    found = accepted(action, dest)
    event("accepted" if found else "refused")
    if found is not None:
        assert found == (dest or "a")
        assert_inside(found)


@COMMON
@given(path=destinations(), key=st.sampled_from(["symlink", "required", "from"]))
def test_what_is_a_path_by_itself_is_inside(path: str, key: str) -> None:
    try:
        spec = merge(Layers(repo=parse(json.dumps({"files": {key: [path]}}).encode())))
    except MooringError:
        event("refused")
        return
    event("accepted")
    for found in (*(rule.dest for rule in spec.rules), *spec.required, *spec.lists):
        assert_inside(found)


@COMMON
@given(first=st.sampled_from(ACTIONS), dest=destinations())
def test_the_same_is_accepted_of_all_of_them(first: str, dest: str) -> None:
    assert {accepted(action, dest) for action in ACTIONS} == {accepted(first, dest)}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("part", [".git", ".GIT", ".Git", ".git ", ".git.", ".git . "])
def test_no_spelling_of_git_is_accepted(action: str, part: str) -> None:
    for dest in (part, f"{part}/x", f"a/{part}/x", f"a/{part}"):
        assert accepted(action, dest) is None


@pytest.mark.parametrize(
    "dest", [".g\u200cit/x", "\ufeff.git/x", "a/.git\u200d/x", ".MOORING/x", ".Mooring"]
)
def test_no_spelling_of_a_mac_is_accepted(dest: str) -> None:
    assert accepted("copy", dest) is None


def test_no_name_is_that_of_what_stands_beside_an_edited_file() -> None:
    assert accepted("template", "a.mooring-new") is None
