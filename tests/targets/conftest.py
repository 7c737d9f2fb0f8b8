"""The targets that tests provision: one fixture per kind of pyinfra host."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.containers.engine import Engine, find_engine
from tests.containers.images import ROOT, VSCODE, have_image
from tests.support import Person
from tests.targets.box import Box, box_target
from tests.targets.sshd import SshTarget, ssh_target


@pytest.fixture
def sshd(person: Person) -> Iterator[SshTarget]:
    """Another user of this machine, whom `person` reaches as `ssh box` and `@ssh/box`."""
    with ssh_target(person) as target:
        yield target


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """The Docker engine of this run."""
    return find_engine(tmp_path_factory.mktemp("docker-config"))


@pytest.fixture(scope="session")
def image(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image with nobody but root, and a shell, git and their like in it."""
    return have_image(engine, ROOT, tmp_path_factory.getbasetemp().parent)


@pytest.fixture(scope="session")
def vscode_image(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Another, which runs things as `vscode`, with the uid 1000."""
    return have_image(engine, VSCODE, tmp_path_factory.getbasetemp().parent)


@pytest.fixture
def box(person: Person, engine: Engine, image: str) -> Iterator[Box]:
    """A container that has the person's remotes, at the same place."""
    remotes = person.home / "remotes"
    remotes.mkdir(exist_ok=True)
    with box_target(person, engine, image, f"--volume={remotes}:{remotes}:ro") as target:
        yield target
