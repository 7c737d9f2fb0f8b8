"""The `files:` section as text: any name comes through, comments stay, doubts are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mooring.config import parse
from mooring.errors import MooringError
from mooring.files.section import Entries, added, rendered
from mooring.paths import is_inside

NEW: Entries = {"copy": ["/.env", {"src": "a b", "mode": "0600"}], "skip": ["*.log"]}
NAMES = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from("-#:\"'{}[],&*!|>%@`.~ \u2028\x85"),
    min_size=1,
    max_size=12,
).filter(is_inside)


def test_a_section() -> None:
    assert rendered(NEW) == (
        'files:\n  copy:\n    - /.env\n    - {src: "a b", mode: "0600"}\n  skip:\n    - "*.log"\n'
    )
    assert rendered({}) == rendered({"copy": []}) == ""


@given(NAMES)
def test_any_name_is_read_as_it_was_written(name: str) -> None:
    entries: Entries = {
        "copy": [f"/{name}", {"src": name, "dest": name}],
        "symlink": [{"src": name, "optional": True}],
        "skip": [f"/{name}", name if not name.startswith("!") and name.strip() else "other/y"],
    }
    for data in (b"", b"files: {skip: [x]}\n", b"files:\n  copy:\n  - x\n"):
        files = parse(added(data, entries)).files
        assert files.copy[-2] == f"/{name}"
        assert (files.copy[-1].src, files.copy[-1].dest) == (name, name)
        assert (files.symlink[0].src, files.symlink[0].optional) == (name, True)
        assert files.skip[-2:] == entries["skip"]


@pytest.mark.parametrize("word", ["null", "No", "true", "1", "0x1", "1e3", ".5", ".inf", "~", "="])
def test_what_yaml_takes_for_something_else(word: str) -> None:
    assert parse(rendered({"copy": [word]}).encode()).files.copy == [word]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "files:\n  skip:\n    - x\n"),
        ("# mine\n", "# mine\n\nfiles:\n  skip:\n    - x\n"),
        ("base: main", "base: main\n\nfiles:\n  skip:\n    - x\n"),
        ("base: main\n# end\n", "base: main\n# end\n\nfiles:\n  skip:\n    - x\n"),
        ("{}\n", "{files: {skip: [x]}}\n"),
        ("{base: main}\n", "{base: main, files: {skip: [x]}}\n"),
        ("files: {}\n", "files: {skip: [x]}\n"),
        ("files: {copy: [a]} # why\n", "files: {copy: [a], skip: [x]} # why\n"),
        ("files: {skip: []}\n", "files: {skip: [x]}\n"),
        ("files:\n  skip: [a, b] # why\n", "files:\n  skip: [a, b, x] # why\n"),
        (
            "files:\n  skip: [\n    a, # why\n    b, # too\n  ]\nbase: main\n",
            "files:\n  skip: [\n    a, # why\n    b, x, # too\n  ]\nbase: main\n",
        ),
        (
            "files:\n  # first\n  skip: # why\n    - a # that\n    # more\n\n# later\nbase: main\n",
            "files:\n  # first\n  skip: # why\n    - a # that\n    - x\n    # more\n\n"
            "# later\nbase: main\n",
        ),
        ("files:\n  skip:\n  - a", "files:\n  skip:\n  - a\n  - x\n"),
        (
            "files:\n    copy:\n    - {src: a} # why\n\nports: [web]\n",
            "files:\n    copy:\n    - {src: a} # why\n    skip:\n      - x\n\nports: [web]\n",
        ),
        (
            "files:\n  skip:\n    - a\n  copy:\n    - src: b\n      dest: c\n",
            "files:\n  skip:\n    - a\n    - x\n  copy:\n    - src: b\n      dest: c\n",
        ),
        ("files:\r\n  skip:\r\n    - a\r\n", "files:\r\n  skip:\r\n    - a\r\n    - x\r\n"),
        ("---\nbase: main\n", "---\nbase: main\n\nfiles:\n  skip:\n    - x\n"),
        (
            "files:\n  skip:\n    - 'a'\n    - |-\n      b\n",
            "files:\n  skip:\n    - 'a'\n    - |-\n      b\n    - x\n",
        ),
    ],
)  # fmt: skip
def test_the_rest_stays(before: str, after: str) -> None:
    assert added(before.encode(), {"skip": ["x"]}).decode() == after


def test_what_is_there_is_not_added_again() -> None:
    once = added(b"# mine\n", NEW)
    assert added(once, NEW) == once
    both = added(b"files: {skip: ['*.log', '/x']}\n", NEW)
    assert parse(both).files.skip == ["*.log", "/x"]


@pytest.mark.parametrize("text", ["base: main\n...\n", "? base\n: main\n...\n# end\n"])
def test_what_cannot_be_edited_is_refused(text: str) -> None:
    with pytest.raises(MooringError, match="cannot be edited safely"):
        added(text.encode(), NEW)


@given(st.text(st.sampled_from("files:copykip \n-[]{},a#'\"|"), max_size=40))
def test_any_text(text: str) -> None:
    """Whatever stands there, its meaning stays, or nothing is written."""
    try:
        before = parse(text.encode())
        files = parse(added(text.encode(), NEW)).files
    except MooringError:
        return
    assert files.copy[:-2] == before.files.copy
    assert files.skip == [*before.files.skip, "*.log"]
