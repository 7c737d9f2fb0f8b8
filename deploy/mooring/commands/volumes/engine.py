"""The Docker engine, a volume of it, and throw-away containers that have the volume mounted."""

from __future__ import annotations

import os
import re
import secrets
import socket
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import docker
import msgspec
import paramiko
import requests
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.models.containers import Container
from docker.models.volumes import Volume
from docker.types import Mount

from ...claude import live
from ...errors import MooringError, command

Report = Callable[[str], None]

STORE = "mooring.store"
THROW_AWAY = "mooring.throw-away"
"""Says of a container whose it is: host, pid, and when that process began, with colons between."""
STAGE = "mooring.stage"
"""The name of the directory in the volume that goes with the container."""
PLACE = "/mooring-store"
LIFE = "21600"
"""Seconds after which a throw-away container ends, whatever becomes of who made it."""
HIDDEN = "***"
_FIELD = re.compile(r"([^,=\s]*(?:pass|secret|token|key|cred)[^,=\s]*)=[^,\s]*", re.IGNORECASE)
_LOGIN = re.compile(r"(//[^/@:\s]*):[^/@\s]*@")
FAILURES = (
    DockerException,
    requests.exceptions.RequestException,
    tarfile.TarError,
    paramiko.SSHException,
)


class Done(msgspec.Struct, frozen=True):
    """How a command in a container ended."""

    status: int
    out: str
    err: str


def connect() -> docker.DockerClient:
    """The engine that DOCKER_HOST, or the client's context, names; `ssh://` by paramiko.

    Raises MooringError if it doesn't answer.
    """
    try:
        named = {**os.environ, "DOCKER_HOST": _with_port(os.environ.get("DOCKER_HOST", ""))}
        client = docker.from_env(timeout=300, environment=named)
        client.ping()
    except (OSError, *FAILURES) as error:
        where = os.environ.get("DOCKER_HOST", "")
        raise MooringError(
            f"Cannot reach the Docker engine{where and f' at {where}'}: {reason(error)}",
            command("docker", "info"),
        ) from None
    return client


def _with_port(host: str) -> str:
    """An ssh address with the port that ssh's own config says: the SDK puts 22 where none is."""
    parts = urlsplit(host)
    if parts.scheme != "ssh" or parts.port or not parts.hostname or parts.hostname[0] == "-":
        return host
    argv = ["ssh", "-G", "--", parts.hostname]
    try:
        said = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=10).stdout
    except (OSError, subprocess.TimeoutExpired):
        return host
    port = next((line.split()[1] for line in said.splitlines() if line.startswith("port ")), "")
    return f"ssh://{parts.netloc}:{port}{parts.path}" if port.isdecimal() else host


def reason(error: Exception) -> str:
    """What went wrong, in one line: the engine's own words where it has some."""
    said = getattr(error, "explanation", None) or str(error)
    if isinstance(said, bytes):
        said = said.decode(errors="replace")
    return " ".join(scrubbed(str(said)).split())[:500] or type(error).__name__


def scrubbed(text: str) -> str:
    """Without what is named like a secret, and a login's password: errors quote mount options."""
    return _LOGIN.sub(rf"\1:{HIDDEN}@", _FIELD.sub(rf"\1={HIDDEN}", text))


def volume(client: docker.DockerClient, name: str) -> Volume:
    """A volume of the engine. Raises MooringError if there is none of that name."""
    try:
        return client.volumes.get(name)
    except NotFound:
        raise MooringError(
            f"Cannot find the volume {name!r}: the engine has none of that name",
            command("mooring", "store", "create", name),
            command("docker", "volume", "ls"),
        ) from None
    except FAILURES as error:
        raise MooringError(f"Cannot look at the volume {name!r}: {reason(error)}") from None


def users(client: docker.DockerClient, name: str) -> list[Container]:
    """The containers that have the volume, but for throw-away ones."""
    found = client.containers.list(all=True, filters={"volume": name}, ignore_removed=True)
    return [item for item in found if THROW_AWAY not in item.labels]


def image(client: docker.DockerClient, name: str, asked: str, words: tuple[str, ...]) -> str:
    """The image for a volume's throw-away containers: the one asked for, else one that uses it.

    Never pulls. `words` is the command to be given again. Raises MooringError if there is none.
    """
    if asked:
        return _have(client, asked)
    for item in users(client, name):
        with suppress(*FAILURES):
            return str(item.attrs["Image"])
    tags = sorted(tag for item in client.images.list() for tag in item.tags)
    raise MooringError(
        f"Cannot look into the volume {name!r}: no container has it, so an image is needed to "
        "make one",
        command(*words, "--image", tags[0] if tags else "IMAGE", note="any with a shell"),
    )


def _have(client: docker.DockerClient, asked: str) -> str:
    try:
        return str(client.images.get(asked).id)
    except ImageNotFound:
        raise MooringError(
            f"Cannot use the image {asked}: the engine does not have it",
            command("docker", "pull", asked),
        ) from None


class Inside:
    """A volume as a running throw-away container sees it, at PLACE, as root and without network."""

    def __init__(self, container: Container, stage: str) -> None:
        self.container = container
        self.stage = stage

    def run(self, script: str, *args: str) -> Done:
        """Run a script of sh in the volume's root, to its end.

        It lingers for a moment: what a command wrote right before it ended can be lost, on an
        engine with much to do (moby/moby#27289).
        """
        text = f"trap 'sleep 0.1 2>/dev/null' EXIT\ncd {PLACE} || exit 70\n{script}"
        argv = ["sh", "-c", text, "mooring", *args]
        return run(self.container, argv, user="0:0")

    def begin(self, script: str, *args: str) -> None:
        """Start a script there, and don't wait."""
        argv = ["sh", "-c", f"cd {PLACE} || exit 70\n{script}", "mooring", *args]
        self.container.exec_run(argv, detach=True, user="0:0")


def run(container: Container, argv: list[str], user: str = "") -> Done:
    """Run a command in a running container, to its end."""
    ended: Any = container.exec_run(argv, demux=True, user=user)
    return Done(ended.exit_code, _text(ended.output[0]), _text(ended.output[1]))


def _text(data: bytes | None) -> str:
    return (data or b"").decode("utf-8", "surrogateescape")


@contextmanager
def inside(
    client: docker.DockerClient, name: str, with_image: str, stage: str = ""
) -> Iterator[Inside]:
    """A throw-away container with the volume; it and its stage are gone afterwards.

    `stage` is a directory that the caller removes. Raises MooringError if it can't be started: the
    engine looks at a volume's options only now.
    """
    ours = stage or new_stage()
    container = _create(client, name, with_image, ours)
    try:
        try:
            container.start()
        except FAILURES as error:
            raise MooringError(
                f"Cannot mount the volume {name!r}: {reason(error)}",
                command("docker", "volume", "inspect", name),
            ) from None
        volume_ = Inside(container, ours)
        try:
            yield volume_
        finally:
            if not stage:
                remove_stage(volume_, ours)
    finally:
        with suppress(*FAILURES):
            container.remove(force=True)


def new_stage() -> str:
    """A name for a directory of ours that nobody else takes."""
    return f".mooring-stage-{secrets.token_hex(8)}"


def remove_stage(within: Inside, stage: str) -> None:
    """Remove what is left of a stage."""
    with suppress(*FAILURES):
        within.run('rm -rf -- "$1"', stage)


def _create(client: docker.DockerClient, name: str, with_image: str, stage: str) -> Container:
    try:
        return client.containers.create(
            with_image,
            entrypoint=["sleep", LIFE],
            command=[],
            user="0:0",
            network_mode="none",
            working_dir="/",
            mounts=[Mount(PLACE, name, no_copy=True)],
            labels={THROW_AWAY: _me(), STAGE: stage, f"{STORE}.name": name},
        )
    except FAILURES as error:
        raise MooringError(f"Cannot make a container with {name!r}: {reason(error)}") from None


def _me() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{live.started(os.getpid())}"


def clean(client: docker.DockerClient, name: str, report: Report) -> None:
    """Remove what killed runs of this host left: their directories in the volume, containers."""
    labels = [THROW_AWAY, f"{STORE}.name={name}"]
    for item in client.containers.list(all=True, filters={"label": labels}, ignore_removed=True):
        if not _is_left(item.labels[THROW_AWAY]):
            continue
        report(f"removing what an earlier run left: {item.short_id}")
        with suppress(*FAILURES):
            item.start()
            remove_stage(Inside(item, ""), item.labels.get(STAGE, ""))
        with suppress(*FAILURES):
            item.remove(force=True)


def _is_left(owner: str) -> bool:
    """Whether it is a process of this host that is gone."""
    host, pid, began = owner.rsplit(":", 2)
    return host == socket.gethostname() and not live.is_same(int(pid), began)


@contextmanager
def told(what: str) -> Iterator[None]:
    """Turn what the engine refuses into MooringError: `Cannot <what>: <its words>`."""
    try:
        yield
    except APIError as error:
        raise MooringError(f"Cannot {what}: {reason(error)}", command("docker", "info")) from None
    except FAILURES as error:
        raise MooringError(
            f"Cannot {what}: the connection to the engine failed: {reason(error)}",
            command("docker", "info"),
        ) from None
