"""The targets that tests provision: one fixture per kind of pyinfra host."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.containers.engine import Engine
from tests.support import Person
from tests.targets.box import Box, box_target
from tests.targets.sshd import SshTarget, ssh_target


@pytest.fixture
def sshd(person: Person) -> Iterator[SshTarget]:
    """Another user of this machine, whom `person` reaches as `ssh box` and `@ssh/box`."""
    with ssh_target(person) as target:
        yield target


@pytest.fixture
def box(person: Person, engine: Engine, image: str) -> Iterator[Box]:
    """A container that has the person's remotes, at the same place."""
    remotes = person.home / "remotes"
    remotes.mkdir(exist_ok=True)
    with box_target(person, engine, image, f"--volume={remotes}:{remotes}:ro") as target:
        yield target
