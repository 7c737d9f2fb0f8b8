"""A person who uses the Docker engine, and their desk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.claude.desk import Desk
from tests.claude.stub import MessagesStub
from tests.claude.terminal import ready
from tests.containers.engine import Engine
from tests.support import Person


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
