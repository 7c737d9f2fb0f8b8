"""Who commits in the workspace: git config of ours that git includes there alone.

The repo's own config stays as it is. Git reads ours through one `include` in the user's global
config, and in it only the part whose condition names this worktree's git directory.
"""

from __future__ import annotations

from collections.abc import Iterator

from pyinfra.api.command import PyinfraCommand

from .. import identity as composed
from ..facts import record as record_file
from ..files import guard
from ..handle import Workspace, text_sum
from ..model import Key
from .guard import GUARD, HOOK, NAMES
from .shell import later, run, step, told

IDENTITY = (
    GUARD
    + r"""
# In any repo. A plain include would go into a section that somebody has at the top of the file, so
# that all below it would count more.
everywhere=includeIf.gitdir:/.path
pattern() { printf '%s' "$1" | sed 's/[*?[\\]/\\&/g'; } # of a path, for includeIf
# Two files for each repo, its worktrees and the submodules in them: so git compares where it is
# with every worktree of that repo only, and elsewhere with nothing.
include() { # FILE CONDITION PATH: two lines each; the files are ours, and so is the lock
  case $2$3 in *"
"*) die "Cannot say who commits: there is a newline in $2" ;; esac
  printf '[includeIf "gitdir:%s"]\n\tpath = "%s"\n' "$(escaped "$2")" "$(escaped "$3")" >>"$1" ||
    die "Cannot write $1"
}
exclude_from() { # FILE PATH: FILE does not include it any more
  if [ ! -f "$1" ]; then return 0; fi
  line="	path = \"$(escaped "$2")\"" awk 'NR % 2 { head = $0; next }
    $0 != ENVIRON["line"] { print head "\n" $0 }' "$1" >"$1.new" && mv -f -- "$1.new" "$1" ||
    die "Cannot write $1"
  if [ ! -s "$1" ]; then rm -f -- "$1"; fi
}
included() { # whether git reads our file for that person
  grep -qsF -- "$includes" "${GIT_CONFIG_GLOBAL:-$HOME/.gitconfig}" \
    "${XDG_CONFIG_HOME:-$HOME/.config}/git/config"
}
forget_admin() { # ADMIN: nobody's who had a worktree of that name before
  for _file in "$of_repo" "$of_repo.modules"; do
    if [ ! -f "$_file" ]; then continue; fi
    for _if in "$(pattern "$1")" "$(pattern "$1")/"; do
      line="[includeIf \"gitdir:$(escaped "$_if")\"]" awk 'NR % 2 { head = $0; next }
        head != ENVIRON["line"] { print head "\n" $0 }' "$_file" >"$_file.new" &&
        mv -f -- "$_file.new" "$_file" || die "Cannot write $_file"
    done
  done
}
forget_identity() { # FILE: no git includes it any more
  exclude_from "$of_repo" "$1"
  exclude_from "$of_repo.modules" "$1"
  rm -f -- "$1"
  if [ -s "$of_repo" ] || [ ! -f "$includes" ]; then return 0; fi
  exclude_from "$includes" "$of_repo"
  exclude_from "$includes" "$of_repo.modules"
  if [ -f "$includes" ]; then return 0; fi
  cd / # where we stand may be gone
  quiet_git config --global --unset-all "$everywhere" "^$(printf '%s' "$includes" |
    sed 's/[][\\.*^$+?(){}|]/\\&/g')\$" 2>/dev/null
  if included; then
    echo "your git config still includes a file that is gone, since it cannot be written"
    echo "hint: git config --global --unset $everywhere $(quoted "$includes")"
  fi
  if [ -f "$includes.made" ] && [ ! -s "$HOME/.gitconfig" ]; then rm -f ~/.gitconfig; fi
  rm -f -- "$includes.made"
}
"""
)

_SET = r"""
lock target
find_admin
if [ -z "$w_admin" ]; then die "Cannot say who commits: there is no worktree at $path"; fi
forget_identity "$file"
if [ -n "$hook" ]; then put_guard; else forget_guard; fi
if [ -z "$text" ]; then exit 0; fi
mkdir -p -- "${file%/*}" && (umask 077; printf '%s' "$text" >"$file.new") ||
  die "Cannot write $file"
mv -f -- "$file.new" "$file"
include "$of_repo" "$(pattern "$w_admin")" "$file"
include "$of_repo.modules" "$(pattern "$w_admin")/" "$file"
include "$includes" "$(pattern "$common")/worktrees/" "$of_repo"
include "$includes" "$(pattern "$common")/worktrees/*/modules/" "$of_repo.modules"
if ! included; then
  if [ ! -e "$HOME/.gitconfig" ] && [ ! -e "${XDG_CONFIG_HOME:-$HOME/.config}/git/config" ]
  then : >"$includes.made"; fi
  _said=$(quiet_git config --global --add "$everywhere" "$includes" 2>&1) || {
    echo "who commits${hook:+, and the guard,} holds in Claude, direnv and 'mooring run' only," \
      "since your git config cannot be written: $_said"
    echo "hint: git config --global --add $everywhere $(quoted "$includes")"
  }
fi
if [ -n "$hook" ]; then say_unguarded; fi
"""


def of_repo(root: str, key: Key) -> str:
    """The file that includes those of a repo's workspaces."""
    path = f"{root}/{record_file.path(key)}"
    return f"{path.removesuffix(f'/{key.agent}/{key.topic}.json')}/gitconfig"


def names(workspace: Workspace) -> dict[str, str]:
    """Where the workspace's git config is, and the one file that includes all of them."""
    root, record = workspace.observed.target.root, workspace.record
    assert record
    path = f"{root}/{record_file.path(record.key)}"
    return {
        "file": f"{path.removesuffix('.json')}.gitconfig",
        "of_repo": of_repo(root, record.key),
        "includes": f"{root}/gitconfig",
        "guard": guard.directory(root, record.key),
    }


def text(workspace: Workspace) -> str:
    """The git config that holds in the worktree alone; '' for none."""
    text = composed.text(workspace.git, workspace.remote)
    place = workspace.plan.guard
    return text + composed.hooks(place, text_sum(HOOK)) if place else text


def outdated(workspace: Workspace) -> bool:
    """Whether git has another config there, or none."""
    wanted = text(workspace)
    return workspace.observed.files.identity != (text_sum(wanted) if wanted else "")


@step
def identity(workspace: Workspace) -> Iterator[PyinfraCommand]:
    """Have git know who commits in the worktree, and what guards it, and nowhere else."""
    if workspace.pending:
        return
    if not outdated(workspace):
        return
    if workspace.unclaimed:
        yield later()
        return
    guarded = bool(workspace.plan.guard)
    values = {
        **names(workspace),
        "text": text(workspace),
        "hook": HOOK if guarded else "",
        "hook_names": NAMES if guarded else "",
    }
    yield run(workspace, values, IDENTITY + _SET, told(workspace))
