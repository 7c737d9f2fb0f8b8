"""A container as the target: what is made inside it is the same as over ssh, for as many commands.

The repo is a bare one, mounted at the path that its `file://` URL says, or one of the container's.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from mooring import script
from mooring.deploys import PROVISION, RETIRE
from tests.claude.stub import MessagesStub
from tests.containers.engine import Engine
from tests.files.test_templates import _sample_argv
from tests.git.traces import ROOT, listing, rows
from tests.operations.test_leftovers import here
from tests.support import PROJECT, Done, Person, need
from tests.targets.box import HOME, Box, box_target
from tests.targets.sshd import SshTarget
from tests.targets.test_files_over_ssh import PROGRESS, fill, note_commands
from tests.targets.test_fleet import MAKE_SHOP, outcomes
from tests.targets.test_fleet import deploy as deploy_over_ssh

TOPIC = "fix-login"
PLAIN = "hunter2-Zq9vX4"
SHOP = f"{HOME}/src/shop"


def made(box: Box, **data: str) -> str:
    """Where the workspace is, which nothing had been before and which is made once."""
    first = outcomes(box.deploy("workspace", topic=TOPIC, **data), box.host)
    assert "Success" in first
    assert "Error" not in first
    again = outcomes(box.deploy("workspace", topic=TOPIC, **data), box.host)
    assert again == ["No changes"] * len(PROVISION)
    return str(record(box)["worktree"])


def record(box: Box) -> dict[str, object]:
    found = box.run(f"find ~/{ROOT}/records -name '*.json' -exec cat {{}} +")
    value = json.loads(found.stdout)
    assert isinstance(value, dict)
    return value


def retired(box: Box, **data: str) -> None:
    """End it; nothing of it is left but the record."""
    place = record(box)["worktree"]
    box.deploy("retire", topic=TOPIC, **data)
    assert record(box)["state"] == "ended"
    assert box.run(f"test -e {place}", check=False).returncode == 1
    again = outcomes(box.deploy("retire", topic=TOPIC, **data), box.host)
    assert again == ["No changes"] * len(RETIRE)


def test_a_url(person: Person, repo: Path, origin: str, box: Box) -> None:
    before = listing(repo, times=False)
    place = made(box, repo=origin)
    assert place.startswith(f"{HOME}/{ROOT}/worktrees/file/")
    assert box.run(f"cat {place}/README.md && git -C {place} status --short").stdout == "# Shop\n"
    assert listing(repo, times=False) == before
    assert not (person.home / ROOT / "worktrees").exists()
    (row,) = rows(person)
    assert (row["host"], row["worktree"]) == (box.host, place)
    retired(box, repo=origin)


def test_a_path_in_the_container(box: Box) -> None:
    box.run(MAKE_SHOP)
    place = made(box, repo=SHOP)
    assert place == f"{SHOP}.worktrees/{TOPIC}"
    assert box.run(f"cat {place}/.env.local").stdout == "API_KEY=planted-secret\n"
    retired(box, repo=SHOP)
    assert box.run(f"git -C {SHOP} branch").stdout == "* main\n"


def test_whose_it_is(person: Person, engine: Engine, vscode_image: str) -> None:
    """The container's user has it, at their own home."""
    with box_target(person, engine, vscode_image) as box:
        box.run(MAKE_SHOP)
        place = made(box, repo="~/src/shop")
        assert place == f"/home/vscode/src/shop.worktrees/{TOPIC}"
        assert box.run("find . ! -user vscode").stdout == ""
        retired(box, repo="~/src/shop")


def test_its_pids_are_its_own(box: Box) -> None:
    """So that a run here never takes what one there is at work on for left behind."""
    asked = script.compose({"root": "/x"}, 'marked; printf %s "${mark#*.}"')
    argv = ("exec", "--interactive", box.name, "sh", "-c", script.RUN)
    there = box.engine.docker(*argv, input=str.__str__(asked)).stdout
    assert there.isdigit()
    assert there != here()


def test_without_a_container(person: Person) -> None:
    argv = ("-y", PROJECT / "inventories/docker.py", PROJECT / "deploy/workspace.py")
    done = person.pyinfra(*argv, "--data", "topic=x", "--data", "repo=y", check=False)
    assert "Traceback" not in done.stdout + done.stderr


def test_by_its_name_alone_from_anywhere(person: Person, origin: str, box: Box) -> None:
    (person.home / "elsewhere").mkdir()
    data = (f"topic={TOPIC}", f"repo={origin}")
    argv = ("-y", box.host, "mooring.deploys.workspace", *data)
    done = person.pyinfra(*argv, cwd=person.home / "elsewhere", env=box.client.env)
    assert "Success" in outcomes(done, box.host)
    assert record(box)["state"] == "ready"
    env = box.client.env | {"MOORING_CONTAINERS": box.name}
    entry = PROJECT / "deploy/workspace.py"
    given = ("--data", f"topic={TOPIC}", "--data", f"repo={origin}")
    again = person.pyinfra(
        "-y", PROJECT / "inventories/docker.py", entry, *given, cwd=Path("/"), env=env
    )
    assert outcomes(again, box.host) == ["No changes"] * len(PROVISION)


def test_as_many_commands_as_over_ssh(person: Person, sshd: SshTarget, box: Box) -> None:
    sshd.run(MAKE_SHOP)
    box.run(MAKE_SHOP)
    log = note_commands(sshd)

    def over_ssh(entry: str) -> int:
        log.write_text("")
        deploy_over_ssh(person, entry, "-y", topic=TOPIC, repo=f"{sshd.home}/src/shop")
        ran = log.read_text().splitlines()
        return len([line for line in ran if not line.startswith(PROGRESS)])

    for entry in ("workspace", "workspace", "retire"):
        _, commands = box.counted(entry, topic=TOPIC, repo=SHOP)
        assert commands == over_ssh(entry) > 0


def configure(person: Person, **spec: object) -> None:
    """The person's own config, and a template beside it."""
    own = person.home / ".config/mooring"
    own.mkdir(parents=True)
    (own / "config.yaml").write_text(json.dumps(spec))
    (own / "env.j2").write_text("TOPIC={{ topic }}\nKEY={{ secret('KEY') }}\n")
    (person.home / "key").write_text(f"{PLAIN}\n")


def test_files_of_the_controller_and_a_secret(
    person: Person, repo: Path, origin: str, box: Box, engine: Engine
) -> None:
    template = {"src": "env.j2", "dest": ".env", "root": "user"}
    files = {"copy": [".env.local", "/conf"], "template": [template]}
    configure(person, files=files, secrets={"KEY": {"file": "~/key"}})
    with (repo / ".git/info/exclude").open("a") as exclude:
        exclude.write("/conf/\n")
    fill(repo / "conf", 20)
    seen: list[bytes] = []
    done = watched(box, repo, origin, seen)
    place = record(box)["worktree"]
    assert box.run(f"cat {place}/.env").stdout == f"TOPIC={TOPIC}\nKEY={PLAIN}\n"
    assert box.run(f"stat -c %a {place}/.env {place}/.env.local").stdout == "600\n600\n"
    assert box.run(f"ls {place}/conf | wc -l").stdout.strip() == "20"
    assert box.run(f"git -C {place} status --short").stdout == ""
    said = done.stdout + done.stderr + json.dumps(engine.inspect(box.name))
    assert PLAIN not in said + box.log.read_text()
    assert seen
    assert not any(PLAIN.encode() in argv for argv in seen)


def watched(box: Box, cwd: Path, origin: str, seen: list[bytes]) -> Done:
    """A verbose run in that directory, while every process's argv is noted."""
    over = threading.Event()
    sampler = threading.Thread(target=_sample_argv, args=(over, seen))
    sampler.start()
    try:
        return box.client.pyinfra(
            *("-y", "--debug", "-vvv", PROJECT / "inventories/docker.py"),
            *(PROJECT / "deploy/workspace.py", "--data", f"topic={TOPIC}"),
            *("--data", f"repo={origin}"),
            env={"MOORING_CONTAINERS": box.name},
            cwd=cwd,
        )
    finally:
        over.set()
        sampler.join()


# What is no running container


def said_of(done: Done, name: str) -> str:
    """What the run says of a host."""
    lines = (done.stdout + done.stderr).splitlines()
    return "\n".join(line for line in lines if f"@docker/{name}]" in line)


def fails_alone(box: Box, name: str) -> str:
    """A run for that name too, where the box is provisioned all the same; what is said of it."""
    box.run(MAKE_SHOP)
    done = box.deploy("workspace", others=name, check=False, topic=TOPIC, repo=SHOP)
    assert done.returncode == 1
    assert outcomes(done, box.host).count("Success") == 5
    assert record(box)["state"] == "ready"
    assert "Traceback" not in done.stdout + done.stderr
    return said_of(done, name)


def test_a_container_that_does_not_exist(box: Box) -> None:
    """pyinfra takes its name for that of an image, which nobody has either."""
    said = fails_alone(box, f"{box.name}-gone")
    assert f"Local command failed: docker run -d {box.name}-gone" in said


@pytest.fixture
def stopped(person: Person, engine: Engine, image: str) -> Iterator[Box]:
    """A container that was stopped, with a file in it."""
    with box_target(person, engine, image) as target:
        target.run("echo mine >note")
        engine.docker("stop", "--time", "0", target.name)
        yield target


def test_a_stopped_container_is_not_lost(box: Box, stopped: Box) -> None:
    """pyinfra starts it, and would remove it at the end, with all that is in it."""
    said = fails_alone(box, stopped.name)
    assert f"Cannot use the container {stopped.name}: it was not running" in said
    assert f"hint: docker start {stopped.name}" in said
    assert stopped.run("cat note; ls -A").stdout == "mine\nnote\n"


def test_an_image_is_no_container(box: Box, image: str, engine: Engine) -> None:
    """pyinfra runs one, and makes an image of that."""
    said = fails_alone(box, image)
    assert f"Cannot use {image}: it is an image" in said
    (made,) = re.findall("image ID: ([0-9a-f]+)", said)
    found = engine.docker("run", "--rm", made, "sh", "-c", "ls -A ~").stdout
    engine.docker("rmi", made)
    assert found == ""


# Conversations


@pytest.fixture
def volume(engine: Engine) -> Iterator[str]:
    """A named volume."""
    name = f"mooring-test-{uuid.uuid4().hex[:12]}"
    engine.docker("volume", "create", name)
    yield name
    engine.docker("volume", "rm", name)


@pytest.fixture
def desk(
    claude_person: Person, engine: Engine, image: str, volume: str, origin: str
) -> Iterator[Box]:
    """A container with Claude, whose store is the volume.

    It is on the host's network: the stub listens on the host's loopback, and nowhere else.
    """
    remotes = Path(origin.removeprefix("file://")).parent
    claude = Path(need("claude")).resolve()
    options = (
        f"--volume={remotes}:{remotes}:ro",
        f"--volume={claude}:/usr/local/bin/claude:ro",
        f"--volume={volume}:{HOME}/.claude",
        *("--network", "host"),
    )
    with box_target(claude_person, engine, image, *options) as target:
        yield target


def turn(box: Box, say: str, *args: str) -> str:
    """A headless turn in the workspace; returns the session's id."""
    names = [name for name in box.client.env if name.startswith(("ANTHROPIC", "CLAUDE_", "DISA"))]
    done = box.client.run(
        *("docker", "exec", "--workdir", str(record(box)["worktree"])),
        *(f"--env={name}" for name in names),
        *(box.name, "claude", "-p", say, "--output-format", "json", *args),
    )
    return str(json.loads(done.stdout)["session_id"])


def test_a_conversation_outlives_the_container(desk: Box, stub: MessagesStub, origin: str) -> None:
    made(desk, repo=origin)
    first = record(desk)
    session = str(first["session"])
    assert turn(desk, "alpha", "--session-id", session) == session
    desk.remove()
    desk.start()
    made(desk, repo=origin)
    second = record(desk)
    assert second["target"] != first["target"]
    assert (second["session"], second["worktree"]) == (session, first["worktree"])
    assert [(row["session"], row["state"]) for row in rows(desk.client)] == [(session, "ready")]
    assert turn(desk, "beta", "--resume", session) == session
    texts = stub.texts(stub.last_conversation())
    assert [word for word in ("alpha", "beta") if word in texts] == ["alpha", "beta"]


def test_a_workspace_outlives_the_container(
    person: Person, engine: Engine, image: str, volume: str, origin: str, box: Box
) -> None:
    """Where Mooring's directory is a volume, with what nobody committed."""
    with box_target(
        person, engine, image, *box.options, f"--volume={volume}:{HOME}/{ROOT}"
    ) as kept:
        place = made(kept, repo=origin)
        kept.run(f"echo mine >{place}/idea.txt")
        before = record(kept)
        kept.remove()
        kept.start()
        kept.deploy("workspace", topic=TOPIC, repo=origin)
        assert kept.run(f"cat {place}/idea.txt").stdout == "mine\n"
        after = record(kept)
        for name in ("target", "session", "worktree", "ports"):
            assert after[name] == before[name], name


def test_a_second_container_has_a_conversation_of_its_own(
    person: Person, engine: Engine, image: str, origin: str, box: Box
) -> None:
    """One id in two stores would be a fork."""
    made(box, repo=origin)
    with box_target(person, engine, image, *box.options) as other:
        made(other, repo=origin)
        assert record(other)["session"] != record(box)["session"]
        assert {row["session"] for row in rows(person)} == {
            record(other)["session"],
            record(box)["session"],
        }


# A small image


@pytest.fixture
def small(person: Person, engine: Engine, image: str, origin: str) -> Iterator[Box]:
    """A container that finds busybox and git on its PATH, and nothing else."""
    programs = person.home / "small"
    programs.mkdir()
    shutil.copy(need("busybox"), programs / "busybox")
    listed = subprocess.run([need("busybox"), "--list"], capture_output=True, text=True, check=True)
    for name in listed.stdout.split():
        if name != "busybox":
            (programs / name).symlink_to("busybox")
    (programs / "git").symlink_to("/usr/bin/git")
    remotes = Path(origin.removeprefix("file://")).parent
    options = (f"--volume={remotes}:{remotes}:ro", f"--volume={programs}:/small:ro")
    with box_target(person, engine, image, "--env=PATH=/small", *options) as target:
        yield target


def test_a_small_image(small: Box, repo: Path, origin: str) -> None:
    assert small.run("readlink /proc/$$/exe").stdout == "/small/busybox\n"
    place = made(small, repo=origin)
    assert small.run(f"git -C {place} status --short").stdout == ""
    retired(small, repo=origin)
