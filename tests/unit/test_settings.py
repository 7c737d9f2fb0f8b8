"""Settings of a session: how `--set` is read, what replaces what, what comes out over the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mooring.config import parse
from mooring.document import ClaudeSpec, Copy, Credential, File, FilesSpec, GitSpec
from mooring.errors import MooringError
from mooring.model import Request, request
from mooring.plan import wanted_settings
from mooring.settings import combined, keys, read
from mooring.spec import Layers, Spec, merge, over
from tests.unit.builders import a_record, a_request, observed
from tests.unit.test_plan import ENDED, plan


@pytest.mark.parametrize(
    ("settings", "file"),
    [
        ([], File()),
        (["base=develop"], File(base="develop")),
        (["base="], File()),
        (["env.A=1.10"], File(env={"A": "1.10"})),
        (["env.A=a=b"], File(env={"A": "a=b"})),
        (["env.A="], File(env={"A": ""})),
        (["env.A=[not, {yaml"], File(env={"A": "[not, {yaml"})),
        (["env={A: 1.10, B: yes}"], File(env={"A": "1.10", "B": "yes"})),
        (["env={A: 1}", "env.B=2"], File(env={"A": "1", "B": "2"})),
        (["ports=[web]"], File(ports=["web"])),
        (["ports=\n- web\n- db\n"], File(ports=["web", "db"])),
        (["files.skip=['*.log']"], File(files=FilesSpec(skip=["*.log"]))),
        (
            ["files.copy=[{src: a, optional: true}]"],
            File(files=FilesSpec(copy=[Copy("a", optional=True)])),
        ),
        (
            ["git.name=Robin", "git.credential.username=r", "git.credential.command=[pass]"],
            File(git=GitSpec(name="Robin", credential=Credential(["pass"], "r"))),
        ),
        (["checkout.submodules=false"], parse(b"checkout: {submodules: false}")),
    ],
)
def test_what_settings_say(settings: list[str], file: File) -> None:
    assert read(settings) == file


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("bsae=x", "Cannot read --set: unknown key 'bsae'; did you mean 'base'?"),
        ("files.copies=[]", "Cannot read --set: unknown key 'files.copies'; did you mean 'copy'?"),
        ("prebuild=[a]", "Cannot read --set: 'prebuild' is not supported by this version yet"),
        ("ports=web", "Cannot read --set: ports: Expected `array`, got `str`"),
        ("ports=", "Cannot read --set: ports: Expected `array`, got `str`"),
        ("ports=[", "Cannot read --set ports line 2: "),
        ("ports=[WEB]", "Cannot read --set: 'WEB' is no port name"),
        ("ports=&a [web]", "anchors and aliases are not supported"),
        ("base=!x y", "the tag !x is not supported"),
        ("env=x", "Cannot read --set: env: Expected `object`, got `str`"),
        ("env.A.B=x", "Cannot read --set: 'A.B' is no environment variable name"),
        ("env.PORT=1", "Cannot read --set: PORT is set by Mooring itself"),
        ("env={A: [b]}", "Cannot read --set env line 1: env.A must be text"),
        ('env={"a[b": x}', "Cannot read --set: 'a[b' is no environment variable name"),
        ("env.A.B.C=x", "'A.B.C' is no environment variable name"),
        ("base.x=y", "Cannot read --set: base: Expected `str`, got `object`"),
        ("files.copy=[{src: ../x}]", "Cannot read --set: '../x' leaves the repo"),
        ("secrets.KEY.env=X", "Cannot read --set secrets.KEY.env: a setting is recorded"),
        ("agents={dev: {git: {name: x}}}", "Cannot read --set agents: a session has one agent"),
        ("secrets={KEY: {env: X}}", "Cannot read --set secrets: a setting is recorded"),
    ],
)
def test_settings_that_are_refused(setting: str, said: str) -> None:
    with pytest.raises(MooringError) as caught:
        read([setting])
    assert said in caught.value.message


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_a_variable_is_text_as_it_stands(value: str) -> None:
    assert read([f"env.A={value}"]).env == {"A": value}


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_any_other_value_never_surprises(value: str) -> None:
    for key in ("base", "ports", "env", "files", "files.copy", "git.credential"):
        try:
            assert isinstance(read([f"{key}={value}"]), File)
        except MooringError:
            continue


@pytest.mark.parametrize(
    ("recorded", "given_", "unset", "left"),
    [
        ([], [], [], ()),
        (["a=1"], [], [], ("a=1",)),
        (["a=1", "b=2"], ["a=3"], [], ("a=3", "b=2")),
        ([], ["a=1", "a=2"], [], ("a=2",)),
        (["a=1", "b=2"], [], ["a"], ("b=2",)),
        (["a=1"], ["a=2"], ["a"], ("a=2",)),
        (["a.b=1"], [], ["a"], ("a.b=1",)),
        (["a=1"], [], ["c"], ("a=1",)),
    ],
)
def test_which_settings_hold(
    recorded: Sequence[str], given_: Sequence[str], unset: Sequence[str], left: Sequence[str]
) -> None:
    assert combined(recorded, given_, unset) == left
    assert set(combined(left, given_, unset)) == set(left), "a second look changes nothing"
    assert keys(left) == {one.partition("=")[0] for one in left}


LOW = parse(
    b"base: low\nenv: {A: low, B: low}\nports: [web]\nfiles: {copy: [a], skip: [x]}\n"
    b"claude: {args: [--low]}\ngit: {name: Low, email: low@example.com}\n"
    b"checkout: {submodules: false}\n"
)
HIGH = parse(
    b"env: {B: high, C: high}\nports: [db]\nfiles: {copy: [b]}\n"
    b"claude: {args: [--high]}\ngit: {name: High}\n"
)


def test_one_file_over_another() -> None:
    both = over(LOW, HIGH)
    assert (both.base, both.ports) == ("low", ["web", "db"])
    assert both.env == {"A": "low", "B": "high", "C": "high"}
    assert both.files == FilesSpec(copy=["a", "b"], skip=["x"])
    assert both.claude == ClaudeSpec(["--low", "--high"])
    assert both.git == GitSpec("High", "low@example.com")
    assert not both.checkout.submodules
    one, two = parse(b"files: {from: one}"), parse(b"files: {from: [two]}")
    assert over(one, two).files.lists == ["one", "two"]
    assert over(two, one).files.lists == ["two", "one"]


@pytest.mark.parametrize("file", [LOW, HIGH, File()])
def test_over_nothing_and_nothing_over_it(file: File) -> None:
    assert over(file, File()) == over(File(), file) == file
    assert over(file, file).base == file.base


def spec(approved: bool, *settings: str) -> Spec:
    """Variables that each layer has: its own, and those of the weaker ones."""
    return merge(
        Layers(
            user=parse(b"env: {U: u, R: u, O: u, S: u}"),
            repo=parse(b"env: {R: r, O: r, S: r}"),
            overrides=parse(b"env: {O: o, S: o}"),
            set=read(settings),
            approved=approved,
        )
    )


def test_settings_win_over_everything() -> None:
    found = spec(False, "env.S=s")
    assert found.env == {"U": "u", "R": "r", "O": "o", "S": "s"}
    assert found.trusted_env == {"U": "u", "R": "u", "O": "o", "S": "s"}


@pytest.mark.parametrize(
    ("approved", "settings", "recorded"),
    [
        (False, (), {}),
        (True, (), {"R": "r"}),
        (False, ("env.S=s",), {"S": "s"}),
        (True, ("env.S=s",), {"R": "r", "S": "s"}),
        (True, ("env.R=s",), {"R": "s"}),
    ],
)
def test_which_variables_are_recorded(
    approved: bool, settings: tuple[str, ...], recorded: dict[str, str]
) -> None:
    assert spec(approved, *settings).recorded_env == recorded


def test_rules_of_settings_say_where_they_stand() -> None:
    layers = Layers(
        overrides=parse(b"files: {copy: [a], required: [a]}"),
        set=read(["files.copy=[b]", "files.required=[c]", "setup=[make]"]),
    )
    found = merge(layers)
    assert [(rule.where, rule.override) for rule in found.rules] == [
        ("overrides: files.copy[0]", True),
        ("--set: files.copy[0]", True),
    ]
    assert found.required["c"] == "--set: files.required[0]"
    assert [one.run for one in found.setup] == ["make"]


def test_settings_name_no_template_of_the_controller() -> None:
    layers = Layers(set=read(["files.template=[{src: a, dest: b, root: user}]"]))
    with pytest.raises(MooringError, match="root: user is for your own config"):
        merge(layers)


def asked(**data: Any) -> Request:
    """What a front door makes of that."""
    return request({"topic": "t", "repo": "/r", **data})


@pytest.mark.parametrize(
    ("given_", "settings"),
    [
        ("env.A=x", ("env.A=x",)),
        ("env.A=x\n\nports=[web]\n", ("env.A=x", "ports=[web]")),
        (["env.A=x\ny", "base=b"], ("env.A=x\ny", "base=b")),
        (("env.A=x",), ("env.A=x",)),
        ([], ()),
        ("", ()),
        (None, ()),
    ],
)
def test_how_settings_are_given(given_: object, settings: tuple[str, ...]) -> None:
    assert asked(set=given_).set == settings


@pytest.mark.parametrize("given_", ["env.A", "=x", "a b=x", "env.A=\0", "a..b=x", 1, True, [1]])
def test_settings_that_are_none(given_: object) -> None:
    with pytest.raises(MooringError, match="as set: "):
        asked(set=given_)


def test_the_refusal_does_not_tell_the_value() -> None:
    with pytest.raises(MooringError) as caught:
        asked(set=["a b=hunter2"])
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize("given_", ["a b", "env.A=x", "-x"])
def test_keys_that_are_none(given_: str) -> None:
    with pytest.raises(MooringError, match="as unset: it must be a key"):
        asked(unset=given_)


def test_an_ended_workspaces_settings_count_for_a_resume_alone() -> None:
    record = a_record(set=["env.A=x"], **ENDED)
    for needs, kept in (("nothing", ()), ("record", ("env.A=x",)), ("vacancy", ())):
        seen = observed(record=record)
        assert wanted_settings(a_request(needs=asked(needs=needs).needs), seen) == kept
    live = observed(record=a_record(set=["env.A=x"]))
    assert plan(live, set=("base=b",)).set == ("env.A=x", "base=b")
