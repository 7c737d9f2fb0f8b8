"""Worktrees on the target: what is at the path, what git has registered, what is dirty."""

from __future__ import annotations

import msgspec

SCAN = r"""
scan() { # what a removal of the worktree could lose, as text; excludes: disposable pathspecs
  cd -- "$2" && (
    set --
    while IFS= read -r _line; do if [ -n "$_line" ]; then set -- "$@" "$_line"; fi; done <<EXCLUDES
$excludes
EXCLUDES
    wt_git() { quiet_git --git-dir="$w_admin" --work-tree="$path" -c core.quotePath=false \
      -c status.showUntrackedFiles=all "$@" || echo "error $?"; }
    # A submodule's own config could run something: whether it has a checkout is all we look at.
    wt_git status --porcelain=v1 --no-renames --untracked-files=all --ignore-submodules=all
    wt_git ls-files -v --stage | sed -n -e 's/^. 160000 [^	]*	/submodule /p' \
      -e 's/^[a-zS] [^	]*	/bit /p' |
      while IFS= read -r _line; do
        _name=${_line#* }
        case $_line in
          submodule*) if [ -n "$(ls -A -- "$_name" 2>/dev/null)" ]; then echo "$_line"; fi ;;
          *) if [ -e "$_name" ] && [ "$(wt_git hash-object -- "$_name")" != \
              "$(wt_git rev-parse --verify --quiet ":$_name")" ]; then echo "hidden $_name"; fi ;;
        esac
      done
    wt_git ls-files --others --ignored --exclude-standard -- . "$@" | sed 's/^/!! /'
    for _state in MERGE_HEAD CHERRY_PICK_HEAD REVERT_HEAD BISECT_LOG rebase-merge rebase-apply; do
      if [ -e "$w_admin/$_state" ]; then echo "in-progress $_state"; fi
    done
    case $w_head in refs/heads/*) ;; *)
      wt_git rev-list --max-count=100 "$w_head" --not --branches --tags --remotes \
        --glob='refs/mooring/*' | sed 's/^/commit /' ;;
    esac
    echo end
  ) 2>&1
}
"""

FRAGMENT = (
    SCAN
    + r"""
w_head= w_admin= path=
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
probe_worktree() { # sets path, and of the worktree registered there: w_admin, w_head
  if [ -z "$new_worktree" ]; then path=$r_worktree; fi
  if [ -n "$path" ] && [ -n "$common" ] && [ ! -e "$path/.git" ]; then moved; fi
  : "${path:=$default}"
  say path "$path"
  if [ -L "$path" ] || { [ -e "$path" ] && [ ! -d "$path" ]; }; then say at_path other
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
        return self.locked == "+initializing"


class Worktree(msgspec.Struct, frozen=True):
    """What is at the workspace's `path`: `kind` is '', 'empty', 'dir' or 'other'."""

    path: str
    kind: str
    registered: Registered | None
    others: tuple[Registered, ...]
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
        moved="moved" in said,
        scan=said.get("scan"),
    )
