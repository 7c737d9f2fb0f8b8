"""Directories of many files: each is copied beside its place, in four parts, and moved there."""

from __future__ import annotations

from ..facts.trees import TREE

TREES = (
    TREE
    + r"""
tree() { # HOW SRC DEST KNOWN: a whole directory; both end with /
  from "$2"
  _src=${_from%/} _dest=${3%/}
  if [ ! -d "$_src" ] || [ -L "$_src" ]; then die "Cannot copy $2: it is gone from $checkout"; fi
  if [ -e "$_dest" ] || [ -L "$_dest" ]; then
    if [ -n "$force" ] && { [ ! -d "$_dest" ] || [ -L "$_dest" ]; }; then
      mkdirs "$_dest"; aside mv "$_dest"; fi
  fi
  if [ -e "$_dest" ] || [ -L "$_dest" ]; then
    if [ ! -d "$_dest" ] || [ -L "$_dest" ]; then echo "kept $3"; return 0; fi
    _there=$(tree_sum "$_dest")
    if [ "$_there" = "$(tree_sum "$_src")" ]; then echo "made $_there $3"; return 0; fi
    if [ "$_there" != "$4" ]; then echo "kept $3"; return 0; fi
  fi
  if [ "$2" != "$3" ]; then hide "$_dest"; fi
  new_stage
  rm -f -- "$stage" && mkdir -m 700 -- "$stage" || die "Cannot write to $path/.mooring"
  _how=-a
  case $1 in hardlink) _how=-al ;;
    *) case $(cp --help 2>&1) in *--reflink*) _how='-a --reflink=auto' ;; esac ;; esac
  _total=$(find "$_src" | wc -l)
  _said=$({ { find "$_src" -mindepth 1 -maxdepth 1 -print0 |
    xargs -0 -n 20 -P 4 sh -c "cp -v $_how -- \"\$@\" \"\$0\"" "$stage" 2>&3 ||
    echo '!failed'; } | awk -v total="$_total" -v progress="$progress" '
      $0 == "!failed" { failed = 1 }
      ++done % 500 == 0 { printf "Copying files: %d%% (%d/%d)\n", done * 100 / total, done, total \
        >progress; fflush(progress) }
      END { exit failed }'; } 3>&1) ||
    die "Cannot copy ${2#//*/} to $3: $(printf '%s\n' "$_said" | head -n 1)"
  (cd -- "$_src" && tar -cf - --no-recursion .) | (cd -- "$stage" && tar -xpf -) &&
    touch -r "$_src" -- "$stage" ||
    die "Cannot copy $2 to $3"
  _sum=$(tree_sum "$stage")
  ours "$_sum" "$3"
  mkdirs "$_dest"
  if [ -d "$_dest" ]; then
    if [ -n "$force" ]; then aside mv "$_dest"
    else mv -- "$_dest" "$stage.old" || die "Cannot replace $3"; fi
  fi
  mv -- "$stage" "$_dest" || die "Cannot write $3"
  rm -rf -- "$stage.old"
  stage=
  echo "made $_sum $3"
}
clear_stages() { # of runs that died
  for _left in "$path"/.mooring/.stage.*; do
    if [ -e "$_left" ] && [ ! -L "$_left" ] && ended "${_left##*/.stage.}" "$_left"; then
      if [ -d "$_left" ]; then chmod -R u+rwX -- "$_left"; fi
      rm -rf -- "$_left"
    fi
  done
}
brought_dirs= # SRC and DEST of what was selected as a directory
empty() { # SRC DEST: the directories in SRC that nothing is in
  from "$1"
  brought_dirs="$brought_dirs
$_from	$2"
  while IFS= read -r _dir; do
    if [ -n "$_dir" ]; then mkdirs "$2${_dir#"$_from"}/."; fi
  done <<DIRS
$(find "$_from" -type d -empty 2>/dev/null)
DIRS
}
attributes() { # modes and times of the directories that were made, when all is in them
  if [ -z "$made_dirs$brought_dirs" ]; then return 0; fi
  while IFS='	' read -r _src _dest; do
    if [ -z "$_src" ]; then continue; fi
    _these=$(printf '%s\n' "$made_dirs" | while IFS= read -r _dir; do
      case $_dir/ in "$_dest"/*) _dir=${_dir#"$_dest"}; printf './%s\n' "${_dir#/}" ;; esac; done)
    if [ -z "$_these" ]; then continue; fi
    (cd -- "$_src" && printf '%s\n' "$_these" | tar -cf - --no-recursion -T -) |
      (cd -- "$path/$_dest" && tar -xpf -) || die "Cannot copy the modes of $_dest"
  done <<DIRS
$brought_dirs
DIRS
}
"""
)
