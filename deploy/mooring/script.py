"""How scripts reach a target and how they answer: POSIX sh on stdin, base64 with an end mark back.

What a script does with git or files lives with its operation or fact; this room only has what all
of them begin with.
"""

from __future__ import annotations

import base64
import shlex
from collections.abc import Mapping

from .errors import MooringError

RUN = 'eval "$(cat)"'
"""The command line of every script. It prints nothing before all of stdin is read (a large script
to a command that echoes early would hang), and no child can eat the rest of the script."""

PRELUDE = r"""
set -u
export LC_ALL=C GIT_OPTIONAL_LOCKS=0 GIT_TERMINAL_PROMPT=0
export GIT_TRACE2=0 GIT_TRACE2_EVENT=0 GIT_TRACE2_PERF=0 # also where a config turns them on
export GIT_ALLOW_PROTOCOL=file:git:http:https:ssh
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_COMMON_DIR GIT_NAMESPACE \
  GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_PREFIX GIT_CONFIG GIT_CONFIG_PARAMETERS GIT_CONFIG_COUNT \
  GIT_TRACE GIT_TRACE_SETUP GIT_TRACE_PACKET \
  GIT_TRACE_PERFORMANCE GIT_TRACE_CURL GIT_TRACE_REFS GIT_TRACE_SHALLOW CDPATH
real() { # the path with symlinks of its existing part resolved
  _dir=$1 _rest=
  while [ ! -d "$_dir" ] && [ "$_dir" != "${_dir%/*}" ]; do
    _rest=/${_dir##*/}$_rest _dir=${_dir%/*}
  done
  (cd -P -- "${_dir:-/}" && _dir=$PWD && printf '%s' "${_dir%/}$_rest")
}
root=$(real "${root:-$HOME/.local/share/mooring}")

# An empty core.fsmonitor: of `false` git 2.30 runs a program of that name.
# A git that runs nothing the repo or a container could have chosen, and holds no lock of ours.
quiet_git() {
  if [ -n "${common-}" ] && [ "${1-}" = "--git-dir=$common" ]; then
    # A file `commondir` that somebody planted there would name another config.
    GIT_COMMON_DIR=$common plain_git "$@"
  else plain_git "$@"; fi
}
plain_git() { git -c core.fsmonitor= -c core.hooksPath=/dev/null -c gc.auto=0 \
  -c maintenance.auto=false "$@" 8>&- 9>&-; }

gitdir_of() { # ADMIN: sets _gitdir to the .git file of the worktree, which may be named relatively
  _gitdir=; IFS= read -r _gitdir <"$1/gitdir"
  case $_gitdir in '' | /*) ;; *) _gitdir=$(real "$1/$_gitdir") ;; esac
}
ref_of() { # sets ref: the branch a symbolic ref file names, or the commit it holds
  ref=; [ -f "$1" ] && IFS= read -r ref <"$1"; ref=${ref#ref: }
  case $ref in refs/*) ;; *[!0-9a-f]*) ref= ;; esac # else git could take it for an option
}

mark= # in the name of what a run makes for itself: its pid, and which pids that is one of
marked() { if [ -z "$mark" ]; then pid_space; mark=$$.$_space; fi; }
pid_space() { # sets _space, which a container shares with nobody; '' where all is one
  _space=$(ls -l /proc/self/ns/pid 2>/dev/null)
  _space=${_space##*[} _space=${_space%]}
  case $_space in *[!0-9]*) _space= ;; esac
}
ended() { # MARK PATH: whether the run that made PATH, under that mark, is over
  pid_space
  _its=${1#*.}
  if [ "${_its%%.*}" = "$_space" ]; then ! kill -0 "${1%%.*}" 2>/dev/null
  else [ -n "$(find "$2" -prune -cmin +180 2>/dev/null)" ]; fi # its pid means nothing here
}

if command -v sha256sum >/dev/null; then digest() { sha256sum "$@"; }
else digest() { shasum -a 256 "$@"; }; fi
sums() { # reads paths, one a line; prints sha256sum lines of those that are plain files
  set --
  while IFS= read -r _path; do
    if [ -f "$_path" ] && [ ! -L "$_path" ]; then set -- "$@" "$_path"; fi
    if [ $# -ge 100 ]; then digest -- "$@"; set --; fi
  done
  if [ $# -gt 0 ]; then digest -- "$@"; fi
}
sha() { _sum=$(digest); printf '%s' "${_sum%% *}"; } # of stdin

# Records are JSON with one key a line (facts/record.py writes them), so that sed can read them.
unescape='s/\\\(["\\/]\)/\1/g'
field() {
  sed -n -e "/^\"$1\": /{s/^[^:]*: \"\(.*\)\",\{0,1\}\$/\1/" -e "$unescape" -e 'p;q;}' "$2"
}
entries() { # the elements of a list, or the keys of a map, one a line
  sed -n -e "/^\"$1\": /,/^[]}]/{s/^ \"\(.*\)\": \".*\",\{0,1\}\$/\1/;tu" \
    -e 's/^ "\(.*\)",\{0,1\}$/\1/;tu' -e d -e :u -e "$unescape" -e 'p;}' "$2"
}
"""


class Stdin(str):
    """A script that shows as a word wherever pyinfra prints its arguments."""

    __slots__ = ()

    def __str__(self) -> str:
        return "<script>"

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return str(self)


def compose(variables: Mapping[str, str], *parts: str) -> Stdin:
    """One script: the variables (quoted, whatever they hold), the prelude, then `parts`.

    Raises MooringError if a value holds a NUL, which no shell can carry.
    """
    for name, value in variables.items():
        if "\0" in value:
            raise MooringError(f"Cannot send {name} to the target: it holds a NUL byte")
    assignments = [f"{name}={shlex.quote(value)}" for name, value in variables.items()]
    return Stdin("\n".join([*assignments, PRELUDE, *parts]) + "\n")


ANSWER = r"""
say() { printf '%s\0%s\0' "$1" "${2-}"; }
say_file() { printf '%s\0' "$1"; head -c 1048577 -- "$2" | base64; printf '\0'; }
answer() { "$@" | base64; }
"""
"""A probe calls ``answer main``: what `main` says travels as NUL-separated names and values."""

MAX_FILE = 1048576
"""The largest file, in bytes, that a script sends back whole."""


def decode(lines: list[str]) -> list[tuple[str, str]]:
    """The names and values a script said, in order.

    Raises MooringError if the answer is cut short: it has to end with ``end``.
    """
    try:
        raw = base64.b64decode("".join(lines), validate=True)
    except ValueError:  # of base64, or not even ASCII
        raise MooringError("Cannot read the target's answer: it is not what was sent") from None
    fields = raw.decode("utf-8", "surrogateescape").split("\0")
    pairs = list(zip(fields[0:-1:2], fields[1::2], strict=False))
    if not pairs or pairs[-1][0] != "end":
        raise MooringError("Cannot read the target's answer: it was cut short")
    return pairs[:-1]


def content(value: str) -> bytes:
    """The bytes of a value that was said with ``say_file``."""
    return base64.b64decode(value)
