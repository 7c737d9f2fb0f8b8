"""Directories of many files: what is one thing, its digest, and where symlinks in it lead."""

from __future__ import annotations

MANY = 200
"""Files in a directory, above which it is one thing: copied, compared and kept as a whole."""

TREE = r"""
tree_sum() { # DIR: a digest of what is in it: names, modes, links; of files also sizes and times
  if find "$1" -prune -printf '' 2>/dev/null; then
    (cd -- "$1" && find . -type f -printf '%m %s %T@ %p\n' -o -printf '%m %y %l %p\n')
  else # no GNU find: the contents themselves
    (cd -- "$1" && { find . ! -type f -print; find . -type f -exec sha256sum {} + 2>/dev/null ||
      find . -type f -exec shasum -a 256 {} +; })
  fi | sort | sha
}
"""

FRAGMENT = TREE + f"many={MANY}\n"
FRAGMENT += r"""
units() { # LISTED: the same with one line for each directory of many files that patterns select
  # In a workspace a directory stays what it came as: one thing, or file by file.
  set -- "$1"
  while IFS= read -r _line; do if [ -n "$_line" ]; then set -- "$@" --exclude="$_line"; fi
  done <<PATTERNS
$include
PATTERNS
  _given=$1
  shift
  _dirs=$(main_git -c core.quotePath=false ls-files --others --ignored --directory "$@" |
    grep '/$')
  set --
  while IFS= read -r _line; do
    case $_line in skip:*) set -- "$@" --exclude="${_line#skip:}" ;; esac
  done <<WATCHED
$watched
WATCHED
  _skipped=
  if [ $# -gt 0 ]; then
    _skipped=$(main_git -c core.quotePath=false ls-files --others --ignored "$@"); fi
  printf '%s\n' "$_dirs" = "$_skipped" = "$_recorded" = "$_given" | awk -v many="$many" '
    function unit(path,   part, count, i, at) {
      count = split(path, part, "/")
      for (i = 1; i < count; i++) { at = at part[i] "/"; if (at in whole) return at }
      return ""
    }
    $0 == "=" { step++; next }
    step == 0 { whole[$0]; next }
    step == 1 { at = unit($0); if (at != "") delete whole[at]; next }
    step == 2 && /\/$/ { came[$0]; next }
    step == 2 { at = unit($0); if (at != "") delete whole[at]; next }
    { of[++lines] = unit(substr($0, 4)); line[lines] = $0
      if (of[lines] == "") next
      count[of[lines]]++
      if (substr($0, 1, 2) != "!!") shown[of[lines]] }
    END { for (i = 1; i <= lines; i++) {
      at = of[i]
      if (at == "" || (count[at] <= many && !(at in came)) || at in shown) print line[i]
      else if (!(at in said)) { said[at]; print "!! " at } } }'
}
whole() { # PATHS: whether one of them is a directory's: it ends with /
  case "$1
" in *"/
"*) ;; *) return 1 ;; esac
}
trees() { # PATHS: of directories' their digests, as sha256sum lines
  if ! whole "$1"; then return 0; fi
  printf '%s\n' "$1" | while IFS= read -r _path; do
    case $_path in */)
      if [ -d "${_path%/}" ] && [ ! -L "${_path%/}" ]; then
        printf '%s  %s\n' "$(tree_sum "${_path%/}")" "$_path"; fi ;;
    esac
  done
}
outside() { # of the paths it reads those that are, or have, a symlink that leaves the checkout
  while IFS= read -r _path; do
    case $_path in
      */) find "${_path%/}" -type l -exec sh -c 'for _l; do
        printf "%s\t%s\t%s\n" "$0" "$_l" "$(readlink -- "$_l" | head -n 1)"; done' "$_path" {} + ;;
      *) if [ -L "$_path" ]; then
        printf '%s\t%s\t%s\n' "$_path" "$_path" "$(readlink -- "$_path" | head -n 1)"; fi ;;
    esac
  done | awk -F '\t' -v top="$checkout/" '
    { depth = split($2, part, "/") - 1; bad = 0
      if (substr($3, 1, 1) == "/") bad = (index($3 "/", top) != 1 || $3 ~ /(^|\/)\.\.(\/|$)/)
      else {
        count = split($3, part, "/")
        for (i = 1; i <= count; i++) {
          if (part[i] == "..") depth--
          else if (part[i] != "" && part[i] != ".") depth++
          if (depth < 0) bad = 1
        }
      }
      if (bad && !($1 in said)) { said[$1]; print $1 "\t" $2 } }'
}
"""
