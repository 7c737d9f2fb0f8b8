"""The gits that tests run with: this machine's own, and the oldest and newest of `.ci/gits`.

A test takes `@pytest.mark.parametrize("git", gits(), ids=NAME)`, and `with_git(person, *git)`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from operator import itemgetter
from pathlib import Path

from tests.support import PROJECT, SYSTEM_PATH, Person, lack, link

NAME: Callable[[tuple[str, Path]], str] = itemgetter(0)
PROGRAMS = ("git", "git-receive-pack", "git-upload-archive", "git-upload-pack")


def gits() -> list[tuple[str, Path]]:
    """The name and the bin directory of each git, whether it is there or not.

    MOORING_TEST_GITS names another directory than the one where `make ci-setup` puts them.
    """
    built = Path(os.environ.get("MOORING_TEST_GITS") or PROJECT / "build/gits")
    path = os.pathsep.join([os.environ["PATH"], *SYSTEM_PATH])
    own = Path(shutil.which("git", path=path) or "/usr/bin/git")
    return [
        ("system", own.parent),
        ("oldest", built / "oldest/bin"),
        ("newest", built / "newest/bin"),
    ]


def with_git(person: Person, name: str, directory: Path) -> Person:
    """The same person with one of `gits()` first on PATH.

    Without it the test is skipped, or fails if MOORING_REQUIRE_ALL=1. git comes by links, not by
    its directory: that may hold a person's own `claude`.
    """
    links = person.home / f"git-{name}-bin"
    for program in PROGRAMS:
        found = shutil.which(program, path=directory)
        link(found or lack(f"{program} is not installed in {directory}"), links / program)
    return replace(person, env=person.env | {"PATH": f"{links}:{person.env['PATH']}"})
