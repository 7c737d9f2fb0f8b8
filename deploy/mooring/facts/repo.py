"""The repo on the target: its git directory, its refs that matter here, its spec files."""

from __future__ import annotations

import msgspec

from ..repo import path_identity
from ..script import MAX_FILE, content

FRAGMENT = r"""
common= checkout= default= problem=
locate() { # sets common (the shared git directory), checkout (the main one, if any), repo, default
  if [ -n "$identity" ]; then
    repo=$source common=$root/cache/$identity.git
    default=$(real "$root/worktrees/$identity/$agent/$topic")
    [ -f "$common/HEAD" ] || common=
    return 0
  fi
  case $source in '~' | '~/'*) source=$HOME${source#'~'} ;; esac
  repo=$source
  cd -P -- "$source" 2>/dev/null || { problem="there is no directory $source"; return 0; }
  common=$(quiet_git rev-parse --git-common-dir 2>/dev/null) || {
    problem=$(quiet_git rev-parse --git-common-dir 2>&1 >/dev/null) common=
    return 0
  }
  common=$(cd -P -- "$common" && printf '%s' "$PWD")
  case $common in
    */.git) checkout=${common%/.git} repo=$checkout ;;
    *) repo=$common ;;
  esac
  default=$(real "${repo%.git}.worktrees/$leaf")
}

remote_head= head=
probe_repo() {
  say common "$common"
  say checkout "$checkout"
  say repo "$repo"
  say default "$default"
  say problem "$problem"
  if [ -z "$common" ]; then return; fi
  ref_of "$common/refs/remotes/origin/HEAD"; remote_head=$ref
  ref_of "$common/HEAD"; head=$ref
  say head "$head"
  if [ -n "$identity" ]; then return; fi
  _origin=$(quiet_git --git-dir="$common" config --get remote.origin.url)
  say origin "$_origin"
  if [ -z "$_origin" ]; then
    say root_commit "$(quiet_git --git-dir="$common" rev-list --max-parents=0 HEAD -- 2>/dev/null)"
  fi
}

commit= tip=
probe_refs() {
  if [ -z "$common" ]; then return; fi
  : "${base:=$r_base}" "${branch:=$r_branch}"
  if [ -z "$base" ]; then
    case $remote_head in refs/remotes/origin/*) base=${remote_head#refs/remotes/origin/} ;;
      *) base=${head#refs/heads/} ;; esac
  fi
  if [ "$base" = HEAD ]; then base=${head#refs/heads/}; fi
  : "${branch:=$fallback_branch}"
  _head=refs/heads/$base _remote=refs/remotes/origin/$base _tag=refs/tags/$base
  case $base in */*) _named=refs/remotes/$base ;; *) _named=$_remote ;; esac
  set -- "refs/heads/$branch" "refs/remotes/origin/$branch"
  case $w_head in refs/heads/*) set -- "$@" "$w_head" ;; esac
  _refs=$(quiet_git --git-dir="$common" for-each-ref \
    --format='%(refname) %(objectname) %(*objectname)' \
    "$_head" "$_remote" "$_tag" "$_named" "$@" 2>&1)
  say refs "$_refs"
  if [ -n "$identity" ]; then set -- "$_remote" "$_head" "$_tag" "$_named"
  else set -- "$_head" "$_remote" "$_tag" "$_named"; fi
  for _name; do if [ -z "$commit" ]; then value_of "$_name"; commit=$value; fi; done
  if [ -z "$commit" ]; then
    case $base in '' | *[!0-9a-f]*) ;; *)
      commit=$(quiet_git --git-dir="$common" rev-parse --verify --quiet "$base^{commit}") ;;
    esac
  fi
  value_of "${w_head:-refs/heads/$branch}"; tip=$value
  _up=$branch
  while [ -z "$tip" ] && [ "$_up" != "${_up%/*}" ]; do # a branch `a` stands in the way of `a/b`
    _up=${_up%/*}
    if quiet_git --git-dir="$common" show-ref --verify --quiet "refs/heads/$_up"
    then say blocked "$_up"; fi
  done
  say base "$base"
  say base_commit "$commit"
  say branch "$branch"
}
value_of() { # sets value: the commit of a ref just listed; a tag's is the one it points at
  value=
  while IFS=' ' read -r _ref _oid _peeled; do
    if [ "$_ref" = "$1" ]; then value=${_peeled:-$_oid}; fi
  done <<REFS
$_refs
REFS
}

probe_blobs() {
  _at=${commit:-$tip} # the branch outlives its base
  if [ -z "$_at" ]; then return; fi
  printf 'blobs\0'
  for _object in "$_at:mooring.yaml" "$_at:.worktreeinclude" "${tip:-$_at}:.envrc" \
    "${tip:-$_at}:.session-context.md" "${tip:-$_at}:.session-prompt.md" "${tip:-$_at}:.mooring" \
    "${tip:-$_at}:.claude" "${tip:-$_at}:$settings_name"; do
    printf '%s %s\n' "$_object" "${_object#*:}"
  done | quiet_git --git-dir="$common" cat-file --batch='%(objecttype) %(objectsize) %(rest)' |
    head -c 4194304 | base64
  printf '\0'
  if [ -n "$tip" ]; then r_commit= seen=; fi # the branch is there
  for _old in $seen $r_commit; do
    if quiet_git --git-dir="$common" cat-file -e "$_old^{commit}" 2>/dev/null; then
      say last_commit "$_old"; break; fi
  done
  for _name in mooring.yaml .worktreeinclude; do
    if [ -n "$checkout" ] && [ -f "$checkout/$_name" ] && [ ! -L "$checkout/$_name" ]; then
      say_file "checkout:$_name" "$checkout/$_name"
    fi
  done
}
"""


class Repo(msgspec.Struct, frozen=True, kw_only=True):
    """`common` is '' for a URL whose cache isn't there yet; then only `identity` is known.

    `source` is how the record names it: the URL, or the main checkout's (or bare repo's) path.
    `problem` says why a path is no repo. `last_commit` is the newest commit that the registry or
    the record saw and that is still there.
    """

    identity: str
    source: str
    common: str
    checkout: str
    default_worktree: str
    problem: str
    head: str
    base: str
    base_commit: str
    branch: str
    last_commit: str
    blocked: str
    """A branch that is in the way of `branch`, since git keeps branches as paths."""
    refs: dict[str, str]
    blobs: dict[str, bytes]
    """Files of the base commit (of the branch's tip for those that Mooring would write)."""
    checkout_files: dict[str, bytes]
    """The spec files as the main checkout has them now."""


def parse(said: dict[str, str], identity: str) -> Repo:
    """The repo among what the probe said."""
    roots = said.get("root_commit", "").split()
    identity = identity or path_identity(said.get("origin", ""), roots[-1] if roots else "")
    files = {name: value for name, value in said.items() if name.startswith("checkout:")}
    return Repo(
        identity=identity,
        source=said["repo"],
        common=said["common"],
        checkout=said["checkout"],
        default_worktree=said["default"],
        problem=said["problem"],
        head=said.get("head", ""),
        base=said.get("base", ""),
        base_commit=said.get("base_commit", ""),
        branch=said.get("branch", ""),
        last_commit=said.get("last_commit", ""),
        blocked=said.get("blocked", ""),
        refs=_refs(said.get("refs", "")),
        blobs=_batch(content(said.get("blobs", ""))),
        checkout_files={name.partition(":")[2]: content(text) for name, text in files.items()},
    )


def _refs(text: str) -> dict[str, str]:
    rows = [line.split(" ") for line in text.splitlines() if line.startswith("refs/")]
    return {row[0]: row[-1] or row[1] for row in rows}


def _batch(data: bytes) -> dict[str, bytes]:
    """The files in `git cat-file --batch` output (git-cat-file(1), BATCH OUTPUT).

    One over 1 MiB is cut there, which is one byte more than any reader accepts; a directory is
    there without content.
    """
    found: dict[str, bytes] = {}
    while data:
        header, _, data = data.partition(b"\n")
        if header.endswith(b" missing"):
            continue
        fields = header.decode("utf-8", "surrogateescape").split(" ", 2)
        if len(fields) < 3 or not fields[1].isdigit():  # cut off behind a very large one
            break
        kind, size, name = fields
        found[name] = data[: min(int(size), MAX_FILE + 1)] if kind == "blob" else b""
        data = data[int(size) + 1 :]
    return found
