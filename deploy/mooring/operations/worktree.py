"""The worktree: added on its branch, with what git itself would leave out of it."""

from __future__ import annotations

from collections.abc import Iterator

from pyinfra.api.command import PyinfraCommand

from ..facts import record as record_file
from ..facts import worktree as fact
from ..handle import Workspace
from ..model import Key
from . import network
from .identity import IDENTITY, of_repo
from .parks import PARK, parks
from .shell import run, step, told

_CLEAR = r"""
clear() { # drops our registrations of worktrees that are gone or were half made
  while IFS= read -r _admin; do
    [ -f "$_admin/gitdir" ] || continue
    gitdir_of "$_admin"
    _why=; [ -f "$_admin/locked" ] && IFS= read -r _why <"$_admin/locked"
    _half=; case $_why in initializing | 'added with --lock') _half=yes ;; esac
    if [ -n "$_half" ]; then rm -f -- "$_admin/locked"
    elif [ -e "$_gitdir" ]; then continue; fi
    # A checkout that was killed was never handed to anybody: nothing in it is somebody's work.
    if [ -n "$_half" ] && [ "$_gitdir" = "$path/.git" ]; then rm -rf -- "$path"; fi
    _own=$(only_in_modules "$_admin")
    if [ -n "$_own" ]; then
      die "Cannot make the worktree again: submodules of the one that is gone have work that no" \
        "remote has:" "$_own" "$(pushes "$_admin" "$_own")"; fi
    park "$_admin" && (w_admin=$_admin; keep_logged) ||
      die "Cannot keep the commits of $_admin"
    rm -rf -- "$_admin"
  done <<CLEARS
$clears
CLEARS
}
"""

_CARRY = r"""
uncommitted() { # PATH: sets carried_tree and carried_index to what a worktree has, and has staged
  _to=$path path=$1
  find_admin
  [ -n "$w_admin" ] || die "Cannot bring along what is uncommitted: $1 is no worktree of this repo"
  [ "$(wt_git rev-parse HEAD)" = "$(quiet_git --git-dir="$common" rev-parse "$start^{commit}")" ] ||
    die "Cannot bring along what is uncommitted: $1 has moved on from $start" \
      "hint: mooring end $topic"
  own_config "$w_admin" || die "Cannot bring along what is uncommitted in $1" \
    "hint: git config --file $(quoted "$w_admin/config.worktree") --list"
  carried_index=$(wt_git write-tree 2>&1) ||
    die "Cannot bring along what is uncommitted in $1:" "$carried_index"
  stage=$root/locks/.index.$$
  cp -p -- "$w_admin/index" "$stage" || die "Cannot read the index of $1"
  cd -- "$path" && carried_tree=$(
    export GIT_INDEX_FILE="$stage"; wt_git add -A . 2>&1 >/dev/null && wt_git write-tree
  ) || die "Cannot bring along what is uncommitted in $1:" "$carried_tree"
  rm -f -- "$stage"
  cd / && stage= path=$_to
}
"""

_SUBMODULES = r"""
add_submodules() { # those that the main checkout has; of a cache, which has none, all
  wt_git config --blob "HEAD:.gitmodules" --get-regexp '^submodule\..*\.path$' 2>/dev/null |
    while IFS= read -r _line; do
      _name=${_line#submodule.} _name=${_name%%.path *} _sub=${_line#*.path }
      if [ -z "$no_hooks" ] && [ -z "$(wt_git config --get "submodule.$_name.url")" ]
      then continue; fi
      add_submodule || {
        echo "the submodule $_sub is not there: $(said_why | scrub)"
        echo "hint: git -C $(quoted "$path") submodule update --init --recursive --" \
          "$(quoted "$_sub")"
      }
    done
}
said_why() { grep -m 1 '^fatal: ' "$progress" || tail -n 1 "$progress"; }
add_submodule() { # from objects that are here already, as far as they are, and then on its own
  set --
  for _objects in "$common/modules/$_name/objects" "$common"/worktrees/*/modules/"$_name/objects"
  do if [ -d "$_objects" ] && [ ! -f "${_objects%/objects}/shallow" ] && [ $# -eq 0 ]; then
    set -- --reference "${_objects%/objects}" --dissociate; fi; done
  ( # Git's own rules count: the person's protocol.file.allow, and nothing that runs a command.
    cd -- "$path" || exit 1
    unattended "$common"
    unset GIT_ALLOW_PROTOCOL
    net_git --git-dir="$w_admin" --work-tree="$path" -c protocol.ext.allow=never \
      -c protocol.fd.allow=never submodule update --init --recursive --quiet "$@" -- "$_sub" \
      >/dev/null
  )
}
"""

_ADD = r"""
lock_repo
find_admin
if [ -n "$w_admin" ] && [ -e "$path/.git" ] && [ -z "$half_made" ]; then echo faster; exit 0; fi
if [ "$(field state "$record")" = ended ]; then
  die "Cannot make the worktree: the workspace has just ended" "hint: mooring new $topic"; fi
clear
if [ -d "$path" ] && [ -n "$(ls -A -- "$path")" ]; then
  die "Cannot make the worktree: $path is in the way" \
    "hint: mv $(quoted "$path") $(quoted "$path.old")"
fi
mkdir -p -- "${path%/*}" || die "Cannot make ${path%/*}"
if [ -n "$carry" ]; then uncommitted "$carry"; fi
add() { # ARG...: git worktree add; of a person's clone with that person's hooks
  said=$(git -c core.fsmonitor= -c gc.auto=0 -c maintenance.auto=false \
    ${no_hooks:+-c core.hooksPath=/dev/null} \
    ${wrote:+${credential:+-c include.path="$progress.config"}} --git-dir="$common" \
    worktree add ${later:+--no-checkout --lock} "$@" 2>&1 8>&- 9>&-)
}
later=$carry$sparse # what is checked out by us, not by git's own worktree add
_other=$([ -z "$ignorecase" ] || quiet_git --git-dir="$common" for-each-ref --ignore-case \
  --format='%(refname:lstrip=2)' "refs/heads/$branch" | grep -vxF -- "$branch" | head -n 1)
if [ -n "$_other" ]; then
  die "Cannot make branch '$branch': here '$_other' is the same to the file system"; fi
set -- "$common"/objects/pack/*.promisor
if [ -e "$1" ]; then online "$common" origin; fi # what a partial clone lacks is fetched now
if [ -z "$makes_branch" ]; then add "$path" "$branch"; else
  add --no-track -b "$branch" "$path" "$start" ||
    case $said in # somebody else has just made it
      *"branch named '$branch' already exists"*) echo faster && add "$path" "$branch" ;;
      *) false ;;
    esac
fi || {
  find_admin
  if [ -n "$w_admin" ] && [ -z "$half_made" ]; then
    die "Cannot finish the worktree: it is made, but a git hook of yours failed:" "$said" \
      "hint: mooring new $topic    # goes on without the hook"; fi
  if [ -n "$no_hooks" ]; then
    case $said in *corrupt* | *'unable to read'* | *'bad object'* | *'not a valid object'* | \
      *'inflate'* | *'packfile'*)
      die "Cannot make the worktree:" "$said" "hint: mooring cache repair $source" ;;
    esac
  fi
  die "Cannot make the worktree:" "$said"
}
if [ -n "$carry" ]; then
  find_admin
  wt_git read-tree --reset -u "$carried_tree" && wt_git read-tree "$carried_index" &&
    rm -f -- "$w_admin/locked" || die "Cannot bring along what is uncommitted in $carry"
fi
if [ -n "$sparse" ] && [ -z "$carry" ]; then
  find_admin
  mkdir -p -- "$w_admin/info" && printf '%s\n' "$sparse" >"$w_admin/info/sparse-checkout" &&
    said=$(wt_git read-tree -m -u HEAD 2>&1) && rm -f -- "$w_admin/locked" ||
    die "Cannot check out the directories of checkout.sparse:" "$said"
fi
if [ -n "$lfs" ] && ! quiet_git --git-dir="$common" config --get-regexp \
  '^filter\.lfs\.(process|smudge)$' >/dev/null
then
  echo "the repo keeps files in git-lfs, which is not set up here: they are pointers"
  echo "hint: git lfs install && git -C $(quoted "$path") lfs pull"
fi
if [ -n "$submodules" ]; then find_admin; add_submodules; fi
if [ -e "$path/.mooring" ] || [ -L "$path/.mooring" ]; then
  die "Cannot use the worktree: the repo has a .mooring of its own"; fi
hide_new
if grep -qsF -- "/${w_admin##*/}\"]" "$of_repo"; then lock target; forget_admin "$w_admin"; fi
"""


ADD = fact.OWN_CONFIG + IDENTITY + network.NETWORK + PARK + _CLEAR + _CARRY + _SUBMODULES + _ADD


@step
def worktree(workspace: Workspace) -> Iterator[PyinfraCommand]:
    """Have the worktree at its path, on its branch."""
    if workspace.pending:
        return
    if workspace.observed.worktree.by_hand:
        yield run(workspace, {}, "lock_repo; mend_pointers", told(workspace))
    if not workspace.plan.makes_worktree:
        return
    plan, record = workspace.plan, workspace.record
    settings = workspace.observed.repo.settings
    key = Key(plan.repo, plan.agent, plan.topic)
    names = {
        "branch": plan.branch,
        "start": record.start if record else plan.start,
        "makes_branch": "yes" if plan.makes_branch else "",
        "hides": "\n".join(workspace.own_files),
        "no_hooks": "yes" if workspace.source.is_url else "",
        "clears": "\n".join(plan.clears),
        "parks": parks(plan.agent, plan.topic),
        "carry": plan.carry,
        **network.names(workspace),
        "sparse": plan.sparse,
        "lfs": "yes" if plan.lfs else "",
        "source": plan.source,
        "submodules": "yes" if plan.submodules else "",
        "ignorecase": "yes" if settings.get("core.ignorecase") == "true" else "",
        "topic": plan.topic,
        "of_repo": of_repo(workspace.observed.target.root, key),
        "record": f"{workspace.observed.target.root}/{record_file.path(key)}",
    }

    def done(answer: list[str]) -> None:
        told(workspace)([line for line in answer if line != "faster"])
        workspace.hidden = True
        if "faster" in answer:
            workspace.overtaken()

    yield run(workspace, names, ADD, done, watched=True)
