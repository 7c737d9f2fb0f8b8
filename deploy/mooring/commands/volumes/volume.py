"""The store in a volume as a place to copy from and to.

Contents travel as tar streams of the engine; names that come out of a volume are a container's to
choose, so each is checked before anything is written by it.
"""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import docker
from docker.errors import NotFound
from docker.models.containers import Container

from ...claude import live, parts
from ...claude.parts import File
from ...errors import MooringError, command
from . import engine
from .engine import PLACE, Inside, Report
from .host import days_of, stage_in
from .places import Bring, Held, chunks, digested, opened

LIST = r"""
[ -d projects ] && [ ! -L projects ] || exit 0
for p in projects/*; do
  if [ -d "$p" ] && [ ! -L "$p" ]; then
    for f in "$p"/*.jsonl; do
      if [ -f "$f" ] && [ ! -L "$f" ]; then echo "$(($(wc -c <"$f"))) $f"; fi
    done
  fi
done
"""
PARTS = r"""
s=$1 j=$2
shift 2
show() {
  for _up in "${1%%/*}" "${1%/*}"; do if [ -L "$_up" ]; then echo "behind $1"; return; fi; done
  if [ -L "$1" ]; then printf 'link %s\n%s\n' "$1" "$(readlink "$1")"
  elif [ -d "$1" ] || [ -f "$1" ]; then echo "take $1"
  elif [ -e "$1" ]; then echo "other $1"; fi
}
for p in "$@" todos/*"$s"*; do if [ -e "$p" ] || [ -L "$p" ]; then show "$p"; fi; done
for p in projects/*/"$s"; do
  if [ -L "$p" ] && [ "$p" != "projects/$j/$s" ]; then show "$p"; fi
done
"""
PUT = r"""
stage=$1 transcript=$2 expected=$3 owner=$4
size=-
if [ -L "$transcript" ]; then exit 66; fi
if [ -e "$transcript" ]; then size=$(($(wc -c <"$transcript"))); fi
[ "$size" = "$expected" ] || exit 65
parent() { # PATH: its directories, none of them a link
  _rest=${1%/*}/ _made=
  while [ -n "$_rest" ]; do
    _made=$_made${_made:+/}${_rest%%/*} _rest=${_rest#*/}
    if [ -L "$_made" ]; then exit 66; fi
    if [ ! -d "$_made" ]; then
      (umask 077 && mkdir -- "$_made") || exit 67
      chown "$owner" "$_made" 2>/dev/null
    fi
  done
}
while IFS= read -r kind && IFS= read -r from && IFS= read -r to; do
  parent "$to"
  if [ "$kind" = link ]; then
    if [ ! -e "$to" ] && [ ! -L "$to" ]; then ln -s "$from" "$to" || exit 67; fi
  elif [ -L "$to" ] || [ -d "$to" ]; then exit 66
  else mv -f -- "$stage/$from" "$to" || exit 67; fi
done <"$stage/plan"
rm -rf -- "$stage"
"""
REMOVE = r"""
s=$1
shift
for p in "$@"; do rm -f -- "$p" || exit; done
prune() {
  if [ -d "$1" ] && [ ! -L "$1" ]; then
    for _p in "$1"/*; do prune "$_p"; done
    rmdir -- "$1" 2>/dev/null
  fi
}
for p in projects/*/"$s" tasks/"$s" file-history/"$s" session-env/"$s"; do prune "$p"; done
:
"""
RUNNING = r"""
for d in "$1" "${CLAUDE_CONFIG_DIR:-$HOME/.claude}"; do
  for f in "$d"/sessions/*.json; do
    p=${f##*/} p=${p%.json}
    if [ -f "$f" ] && [ -r "/proc/$p/stat" ]; then
      printf '%s\n' "$(tr '\n' ' ' <"/proc/$p/stat")" "$(tr '\n' ' ' <"$f")"
    fi
  done
done
"""
SETTINGS = "if [ -f settings.json ] && [ ! -L settings.json ]; then cat settings.json; fi"
OWNER = 'for p in projects .; do if [ -d "$p" ]; then ls -dn "$p"; fi; done'


class Volume:
    """The store in a volume, through a throw-away container that has it."""

    def __init__(
        self, client: docker.DockerClient, name: str, within: Inside, report: Report
    ) -> None:
        self.name = name
        self._client = client
        self._inside = within
        self._report = report
        self._owned: tuple[int, int] | None = None

    def sessions(self) -> dict[str, list[tuple[str, int]]]:
        """See Place."""
        found: dict[str, list[tuple[str, int]]] = {}
        for line in self._run("list", LIST).splitlines():
            size, _, path = line.partition(" ")
            known = parts.transcript(path)
            if known and size.isdecimal():
                found.setdefault(known[1], []).append((known[0], int(size)))
        return found

    def running(self) -> dict[str, str]:
        """See Place: by the pid files in every container that has the volume."""
        found: dict[str, str] = {}
        for item in engine.users(self._client, self.name):
            if item.status == "running":
                for session in self._running_in(item):
                    found[session] = f"the container {item.name}"
        return found

    def _running_in(self, container: Container) -> list[str]:
        mounts = container.attrs.get("Mounts") or ()
        at = next((one["Destination"] for one in mounts if one.get("Name") == self.name), "")
        try:
            done = engine.run(container, ["sh", "-c", RUNNING, "-", at])
        except engine.FAILURES:
            done = engine.Done(1, "", "")
        if done.status:
            self._report(f"it is not known what runs in the container {container.name}")
        return _alive(done.out.splitlines())

    @contextmanager
    def fetch(self, session: str, project: str, near: Path | None) -> Iterator[tuple[Path, Held]]:
        """See Place."""
        with stage_in(near or Path(tempfile.gettempdir())) as base:
            yield base, self._read(session, project, {}, base)

    def held(self, session: str, project: str, sizes: Mapping[str, int]) -> Held:
        """See Place."""
        return self._read(session, project, sizes, None)

    def _read(
        self, session: str, project: str, sizes: Mapping[str, int], into: Path | None
    ) -> Held:
        held = Held()
        tops = parts.tops(session, project)
        lines = iter(self._run("look into", PARTS, session, project, *tops).splitlines())
        for line in lines:
            word, _, path = line.partition(" ")
            to = next(lines, "") if word == "link" else ""
            if not parts.is_path(path):
                held.left_out.append(f"{path!r}: its name has what a line can't have")
            elif word == "link" and parts.is_side_link(path, to):
                held.links[path] = to
            elif word == "take":
                self._take(path, held, sizes, into)
            else:
                held.left_out.append(f"{path}: it is a symlink, or no plain file")
        return held

    def _take(self, top: str, held: Held, sizes: Mapping[str, int], into: Path | None) -> None:
        """Read a file or a directory with all that is in it."""
        for member, file in self._members(top):
            path = inner(top, member.name)
            if member.isdir():
                continue
            if path is None or file is None:
                held.left_out.append(f"{member.name!r} in {top}: it is no plain file")
            elif path not in held.files:
                held.files[path] = _read_member(member, file, path, sizes.get(path), into)

    def _members(self, top: str) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
        """What the engine's archive of a path has; the content of plain files only."""
        with engine.told(f"read {top} of the volume {self.name!r}"), suppress(NotFound):
            stream, _ = self._inside.container.get_archive(f"{PLACE}/{top}")
            with tarfile.open(fileobj=_Stream(stream), mode="r|") as tar:
                for member in tar:
                    yield member, tar.extractfile(member) if member.isreg() else None

    def staging(self) -> Path | None:
        """See Place."""
        return None

    def bring(self, what: Bring) -> None:
        """See Place: staged in the volume, read back, and renamed by a script there."""
        stage = self._inside.stage
        self._owned = owner = self._owned or self._owner()
        try:
            with engine.told(f"write to the volume {self.name!r}"):
                self._inside.container.put_archive(PLACE, _tar(what, stage, owner))
            self._check(what, stage)
            expected = "-" if what.expected is None else str(what.expected)
            who = f"{owner[0]}:{owner[1]}"
            with engine.told(f"write to the volume {self.name!r}"):
                done = self._inside.run(PUT, stage, what.transcript, expected, who)
            if done.status:
                raise _not_put(what, done.status, done.err, self.name)
        except BaseException:
            engine.remove_stage(self._inside, stage)
            raise

    def _check(self, what: Bring, stage: str) -> None:
        """Read what was staged. Raises MooringError unless all of it is as it should be."""
        there = {
            member.name.rpartition("/")[2]: digested(chunks(file))[1]
            for member, file in self._members(stage)
            if file is not None
        }
        for number, to in enumerate(what.files):
            if there.get(str(number)) != what.digests[to]:
                raise MooringError(
                    f"Cannot copy {to}: what arrived in the volume {self.name!r} differs",
                    command("mooring", "store", "probe", self.name),
                )

    def _owner(self) -> tuple[int, int]:
        """Whose files are to be: those of the one who has the store, else the caller's."""
        for line in self._run("look into", OWNER).splitlines():
            words = line.split()
            if words[2] != "0":
                return int(words[2]), int(words[3])
        return os.getuid(), os.getgid()

    def remove(self, session: str, project: str, held: Held) -> None:
        """See Place."""
        ours = [path for path in (*held.files, *held.links) if "/memory/" not in path]
        self._run("remove from", REMOVE, session, *ours)

    def days(self) -> int | None:
        """See Place."""
        return days_of(self._run("look into", SETTINGS).encode(errors="replace"))

    def _run(self, verb: str, script: str, *args: str) -> str:
        with engine.told(f"{verb} the volume {self.name!r}"):
            done = self._inside.run(script, *args)
        if done.status:
            raise MooringError(
                f"Cannot {verb} the volume {self.name!r}: {done.err.strip() or done.status}",
                command("mooring", "store", "probe", self.name),
            )
        return done.out


def inner(top: str, name: str) -> str | None:
    """The path in the store of a member of `top`'s archive; None for one that leads out of it."""
    last = top.rpartition("/")[2]
    if name != last and not name.startswith(f"{last}/"):
        return None
    path = top + name[len(last) :]
    return path if parts.is_path(path) else None


def _read_member(
    member: tarfile.TarInfo,
    file: IO[bytes],
    path: str,
    at: int | None,
    into: Path | None,
) -> File:
    content = chunks(file)
    if into is not None:
        (into / path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        content = _kept(content, into / path)
    size, digest, head = digested(content, at)
    return File(size, digest, member.mode & 0o7777, float(member.mtime), head)


def _kept(content: Iterable[bytes], at: Path) -> Iterator[bytes]:
    with open(at, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as out:
        for chunk in content:
            out.write(chunk)
            yield chunk


def _alive(lines: list[str]) -> list[str]:
    """The sessions of pid files, each behind its process's line of proc(5)'s stat."""
    found = []
    for said, text in zip(lines[::2], lines[1::2], strict=False):
        fields = said.rpartition(")")[2].split()
        running = live.parse(text, fields[19]) if len(fields) > 19 else None
        if running and fields[0] not in ("Z", "X"):
            found.append(running.session)
    return found


def _tar(what: Bring, stage: str, owner: tuple[int, int]) -> Iterator[bytes]:
    """The stage as a stream: files by number, and a plan of three lines for each part."""
    yield _entry(stage, tarfile.DIRTYPE, 0, 0o700, time.time(), (0, 0))
    plan = "".join(f"link\n{link}\n{to}\n" for to, link in what.links.items())
    plan += "".join(f"file\n{number}\n{to}\n" for number, to in enumerate(what.files))
    data = plan.encode("utf-8", "surrogateescape")
    yield _entry(f"{stage}/plan", tarfile.REGTYPE, len(data), 0o600, time.time(), (0, 0))
    yield _padded(data)
    for number, (to, source) in enumerate(what.files.items()):
        with opened(what.base / source) as file:
            found = os.fstat(file.fileno())
            mode, left = found.st_mode & 0o700 | 0o600, found.st_size
            name = f"{stage}/{number}"
            yield _entry(name, tarfile.REGTYPE, left, mode, what.modified[to], owner)
            yield from _exactly(chunks(file), left)
    yield b"\0" * 1024


def _exactly(content: Iterable[bytes], size: int) -> Iterator[bytes]:
    """So many bytes and the padding; zeros for what is missing, which the digest then finds."""
    left = size
    for chunk in content:
        yield chunk[:left]
        left -= len(chunk[:left])
    while left:
        yield b"\0" * min(left, 1 << 20)
        left -= min(left, 1 << 20)
    yield b"\0" * (-size % 512)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 512)


def _entry(
    name: str, kind: bytes, size: int, mode: int, modified: float, owner: tuple[int, int]
) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.mode, info.mtime = kind, size, mode, modified
    info.uid, info.gid = owner
    return info.tobuf(tarfile.PAX_FORMAT)


def _not_put(what: Bring, status: int, said: str, name: str) -> MooringError:
    why = {65: "the one there changed", 66: "a symlink or a directory is in its place"}
    reason = why.get(status) or " ".join(said.split()) or f"status {status}"
    return MooringError(f"Cannot copy {what.transcript} to the volume {name!r}: {reason}")


class _Stream(io.RawIOBase):
    """Chunks of bytes as a file that can be read."""

    def __init__(self, content: Iterable[bytes]) -> None:
        self._content = iter(content)
        self._left = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self._left) < size:
            chunk = next(self._content, b"")
            if not chunk:
                break
            self._left += chunk
        given = self._left if size < 0 else self._left[:size]
        self._left = self._left[len(given) :]
        return given


@contextmanager
def opened_volume(
    client: docker.DockerClient, name: str, asked: str, words: tuple[str, ...], report: Report
) -> Iterator[Volume]:
    """A volume as a place; raises MooringError if there is none, or no image."""
    engine.volume(client, name)
    with engine.told(f"look into the volume {name!r}"):
        image = engine.image(client, name, asked, words)
        engine.clean(client, name, report)
        with engine.inside(client, name, image) as within:
            yield Volume(client, name, within, report)
