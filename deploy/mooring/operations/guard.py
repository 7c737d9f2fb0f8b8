"""The guard: git hooks of ours, for one worktree, that refuse a commit with a rendered secret.

Whatever the hook, the repo's own of the same name is run after ours, as git would have run it.
"""

from __future__ import annotations

from ..files.guard import PRIME

HOOK = (
    f"#!/bin/sh\nprime={PRIME} most={1 << 23}\n"
    + r"""
# By Mooring, which replaces it: see docs/files.md, "A guard for commits".
set -u
name=${0##*/}
quoted() { # TEXT: as one word of a command that a person can paste
  case $1 in '' | *[!A-Za-z0-9_@%+=:,./-]*)
    printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")" ;;
  *) printf '%s' "$1" ;; esac
}
refuse() { # LINE...
  printf '%s\n' "$@" "hint: git commit --no-verify    # if it is meant" >&2
  exit 1
}
cannot() { # WHY: a guard that doesn't look is none
  refuse "Cannot check the commit for secrets: $1" "hint: mooring files refresh"
}
if command -v sha256sum >/dev/null; then digest() { sha256sum "$@"; }
else digest() { shasum -a 256 "$@"; }; fi

find_hooks() { # sets own: the hooks that git has without us; guard: our directory for where we are
  own= guard= git_dir=${GIT_DIR-} common=
  _paths=$(git config --type=path --get-all core.hooksPath)
  if [ -f "$git_dir/commondir" ]; then IFS= read -r common <"$git_dir/commondir"; fi
  if [ "$common" = ../.. ]; then common=${git_dir%/*/*} # of a worktree; no git has to say so
  else
    { IFS= read -r git_dir; IFS= read -r common; } <<DIRS
$(git rev-parse --git-dir --git-common-dir)
DIRS
  fi
  # Of several the last one counts. Another workspace's may come from the shell's environment.
  while IFS= read -r _path; do
    case $_path in
      '') ;;
      */records/*.guard) if within "$_path"; then guard=$_path; fi ;;
      *) own=$_path ;;
    esac
  done <<PATHS
$_paths
PATHS
  if [ -z "$own" ]; then own=$common/hooks; fi
}
within() { # GUARD: whether it is the one of this worktree, or of one whose submodule this is
  _of=; if [ -f "$1/worktree" ]; then IFS= read -r _of <"$1/worktree"; fi
  _here=$(unset CDPATH; cd -P -- "$git_dir" && pwd -P)
  case $_here/ in "${_of:-/nowhere}"/*) ;; *) return 1 ;; esac
}

added() { # what the commit has that its parent lacks, as a diff; binary files too, without NULs
  _parent=HEAD
  git rev-parse --verify --quiet HEAD >/dev/null || _parent=$(git hash-object -t tree /dev/null)
  { git diff-index --cached --patch --unified=0 --inter-hunk-context=0 --text --find-renames \
    --no-ext-diff --no-textconv --no-color --submodule=short --src-prefix=a/ --dst-prefix=b/ \
    "$_parent" -- || : >"$stage/failed"; } </dev/null | tr '\000' ' '
}
# Every eight bytes of each added line get a checksum, from that of the eight one byte before. Where
# a secret ends like that, what is there is written to a file, to be hashed by one program.
candidates='
function candidate(text,   id) {
  if (text in seen) id = seen[text]
  else {
    id = seen[text] = ++files
    printf "%s%s", salt, text >(stage "/" id)
    close(stage "/" id)
  }
  if (!((id, place) in said)) { said[id, place]; print id "\t" place >(stage "/places") }
}
function look(text, all,   at, sum, count, size, k) {
  if (all < shortest) return
  done += all
  for (at = 1; at <= all; at++) {
    byte[at] = code[substr(text, at, 1)]
    if (at > 8) sum += minus * byte[at - 8]
    sum = (sum * factor + byte[at]) % prime
    if (at >= shortest && sum in sizes) {
      count = split(sizes[sum], size, " ")
      for (k = 1; k <= count; k++)
        if (size[k] + 0 <= at) candidate(substr(text, at - size[k] + 1, size[k]))
    }
  }
}
function line(text,   all, at, part) { # in parts: many an awk counts from the start for each byte
  all = length(text)
  for (at = 1; at <= all; at += step) {
    if (done > most || files > 20000) { if (left == "") left = place; return }
    part = substr(text, at, step + longest - 1)
    look(part, length(part))
  }
}
BEGIN {
  for (at = 1; at < 256; at++) code[sprintf("%c", at)] = at
  while ((getline text <hashes) > 0) {
    split(text, field, " ")
    if (field[1] == "salt") { salt = field[2]; factor = field[3]; continue }
    size = field[1] + 0
    if (size > longest) longest = size
    if (!shortest || size < shortest) shortest = size
    ends = field[2] + 0
    if (!index(sizes[ends], " " size " ")) sizes[ends] = sizes[ends] " " size " "
  }
  if (salt == "") exit 1
  minus = 1
  for (at = 1; at < 8; at++) minus = minus * factor % prime
  minus = prime - minus
  step = 4096 + longest * 4
}
olds + news > 0 {
  mark = substr($0, 1, 1)
  if (mark == "+") { news--; row++; place = file "\t" row; line(substr($0, 2)) }
  else if (mark == "-") olds--
  else if (mark != "\\") { olds--; news--; row++ }
  next
}
/^[+][+][+] / { file = substr($0, 5); sub(/\t$/, "", file); sub(/^b\//, "", file)
  sub(/^"b\//, "\"", file) }
/^@@ / {
  split($2, old, ","); split($3, new, ",")
  olds = old[2] == "" ? 1 : old[2] + 0
  news = new[2] == "" ? 1 : new[2] + 0
  row = substr(new[1], 2) - (news > 0)
}
END { if (left != "") print left >(stage "/left") }
'
check() ( # GUARD
  LC_ALL=C
  export LC_ALL
  umask 077
  hashes=$1/hashes stage=$1/.check.$$
  [ -r "$hashes" ] || cannot "$hashes is not there"
  trap 'rm -rf -- "$stage"' EXIT
  trap 'exit 130' INT TERM HUP
  rm -rf -- "$stage" && mkdir -- "$stage" || cannot "$1 cannot be written"
  : >"$stage/places"
  export hashes stage prime most
  added | awk 'BEGIN { hashes = ENVIRON["hashes"]; stage = ENVIRON["stage"]
    prime = ENVIRON["prime"] + 0; most = ENVIRON["most"] + 0 }'"$candidates" ||
    cannot "$hashes cannot be read"
  [ ! -e "$stage/failed" ] || cannot "git does not say what is in it"
  if [ -f "$stage/left" ]; then
    { IFS='	' read -r _file _row; } <"$stage/left"
    echo "not checked for secrets, since there is too much of it: the commit from $_file line" \
      "$_row on" >&2
  fi
  if [ ! -s "$stage/places" ]; then exit 0; fi
  (cd -- "$stage" && find . -type f -name '[0-9]*' | digests) >"$stage/sums" ||
    cannot "there is no sha256sum or shasum"
  found=$(awk 'FILENAME == ARGV[1] { known[$3]; next }
    FILENAME == ARGV[2] { if ($1 in known) { sub(/.*\//, "", $2); hit[$2] } next }
    { split($0, part, "\t"); at = part[2] "\t" part[3]
      if (part[1] in hit && !(at in said)) { said[at]; print at } }' \
    "$hashes" "$stage/sums" "$stage/places") || cannot "$hashes cannot be read"
  if [ -z "$found" ]; then exit 0; fi
  _file=${found%%	*}
  printf '%s\n' "$found" | head -n 10 | while IFS='	' read -r _in _row; do
    echo "Cannot commit: $_in line $_row has a secret that was rendered for the workspace"; done >&2
  refuse "hint: git restore --staged $(quoted ":/$_file")    # or take it out, and git add again"
)
digests() { # of the files that it reads, by as few programs as the command line allows
  set --
  while IFS= read -r _path; do
    set -- "$@" "$_path"
    if [ $# -ge 500 ]; then digest "$@" || return 1; set --; fi
  done
  if [ $# -gt 0 ]; then digest "$@"; fi
}

find_hooks
case $name in pre-commit | pre-merge-commit | pre-applypatch)
  if [ -n "$guard" ]; then check "$guard" || exit 1; fi ;;
esac
if [ -f "$own/$name" ] && [ -x "$own/$name" ]; then exec "$own/$name" "$@"; fi
exit 0
"""
)
"""The hook; which one it is, it sees from the name it is called by."""

NAMES = """\
applypatch-msg pre-applypatch post-applypatch pre-commit pre-merge-commit prepare-commit-msg
commit-msg post-commit pre-rebase post-checkout post-merge pre-push pre-receive update proc-receive
post-receive post-update reference-transaction pre-auto-gc post-rewrite sendemail-validate
post-index-change p4-changelist p4-prepare-changelist p4-post-changelist p4-pre-submit
"""
"""All of githooks(5) but push-to-checkout: where that is, git leaves to it what it does itself."""

GUARD = r"""
put_guard() { # the hooks, before git hears of them; what is known of secrets stays
  (umask 077; mkdir -p -- "$guard" && printf '%s' "$hook" >"$guard/hook.new" &&
    printf '%s\n' "$w_admin" >"$guard/worktree") && chmod 700 "$guard" "$guard/hook.new" &&
    mv -f -- "$guard/hook.new" "$guard/hook" || die "Cannot write $guard"
  for _name in $hook_names; do
    [ -L "$guard/$_name" ] || ln -s hook "$guard/$_name" || die "Cannot write $guard"
  done
}
say_unguarded() { # where git would take other hooks, unless the environment says otherwise
  _hooks=$(GIT_COMMON_DIR=$common git --git-dir="$w_admin" config --get core.hooksPath)
  case $_hooks in '' | "$guard") return 0 ;; esac
  echo "commits are not guarded in a shell without the workspace's environment, since git's" \
    "config says core.hooksPath=$_hooks there: use direnv, or 'mooring run'"
}
forget_guard() { if [ -d "$guard" ]; then rm -rf -- "$guard"; fi; }
"""

HASHES = r"""
put_hashes() { # what the guard knows of secrets: beside those of now those it had, for a while
  _new=$guard/hashes.new
  [ -d "$guard" ] || die "Cannot write to $guard: it is gone" "hint: mooring new $topic"
  (umask 077; printf '%s' "$hashes" | known=$guard/hashes awk 'NR == 1 { salt = $0 }
    !($0 in seen) { seen[$0]; print }
    END { while ((getline line <ENVIRON["known"]) > 0) {
      if (++count == 1 && line != salt) exit
      if (!(line in seen)) { seen[line]; print line } } }' | head -n 20000 >"$_new") &&
    mv -f -- "$_new" "$guard/hashes" || die "Cannot write $guard/hashes"
}
"""
