"""A target over ssh: an OpenSSH server of our own on loopback, and another system user behind it.

What lives here: the server, the user and the client's `~/.ssh`. The fixture over it is in
`tests/targets/conftest.py`. It needs root, for `useradd`, and leaves nothing but /run/sshd.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from tests.support import Done, Person, RunOptions, lack, need

NAME = "box"
PATIENCE = 15.0  # seconds
GRACE = 0.5  # seconds

SERVER_CONFIG = """\
ListenAddress 127.0.0.1:{port}
HostKey {place}/host_key
AuthorizedKeysFile {place}/client_key.pub
AllowUsers {user}
AuthenticationMethods publickey
StrictModes no
UsePAM no
PidFile none
PrintMotd no
MaxStartups 100
MaxSessions 100
Subsystem sftp internal-sftp
"""

CLIENT_CONFIG = """\
Host {name}
  HostName 127.0.0.1
  Port {port}
  User {user}
  IdentityFile {home}/.ssh/id_ed25519
  IdentitiesOnly yes
  UserKnownHostsFile {home}/.ssh/known_hosts
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  BatchMode yes
"""


@dataclass(frozen=True)
class SshTarget:
    """A target that `client` reaches as `@ssh/<name>` and as `ssh <name>`."""

    name: str
    user: str
    home: Path
    port: int
    client: Person

    def run(self, script: str, **options: Unpack[RunOptions]) -> Done:
        """Run a shell script on the target, as its user."""
        return self.client.run("ssh", self.name, script, **options)


@contextmanager
def ssh_target(client: Person) -> Iterator[SshTarget]:
    """An sshd with a user behind it, for as long as the block runs."""
    if os.geteuid() != 0:
        lack("not root: another user for sshd cannot be made")
    with _directory() as place, _user(place / "home") as user:
        for key in ("host_key", "client_key"):
            _run(need("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", place / key)
        with _server(place, user) as port:
            _introduce(client, place, user, port)
            yield SshTarget(NAME, user, place / "home", port, client)


@contextmanager
def _directory() -> Iterator[Path]:
    """A directory that the target's user may pass through; pytest's tmp_path is 0700."""
    place = Path(tempfile.mkdtemp(prefix="mooring-sshd-", dir="/tmp"))
    try:
        place.chmod(0o755)
        yield place
    finally:
        shutil.rmtree(place)


@contextmanager
def _user(home: Path) -> Iterator[str]:
    """A system user, named after this process: xdist's workers run side by side.

    The password `*` matches nothing; useradd's own `!` means locked, which sshd refuses
    without PAM.
    """
    name = f"mooring-test-{os.getpid()}"
    create = ("--create-home", "--home-dir", home, "--shell", "/bin/sh", "--password", "*")
    _run(need("useradd"), *create, "--user-group", name)
    try:
        yield name
    finally:
        _run(need("userdel"), "--force", name)


@contextmanager
def _server(place: Path, user: str) -> Iterator[int]:
    """The sshd, in the foreground; yields its port.

    The user's processes are ended before it, while it is there to reap its own children.
    """
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    process, port = _start(place, user)
    try:
        yield port
    finally:
        _end_processes(pwd.getpwnam(user).pw_uid)
        process.terminate()
        process.wait(PATIENCE)


def _start(place: Path, user: str) -> tuple[subprocess.Popen[bytes], int]:
    """Start sshd on a free port; tries again if someone else took the port in between."""
    for _ in range(5):
        port = _free_port()
        config = SERVER_CONFIG.format(place=place, user=user, port=port)
        (place / "sshd_config").write_text(config)
        process = _spawn(place)
        if _is_up(process, place):
            return process, port
    raise AssertionError(f"sshd did not start:\n{(place / 'log').read_text()}")


def _spawn(place: Path) -> subprocess.Popen[bytes]:
    """sshd passes its own umask on to every session, commands and sftp alike (sshd.c)."""
    with (place / "log").open("wb") as log:
        return subprocess.Popen(
            [need("sshd"), "-D", "-e", "-f", place / "sshd_config"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={"PATH": "/usr/bin:/bin"},
            umask=0o077,
        )


def _is_up(process: subprocess.Popen[bytes], place: Path) -> bool:
    """Wait until sshd listens or has ended; its log says which of the two."""

    def settled() -> bool:
        return process.poll() is not None or "Server listening" in (place / "log").read_text()

    _wait_until(settled, "sshd listens")
    return process.poll() is None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _introduce(client: Person, place: Path, user: str, port: int) -> None:
    """Make target and client known to each other, so that nothing ever asks.

    OpenSSH takes `~` from the password database, not from HOME: a wrapper on the client's PATH
    names the config, or a test would read that of the person who runs it.
    """
    ssh = client.home / ".ssh"
    ssh.mkdir(mode=0o700)
    shutil.copy(place / "client_key", ssh / "id_ed25519")
    host_key = (place / "host_key.pub").read_text()
    (ssh / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}")
    config = CLIENT_CONFIG.format(name=NAME, port=port, user=user, home=client.home)
    (ssh / "config").write_text(config)
    wrapper = client.home / "bin/ssh"
    wrapper.write_text(f'#!/bin/sh\nexec {need("ssh")} -F "{ssh}/config" "$@"\n')
    wrapper.chmod(0o755)


def _end_processes(uid: int) -> None:
    """End what the user still runs, such as a tmux server, process by process.

    A session that is just closing is left a moment to do so: killed, it is a zombie for good in
    a container whose first process reaps nothing.
    """
    grace = time.monotonic() + GRACE

    def ended() -> bool:
        pids = processes(uid)
        for pid in pids if time.monotonic() > grace else ():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not pids

    _wait_until(ended, f"the processes of user {uid} are gone")


def processes(uid: int) -> list[int]:
    """The living processes of a user, by /proc (zombies count as gone)."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            lines = status.read_text().splitlines()
        except OSError:  # it ended just now
            continue
        fields = dict(line.split(":", 1) for line in lines)
        if int(fields["Uid"].split()[0]) == uid and fields["State"].split()[0] != "Z":
            found.append(int(status.parent.name))
    return found


def _wait_until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, f"waited {PATIENCE} s in vain until {what}"
        time.sleep(0.01)


def _run(*argv: str | Path) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv} ended with {done.returncode}: {done.stderr}"
