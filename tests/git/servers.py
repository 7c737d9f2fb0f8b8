"""Git servers of our own on loopback: the real `git http-backend`, and the real sshd.

Both can misbehave: `HttpServer` while it runs, `SshServer` by what its client is given.
"""

from __future__ import annotations

import os
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import zlib
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import parse_headers
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self
from urllib.parse import quote, unquote_to_bytes, urlsplit

from tests.support import SYSTEM_PATH, Person, need
from tests.targets.sshd import SshTarget, ssh_target

PATIENCE = 15.0  # seconds
GRACE = 2.0  # seconds
PIECE = 16384  # bytes
SLICES = 20  # a second's worth of a slow answer comes in so many pieces


class HttpServer:
    """The bare repos under `root`, by smart HTTP, for as long as the block runs.

    `user` and `password` (None: nobody is asked), `slow` (bytes a second, None: at once) and
    `redirects` (old path to new path, or to a whole URL) may be set at any time; they count from
    the next request on.
    """

    def __init__(
        self,
        root: Path,
        *,
        user: str | None = None,
        password: str | None = None,
        slow: float | None = None,
        redirects: Mapping[str, str] | None = None,
    ) -> None:
        self.root = root
        self.user, self.password = user, password
        self.slow = slow
        self.redirects = dict(redirects or {})
        self._faults = _Faults()
        self._lock = threading.Lock()
        self._requests: list[tuple[str, str]] = []
        self._offered: list[tuple[str, str]] = []
        self._stalled = threading.Event()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join(PATIENCE)
        self._server.leave()

    @property
    def port(self) -> int:
        return self._server.server_port

    def url(self, path: str, user: str = "", password: str = "") -> str:
        """The URL of a repo below `root`, with credentials in it if they are given."""
        who = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
        return f"http://{who}{'@' if who else ''}127.0.0.1:{self.port}/{quote(path)}"

    @property
    def requests(self) -> list[tuple[str, str]]:
        """Method and path (with its query) of every request so far, oldest first."""
        with self._lock:
            return list(self._requests)

    @property
    def offered(self) -> list[tuple[str, str]]:
        """User and password of every request that had any, wanted or not, oldest first."""
        with self._lock:
            return list(self._offered)

    def die(self, after: int, times: int = 1) -> None:
        """Hang up after so many bytes of a pack, in the next `times` answers that have more."""
        self._faults.arm("die", after, times)

    def stall(self, after: int, times: int = 1) -> None:
        """Send so many bytes of a pack and then nothing, until the client or the server goes."""
        self._stalled.clear()
        self._faults.arm("stall", after, times)

    def fail(self, times: int = 1, status: int = 503) -> None:
        """Answer the next `times` requests with an error."""
        self._faults.arm("fail", status, times)

    def heal(self) -> None:
        """Take back what `die`, `stall` and `fail` have left to do."""
        self._faults.clear()

    def wait_stalled(self, seconds: float = PATIENCE) -> None:
        """Wait until an answer stalls. Raises AssertionError if none does."""
        assert self._stalled.wait(seconds), f"nothing has stalled in {seconds} s"

    def note(self, method: str, path: str, offer: tuple[str, str] | None) -> None:
        """Keep what was asked."""
        with self._lock:
            self._requests.append((method, path))
            if offer:
                self._offered.append(offer)

    def moved(self, path: str) -> str | None:
        """The URL that a path, or what it lies under, has moved to; None if it has not."""
        for old, new in self.redirects.items():
            if f"{path}/".startswith(f"{old}/"):
                there = new if "://" in new else f"http://127.0.0.1:{self.port}{new}"
                return there + path.removeprefix(old)
        return None

    def admits(self, offer: tuple[str, str] | None) -> bool:
        """Whether credentials will do."""
        return self.user is None or offer == (self.user, self.password or "")

    def failure(self) -> int | None:
        """The status that this request has to fail with."""
        return self._faults.take("fail", None)

    def cut(self, sent: int, size: int) -> tuple[str, int] | None:
        """What befalls a pack with the `size` bytes behind the `sent` ones, and where in them."""
        for kind in ("die", "stall"):
            after = self._faults.take(kind, sent + size)
            if after is not None:
                return kind, max(0, after - sent)
        return None

    def stalled(self) -> None:
        """Say that an answer stalls."""
        self._stalled.set()


class _Faults:
    """What is still to go wrong: a number (bytes or a status) by kind, and how many times."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: dict[str, tuple[int, int]] = {}

    def arm(self, kind: str, number: int, times: int) -> None:
        with self._lock:
            self._armed[kind] = (number, times)

    def clear(self) -> None:
        with self._lock:
            self._armed.clear()

    def take(self, kind: str, reached: int | None) -> int | None:
        """The number, once less: if it is passed by `reached`, where that is given."""
        with self._lock:
            number, times = self._armed.get(kind, (0, 0))
            if not times or (reached is not None and reached <= number):
                return None
            self._armed[kind] = (number, times - 1)
            return number


class _Server(ThreadingHTTPServer):
    """Its connections and its git processes end with it."""

    request_queue_size = 64

    def __init__(self, owner: HttpServer) -> None:
        self.owner = owner
        self.leaving = threading.Event()
        self.lock = threading.Lock()
        self.threads: set[threading.Thread] = set()
        self.connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    def leave(self) -> None:
        """Hang up on everybody, and wait for the last answer to end."""
        with self.lock:
            self.leaving.set()
            threads, connections = list(self.threads), list(self.connections)
        for connection in connections:
            with suppress(OSError):  # it has hung up itself
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "an answer did not end"
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing for a client that is gone: git hangs up when it has read enough."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection; each request is an own `git http-backend`."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        with self.server.lock:
            if self.server.leaving.is_set():
                raise ConnectionAbortedError
            self.server.threads.add(threading.current_thread())
            self.server.connections.add(self.connection)

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            with self.server.lock:
                self.server.threads.discard(threading.current_thread())
                self.server.connections.discard(self.connection)

    def do_GET(self) -> None:
        owner, offer = self.server.owner, self._offer()
        owner.note(self.command, self.path, offer)
        with tempfile.TemporaryFile(dir=owner.root) as body:
            self._read(body)
            self._answer(owner, offer, body)

    do_HEAD = do_POST = do_GET  # noqa: N815 (http.server's names)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (http.server's name)
        """Nothing: stdout and stderr are the tests'."""

    def _answer(self, owner: HttpServer, offer: tuple[str, str] | None, body: IO[bytes]) -> None:
        if failure := owner.failure():
            self._refuse(failure)
        elif moved := owner.moved(self.path):
            self._refuse(301, {"Location": moved})
        elif not owner.admits(offer):
            self._refuse(401, {"WWW-Authenticate": 'Basic realm="tests"'})
        else:
            with _backend(self._environment(offer), body) as answer:
                self._pass_on(answer, self._is_pack(body))

    def _offer(self) -> tuple[str, str] | None:
        """The credentials of the request (RFC 7617)."""
        kind, _, value = self.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "basic":
            return None
        user, _, password = b64decode(value).decode().partition(":")
        return user, password

    def _read(self, body: IO[bytes]) -> None:
        """The request's body, whole, so that git and the client never wait for each other."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body.write(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline().strip():  # trailers
                pass
        else:
            body.write(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        body.seek(0)

    def _is_pack(self, body: IO[bytes]) -> bool:
        """Whether the answer holds a pack: one to a list of refs has none (protocol v2)."""
        start = body.read(PIECE)
        body.seek(0)
        if self.headers.get("Content-Encoding") == "gzip":
            start = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(start, PIECE)
        is_fetch = urlsplit(self.path).path.endswith("/git-upload-pack")
        return is_fetch and b"command=ls-refs" not in start[:64]

    def _environment(self, offer: tuple[str, str] | None) -> dict[str, str]:
        """What `git http-backend` reads, and nothing of this machine's."""
        owner, url = self.server.owner, urlsplit(self.path)
        given = {
            "GIT_PROTOCOL": self.headers.get("Git-Protocol"),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding"),
            "CONTENT_TYPE": self.headers.get("Content-Type"),
            "CONTENT_LENGTH": self.headers.get("Content-Length"),
            "REMOTE_USER": owner.user if offer else None,
        }
        return {
            "PATH": os.pathsep.join(SYSTEM_PATH),
            "HOME": str(owner.root),
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_PROJECT_ROOT": str(owner.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": _unquoted(url.path),
            "QUERY_STRING": url.query,
            "REMOTE_ADDR": "127.0.0.1",
            "SERVER_PROTOCOL": self.request_version,
            **{name: value for name, value in given.items() if value is not None},
        }

    def _refuse(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _pass_on(self, answer: IO[bytes], is_pack: bool) -> None:
        """A CGI answer (RFC 3875, 6) as an HTTP one, in chunks as they come."""
        headers = parse_headers(answer)
        self.send_response(int(headers.get("Status", "200").split()[0]))
        for name, value in headers.items():
            if name not in ("Status", "Content-Length"):
                self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if self.command != "HEAD":
            self._pass_body_on(answer, is_pack)

    def _pass_body_on(self, answer: IO[bytes], is_pack: bool) -> None:
        sent, fault = 0, None
        while not fault and (data := _some(answer)):
            fault = self.server.owner.cut(sent, len(data)) if is_pack else None
            self._send(data[: fault[1]] if fault else data)
            sent += len(data)
        if fault:
            self._break(fault[0])
        else:
            self.wfile.write(b"0\r\n\r\n")

    def _send(self, data: bytes) -> None:
        """A piece of an answer, as fast as the server is now."""
        slow = self.server.owner.slow
        size = max(1, int(slow / SLICES)) if slow else max(1, len(data))
        for at in range(0, len(data), size):
            piece = data[at : at + size]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            if slow and self.server.leaving.wait(len(piece) / slow):
                raise ConnectionAbortedError

    def _break(self, kind: str) -> None:
        """Hang up; or say no more, until the other side or the server goes."""
        self.close_connection = True
        self.wfile.flush()
        if kind == "stall":
            self.server.owner.stalled()
            while not self.server.leaving.wait(0.05) and not self._is_gone():
                pass
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _is_gone(self) -> bool:
        readable = select.select([self.connection], [], [], 0)[0]
        return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)


def _some(stream: IO[bytes]) -> bytes:
    """What there is of a pipe, as soon as there is something; empty at its end."""
    data: bytes = stream.read1(PIECE)  # type: ignore[attr-defined]
    return data


def _unquoted(path: str) -> str:
    """A path of a URL as bytes of a file name, the way a CGI gets it."""
    return os.fsdecode(unquote_to_bytes(path))


@contextmanager
def _backend(environment: Mapping[str, str], body: IO[bytes]) -> Iterator[IO[bytes]]:
    """A `git http-backend` with that body, which ends with the block; gives its answer."""
    process = subprocess.Popen(
        [need("git"), "http-backend"],
        stdin=body,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=dict(environment),
        start_new_session=True,
    )
    assert process.stdout
    try:
        yield process.stdout
    finally:
        process.stdout.close()  # what it still wants to say ends it
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(PATIENCE)


@dataclass(frozen=True)
class SshServer:
    """Git over ssh, from another user's HOME: `target` is who and where.

    The rest are command lines for GIT_SSH_COMMAND. None of them says that nobody may be asked.
    """

    target: SshTarget
    known: str
    """The server is known and the key will do: nothing is asked."""
    stranger: str
    """The server's key is unknown: ssh asks whether it is the right one."""
    locked: str
    """The key has the passphrase PASSPHRASE: ssh asks for it."""
    unauthorized: str
    """The server knows nothing of the key."""

    def serve(self, repo: Path, name: str) -> str:
        """The URL of a bare clone of a repo, made for the server."""
        place = self.target.home / name
        self.target.client.git("clone", "--quiet", "--bare", repo, place)
        for path in (place, *place.rglob("*")):
            shutil.chown(path, self.target.user)
        return f"ssh://{self.target.user}@127.0.0.1:{self.target.port}{quote(str(place))}"


PASSPHRASE = "open sesame"


@contextmanager
def ssh_server(client: Person) -> Iterator[SshServer]:
    """An sshd that serves git to `client`, for as long as the block runs."""
    with ssh_target(client) as target:
        ssh = client.home / ".ssh"
        known, nobody = ssh / "known_hosts", ssh / "no_hosts"
        right, locked, other = ssh / "id_ed25519", ssh / "id_locked", ssh / "id_other"
        keygen = (need("ssh-keygen"), "-q")
        shutil.copy(right, locked)
        client.run(*keygen, "-p", "-P", "", "-N", PASSPHRASE, "-f", locked)
        client.run(*keygen, "-t", "ed25519", "-N", "", "-f", other)
        yield SshServer(
            target,
            known=_ssh(right, known),
            stranger=_ssh(right, nobody),
            locked=_ssh(locked, known),
            unauthorized=_ssh(other, known),
        )


def _ssh(key: Path, hosts: Path) -> str:
    """A command line of ssh that reads nothing of this machine's."""
    options = {
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "UserKnownHostsFile": f'"{hosts}"',
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "ask",
        "PreferredAuthentications": "publickey",
    }
    said = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    return shlex.join([need("ssh"), "-F", "/dev/null", "-i", str(key), *said])
