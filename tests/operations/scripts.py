"""How these tests run a script on this machine: real sh, on a PATH that holds what a test says."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mooring import script
from mooring.operations.shell import SHARED
from tests.support import SYSTEM_PATH, Done, Person, need

TOOLS = (
    *("awk", "base64", "cat", "chmod", "cp", "cut", "find", "git", "grep", "head", "id", "kill"),
    *("ls", "mkdir", "mv", "rm", "rmdir", "sed", "sh", "sha256sum", "sleep", "sort", "tail"),
    *("touch", "tr", "wc", "xargs"),
)
"""What every target has, and a script may use beside the shell's own commands."""

LOCKERS = ("flock", "perl", "mkdir", "busybox")
"""By what the lock is held: of the first two a PATH has the one; with neither, by mkdir."""


def tools(directory: Path, locker: str) -> str:
    """A PATH of TOOLS and one way to lock."""
    directory.mkdir()
    if locker == "busybox":
        busybox = need("busybox")
        subprocess.run([busybox, "--install", "-s", directory], check=True)
        names: Iterable[str] = ("git",)
    else:
        names = TOOLS if locker == "mkdir" else (*TOOLS, locker)
    for name in names:
        (directory / name).unlink(missing_ok=True)
        (directory / name).symlink_to(need(name))
    return str(directory)


@dataclass(frozen=True)
class Target:
    """A target to run scripts on: a root, a workspace's path, and the variables all scripts get."""

    person: Person
    root: Path
    names: dict[str, str] = field(default_factory=dict)
    path: str = ""
    """The PATH, '' for the person's own."""
    shell: str = ""
    """The shell, '' for the one a target has as `sh`."""

    def start(
        self, *parts: str, env: Mapping[str, str] | None = None, **names: str
    ) -> subprocess.Popen[str]:
        """Begin a script, as `run` would."""
        everything = self.person.env | ({"PATH": self.path} if self.path else {}) | dict(env or {})
        variables = {
            "root": str(self.root),
            "who": "robin@laptop",
            "lock_seconds": "20",
            "repo_lock": "repo-x",
            "hidden": "",
            "by_hand": "",
            **self.names,
            **names,
        }
        search = everything["PATH"] or os.pathsep.join(SYSTEM_PATH)
        shell = self.shell or shutil.which("sh", path=search)
        process = subprocess.Popen(
            [shell or "sh", "-c", script.RUN],
            cwd=self.person.home,
            env=everything,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdin
        process.stdin.write(str.__str__(script.compose(variables, SHARED, *parts)[:]))
        process.stdin.close()
        process.stdin = None
        return process

    def run(
        self,
        *parts: str,
        check: bool = True,
        env: Mapping[str, str] | None = None,
        **names: str,
    ) -> Done:
        """Run a script: the shared functions, then these parts, with these variables."""
        done = ended(self.start(*parts, env=env, **names))
        if check:
            assert (done.returncode, done.stderr) == (0, "")
        return done

    def refuses(self, *parts: str, **names: str) -> str:
        """What the script says as it refuses, which is its only failure with 65."""
        done = self.run(*parts, check=False, **names)
        assert done.returncode == 65, done
        return done.stderr


def ended(process: subprocess.Popen[str], timeout: float = 60) -> Done:
    """The script's status and what it said, once it ended."""
    out, err = process.communicate(timeout=timeout)
    return Done(process.args, process.returncode, out, err)


def wait_for(path: Path, timeout: float = 20) -> None:
    """Return when there is such a file."""
    until = time.monotonic() + timeout
    while not path.exists():
        assert time.monotonic() < until, f"{path} never came"
        time.sleep(0.01)
