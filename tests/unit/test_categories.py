"""What is proposed for which name, and when nothing is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pathspec import GitIgnoreSpec

from mooring.config import parse
from mooring.files.categories import CATEGORIES, LARGE, MANY, Found, compiled, kind, proposed, unit
from mooring.paths import is_inside
from mooring.spec import Layers, merge


def entry(path: str, spec: str = "", **found: Any) -> Any:
    """The entry that is proposed for an ignored path, under a mooring.yaml."""
    rules = compiled(merge(Layers(repo=parse(spec.encode()))).rules)
    return proposed(Found(path=path, **{"ignored": True, **found}), rules).entry


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (".env", "/.env"),
        ("a/.env.local", "/a/.env.local"),
        (".vscode/", "/.vscode/"),
        ("a/node_modules/", "a/node_modules"),
        (".env.production", "/.env.production"),
        ("app.yml.j2", {"src": "app.yml.j2", "dest": "app.yml"}),
        (".venv/", ""),
        ("dist/", ""),
        ("notes", ""),
        (".envrc", ""),
        ("mooring.yaml", ""),
    ],
)
def test_what_a_name_gets(path: str, wanted: Any) -> None:
    assert entry(path) == wanted
    assert entry(path, ignored=False) == ""
    assert entry(path, problem="a symlink") == ""


def test_a_file_with_a_secret_is_for_its_owner_alone() -> None:
    assert entry(".env", secret="x", mode=0o644) == {
        "src": ".env",
        "mode": "0600",
        "optional": True,
    }
    assert entry(".env", secret="x", mode=0o400) == "/.env"
    assert entry(".vscode/sftp.json", secret="x", mode=0o644) == "/.vscode/sftp.json"
    assert proposed(Found(path="notes", ignored=True, secret="x")).action == "skip"


@pytest.mark.parametrize("more", [{"files": MANY + 1}, {"size": LARGE + 1}])
def test_too_much_is_not_copied(more: Any) -> None:
    assert entry(".vscode/", **more) == ""
    assert entry("node_modules/", **more) == "node_modules"


@pytest.mark.parametrize(
    "spec",
    [
        "files: {copy: [.env]}",
        "files: {skip: ['.e*']}",
        "files: {copy: [{src: .env}]}",
        "files: {copy: [{src: x, dest: .env}]}",
        "files: {symlink: [.env]}",
    ],
)
def test_what_a_rule_says_is_not_proposed(spec: str) -> None:
    assert entry(".env", spec) == ""
    assert entry("a/.envx", spec) == ""
    assert entry("tools/", spec) == "/tools/"


def test_nothing_is_put_where_a_rule_brings_something() -> None:
    assert entry(".vscode/", "files: {copy: [{src: x, dest: .vscode/settings.json}]}") == ""


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("a/node_modules/b/c.js", "a/node_modules/"),
        ("dist/node_modules/x", "dist/"),
        (".vscode/settings.json", ".vscode/settings.json"),
        ("src/a.py", "src/a.py"),
        ("core/a.py", "core/a.py"),
    ],
)
def test_what_is_one_thing(path: str, wanted: str) -> None:
    assert unit(path) == wanted


NAMES = st.text(st.sampled_from("ab.*?[]! #-") | st.characters(), min_size=1, max_size=10)


@given(NAMES.filter(lambda name: is_inside(name) and name.isprintable()), st.booleans())
def test_a_pattern_is_for_one_name_alone(name: str, directory: bool) -> None:
    path = f"x/{name}/.env" if directory else f"{name}.env"
    found = entry(path)
    if kind(path)[1] == "copy":
        assert GitIgnoreSpec.from_lines([found]).match_file(path)
        assert not GitIgnoreSpec.from_lines([found]).match_file(f"y/{path}")
        spec = json.dumps({"files": {"copy": [found]}}, ensure_ascii=False)
        assert entry(path, spec) == ""


def test_the_table() -> None:
    actions = {"copy", "symlink", "template", "skip", "nothing"}
    assert {action for _, _, action, _ in CATEGORIES} == actions
    patterns = [pattern for _, row, _, _ in CATEGORIES for pattern in row]
    assert len(set(patterns)) == len(patterns)
