"""The store of this host as a place to copy from and to."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ...claude import live, parts, safely, transcripts
from ...errors import MooringError, command
from .places import Bring, Held, chunks, file_at, opened

STAGE = ".mooring-copy-"


class Host:
    """The store that Claude uses on this host."""

    name = "host"

    def __init__(self) -> None:
        self.root = Path(os.path.realpath(transcripts.store()))

    def sessions(self) -> dict[str, list[tuple[str, int]]]:
        """See Place. Projects and transcripts that are links are passed over."""
        found: dict[str, list[tuple[str, int]]] = {}
        for path in sorted((self.root / "projects").glob("*/*.jsonl")):
            known = parts.transcript(str(path.relative_to(self.root)))
            if known and not path.parent.is_symlink() and stat.S_ISREG(path.lstat().st_mode):
                found.setdefault(known[1], []).append((known[0], path.lstat().st_size))
        return found

    def running(self) -> dict[str, str]:
        """See Place."""
        found = live.running(self.root)
        return {key: f"pid {item.pid} in {item.cwd}" for key, item in found.items()}

    @contextmanager
    def fetch(self, session: str, project: str, near: Path | None) -> Iterator[tuple[Path, Held]]:
        """See Place: they are where they are."""
        yield self.root, self.held(session, project, {})

    def held(self, session: str, project: str, sizes: Mapping[str, int]) -> Held:
        """See Place."""
        held = Held()
        try:
            for path in self._paths(session, project):
                self._take(path, held, sizes)
        except OSError as error:
            raise MooringError(
                f"Cannot read the session {session}: {error}",
                command("ls", "-l", str(self.root / "projects" / project)),
            ) from None
        return held

    def _paths(self, session: str, project: str) -> Iterator[str]:
        yield from parts.tops(session, project)
        for path in sorted((self.root / "todos").glob(f"*{session}*")):
            yield str(path.relative_to(self.root))
        for path in sorted((self.root / "projects").glob(f"*/{session}")):
            if path.is_symlink() and path.parent.name != project:
                yield str(path.relative_to(self.root))

    def _take(self, path: str, held: Held, sizes: Mapping[str, int]) -> None:
        """Add a part, with all that is below it."""
        place = self.root / path
        if _through_link(self.root, path):
            if place.exists():
                held.left_out.append(f"{path}: it lies behind a symlink")
        elif place.is_symlink():
            _take_link(path, os.readlink(place), held)
        elif place.is_dir():
            for name in sorted(os.listdir(place)):
                self._take(f"{path}/{name}", held, sizes)
        elif place.is_file():
            if parts.is_path(path):
                held.files[path] = file_at(place, sizes.get(path))
            else:
                held.left_out.append(f"{path!r}: its name has what a line can't have")
        elif place.exists():
            held.left_out.append(f"{path}: it is no plain file")

    def staging(self) -> Path | None:
        """See Place: the store itself, where nobody looks for such a name."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise MooringError(f"Cannot make {self.root}: {error.strerror}") from None
        for left in self.root.glob(f"{STAGE}*"):
            pid = left.name.removeprefix(STAGE).split("-")[0]
            if pid.isdecimal() and not live.is_alive(int(pid)):
                shutil.rmtree(left, ignore_errors=True)
        return self.root

    def bring(self, what: Bring) -> None:
        """See Place."""
        try:
            self._bring(what)
        except OSError as error:
            raise MooringError(
                f"Cannot write {what.transcript} in {self.root}: {error.strerror or error}",
                command("ls", "-ld", str(self.root / "projects")),
            ) from None

    def _bring(self, what: Bring) -> None:
        place = self.root / what.transcript
        with stage_in(self.root) as stage:
            for number, (to, source) in enumerate(what.files.items()):
                self._copy(what.base / source, stage / str(number), what.modified[to])
                if file_at(stage / str(number)).digest != what.digests[to]:
                    raise MooringError(f"Cannot copy {to}: it changed meanwhile")
            there = place.lstat().st_size if os.path.lexists(place) else None
            if there != what.expected:
                raise MooringError(f"Cannot copy {what.transcript}: the one there changed")
            for to, link in what.links.items():
                self._parent(to)
                if not os.path.lexists(self.root / to):
                    (self.root / to).symlink_to(link)
            for number, to in enumerate(what.files):
                self._parent(to)
                (stage / str(number)).rename(self.root / to)

    def _copy(self, source: Path, to: Path, modified: float) -> None:
        with opened(source) as file, to.open("xb") as out:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o700 | 0o600
            for chunk in chunks(file):
                out.write(chunk)
            os.fchmod(out.fileno(), mode)
            out.flush()
            os.fsync(out.fileno())
        os.utime(to, (modified, modified))
        self._own(to)

    def _parent(self, path: str) -> None:
        """Have the directory of a path. Raises MooringError if a link would lead elsewhere."""
        if _through_link(self.root, path):
            raise MooringError(
                f"Cannot write {path}: a part of it is a symlink in {self.root}",
                command("ls", "-l", str((self.root / path).parent)),
            )
        for parent in reversed((self.root / path).parents):
            if parent.is_relative_to(self.root) and not parent.is_dir():
                parent.mkdir(mode=0o700)
                self._own(parent)

    def _own(self, path: Path) -> None:
        """Give it to whom the store belongs, where we are root."""
        owner = self.root.stat()
        if os.geteuid() == 0 and owner.st_uid != 0:
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)

    def remove(self, session: str, project: str, held: Held) -> None:
        """See Place: the transcript goes first, so that half a session is none."""
        ours = [path for path in (*held.files, *held.links) if "/memory/" not in path]
        try:
            for path in ours:
                (self.root / path).unlink(missing_ok=True)
            for path in (f"projects/{project}/{session}", *(f"{o}/{session}" for o in parts.OWN)):
                _remove_empty(self.root / path)
        except OSError as error:
            raise MooringError(f"Cannot remove {session} from {self.root}: {error}") from None

    def days(self) -> int | None:
        """See Place."""
        data = safely.read(self.root / "settings.json", follow=True) or b"{}"
        return days_of(data)


class _Settings(msgspec.Struct, rename="camel"):
    cleanup_period_days: int | None = None


def days_of(data: bytes) -> int | None:
    """What Claude's settings say of `cleanupPeriodDays`, if they do."""
    try:
        return msgspec.json.decode(data, type=_Settings).cleanup_period_days
    except (msgspec.DecodeError, ValueError):
        return None


@contextmanager
def stage_in(near: Path) -> Iterator[Path]:
    """A directory for half-done work, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=f"{STAGE}{os.getpid()}-", dir=near) as stage:
        yield Path(stage)


def _take_link(path: str, to: str, held: Held) -> None:
    if parts.is_side_link(path, to):
        held.links[path] = to
    else:
        held.left_out.append(f"{path}: it is a symlink")


def _through_link(root: Path, path: str) -> bool:
    """Whether a directory on the way is a symlink."""
    names = path.split("/")[:-1]
    return any((root / "/".join(names[: n + 1])).is_symlink() for n in range(len(names)))


def _remove_empty(place: Path) -> None:
    """Remove what is left of a directory tree without files."""
    for directory, _, _ in os.walk(place, topdown=False):
        if not os.listdir(directory):
            os.rmdir(directory)
