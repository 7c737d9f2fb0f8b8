"""The container: made from the image, started, made anew when it drifted, removed."""

from __future__ import annotations

import json
from collections.abc import Iterator

from pyinfra.api.command import PyinfraCommand

from ..claude import first_start, mounts
from ..container import Wanted, private
from ..facts import container as fact
from ..handle import Workspace
from ..model import Record, State
from .shell import later, run, step, told

IDLE = 'trap "exit 0" TERM INT; while :; do sleep 3600 & wait "$!"; done'
"""What keeps a container running that has nothing to do: it ends at once, and reaps what is left
to it."""
SECONDS = 3600
"""How long a pull or a build may take."""

_ENGINE = r"""
engine() { docker "$@" 8>&- 9>&-; }
limited() { # SECONDS COMMAND...: where the system can
  if command -v timeout >/dev/null; then timeout -k 1 "$@"; else shift; "$@"; fi
}
working() { # what somebody started in the container, a line each; that may not even answer
  # Docker says on stdout why it could not.
  _said=$(limited 10 docker exec --workdir / -- "$container" sh -c '
    for e in $(grep -ls "MOORING_RUN=" /proc/[0-9]*/environ)
    do tr "\000" " " <"${e%environ}cmdline"; echo; done
    sleep 0.1 || :' 2>/dev/null 8>&- 9>&-) || return 0
  printf '%s\n' "$_said" | tr -cd '[:print:]\n' | head -n 3 | cut -c1-120
}
lock "container-$container"
state_of() { engine container inspect --format '{{.State.Status}}' -- "$container" 2>/dev/null; }
"""

_IMAGE = r"""
image_id() { engine image inspect --format '{{.Id}}' -- "$image" 2>/dev/null; }
why() { tail -n 5 "$progress" | scrub; }
get_image() {
  if [ -n "$context" ]; then
    cd -P -- "$path/$context" || die "Cannot build the image: there is no $context"
    case $PWD/ in "$path"/*) ;; *) die "Cannot build the image: $context leads out" ;; esac
    # What was approved is built, whatever the file says by now.
    printf '%s' "$dockerfile" | engine build --tag "$image" --file - -- . >"$progress" 2>&1 ||
      die "Cannot build the image of $topic:" "$(why)"
    cd /
  else
    engine pull -- "$image" >"$progress" 2>&1 ||
      die "Cannot get the image $image: $(tail -n 1 "$progress" | scrub)" \
        "hint: docker pull $(quoted "$image")"
  fi
}
wrote=$progress
id=$(image_id)
if [ -z "$id" ]; then # somebody may have removed it from under the container
  _made=$(engine container inspect --format '{{.Image}} {{index .Config.Labels "mooring.image"}}' \
    -- "$container" 2>/dev/null)
  if [ "${_made#* }" = "$image" ]; then id=${_made%% *}; fi
fi
if [ -n "$recreate" ] && [ -n "$context" ]; then id=; fi # what it is built from may have changed
if [ -z "$id" ]; then
  get_image
  id=$(image_id) || die "Cannot find the image $image, though it was made"
fi
"""

_MAKE = r"""
nl='
'
csv() { # NAME=VALUE: as one field of a --mount
  case $1 in *[\",]*) printf '"%s"' "$(printf '%s' "$1" | sed 's/"/""/g')" ;;
  *) printf '%s' "$1" ;; esac
}
mount() { # SOURCE TARGET [ro]
  case $1$2 in *"$nl"*) die "Cannot mount $1: its name has a newline" ;; esac
  args="$args$nl--mount${nl}type=bind,$(csv "source=$1"),$(csv "target=$2")${3:+,readonly}"
}
guarded() { # FILE: read-only, if it is there
  [ ! -L "$1" ] || die "Cannot keep the container from changing $1: it is a symlink"
  if [ -e "$1" ]; then mount "$1" "$1" ro; fi
}
users() { # the image's users, as its /etc/passwd has them
  _look=$(engine create --label "mooring.look=$container" -- "$id" sh) ||
    die "Cannot look into the image $image"
  engine cp "$_look:/etc/passwd" - 2>/dev/null | tar -xO 2>/dev/null
  engine rm --force -- "$_look" >/dev/null
}
looks() { engine ps --all --quiet --filter "label=mooring.look=$container"; }
entry() { # NAME|UID: its uid, gid and home
  printf '%s\n' "$passwd" | awk -F: -v k="$1" '$1 == k || $3 == k { print $3, $4, $6; exit }'
}
find_user() { # sets run_as and home
  _wanted=${user:-$owner} _group=
  case $_wanted in *:*) _group=${_wanted#*:} _wanted=${_wanted%%:*} ;; esac
  read -r _uid _gid home <<ENTRY
$(entry "$_wanted")
ENTRY
  case $_wanted in *[!0-9]*)
    [ -n "$_uid" ] || die "Cannot run the container as '$user': its image has no such user" ;;
  esac
  run_as=${_uid:-$_wanted}:${_group:-${_gid:-$_wanted}}
  case $home in '' | / | /nonexistent | /dev/null) home= ;; esac
}
own_dir() { # a container that is gone by now may have put something else there
  if [ -L "$1" ] || { [ -e "$1" ] && [ ! -d "$1" ]; }; then rm -f -- "$1"; fi
  mkdir -p -- "$1" || die "Cannot make $1"
}
gone() { rm -rf -- "$1" || die "Cannot remove $1"; } # whatever it is
make_private() { # what is this container's alone; it stays when the container is made anew
  (umask 077 && mkdir -p -- "$private/claude" "$private/home") || die "Cannot make $private"
  own_dir "$private/home/.claude"
  _file=$private/claude/.claude.json
  if [ ! -f "$_file" ] || [ -L "$_file" ]; then
    gone "$_file"
    gone "$_file.new"
    (umask 077 && printf '%s\n' "$claude_json" >"$_file.new") && mv -f -- "$_file.new" "$_file" ||
      die "Cannot write to $private"
  fi
  # Made by us, so that they don't become root's.
  for _name in $directories projects; do own_dir "$private/claude/$_name"; done
  if [ -n "$share_projects" ]; then
    for _name in $project; do own_dir "$private/claude/projects/$_name"; done; fi
  for _name in $copies; do
    gone "$private/claude/$_name"
    if [ -f "$store/$_name" ]; then cp -L -- "$store/$_name" "$private/claude/$_name"; fi
  done
  if [ "${run_as%%:*}" != "${owner%%:*}" ] && [ "${owner%%:*}" = 0 ]; then
    chown -R -h -- "$run_as" "$private"; fi
}
mount_store() {
  _to=$home/.claude
  mount "$private/claude" "$_to"
  for _name in $read_write; do
    (umask 077 && mkdir -p -- "$store/$_name") || die "Cannot make $store/$_name"
    mount "$store/$_name" "$_to/$_name"
  done
  for _name in $read_only; do
    if [ ! -d "$store/$_name" ]; then mkdir -p -- "$store/$_name"; fi
    mount "$store/$_name" "$_to/$_name" ro
  done
  if [ -n "$share_projects" ]; then # this workspace's own, and what its repo remembers
    set -- $project
    shared_dirs="$store/projects/$1$nl$store/projects/$2$nl$store/projects/$2/memory"
    no_links
    (umask 077 && mkdir -p -- "$store/projects/$1" "$store/projects/$2/memory")
    mount "$store/projects/$1" "$_to/projects/$1"
    mount "$store/projects/$2/memory" "$_to/projects/$2/memory"
  fi
}
shared_dirs= # what other containers can write to, too: a link there could lead anywhere
no_links() {
  while IFS= read -r _dir; do
    if [ -L "$_dir" ]; then
      engine rm --force -- "$container" >/dev/null 2>&1
      die "Cannot mount $_dir: it is a symlink, which a container may have put there" \
        "hint: ls -ld $(quoted "$_dir")"
    fi
  done <<DIRS
$shared_dirs
DIRS
}
mount_repo() { # at the same paths: a worktree's pointers are absolute
  find_admin
  [ -n "$w_admin" ] || die "Cannot mount $path: git does not know it as a worktree"
  mkdir -p -- "$common/hooks" "$common/info" "$common/modules" || die "Cannot write to $common"
  if [ "$(quiet_git config --file "$common/config" --type bool --get \
    extensions.worktreeConfig 2>/dev/null)" = true ]; then
    for _file in "$common/config.worktree" "$w_admin/config.worktree"; do # git reads them
      if [ ! -e "$_file" ] && [ ! -L "$_file" ]; then : >"$_file"; fi; done
  fi
  mount "$path" "$path"
  mount "$common" "$common"
  for _name in config config.worktree hooks info modules worktrees; do
    guarded "$common/$_name"; done
  mount "$w_admin" "$w_admin"
  for _name in gitdir commondir config.worktree; do guarded "$w_admin/$_name"; done
  if [ -e "$w_admin/modules" ] || [ -L "$w_admin/modules" ]; then
    while IFS= read -r _sub; do # find follows no link
      if [ -n "$_sub" ]; then guarded "$_sub"; fi
    done <<MODULES
$(find "$w_admin/modules" \( -name config -type f -o -name hooks -type d \) -prune -print)
MODULES
  fi
  guarded "$path/.git"
  if [ -n "$guard" ]; then guarded "$guard"; fi
}
mount_claude() { # the program itself: of the host, if it is one that runs elsewhere too
  if [ "$provide" = image ]; then return 0; fi
  _claude=$(command -v claude) && _claude=$(readlink -f -- "$_claude")
  if [ -n "$_claude" ] && [ "$(head -c 4 -- "$_claude" | tr -d '\177')" = ELF ]; then
    mount "$_claude" /usr/local/bin/claude ro
  elif [ "$provide" = host ]; then
    die "Cannot mount Claude: the target has none that is one program" \
      "hint: npm install -g @anthropic-ai/claude-code"
  fi
}
make() {
  _old=$(looks); if [ -n "$_old" ]; then engine rm --force -- $_old >/dev/null; fi
  passwd=$(users) || exit 65
  args=
  find_user
  make_private
  if [ -z "$home" ]; then home=/home/mooring; mount "$private/home" "$home"; fi
  mount_store
  mount_repo
  mount_claude
  while IFS= read -r _line; do
    if [ -z "$_line" ]; then continue; fi
    _rest=${_line#*	}
    mount "${_line%%	*}" "${_rest%%	*}" ${_rest#*	}
  done <<MOUNTS
$mounts
MOUNTS
  for _port in $ports; do args="$args$nl--publish${nl}127.0.0.1:$_port:$_port"; done
  IFS=$nl
  set -f
  engine create --name "$container" --hostname "$(printf '%.63s' "$topic")" \
    --user "$run_as" --workdir "$path" \
    --label "mooring.digest=$label" --label "mooring.image=$image" \
    --label "mooring.topic=$topic" --label "mooring.agent=$agent" \
    --label "mooring.repo=$repo" --label "mooring.worktree=$path" \
    --env "HOME=$home" --env "CLAUDE_CONFIG_DIR=$home/.claude" --env DISABLE_AUTOUPDATER=1 \
    --env GIT_CONFIG_COUNT=1 --env GIT_CONFIG_KEY_0=safe.directory --env 'GIT_CONFIG_VALUE_0=*' \
    ${network:+--network="$network"} ${memory:+--memory="$memory"} ${cpus:+--cpus="$cpus"} \
    $args --entrypoint sh -- "$id" -c "$command" >"$progress" 2>&1 ||
    die "Cannot make the container $container: $(why)"
  set +f
  unset IFS
}
"""

_HAVE = r"""
label=$(printf '%s %s' "$digest" "$id" | sha)
said=$(engine container inspect --format '{{index .Config.Labels "mooring.digest"}}' \
  -- "$container" 2>/dev/null) && there=yes || there=
state=$(state_of)
if [ "$state" = dead ]; then anew=yes; fi
if [ -n "$there" ] && { [ "$said" != "$label" ] || [ -n "$anew" ]; }; then
  # In a worktree that was made again nothing can go on.
  _busy=$(if [ -z "$anew" ] && [ "$state" = running ]; then working; fi)
  if [ -n "$_busy" ]; then
    echo "the container stays as it is: this runs in it: $_busy"
    echo "hint: mooring new $topic --recreate --launch none    # ends it"
    exit 0
  fi
  engine rm --force -- "$container" >/dev/null || die "Cannot remove the container $container"
  there=
fi
if [ -z "$there" ]; then make; state=created; fi
if [ "$state" = paused ]; then
  engine unpause -- "$container" >/dev/null || die "Cannot go on with the container $container"
elif [ "$state" != running ]; then
  engine start -- "$container" >"$progress" 2>&1 ||
    die "Cannot start the container $container: $(why)"
fi
no_links # also since: what is mounted is what was looked at
left=60
while :; do
  case $(engine container inspect --format \
    '{{.State.Running}}{{if .State.Health}} {{.State.Health.Status}}{{end}}' -- "$container") in
    true | 'true healthy') break ;;
    false*) die "Cannot start the container $container: it ended at once:" \
      "$(engine logs --tail 5 -- "$container" 2>&1)" ;;
  esac
  left=$((left - 1))
  [ "$left" -gt 0 ] || die "Cannot use the container $container: its health check still fails" \
    "hint: docker inspect --format '{{json .State.Health}}' $container"
  sleep 1
done
"""

_REMOVE = r"""
listed() { engine ps --all --quiet --filter "label=$1" 2>&1; }
went() { # LABEL: those are gone
  _found=$(listed "$1") || {
    if [ -z "$force" ]; then
      die "Cannot remove the container of $topic: $_found" \
        "hint: mooring end $topic --force    # leaves it behind"; fi
    echo "the container of $topic is left behind: $_found"
    return 0
  }
  if [ -n "$_found" ]; then
    _said=$(engine rm --force -- $_found 2>&1) ||
      die "Cannot remove the container of $topic: $_said"
  fi
}
if [ -n "$container" ]; then went "mooring.look=$container"; fi
if [ -n "$container" ] && [ -z "$force" ] && [ "$(state_of)" = running ]; then
  _busy=$(working)
  if [ -n "$_busy" ]; then
    die "Cannot end the container of $topic: this runs in it: $_busy" \
      "hint: mooring end $topic --force    # ends it"; fi
fi
if [ -n "$whole" ]; then
  went "mooring.worktree=$worktree"
  rm -f -- "$private/devcontainer.json"
elif [ -n "$(state_of)" ]; then
  _said=$(engine rm --force -- "$container" 2>&1) ||
    die "Cannot remove the container of $topic: $_said"
fi
"""


@step
def container(workspace: Workspace) -> Iterator[PyinfraCommand]:
    """Have the container there, as the spec wants it, and running; or none."""
    if workspace.pending:
        return
    record, wanted = workspace.record, workspace.plan.container
    if wanted is None:
        if workspace.plan.drops_container and record:
            yield _removal(workspace, record, "")
        return
    if workspace.unclaimed or record is None:
        yield later()
        return
    if not workspace.remakes_container:
        return
    engine = workspace.observed.container
    busy = engine.inside or (engine.found and workspace.held)
    if busy and not workspace.request.recreate:
        workspace.tell((f"the container stays as it is: Claude runs in it, {workspace.session}",))
        return
    variables = _names(workspace, wanted, record)
    body = fact.PRIVATE + _ENGINE + _IMAGE + _MAKE + _HAVE
    yield run(workspace, variables, body, told(workspace), SECONDS, watched=True)


def _names(workspace: Workspace, wanted: Wanted, record: Record) -> dict[str, str]:
    entries = mounts.entries(wanted.share)
    names = {
        access: " ".join(item.name for item in entries if item.access == access)
        for access in ("rw", "ro", "copy")
    }
    text = workspace.observed.files.texts.get(workspace.spec.dockerfile, b"")
    build = wanted.build
    return {
        "progress": f"{workspace.observed.target.root}/locks/progress-{record.container}",
        "container": record.container,
        "topic": record.topic,
        "agent": record.agent,
        "repo": record.repo,
        "image": wanted.image,
        "context": build.context if build else "",
        "dockerfile": text.decode("utf-8", "surrogateescape"),
        "digest": wanted.digest,
        "recreate": "yes" if workspace.request.recreate else "",
        "anew": "yes" if workspace.plan.makes_worktree or workspace.request.recreate else "",
        "private": wanted.private,
        "store": wanted.store,
        "claude_json": json.dumps(first_start.document(wanted.worktree)),
        "read_write": names["rw"],
        "read_only": names["ro"],
        "copies": names["copy"],
        "directories": f"{names['rw']} {names['ro']}",
        "share_projects": "yes" if wanted.share == "workspace" else "",
        "project": " ".join(wanted.project),
        "provide": wanted.provide,
        "guard": wanted.guard,
        "owner": wanted.owner,
        "user": wanted.user,
        "network": wanted.network,
        "memory": wanted.memory,
        "cpus": wanted.cpus,
        "command": wanted.command or IDLE,
        "ports": " ".join(str(record.ports[name]) for name in wanted.ports),
        "mounts": "\n".join(
            "\t".join([item.src, item.dest or item.src, "ro" if item.mode == "ro" else ""])
            for item in wanted.mounts
        ),
    }


def _removal(workspace: Workspace, record: Record, whole: str) -> PyinfraCommand:
    """The end of the container; of the `whole` workspace's dev containers too."""
    root = workspace.observed.target.root
    names = {
        "container": record.container,
        "topic": record.topic,
        "worktree": record.worktree,
        "whole": whole,
        "private": f"{root}/{private(record.key)}",
        "force": "yes" if workspace.request.force else "",
    }
    return run(workspace, names, _ENGINE + _REMOVE, told(workspace))


@step
def container_removed(workspace: Workspace) -> Iterator[PyinfraCommand]:
    """Have no container, nor a dev container; what they alone had of Claude's stays."""
    record = workspace.record
    there = record and (record.container or workspace.observed.container.dev)
    if record and there and record.state is not State.ENDED:
        yield _removal(workspace, record, "yes")
