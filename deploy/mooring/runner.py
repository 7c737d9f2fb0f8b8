"""Runs a deploy in this process through pyinfra's API, and owns what came of it.

pyinfra is imported here, in deploys, and below, and nowhere above: `list` and `--help` don't pay.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

os.environ.setdefault("PYINFRA_PROGRESS", "off")

# paramiko imports invoke, a sixth of pyinfra's import, for `Match exec` in an ssh_config, and does
# without where it is missing. Nothing here goes over ssh.
_modules: dict[str, Any] = sys.modules
_modules.setdefault("invoke", None)

from gevent.hub import Hub
from pyinfra.api.config import Config
from pyinfra.api.connect import connect_all, disconnect_all
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.host import Host
from pyinfra.api.inventory import Inventory
from pyinfra.api.operations import run_ops
from pyinfra.api.state import BaseStateCallback, State, StateStage
from pyinfra.context import ctx_host, ctx_state

if _modules["invoke"] is None:
    del _modules["invoke"]

from . import caches, deploys
from .errors import MooringError
from .facts.caches import Cache
from .handle import Workspace
from .model import request
from .registry import opened

# An interrupt ends the run and is reported once, not as a greenlet's traceback.
Hub.NOT_ERROR = (*Hub.NOT_ERROR, KeyboardInterrupt)

CONNECT_SECONDS = 5
SLOW_SECONDS = 0.5
TARGET = "@local"

Report = Callable[[str], None]

COMPOSITIONS = {"workspace": deploys.provision, "retire": deploys.end}


class Outcome(msgspec.Struct, frozen=True):
    """What a run did: the operations that changed something (would change, in a dry run)."""

    workspace: Workspace
    changed: tuple[str, ...]
    dry: bool


def run(name: str, data: dict[str, Any], report: Report, *, dry: bool = False) -> Outcome:
    """Run the deploy `name` on this host.

    Raises MooringError with the reason if anything failed. `dry` stops before the first change.
    """
    checked = request(data)
    with _connected(report, dry) as host:
        handle = Workspace(checked, host, report, opened())
        _carry_out(handle, COMPOSITIONS[name], dry)
        return Outcome(handle, tuple(_changed(host, dry)), dry)


def tend(data: dict[str, Any], report: Report) -> dict[str, tuple[str, ...]]:
    """Do to the caches of this host what the data says. Returns what came of it, by identity.

    Raises MooringError with the reason if anything failed.
    """
    checked = caches.request(data)
    with _connected(report) as host:
        handle = caches.Caches(checked, host, report)
        try:
            _carry_out(handle, deploys.tend, False)
        except MooringError:
            if not handle.bad():
                raise  # what was found damaged, or away, is an answer
        return handle.said


def list_caches(root: str, report: Report) -> tuple[Cache, ...]:
    """The caches of this host. Raises MooringError if they can't be looked at."""
    with _connected(report) as host:
        return caches.listed(host, root)


def _carry_out(handle: Any, compose: Callable[[Any], None], dry: bool) -> None:
    """Compose, and unless it is a dry run do it. Raises MooringError if anything failed."""
    state = handle.host.state
    try:
        compose(handle)
        if not dry:
            state.set_stage(StateStage.Execute)
            run_ops(state)
    except PyinfraError:
        pass  # the only host has failed: its error says why
    if handle.error or state.failed_hosts:
        raise handle.error or MooringError("Cannot finish: the target stopped answering")


@contextmanager
def _connected(report: Report, dry: bool = False) -> Iterator[Host]:
    """This host, connected; pyinfra's context is reset whatever happens."""
    logging.getLogger("pyinfra").setLevel(logging.CRITICAL + 1)
    _leave_a_directory_that_is_gone()
    inventory = Inventory(([TARGET], {}))
    state = State(inventory, Config(CONNECT_TIMEOUT=CONNECT_SECONDS), check_for_changes=dry)
    state.add_callback_handler(_progress(report))
    ctx_state.set(state)
    try:
        state.set_stage(StateStage.Connect)
        connect_all(state)
        host = inventory.get_host(TARGET)
        ctx_host.set(host)
        state.set_stage(StateStage.Prepare)
        yield host
        disconnect_all(state)
    finally:
        # pyinfra's own `use` leaks its context when something raises.
        ctx_host.reset()
        ctx_state.reset()


def _leave_a_directory_that_is_gone() -> None:
    """Git and shells can't start in one; an `end` inside its workspace leaves us there."""
    try:
        os.getcwd()
    except FileNotFoundError:
        os.chdir("/")


def _changed(host: Host, dry: bool) -> Iterator[str]:
    state = host.state
    for op_hash in host.op_hash_order:
        meta = state.get_op_data_for_host(host, op_hash).operation_meta
        if meta.will_change if dry else meta.is_complete() and meta.did_change():
            yield _title(state, op_hash)


def _title(state: State, op_hash: str) -> str:
    name = sorted(state.get_op_meta(op_hash).names)[0]
    return name.rpartition("| ")[2].partition(" of ")[0].lower()


def _progress(report: Report) -> BaseStateCallback:
    """Callbacks that say which operation took its time."""
    began = 0.0

    class Progress(BaseStateCallback):
        @staticmethod
        def operation_host_start(state: State, host: Host, op_hash: str) -> None:
            nonlocal began
            began = time.monotonic()

        @staticmethod
        def operation_host_success(
            state: State, host: Host, op_hash: str, retry_count: int = 0
        ) -> None:
            seconds = time.monotonic() - began
            if seconds > SLOW_SECONDS:
                report(f"{_title(state, op_hash)}: {seconds:.1f} s")

    return Progress()
