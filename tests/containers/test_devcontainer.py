"""A workspace in the dev container that its repo describes, made by the real command line."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.claude.desk import Desk
from tests.claude.stub import MessagesStub
from tests.claude.terminal import ready
from tests.containers.engine import Engine
from tests.support import PROJECT, Person, commit, lack, make_repo, need

TOPIC = "fix-login"
VARIABLE = "MOORING_TEST_DEVCONTAINER"
KEY = "sk-dummy"

DOCKERFILE = """\
FROM {image}
COPY marker /marker
"""
FEATURE = {"id": "hello", "version": "1.0.0", "name": "Hello"}
INSTALL = "#!/bin/sh\necho feature >/feature\n"


def program() -> str:
    """The pinned `devcontainer`."""
    named = os.environ.get(VARIABLE) or PROJECT / "node_modules/.bin/devcontainer"
    return shutil.which(named) or lack("@devcontainers/cli is not installed")


@pytest.fixture
def crew(docker_person: Person, engine: Engine, repo: Path, stub: MessagesStub) -> Iterator[Desk]:
    """A desk with the real `devcontainer`, whose images are gone after the test."""
    ready(docker_person, repo)
    for name, path in (("devcontainer", program()), ("node", need("node"))):
        (docker_person.home / "bin" / name).symlink_to(path)
    before = _images(engine)
    yield Desk(docker_person, repo, stub)
    engine.remove_below(docker_person.home)
    if made := _images(engine) - before:
        engine.docker("image", "rm", "--force", *made, check=False)


def _images(engine: Engine) -> set[str]:
    listed = engine.docker("image", "ls", "--quiet", "--filter", "reference=vsc-*").stdout
    return set(listed.split())


def describe(crew: Desk, image: str, **more: Any) -> None:
    """Commit a devcontainer.json, with a comment and a comma too many, and approve it."""
    said = json.dumps({"image": image, "runArgs": ["--network=host"], **more}, indent=1)
    text = f"// Ours, all of it.\n{said.removesuffix('}')},\n}}\n"
    commit(crew.person, crew.repo, {".devcontainer/devcontainer.json": text})


def prepare(crew: Desk, image: str, **more: Any) -> Path:
    """A workspace whose dev container is approved; returns its directory."""
    describe(crew, image, **more)
    worktree = crew.new(TOPIC)
    crew.mooring("devcontainer", "trust", TOPIC, "--yes")
    return worktree


def up(crew: Desk, *args: str) -> str:
    """Have the dev container; returns its id."""
    return crew.mooring("devcontainer", "up", TOPIC, *args).stdout.strip()


def sh(crew: Desk, script: str, **options: Any) -> str:
    argv = ("devcontainer", "run", TOPIC, "--", "sh", "-c", script)
    return crew.mooring(*argv, **options).stdout


def test_a_conversation_of_the_host_goes_on_in_it_and_back(
    crew: Desk, image: str, engine: Engine
) -> None:
    crew.turn("new", "first", say="omega")
    describe(crew, image)
    worktree, session = crew.begin(TOPIC, "alpha")
    crew.mooring("devcontainer", "trust", TOPIC, "--yes")
    made = up(crew)
    resumed = ("claude", "--resume", session, "-p", "beta")
    crew.mooring("devcontainer", "run", TOPIC, "--", *resumed)
    assert crew.heard("alpha", "beta", "omega") == ["alpha", "beta"]
    crew.turn("resume", TOPIC, "--in", "host", say="gamma")
    assert crew.heard("alpha", "beta", "gamma") == ["alpha", "beta", "gamma"]
    assert crew.person.git("status", "--porcelain", cwd=worktree).stdout == ""
    assert KEY not in engine.docker("inspect", made).stdout


def test_git_works_in_it_and_cannot_choose_what_runs_outside(crew: Desk, image: str) -> None:
    worktree = prepare(crew, image)
    up(crew)
    assert sh(crew, "pwd && git status --porcelain") == f"{worktree}\n"
    sh(crew, "echo more >>README.md && git commit --all --quiet --message 'Say more'")
    said = crew.person.git("log", "-1", "--format=%s, %an", cwd=worktree).stdout
    assert said == "Say more, Robin Shore\n"
    common = crew.repo / ".git"
    admin = common / "worktrees" / TOPIC
    for path in (common / "config", common / "hooks/x", admin / "commondir", worktree / ".git"):
        argv = ("devcontainer", "run", TOPIC, "--", "sh", "-c", 'echo x >>"$0"', str(path))
        assert crew.mooring(*argv, check=False).returncode, path


def test_a_build_with_a_local_feature_and_hooks(crew: Desk, image: str, engine: Engine) -> None:
    place = crew.repo / ".devcontainer"
    files = {
        "Dockerfile": DOCKERFILE.format(image=image),
        "marker": "marked\n",
        "hello/devcontainer-feature.json": json.dumps(FEATURE),
        "hello/install.sh": INSTALL,
    }
    commit(crew.person, crew.repo, {f".devcontainer/{name}": each for name, each in files.items()})
    (place / "hello/install.sh").chmod(0o755)
    describe(
        crew,
        image,
        image="",
        build={"dockerfile": "Dockerfile"},
        features={"./hello": {}},
        containerEnv={"MODE": "dev"},
        postCreateCommand="echo created >/created",
    )
    worktree = crew.new(TOPIC)
    crew.mooring("devcontainer", "trust", TOPIC, "--yes")
    up(crew)
    assert sh(crew, "cat /marker /feature /created; echo $MODE") == "marked\nfeature\ncreated\ndev\n"
    assert crew.person.git("status", "--porcelain", cwd=worktree).stdout == ""
