"""The engine, its images, and a person who uses both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.claude.desk import Desk
from tests.claude.stub import MessagesStub
from tests.claude.terminal import ready
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


QUIET = ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "DISABLE_TELEMETRY", "DISABLE_AUTOUPDATER")


@pytest.fixture
def box(docker_person: Person, repo: Path, stub: MessagesStub, image: str) -> Desk:
    """A desk whose workspaces have a container, by the person's own config."""
    ready(docker_person, repo)
    spec = {"image": image, "network": "host", "env": list(QUIET)}  # the stub is on 127.0.0.1
    place = docker_person.home / ".config/mooring/config.yaml"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps({"container": spec}))  # YAML too
    return Desk(docker_person, repo, stub)
