"""Files: untracked ones of the main checkout that patterns select, and what the workspace has."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

import msgspec

from ..script import content
from . import trees

FRAGMENT = trees.FRAGMENT
FRAGMENT += r"""
links() { # of the paths it reads those of symlinks, with where they lead
  while IFS= read -r _path; do
    if [ -L "$_path" ]; then
      _to=$(readlink -- "$_path")
      printf '%s\t-> %s\n' "$_path" "$(printf '%s' "$_to" | tr '\n\t' '  ')"; fi
  done
}
inside() { # of the paths it reads those behind no symlink; before others it puts //
  _dir= _mark=
  while IFS= read -r _path; do
    _up=${_path%/}
    case $_up in */*) _up=${_up%/*} ;; *) _up= ;; esac
    if [ "$_up" != "$_dir" ]; then
      _dir=$_up _mark=
      if [ -n "$_up" ] && ! plain "$_up"; then _mark=//; fi
    fi
    printf '%s%s\n' "$_mark" "$_path"
  done
}
listed() { # FILE...: untracked files that the patterns select, and FILEs, as git status has them
  while IFS= read -r _line; do
    case $_line in '') continue ;;
      '!'* | *\\*) in_order; return ;; # only an exclude file has what these mean
      */) _line=${_line%/} _below=only ;;
      *) _below= ;;
    esac
    case $_line in /*) _line=${_line#/} ;; */*) ;; *) _line="**/$_line" ;; esac
    if [ -z "$_below" ]; then set -- "$@" ":(top,glob)$_line"; fi
    set -- "$@" ":(top,glob)$_line/**"
  done <<PATTERNS
$include
PATTERNS
  if [ $# -eq 0 ]; then return 0; fi
  main_git status --porcelain=v1 -z --no-renames --untracked-files=all --ignored=traditional \
    --ignore-submodules=all -- "$@" | tr '\000\n' '\n\001' | grep -e '^??' -e '^!!'
}
in_order() { # the same of patterns whose order counts, by two gits
  set --
  while IFS= read -r _line; do if [ -n "$_line" ]; then set -- "$@" --exclude="$_line"; fi
  done <<PATTERNS
$include
PATTERNS
  _all=$({ main_git -c core.quotePath=false ls-files --others --ignored "$@"
    printf '%s\n' "$_own"; } | sed '/^$/d' | sort -u)
  _hidden=$(printf '%s\n' "$_all" | main_git -c core.quotePath=false check-ignore --stdin)
  printf '%s\n' "$_hidden" | sed 's/^/!! /'
  printf '%s\n' "$_all" | while IFS= read -r _line; do
    case "
$_hidden
" in *"
$_line
"*) ;; *) printf '?? %s\n' "$_line" ;; esac; done
}
shown() { # destinations that the main checkout has too, untracked, and that git shows there
  watching here
  set --
  while IFS= read -r _line; do
    if [ -n "$_line" ] && { [ -e "$_line" ] || [ -L "$_line" ]; }; then
      set -- "$@" ":(top,literal)$_line"; fi
  done <<DESTS
$_named
DESTS
  if [ $# -gt 0 ]; then
    main_git status --porcelain=v1 -z --no-renames --untracked-files=all \
      --ignore-submodules=all -- "$@" | tr '\000\n' '\n\001' | sed -n 's/^?? //p'; fi
}
modes() { # of what is watched for that: a line each, the octal mode and the path
  set --
  while IFS= read -r _line; do
    if [ -f "$_line" ] && [ ! -L "$_line" ]; then set -- "$@" "$_line"; fi
  done <<MODES
$_named
MODES
  if [ $# -gt 0 ]; then stat -c '%a %n' -- "$@" 2>/dev/null || stat -f '%Lp %N' -- "$@"; fi
}
in_base() { # of destinations, and of what those are in: what the base commit has there
  watching here
  if [ -z "$_named" ]; then return 0; fi
  _at=$(base_commit)
  if [ -z "$_at" ]; then return 0; fi
  _places=$(printf '%s\n' "$_named" | awk -F / '{ for (i = at = ""; ++i <= NF; at = at "/") {
    at = at $i; if (!(at in said)) { said[at]; print at } } }')
  say places "$_places"
  say in_base "$(printf '%s\n' "$_places" | sed "s/^/$_at:/" |
    quiet_git --git-dir="$common" cat-file --batch-check='%(objecttype)' 2>/dev/null)"
}
watching() { # KIND: sets _named to the names that are watched as that
  _named=
  case "
$watched" in *"
$1:"*) ;; *) return 0 ;; esac
  while IFS= read -r _line; do
    case $_line in "$1":*) _named="$_named${_named:+
}${_line#"$1":}" ;; esac
  done <<WATCHED
$watched
WATCHED
}
there() { # of what is watched: what is there, and where a symlink leads
  printf '%s\n' "$watched" | while IFS= read -r _line; do
    case $_line in
      at:*) _at=${_line#at:} ;;
      main:*) if [ -z "$checkout" ]; then continue; fi; _at=$checkout/${_line#main:} ;;
      here:*) _at=$path/${_line#here:} ;;
      *) continue ;;
    esac
    if [ -L "$_at" ]; then
      case $_line in here:*) ;; *) if [ ! -e "$_at" ]; then continue; fi ;; esac # it leads nowhere
      _to=$(readlink -- "$_at")
      printf '%s\t-> %s\n' "$_line" "$(printf '%s' "$_to" | tr '\n\t' '  ')"
    elif [ -e "$_at" ]; then printf '%s\t\n' "$_line"; fi
  done
}
texts() { # what is watched as a text, in turn: of the main checkout, else of the base commit
  watching text
  _texts=$_named
  if [ -z "$_texts" ]; then return 0; fi
  if [ -z "$checkout" ]; then
    _at=$(base_commit)
    printf 'blobs\0'
    printf '%s\n' "$_texts" | sed "s/^/$_at:/" |
      quiet_git --git-dir="$common" cat-file --batch 2>/dev/null | head -c 8388608 | base64
    printf '\0'
    return 0
  fi
  while IFS= read -r _line; do
    if plain "$_line" && [ -f "$_line" ]; then say_file "text:$_line" "$_line"; fi
  done <<TEXTS
$_texts
TEXTS
}
base_commit() {
  for _name in $bases; do
    quiet_git --git-dir="$common" rev-parse --verify --quiet "$_name^{commit}" && break
  done
}
plain() { # PATH: whether no part of it, from where we stand, is a symlink
  _at= _rest=$1/
  while [ -n "$_rest" ]; do
    _at=$_at${_at:+/}${_rest%%/*} _rest=${_rest#*/}
    if [ -L "$_at" ]; then return 1; fi
  done
}
strays() { # PATH: whether it, or what it is in, is a symlink that leads out of the checkout
  if plain "$1"; then return 1; fi
  _at=$(real "$checkout/$1") _left=9
  while [ -L "$_at" ] && [ "$_left" -gt 0 ]; do
    _to=$(readlink -- "$_at") _left=$((_left - 1))
    case $_to in /*) _at=$(real "$_to") ;; *) _at=$(real "${_at%/*}/$_to") ;; esac
  done
  case $_at/ in "$checkout"/*) return 1 ;; esac
}
main_git() { quiet_git --git-dir="$common" --work-tree="$checkout" "$@"; }
head_of() { sed '/^<!-- mooring: /q' "$1"; } # the generated part of a context; the rest is kept
probe_files() {
  if [ -z "$include" ] && [ -z "$include_known" ] && [ -n "$record" ]; then
    include=$(entries include "$record")
  fi
  say include "$include"
  if [ -z "$include_known" ] && [ -n "$record" ]; then watched=$(entries watched "$record"); fi
  say watched "$watched"
  if [ -n "$watched" ]; then say there "$(there)"; fi
  watching at
  if [ -n "$_named" ]; then say elsewhere "$(printf '%s\n' "$_named" | sums)"; fi
  _wanted= _recorded=
  if [ -n "$record" ] && [ -d "$path" ]; then _recorded=$(entries files "$record"); fi
  if [ -n "$common" ] && [ -n "$bases" ] && [ ! -d "$path" ]; then in_base; fi
  if [ -z "$checkout" ]; then texts; fi
  if [ -n "$checkout" ] && cd -- "$checkout"; then
    set -- # our own files' places: where somebody has such a file, git may show it
    for _name in .envrc .session-context.md .session-prompt.md "$settings_name"; do
      if [ -e "$_name" ]; then set -- "$@" "$_name"; fi
    done
    _own=$(printf '%s\n' "$@")
    say source_root "$checkout"
    case $watched in *here:*) say shown "$(shown)" ;; esac
    say own "$_own"
    _listed=$(listed "$@")
    if [ "${#_listed}" -gt "$((many * 5))" ] || whole "$_recorded"
    then _listed=$(units "$_listed"); fi
    say listed "$_listed"
    _wanted=$(printf '%s\n' "$_listed" | sed 's/^...//')
    say sources "$(printf '%s\n' "$_wanted" | sums; trees "$_wanted")"
    watching sum
    if [ -n "$_named" ]; then
      say tracked "$(printf '%s\n' "$_named" | while IFS= read -r _line; do
        if plain "$_line"; then printf '%s\n' "$_line"; fi; done | sums)"
    fi
    if [ -n "$scan" ] && [ -n "$_recorded" ]; then # what no rule selects any more has a source too
      say unnamed "$(printf '%s\n' "$_recorded" | sums)"; fi
    watching main
    _strays=
    if [ -n "$_named" ]; then
      _strays=$(printf '%s\n' "$_named" | while IFS= read -r _line; do
        if strays "$_line"; then printf '%s\t%s\n' "$_line" "$_line"; fi; done)
    fi
    _links=
    if [ -n "$_wanted" ]; then _links=$(printf '%s\n' "$_wanted" | links); fi
    say source_links "$_links"
    if [ -n "$_links$_strays" ] || whole "$_wanted"; then
      say outside "$(printf '%s\n' "$_wanted" | outside; printf '%s\n' "$_strays")"; fi
    texts
  fi
  _identity=${record%.json}.gitconfig
  if [ -n "$record" ] && [ -f "$_identity" ] &&
    grep -qsF -- "$_identity" "${record%/*/*}/gitconfig" &&
    grep -qsF -- "$root/gitconfig" "${GIT_CONFIG_GLOBAL:-$HOME/.gitconfig}" \
      "${XDG_CONFIG_HOME:-$HOME/.config}/git/config"
  then say identity "$(sha <"$_identity")"; fi
  if [ -d "$path" ] && cd -- "$path"; then
    _present=$({
      watching here
      printf '%s\n' "$_named"
      if [ -f .mooring/provisioned ] && [ ! -L .mooring/provisioned ]; then
        sed 's/^.\{66\}//' .mooring/provisioned; fi
      printf '%s\n' "$_wanted" .envrc .session-prompt.md .mooring/envrc .mooring/session \
        .mooring/workspace .mooring/session-prompt.md .mooring/claude-settings.json \
        .mooring/.gitignore
      if [ -n "$_recorded" ]; then printf '%s\n' "$_recorded" | sed 'p;s/$/.mooring-new/'; fi
    } | inside)
    case $_present in *//*)
      say behind "$(printf '%s\n' "$_present" | sed -n 's,^//,,p')"
      _present=$(printf '%s\n' "$_present" | grep -v '^//') ;;
    esac
    say present "$(printf '%s\n' "$_present" | sums; trees "$_present")"
    say present_links "$(printf '%s\n' "$_present" | links)"
    watching mode
    if [ -n "$_named" ]; then say modes "$(modes)"; fi
    for _name in .session-context.md .mooring/session-context.md; do
      if [ -f "$_name" ] && [ ! -L "$_name" ]; then
        say heads "$(head_of "$_name" | sha)  $_name"; fi
    done
    if [ -f .mooring/provisioned ] && [ ! -L .mooring/provisioned ]; then
      say provisioned "$(head -c 1048576 .mooring/provisioned)"; fi
    if [ -f .mooring/setup ] && [ ! -L .mooring/setup ]; then
      say setup "$(head -c 65536 .mooring/setup)"; fi
    if [ -f .envrc ]; then
      _hash=$({ printf '%s\n' "$path/.envrc"; cat .envrc; } | sha)
      if [ -f "${XDG_DATA_HOME:-$HOME/.local/share}/direnv/allow/$_hash" ]; then
        say allowed "$_hash"; fi
    fi
  fi
}
"""


class Files(msgspec.Struct, frozen=True, kw_only=True):
    """Paths are relative to the main checkout (`matched`, `sources`) or the workspace.

    One that ends with `/` stands for a directory of many files, its sum for all that is in it.
    """

    include: tuple[str, ...]
    """The patterns that `matched` was listed for."""
    matched: tuple[str, ...]
    sources: dict[str, str]
    """sha256 of each matched path that is a plain file or directory; of a symlink `-> ` and where
    it leads."""
    root: str
    """The checkout that those are in, '' if there is none."""
    elsewhere: dict[str, str]
    """sha256 of files by where they are: an absolute path, or `user:` and one in the config
    directory; `sum:` and one that git tracks; `same:` and one that was brought earlier."""
    outside: dict[str, str]
    """Matched paths that are, or have, a symlink which leaves the checkout, with that symlink."""
    ignored: frozenset[str]
    """Matched paths that git ignores; any other would show in `git status`."""
    visible: frozenset[str]
    """Names Mooring would write that the main checkout has itself, tracked or untracked."""
    in_base: dict[str, str]
    """What git has in the base commit at each destination, and at what that is in: `blob` (a
    symlink too), `tree`. Only looked at where there is no worktree yet."""
    shown: frozenset[str]
    """Destinations that the main checkout has too, untracked, and that git shows there."""
    present: dict[str, str]
    """sha256 of what the workspace has, of the files that matter here; of a context, its head."""
    behind: frozenset[str]
    """Paths in the workspace that are behind a symlink."""
    obsolete: tuple[str, ...]
    """Symlinks there that Mooring made and no rule wants (see rules.without_links)."""
    modes: dict[str, int]
    """The modes of those in the workspace that are to have a certain one."""
    identity: str
    """sha256 of the git config that says who commits in the workspace, '' if git has none."""
    watched: tuple[str, ...]
    """What `there` was looked at for (see Spec.watched)."""
    there: dict[str, str]
    """What of it is there: '' or, of a symlink, `-> ` and where it leads."""
    texts: dict[str, bytes]
    """Templates by path, as the main checkout has them, else the base commit."""
    provisioned: frozenset[tuple[str, str]]
    """Path and sha256 of what a run brought there that perhaps didn't come to the record."""
    setup: frozenset[str]
    """What was run there once the workspace was made, by its digest (see Plan.setup)."""
    allowed: bool
    """Whether direnv has an approval for the workspace's `.envrc` as it stands."""


def parse(said: dict[str, str], heads: list[str]) -> Files:
    """The files among what the probe said."""
    include, own = _lines(said.get("include", "")), _lines(said.get("own", ""))
    listed = {line[3:]: line[:2] for line in _lines(said.get("listed", ""))}
    ignored = frozenset(path for path, mark in listed.items() if mark == "!!")
    matched = tuple(path for path in listed if path not in own or selects(include, path))
    sources = {**_sums(said.get("sources", "")), **_columns(said.get("source_links", ""))}
    present = _sums("\n".join([said.get("present", ""), *heads]))
    return Files(
        include=include,
        matched=matched,
        sources={path: value for path, value in sources.items() if path in matched},
        root=said.get("source_root", ""),
        elsewhere={
            **_sums(said.get("elsewhere", "")),
            **{f"sum:{path}": value for path, value in _pairs(said.get("tracked", ""))},
            **{f"same:{path}": value for path, value in _pairs(said.get("unnamed", ""))},
        },
        outside=_columns(said.get("outside", "")),
        ignored=ignored,
        visible=frozenset(own) - ignored,
        in_base=_in_base(said),
        shown=frozenset(_lines(said.get("shown", ""))),
        present={**_columns(said.get("present_links", "")), **present},
        behind=frozenset(_lines(said.get("behind", ""))),
        obsolete=(),
        modes=_modes(said.get("modes", "")),
        identity=said.get("identity", ""),
        watched=_lines(said.get("watched", "")),
        there=_columns(said.get("there", "")),
        texts=_texts(said),
        provisioned=frozenset(_pairs(said.get("provisioned", ""))),
        setup=frozenset(_lines(said.get("setup", ""))),
        allowed="allowed" in said,
    )


def _modes(text: str) -> dict[str, int]:
    pairs = (line.partition(" ") for line in _lines(text))
    return {path: int(mode, 8) for mode, _, path in pairs}


def _in_base(said: dict[str, str]) -> dict[str, str]:
    """By path. Of one that isn't there, git says a line with more words."""
    places, kinds = (_lines(said.get(name, "")) for name in ("places", "in_base"))
    found = zip(places, kinds, strict=False)  # fewer where git failed: the operation looks too
    return {path: kind for path, kind in found if kind in ("blob", "tree")}


def _texts(said: dict[str, str]) -> dict[str, bytes]:
    files = (name for name in said if name.startswith("text:"))
    found = {name.removeprefix("text:"): content(said[name]) for name in files}
    data = content(said.get("blobs", ""))
    watched = _lines(said.get("watched", ""))
    for path in (name.removeprefix("text:") for name in watched if name.startswith("text:")):
        header, _, data = data.partition(b"\n")
        fields = header.split(b" ")
        if len(fields) == 3 and fields[2].isdigit():  # else: it says what is missing
            size = int(fields[2])
            if fields[1] == b"blob":
                found[path] = data[:size]
            data = data[size + 1 :]
    return found


def selects(patterns: Iterable[str], path: str) -> bool:
    """Whether a pattern of gitignore(5) selects a path at the top or one directory below it."""
    parts = path.split("/")
    for pattern in patterns:
        name = pattern.strip("/")
        anchored = "/" in pattern.rstrip("/")
        places = [parts[0], path] if anchored else [*parts, path]
        if any(fnmatchcase(place, name) for place in places):
            return True
    return False


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line for line in text.split("\n") if line)


def _columns(text: str) -> dict[str, str]:
    """Lines of a name and a value with a tab between."""
    return dict(line.split("\t", 1) for line in _lines(text))


def _sums(text: str) -> dict[str, str]:
    return dict(_pairs(text))


def _pairs(text: str) -> list[tuple[str, str]]:
    """Path and sum of lines of sha256sum(1): 64 hex digits, two characters, a path."""
    return [(line[66:], line[:64]) for line in _lines(text)]
