"""The engine, its images, and a person who uses both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers.engine import Engine, find_engine
from tests.containers.images import ROOT, VSCODE, have_image
from tests.support import Person


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
def docker_person(claude_person: Person, engine: Engine, tmp_path: Path) -> Iterator[Person]:
    """The person with Claude, whose `docker` talks to the engine.

    The containers of their workspaces are gone after the test.
    """
    yield engine.introduce(claude_person)
    engine.remove_below(tmp_path)
