"""The worktree: added on its branch, and removed once nothing in it can be lost."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

from pyinfra.api.command import PyinfraCommand

from ..claude import hooks
from ..facts import record as record_file
from ..facts import worktree as fact
from ..facts.workspace import Observed
from ..generate import SECTIONS
from ..handle import Workspace, text_sum
from ..loss import judge
from ..model import Key, Record, State
from ..selection import CONTEXT
from . import identity
from .shell import run, step, told

_PARK = r"""
park() { # ADMIN: keeps commits of a detached HEAD that no ref has, as a ref of ours
  ref_of "$1/HEAD"
  case $ref in refs/* | '' | 0000000*) return 0 ;; esac
  _own=$(quiet_git --git-dir="$common" rev-list --max-count=1 "$ref" --not --branches --tags \
    --remotes --glob='refs/mooring/*') || return 1
  if [ -z "$_own" ]; then return 0; fi
  _n=1
  while quiet_git --git-dir="$common" show-ref --verify --quiet "$parks/$_n"
  do _n=$((_n + 1)); done
  quiet_git --git-dir="$common" update-ref "$parks/$_n" "$ref" '' || return 1
  echo "kept the commits of the detached HEAD as $parks/$_n"
}
"""

_CLEAR = r"""
clear() { # drops our registrations of worktrees that are gone or were half made
  while IFS= read -r _admin; do
    [ -f "$_admin/gitdir" ] || continue
    gitdir_of "$_admin"
    _why=; [ -f "$_admin/locked" ] && IFS= read -r _why <"$_admin/locked"
    if [ "$_why" = initializing ]; then rm -f -- "$_admin/locked"
    elif [ -e "$_gitdir" ]; then continue; fi
    # A checkout that was killed was never handed to anybody: nothing in it is somebody's work.
    if [ "$_why" = initializing ] && [ "$_gitdir" = "$path/.git" ]; then rm -rf -- "$path"; fi
    park "$_admin" || die "Cannot keep the commits of $_admin"
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

_ADD = r"""
lock_repo
find_admin
if [ -n "$w_admin" ] && [ -e "$path/.git" ] && [ -z "$half_made" ]; then exit 0; fi
if [ "$(field state "$record")" = ended ]; then
  die "Cannot make the worktree: the workspace has just ended" "hint: mooring new $topic"; fi
clear
if [ -d "$path" ] && [ -n "$(ls -A -- "$path")" ]; then
  die "Cannot make the worktree: $path is in the way" "hint: mv '$path' '$path.old'"
fi
mkdir -p -- "${path%/*}" || die "Cannot make ${path%/*}"
if [ -n "$carry" ]; then uncommitted "$carry"; fi
add() { # ARG...: git worktree add; of a person's clone with that person's hooks
  said=$(git -c core.fsmonitor=false -c gc.auto=0 -c maintenance.auto=false \
    ${no_hooks:+-c core.hooksPath=/dev/null} --git-dir="$common" \
    worktree add ${carry:+--no-checkout --lock --reason initializing} "$@" 2>&1 8>&- 9>&-)
}
if [ -z "$makes_branch" ]; then add "$path" "$branch"; else
  add --no-track -b "$branch" "$path" "$start" ||
    case $said in # somebody else has just made it
      *"branch named '$branch' already exists"*) add "$path" "$branch" ;; *) false ;; esac
fi || {
  find_admin
  if [ -n "$w_admin" ] && [ -z "$half_made" ]; then
    die "The worktree is made, but a git hook of yours failed:" "$said"; fi
  die "Cannot make the worktree:" "$said"
}
if [ -n "$carry" ]; then
  find_admin
  wt_git read-tree --reset -u "$carried_tree" && wt_git read-tree "$carried_index" &&
    rm -f -- "$w_admin/locked" || die "Cannot bring along what is uncommitted in $carry"
fi
if [ -e "$path/.mooring" ] || [ -L "$path/.mooring" ]; then
  die "Cannot use the worktree: the repo has a .mooring of its own"; fi
hide_new
"""


def parks(agent: str, topic: str) -> str:
    """Where commits of a workspace are kept that no other ref has; numbered from 1 below it."""
    return f"refs/mooring/park/{agent}/{topic}"


@step
def worktree(workspace: Workspace) -> Iterator[PyinfraCommand]:
    """Have the worktree at its path, on its branch."""
    if workspace.pending or not workspace.plan.makes_worktree:
        return
    plan, record = workspace.plan, workspace.record
    key = Key(plan.repo, plan.agent, plan.topic)
    names = {
        "branch": plan.branch,
        "start": plan.start if plan.makes_branch or not record else record.start,
        "makes_branch": "yes" if plan.makes_branch else "",
        "hides": "\n".join(workspace.own_files),
        "no_hooks": "yes" if workspace.source.is_url else "",
        "clears": "\n".join(plan.clears),
        "parks": parks(plan.agent, plan.topic),
        "carry": plan.carry,
        "topic": plan.topic,
        "record": f"{workspace.observed.target.root}/{record_file.path(key)}",
    }

    def done(answer: list[str]) -> None:
        workspace.hidden = True
        told(workspace)(answer)

    yield run(workspace, names, _PARK + _CLEAR + _CARRY + _ADD, done)


_REMOVE = r"""
keep() { # NAME PATH DULL: what somebody wrote there stays beside the record, for a resume
  if [ ! -f "$path/$2" ] || [ -L "$path/$2" ] || [ -L "$path/${2%%/*}" ]; then return 0; fi
  (umask 077 && mkdir -p -- "$kept" && {
    if [ "$1" = context ] && grep -q '^<!-- mooring: ' "$path/$2"
    then sed '1,/^<!-- mooring: /d' "$path/$2"
    else cat -- "$path/$2"; fi
  } >"$kept/$1.new" && mv -f -- "$kept/$1.new" "$kept/$1") || die "Cannot keep $2"
  if [ "$(sha <"$kept/$1")" = "$3" ]; then rm -f -- "$kept/$1"; fi # it says nothing of its own
  rmdir -- "$kept" 2>/dev/null
}

nothing_own() { # whether other refs have all commits of the branch's tip
  _own=$(quiet_git --git-dir="$common" rev-list --max-count=1 "$1" --not \
    --exclude="$branch" --branches --tags --remotes) && [ -z "$_own" ]
}

submodule_commits() { # names submodules, whose repos go with the worktree, that have work of theirs
  if [ ! -d "$w_admin/modules" ]; then return 0; fi
  find "$w_admin/modules" -type d -name objects -prune | while IFS= read -r _objects; do
    _repo=${_objects%/objects}
    if [ -n "$(quiet_git --git-dir="$_repo" rev-list --max-count=1 --all HEAD --not --remotes)" ]
    then printf '%s\n' "${_repo#"$w_admin/modules/"}"; fi
  done
}

lock_repo
find_admin
if [ -n "$w_admin" ]; then
  ref_of "$w_admin/HEAD"; w_head=$ref
  if [ -d "$path" ] &&
    [ "$(printf '%s' "$(scan "$w_admin" "$path")" | sha)" != "$judged" ]; then
    die "Cannot end: the worktree has just changed" "hint: mooring end $topic"
  fi
  unpushed=$(submodule_commits)
  if [ -n "$unpushed" ]; then
    die "Cannot end: these submodules have commits that no remote has:" "$unpushed"; fi
  park "$w_admin" || die "Cannot end: the commits of the detached HEAD could not be kept"
  if [ -d "$path" ]; then
    keep context "$context" "$dull_context"
    if [ -z "$(wt_git ls-files -- "$settings")" ]
    then keep settings "$settings" "$dull_settings"; fi
    cd /
    mv -- "$path" "$trash" || die "Cannot remove $path"
  fi
  rm -rf -- "$w_admin"
  rmdir -- "$common/worktrees" 2>/dev/null
fi
if [ -e "$trash" ]; then
  rm -rf -- "$trash" 2>/dev/null || { chmod -R u+rwX -- "$trash"; rm -rf -- "$trash"; }
  if [ -e "$trash" ]; then echo "some of it could not be removed: $trash"; fi
fi
rmdir -- "${path%/*}" 2>/dev/null
forget_identity "$file"
if [ -n "$owned" ]; then
  tip=$(quiet_git --git-dir="$common" rev-parse --verify --quiet "refs/heads/$branch")
  if [ -n "$tip" ] && nothing_own "$tip" &&
    ! grep -qxF "ref: refs/heads/$branch" "$common/HEAD" "$common"/worktrees/*/HEAD 2>/dev/null
  then
    quiet_git --git-dir="$common" update-ref -d "refs/heads/$branch" "$tip" &&
      quiet_git --git-dir="$common" config --remove-section "branch.$branch" 2>/dev/null
  fi
fi
others= # our lines in info/exclude go with the last workspace
for _admin in "$common"/worktrees/*/gitdir; do
  [ -f "$_admin" ] || continue
  gitdir_of "${_admin%/gitdir}"
  if [ -d "${_gitdir%.git}.mooring" ]; then others=yes; fi
done
_file=$common/info/exclude
if [ -z "$others" ] && grep -qxF -- "$begin" "$_file" 2>/dev/null; then
  cp -p -- "$_file" "$_file.mooring" &&
    if grep -qxF -- "$joined" "$_file"
    then printf '%s' "$(sed "/^$begin\$/,/^$end\$/d" "$_file")"
    else sed "/^$begin\$/,/^$end\$/d" "$_file"; fi >"$_file.mooring" &&
    mv -f -- "$_file.mooring" "$_file"
fi
:
"""


def _context(record: Record) -> str:
    """Where the workspace's context is: not where the repo has one of its own."""
    return next((name for name in CONTEXT if name in record.generated), CONTEXT[0])


def _dull(observed: Observed) -> str:
    """The sha256 of the worktree's settings if nobody added anything to them; else ''."""
    session = observed.session
    own = hooks.stripped(hooks.parse(session.settings or b""))
    copied = hooks.stripped(hooks.parse(session.source_settings or b""))
    return sha256(session.settings or b"").hexdigest() if own in ({}, copied) else ""


def kept(root: str, key: Key) -> str:
    """The directory on the target with what an end keeps of a workspace."""
    return f"{root}/{record_file.path(key).removesuffix('.json')}.kept"


@step
def removed(workspace: Workspace) -> Iterator[PyinfraCommand]:
    """Have no worktree, and no branch of ours without commits of its own."""
    observed, record = workspace.observed, workspace.record
    if not record or record.state is State.ENDED or not observed.repo.common:
        return
    judge(workspace.request, observed, workspace.session)
    names = {
        **identity.names(workspace),
        "topic": record.topic,
        "branch": record.branch,
        "owned": "yes" if record.owns_branch else "",
        "context": _context(record),
        "dull_context": text_sum(SECTIONS),
        "dull_settings": _dull(observed),
        "settings": hooks.SETTINGS,
        "kept": kept(observed.target.root, record.key),
        "judged": text_sum(observed.worktree.scan or ""),
        "parks": parks(record.agent, record.topic),
        "excludes": "\n".join(workspace.excludes),
    }
    yield run(workspace, names, fact.SCAN + identity.IDENTITY + _PARK + _REMOVE, told(workspace))
