"""Which untracked files a workspace gets: precedence, contradictions, what is missing."""

from __future__ import annotations

from typing import Any

import pytest

from mooring.config import parse
from mooring.errors import MooringError
from mooring.files.rules import NEW, choose, missing, table
from mooring.spec import Layers, Spec, merge
from tests.unit.builders import EDITED, SUM, a_record, a_repo, observed, some_files

NAMES = (".env", ".env.local", "tools", "tools/a.sh")


def spec(repo: str = "", top: str = "", **where: Any) -> Spec:
    layers = Layers(repo=parse(repo.encode()), overrides=parse(top.encode(), "overrides"), **where)
    return merge(layers)


def seen(*names: str, there: dict[str, str] | None = None, **more: Any) -> Any:
    """A main checkout with those untracked files, all ignored, and what else is there."""
    files = some_files(
        matched=names,
        sources=dict.fromkeys(names, SUM),
        ignored=frozenset(names),
        there={f"main:{name}": "" for name in names} | (there or {}),
        **more,
    )
    return observed(files=files)


def decided(rules: Spec, *names: str) -> dict[str, str]:
    """The action for each path, and where it comes from."""
    rows = table(rules, seen(*names or NAMES))
    return {row["path"]: f"{row['action']} {row['source']}".strip() for row in rows}


@pytest.mark.parametrize(
    ("repo", "top", "path", "action"),
    [
        ("{copy: ['.env*']}", "", ".env", "copy .env"),
        ("{copy: ['.env*'], skip: [.env]}", "", ".env", "skip"),
        ("{skip: [.env]}", "{copy: ['.env*']}", ".env", "skip"),
        ("{copy: [{src: .env}], symlink: [.env]}", "", ".env", "copy .env"),
        ("{copy: [{src: .env}]}", "{symlink: [.env]}", ".env", "symlink .env"),
        (
            "{copy: [{src: .env}]}",
            "{copy: [{src: .env.local, dest: .env}]}",
            ".env",
            "copy .env.local",
        ),
        ("{symlink: [tools/]}", "", "tools", "symlink tools"),
        ("{symlink: [{src: tools, dest: bin}]}", "", "bin", "symlink tools"),
    ],
)
def test_which_rule_decides(repo: str, top: str, path: str, action: str) -> None:
    rules = spec(f"files: {repo}", f"files: {top}" if top else "")
    assert decided(rules)[path] == action


def test_a_skip_that_takes_it_back_comes_last() -> None:
    rows = table(spec("files: {copy: ['.env*'], skip: ['.env*', .env.local]}"), seen(*NAMES))
    where = {row["path"]: row["rule"] for row in rows}
    assert where[".env"] == "mooring.yaml: files.skip[0]"
    assert where[".env.local"] == "mooring.yaml: files.skip[1]"


@pytest.mark.parametrize(
    "files",
    [
        "{copy: [{src: .env, dest: a}, {src: .env.local, dest: a}]}",
        "{symlink: [{src: .env, dest: a}, {src: tools, dest: a}]}",
    ],
)
def test_two_of_one_rank_are_an_error_that_names_both(files: str) -> None:
    with pytest.raises(MooringError) as caught:
        choose(spec(f"files: {files}"), seen(*NAMES))
    assert "[0]" in caught.value.message
    assert "[1]" in caught.value.message


def test_the_pattern_that_selected_a_file_is_named() -> None:
    rows = table(spec("files: {copy: ['*.sh', '.env*', '.env.*']}"), seen(*NAMES))
    where = {row["path"]: row["rule"] for row in rows}
    assert where[".env"] == "mooring.yaml: files.copy[1]"
    assert where[".env.local"] == "mooring.yaml: files.copy[2]"


@pytest.mark.parametrize(
    ("when", "where", "holds"),
    [
        ("{platform: linux}", {"platform": "linux"}, True),
        ("{platform: darwin}", {"platform": "linux"}, False),
        ("{agent: bot}", {"agent": "bot"}, True),
        ("{agent: bot}", {}, False),
        ("{ci: true}", {"ci": True}, True),
        ("{ci: true}", {}, False),
        ("{ci: false}", {}, True),
        ("{ci: false, agent: bot}", {"agent": "dev"}, False),
    ],
)
def test_when(when: str, where: dict[str, Any], holds: bool) -> None:
    rules = spec(f"files: {{copy: [{{src: .env, when: {when}}}]}}", **where)
    assert bool(rules.rules) == holds


def test_what_is_not_there_is_said_unless_it_is_optional() -> None:
    rules = spec("files: {symlink: [nope], copy: [{src: nada, optional: true}]}")
    assert choose(rules, seen()).notes == ("not linked: nope (the main checkout has no such file)",)


def test_what_is_required_and_not_there() -> None:
    rules = spec("files: {copy: ['.env*', {src: a, dest: b}], required: [.env, b, c, d]}")
    said = missing(rules, seen(there={"here:d": ""}))
    main = a_repo().checkout
    assert said == {
        ".env": "mooring.yaml: files.required[0] wants .env; "
        f"mooring.yaml: files.copy[0] looks for {main}/.env",
        "b": "mooring.yaml: files.required[1] wants b; "
        f"mooring.yaml: files.copy[1] looks for {main}/a",
        "c": "mooring.yaml: files.required[2] wants c; no rule brings it",
    }


@pytest.mark.parametrize(
    ("there", "known", "state"),
    [("", "", "missing"), (SUM, "", "there"), (EDITED, EDITED, "outdated"), (EDITED, "", "edited")],
)
def test_states(there: str, known: str, state: str) -> None:
    files = seen(".env", present={".env": there} if there else {}).files
    record = a_record(files={".env": known} if known else {})
    (row,) = table(spec("files: {copy: [.env]}"), observed(files=files, record=record))
    assert row["state"] == state


def test_an_edited_file_whose_source_changed_has_that_beside_it() -> None:
    files = seen(".env", present={".env": "mine"}).files
    for known, also in ((EDITED, True), (SUM, False)):
        found = observed(files=files, record=a_record(files={".env": known}))
        (note,) = choose(spec("files: {copy: [.env]}"), found).edited
        assert (NEW in note) == also
