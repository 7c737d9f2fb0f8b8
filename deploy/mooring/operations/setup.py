"""Setup: the commands that make a new workspace run, once each, in its environment."""

from __future__ import annotations

from collections.abc import Iterator

from pyinfra.api.command import PyinfraCommand

from ..environment import fixed, render_env
from ..handle import Workspace
from .shell import later, run, step, told

_SETUP = r"""
lock "$setup_lock"
cd -P -- "$path" || die "Cannot set up: there is no $path"
mkdirs .mooring/setup
log=$path/.mooring/setup.log
fresh "$log" && chmod 600 -- "$log" || die "Cannot write $log"
if [ -L .mooring/setup ]; then rm -f -- .mooring/setup; fi
if [ ! -e .mooring/.gitignore ] && fresh .mooring/.gitignore; then
  printf '*\n' >|.mooring/.gitignore; fi
limited() { # SECONDS COMMAND
  if command -v timeout >/dev/null; then exec timeout "$1" sh -c "$2"
  elif command -v perl >/dev/null; then exec perl -e 'alarm shift; exec @ARGV' "$1" sh -c "$2"
  else exec sh -c "$2"; fi
}
child= # what runs ends with us
trap 'if [ -n "$child" ]; then kill "$child"; wait "$child"; fi; exit 130' INT TERM HUP
one() { # DIGEST SECONDS COMMAND
  if grep -qxF -- "$1" .mooring/setup 2>/dev/null; then return 0; fi
  printf '$ %s\n' "$3" >>"$log"
  (
    unset LC_ALL GIT_OPTIONAL_LOCKS GIT_TERMINAL_PROMPT GIT_TRACE2 GIT_TRACE2_EVENT \
      GIT_TRACE2_PERF GIT_ALLOW_PROTOCOL
    for _name in $(env | sed -n 's/^\(PORT\(_[A-Z0-9_]*\)\{0,1\}\)=.*/\1/p')
    do unset "$_name"; done
    environment
    limited "$2" "$3"
  ) </dev/null >>"$log" 2>&1 8>&- 9>&- &
  child=$!
  wait "$child"
  _status=$? child=
  case $_status in
    0) printf '%s\n' "$1" >>.mooring/setup || die "Cannot write $path/.mooring/setup" ;;
    124 | 142) die "Cannot set up: it took longer than $2 s: $3" "hint: less $(quoted "$log")" ;;
    *) die "Cannot set up: this failed: $3" "hint: less $(quoted "$log")" ;;
  esac
}
"""


@step
def setup(workspace: Workspace) -> Iterator[PyinfraCommand]:
    """Have the commands of `setup` run; those that were, and the same before them, stay so."""
    if workspace.pending or not workspace.plan.setup:
        return
    record = workspace.record
    if workspace.unclaimed or record is None:
        yield later()
        return
    steps = workspace.plan.setup
    env = {
        **fixed(record),
        "CLAUDE_SESSION_ID": workspace.session,
        **render_env(workspace.spec.trusted_env, record),
    }
    total = sum(one.timeout for one in steps) + 60
    if workspace.host.state.is_executing:
        workspace.tell(
            (f"setup: {len(steps)} to run; what they say: {record.worktree}/.mooring/setup.log",)
        )
    variables = {
        "lock_seconds": str(total),
        "setup_lock": f"setup-{record.session}",
        **{f"env_{name}": value for name, value in env.items()},
        **{f"run_{index}": one.run for index, one in enumerate(steps)},
    }
    exports = [
        f'export {name}="$env_{name}"' if value else f"unset {name}" for name, value in env.items()
    ]
    runs = [f'one {one.digest} {one.timeout} "$run_{index}"' for index, one in enumerate(steps)]
    body = "\n".join(["environment() {", *exports, "}", *runs, ""])
    yield run(workspace, variables, _SETUP + body, told(workspace), total)
