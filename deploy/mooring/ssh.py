"""How pyinfra's ssh connections are made."""

from __future__ import annotations

import socket
from typing import Any


def without_delay(sock: socket.socket, **options: Any) -> Any:
    """A paramiko transport on `sock`, with TCP_NODELAY."""
    import paramiko

    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return paramiko.Transport(sock, **options)
