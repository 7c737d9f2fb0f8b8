"""The targets that tests provision: one fixture per kind of pyinfra host."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import Person
from tests.targets.sshd import SshTarget, ssh_target


@pytest.fixture
def sshd(person: Person) -> Iterator[SshTarget]:
    """Another user of this machine, whom `person` reaches as `ssh box` and `@ssh/box`."""
    with ssh_target(person) as target:
        yield target
