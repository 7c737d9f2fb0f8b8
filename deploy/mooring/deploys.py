"""The deploys: the one composition of operations that every front door runs.

pyinfra INVENTORY mooring.deploys.workspace topic=fix-login repo=…
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyinfra import logger
from pyinfra.api.deploy import deploy
from pyinfra.api.host import Host
from pyinfra.context import ctx_host

from .caches import Caches
from .caches import request as cache_request
from .errors import MooringError, command
from .handle import Report, Workspace
from .model import request
from .operations.cache import cache
from .operations.caches import tended, verdict
from .operations.claim import claim, released
from .operations.container import container, container_removed
from .operations.envrc import envrc
from .operations.files import files
from .operations.identity import identity
from .operations.removed import removed
from .operations.session import session
from .operations.setup import setup
from .operations.worktree import worktree
from .registry import opened

PROVISION = (
    ("Cache", cache),
    ("Claim", claim),
    ("Worktree", worktree),
    ("Identity", identity),
    ("Files", files),
    ("Envrc", envrc),
    ("Container", container),
    ("Setup", setup),
    ("Session", session),
)
RETIRE = (("Container", container_removed), ("Worktree", removed), ("Record", released))


@deploy("Workspace")
def workspace(**data: Any) -> None:
    """Have the workspace that the data describes (`topic`, `repo` and what else a Request has)."""
    _on_host(data, provision)


@deploy("Retire")
def retire(**data: Any) -> None:
    """Have no workspace of that `topic` and `repo`, and lose nothing."""
    _on_host(data, end)


@deploy("Caches")
def caches(**data: Any) -> None:
    """Do to the caches what the data says (`verb`, and `repo` for one of them)."""
    _guarded(lambda host: tend(Caches(cache_request(data), host, _report(host))))


def tend(handle: Caches) -> None:
    """Queue it for each cache that is meant. Raises MooringError if there is none such."""
    for one in handle.chosen():
        tended(handle, one, name=f"{handle.request.verb} of {one.repo}")
    if handle.request.verb in ("fetch", "verify"):
        verdict(handle, name="verdict")


def provision(handle: Workspace) -> None:
    """Queue what makes the workspace so. Raises MooringError for what stands in the way."""
    handle.check()
    _queue(handle, PROVISION)


def end(handle: Workspace) -> None:
    """Queue the end of a workspace. Raises MooringError if something would be lost."""
    handle.ending = True
    handle.check_end()
    _queue(handle, RETIRE)


def _queue(handle: Workspace, operations: tuple[tuple[str, Any], ...]) -> None:
    for name, operation in operations:
        operation(handle, name=f"{name} of {handle.request.topic}")


def _on_host(data: dict[str, Any], compose: Callable[[Workspace], None]) -> None:
    _guarded(lambda host: compose(Workspace(request(data), host, _report(host), opened())))


def _guarded(compose: Callable[[Host], None]) -> None:
    """Compose on the host in context; a refusal is said in a sentence and fails this host alone."""
    host = ctx_host.get()
    try:
        _check_stays(host)
        compose(host)
    except MooringError as error:
        for line in error.lines():
            logger.error(f"{host.print_prefix}{line}")
        host.state.fail_hosts({host})


def _check_stays(host: Host) -> None:
    """Raise MooringError for a container that pyinfra had to start: it removes it at the end.

    Of what is in it, it makes an image. One that was there before is kept from that.
    """
    connector: Any = host.connector
    if getattr(connector, "no_stop", True):  # it ran already, or is no container
        return
    name = connector.data["docker_identifier"]
    if connector.container_id == name:
        connector.no_stop = True
        raise MooringError(
            f"Cannot use the container {name}: it was not running, and may not stay so",
            command("docker", "start", name, note="which pyinfra has just done"),
        )
    raise MooringError(
        f"Cannot use {name}: it is an image, and a workspace needs a container that runs",
        command("docker", "run", "--detach", name, "sleep", "infinity", note="and use its name"),
    )


def _report(host: Host) -> Report:
    return lambda text: logger.warning(f"{host.print_prefix}{text}")
