"""The engine and its images, tried: what later tests rely on when they start a container."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.claude.stub import MessagesStub
from tests.containers.engine import Engine
from tests.support import Person, need

COMMIT = """\
set -e
git init --quiet --initial-branch main shop
cd shop
echo open >README.md
git add .
git -c user.name=Robin -c user.email=robin@example.com commit --quiet --message 'Open the shop'
git clone --quiet . ../copy
git -C ../copy log --format='%an: %s'
"""

# By name only: the values are those that the client has.
TOLD = ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC")


@pytest.fixture(params=["image", "vscode_image"])
def any_image(request: pytest.FixtureRequest) -> str:
    """Each of the images."""
    name: str = request.getfixturevalue(request.param)
    return name


def test_git_works_in_an_image(docker_person: Person, any_image: str) -> None:
    run = ("docker", "run", "--rm", "--interactive", "--workdir", "/tmp", any_image)
    assert docker_person.run(*run, "git", "--version").stdout.startswith("git version 2.")
    done = docker_person.run(*run, "sh", input=COMMIT)
    assert (done.stdout, done.stderr) == ("Robin: Open the shop\n", "")


@pytest.mark.parametrize(
    ("fixture", "who"),
    [("image", "0 root /root /"), ("vscode_image", "1000 vscode /home/vscode /home/vscode")],
)
def test_whose_an_image_is(
    request: pytest.FixtureRequest, docker_person: Person, fixture: str, who: str
) -> None:
    name = request.getfixturevalue(fixture)
    script = 'touch "$HOME/mine" && echo "$(id -u) $(id -un) $HOME $PWD"'
    assert docker_person.run("docker", "run", "--rm", name, "sh", "-c", script).stdout == f"{who}\n"


def test_claude_answers_in_a_container(
    docker_person: Person, any_image: str, stub: MessagesStub, tmp_path: Path
) -> None:
    """On the host's network: the stub listens on the host's loopback, and nowhere else."""
    projects = tmp_path / "projects"
    projects.mkdir()
    projects.chmod(0o777)
    home = docker_person.run(
        "docker", "run", "--rm", any_image, "sh", "-c", "echo ~"
    ).stdout.strip()
    mounts = {
        f"type=bind,source={Path(need('claude')).resolve()},target=/usr/local/bin/claude,readonly",
        f"type=bind,source={projects},target={home}/.claude-test/projects",
    }
    options = [f"--mount={mount}" for mount in mounts] + [f"--env={name}" for name in TOLD]
    done = docker_person.run(
        *("docker", "run", "--rm", "--network", "host", "--workdir", "/tmp"),
        *("--env", f"CLAUDE_CONFIG_DIR={home}/.claude-test", *options, any_image),
        *("claude", "-p", "hello", "--output-format", "json"),
    )
    answer = json.loads(done.stdout)
    assert answer["result"] == "stub reply 1"
    assert "hello" in stub.texts(stub.last_conversation())
    assert [path.stem for path in projects.glob("*/*.jsonl")] == [answer["session_id"]]


def test_only_the_containers_of_a_test_are_removed(
    docker_person: Person, engine: Engine, image: str, tmp_path: Path
) -> None:
    (tmp_path / "mounted").mkdir()
    (tmp_path / "mounted-too").mkdir()
    mine, other = tmp_path / "mounted", tmp_path / "mounted-too"

    def create(label: str, *options: str) -> str:
        argv = ("create", "--label", label, *options, image)
        return docker_person.run("docker", *argv).stdout.strip()

    labelled = create("mooring.topic=a", f"--label=mooring.worktree={mine}/shop")
    mounted = create("mooring.topic=b", "--volume", "/data", "--volume", f"{mine}:/mnt")
    beside = create("mooring.topic=c", "--volume", f"{other}:/mnt")
    stranger = create("other=d", "--volume", f"{mine}:/mnt")

    def there() -> set[str]:
        listed = engine.docker("ps", "--all", "--quiet", "--no-trunc").stdout.split()
        return {labelled, mounted, beside, stranger} & set(listed)

    engine.remove_below(mine)
    left = there()
    engine.docker("rm", stranger)
    assert left == {beside, stranger}
