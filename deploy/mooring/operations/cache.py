"""The cache: a bare clone of a URL's repo, shared by its workspaces. A path is its own cache."""

from __future__ import annotations

from collections.abc import Iterator

from pyinfra.api.command import PyinfraCommand

from ..facts.repo import LOOKED_AT
from ..handle import Workspace
from . import network
from .shell import run, step, told

CLONE_SECONDS = 7200

CLONE = rf"""
looked_at='{LOOKED_AT}'
"""
CLONE += r"""
clone() { # CACHE: a bare clone, made beside and then renamed; branches of the remote are never ours
  mkdir -p -- "${1%/*}" || die "Cannot make the cache of $source"
  rm -rf -- "${1%/*}"/.stage-"${1##*/}".* # of clones that died: the lock is ours
  stage=${1%/*}/.stage-${1##*/}.$$
  new_cache sha1
  if patiently --git-dir="$stage" fetch --progress --prune ${filter:+--filter="$filter"} origin \
    '+refs/heads/*:refs/remotes/origin/*'; then :
  elif grep -q 'mismatched algorithms' "$progress"; then
    rm -rf -- "$stage"
    new_cache sha256
    patiently --git-dir="$stage" fetch --progress --prune origin \
      '+refs/heads/*:refs/remotes/origin/*' || die "Cannot clone $source:" "$(why)"
  else die "Cannot clone $source:" "$(why)"; fi
  told
  follow_head "$stage"
  spec_files "$stage"
}
new_cache() { # FORMAT: the stage, an empty repo; a person's defaults don't count
  _said=$(GIT_DEFAULT_REF_FORMAT=files quiet_git init --quiet --bare --object-format="$1" -- \
    "$stage" 2>&1) || die "Cannot make the cache: $_said"
  printf '[remote "origin"]\n\turl = "%s"\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n' \
    "$(escaped "$source")" >>"$stage/config" || die "Cannot make the cache"
  # Never while others work: maintenance of a cache is `mooring cache gc`.
  printf '[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n' >>"$stage/config"
  printf '[core]\n\tsparseCheckout = true\n\tsparseCheckoutCone = true\n' >>"$stage/config"
  online "$stage" origin
}
finish_repair() { # of one that was cut short between putting the old cache aside and the new one in
  if [ ! -f "$cache/HEAD" ] && [ -f "$cache.mended/HEAD" ]; then
    if [ -e "$cache" ]; then mv -- "$cache" "$cache.broken.$$" || die "Cannot move $cache"; fi
    mv -- "$cache.mended" "$cache" || die "Cannot put the mended cache in its place"
  fi
}
spec_files() { # REPO: those that a partial clone left out, while the agent's credential is at hand
  set -- "$1" "$1"/objects/pack/*.promisor
  if [ ! -e "$2" ]; then return 0; fi
  for _name in "refs/remotes/origin/${base:-HEAD}" "refs/tags/$base" "$base"; do
    _tree=$(quiet_git --git-dir="$1" rev-parse --verify --quiet "$_name^{tree}") && break
  done
  set -- "$1" $(quiet_git --git-dir="$1" ls-tree "$_tree" -- $looked_at | grep ' blob ' |
    cut -c 13- | cut -f 1)
  if [ $# -eq 1 ]; then return 0; fi
  _repo=$1; shift
  net_git --git-dir="$_repo" fetch --no-tags --no-write-fetch-head --filter=blob:none origin "$@"
}
follow_head() { # REPO [LINES]: its origin/HEAD names the remote's default branch
  _new=${2-$(net_git --git-dir="$1" ls-remote --symref origin HEAD)}
  _new=$(printf '%s\n' "$_new" | sed -n 's,^ref: refs/heads/\(.*\)	HEAD$,\1,p')
  ref_of "$1/refs/remotes/origin/HEAD"; _old=${ref#refs/remotes/origin/}
  if [ -z "$_new" ] || [ "$_new" = "$_old" ]; then return 0; fi
  mkdir -p -- "$1/refs/remotes/origin"
  printf 'ref: refs/remotes/origin/%s\n' "$_new" >"$1/refs/remotes/origin/HEAD.lock" &&
    mv -f -- "$1/refs/remotes/origin/HEAD.lock" "$1/refs/remotes/origin/HEAD" ||
    die "Cannot write to $1"
  if [ -n "$_old" ]; then echo "the default branch of $source is $_new now; it was $_old"; fi
}
"""

_NEW = r"""
lock_repo
cache=$root/cache/$identity.git
finish_repair
if [ -f "$cache/HEAD" ]; then exit 0; fi
if [ -e "$cache" ]; then
  # Only what has nothing of anybody's may go aside without a word.
  if [ -n "$(find "$cache/refs/heads" "$cache/refs/mooring" "$cache/worktrees" -type f 2>/dev/null |
    head -n 1)" ] || grep -qs -e ' refs/heads/' -e ' refs/mooring/' "$cache/packed-refs"; then
    die "Cannot use the cache of $source: it is damaged" \
      "hint: mooring cache repair $(quoted "$source")"; fi
  mv -- "$cache" "$cache.broken.$$" || die "Cannot move $cache away"
fi
clone "$cache"
mv -- "$stage" "$cache"
stage=
"""

_UPDATE = r"""
lock_repo
if [ -z "$own" ]; then
  _said=$(quiet_git --git-dir="$common" for-each-ref --count=1 --format='%(refname)' 2>&1) ||
    die "Cannot use the cache of $source: $(printf '%s\n' "$_said" | sed 's/^[a-z]*: //;q')" \
      "hint: mooring cache repair $(quoted "$source")"
fi
online "$common" origin
if [ -n "$own" ]; then # a person's clone: as `git fetch` there would do it
  patiently --git-dir="$common" fetch --progress origin || die "Cannot fetch:" "$(why)"
  told
  exit 0
fi
here() { # REF: the commit that the cache has for it
  quiet_git --git-dir="$common" rev-parse --verify --quiet "$1^{commit}" 2>/dev/null
}
if [ -z "$always" ] && [ -n "$(here "refs/remotes/origin/$base")" ] && [ -z "$named" ]
then exit 0; fi
# What the remote has of what is wanted; git servers of protocol 2 then list no other ref.
_there=$(net_git --git-dir="$common" ls-remote --symref origin HEAD "refs/heads/$base" \
  "refs/tags/$base" ${branch:+"refs/heads/$branch"}) || die "Cannot fetch $source:" "$(why)"
told
remote() { # REF: the commit that the remote has for it
  printf '%s\n' "$_there" | while IFS='	' read -r _oid _ref; do
    if [ "$_ref" = "$1" ]; then echo "$_oid"; fi; done
}
not_fetched() {
  _why=$(why)
  case $_why in *'would clobber existing tag'*)
    die "Cannot fetch $source: its tag $base was moved:" "$_why" \
      "hint: git --git-dir $(quoted "$common") tag -d $(quoted "$base")" ;;
    *'bad object'* | *'did not send all'* | *'not match index'* | *corrupt*)
      die "Cannot fetch $source: its cache is damaged:" "$_why" \
        "hint: mooring cache repair $(quoted "$source")" ;;
  esac
  die "Cannot fetch $source:" "$_why"
}
set --
_default=$(printf '%s\n' "$_there" | sed -n 's,^ref: refs/heads/\(.*\)	HEAD$,\1,p')
for _name in "$base" "$branch" "$_default"; do
  if [ -z "$_name" ]; then continue; fi
  _commit=$(remote "refs/heads/$_name") _mine=refs/remotes/origin/$_name
  if [ "$_name" = "$_default" ] && [ -z "$_commit" ]; then _commit=$(remote HEAD); fi
  if [ -n "$_commit" ] && [ "$_commit" != "$(here "$_mine")" ]; then
    set -- "$@" "+refs/heads/$_name:$_mine"
  elif [ -z "$_commit" ] && [ "$_name" != "$_default" ] && [ -n "$(here "$_mine")" ]; then
    quiet_git --git-dir="$common" update-ref -d "$_mine"
    echo "origin has no branch $_name any more"
  fi
done
if [ -n "$(remote "refs/tags/$base")" ]; then set -- "$@" "refs/tags/$base:refs/tags/$base"; fi
case $base in *[!0-9a-f]*) ;; ????????????????????????????????????????*)
  if [ -z "$(here "$base")" ]; then set -- "$@" "$base"; fi ;;
esac
if [ $# -gt 0 ] && ! patiently --git-dir="$common" fetch --progress origin "$@"; then
  grep -q 'cannot lock ref' "$progress" || not_fetched
  # A branch that is gone there stands in the way of one that has it as its directory.
  patiently --git-dir="$common" fetch --progress --prune origin \
    '+refs/heads/*:refs/remotes/origin/*' || die "Cannot fetch $source:" "$(why)"
fi
if [ $# -gt 0 ]; then told; spec_files "$common"; fi
follow_head "$common" "$_there"
"""


@step
def cache(workspace: Workspace) -> Iterator[PyinfraCommand]:
    """Have the wanted commit on the target: clone if there is no cache, else fetch if missing."""
    request, repo = workspace.request, workspace.observed.repo
    names = {
        **network.names(workspace),
        "identity": workspace.source.identity or "",
        "source": request.repo,
        "base": repo.base,
    }

    def fetched(answer: list[str]) -> None:
        told(workspace)(answer)
        workspace.fetched = True
        workspace.forget()

    if workspace.pending and not repo.common:
        if workspace.host.state.is_executing:
            workspace.report(f"cloning {request.repo}")
        text = network.NETWORK + CLONE + _NEW
        yield run(workspace, names, text, fetched, CLONE_SECONDS, watched=True)
    elif workspace.pending or (request.fetch and not workspace.fetched):
        names |= {
            "branch": repo.branch,
            "named": request.branch,
            "always": "yes" if request.fetch else "",
            "own": "" if workspace.source.is_url else "yes",
        }
        text = network.NETWORK + CLONE + _UPDATE
        yield run(workspace, names, text, fetched, CLONE_SECONDS, watched=True)
