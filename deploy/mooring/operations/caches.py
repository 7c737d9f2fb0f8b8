"""What is done to a cache on request: fetched, verified, repaired, removed, packed."""

from __future__ import annotations

from collections.abc import Iterator

from pyinfra.api.command import PyinfraCommand

from .. import identity, script
from ..caches import Caches
from ..facts.caches import Cache
from ..handle import who
from . import network
from .cache import CLONE, CLONE_SECONDS
from .shell import LOCK_SECONDS, SHARED, Script, call, repo_lock, step

_BEGIN = r"""
lock_repo
cache=$root/cache/$identity.git
finish_repair
git_cache() { quiet_git --git-dir="$cache" "$@"; }
in_sed() { printf '%s' "$1" | sed 's/[\\&,]/\\&/g'; } # a path, for the right side of s,,,
own_refs() { # [REPO]: of the cache itself; one that a crash left empty is read from its log
  _refs=$(quiet_git --git-dir="${1-$cache}" for-each-ref --format='%(refname) %(objectname)' \
    2>/dev/null) || return 1
  printf '%s\n' "$_refs" | sed -e '/^$/d' -e '/^refs\/remotes\//d'
  # One that nobody can read any more is as its log has it, or that of the worktree it is in.
  {
    (cd -- "$cache/logs" 2>/dev/null && find refs -type f 2>/dev/null) |
      sed -e '/^refs.remotes/d' -e "s,.*,& $(in_sed "$cache/logs")/&,"
    for _head in "$cache"/worktrees/*/HEAD; do
      if [ -f "$_head" ]; then
        sed -n "s,^ref: \(.*\),\1 $(in_sed "${_head%/HEAD}")/logs/HEAD,p" "$_head"; fi
    done
  } | while IFS=' ' read -r _ref _log; do
    case "
$_refs" in *"
$_ref "*) continue ;; esac
    _last=$(tail -n 1 "$_log" 2>/dev/null | cut -d ' ' -f 2 | grep -v '^0*$')
    if [ -n "$_last" ]; then printf '%s %s\n' "$_ref" "$_last"; fi
  done | awk '!seen[$1]++'
}
"""

_FETCH = r"""
online "$cache" origin
patiently --git-dir="$cache" fetch --progress --prune origin \
  '+refs/heads/*:refs/remotes/origin/*' || { # others have their turn all the same
    echo failed
    why | scrub
    exit 0
  }
told
follow_head "$cache"
echo fetched
"""

_VERIFY = r"""
staged() { # what is staged in a worktree has to be there too; says how it is, and ends
  set -- "$cache"/objects/pack/*.promisor
  if [ ! -e "$1" ]; then # a partial clone lacks some, as it should
    for _admin in "$cache"/worktrees/*; do
      if [ ! -f "$_admin/index" ]; then continue; fi
      GIT_COMMON_DIR=$cache quiet_git --git-dir="$_admin" ls-files --stage |
        sed -n 's/^100[0-9]* \([0-9a-f]*\) .*/\1/p' | git_cache cat-file --batch-check |
        sed -n "s,^\([0-9a-f]*\) missing$,missing blob \1\, staged in ${_admin##*/},p"
    done | head -n 5 >"$progress"
    if [ -s "$progress" ]; then echo damaged; cat "$progress"; rm -f -- "$progress"; exit 0; fi
  fi
  rm -f -- "$progress"
  echo sound
  exit 0
}
# A blob that a partial clone left out isn't missing: it is fetched when it is needed.
# Nor is one that somebody made malformed long ago: its remote has it so.
found=$(git_cache fsck --no-dangling --no-progress 2>&1) || {
  found=$(printf '%s\n' "$found" |
    grep -v -e '^error in [a-z]* [0-9a-f]*: [A-Za-z]*: ' -e '^notice: ' -e '^warning ')
  if [ -z "$found" ]; then staged; fi
  echo damaged

  printf '%s\n' "$found" | sort -u | head -n 5
  exit 0
}
staged
"""

_REPAIR = r"""
rm -rf -- "$cache.mended" # of a repair that was cut short before its end: who knows what came since
state() { # what anybody does in the cache or a worktree of it changes this
  own_refs
  (cd -- "$cache" && find worktrees logs refs -type f 2>/dev/null |
    grep -e HEAD -e index -e logs -e refs | LC_ALL=C sort | sums)
}
view() { # sets view to a repo of the cache's refs and objects, whatever became of the rest
  view=$root/locks/.view.$repo_lock
  rm -rf -- "$view"
  mkdir -p -m 700 -- "$view/objects" || die "Cannot write to $root"
  echo 'ref: refs/heads/main' >"$view/HEAD"
  printf '[core]\n\trepositoryformatversion = 1\n\tbare = true\n' >"$view/config"
  if find "$cache/refs" -type f -exec cat {} + 2>/dev/null | grep -q '^.\{64\}$'
  then printf '[extensions]\n\tobjectFormat = sha256\n' >>"$view/config"; fi
  grep -e '^#' -e '^^' -e '^[0-9a-f]\{40,\} refs/' "$cache/packed-refs" >"$view/packed-refs" \
    2>/dev/null
  mkdir -p -- "$cache/refs"
  ln -s "$cache/refs" "$view/refs"
  if [ -d "$cache/objects" ]; then rmdir "$view/objects"; ln -s "$cache/objects" "$view/objects"; fi
}
view
before=$(own_refs "$view") || die "Cannot repair $source: nobody can read its refs" \
  "hint: git --git-dir $(quoted "$cache") for-each-ref"
rm -rf -- "$view"
state=$(state)
clone "$cache"
mended() { quiet_git --git-dir="$stage" "$@"; }
if quiet_git config --file "$cache/config" --get remote.origin.url >/dev/null 2>&1
then cp -p -- "$cache/config" "$stage/config"; fi
for _name in worktrees info; do
  if [ -d "$cache/$_name" ]; then cp -Rp -- "$cache/$_name" "$stage/" || die "Cannot copy $_name"
  fi
done
for _pack in "$cache"/objects/pack/*.pack; do # git reads nothing of a pack that is cut short
  if [ -f "$_pack" ] && ! quiet_git verify-pack "$_pack" >/dev/null 2>&1
  then mended unpack-objects -q -r <"$_pack" >/dev/null 2>&1 || :; fi
done
echo "$cache/objects" >"$stage/objects/info/alternates" # only until all that is ours is copied
lost=$(printf '%s\n' "$before" | while IFS=' ' read -r _ref _commit; do
  if [ -z "$_ref" ]; then continue; fi
  if mended rev-list --objects "$_commit" --not --remotes >/dev/null 2>&1
  then mended update-ref "$_ref" "$_commit" || exit 1
  else echo "$_ref $_commit"; fi
done) || die "Cannot bring the branches over"
# Now that no ref is written any more: each would add a line to its log.
if [ -d "$cache/logs" ]; then cp -Rp -- "$cache/logs" "$stage/" || die "Cannot copy logs"; fi
for _admin in "$stage"/worktrees/*; do # what was staged is in the worktree too, most of the time
  [ -f "$_admin/gitdir" ] || continue
  gitdir_of "$_admin"; _tree=${_gitdir%/.git}
  mended_tree() { GIT_COMMON_DIR=$stage quiet_git --git-dir="$_admin" --work-tree="$_tree" "$@"; }
  mended_tree ls-files --stage | sed -n 's/^[0-9]* \([0-9a-f]*\) 0	/\1 /p' |
    while IFS=' ' read -r _blob _file; do
      if [ -f "$_tree/$_file" ] && ! mended cat-file -e "$_blob" 2>/dev/null; then
        (cd -- "$_tree" && mended_tree hash-object -w -- "$_file" >/dev/null 2>&1); fi
    done
done
found=$(mended -c repack.writeBitmaps=false repack -a -d -q 2>&1) && found= ||
  found="the objects could not all be copied
$found"
rm -f -- "$stage/objects/info/alternates"
if [ -z "$found" ]; then
  found=$(mended fsck --connectivity-only --no-dangling --no-progress 2>&1) && found=
fi
if [ -n "$found$lost" ] && [ -n "$force" ]; then
  printf '%s\n' "$lost" | sed -e '/^$/d' -e 's/^/left behind: /'
elif [ -n "$found$lost" ]; then
  lost=$(printf '%s\n' "$lost" "$found" | sed '/^$/d' | uniq | head -n 8)
  die "Cannot repair $source whole: it stays as it is. Lost are:" "$lost" \
    "hint: git --git-dir $(quoted "$cache") fsck --full" \
    "hint: mooring cache repair $(quoted "$source") --force    # leaves them in the broken one"
fi
if [ "$(state)" != "$state" ]; then
  die "Cannot repair $source: somebody has just worked in it" "hint: mooring cache repair $source"
fi
mv -- "$stage" "$cache.mended" || die "Cannot move the mended cache"
stage=
swap
"""

_SWAP = r"""
swap() { # the mended one takes the place of the broken one, which stays beside it
  _aside=$cache.broken.$(date +%Y%m%d%H%M%S)
  while [ -e "$_aside" ]; do _aside=$_aside-2; done
  if [ -e "$cache" ]; then mv -- "$cache" "$_aside" || die "Cannot move $cache away"; fi
  mv -- "$cache.mended" "$cache" || die "Cannot put the mended cache in its place"
  echo "repaired; the broken one is $_aside"
  echo "hint: rm -rf $(quoted "$_aside")    # if nothing is missing"
  exit 0
}
"""

_REMOVE = r"""
for _admin in "$cache"/worktrees/*/gitdir; do
  [ -f "$_admin" ] || continue
  gitdir_of "${_admin%/gitdir}"
  if [ -e "$_gitdir" ] || [ -f "${_admin%/gitdir}/locked" ]; then
    die "Cannot remove the cache of $source: a worktree uses it: ${_gitdir%/.git}" \
      "hint: mooring list    # and mooring end it"; fi
  if [ -z "$force" ]; then # it may have been moved, and git not been told
    die "Cannot remove the cache of $source: it had a worktree at ${_gitdir%/.git}" \
      "hint: git --git-dir $(quoted "$cache") worktree prune    # if that is gone"; fi
done
own=$(git_cache rev-list --max-count=1 --all --reflog --not --remotes) || own=unknown
if [ "$own" = unknown ] && [ -z "$(find "$cache" -type f | head -n 1)" ]; then own=; fi
if [ -n "$own" ]; then
  if [ -n "$force" ]; then # a bundle has refs, not logs: each stash and each logged commit gets one
    git_cache rev-list --walk-reflogs refs/stash 2>/dev/null | awk '{ print NR, $1 }' |
      while IFS=' ' read -r _n _commit; do
        git_cache update-ref "refs/mooring/stash/$_n" "$_commit"; done
    git_cache rev-list --all --reflog --not --remotes | awk '{ print NR, $1 }' | head -n 1000 |
      while IFS=' ' read -r _n _commit; do
        git_cache update-ref "refs/mooring/log/$_n" "$_commit"; done
  fi
  refs=$(own_refs | cut -d ' ' -f 1)
  if [ -z "$force" ]; then
    die "Cannot remove the cache of $source: no remote has all commits of these:" \
      "$(printf '%s\n' "$refs" | head -n 20)" \
      "hint: git --git-dir $(quoted "$cache") push origin $(printf '%s\n' "$refs" |
        grep -e '^refs/heads/' -e '^refs/tags/' -e '^refs/notes/' | head -n 20 |
        while IFS= read -r _ref; do printf '%s ' "$(quoted "$_ref")"; done)" \
      "hint: mooring cache remove $(quoted "$source") --force    # keeps them in a bundle"
  fi
  bundle=$root/removed/$(printf '%s' "$identity" | tr / _).$(date +%Y%m%d%H%M%S).bundle
  mkdir -p -m 700 -- "$root/removed"
  said=$(printf '%s\n' "$refs" | git_cache bundle create --quiet "$bundle" --stdin 2>&1) ||
    die "Cannot remove the cache of $source: what only it has could not be kept:" "$said"
  echo "what only it had is in $bundle"
fi
stage=${cache%/*}/.stage-${cache##*/}.$$
mv -- "$cache" "$stage" || die "Cannot remove $cache"
rm -rf -- "$stage"
echo removed
"""

_GC = r"""
_try=1
until said=$(git_cache -c repack.writeBitmaps=false -c gc.worktreePruneExpire=never \
  -c gc.reflogExpire=never -c gc.reflogExpireUnreachable=never gc --quiet \
  --prune=2.weeks.ago 2>&1)
do # somebody at work there can make it fail
  [ "$_try" -lt 3 ] || die "Cannot pack the cache of $source:" "$said"
  _try=$((_try + 1))
  sleep 1
done
echo packed
"""

_SCRIPTS = {
    "fetch": network.NETWORK + CLONE + _BEGIN + _FETCH,
    "verify": network.NETWORK + CLONE + _BEGIN + _VERIFY,
    "repair": network.NETWORK + CLONE + _BEGIN + _SWAP + _REPAIR,
    "remove": network.NETWORK + CLONE + _BEGIN + _REMOVE,
    "gc": network.NETWORK + CLONE + _BEGIN + _GC,
}


@step
def tended(caches: Caches, cache: Cache) -> Iterator[PyinfraCommand]:
    """Do to one cache what is asked."""
    lock = repo_lock(cache.repo)
    names = {
        "root": caches.request.root,
        "who": who(),
        "lock_seconds": str(LOCK_SECONDS),
        "repo_lock": lock,
        "lock_name": lock,
        "common": "",
        "path": "",
        "hidden": "",
        "by_hand": "",
        "credential": identity.credential(caches.git, cache.url),
        "asks": "yes" if network.asks(caches.host) else "",
        "filter": cache.filter,
        "identity": cache.repo,
        "source": cache.url,
        "base": "",
        "force": "yes" if caches.request.force else "",
    }
    text = script.compose(
        names, "progress=$root/locks/progress-$lock_name", SHARED, _SCRIPTS[caches.request.verb]
    )

    def done(answer: list[str]) -> None:
        caches.heard(cache, tuple(line for line in answer if line))

    yield Script(caches, text, done, CLONE_SECONDS, "")


@step
def verdict(caches: Caches) -> Iterator[PyinfraCommand]:
    """Fail the host if one of its caches is damaged, after all have been looked at."""
    yield call(caches, caches.check)
