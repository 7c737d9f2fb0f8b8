"""Parks: refs of ours for commits that no other ref has, so that nothing committed is ever lost."""

from __future__ import annotations

PARK = r"""
pushes() { # ADMIN SCAN: hints that push what submodules' repos there have and no remote
  printf '%s\n' "$2" | sed -n 's/^in \([^	]*\)	unpushed \([0-9a-f]*\) /\1	\2	/p' |
    awk -F '\t' '!seen[$1]++' | while IFS='	' read -r _name _tip _to; do
      printf 'hint: git --git-dir %s push %s %s\n' "$(quoted "$1/modules/$_name")" \
        "$(quoted "${_to:-origin}")" "$_tip:refs/heads/$topic-$(printf '%.7s' "$_tip")"; done
}
keep_ref() { # COMMIT: a ref of ours for it; sets kept_ref
  _n=1
  while quiet_git --git-dir="$common" show-ref --verify --quiet "$parks/$_n"
  do _n=$((_n + 1)); done
  kept_ref=$parks/$_n
  quiet_git --git-dir="$common" update-ref "$kept_ref" "$1" ''
}
park() { # ADMIN: keeps commits of a detached HEAD that no ref has
  ref_of "$1/HEAD"
  case $ref in refs/* | '' | 0000000*) return 0 ;; esac
  _own=$(quiet_git --git-dir="$common" rev-list --max-count=1 "$ref" --not --branches --tags \
    --remotes --glob='refs/mooring/*') || return 1
  if [ -z "$_own" ]; then return 0; fi
  keep_ref "$ref" && echo "kept the commits of the detached HEAD as $kept_ref"
}
logged() { # LOG: the commits that a reflog names; what a rebase went through is in its result
  awk -F '\t' '$2 !~ /^rebase/ || $2 ~ /finish/ { split($1, a, " "); print a[2] }' "$1" \
    2>/dev/null
}
keep_logged() { # commits made on no branch, or named by refs of the worktree alone, get a ref too
  keep_logs "$({
    logged "$w_admin/logs/HEAD"
    find "$w_admin/refs" -type f -exec cat {} + 2>/dev/null
  })" others
}
keep_logs() { # COMMITS [others]: one ref of ours for those that no ref has, nor other logs
  _there=$(printf '%s\n' "$1" | sort -u | sed -e '/^0*$/d' -e 's/$/^{commit}/' |
    quiet_git --git-dir="$common" cat-file --batch-check='%(objectname)' | grep -v ' missing$')
  if [ -z "$_there" ]; then return 0; fi
  # Most of the time the branch and its base have them: all refs are read only where they haven't.
  _tips=$(printf '%s\n' "$_there" | quiet_git --git-dir="$common" rev-list --stdin \
    --ignore-missing --max-count=1 --not "refs/heads/$branch" "refs/heads/${base-}" \
    "refs/remotes/origin/${base-}") || return 1
  if [ -z "$_tips" ]; then return 0; fi
  _tips=$(printf '%s\n' "$_there" | quiet_git --git-dir="$common" rev-list --stdin --not \
    --branches --tags --remotes --glob='refs/mooring/*') || return 1
  if [ -z "$_tips" ]; then return 0; fi
  # Nothing of this fits on a command line: a log can have any number of commits.
  _tips=$(printf '%s\n' "$_there" ---- "$_tips" |
    awk '$0 == "----" { second = 1; next } !second { there[$0]; next } $0 in there')
  if [ -n "${2-}" ]; then # a branch's own log goes with the branch, or stays
    _tips=$(printf '%s\n' "$_tips" | while IFS= read -r _tip; do
      if ! grep -rqsF -- " $_tip " "$common/logs/refs/heads"; then echo "$_tip"; fi; done)
  fi
  case $_tips in '') return 0 ;;
    *[!0-9a-f]*) # of several, one commit whose parents they are
      set --
      for _tip in $_tips; do set -- "$@" -p "$_tip"; done
      _tips=$(GIT_AUTHOR_NAME=mooring GIT_AUTHOR_EMAIL=mooring GIT_COMMITTER_NAME=mooring \
        GIT_COMMITTER_EMAIL=mooring quiet_git --git-dir="$common" commit-tree "$@" \
        -m 'Its parents are commits that only a log had' "${_tips%%[!0-9a-f]*}^{tree}") ||
        return 1 ;;
  esac
  keep_ref "$_tips" && echo "kept commits that only the worktree's log had as $kept_ref"
}
"""


def parks(agent: str, topic: str) -> str:
    """Where commits of a workspace are kept that no other ref has; numbered from 1 below it."""
    return f"refs/mooring/park/{agent}/{topic}"
