"""What the guard keeps of a secret, and who may ask for it, as pure data."""

from __future__ import annotations

from hashlib import sha256

import pytest

from mooring import identity
from mooring.document import File, FilesSpec
from mooring.files import guard
from mooring.model import Record
from mooring.spec import Layers, merge
from tests.unit.builders import a_record


def known(*values: str, at: Record | None = None) -> tuple[str, set[tuple[str, str]]]:
    """The salt, and length and sha256 of each line that is looked for."""
    head, *lines = guard.hashes(at or a_record(), values).splitlines()
    word, salt, _ = head.split()
    assert word == "salt"
    return salt, {(size, digest) for size, _, digest in map(str.split, lines)}


def line(salt: str, text: str) -> tuple[str, str]:
    data = text.encode()
    return str(len(data)), sha256(salt.encode() + data).hexdigest()


def test_each_line_is_hashed_once() -> None:
    salt, lines = known(
        "-----BEGIN KEY-----\nabcdefgh\n  ijklmnop\t\nshort\n", "abcdefgh", "été-'x"
    )
    wanted = {"abcdefgh", "ijklmnop", "été-'x", "%C3%A9t%C3%A9-%27x", "\\u00e9t\\u00e9-'x"}
    assert {line(salt, text) for text in wanted} <= lines
    assert line(salt, "short") not in lines
    assert line(salt, "-----BEGIN KEY-----") not in lines


def test_a_salt_is_of_one_workspace() -> None:
    salts = {
        known("abcdefgh", at=one)[0]
        for one in (a_record(), a_record(target="two"), a_record(created=2))
    }
    assert len(salts) == 3
    assert known("abcdefgh") == known("abcdefgh")


def test_what_is_too_short() -> None:
    values = {"A": "1234567", "B": "12345678", "C": "a\nb\n-----END KEY-----"}
    assert guard.unguarded(values) == ["A", "C"]


YES, NO, SILENT = (File(files=FilesSpec(guard=said)) for said in (True, False, None))


@pytest.mark.parametrize(
    ("user", "repo", "overrides", "setting", "guarded"),
    [
        (SILENT, SILENT, SILENT, SILENT, False),
        (YES, SILENT, SILENT, SILENT, True),
        (SILENT, YES, SILENT, SILENT, True),
        (YES, NO, SILENT, SILENT, True),
        (NO, YES, SILENT, SILENT, True),
        (YES, YES, NO, SILENT, False),
        (SILENT, SILENT, YES, SILENT, True),
        (YES, YES, YES, NO, False),
        (NO, NO, NO, YES, True),
    ],
)
def test_who_asks_for_it(
    user: File, repo: File, overrides: File, setting: File, guarded: bool
) -> None:
    layers = Layers(user=user, repo=repo, overrides=overrides, set=setting)
    assert merge(layers).guard is guarded


def test_another_workspaces_guard_is_left_out() -> None:
    theirs, ours = ("/root/records/r/dev/a.guard", "/root/records/r/dev/b.guard")
    inherited = {
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": "core.hookspath",
        "GIT_CONFIG_VALUE_0": theirs,
        "GIT_CONFIG_KEY_1": "core.hooksPath",
        "GIT_CONFIG_VALUE_1": "mine",
    }
    found = identity.variables(inherited, guard.settings(ours))
    assert found["GIT_CONFIG_COUNT"] == "2"
    assert (found["GIT_CONFIG_VALUE_0"], found["GIT_CONFIG_VALUE_1"]) == ("mine", ours)
