"""Specs that say what they cannot mean: each is refused with the place and the reason."""

from __future__ import annotations

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
