"""Worktrees on the target: what is at the path, what git has registered, what is dirty."""

from __future__ import annotations

import msgspec

OWN_CONFIG = r"""
left_behind() { # what a look that was killed left goes
  for _look in "$root"/locks/.look.* "$root"/locks/.began.*; do
    if [ -e "$_look" ] && ended "${_look#"$root"/locks/.*.}" "$_look"; then
      rm -rf -- "$_look" 2>/dev/null; fi
  done
}
safe_repo() { # REPO: sets _safe to a repo with its objects, refs, logs, HEAD and index, for a look
  # Its own config and hooks could name a program; this one's config is ours.
  left_behind
  marked
  _safe=$root/locks/.look.$mark.$(printf '%s' "$1" | sha | cut -c1-16)
  rm -rf -- "$_safe"
  mkdir -p -m 700 -- "$_safe" || return 1
  for _file in "$1/HEAD" "$1/index" "$1"/sharedindex.* "$1/packed-refs" "$1/shallow"; do
    # With its time, by which git knows which files it has to read again.
    if [ -f "$_file" ]; then cp -p -- "$_file" "$_safe/" || return 1; fi; done
  if [ -f "$1/info/exclude" ]; then
    mkdir -p -- "$_safe/info" && cp -- "$1/info/exclude" "$_safe/info/"; fi
  for _file in objects refs logs; do
    if [ -L "$1/$_file" ]; then return 1; fi
    if [ ! -d "$1/$_file" ]; then continue; fi
    if [ "$_file" = logs ]; then cp -R -P -- "$1/logs" "$_safe/" || return 1 # read behind no link
    else ln -s "$1/$_file" "$_safe/$_file"; fi; done
  printf '[core]\n\trepositoryformatversion = 1\n' >"$_safe/config"
  # Of its config, what says how files are compared, and can run nothing.
  quiet_git config --file "$1/config" --no-includes --get-regexp '^(extensions\.objectformat|'\
'core\.(filemode|autocrlf|eol|symlinks|ignorecase|precomposeunicode))$' |
    sed -n 's/^\([a-z]*\)\.\([a-z]*\) \([a-z0-9]*\)$/[\1]\
	\2 = \3/p' >>"$_safe/config"
}
lines() { tr '\000\n' '\n\001'; } # of what git ends with a NUL, for which it quotes no name
named() { # NAME: sets _name to a name that went through `lines`
  _name=$1
  case $1 in *"$_soh"*) _name=$(printf '%s.' "$1" | tr '\001' '\n') _name=${_name%.} ;; esac
}
within() { # SUBMODULE: the lines on stdin are about that one
  _in=$(printf '%s' "$1" | tr '\t' '\002')
  while IFS= read -r _line || [ -n "$_line" ]; do printf 'in %s\t%s\n' "$_in" "$_line"; done
}
_soh=$(printf '\001')
remote_of() { # REPO: the name of its first remote
  quiet_git config --file "$1/config" --no-includes --name-only --get-regexp \
    '^remote\..*\.url$' | sed -n '1s/^remote\.\(.*\)\.url$/\1/p'
}
unpushed() { # REPO: the commits that were made in it, as its logs say, and that no remote has
  # What was checked out by its id, or cloned, came from a remote, whatever ref that has it in.
  find "$_safe/logs" -type f -exec cat {} + 2>/dev/null | awk -F '\t' '{
    split($1, a, " ")
    if ($2 ~ /^clone: / || ($2 ~ /^(checkout|reset): moving / && index($2, " to " a[2])))
      came[a[2]]; else made[a[2]] }
    END { for (id in made) print id; for (id in came) if (!(id in made)) print "^" id }' |
    grep -v '^^*0*$' >"$_safe/tips"
  { quiet_git --git-dir="$_safe" for-each-ref --format='%(objectname)' refs/heads
    cat "$1/HEAD" "$1"/worktrees/*/HEAD 2>/dev/null | sed -n '/^[0-9a-f]*$/p'; } >>"$_safe/tips"
  sed 's/^^//' "$_safe/tips" | quiet_git --git-dir="$_safe" cat-file --batch-check \
    >"$_safe/kinds" || echo "error $?"
  sed -n 's/ commit [0-9]*$//p' "$_safe/kinds" >"$_safe/there"
  _from=$(remote_of "$1")
  awk 'NR == FNR { there[$1]; next } { id = $1; sub(/^\^/, "", id); if (id in there) print }' \
    "$_safe/there" "$_safe/tips" | {
      quiet_git --git-dir="$_safe" rev-list --max-count=100 --stdin --not --remotes ||
        echo "error $?"; } |
    while IFS= read -r _line; do printf 'unpushed %s %s\n' "$_line" "$_from"; done
}
only_in_modules() { # ADMIN: what its submodules' repos have and no remote, checked out or not
  if [ ! -d "$1/modules" ]; then return 0; fi
  find "$1/modules" -type f -name HEAD -print0 | lines | LC_ALL=C sort |
    while IFS= read -r _repo; do
    _repo=${_repo%/HEAD} _within=${_repo#"$1/modules/"}
    named "$_repo"
    if [ ! -d "$_name/objects" ]; then continue; fi
    ( safe_repo "$_name" || { echo "error $?"; exit; }
      if [ -f "$_safe/logs/refs/stash" ]; then
        printf 'stash %s %s\n' "$(grep -c . "$_safe/logs/refs/stash")" "$(remote_of "$_name")"; fi
      rm -f -- "$_safe/logs/refs/stash"
      unpushed "$_name"
      rm -rf -- "$_safe"
    ) 2>&1 | within "$_within"
  done
}
own_config() { # ADMIN: whether its config.worktree holds nothing that could run
  if [ ! -e "$1/config.worktree" ]; then return 0; fi
  _keys=$(quiet_git config --file "$1/config.worktree" --no-includes --name-only --list |
    grep -vi -e '^core\.sparsecheckout' -e '^index\.sparse$' -e '^core\.\(bare\|worktree\)$' \
      -e '^\(user\|author\|committer\)\.\(name\|email\)$' \
      -e '^\(advice\|color\|pull\|push\|status\)\.' -e '^rebase\.auto' \
      -e '^branch\..*\.\(remote\|merge\|rebase\|description\)$' \
      -e '^core\.\(filemode\|autocrlf\|eol\|ignorecase\|quotepath\)$' | tr '\n' ' ')
  if [ -n "$_keys" ]; then printf 'config %s\n' "$_keys"; return 1; fi
}
"""

SCAN = (
    OWN_CONFIG
    + r"""
scan() { # ADMIN PATH: what a removal could lose, as text; excludes: disposable pathspecs
  cd -- "$2" && (
    set --
    while IFS= read -r _line; do if [ -n "$_line" ]; then set -- "$@" "$_line"; fi; done <<EXCLUDES
$excludes
EXCLUDES
    # Whoever may write a worktree's own directory could have it name another common one.
    look_git() { GIT_COMMON_DIR=$common quiet_git --git-dir="$w_admin" --work-tree="$path" \
      -c core.quotePath=false -c status.showUntrackedFiles=all "$@" || echo "error $?"; }
    own_config "$w_admin" || exit
    # Plain git in here would believe those two.
    _to=$(cat .git 2>/dev/null)
    if [ -z "$_to" ] || [ "$(real "${_to#gitdir: }")" != "$(real "$w_admin")" ]
    then echo "pointer .git"; fi
    if [ "$(cat "$w_admin/commondir")" != ../.. ]; then
      printf 'pointer %s\n' "$w_admin/commondir"; fi
    if [ -f "$w_admin/info/sparse-checkout" ]; then echo "sparse -"; fi
    look "$w_admin" "$@"
    only_in_modules "$w_admin"
    case $w_head in refs/heads/*) ;; *)
      look_git rev-list --max-count=100 "$w_head" --not --branches --tags --remotes \
        --glob='refs/mooring/*' | sed 's/^/commit /' ;;
    esac
    echo end
  ) 2>&1
}
look() { # STATES EXCLUDE...: of the repo around us, by look_git; submodules are looked at apart
  _states=$1; shift
  look_git status -z --porcelain=v1 --no-renames --untracked-files=all --ignore-submodules=all |
    lines
  _odd=$(look_git ls-files -z -v --stage | lines | sed -n -e '/^error /p' \
    -e 's/^. 160000 \([0-9a-f]*\) [^	]*	/submodule \1 /p' -e 's/^[a-zS] [^	]*	/bit /p')
  if [ -n "$_odd" ] || [ -e .gitmodules ] || [ -d "$_states/modules" ]; then
    # git status was told to leave submodules alone
    _base=$(look_git rev-parse --verify --quiet HEAD)
    case $_base in *error*) _base=$(look_git hash-object -t tree --stdin </dev/null) ;; esac
    look_git diff-index -z --cached --ignore-submodules=none "$_base" -- | lines |
      sed -n -e '/^error /{p;d;}' -e N -e '/^:160000 /b s' -e '/^:[0-9]* 160000 /!d' \
        -e ': s' -e 's/^[^\n]*\n/M  /p'
  fi
  look_git ls-files -z --others --ignored --exclude-standard -- . "$@" | lines | sed 's/^/!! /'
  for _state in MERGE_HEAD CHERRY_PICK_HEAD REVERT_HEAD sequencer BISECT_LOG rebase-merge \
    rebase-apply rebase-apply/applying
  do if [ -e "$_states/$_state" ]; then
    case $_state in sequencer)
      if grep -qs '^revert ' "$_states/sequencer/todo"; then _state='sequencer of reverts'; fi ;;
    esac
    echo "in-progress $_state"
  fi; done
  printf '%s\n' "$_odd" | while IFS= read -r _line; do
    _within=${_line#* } _at=
    case $_line in submodule*) _at=${_within%% *} _within=${_within#* } ;; esac
    named "$_within"
    case $_line in
      submodule*)
        if [ -e "$_name/.git" ] || [ -L "$_name/.git" ]; then
          (look_inside "$_name" "$_states" "$_at" "$@") | within "$_within"
        else # not checked out: git looks at nothing that lies there
          find "$_name" ! -type d -print0 2>/dev/null | lines | sed 's/^/!! /'; fi ;;
      bit*) if { [ -e "$_name" ] || [ -L "$_name" ]; } && [ "$(hash_of "$_name")" != \
          "$(look_git rev-parse --verify --quiet ":$_name")" ]
        then printf 'hidden %s\n' "$_within"; fi ;;
      ?*) printf '%s\n' "$_line" ;;
    esac
  done
  nested
}
nested() { # repos in here that git passes over, since files beside their .git are tracked
  find . -path ./.git -prune -o -name node_modules -prune -o -name .venv -prune -o \
    -name .git -print0 | lines | while IFS= read -r _within; do
    _within=${_within#./} _within=${_within%/.git}
    named "$_within"
    case $(look_git ls-files --stage -- ":(top,literal)$_name" 2>/dev/null | head -n 1) in
      '' | '160000 '* | 'error '*) ;; # git names it itself, or it is a submodule
      *) printf 'nested %s\n' "$_within" ;;
    esac
  done
}
hash_of() { # FILE: the object that git would make of it
  if [ -L "$1" ]; then readlink -n -- "$1" | look_git hash-object --stdin
  else look_git hash-object -- "$1"; fi
}
look_inside() { # SUBMODULE STATES COMMIT EXCLUDE...: a submodule, whose config is not trusted
  cd -- "$1" || { echo "error $?"; return; }
  _repo=; if [ -f .git ] && [ ! -L .git ]; then IFS= read -r _repo <.git; fi
  _repo=$(cd -- "${_repo#gitdir: }/" 2>/dev/null && pwd -P)
  case $_repo in "$2"/modules/*) ;; *) echo "elsewhere $_repo"; return ;; esac
  if [ -L "$_repo/objects" ] || [ -L "$_repo/refs" ]; then echo "elsewhere $_repo"; return; fi
  _at=$3; shift 3
  safe_repo "$_repo" || { echo "error $?"; return; }
  _top=$PWD
  look_git() { quiet_git --git-dir="$_safe" --work-tree="$_top" -c core.quotePath=false \
    -c status.showUntrackedFiles=all "$@" || echo "error $?"; }
  if [ "$(look_git rev-parse --verify --quiet HEAD)" != "$_at" ]; then echo "moved $_at"; fi
  look "$_repo" "$@"
  rm -rf -- "$_safe"
}
"""
)

FRAGMENT = (
    SCAN
    + r"""
w_head= w_admin= path= by_hand=
live_ones() { # of the records whose files are on stdin, those of workspaces that haven't ended
  while IFS= read -r _file; do
    if [ "$(field state "$_file")" != ended ]; then echo "$_file"; fi
  done
}
moved() { # sets path to where git has the workspace's directory now, if somebody moved it
  for _admin in "$common"/worktrees/*/gitdir; do
    [ -f "$_admin" ] || continue
    gitdir_of "${_admin%/gitdir}"
    _name=; _file=${_gitdir%/.git}/.mooring/workspace
    if [ -f "$_file" ] && [ ! -L "$_file" ]; then IFS= read -r _name <"$_file"; fi
    case $_name in "$target_id $agent $topic "*)
      # Anything in a worktree can write that name: never take one that another record has.
      _text=$(printf '%s' "${_gitdir%/.git}" | sed 's/["\\]/\\&/g')
      if [ -z "$(find "$root/records" -name '*.json' -exec \
        grep -lF "\"worktree\": \"$_text\"" {} + 2>/dev/null | live_ones)" ]
      then path=${_gitdir%/.git}; say moved "$path"; fi ;;
    esac
  done
}
moved_by_hand() { # sets path and by_hand, if it lies beside where it was and git doesn't know
  for _file in "${path%/*}"/*/.git; do
    if [ ! -f "$_file" ] || [ -L "$_file" ]; then continue; fi
    IFS= read -r _pointer <"$_file"; _admin=${_pointer#gitdir: }
    case $_admin in "$common"/worktrees/*) ;; *) continue ;; esac
    [ -f "$_admin/gitdir" ] || continue
    gitdir_of "$_admin"
    _name=; _said=${_file%/.git}/.mooring/workspace
    if [ -f "$_said" ] && [ ! -L "$_said" ]; then IFS= read -r _name <"$_said"; fi
    case $_gitdir:$_name in "$path/.git:$target_id $agent $topic "*)
      path=${_file%/.git} by_hand=$_admin
      say moved "$path"
      say by_hand "$_admin"
      return 0 ;;
    esac
  done
}
probe_worktree() { # sets path, and of the worktree registered there: w_admin, w_head
  if [ -z "$new_worktree" ]; then path=$r_worktree; fi
  if [ -n "$path" ] && [ -n "$common" ] && [ ! -e "$path/.git" ]; then
    moved
    if [ ! -e "$path/.git" ]; then moved_by_hand; fi
  fi
  : "${path:=$default}"
  say path "$path"
  if [ -e "${path%/*}" ] && [ ! -d "${path%/*}" ]; then say at_path blocked
  elif [ -L "$path" ] || { [ -e "$path" ] && [ ! -d "$path" ]; }; then say at_path other
  elif [ -d "$path" ]; then
    _kind=empty
    for _name in "$path"/* "$path"/.[!.]* "$path"/..?*; do
      if [ -e "$_name" ] || [ -L "$_name" ]; then _kind=dir; break; fi
    done
    say at_path "$_kind"
  fi
  if [ -z "$common" ]; then return; fi
  for _admin in "$common"/worktrees/*/gitdir; do
    [ -f "$_admin" ] || continue
    _admin=${_admin%/gitdir} _locked=
    gitdir_of "$_admin"; _wt=${_gitdir%/.git}
    if [ "$_admin" = "$by_hand" ]; then _wt=$path _gitdir=$path/.git; fi
    ref_of "$_admin/HEAD"
    if [ -f "$_admin/locked" ]; then IFS= read -r _locked <"$_admin/locked"; _locked="+$_locked"; fi
    if [ "$_wt" = "$path" ]; then w_admin=$_admin w_head=$ref; fi
    _there=; if [ -e "$_gitdir" ]; then _there=yes; fi
    say registered "$_wt
$_admin
$ref
$_there
$_locked"
  done
}

probe_scan() {
  if [ -z "$scan" ] || [ -z "$w_admin" ] || [ ! -d "$path" ]; then return; fi
  say scan "$(scan "$w_admin" "$path")"
}
"""
)


class Registered(msgspec.Struct, frozen=True):
    """A worktree as the repo's own administrative files have it (gitrepository-layout(5))."""

    path: str
    admin: str
    head: str
    """`refs/heads/…`, or a commit when HEAD is detached."""
    there: bool
    locked: str
    """'' or '+' and the reason; git's own reason while it makes a worktree is `initializing`."""

    @property
    def initializing(self) -> bool:
        """Whether a `git worktree add` is at work there, or was killed."""
        return self.locked in ("+initializing", "+added with --lock")


class Worktree(msgspec.Struct, frozen=True):
    """What is at the workspace's `path`: `kind` is '', 'empty', 'dir', 'other' or 'blocked'."""

    path: str
    kind: str
    registered: Registered | None
    others: tuple[Registered, ...]
    by_hand: str
    """Git's directory for it, if somebody moved it without git, which has to be told."""
    moved: bool
    """Whether `path` is where somebody moved it to, which the record doesn't know yet."""
    scan: str | None
    """What a removal could lose, one item a line; None where nobody asked or nothing is there."""


def parse(said: dict[str, str], registrations: list[str]) -> Worktree:
    """The worktrees among what the probe said."""
    rows = [line.split("\n") for line in registrations]
    found = [Registered(row[0], row[1], row[2], row[3] == "yes", row[4]) for row in rows]
    path = said["path"]
    return Worktree(
        path=path,
        kind=said.get("at_path", ""),
        registered=next((item for item in found if item.path == path), None),
        others=tuple(item for item in found if item.path != path),
        by_hand=said.get("by_hand", ""),
        moved="moved" in said,
        scan=said.get("scan"),
    )
