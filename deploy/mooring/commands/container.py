"""A workspace's container, from outside: what is started in it, and what it is told."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from .. import identity
from ..claude import first_start, hooks, mounts, safely, transcripts
from ..container import PASSED, private
from ..environment import OURS, Named
from ..errors import MooringError, command
from ..model import Key
from . import outside
from .launch import Start, own_variables
from .places import git, git_dir_of, guard_settings

SHOWN = ("TERM", "COLORTERM")
"""What a terminal says of itself."""

CLAUDE = r"""
c=${CLAUDE_CONFIG_DIR:-$HOME/.claude}/projects s=$1 p=$2 t=$c/.mooring.$$; shift 2
no() { printf '%s\n' "$@" >&2; exit 1; }
if ! command -v claude >/dev/null; then
  no 'mooring: Cannot start Claude: there is no claude in the container' \
    'hint: claude: {provide: host} mounts the one of the host'; fi
if ! (umask 077 && : >"$t") 2>/dev/null; then
  no "mooring: Cannot start Claude: uid $(id -u) can't write to the session store $c," \
    'so that nothing of the conversation would be saved' "hint: mooring doctor ${WORK_TOPIC-}"; fi
rm -f "$t"
for f in "$c"/*/"$s.jsonl"; do
  if [ -e "$f" ] && { [ ! -r "$f" ] || [ ! -w "$f" ]; }; then
    no "mooring: Cannot start Claude: uid $(id -u) can't read and write $f" \
      "hint: mooring doctor ${WORK_TOPIC-}"; fi
done
if [ -n "$p" ]; then exec "$@" <"$p"; fi
exec "$@"
"""
"""Starts Claude in a container, once it is known that the conversation will be saved: Claude itself
ends with 0 where it could not (measured with 2.1.329)."""


def claude(what: Start, workspace: Named) -> Start:
    """The start of Claude as it is to be in a container, which has what it needs for it by now."""
    users = bring(workspace, what.cwd)
    secret = first_start.variables(users)
    first = ("claude", what.session or "-", what.stdin)  # the prompt is read in there
    argv = ("sh", "-c", CLAUDE, *first, "claude", *what.argv[1:])
    env = {**what.env, **secret}
    return replace(what, argv=argv, env=env, passes=tuple(secret), stdin="")


def inside(what: Start, workspace: Named) -> Start:
    """The same, started in the workspace's container: its values travel by name, not in argv.

    Raises MooringError if that isn't there, and can't be started.
    """
    _started(workspace)
    outside.note_inside(workspace, what.cwd)
    env = variables(what, workspace)
    terminal = sys.stdin.isatty() and sys.stdout.isatty() and not what.headless
    names = (word for name in env for word in ("--env", name))
    argv = (
        "docker",
        "exec",
        "--interactive",
        *(("--tty",) if terminal else ()),
        "--workdir",
        what.cwd,
        *names,
        workspace.container,
        *what.argv,
    )
    stop = stopping(workspace.container, env)
    return replace(what, argv=argv, env={**os.environ, **env}, stop=stop)


def stopping(container: str, env: Mapping[str, str]) -> tuple[str, ...]:
    """What ends whatever was started in there with that environment (see `variables`)."""
    return ("docker", "exec", "--workdir", "/", container, "sh", "-c", _STOP, "stop", env[RUN])


RUN = "MOORING_RUN"
"""In the environment of what is started in a container: which start it was."""
_STOP = f"""
for e in $(grep -ls "{RUN}=$1" /proc/[0-9]*/environ); do
  p=${{e#/proc/}}; kill -HUP "${{p%%/*}}"; done
"""
"""Ends it as a closed terminal would: it doesn't end with the client that started it."""


def _started(workspace: Named) -> None:
    """Have the container running: it isn't after the host was started again."""
    words = (workspace.topic, "--agent", workspace.agent, "--repo", workspace.source)
    if shutil.which("docker") is None:
        raise MooringError(
            f"Cannot enter the container of {workspace.topic!r}: there is no `docker` here",
            command("mooring", "resume", *words, "--in", "host"),
        )
    argv = ["docker", "start", "--", workspace.container]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        why = done.stderr.strip().split("\n")[0].removeprefix("Error response from daemon: ")
        raise MooringError(
            f"Cannot enter the container of {workspace.topic!r}: {why}",
            command("mooring", "new", *words, "--launch", "none"),
        )


def variables(what: Start, workspace: Named) -> dict[str, str]:
    """What a process in the container gets of `what`'s environment, and what git needs there.

    It also says which start it was, so that just this one can be ended.
    """
    ours = {*own_variables(workspace), *workspace.passes, *SHOWN, hooks.FORK, *what.passes}
    env = {
        name: value
        for name, value in what.env.items()
        if name in ours or OURS.fullmatch(name) or PASSED.fullmatch(name)
    }
    settings = [("safe.directory", "*"), *guard_settings(workspace)]
    git = identity.variables({}, settings)
    return {**_who(workspace), **env, **git, RUN: str(uuid.uuid4())}


def _who(workspace: Named) -> dict[str, str]:
    """Who commits, as the host's git has it: the person's own config stays outside."""
    place = git_dir_of(workspace)
    said = git(place, "config", "--get-regexp", r"^user\.(name|email)$") if place else None
    found = dict(line.split(" ", 1) for line in said or () if " " in line)
    return {
        f"GIT_{role}_{field.upper()}": found[f"user.{field}"]
        for field in ("name", "email")
        for role in ("AUTHOR", "COMMITTER")
        if f"user.{field}" in found
    }


def bring(workspace: Named, worktree: str) -> Any:
    """Bring the container its own copies of the user's settings, as they are now.

    Returns what the user's `.claude.json` says.
    """
    users = _read(Path.home() / first_start.FILE)
    key = Key(workspace.repo, workspace.agent, workspace.topic)
    root = Path(os.path.realpath(Path.home() / ".local/share/mooring"))
    place = root / private(key) / "claude"
    if not place.is_dir():
        return users
    there = _read(place / first_start.FILE)
    known = first_start.merged(there, worktree, users)
    if known != there:
        _put(place / first_start.FILE, json.dumps(known, indent=2).encode())
    for entry in () if workspace.store else mounts.STORE:
        source = transcripts.store() / entry.name
        if entry.access == "copy" and source.is_file():
            _put(place / entry.name, source.read_bytes())
    return users


def _read(path: Path) -> Any:
    """The JSON in a file, None if it has none: whoever is in the container may have written it."""
    try:
        return json.loads(safely.read(path, _MOST) or b"")
    except (ValueError, RecursionError):
        return None


_MOST = 64 << 20
"""Bytes of a `.claude.json`, which has the history of every project."""


def _put(to: Path, content: bytes) -> None:
    """Rename a new file over `to`, which whoever is in the container may have made a symlink."""
    if safely.read(to) == content:
        return
    handle, stage = tempfile.mkstemp(dir=to.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        owner = to.parent.stat()
        if owner.st_uid != os.getuid():
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
    if to.is_dir() and not to.is_symlink():
        shutil.rmtree(to)
    Path(stage).rename(to)
