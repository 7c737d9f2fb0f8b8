"""Caches on a target: which there are, how large, and what only they have."""

from __future__ import annotations

import msgspec

from .. import script

FRAGMENT = r"""
say_caches() {
  if [ ! -d "$root/cache" ]; then return 0; fi
  find "$root/cache" -type d \( -name '*.git' -o -name '*.git.broken.*' -o \
    -name '*.git.mended' \) -prune |
    LC_ALL=C sort | while IFS= read -r _cache; do
      _known=$_cache
      case ${_cache##*/} in .stage-*) continue ;;
        *.mended) # of a repair that was cut short: all there is, until somebody finishes it
          _known=${_cache%.mended}; if [ -e "$_known/HEAD" ]; then continue; fi ;;
      esac
      _live=0
      for _admin in "$_cache"/worktrees/*/gitdir; do
        if [ -f "$_admin" ]; then
          gitdir_of "${_admin%/gitdir}"; if [ -e "$_gitdir" ]; then _live=$((_live + 1)); fi
        fi
      done
      _size=$(du -sk -- "$_cache" 2>/dev/null) # whose files may go at any moment
      if [ ! -d "$_cache" ]; then continue; fi
      _fetched=0
      for _file in FETCH_HEAD HEAD; do
        if [ "$_fetched" = 0 ] && [ -f "$_cache/$_file" ]; then
          _fetched=$(stat -c %Y -- "$_cache/$_file" 2>/dev/null || stat -f %m -- "$_cache/$_file")
        fi
      done
      say cache "${_known#"$root/cache/"}
$(quiet_git config --file "$_cache/config" --get remote.origin.url 2>/dev/null)
0${_size%%[!0-9]*}
$_live
$_fetched
$(quiet_git config --file "$_cache/config" --get remote.origin.partialclonefilter 2>/dev/null)"
    done
}
main() { say_caches; say end; }
answer main
"""


class Cache(msgspec.Struct, frozen=True):
    """One bare clone; `size` in bytes, `fetched` in epoch seconds."""

    repo: str
    """The repo's identity."""
    url: str
    size: int
    workspaces: int
    """How many worktrees it has."""
    fetched: int
    filter: str
    """What it leaves out, '' for nothing."""
    broken: str
    """The name of one that a repair put aside, '' for one in use."""


def text(root: str) -> script.Stdin:
    """The script that lists them; `root` is Mooring's directory there, '' for the usual one."""
    return script.compose({"root": root}, script.ANSWER, FRAGMENT)


def parse(lines: list[str]) -> tuple[Cache, ...]:
    """What it says. Raises MooringError if the answer is cut short."""
    return tuple(_cache(value) for name, value in script.decode(lines) if name == "cache")


def _cache(value: str) -> Cache:
    name, url, size, live, fetched, left_out = value.split("\n")
    repo, _, aside = name.partition(".git.broken.")
    return Cache(
        repo=repo.removesuffix(".git"),
        url=url,
        size=int(size) * 1024,
        workspaces=int(live),
        fetched=int(fetched),
        filter=left_out,
        broken=name if aside else "",
    )
