"""Parks: refs of ours for commits that no other ref has, so that nothing committed is ever lost."""

from __future__ import annotations

PARK = r"""
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
keep_logged() { # commits made on no branch, or named by refs of the worktree alone, get a ref too
  _logged=$({
    # What a rebase went through is in its result, or was given up.
    awk -F '\t' '$2 !~ /^rebase/ { split($1, a, " "); print a[2] }' "$w_admin/logs/HEAD"
    find "$w_admin/refs" -type f -exec cat {} +
  } 2>/dev/null | sort -u | grep -vxF "$(cut -d ' ' -f 2 "$common/logs/refs/heads/$branch" \
    2>/dev/null || echo none)" | sed 's/$/^{commit}/' |
    quiet_git --git-dir="$common" cat-file --batch-check='%(objectname)' | grep -v ' missing$')
  _times=0
  while [ -n "$_logged" ] && [ "$_times" -lt 20 ]; do
    _tip=$(quiet_git --git-dir="$common" rev-list --topo-order --max-count=1 $_logged --not \
      --branches --tags --remotes --glob='refs/mooring/*') || return 1
    if [ -z "$_tip" ]; then break; fi
    keep_ref "$_tip" || return 1
    echo "kept commits that only the worktree's log had as $kept_ref"
    _times=$((_times + 1))
  done
}
"""


def parks(agent: str, topic: str) -> str:
    """Where commits of a workspace are kept that no other ref has; numbered from 1 below it."""
    return f"refs/mooring/park/{agent}/{topic}"
