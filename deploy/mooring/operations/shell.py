"""What the operations' scripts share: the target's locks, writing a file, and how one is run."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterator, Mapping
from hashlib import sha256
from typing import Any, Protocol

from pyinfra.api.command import FunctionCommand, PyinfraCommand, StringCommand
from pyinfra.api.host import Host
from pyinfra.api.operation import operation
from pyinfra.api.state import State
from pyinfra.connectors.util import CommandOutput

from .. import script
from ..errors import MooringError
from ..handle import Workspace, who
from .progress import watching

SECONDS = 600
"""How long a script may take; a clone has its own limit."""
LOCK_SECONDS = 300

SHARED = r"""
# What git says can name a remote with the password that somebody put in its URL.
scrub() { sed "s,://[^[:space:]'\"]*@,://,g"; }
quoted() { # TEXT: as one word of a command that a person can paste
  case $1 in '' | *[!A-Za-z0-9_@%+=:,./-]*)
    printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")" ;;
  *) printf '%s' "$1" ;; esac
}
escaped() { # TEXT: for the double quotes of a git config file
  printf '%s' "$1" | sed 's/[\\"]/\\&/g'
}
die() { printf '%s\n' "$@" | scrub >&2; exit 65; }
stage= lock_dir= wrote= # what is unfinished or held; never left behind
clean() {
  if [ -n "$stage$lock_dir$wrote" ]; then
    rm -rf -- ${stage:+"$stage"} ${lock_dir:+"$lock_dir"} ${wrote:+"$wrote" "$wrote.config"}; fi
}
trap clean EXIT
trap 'exit 130' INT TERM HUP

held=
lock() { # NAME: holds the target's lock of that name until the script ends, or takes another
  if [ "$held" = "$1" ]; then return 0; fi
  if [ ! -d "$root/locks" ]; then
    mkdir -p -m 700 -- "$root" && mkdir -p -- "$root/locks" || die "Cannot write to $root"
  fi
  clean
  lock_dir= _lock=$root/locks/$1 _left=$lock_seconds
  if command -v flock >/dev/null; then
    exec 9>>"$_lock"
    until _why=$(flock -w 1 9 2>&1); do
      if [ -n "$_why" ]; then flock -n 9 && break; sleep 1; fi # busybox has no -w
      tick
    done
  elif command -v perl >/dev/null; then
    exec 9>>"$_lock"
    until perl -e 'open(F, ">&=9") && flock(F, 6) || exit 1'; do sleep 1; tick; done
  else
    until mkdir -- "$_lock.d" 2>/dev/null; do
      if abandoned "$_lock.d"; then take_over; else sleep 1; tick; fi
    done
    lock_dir=$_lock.d
    marked
    echo "$mark" >"$lock_dir/pid"
  fi
  held=$1
  printf '%s\n' "$who, pid $$" >"$_lock.holder"
}
lock_repo() { # the repo's lock; what a run that died under it left behind goes
  lock "$repo_lock"
  if [ -d "$common/objects" ] && [ -e "$common/commondir" ]; then
    die "Cannot use $common: somebody has put a file commondir there, which misleads git"; fi
  trash=${path%/*}/.mooring-removed-${path##*/}
  if [ -e "$trash" ]; then chmod -R u+rwX -- "$trash" && rm -rf -- "$trash" || :; fi
  if [ -e "$common/info/exclude.mooring" ]; then rm -f -- "$common/info/exclude.mooring"; fi
}
tick() {
  _left=$((_left - 1))
  [ "$_left" -gt 0 ] || die "Cannot get the lock ${_lock##*/}: $(cat "$_lock.holder") has it"
}
abandoned() { # whether a lock's directory is one of a dead process, or of none for five minutes
  _pid=$(cat -- "$1/pid" 2>/dev/null) # it may go at any moment
  if [ -n "$_pid" ]; then ended "$_pid" "$1"
  else [ -n "$(find "$1" -prune -mmin +5 2>/dev/null)" ]; fi
}
take_over() { # one at a time, and looking again: else the slower of two removes the faster's lock
  if mkdir -- "$_lock.steal" 2>/dev/null; then
    if abandoned "$_lock.d"; then rm -rf -- "$_lock.d"; fi
    rmdir -- "$_lock.steal"
  elif [ -n "$(find "$_lock.steal" -prune -mmin +5 2>/dev/null)" ]; then
    rmdir -- "$_lock.steal"
  fi
}

mend_pointers() { # git hears where a worktree is that somebody moved without it
  if [ -n "$by_hand" ]; then
    _said=$(quiet_git --git-dir="$common" worktree repair "$path" 2>&1) ||
      die "Cannot tell git that the worktree is at $path:" "$_said"; fi
}
find_admin() { # sets w_admin to git's own directory for the worktree at $path, if it has one
  w_admin= half_made=
  for _admin in "$common"/worktrees/*/gitdir; do
    [ -f "$_admin" ] || continue
    gitdir_of "${_admin%/gitdir}"
    if [ "$_gitdir" = "$path/.git" ]; then w_admin=${_admin%/gitdir}; fi
  done
  if [ -f "$w_admin/locked" ]; then
    IFS= read -r _why <"$w_admin/locked"
    case $_why in initializing | 'added with --lock') half_made=yes ;; esac
  fi
}
# Whoever may write a worktree's own directory could name another common one, with another config.
wt_git() { GIT_COMMON_DIR=$common quiet_git --git-dir="$w_admin" --work-tree="$path" "$@"; }

new_stage() { # sets stage to a fresh file of ours, on the workspace's own file system
  cd -P -- "$path" 2>/dev/null || die "Cannot write: there is no $path"
  mkdirs .mooring/stage
  marked
  fresh ".mooring/.stage.$mark" && stage=$path/.mooring/.stage.$mark ||
    die "Cannot write to $path/.mooring"
  hide_own
}
hide_own() { # what is in .mooring
  if [ ! -e .mooring/.gitignore ] && fresh .mooring/.gitignore; then
    printf '*\n' >|.mooring/.gitignore; fi
}
fresh() { # FILE: makes it anew; what somebody planted there is never followed
  if [ -e "$1" ] || [ -L "$1" ]; then rm -f -- "$1"; fi
  set -C # a redirection fails where there is something
  true 2>/dev/null >"$1"; _made=$?
  set +C
  return "$_made"
}
move_stage() { # DEST: the stage becomes it; a symlink there is replaced, never followed
  mkdirs "$1"
  if [ -L "$1" ]; then rm -f -- "$1"; fi
  [ ! -d "$1" ] || die "Cannot write $1: a directory is in the way"
  mv -f -- "$stage" "$1" || die "Cannot write $1"
  stage=
}
ours() { # SUM DEST: should the run end before its record is written, it is known all the same
  cd -P -- "$path" || die "Cannot write: there is no $path"
  mkdirs .mooring/provisioned
  if [ -L .mooring/provisioned ]; then rm -f -- .mooring/provisioned; fi
  hide_own
  printf '%s  %s\n' "$1" "$2" >>.mooring/provisioned || die "Cannot write .mooring/provisioned"
}
put() { # DEST KNOWN TEXT: the text becomes DEST in the workspace; KNOWN: the sha256 we wrote
  new_stage
  printf '%s' "$3" >"$stage" || die "Cannot write $1"
  if [ -f "$1" ] && [ ! -L "$1" ]; then
    _old=$(sha <"$1")
    if [ "$_old" != "$2" ] && [ "$_old" != "$(sha <"$stage")" ]; then
      _saved=.mooring/saved/$(printf '%s' "$1" | tr / _).$(printf '%.8s' "$_old")
      mkdirs "$_saved"
      cp -p -- "$1" "$_saved" && echo "saved $1 as $_saved" || die "Cannot save $1 first"
    fi
  fi
  move_stage "$1"
}
made_dirs= # what that made, below $path
mkdirs() { # the parents of a path in the workspace, none of which may be a symlink
  case $1 in */*) _rest=${1%/*}/ ;; *) return 0 ;; esac
  _at=$path
  while [ -n "$_rest" ]; do
    _at=$_at/${_rest%%/*} _rest=${_rest#*/}
    [ ! -L "$_at" ] || die "Cannot write $1: $_at is a symlink"
    # Somebody else may make it at the same moment.
    if [ -d "$_at" ]; then continue; fi
    mkdir -- "$_at" 2>/dev/null && made_dirs="$made_dirs
${_at#"$path/"}" || [ -d "$_at" ] || die "Cannot write $1: $(mkdir -- "$_at" 2>&1)"
  done
}

exclude_file() { # sets _file to the repo's exclude file, which may be a symlink to one's own
  _file=$common/info/exclude
  if [ -L "$_file" ]; then _file=$(readlink -f -- "$_file" || printf '%s' "$_file"); fi
}
made='# mooring: there was no such file'
begin='# mooring: begin' end='# mooring: end' joined='# mooring: the line before had no end'
ignored() { # NAMES: of the paths in the workspace, one a line, those that git ignores, behind ./
  # So that git takes each as a name, whatever it begins with.
  (cd -- "$path" && while IFS= read -r _line; do
    if [ -n "$_line" ]; then printf './%s\n' "$_line"; fi; done <<NAMES |
$1
NAMES
    wt_git -c core.quotePath=false check-ignore $(no_pattern "$1") --stdin)
}
no_pattern() { # NAMES: what tells git check-ignore not to take them for patterns of tracked files
  case $1 in *[*?[]*) echo --no-index ;; esac
}
hide_new() { # in a worktree just made, which has nothing of ours: hides what is coming
  find_admin
  _seen=$(ignored "$hides")
  while IFS= read -r _name; do
    case "
$_seen
" in *"
./$_name
"*) ;; *) if [ -n "$_name" ]; then exclude "$_name"; fi ;; esac
  done <<HIDES
$hides
HIDES
}
hide() { # PATH: keeps it out of git status; `hidden`: the same run has seen to it
  if [ -n "$hidden" ]; then return 0; fi
  if wt_git check-ignore -q $(no_pattern "$1") -- "./$1"; then return 0; fi
  if wt_git --literal-pathspecs ls-files --error-unmatch -- "$1" >/dev/null 2>&1; then
    die "Cannot write $1: the repo tracks it"
  fi
  exclude "$1"
}
exclude() { # PATH: an anchored line in the repo's info/exclude
  _line=/$(printf '%s.' "$1" | sed -e 's/[\\*?[]/\\&/g' -e 's/ \.$/\\ ./') _line=${_line%.}
  lock_repo
  exclude_file
  _made=; if [ ! -e "$_file" ]; then mkdir -p -- "$common/info"; : >"$_file"; _made=$made; fi
  if grep -qxF -- "$_line" "$_file"; then return 0; fi
  cp -p -- "$_file" "$_file.mooring" || die "Cannot write $_file"
  if grep -qxF -- "$begin" "$_file"; then
    sed "/^$end\$/i\\
$(printf '%s' "$_line" | sed 's/\\/&&/g')" "$_file" >"$_file.mooring"
  elif [ -n "$(tail -c 1 -- "$_file")" ]; then
    printf '%s\n' '' "$begin" "$joined" "$_line" "$end" >>"$_file.mooring"
  else
    printf '%s\n' "$begin" ${_made:+"$_made"} "$_line" "$end" >>"$_file.mooring"
  fi
  mv -f -- "$_file.mooring" "$_file"
}
"""

Answer = Callable[[list[str]], None]


class Asker(Protocol):
    """Who a script runs for: it hears what is said, and keeps the error for the front door."""

    error: MooringError | None
    report: Callable[[str], None]


class Script(StringCommand):
    """A script as a pyinfra command: the text on stdin, its stdout handed to `then`.

    A script refuses by printing the reason, and ``hint:`` lines, to stderr and exiting 65.
    """

    def __init__(
        self,
        asker: Asker,
        text: script.Stdin,
        then: Answer | None,
        seconds: int,
        watched: str,
    ) -> None:
        super().__init__(script.RUN, _stdin=text, _timeout=seconds)
        self._asker = asker
        self._then = then
        self._watched = watched

    def execute(self, state: State, host: Host, connector_arguments: Any) -> tuple[bool, Any]:
        """Run it. Returns whether it succeeded, and pyinfra's output object."""
        with watching(host, self._watched, self._asker.report):
            done, output = super().execute(state, host, connector_arguments)
        if not done:
            self._asker.error = _failure(output.stderr_lines)
        elif self._then:
            try:
                self._then(output.stdout_lines)
            except MooringError as error:
                fail(self._asker, error)
                done = False
        if not done:  # pyinfra prints what is left: the reason, not the script's answer
            output = CommandOutput([line for line in output if line.buffer_name == "stderr"])
        return done, output


def _failure(lines: list[str]) -> MooringError:
    hints = [line.removeprefix("hint: ") for line in lines if line.startswith("hint: ")]
    said = [line for line in lines if not line.startswith("hint: ")]
    # What git had to say before it came to that is in the reason, if it matters.
    begins = [number for number, line in enumerate(said) if line.startswith("Cannot ")]
    said = said[begins[-1] :] if begins else said[-12:]
    shown = said if len(said) <= 12 else [said[0], *said[-11:]]
    return MooringError("\n".join(shown) or "The target gave no reason", *hints)


def fail(asker: Asker, error: MooringError) -> None:
    """Keep the error for the front door, and say it where plain pyinfra shows it."""
    asker.error = error
    for line in error.lines():
        asker.report(line)


def run(
    workspace: Workspace,
    variables: Mapping[str, str],
    body: str,
    then: Answer | None = None,
    seconds: int = SECONDS,
    *,
    watched: bool = False,
) -> Script:
    """The command that runs `body` on the workspace's target.

    `watched`: a person is told how far git is, from what the script writes to `$progress`.
    """
    observed = workspace.observed
    lock = repo_lock(observed.repo.identity)
    progress = variables.get("progress", f"{observed.target.root}/locks/progress-{lock}")
    names = {
        "root": observed.target.root,
        "who": who(),
        "lock_seconds": str(LOCK_SECONDS),
        "repo_lock": lock,
        "progress": progress,
        "common": observed.repo.common,
        "path": observed.worktree.path,
        "by_hand": observed.worktree.by_hand,
        "hidden": "yes" if workspace.hidden else "",
        **variables,
    }
    text = script.compose(names, SHARED, body)
    return Script(workspace, text, then, seconds, progress if watched else "")


def repo_lock(identity: str) -> str:
    """The name of a repo's lock on its target."""
    return f"repo-{sha256(identity.encode()).hexdigest()[:24]}"


def call(asker: Asker, function: Callable[[], None]) -> FunctionCommand:
    """A step on the controller, as a command; a MooringError fails this host alone."""

    def step(state: State, host: Host) -> bool:
        try:
            function()
        except MooringError as error:
            fail(asker, error)
            return False
        return True

    return FunctionCommand(step, (), {})


def step(body: Callable[..., Iterator[PyinfraCommand]]) -> Any:
    """An operation for an asker. What it refuses becomes a command that fails this host alone:

    an exception that escapes would end the run for every host.
    """

    def guarded(asker: Any, *args: Any) -> Generator[Any, None, None]:
        try:
            yield from body(asker, *args)
        except MooringError as error:
            asker.error = error
            text = "\n".join(error.lines())
            refusal = script.compose(
                {"root": "", "text": text}, "printf '%s\\n' \"$text\" >&2; exit 65"
            )
            yield StringCommand(script.RUN, _stdin=refusal, _timeout=SECONDS)

    functools.update_wrapper(guarded, body)
    return operation()(guarded)


def later() -> StringCommand:
    """Stands for a change whose content is known only after the claim, as in a dry run."""
    return StringCommand(":")


def told(workspace: Workspace) -> Answer:
    """Pass on what a script has to say to a person."""
    return lambda answer: workspace.tell(tuple(line for line in answer if line))
