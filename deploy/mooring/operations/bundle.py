"""Files of the controller that go to a target: in one stream, with the script that places them."""

from __future__ import annotations

import base64
import io
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path

from ..config import user_directory
from ..errors import MooringError
from ..files.sources import Placed
from ..handle import Workspace

BUNDLED = ("controller", "user")
"""Roots on the controller."""
MAX_BYTES = 64 * 1048576
"""The largest stream, compressed."""


def bundle(workspace: Workspace, items: Iterable[Placed]) -> str:
    """Those of the files that are on the controller, as a tar archive in base64; '' for none.

    Each is under the name of its root. Raises MooringError if one can't be read, or if they are
    too large for a stream that is held in memory.
    """
    wanted = [item for item in items if item.root in BUNDLED and item.action == "copy"]
    if not wanted:
        return ""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as archive:
        above: set[str] = set()
        for item in wanted:
            place = {"controller": Path(workspace.observed.files.root), "user": user_directory()}
            path = place[item.root] / item.src
            try:
                for name in _above(item.src):  # for their modes and times
                    if item.root == "controller" and name not in above:
                        above.add(name)
                        entry = f"{item.root}/{name}"
                        archive.add(place[item.root] / name, entry, False, filter=_exact(place))
                archive.add(path, f"{item.root}/{item.src.rstrip('/')}", filter=_exact(place))
            except OSError as error:
                raise MooringError(f"Cannot read {path}: {error.strerror}") from None
            if stream.tell() > MAX_BYTES:
                raise MooringError(
                    f"Cannot send {item.src} to {workspace.host.name}: with the others it is more "
                    "than 64 MiB",
                    "have it on the target, and name it with root: target in your config.yaml",
                )
    return base64.b64encode(stream.getvalue()).decode()


def _above(path: str) -> list[str]:
    """The directories that a path is in, the outermost first."""
    parts = path.rstrip("/").split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _exact(place: dict[str, Path]) -> Callable[[tarfile.TarInfo], tarfile.TarInfo]:
    """A filter that gives an entry its time to the nanosecond, and nobody's name."""

    def exact(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        root, _, name = entry.name.partition("/")
        seconds, rest = divmod((place[root] / name).lstat().st_mtime_ns, 10**9)
        entry.pax_headers = {"mtime": f"{seconds}.{rest:09d}"}
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        return entry

    return exact
