"""A workspace's container, from outside: what is started in it, and what it is told."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from msgspec.structs import replace

from .. import identity
from ..claude import hooks, mounts, transcripts
from ..container import PASSED, private
from ..environment import OURS, Named
from ..errors import MooringError, command
from ..model import Key
from .launch import Start, own_variables
from .places import git, git_dir_of, guard_settings

SHOWN = ("TERM", "COLORTERM")
"""What a terminal says of itself."""

CLAUDE = r"""
c=${CLAUDE_CONFIG_DIR:-$HOME/.claude}/projects s=$1 t=$c/.mooring.$$; shift
no() { printf '%s\n' "$@" >&2; exit 1; }
if ! command -v claude >/dev/null; then
  no 'mooring: Cannot start Claude: there is no claude in the container' \
    'hint: claude: {provide: host} mounts the one of the host'; fi
if ! (umask 077 && : >"$t") 2>/dev/null; then
  no "mooring: Cannot start Claude: uid $(id -u) can't write to the session store $c," \
    'so that nothing of the conversation would be saved' 'hint: mooring doctor'; fi
rm -f "$t"
for f in "$c"/*/"$s.jsonl"; do
  if [ -e "$f" ] && { [ ! -r "$f" ] || [ ! -w "$f" ]; }; then
    no "mooring: Cannot start Claude: uid $(id -u) can't read and write $f" \
      'hint: mooring doctor'; fi
done
exec "$@"
"""
"""Starts Claude in a container, once it is known that the conversation will be saved: Claude itself
ends with 0 where it could not (measured with 2.1.329)."""


def claude(what: Start, workspace: Named) -> Start:
    """The start of Claude in the workspace's container.

    Raises MooringError if that isn't there.
    """
    _bring(workspace)
    argv = ("sh", "-c", CLAUDE, "claude", what.session or "-", "claude", *what.argv[1:])
    return inside(replace(what, argv=argv), workspace)


def inside(what: Start, workspace: Named) -> Start:
    """The same, started in the workspace's container: its values travel by name, not in argv.

    Raises MooringError if that isn't there, and can't be started.
    """
    _started(workspace)
    env = _variables(what, workspace)
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
    return replace(what, argv=argv, env={**os.environ, **env})


def _started(workspace: Named) -> None:
    """Have the container running: it isn't after the host was."""
    if shutil.which("docker") is None:
        raise MooringError(
            f"Cannot enter the container of {workspace.topic!r}: there is no `docker` here",
            command("mooring", "resume", workspace.topic, "--in", "host"),
        )
    argv = ["docker", "start", "--", workspace.container]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        why = done.stderr.strip().split("\n")[0].removeprefix("Error response from daemon: ")
        raise MooringError(
            f"Cannot enter the container of {workspace.topic!r}: {why}",
            command("mooring", "new", workspace.topic, "--launch", "none"),
        )


def _variables(what: Start, workspace: Named) -> dict[str, str]:
    """What a process in the container gets of `what`'s environment, and what git needs there."""
    ours = {*own_variables(workspace), *workspace.passes, *SHOWN, hooks.FORK}
    env = {
        name: value
        for name, value in what.env.items()
        if name in ours or OURS.fullmatch(name) or PASSED.fullmatch(name)
    }
    settings = [("safe.directory", "*"), *guard_settings(workspace)]
    return {**_who(workspace), **env, **identity.variables({}, settings)}


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


def _bring(workspace: Named) -> None:
    """Bring the container its own copies of the user's settings, as they are now."""
    if workspace.store:
        return
    key = Key(workspace.repo, workspace.agent, workspace.topic)
    root = Path(os.path.realpath(Path.home() / ".local/share/mooring"))
    place = root / private(key) / "claude"
    for entry in mounts.STORE:
        source = transcripts.store() / entry.name
        if entry.access == "copy" and place.is_dir() and source.is_file():
            _copy(source, place / entry.name)


def _copy(source: Path, to: Path) -> None:
    """Rename a copy over `to`, which whoever is in the container may have made a symlink."""
    content = source.read_bytes()
    if to.is_file() and not to.is_symlink() and to.read_bytes() == content:
        return
    handle, stage = tempfile.mkstemp(dir=to.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), source.stat().st_mode & 0o777)
        owner = to.parent.stat()
        if owner.st_uid != os.getuid():
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
    Path(stage).rename(to)
