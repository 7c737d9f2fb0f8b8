"""The repo on the target: its git directory, its refs that matter here, its spec files."""

from __future__ import annotations

import msgspec

from ..claude import hooks
from ..repo import path_identity
from ..script import MAX_FILE, content

LOOKED_AT = (
    "mooring.yaml .worktreeinclude .envrc .mooring .session-context.md .session-prompt.md .claude "
    f"{hooks.SETTINGS} .gitattributes .gitmodules .gitignore"
)
"""What every run reads of a commit, or wants to know the existence of."""

FRAGMENT = rf"""
looked_at='{LOOKED_AT}'
"""
FRAGMENT += r"""
common= checkout= default= problem= origin= settled= known= bare= bases=
locate() { # sets common (the shared git directory), checkout (the main one, if any), repo, default
  if [ -n "$identity" ]; then
    repo=$source common=$root/cache/$identity.git
    default=$(real "$root/worktrees/$identity/$agent/$topic")
    [ -f "$common/HEAD" ] || common=
    if misled "$common"; then common=; fi
    return 0
  fi
  case $source in '~' | '~/'*) source=$HOME${source#'~'} ;; esac
  repo=$source
  if [ -n "$located" ]; then
    { IFS= read -r common; IFS= read -r checkout; IFS= read -r repo; IFS= read -r default
      IFS= read -r known; } <<LOCATED
$located
LOCATED
    return 0
  fi
  cd -P -- "$source" 2>/dev/null || { problem="there is no directory $source"; return 0; }
  read_config
  case $common in '') ;;
    */.git) repo=${common%/.git}; if [ -z "$bare" ]; then checkout=$repo; fi ;;
    *) repo=$common ;;
  esac
  default=$(real "${repo%.git}.worktrees/$leaf")
}
misled() { # DIR: whether git would read another config for that repo than its own
  if [ ! -d "$1" ] || [ ! -e "$1/commondir" ] || [ ! -d "$1/objects" ]; then return 1; fi
  problem="it has $1/commondir, which git makes in worktrees only: a container may have put it \
there, to have git read another config. Look at it, and remove it"
}
read_config() { # one git finds the repo, judges whose it is, and says what of its config matters
  _dir=$PWD
  until [ -e "$_dir/.git" ] || [ -z "$_dir" ]; do _dir=${_dir%/*}; done
  if misled "$_dir/.git" || misled "$PWD"; then return 0; fi
  settled=$(quiet_git config -z --show-origin --get-regexp '^(core\.repositoryformatversion|'\
'core\.(worktree|ignorecase|bare)|extensions\..*|remote\.origin\.url)$' 2>/dev/null |
    tr '\000\n' '\n\t')
  # A password that somebody put into the origin's URL stays on the target.
  settled=$(printf '%s\n' "$settled" | sed 's,://[^/[:space:]]*@,://,')
  _from= _worktree=
  while IFS= read -r _file && IFS= read -r _entry; do
    case $_entry in
      'core.repositoryformatversion	'*) _from=${_file#file:} ;;
      'core.worktree	'*) _worktree=${_entry#*	} ;;
      'core.bare	true') bare=yes ;;
      'remote.origin.url	'*) origin=${_entry#*	} ;;
    esac
  done <<SETTLED
$settled
SETTLED
  while [ ! -e .git ] && [ "$PWD" != / ]; do cd ..; done # a path in it is relative to the top
  case $_from in .git/config | /*/config) common=$(real "${_from%/config}") ;;
    config) cd -P -- "$source" && common=$PWD ;;
  esac
  if [ -z "$common" ] || [ ! -f "$common/HEAD" ]; then
    common= # git says why, and knows more ways to lay out a repo
    cd -P -- "$source"
    common=$(quiet_git rev-parse --git-common-dir 2>/dev/null) || {
      problem=$(quiet_git rev-parse --git-common-dir 2>&1 >/dev/null) common=
      return 0
    }
    common=$(cd -P -- "$common" && printf '%s' "$PWD")
  fi
  if [ -d "$common/reftable" ]; then
    problem="it keeps its refs in a reftable, which Mooring cannot read yet" common=
    return 0
  fi
  if [ -n "$_worktree" ]; then checkout=$(cd -- "$common" && real "$_worktree")
  elif [ -f "$PWD/.git" ] && [ -z "$bare" ]; then # made with --separate-git-dir
    IFS= read -r _pointer <"$PWD/.git"
    if [ "$(cd -P -- "${_pointer#gitdir: }" 2>/dev/null && printf '%s' "$PWD")" = "$common" ]
    then checkout=$PWD; fi
  fi
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
  say settled "$settled"
  set -- "$common"/objects/pack/*.promisor
  if [ -e "$1" ]; then # what a partial clone left out is fetched when it is looked at
    GIT_SSH_COMMAND="${GIT_SSH_COMMAND:-$(quiet_git --git-dir="$common" config --get \
      core.sshCommand || echo ssh)} -o BatchMode=yes"
    export GIT_SSH_COMMAND
    unset SSH_ASKPASS
  fi
  if [ -n "$identity" ]; then return; fi
  say origin "$origin"
  case $known$origin$r_state in '' | ended)
    say root_commit "$(quiet_git --git-dir="$common" rev-list --max-parents=0 HEAD -- \
      2>/dev/null)" ;;
  esac
  say known_identity "${known:-$r_repo}"
}

probe_objects() { # the refs that matter and the files in them, from one git
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
  if [ -n "$identity" ]; then set -- "$_remote" "$_head" "$_tag" "$_named"
  else set -- "$_head" "$_remote" "$_tag" "$_named"; fi
  case $base in '' | *[!0-9a-f]*) ;; *) set -- "$@" "$base" ;; esac
  bases=$*
  say bases "$(printf '%s\n' "$@")"
  say base "$base"
  say branch "$branch"
  _tip=${w_head:-refs/heads/$branch}
  say tip "$_tip"
  say below "$(below)"
  say seen "$seen $r_commit"
  printf 'objects\0'
  { _why=$({ asked "$@" | quiet_git --git-dir="$common" \
    cat-file --batch='%(objectname) %(objecttype) %(objectsize) %(rest)' |
    head -c 8388608 | base64 >&3; } 2>&1); } 3>&1
  printf '\0'
  say damage "$(printf '%s\n' "$_why" | grep -m 1 -e '^error: ' -e '^fatal: ')"
  for _name in mooring.yaml .worktreeinclude; do
    if [ -z "$checkout" ]; then continue; fi
    _at=$checkout/$_name
    if [ -f "$_at" ] && [ ! -L "$_at" ] && [ -r "$_at" ]; then say_file "checkout:$_name" "$_at"
    elif [ -e "$_at" ] || [ -L "$_at" ]; then say "no_file:$_name"; fi
  done
}
asked() { # BASE...: what is asked of git, a line each; the words behind come back with the answer
  printf '%s^{commit} ref %s\n' "$_tip" "$_tip" "refs/heads/$branch" "refs/heads/$branch" \
    "refs/remotes/origin/$branch" "refs/remotes/origin/$branch"
  _up=$branch
  while [ "$_up" != "${_up%/*}" ]; do # a branch `a` stands in the way of `a/b`
    _up=${_up%/*}
    printf '%s^{commit} ref %s\n' "refs/heads/$_up" "refs/heads/$_up"
  done
  for _name in "$@" $seen $r_commit; do printf '%s^{commit} ref %s\n' "$_name" "$_name"; done
  for _name in "$_tip" "$@"; do for _file in $looked_at
  do printf '%s:%s file %s %s\n' "$_name" "$_file" "$_name" "$_file"; done; done
}
below() { # a branch that has the wanted one as its directory
  find "$common/refs/heads/$branch/" -type f 2>/dev/null | head -n 1 | sed "s,^$common/,,"
  if [ -f "$common/packed-refs" ]; then
    grep -F -m 1 " refs/heads/$branch/" "$common/packed-refs" | sed 's/^[^ ]* //'; fi
}
"""


class Repo(msgspec.Struct, frozen=True, kw_only=True):
    """`common` is '' for a URL whose cache isn't there yet; then only `identity` is known.

    `source` is how the record names it: the URL, or the main checkout's (or bare repo's) path.
    `problem` says why a path is no repo; `damage` what git said of objects that it can't read.
    `last_commit` is the newest commit that the registry or the record saw and that is still there.
    """

    identity: str
    source: str
    common: str
    checkout: str
    default_worktree: str
    problem: str
    damage: str
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
    no_files: frozenset[str]
    """Those of them that are there, but are no plain files that can be read."""
    settings: dict[str, str]
    """What of the repo's config matters here, by lower-case name."""


SPEC_FILES = ("mooring.yaml", ".worktreeinclude")


def parse(said: dict[str, str], identity: str) -> Repo:
    """The repo among what the probe said."""
    roots = said.get("root_commit", "").split()
    identity = identity or _identity(said, roots[-1] if roots else "")
    files = {name: value for name, value in said.items() if name.startswith("checkout:")}
    commits, blobs, trees = _batch(content(said.get("objects", "")))
    base = next((name for name in _words(said, "bases") if name in commits), "")
    tip, branch = said.get("tip", ""), said.get("branch", "")
    at = tip if tip in commits else base
    seen = () if tip in commits else _words(said, "seen")
    spec_at = base or at
    return Repo(
        identity=identity,
        source=said["repo"],
        common=said["common"],
        checkout=said["checkout"],
        default_worktree=said["default"],
        problem=said["problem"],
        damage=said.get("damage", ""),
        head=said.get("head", ""),
        base=said.get("base", ""),
        base_commit=commits.get(base, ""),
        branch=branch,
        last_commit=next((name for name in seen if name in commits), ""),
        blocked=_blocked(branch, commits, _words(said, "below")),
        refs={name: commit for name, commit in commits.items() if name.startswith("refs/")},
        blobs={
            name: data
            for (where, name), data in blobs.items()
            if where == (spec_at if name in SPEC_FILES else at)
        },
        checkout_files={name.partition(":")[2]: content(text) for name, text in files.items()},
        no_files=_no_files(said, {name for where, name in trees if where == spec_at}),
        settings=_settings(said.get("settled", "")),
    )


def _no_files(said: dict[str, str], trees: set[str]) -> frozenset[str]:
    """Of the spec files those that can't be read: in the main checkout, else in the commit."""
    if not said["checkout"]:
        return frozenset(trees.intersection(SPEC_FILES))
    return frozenset(name for name in SPEC_FILES if f"no_file:{name}" in said)


def _identity(said: dict[str, str], root: str) -> str:
    """That of a path: by its origin, else as recorded, else by its first commit."""
    known = said.get("known_identity", "")
    if not said.get("origin") and not root and known:
        return known
    return path_identity(said.get("origin", ""), root)


def _words(said: dict[str, str], name: str) -> list[str]:
    return said.get(name, "").split()


def _blocked(branch: str, commits: dict[str, str], below: list[str]) -> str:
    """The branch that stands in the way: a directory of the wanted one, or below it."""
    parts = branch.split("/")
    above = ["/".join(parts[:count]) for count in range(1, len(parts))]
    found = [name for name in above if f"refs/heads/{name}" in commits]
    return (*found, *(name.removeprefix("refs/heads/") for name in below), "")[0]


def _settings(text: str) -> dict[str, str]:
    """Of lines in turn: where it stands, and name and value with a tab between."""
    rows = (line.partition("\t") for line in text.split("\n")[1::2])
    return {name: value for name, _, value in rows}


def _batch(
    data: bytes,
) -> tuple[dict[str, str], dict[tuple[str, str], bytes], set[tuple[str, str]]]:
    """Commits by name, files by name and path, and what of these are directories.

    All that is in what `git cat-file --batch` says.

    See git-cat-file(1), BATCH OUTPUT. A file over 1 MiB is cut there, which is one byte more than
    any reader accepts; a directory is there without content.
    """
    commits: dict[str, str] = {}
    files: dict[tuple[str, str], bytes] = {}
    trees: set[tuple[str, str]] = set()
    while data:
        header, _, data = data.partition(b"\n")
        if header.endswith((b" missing", b" ambiguous", b" submodule")):  # git 2.55 says the last
            continue
        fields = header.decode("utf-8", "surrogateescape").split(" ")
        if len(fields) < 5 or not fields[2].isdigit():  # cut off behind a very large one
            break
        oid, kind, size, _, where = fields[:5]
        if len(fields) == 5:
            commits[where] = oid
        else:
            is_file = kind == "blob"
            if kind == "tree":
                trees.add((where, fields[5]))
            files[where, fields[5]] = data[: min(int(size), MAX_FILE + 1)] if is_file else b""
        data = data[int(size) + 1 :]
    return commits, files, trees
