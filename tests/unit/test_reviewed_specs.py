"""Specs that say what they cannot mean: each is refused with the place and the reason."""

from __future__ import annotations

import json

import pytest

from mooring.config import parse
from mooring.errors import MooringError
from mooring.files.formats import read
from mooring.files.sources import Matcher
from mooring.spec import Layers, Rule, merge

NO_PATTERNS = ["a\\", "\\", "a\\\\\\", "[z-a]"]
PATTERNS = ["a\\\\", "a\\ ", "[a-z]", "[a-", "x-[ab]", "a//b", "["]


def refusal(text: str) -> str:
    """What is said of a mooring.yaml that is refused."""
    with pytest.raises(MooringError) as caught:
        parse(text.encode())
    return caught.value.message


@pytest.mark.parametrize("pattern", NO_PATTERNS)
@pytest.mark.parametrize("action", ["copy", "skip"])
def test_no_pattern(pattern: str, action: str) -> None:
    said = refusal(f"files:\n  {action}:\n    - ok\n    - '{pattern}'\n")
    assert said.startswith(f"Cannot read mooring.yaml line 4: files.{action}: {pattern!r} ")
    include = f"# ours\n\nok\n{pattern}\n".encode()
    with pytest.raises(MooringError, match=r"Cannot read \.worktreeinclude line 4: "):
        merge(Layers(), include)
    with pytest.raises(MooringError, match=r"Cannot read \.worktreeinclude line 4: "):
        read(".worktreeinclude", include)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern(pattern: str) -> None:
    assert parse(f"files: {{copy: ['{pattern}']}}".encode()).files.copy == [pattern]
    assert merge(Layers(), f"{pattern}\n".encode()).patterns == (pattern,)
    Matcher([Rule(action="copy", src=pattern, where="x")]).of("a")


def test_a_space_behind_a_backslash_is_a_part_of_the_pattern() -> None:
    assert merge(Layers(), b"a\\ \nb \n").patterns == ("a\\ ", "b")


@pytest.mark.parametrize("mode", ["0600", "600", '"0600"', "'600'"])
def test_a_mode_is_what_is_written(mode: str) -> None:
    (entry,) = parse(f"files: {{copy: [{{src: a, mode: {mode}}}]}}".encode()).files.copy
    assert not isinstance(entry, str)
    assert entry.mode == mode.strip("'\"")
    (read_as,) = read("list.yaml", f"copy:\n  - {{src: a, mode: {mode}}}\n".encode()).copy
    assert read_as == {"src": "a", "mode": mode.strip("'\"")}


@pytest.mark.parametrize("mode", ["0o600", "0x180", "384000", "rw"])
def test_no_mode(mode: str) -> None:
    said = refusal(f"files:\n  copy:\n    - src: a\n      mode: {mode}\n")
    assert said.startswith("Cannot read mooring.yaml line 3: ")
    assert f"'{mode}' is no file mode: use one such as \"0600\"" in said
    with pytest.raises(MooringError, match="line 2: its mode is not understood"):
        read("list.yaml", f"copy:\n  - {{src: a, mode: {mode}}}\n".encode())


def test_a_number_that_yaml_reads_in_another_way() -> None:
    said = refusal("setup:\n  - run: 'true'\n    timeout: 0600\n")
    assert said.startswith("Cannot read mooring.yaml line 3: 0600 is no number")


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("x/", "is to be written without"),
        ("./", "is to be written without"),
        ("./x", "is to be written without"),
        ("a//b", "is to be written without"),
        ("a\nb", "has a control character or a backslash"),
        ("a\tb", "has a control character or a backslash"),
        ("a\\b", "has a control character or a backslash"),
        (".mooring", "is Mooring's own"),
        (".Mooring/x", "is Mooring's own"),
        ("x.mooring-new", "is Mooring's own"),
        ("../x", "leaves the repo or is git's own"),
        ("/x", "leaves the repo or is git's own"),
        ("a/.GIT/x", "leaves the repo or is git's own"),
        ("", "is no path"),
    ],
)
def test_why_a_path_is_refused(place: str, why: str) -> None:
    for files in ({"copy": [{"src": place}]}, {"required": [place]}, {"from": [place]}):
        assert f": {place!r} {why}" in refusal(json.dumps({"files": files}))


@pytest.mark.parametrize(
    ("platform", "near"),
    [("macos", "darwin"), ("Darwin", "darwin"), ("OSX", "darwin"), ("lnux", "linux"), ("bsd", "")],
)
def test_a_platform_that_there_is_not(platform: str, near: str) -> None:
    rule = f"{{src: a, when: {{platform: {platform}}}}}"
    said = refusal(f"files:\n  symlink:\n    - {rule}\n")
    assert "line 3: when.platform: " in said
    assert f"{platform!r} is none of linux, darwin" in said
    assert said.endswith(f"; did you mean {near!r}?" if near else "darwin")


@pytest.mark.parametrize("name", [".env*", "a?", "[ab]"])
def test_what_is_required_is_no_pattern(name: str) -> None:
    said = refusal(f"files:\n  required:\n    - '{name}'\n")
    assert f"line 3: {name!r} is a pattern: each of files.required is one path" in said


@pytest.mark.parametrize("line", ["COPY:a:b", "Copy:a"])
def test_an_action_in_other_letters(line: str) -> None:
    with pytest.raises(MooringError, match=r"Cannot read list line 2: '[A-Za-z]+' is none of copy"):
        read("list", f"# ours\n{line}\n".encode())
