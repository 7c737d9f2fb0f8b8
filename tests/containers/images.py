"""The images that tests run, made of this machine's own programs: no registry is asked.

An image is named by the sum of all that is in it, so one that an engine has is never outdated.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import re
import subprocess
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.containers.engine import Engine
from tests.support import need

NAME = "mooring-test"

# `sh` is dash, whatever it is here.
PROGRAMS = """
bash dash git sed awk grep find xargs tar gzip ps kill flock
[ base64 basename cat chmod chown cksum comm cp cut date dd df dirname du echo env expr false head
hostname id install ln ls md5sum mkdir mkfifo mktemp mv nproc od printenv printf pwd readlink
realpath rm rmdir seq sha256sum sleep sort stat stty sync tail tee test timeout touch tr true tty
uname uniq wc which whoami
"""

# What a program may load without its headers naming it, and what Claude's name beside libc.
LIBRARIES = """
libdl.so.2 libm.so.6 libnss_dns.so.2 libnss_files.so.2 libpthread.so.0 libresolv.so.2 librt.so.1
"""

BIG = 100_000  # bytes: larger in git's own directory are itself, and what talks to servers

LINKS = {
    "bin": "usr/bin",
    "sbin": "usr/sbin",
    "lib": "usr/lib",
    "lib64": "usr/lib64",
    "usr/bin/sh": "dash",
}

DIRECTORIES = """
etc home proc run sys tmp usr usr/bin usr/lib usr/lib64 usr/local usr/local/bin usr/sbin
usr/share/git-core/templates var var/tmp
"""


@dataclass(frozen=True)
class Recipe:
    """How an image differs from the others. Its user has a home, and runs what is started in it."""

    tag: str
    user: str
    uid: int
    home: str

    @property
    def files(self) -> dict[str, str]:
        """Path -> content, of what isn't copied."""
        root = "root:x:0:0:root:/root:/bin/bash\n"
        own = f"{self.user}:x:{self.uid}:{self.uid}::/{self.home}:/bin/bash\n"
        return {
            "etc/passwd": root + (own if self.uid else ""),
            "etc/group": "root:x:0:\n" + (f"{self.user}:x:{self.uid}:\n" if self.uid else ""),
            "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
            "etc/os-release": f'ID={NAME}\nVARIANT_ID={self.tag}\nPRETTY_NAME="{self.tag}"\n',
        }

    @property
    def changes(self) -> list[str]:
        """The lines of a Dockerfile that `docker import` takes."""
        who = [f"USER {self.user}", f"WORKDIR /{self.home}"] if self.uid else []
        return ['CMD ["/bin/bash"]', *who]


ROOT = Recipe("root", "root", 0, "root")
VSCODE = Recipe("vscode", "vscode", 1000, "home/vscode")


def have_image(engine: Engine, recipe: Recipe, place: Path) -> str:
    """The name of the recipe's image, which is made unless the engine has it.

    `place` is a directory that the other processes which may be about to make it have too.
    """
    content = _tar(recipe)
    sum_ = hashlib.sha256(json.dumps(recipe.changes).encode() + content).hexdigest()
    name = f"{NAME}:{recipe.tag}-{sum_[:12]}"
    with (place / f"{NAME}-{recipe.tag}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if engine.docker("image", "inspect", name, check=False).returncode:
            _import(engine, recipe, name, place / f"{NAME}-{recipe.tag}.tar", content)
    return name


def _import(engine: Engine, recipe: Recipe, name: str, tar: Path, content: bytes) -> None:
    changes = [f"--change={change}" for change in recipe.changes]
    tar.write_bytes(content)
    try:
        engine.docker("import", *changes, tar, name)
    finally:
        tar.unlink()


def _tar(recipe: Recipe) -> bytes:
    """The same bytes for the same content: no times, and in order."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name in DIRECTORIES.split():
            _add(tar, name, tarfile.DIRTYPE, 0o1777 if name in ("tmp", "var/tmp") else 0o755)
        _add(tar, recipe.home, tarfile.DIRTYPE, 0o700, uid=recipe.uid)
        for name, target in sorted(LINKS.items() | _git_links().items()):
            _add(tar, name, tarfile.SYMTYPE, 0o777, target=target)
        for name, path in sorted(_copies().items()):
            mode = path.stat().st_mode & 0o755
            _add(tar, name, tarfile.REGTYPE, mode, content=path.read_bytes())
        for name, text in recipe.files.items():
            _add(tar, name, tarfile.REGTYPE, 0o644, content=text.encode())
    return buffer.getvalue()


def _add(
    tar: tarfile.TarFile,
    name: str,
    kind: bytes,
    mode: int,
    *,
    uid: int = 0,
    target: str = "",
    content: bytes = b"",
) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.linkname = kind, mode, target
    member.uid = member.gid = uid
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _copies() -> dict[str, Path]:
    """Path in the image -> file of this machine: the programs, and what they load."""
    programs = {f"usr/bin/{name}": Path(need(name)).resolve() for name in PROGRAMS.split()}
    loaded = set(_loaded(programs.values()))
    libc = next(path for path in loaded if path.name == "libc.so.6")
    beside = (libc.with_name(name) for name in LIBRARIES.split())
    loaded |= {path for path in beside if path.exists()}
    libraries = {_inside(path): path.resolve() for path in loaded}
    core = {_inside(path): path for path in _git_core() if path.stat().st_size < BIG}
    return programs | libraries | core


def _loaded(programs: Iterable[Path]) -> list[Path]:
    listed = subprocess.run([need("ldd"), *programs], capture_output=True, text=True, check=False)
    return [Path(path) for path in re.findall(r"(/\S+) \(0x", listed.stdout)]


def _git_core() -> list[Path]:
    """The files in git's own directory, with what links to them."""
    asked = subprocess.run([need("git"), "--exec-path"], capture_output=True, text=True, check=True)
    return [path for path in Path(asked.stdout.strip()).iterdir() if path.is_file()]


def _git_links() -> dict[str, str]:
    """The commands that are git itself, by whichever kind of link."""
    core = _git_core()
    git = next(path for path in core if path.name == "git")
    return {_inside(path): "/usr/bin/git" for path in core if path.samefile(git)}


def _inside(path: Path) -> str:
    """A path as the image has it, where `/lib` and its like are links."""
    name = str(path).removeprefix("/")
    return f"usr/{name}" if name.split("/")[0] in LINKS else name
