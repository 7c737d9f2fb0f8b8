"""The claim: a workspace's record, with its ports and session, taken under the target's lock."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

from pyinfra.api.command import PyinfraCommand

from .. import records
from ..facts import record as record_file
from ..handle import Workspace
from ..model import Record, State
from .identity import IDENTITY
from .identity import names as identity_names
from .shell import run, step, told

PORTS = (20000, 12000)
"""The first port and how many there are: below Linux's ephemeral range, 32768 and up."""

_COMMON = r"""
state_of() { if [ -f "$1" ]; then field state "$1"; fi; }
sum_of() { if [ -f "$1" ]; then sha <"$1"; fi; }
write_record() { # TEXT: becomes the record
  [ -d "${record%/*}" ] || mkdir -p -- "${record%/*}"
  printf '%s\n' "$1" >"$record.new" && mv -f -- "$record.new" "$record" ||
    die "Cannot write the record $record"
}
"""

_CLAIM = r"""
lock target
if [ ! -s "$root/id" ]; then
  printf '%s\n' "$new_id" >"$root/id.new" && mv -- "$root/id.new" "$root/id"; fi
IFS= read -r target_id <"$root/id"
if [ "$(sum_of "$record")" != "$seen" ]; then
  case $(state_of "$record") in
    partial | ready) base64 <"$record"; exit 0 ;; # somebody was faster
  esac
fi
session=$(if [ -z "$reserves" ] && [ -f "$record" ]; then field session "$record"; fi)

others() { # ports in other records
  find "$root/records" -name '*.json' ! -path "$record" -exec \
    sed -n 's/^"ports": {\(.*\)},\{0,1\}$/\1/p' {} + 2>/dev/null |
    sed 's/"[A-Z0-9_]*"://g' | tr -s ', ' '\n\n'
}
busy() { # local ports in use, in hex; sockets in TIME_WAIT (06) don't stop a bind
  if [ -r /proc/net/tcp ]; then
    awk '$4 != "06" { sub(/.*:/, "", $2); print $2 }' /proc/net/tcp /proc/net/tcp6 2>/dev/null
  else netstat -an | awk '/^tcp/ { n = split($4, a, /[.:]/); printf "%04X\n", a[n] }'; fi
}
taken=" $(others | tr '\n' ' ') "
for pair in $kept; do taken="$taken${pair#*=} "; done
busy=" $(busy | tr '\n' ' ') "
next=$(($(id -u) * 137 % count)) # users of one machine start apart
tried=0
free_port() {
  while [ "$tried" -lt "$count" ]; do
    port=$((first + next % count)) next=$((next + 1)) tried=$((tried + 1))
    case $taken in *" $port "*) continue ;; esac
    case $busy in *" $(printf '%04X' "$port") "*) continue ;; esac
    return 0
  done
  die "Cannot claim a port: all from $first to $((first + count - 1)) are taken" \
    "hint: mooring list"
}
ports=
for name in $names; do
  port=
  for pair in $kept; do case $pair in "$name="*) port=${pair#*=} ;; esac; done
  if [ -z "$port" ]; then free_port; fi
  ports="$ports${ports:+,}\"$name\":$port"
done
text=$(printf '%s' "$text" | sed -e "s/^\"ports\": .*/\"ports\": {$ports},/" \
  -e "s/^\"target\": .*/\"target\": \"$target_id\",/" \
  -e "${session:+s/^\"session\": .*/\"session\": \"$session\",/}") && write_record "$text" ||
  die "Cannot claim: the record could not be written"
base64 <"$record"
"""

_FINISH = r"""
lock target
if [ "$(sum_of "$record")" != "$seen" ]; then
  case $(state_of "$record") in
    "$wanted_state") exit 0 ;; # somebody else did the same
    *) die "Cannot finish: somebody else has just changed the workspace" "hint: mooring list" ;;
  esac
fi
write_record "${text%?}" # without its last newline
"""


def record_names(workspace: Workspace, record: Record) -> dict[str, str]:
    """The variables of a script that brings the record on the target to `record`."""
    return {
        "record": f"{workspace.observed.target.root}/{record_file.path(record.key)}",
        "text": record_file.text(record),
        "seen": workspace.record_sum,
        "wanted_state": record.state.value,
    }


def finish_script() -> str:
    """The part of a script that writes the record, if it is still the one that was seen."""
    return _COMMON + _FINISH


@step
def claim(workspace: Workspace) -> Iterator[PyinfraCommand]:
    """Claim the record: its ports, its session, its branch. What can refuse has done so by now."""
    if workspace.pending:
        return
    if workspace.host.state.is_executing:
        workspace.check_approval()
    plan = workspace.plan
    if not workspace.unclaimed:
        return
    wanted, kept = workspace.wanted, {}
    reserved = workspace.record.session if workspace.record else wanted.session
    if workspace.record and workspace.record.state is not State.ENDED:
        kept = workspace.record.ports
    names = {
        **record_names(workspace, wanted),
        "reserves": "yes" if wanted.session != reserved else "",
        "new_id": str(uuid.uuid4()),
        "names": " ".join(plan.port_names),
        "kept": "\n".join(
            f"{key}={value}" for key, value in kept.items() if key in plan.port_names
        ),
        "first": str(PORTS[0]),
        "count": str(PORTS[1]),
    }
    yield run(workspace, names, _COMMON + _CLAIM, workspace.claimed)


_RELEASE = r"""
lock target
find_admin
if [ -n "$w_admin" ] && [ -e "$path/.git" ]; then
  die "Cannot end: somebody has just made the worktree again" "hint: mooring list"; fi
forget_identity "$file"
forget_guard
"""


@step
def released(workspace: Workspace) -> Iterator[PyinfraCommand]:
    """Have the record say that the workspace ended: ports free, the rest kept for a resume."""
    record = workspace.record
    if not record or record.state is State.ENDED:
        return
    found = workspace.observed.worktree.registered
    head = found.head if found else ""
    ended = records.ended(record, workspace.session, head, workspace.commit, int(time.time()))

    def finished(answer: list[str]) -> None:
        told(workspace)(answer)
        workspace.finish(ended, "ended")

    yield run(
        workspace,
        {**record_names(workspace, ended), **identity_names(workspace)},
        IDENTITY + _COMMON + _RELEASE + _FINISH,
        finished,
    )
