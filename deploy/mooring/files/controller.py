"""The checkout of a repo where the command runs: what untracked files it has for a workspace."""

from __future__ import annotations

import os
import subprocess

import msgspec

from .. import script
from ..errors import MooringError
from ..facts import files, session
from ..facts.workspace import parse_files
from ..repo import parse_source

SECONDS = 120
_KINDS = ("skip:", "main:", "sum:")
"""What is watched in a checkout (see Spec.watched)."""

_WHERE = r"""
common= checkout= path= record= bases= scan= include_known=yes
find_checkout() { # the main one of the repo that we stand in
  cd -- "$place" || return 1
  common=$(quiet_git rev-parse --git-common-dir 2>/dev/null) || return 1
  common=$(cd -P -- "$common" && printf '%s' "$PWD")
  case $common in */.git) checkout=${common%/.git} ;; *) return 1 ;; esac
}
main() {
  if find_checkout; then
    say origin "$(quiet_git --git-dir="$common" config --get remote.origin.url)"
    probe_files
  fi
  say end
}
answer main
"""


def look(
    identity: str, patterns: tuple[str, ...], watched: tuple[str, ...], place: str
) -> files.Files | None:
    """What the checkout around `place` has; None if that is in none of this repo.

    Raises MooringError if it can't be looked at.
    """
    variables = {
        "root": "/nonexistent",
        "place": place,
        "include": "\n".join(patterns),
        "watched": "\n".join(name for name in watched if name.startswith(_KINDS)),
    }
    text = script.compose(variables, script.ANSWER, session.NAMES, files.FRAGMENT, _WHERE)
    try:
        done = subprocess.run(
            ["sh", "-c", script.RUN],
            input=str.__str__(text).encode("utf-8", "surrogateescape"),
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        raise MooringError(f"Cannot look at the files in {place}") from None
    lines = done.stdout.decode("ascii", "replace").split()
    origin = dict(script.decode(lines)).get("origin", "")
    try:
        same = bool(origin) and parse_source(origin).identity == identity
    except MooringError:
        same = False
    return parse_files(lines) if same else None


def here() -> str:
    """Where the command runs, '' if that directory is gone."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""


def joined(target: files.Files, found: files.Files) -> files.Files:
    """What the target has, with the sources of the controller."""
    return msgspec.structs.replace(
        target,
        matched=found.matched,
        sources=found.sources,
        ignored=found.ignored,
        outside=found.outside,
        root=found.root,
        elsewhere={**target.elsewhere, **found.elsewhere},
        there={**target.there, **found.there},
    )
