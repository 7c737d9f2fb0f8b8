"""The fixtures that all tests share: a person, their repo, its origin, Claude, its stub, Docker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.claude.stub import MessagesStub
from tests.containers.engine import Engine, find_engine
from tests.containers.images import ROOT, VSCODE, have_image
from tests.support import CLAUDES, Person, commit, make_home, make_person, make_repo


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A HOME with a git identity and a directory for temporary files."""
    return make_home(tmp_path / "home")


@pytest.fixture
def person(home: Path) -> Person:
    """Who lives in `home`; nothing of this machine's environment reaches what they run."""
    return make_person(home)


@pytest.fixture
def repo(person: Person) -> Path:
    """A clone of the person's own, `~/src/shop`: three commits, and an ignored `.env.local`."""
    shop = make_repo(person, person.home / "src/shop", {"README.md": "# Shop\n"})
    commit(person, shop, {".gitignore": ".env*\nnode_modules/\n"})
    commit(person, shop, {"app/shop.py": 'print("open")\n'})
    secret = shop / ".env.local"
    secret.touch(mode=0o600)
    secret.write_text("API_KEY=planted-secret\n")
    return shop


@pytest.fixture
def origin(person: Person, repo: Path) -> str:
    """The `file://` URL of the bare remote that `repo` was pushed to: its identity is a path."""
    bare = person.home / "remotes/shop.git"
    url = bare.as_uri()
    person.git("init", "--bare", bare, cwd=person.home)
    person.git("remote", "add", "origin", url, cwd=repo)
    person.git("push", "--set-upstream", "origin", "main", cwd=repo)
    person.git("remote", "set-head", "origin", "main", cwd=repo)
    return url


@pytest.fixture
def stub() -> Iterator[MessagesStub]:
    """The Messages API that Claude talks to in tests."""
    with MessagesStub() as stub:
        yield stub


@pytest.fixture
def claude_person(person: Person, stub: MessagesStub) -> Person:
    """The person, with the pinned Claude CLI on PATH, which talks to `stub`."""
    return person.with_claude(stub)


@pytest.fixture(params=list(CLAUDES))
def any_claude_person(request: pytest.FixtureRequest, person: Person, stub: MessagesStub) -> Person:
    """`claude_person` with the current Claude CLI, and again with the oldest supported one."""
    return person.with_claude(stub, request.param)


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
