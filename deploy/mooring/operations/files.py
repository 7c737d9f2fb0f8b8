"""Files: what the rules bring from the main checkout; what somebody edited since is left alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

from pyinfra.api.command import PyinfraCommand

from ..files import guard, rules, secretish, sources
from ..files.rules import is_at_or_below, state
from ..files.sources import Placed
from ..handle import Workspace, text_sum
from ..paths import NEW
from .bundle import BUNDLED, bundle
from .guard import HASHES
from .identity import outdated
from .secrets import secrets
from .shell import later, run, step
from .trees import TREES

_FILES = r"""
find_admin
is_tracked() { wt_git --literal-pathspecs ls-files --error-unmatch -- "$1" >/dev/null 2>&1; }
same() { # DEST SUM KNOWN: whether it is there as it is to be, or as somebody wants it
  if [ ! -e "$1" ] && [ ! -L "$1" ]; then return 1; fi
  if [ -n "$force" ] && is_tracked "$1"; then echo "kept $1"; return 0; fi
  if [ -L "$1" ]; then _there="-> $(readlink -- "$1")"
  elif [ -f "$1" ]; then _there=$(sha <"$1")
  else echo "kept $1"; return 0; fi
  if [ "$_there" = "$2" ]; then return 0; fi
  if [ "$_there" = "$3" ]; then return 1; fi
  echo "kept $1"
}
save() { # DEST: what is there stays, where `--force` is to replace what somebody edited
  if [ -z "$force" ] || { [ ! -e "$1" ] && [ ! -L "$1" ]; }; then return 0; fi
  mkdirs "$1"
  aside 'cp -pPR' "$1"
}
saved= # one directory of a run, with what it replaces at its own path
aside() { # COMMAND DEST
  if [ -z "$saved" ]; then
    mkdirs .mooring/saved/.
    saved=.mooring/saved/$now _count=0
    until mkdir -- "$saved" 2>/dev/null; do
      _count=$((_count + 1)) saved=.mooring/saved/$now.$_count
      if [ "$_count" -ge 100 ]; then die "Cannot write to $path/.mooring/saved"; fi
    done
  fi
  mkdirs "$saved/$2"
  $1 -- "$2" "$saved/$2" && echo "saved $2 as $saved/$2" || die "Cannot save $2 first"
}
untracked() { # of what is rendered: nothing that git tracks, or could stage
  set --
  while IFS= read -r _name; do if [ -n "$_name" ]; then set -- "$@" "$_name"; fi; done <<DESTS
$guarded
DESTS
  if [ $# -eq 0 ]; then return 0; fi
  for _name in "$@"; do mkdirs "$_name"; hide "$_name"; done
  if [ "$(ignored "$guarded" | wc -l)" -eq $# ]; then return 0; fi
  _tracked=$(wt_git --literal-pathspecs ls-files -- "$@" | head -n 1)
  if [ -n "$_tracked" ]; then die "Cannot render $_tracked: the repo tracks it"
  else die "Cannot render $1${2:+, or one of the others}: git could stage it" \
    "hint: git -C $(quoted "$path") check-ignore -v --no-index $(quoted "$1")"; fi
}
template() { # MODE TEXT DEST KNOWN SUM
  if same "$3" "$5" "$4"; then
    if [ "$_there" = "$5" ]; then chmod "$1" -- "$3"; echo "same $5 $3"; fi
    return 0
  fi
  save "$3"
  new_stage
  _writable=600; case $1 in [67]*) _writable=$1 ;; esac
  chmod "$_writable" "$stage" && printf '%s' "$2" >|"$stage" &&
    { [ "$_writable" = "$1" ] || chmod "$1" "$stage"; } || die "Cannot write $3"
  ours "$5" "$3"
  move_stage "$3"
  echo "made $5 $3"
}
from() { # SRC: sets _from to where that is
  case $1 in
    //*) _from=$bundled/${1#//} ;; # it came with the script
    /*) _from=$1 ;;
    *) _from=$checkout/$1 ;;
  esac
}
unpack() { # what came with the script
  marked
  bundled=$path/.mooring/.stage.$mark.src
  new_stage
  rm -f -- "$stage"
  stage=
  trap 'clean; rm -rf -- "$bundled"' EXIT
  rm -rf -- "$bundled" && mkdir -m 700 -- "$bundled" &&
    printf '%s\n' "$bundle" | base64 -d | (cd -- "$bundled" && tar -xpzof -) ||
    die "Cannot write to $path/.mooring"
  bundle=
}
batch= batch_from= batch_to= # new files of one directory, by name: one cp brings them all
flush() {
  if [ -z "$batch" ]; then return 0; fi
  new_stage
  rm -f -- "$stage" && mkdir -m 700 -- "$stage" || die "Cannot write to $path/.mooring"
  set --
  while IFS= read -r _name; do if [ -n "$_name" ]; then set -- "$@" "$_name"; fi; done <<BATCH
$batch
BATCH
  (cd -- "$batch_from" && cp -pP -- "$@" "$stage/") ||
    die "Cannot copy from $batch_from: $*"
  mkdirs "$batch_to/."
  _sums=$(cd -- "$stage" && digest -- "$@")
  while IFS= read -r _line; do
    _name=${_line#*[ ][ *]} _dest=$batch_to/${_line#*[ ][ *]}
    ours "${_line%% *}" "${_dest#./}"
    echo "made ${_line%% *} ${_dest#./}"
    brought="$brought
${_dest#./}"
    set -- "$@" "$stage/$_name"
    shift
  done <<SUMS
$_sums
SUMS
  mv -f -- "$@" "$path/$batch_to/" || die "Cannot write to $batch_to"
  rm -rf -- "$stage"
  stage= batch=
}
copied() { # MODE SRC DEST KNOWN TRACKED HOW: a file, or a symlink
  from "$2"
  if [ -L "$_from" ]; then
    _sum="-> $(readlink -- "$_from")"
    if same "$3" "$_sum" "$4"; then return 0; fi
    if [ "$2" != "$3" ]; then hide "$3"; fi
    save "$3"
    new_stage
    rm -f -- "$stage" && cp -pP -- "$_from" "$stage" || die "Cannot copy $2 to $3"
    move_stage "$3"
    echo "made -> $3"
    return 0
  fi
  [ -f "$_from" ] || die "Cannot copy $2: it is gone from $checkout"
  if [ "$1$4$5$6" = -- ] && [ ! -e "$3" ] && [ ! -L "$3" ] && [ "${2##*/}" = "${3##*/}" ]; then
    if [ "$2" != "$3" ]; then hide "$3"; fi
    _to=.; case $3 in */*) _to=${3%/*} ;; esac
    if [ "$_to" != "$batch_to" ] || [ "${_from%/*}" != "$batch_from" ]; then flush; fi
    batch_to=$_to batch_from=${_from%/*} batch="$batch${3##*/}
"
    return 0
  fi
  _sum=$(sha <"$_from")
  _known=$4
  if [ -n "$5" ] && [ -z "$(cd -- "$path" && wt_git status --porcelain -- "$3")" ]; then
    _known=$(sha <"$3"); fi # git has what is there
  if same "$3" "$_sum" "$_known"; then return 0; fi
  if [ "$2" != "$3" ]; then hide "$3"; fi
  save "$3"
  new_stage
  if [ -n "$6" ]; then rm -f -- "$stage"; fi
  cp "-p$6" -- "$_from" "$stage" && { [ "$1" = - ] || chmod "$1" "$stage"; } ||
    die "Cannot copy $2 to $3"
  ours "$_sum" "$3"
  move_stage "$3"
  brought="$brought
$3"
  echo "made $_sum $3"
}
linked() { # SRC DEST KNOWN
  from "$1"
  if [ -d "$2" ] && [ ! -L "$2" ] && [ "$(tree_sum "$2")" = "$3" ]; then # as we brought it
    marked
    mv -- "$2" "$path/.mooring/.stage.$mark.old" && rm -rf -- "$path/.mooring/.stage.$mark.old"
  elif [ -n "$force" ] && { [ -e "$2" ] || [ -L "$2" ]; } &&
    [ "$(readlink -- "$2")" != "$_from" ] && ! is_tracked "$2"; then mkdirs "$2"; aside mv "$2"; fi
  if same "$2" "-> $_from" "$3"; then return 0; fi
  if [ ! -e "$_from" ]; then die "Cannot link $1: it is gone from $checkout"; fi
  mkdirs "$2"
  hide "$2" # a pattern such as node_modules/ is for directories, which a link to one is not
  if [ -L "$2" ] || [ -f "$2" ]; then rm -f -- "$2"; fi
  ours "$(printf '%s' "-> $_from" | sha)" "$2"
  ln -s -- "$_from" "$2" || die "Cannot link $1 to $2"
  echo "made -> $2"
}
printf '%s\n' "$unlinks" | while IFS='	' read -r dest known; do # links of ours, in the way
  if [ -n "$dest" ] && [ "-> $(readlink -- "$path/$dest")" = "$known" ]; then
    mkdirs "$dest"; rm -f -- "$path/$dest"; fi
done || exit 1
clear_stages
untracked
if [ -n "$hashes" ]; then put_hashes; fi
if [ -z "$hidden" ] && [ -n "$brings" ]; then # what is ignored there is perhaps not ignored here
  _ignored=$(ignored "$brings")
  while IFS= read -r _name; do
    case "
$_ignored
" in *"
./$_name
"*) ;; *) is_tracked "$_name" || hide "$_name" ;; esac
  done <<BRINGS
$brings
BRINGS
fi
bundled=; if [ -n "$bundle" ]; then unpack; fi
brought= # what may hold a secret
while IFS='	' read -r action known mode src dest; do
  [ -n "$action" ] || continue
  cd -P -- "$path"
  case $action in
    template) eval "template \"\$mode\" \"\$$src\" \"\$dest\" \"\$known\" \"\$sum_$src\"" ;;
    copy) copied "$mode" "$src" "$dest" "$known" '' '' ;;
    tracked) copied "$mode" "$src" "$dest" "$known" yes '' ;;
    dirs) empty "$src" "$dest" ;;
    hardlinked) copied "$mode" "$src" "$dest" "$known" '' l ;;
    tree | hardlink) tree "$action" "$src" "$dest" "$known" ;;
    mode) if [ -f "$dest" ] && [ ! -L "$dest" ]; then chmod "$mode" -- "$dest"; fi ;;
    symlink) linked "$src" "$dest" "$known" ;;
  esac
done <<FILES
$files
FILES
flush
attributes
cd -P -- "$path"
set --
while IFS= read -r _name; do
  if [ -n "$_name" ] && [ -f "$_name" ] && [ ! -L "$_name" ]; then set -- "$@" "./$_name"; fi
done <<BROUGHT
$brought
BROUGHT
secretish "$@" | sed 's,^\./,secret ,'
"""

REQUIRED = r"""
# Last of all, whoever brought it: nothing is started without.
cd -P -- "$path"
lacks=$(printf '%s\n' "$required" | while IFS='	' read -r name why; do
  if [ -n "$name" ] && [ ! -e "$name" ]; then printf '%s\n' "$why"; fi; done)
if [ -n "$lacks" ]; then
  die "Cannot use the workspace: it lacks what is required" "$lacks" \
    "hint: mooring files plan $topic"; fi
"""


@step
def files(workspace: Workspace) -> Iterator[PyinfraCommand]:
    """Have the untracked files that the rules select, as the main checkout has them."""
    if workspace.pending:
        return
    plan = workspace.plan
    stale = [item for item in plan.files if item.action == "template" and _stale(workspace, item)]
    guarded = _guarded(workspace, stale)
    if (stale or guarded) and not (workspace.host.state.is_executing and workspace.record):
        yield later()
        return
    values = _values(workspace, [*stale, *guarded])
    texts = _rendered(workspace, stale, values)
    found = [(item, line) for item in plan.files for line in _lines(workspace, item, texts)]
    lines = [line for _, line in found]
    if lines or guarded:
        sent = {item.dest for item, _ in found}
        here = [item for item in plan.files if item.root != "controller" or item.dest in sent]
        directories = sources.directories(workspace.spec, here)
        lines += [f"dirs\t-\t-\t{src}\t{dest}" for src, dest in directories]
        names = {
            "checkout": workspace.observed.files.root or plan.checkout,
            "bundle": bundle(workspace, [item for item, _ in found]),
            "files": "\n".join(lines),
            "brings": "\n".join(
                item.dest for item, _ in found if item.action == "copy" and item.root != "tracked"
            ),
            "guarded": "\n".join(_dest(workspace, item) for item in stale),
            **secretish.names(),
            **_hashes(workspace, guarded, values),
            "unlinks": "\n".join(_unlinks(workspace, [item.dest for item, _ in found])),
            "force": "yes" if workspace.request.force else "",
            "now": str(int(time.time())),
            **{f"text_{index}": text for index, text in enumerate(texts.values())},
            **{f"sum_text_{n}": text_sum(text) for n, text in enumerate(texts.values())},
        }
        script, done = TREES + secretish.GREP + HASHES + _FILES, partial(_made, workspace)
        yield run(workspace, names, script, done, watched=True)


def _stale(workspace: Workspace, item: Placed) -> bool:
    """Whether a template is to be rendered: it isn't there, or would come to something else."""
    there = state(item.dest, workspace.observed)
    known = rules.known(item.dest, workspace.observed, workspace.record)
    force = workspace.request.force
    if there and not known and not force:
        return False  # somebody else's
    if item.sum and there == item.sum:
        return workspace.request.refresh or _new_to_guard(workspace, item)
    return not there or not item.sum or force or workspace.request.refresh


def _new_to_guard(workspace: Workspace, item: Placed) -> bool:
    """Whether a guard comes that has to know what is in it."""
    return bool(workspace.plan.guard and item.secrets) and outdated(workspace)


def _dest(workspace: Workspace, item: Placed) -> str:
    """Where it goes: beside what somebody edited."""
    there = state(item.dest, workspace.observed)
    known = rules.known(item.dest, workspace.observed, workspace.record)
    edited = there and there != known and not workspace.request.force
    return item.dest + NEW if edited else item.dest


def _guarded(workspace: Workspace, stale: list[Placed]) -> list[Placed]:
    """Templates whose secrets the guard is told: what is rendered; of a new guard, of all."""
    plan = workspace.plan
    if not plan.guard:
        return []
    anew = workspace.request.refresh or outdated(workspace)
    return [item for item in plan.files if item.secrets and (anew or item in stale)]


def _hashes(workspace: Workspace, items: list[Placed], values: dict[str, str]) -> dict[str, str]:
    """What the script is told for the guard."""
    record = workspace.record
    if not items or not record:
        return {"hashes": ""}
    told = {name: values[name] for item in items for name in item.secrets}
    for name in guard.unguarded(told):
        workspace.tell((f"the guard does not look for {name}: it is too short",))
    return {
        "hashes": guard.hashes(record, told.values()),
        "guard": workspace.plan.guard,
        "topic": workspace.plan.topic,
    }


def _values(workspace: Workspace, items: list[Placed]) -> dict[str, str]:
    """Of each secret that they ask for, its value."""
    return secrets(workspace, {name for item in items for name in item.secrets})


def _rendered(workspace: Workspace, items: list[Placed], values: dict[str, str]) -> dict[str, str]:
    """The text of each by its destination."""
    record, target = workspace.record, workspace.observed.target.name
    if not record:
        return {}
    spec = workspace.spec
    return {item.dest: sources.rendered(item, spec, record, target, values) for item in items}


def _unlinks(workspace: Workspace, dests: list[str]) -> Iterator[str]:
    """Links of ours that are in the way of what comes, each with where it leads."""
    record = workspace.record
    for link in workspace.observed.files.obsolete:
        if record and any(is_at_or_below(dest, link) for dest in dests):
            yield f"{link}\t{record.files[link]}"


def requirements(workspace: Workspace) -> dict[str, str]:
    """The variables of REQUIRED."""
    plan = workspace.plan
    lines = [f"{path}\t{why}" for path, why in plan.required.items()]
    return {"required": "\n".join(lines), "topic": plan.topic}


def _lines(workspace: Workspace, item: Placed, texts: dict[str, str]) -> Iterator[str]:
    """What the script is told of a file that isn't there as it is to be.

    Beside one that somebody edited, what has become of its source since.
    """
    seen, record = workspace.observed, workspace.record
    last, there = rules.known(item.dest, seen, record), state(item.dest, seen)
    wanted, mode, src = item.sum, tightening(item.mode) or "-", item.src
    if there and there == last and rules.loose(item, seen):
        yield "\t".join(["mode", "-", tightening(sources.rights(item)), "-", item.dest])
    if item.action == "template":
        if item.dest not in texts or not record:
            return
        wanted, src = text_sum(texts[item.dest]), f"text_{list(texts).index(item.dest)}"
        mode = sources.rights(item)
        workspace.rendered[item.dest] = sources.ingredients(
            item, workspace.spec, record, seen.target.name
        )
    if item.source:
        workspace.rendered[item.dest] = item.source
    if wanted and there == wanted and item.action != "template":
        workspace.copied[item.dest] = wanted
        return
    if there == rules.BEHIND:
        return
    dest = item.dest
    asks = item.root == "tracked" and not last  # git knows whether somebody edited it
    if there and there != last and not workspace.request.force and not asks:
        dest = item.dest + NEW
        whole = item.dest.endswith("/") or item.action == "symlink"
        if not last or wanted == last or whole or state(dest, seen) == wanted:
            return
        last = rules.known(dest, seen, record)
    elif workspace.request.force:
        last = there
    if item.action == "symlink" and last == "other":
        last = rules.known(f"{dest}/", seen, record)
    action = (item.clone or "tree") if item.src.endswith("/") else item.action
    action = "hardlinked" if item.clone and action == "copy" else action
    action = "tracked" if item.root == "tracked" else action
    if item.action == "copy" and item.root in BUNDLED:
        src = f"//{item.root}/{src}"
    yield "\t".join([action, last or "-", mode, src, dest])


def tightening(mode: str) -> str:
    """What chmod(1) has to take away for a file to have no more than `mode`; '' for no mode."""
    if not mode:
        return ""
    taken = []
    for who, digit in zip("ugo", mode[-3:], strict=True):
        rights = [right for right, bit in (("r", 4), ("w", 2), ("x", 1)) if not int(digit) & bit]
        taken.append(f"{who}-{''.join(rights)}")
    return ",".join(taken)


def _made(workspace: Workspace, answer: list[str]) -> None:
    links = {item.dest: item.sum for item in workspace.plan.files if item.sum.startswith("-> ")}
    suspected: list[str] = []
    for line in answer:
        done, _, rest = line.partition(" ")
        if done in ("made", "same"):
            value, _, dest = rest.partition(" ")
            workspace.copied[dest] = links[dest] if value == "->" else value
            if done == "made":
                workspace.copied_anew.add(dest)
        elif done == "secret":
            suspected.append(rest)
        elif done == "saved":
            workspace.tell((f"replaced: {rest.replace(' as ', '; what was there: ', 1)}",))
        elif done == "kept":
            workspace.tell((f"kept as it is: {rest} (the worktree has one itself)",))
    if suspected:
        told = f"copied, with what looks like a secret in it: {', '.join(suspected)}"
        workspace.tell(
            (f"{told} (docs/files.md: a template with `secrets` keeps it out of copies)",)
        )
