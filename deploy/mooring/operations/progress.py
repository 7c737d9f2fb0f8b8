"""How far git or Docker is, told to a person while a script runs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gevent
from pyinfra.api.command import StringCommand
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.host import Host

SECONDS = 2.0
_STEP = re.compile(
    r"(?:^remote: |^)([A-Z][a-z]+ [a-z]+: +[0-9]+% .*"  # git
    r"|Step [0-9]+/[0-9]+ : .*|#[0-9]+ \[.*|[0-9a-f]{12}: [A-Z].*)",  # docker build, docker pull
    re.MULTILINE,
)


@contextmanager
def watching(host: Host, path: str, report: Callable[[str], None]) -> Iterator[None]:
    """Report its progress from that file on the host, until the block ends; '' for none.

    By a command of its own, since pyinfra hands over a command's output only when it has ended.
    """
    watcher = gevent.spawn(_watch, host, path, report) if path else None
    try:
        yield
    finally:
        if watcher:
            watcher.kill()


def _watch(host: Host, path: str, report: Callable[[str], None]) -> None:
    command = StringCommand(f"tail -c 400 {shlex.quote(path)} 2>/dev/null || :")
    last = ""
    while True:
        gevent.sleep(SECONDS)
        try:
            _, output = host.run_shell_command(command, print_output=False, print_input=False)
        except (PyinfraError, OSError):
            return
        steps = _STEP.findall(output.stdout.replace("\r", "\n"))
        if steps and steps[-1] != last:
            last = steps[-1]
            report(last)
