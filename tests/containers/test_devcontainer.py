"""A workspace in the dev container that its repo describes, made by the real command line."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.claude.desk import Desk
from tests.claude.stub import MessagesStub
from tests.claude.terminal import ready
from tests.containers.engine import Engine
from tests.support import PROJECT, Person, commit, lack, need

TOPIC = "fix-login"
FILE = ".devcontainer/devcontainer.json"
VARIABLE = "MOORING_TEST_DEVCONTAINER"
KEY = "sk-dummy"

FEATURE = {"id": "hello", "version": "1.0.0", "name": "Hello"}


def program() -> str:
    """The pinned `devcontainer`."""
    named = (
        os.environ.get(VARIABLE)
        or PROJECT / "node_modules/.devcontainer/node_modules/.bin/devcontainer"
    )
    return shutil.which(named) or lack("@devcontainers/cli is not installed")


@pytest.fixture
def crew(docker_person: Person, engine: Engine, repo: Path, stub: MessagesStub) -> Iterator[Desk]:
    """A desk with the real `devcontainer`, which leaves nothing of its own in the engine."""
    ready(docker_person, repo)
    for name, path in (("devcontainer", program()), ("node", need("node"))):
        (docker_person.home / "bin" / name).symlink_to(Path(path).resolve())
    yield Desk(docker_person, repo, stub)
    images = _built(engine, docker_person.home)
    engine.remove_below(docker_person.home)
    if images:
        engine.docker("image", "rm", "--force", *images, check=False)


def _built(engine: Engine, directory: Path) -> set[str]:
    """The images that the CLI built for worktrees in a directory."""
    form = '{{.Image}} {{.Label "mooring.worktree"}}'
    listed = engine.docker("ps", "--all", "--format", form).stdout.splitlines()
    pairs = [line.split(" ", 1) for line in listed if line.startswith("vsc-")]
    mine = {image for image, path in pairs if Path(path).is_relative_to(directory)}
    return mine | {image.removesuffix("-uid") for image in mine}


def text_of(document: dict[str, Any]) -> str:
    """The document as a person writes it: with a comment, and a comma too many."""
    said = json.dumps({"runArgs": ["--network=host"], **document}, indent=1)
    return f"// Ours, all of it.\n{said.removesuffix('}')},\n}}\n"


def prepare(crew: Desk, document: dict[str, Any], files: dict[str, str] | None = None) -> Path:
    """A workspace whose dev container is approved; returns its directory.

    `files` are committed beside the devcontainer.json, those of a shell as programs.
    """
    named = {f".devcontainer/{name}": content for name, content in (files or {}).items()}
    for name, content in named.items():
        if content.startswith("#!"):
            (crew.repo / name).parent.mkdir(parents=True, exist_ok=True)
            (crew.repo / name).touch(mode=0o755)
    commit(crew.person, crew.repo, {**named, FILE: text_of(document)})
    worktree = crew.new(TOPIC)
    trust(crew)
    return worktree


def trust(crew: Desk) -> str:
    """Approve the dev container; returns what was shown."""
    return crew.mooring("devcontainer", "trust", TOPIC, "--yes").stdout


def show(crew: Desk, *args: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(crew.mooring("devcontainer", TOPIC, *args).stdout)
    return found


def up(crew: Desk, *args: str) -> str:
    """Have the dev container; returns its id."""
    return crew.mooring("devcontainer", "up", TOPIC, *args).stdout.strip()


def run(*argv: str) -> tuple[str, ...]:
    return ("devcontainer", "run", TOPIC, "--", *argv)


def sh(crew: Desk, script: str, **options: Any) -> str:
    return crew.mooring(*run("sh", "-c", script), **options).stdout


def test_a_conversation_of_the_host_goes_on_in_it_and_back(
    crew: Desk, image: str, engine: Engine
) -> None:
    crew.turn("new", "elsewhere", say="omega")
    worktree = prepare(crew, {"image": image})
    crew.turn("new", TOPIC, say="alpha")
    session = crew.row(TOPIC)["session"]
    crew.turn("resume", TOPIC, "--in", "devcontainer", say="beta")
    assert crew.heard("alpha", "beta", "omega") == ["alpha", "beta"]
    made = up(crew)
    crew.turn("resume", TOPIC, say="gamma")
    assert crew.heard("alpha", "beta", "gamma") == ["alpha", "beta", "gamma"]
    assert crew.row(TOPIC)["session"] == session
    assert crew.person.git("status", "--porcelain", cwd=worktree).stdout == ""
    assert KEY not in engine.docker("inspect", made).stdout
    assert not any(KEY in path.read_text(errors="replace") for path in private_files(crew))


def private_files(crew: Desk) -> list[Path]:
    places = crew.person.home.glob(".local/share/mooring/containers/**/devcontainer.*")
    return [path for path in places if path.is_file()]


def test_git_works_in_it_and_cannot_choose_what_runs_outside(crew: Desk, image: str) -> None:
    worktree = prepare(crew, {"image": image})
    up(crew)
    assert sh(crew, "pwd && git status --porcelain") == f"{worktree}\n"
    sh(crew, "echo more >>README.md && git commit --all --quiet --message 'Say more'")
    said = crew.person.git("log", "-1", "--format=%s, %an", cwd=worktree).stdout
    assert said == "Say more, Robin Shore\n"
    common = crew.repo / ".git"
    admin = common / "worktrees" / TOPIC
    for path in (common / "config", common / "hooks/x", admin / "commondir", worktree / ".git"):
        done = crew.mooring(*run("sh", "-c", 'echo x >>"$0"', str(path)), check=False)
        assert done.returncode, path


@pytest.mark.parametrize("lock", [{}, {"devcontainer-lock.json": '{"features": {}}\n'}])
def test_a_build_with_a_feature_of_the_repos_and_its_commands(
    crew: Desk, image: str, lock: dict[str, str]
) -> None:
    document = {
        "build": {"dockerfile": "Dockerfile"},
        "features": {"./hello": {}},
        "containerEnv": {"MODE": "dev"},
        "initializeCommand": "sh .devcontainer/init.sh",
        "postCreateCommand": "echo created >/created",
    }
    files = {
        "Dockerfile": f"FROM {image}\nCOPY marker /marker\n",
        "marker": "marked\n",
        "init.sh": "echo ran >~/initialized\n",
        "hello/devcontainer-feature.json": json.dumps(FEATURE),
        "hello/install.sh": "#!/bin/sh\necho feature >/feature\n",
    }
    worktree = prepare(crew, document, files | lock)
    assert not (crew.person.home / "initialized").exists()
    up(crew)
    said = sh(crew, "cat /marker /feature /created; echo $MODE")
    assert said == "marked\nfeature\ncreated\ndev\n"
    assert (crew.person.home / "initialized").read_text() == "ran\n"
    assert crew.person.git("status", "--porcelain", "--ignored", cwd=worktree).stdout.split() == [
        word for name in HIDDEN for word in ("!!", name)
    ]


HIDDEN = (".claude/", ".envrc", ".mooring/", ".session-context.md")
"""What Mooring itself has in a worktree."""


def test_what_nobody_approved_runs_nothing(crew: Desk, image: str) -> None:
    document = {"image": image, "initializeCommand": ".devcontainer/init.sh"}
    worktree = prepare(crew, document, {"init.sh": "#!/bin/sh\ntouch ~/ran\n"})
    (worktree / ".devcontainer/init.sh").write_text("#!/bin/sh\ntouch ~/something-else\n")
    done = crew.mooring("devcontainer", "up", TOPIC, check=False)
    assert done.returncode == 4
    assert "is not approved" in done.stderr
    assert f"hint: mooring devcontainer trust {TOPIC}" in done.stderr
    assert crew.mooring("devcontainer", TOPIC, "--print", check=False).returncode == 4
    assert show(crew, "--json")["approved"] is False
    assert "touch ~/something-else" in trust(crew)
    up(crew)
    assert (crew.person.home / "something-else").exists()
    assert not (crew.person.home / "ran").exists()


def test_what_would_be_approved_is_shown_and_only_that(crew: Desk, image: str) -> None:
    commit(crew.person, crew.repo, {FILE: text_of({"image": image})})
    crew.new(TOPIC)
    done = crew.mooring("devcontainer", "trust", TOPIC, check=False)
    assert done.returncode == 4
    assert done.stdout.startswith(f"== {FILE}\n// Ours, all of it.\n{{\n")
    assert "nobody was asked" in done.stderr


def test_it_is_made_anew_only_where_somebody_says_so(crew: Desk, image: str) -> None:
    worktree = prepare(crew, {"image": image})
    first = up(crew)
    assert up(crew) == first
    (worktree / FILE).write_text(text_of({"image": image, "containerEnv": {"A": "1"}}))
    trust(crew)
    done = crew.mooring("devcontainer", "up", TOPIC, check=False)
    assert done.returncode == 1
    assert "it was made from something else" in done.stderr
    second = up(crew, "--recreate")
    assert second != first
    assert sh(crew, "echo $A") == "1\n"


def test_the_printed_file_and_the_one_that_was_used(crew: Desk, image: str) -> None:
    worktree = prepare(crew, {"image": image, "remoteUser": "root", "name": "Shop"})
    printed = show(crew, "--print")
    assert (printed["name"], printed["remoteUser"]) == ("Shop", "root")
    assert printed["workspaceFolder"] == str(worktree)
    up(crew)
    used = Path(show(crew, "--json")["override"])
    assert json.loads(used.read_text()) == printed
    assert used.stat().st_mode & 0o777 == 0o600
    assert not used.is_relative_to(worktree)


def test_the_printed_file_is_enough_for_another_editor(
    crew: Desk, image: str, engine: Engine
) -> None:
    """As VS Code has it: in a directory of its own, with no `--override-config`."""
    document = {"build": {"dockerfile": "Dockerfile"}}
    worktree = prepare(crew, document, {"Dockerfile": f"FROM {image}\n"})
    printed = crew.mooring("devcontainer", TOPIC, "--print").stdout
    own = worktree / ".devcontainer/mooring/devcontainer.json"
    own.parent.mkdir()
    own.write_text(printed)
    labels = (f"mooring.topic={TOPIC}", f"mooring.worktree={worktree}")
    named = [word for label in labels for word in ("--id-label", label)]
    argv = ("devcontainer", "up", "--workspace-folder", worktree, "--config", own, *named)
    made = json.loads(crew.person.run(*argv).stdout)["containerId"]
    done = engine.docker("exec", "--workdir", worktree, made, "git", "status", "--porcelain")
    assert done.stdout == "?? .devcontainer/mooring/\n"


@pytest.mark.parametrize(
    ("names", "args"),
    [
        ([".devcontainer.json"], ()),
        ([".devcontainer/only/devcontainer.json"], ()),
        (
            [".devcontainer/a/devcontainer.json", ".devcontainer/b/devcontainer.json"],
            ("--config", ".devcontainer/b/devcontainer.json"),
        ),
    ],
)
def test_where_it_may_be(crew: Desk, image: str, names: list[str], args: tuple[str, ...]) -> None:
    texts = {name: text_of({"image": image, "containerEnv": {"A": name}}) for name in names}
    commit(crew.person, crew.repo, texts)
    crew.new(TOPIC)
    crew.mooring("devcontainer", "trust", TOPIC, "--yes", *args)
    up(crew, *args)
    assert sh(crew, "echo $A") == f"{names[-1]}\n"


def test_a_workspace_of_a_url(crew: Desk, image: str, origin: str) -> None:
    commit(crew.person, crew.repo, {FILE: text_of({"image": image})})
    crew.person.git("push", cwd=crew.repo)
    crew.new(TOPIC, "--repo", origin)
    trust(crew)
    up(crew)
    sh(crew, "echo more >>README.md && git commit --all --quiet --message 'Say more'")
    assert sh(crew, "git log -1 --format=%s && git status --porcelain") == "Say more\n"


def test_a_command_has_stdin_and_its_own_status(crew: Desk, image: str) -> None:
    prepare(crew, {"image": image})
    up(crew)
    assert sh(crew, "cat", input="said\n") == "said\n"
    assert crew.mooring(*run("sh", "-c", "exit 7"), check=False).returncode == 7
    assert sh(crew, "echo $WORK_TOPIC") == f"{TOPIC}\n"


def test_another_user_has_the_same_store(crew: Desk, vscode_image: str) -> None:
    prepare(crew, {"image": vscode_image})
    up(crew)
    said = sh(crew, 'id -un; echo "$CLAUDE_CONFIG_DIR"')
    assert said == "vscode\n/mooring/claude\n"


@pytest.mark.skipif(os.getuid() != 0, reason="the CLI gives others' uid to the remote user")
def test_a_store_that_cannot_be_written_is_refused_before_claude_starts(
    crew: Desk, vscode_image: str
) -> None:
    prepare(crew, {"image": vscode_image})
    done = crew.turn("new", TOPIC, "--in", "devcontainer", say="alpha", check=False)
    assert done.returncode == 1
    assert "uid 1000 can't write to the session store" in done.stdout + done.stderr
    assert not crew.stub.conversations()


def test_claude_in_it_is_seen_and_an_end_removes_it(crew: Desk, image: str, engine: Engine) -> None:
    prepare(crew, {"image": image})
    with crew.waiting("new", TOPIC, "--in", "devcontainer", "--", "-p", "alpha"):
        done = crew.mooring("end", TOPIC, check=False)
        assert "Claude is running there" in done.stderr
        done = crew.turn("resume", TOPIC, say="beta", check=False)
        assert "is running" in done.stderr
    made = up(crew)
    crew.mooring("end", TOPIC)
    assert engine.docker("inspect", made, check=False).returncode
    crew.turn("resume", TOPIC, say="gamma")
    assert crew.heard("alpha", "gamma") == ["alpha", "gamma"]
    crew.mooring("end", TOPIC)


def test_down_removes_it_and_nothing_else(crew: Desk, image: str, engine: Engine) -> None:
    prepare(crew, {"image": image})
    made = up(crew)
    crew.mooring("devcontainer", "down", TOPIC)
    assert engine.docker("inspect", made, check=False).returncode
    done = crew.mooring(*run("true"), check=False)
    assert f"hint: mooring devcontainer up {TOPIC}" in done.stderr


@pytest.mark.parametrize(
    ("files", "problem", "hint"),
    [
        ({}, "has no devcontainer.json", "mooring devcontainer init --repo"),
        ({FILE: '{"dockerComposeFile": "c.yml"}'}, "one of Docker Compose", "--config"),
        ({FILE: '{\n"image" 7}'}, "line 2: Expecting ':'", ""),
        ({FILE: '{"build": {"dockerfile": "../../x"}}'}, "leads out of the worktree", ""),
        ({FILE: '{"build": {"dockerfile": "x"}}'}, "there is no such file", ""),
        (
            {f".devcontainer/{name}/devcontainer.json": '{"image": "x"}' for name in "ab"},
            "which dev container is meant",
            "--config .devcontainer/a/devcontainer.json",
        ),
    ],
)
def test_what_is_refused(crew: Desk, files: dict[str, str], problem: str, hint: str) -> None:
    if files:
        commit(crew.person, crew.repo, files)
    crew.new(TOPIC)
    done = crew.mooring("devcontainer", "up", TOPIC, check=False)
    assert done.returncode == 1
    assert problem in done.stderr
    assert hint in done.stderr


def test_a_token_in_the_repos_config(crew: Desk, image: str) -> None:
    prepare(crew, {"image": image})
    url = "https://robin:planted@example.com/o/shop"
    crew.person.git("config", "remote.other.url", url, cwd=crew.repo)
    done = crew.mooring("devcontainer", "up", TOPIC, check=False)
    assert "remote.other.url in" in done.stderr
    assert "planted" not in done.stderr


def test_init_writes_one_and_never_over_another(crew: Desk, image: str) -> None:
    said = crew.mooring("devcontainer", "init", "--image", image).stdout
    assert said == f"{crew.repo / FILE}\n"
    crew.person.git("add", FILE, cwd=crew.repo)
    crew.person.git("commit", "--message", "Describe", cwd=crew.repo)
    crew.new(TOPIC)
    trust(crew)
    up(crew)
    done = crew.mooring("devcontainer", "init", check=False)
    assert done.returncode == 1
    assert f"there is {crew.repo / FILE} already" in done.stderr


def test_init_with_a_dockerfile(crew: Desk) -> None:
    said = crew.mooring("devcontainer", "init").stdout.split()
    names = [str(Path(path).relative_to(crew.repo)) for path in said]
    assert names == [".devcontainer/Dockerfile", FILE]
    crew.person.git("add", ".", cwd=crew.repo)
    crew.person.git("commit", "--message", "Describe", cwd=crew.repo)
    crew.new(TOPIC)
    assert "FROM " in trust(crew)
    assert show(crew, "--print")["build"]["dockerfile"].endswith(".devcontainer/Dockerfile")
