"""The end of a worktree: removed once nothing in it can be lost, with a branch nobody needs."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

from pyinfra.api.command import PyinfraCommand

from ..claude import hooks
from ..ending import judge
from ..facts import record as record_file
from ..facts import worktree as fact
from ..facts.workspace import Observed
from ..generate import SECTIONS
from ..handle import Workspace, text_sum
from ..model import Key, Record, State
from ..selection import CONTEXT
from .parks import PARK, parks
from .shell import run, step, told

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

own_commits() { # COMMIT REF...: whether those refs lack any of its commits
  _own=$(quiet_git --git-dir="$common" rev-list --max-count=1 "$@") || return 0 # who knows
  [ -n "$_own" ]
}
nothing_own() { # COMMIT: whether other refs have all commits of the branch's tip
  set -- "$1" --not
  for _name in "refs/remotes/origin/$base" "refs/heads/$base" "refs/remotes/origin/$branch"; do
    if [ "$_name" != "refs/heads/$branch" ] && quiet_git --git-dir="$common" \
      show-ref --verify --quiet "$_name"; then set -- "$@" "$_name"; fi
  done
  # Only where those lack something are all refs looked at.
  if [ $# -gt 2 ] && ! own_commits "$@"; then return 0; fi
  ! own_commits "$1" --not --exclude="$branch" --branches --tags --remotes
}
merged() { # COMMIT: whether a base has its changes, as after a squash or a rebase
  for _onto in "refs/remotes/origin/$base" "refs/heads/$base"; do
    _tree=$(quiet_git --git-dir="$common" rev-parse --verify --quiet "$_onto^{tree}") || continue
    # Merging would change nothing. (Git before 2.38 cannot say so.)
    if [ "$(quiet_git --git-dir="$common" merge-tree --write-tree "$_onto" "$1" 2>/dev/null)" \
      = "$_tree" ]; then return 0; fi
    # Or the base has a commit with the same changes, whatever came after it.
    _from=$(quiet_git --git-dir="$common" merge-base "$_onto" "$1") || continue
    [ "$(quiet_git --git-dir="$common" rev-list --count --max-count=2000 "$_from..$_onto")" \
      -lt 2000 ] || continue
    _one=$(GIT_AUTHOR_NAME=m GIT_AUTHOR_EMAIL=m GIT_COMMITTER_NAME=m GIT_COMMITTER_EMAIL=m \
      quiet_git --git-dir="$common" commit-tree "$1^{tree}" -p "$_from" -m squashed) || continue
    # And none that takes them back again.
    _back=$(GIT_AUTHOR_NAME=m GIT_AUTHOR_EMAIL=m GIT_COMMITTER_NAME=m GIT_COMMITTER_EMAIL=m \
      quiet_git --git-dir="$common" commit-tree "$_from^{tree}" -p "$_one" -m back) || continue
    case $(quiet_git --git-dir="$common" cherry "$_onto" "$_back" "$_one") in
      '- '*) continue ;; esac
    case $(quiet_git --git-dir="$common" cherry "$_onto" "$_one") in '- '*) return 0 ;; esac
  done
  return 1
}
wait_ref() { # COMMAND...: again while somebody else has git's own lock of it, for five seconds
  _left=10
  until _said=$("$@" 2>&1); do
    case $_said in *.lock* | *'could not lock'*) ;; *) echo "$_said"; return 1 ;; esac
    _left=$((_left - 1))
    if [ "$_left" -eq 0 ]; then echo "$_said"; return 1; fi
    sleep 0.5 2>/dev/null || sleep 1
  done
}
stashes() { # of those made on the branch, which stay in the repo
  if [ ! -f "$common/logs/refs/stash" ]; then return 0; fi
  awk -F '\t' '{ line[NR] = $2 }
    END { for (n = NR; n > 0; n--) print "stash@{" NR - n "} " line[n] }' \
    "$common/logs/refs/stash" | grep -F -e " WIP on $branch: " -e " On $branch: " |
    sed 's,^,it stays in the repo: ,'
}
at_work() { # waits for a git that writes the worktree's index; then says who it is
  _left=10
  while [ -e "$w_admin/index.lock" ]; do
    if [ "$_left" -eq 0 ]; then
      for _proc in /proc/[0-9]*; do
        case $(readlink "$_proc/cwd" 2>/dev/null)/ in "$path"/*)
          if [ "$(cat "$_proc/comm" 2>/dev/null)" = git ]; then
            echo "pid ${_proc#/proc/}: $(tr '\0' ' ' <"$_proc/cmdline")"; fi ;;
        esac
      done >"$root/locks/.who.$$"
      stage=$root/locks/.who.$$
      _who=$(head -n 3 "$stage" | scrub)
      die "Cannot end: git is at work in $path: ${_who:-nobody that can be seen}" \
        "hint: rm $(quoted "$w_admin/index.lock")    # if no git runs there any more"
    fi
    _left=$((_left - 1))
    sleep 1
  done
}

later() { # files that came or changed since, by their status where find knows that: mv keeps times
  find "$trash" -cnewer "$began" ! -type d 2>/dev/null ||
    find "$trash" -newer "$began" ! -type d 2>/dev/null
}
put_back() { # whatever somebody made in its place meanwhile goes beside
  if [ -e "$path" ] && ! rmdir -- "$path" 2>/dev/null; then
    mv -- "$path" "$path.late.$$" && echo "what was written meanwhile is $path.late.$$" >&2; fi
  if [ -e "$path" ] || ! mv -- "$trash" "$path"; then
    mv -- "$trash" "$path.kept.$$" # under its own name the next run would remove it
    die "Cannot put it back: it is $path.kept.$$"
  fi
}

lock_repo
mend_pointers
find_admin
marked
began=$root/locks/.began.$mark
if [ -n "$w_admin" ]; then
  ref_of "$w_admin/HEAD"; w_head=$ref
  at_work
  stage=$began
  : >"$began" || die "Cannot write to $root"
  scanned=$(if [ -d "$path" ]; then scan "$w_admin" "$path"; fi)
  if [ -n "$scanned" ] && [ "$(printf '%s' "$scanned" | sha)" != "$judged" ]; then
    die "Cannot end: the worktree has just changed" "hint: mooring end $topic"
  fi
  if [ -z "$scanned" ]; then scanned=$(only_in_modules "$w_admin"); fi
  unpushed=$(printf '%s\n' "$scanned" | grep '^in [^	]*	unpushed ')
  if [ -n "$unpushed" ]; then # their repos go with the worktree: even --force would lose them
    die "Cannot end: these submodules have commits that no remote has:" \
      "$(printf '%s\n' "$unpushed" | cut -f 1 | sort -u | sed -e 's/^in //' -e 's,/modules/,/,g')" \
      "$(pushes "$w_admin" "$unpushed")"; fi
  park "$w_admin" && keep_logged ||
    die "Cannot end: the commits that only the worktree has could not be kept"
  if [ -d "$path" ]; then
    keep context "$context" "$dull_context"
    if [ -z "$(wt_git ls-files -- "$settings")" ]
    then keep settings "$settings" "$dull_settings"; fi
    cd /
    mv -- "$path" "$trash" || die "Cannot remove $path"
    # Whatever somebody saved since the look is there now, and nobody finds the place any more.
    if [ -n "$(later | head -n 1)" ] &&
      [ -n "$judged_any" ] && [ "$(path=$trash
        printf '%s' "$(scan "$w_admin" "$trash")" | sha)" != "$judged" ]
    then
      put_back
      die "Cannot end: the worktree has just changed" "hint: mooring end $topic"
    fi
  fi
  rm -rf -- "$w_admin"
fi
if [ -e "$trash" ]; then
  rm -rf -- "$trash" 2>/dev/null || { chmod -R u+rwX -- "$trash"; rm -rf -- "$trash"; }
  if [ -e "$trash" ]; then echo "some of it could not be removed: $trash"; fi
fi
rmdir -- "$common/worktrees" 2>/dev/null
case ${path%/*} in # a directory of ours, not one that somebody made and linked to
  *.worktrees | "$root"/worktrees/*) rmdir -- "${path%/*}" 2>/dev/null ;;
esac
stashes
tip=$(quiet_git --git-dir="$common" rev-parse --verify --quiet "refs/heads/$branch")
elsewhere=$(grep -lxF "ref: refs/heads/$branch" "$common/HEAD" "$common"/worktrees/*/HEAD \
  2>/dev/null)
drop=
if [ -n "$tip" ] && [ -n "$owned" ] && [ -z "$elsewhere" ]; then
  if nothing_own "$tip" && keep_logs "$(logged "$common/logs/refs/heads/$branch")"
  then drop=yes
  elif merged "$tip" && keep_ref "$tip" && kept_tip=$kept_ref &&
    keep_logs "$(logged "$common/logs/refs/heads/$branch")"
  then
    drop=yes
    echo "$base has all changes of $branch: the branch is gone, its commits are $kept_tip"
  fi
fi
if [ -n "$drop" ]; then
  wait_ref quiet_git --git-dir="$common" update-ref -d "refs/heads/$branch" "$tip" &&
    quiet_git --git-dir="$common" config --name-only --get-regexp '^branch\.' 2>/dev/null |
    sed 's/\.[^.]*$//' | grep -qxF -- "branch.$branch" &&
    wait_ref quiet_git --git-dir="$common" config --remove-section "branch.$branch"
elif [ -n "$tip" ] && [ -z "$remote" ] && ! nothing_own "$tip"; then
  echo "the branch $branch stays: it has commits of its own"
elif [ -n "$tip" ] && [ -n "$remote" ] && own_commits "$tip" --not --remotes; then
  _count=$(quiet_git --git-dir="$common" rev-list --count "$tip" --not --remotes)
  echo "the branch $branch stays: no remote has $_count of its commits"
  echo "hint: git --git-dir $(quoted "$common") push -u origin $(quoted "$branch")"
fi
others= # our lines in info/exclude go with the last workspace
for _admin in "$common"/worktrees/*/gitdir; do
  [ -f "$_admin" ] || continue
  gitdir_of "${_admin%/gitdir}"
  if [ -d "${_gitdir%.git}.mooring" ]; then others=yes; fi
done
exclude_file
_made=$(grep -xF -- "$made" "$_file" 2>/dev/null)
if [ -z "$others" ] && grep -qxF -- "$begin" "$_file" 2>/dev/null; then
  cp -p -- "$_file" "$_file.mooring" &&
    if grep -qxF -- "$joined" "$_file"
    then printf '%s' "$(sed "/^$begin\$/,/^$end\$/d" "$_file")"
    else sed "/^$begin\$/,/^$end\$/d" "$_file"; fi >"$_file.mooring" &&
    mv -f -- "$_file.mooring" "$_file"
  if [ -n "$_made" ] && [ ! -s "$_file" ]; then
    rm -f -- "$_file"; rmdir -- "$common/info" 2>/dev/null; fi
fi
:
"""


def _context(record: Record) -> str:
    """Where the workspace's context is: not where the repo has one of its own."""
    return next((name for name in CONTEXT if name in record.generated), CONTEXT[0])


def _dull(observed: Observed, record: Record) -> str:
    """The sha256 of the worktree's settings if they need not be kept; else ''.

    Nobody added anything to them, or a template made them: there may be a secret in them.
    """
    session = observed.session
    if hooks.SETTINGS in record.rendered:
        return sha256(session.settings or b"").hexdigest()
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
        "topic": record.topic,
        "branch": record.branch,
        "base": record.base,
        "remote": workspace.remote,
        "owned": "yes" if record.owns_branch else "",
        "context": _context(record),
        "dull_context": text_sum(SECTIONS),
        "dull_settings": _dull(observed, record),
        "settings": hooks.SETTINGS,
        "kept": kept(observed.target.root, record.key),
        "judged_any": "" if workspace.request.force else "yes",
        "judged": text_sum(observed.worktree.scan or ""),
        "parks": parks(record.agent, record.topic),
        "excludes": "\n".join(workspace.excludes),
    }
    yield run(workspace, names, fact.SCAN + PARK + _REMOVE, told(workspace))
