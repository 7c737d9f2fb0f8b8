"""The workspace's container and the image it is made from, as the target's Docker engine has them.

Nothing is asked where neither the record nor the spec has one.
"""

from __future__ import annotations

import msgspec

from ..claude import live

PRIVATE = r"""
private_of() { # RECORD: sets private to the directory of what its container alone has
  private=${1%.json} private=$root/containers/${private#"$root/records/"}
}
"""

FRAGMENT = rf"""
{PRIVATE}sessions_name={live.DIRECTORY}
probe_container() {{ # the recorded container, and the image that is wanted or recorded
  : "${{image:=$r_image}}"
  say image "$image"
  dev=
  if [ -n "$record" ]; then
    private_of "$record"
    if [ -f "$private/devcontainer.json" ]; then dev=yes; fi
  fi
  if [ -z "$image$r_container$dev" ]; then return 0; fi
  say dev "$dev"
  say owner "$(id -u):$(id -g)"
  if command -v docker >/dev/null; then say engine docker
  elif command -v podman >/dev/null; then say engine podman; return 0; fi
  set --
  for _name in "$r_container" "$image"; do if [ -n "$_name" ]; then set -- "$@" "$_name"; fi; done
  if [ $# -gt 0 ]; then say inspected "$(docker inspect --format '{{{{json .}}}}' -- "$@" 2>&1)"; fi
  if [ -n "$r_container" ]; then probe_inside "$r_container"; fi
  if [ -n "$dev" ]; then
    for _box in $(docker ps --quiet --filter "label=mooring.kind=devcontainer" \
      --filter "label=mooring.worktree=$path" 2>/dev/null); do probe_inside "$_box"; done
  fi
  if [ -n "$common" ]; then
    say told "$(quiet_git config --file "$common/config" --no-includes --get-regexp \
      '^(remote\..*url|http\..*extraheader)$' 2>/dev/null | grep -e 'extraheader ' \
      -e '://[^/@ ]*:[^/@ ]*@' -e '://\(gh[a-z]_\|github_pat_\|glpat-\)[^/@ ]*@' | sed 's/ .*//')"
  fi
}}
probe_inside() {{ # CONTAINER: who runs Claude in there: its pids are those of another namespace
  _in=$1
  set --
  if [ -L "$private/claude/$sessions_name" ]; then return 0; fi
  for _file in "$private/claude/$sessions_name"/*.json; do
    _pid=${{_file##*/}} _pid=${{_pid%.json}}
    case $_pid in '' | *[!0-9]*) continue ;; esac
    if [ -f "$_file" ] && [ ! -L "$_file" ]; then set -- "$@" "$_pid"; fi
  done
  if [ $# -eq 0 ]; then return 0; fi
  _limit=$(command -v timeout >/dev/null && echo timeout -k 1 5)
  while read -r _pid _stat; do
    case $_pid in '' | *[!0-9]*) continue ;; esac # whoever is in there says that
    if [ ! -f "$private/claude/$sessions_name/$_pid.json" ]; then continue; fi
    _stat=${{_stat##*) }}
    case $_stat in '' | [ZX]*) continue ;; esac # it only waits to be reaped
    set -- $_stat
    say inside "${{20}} $(head -c 65536 "$private/claude/$sessions_name/$_pid.json")"
  done <<INSIDE
$($_limit docker exec --workdir / -- "$_in" sh -c 'for p; do
    if read -r s <"/proc/$p/stat"; then echo "$p $s"; fi; done
    sleep 0.1 # else an engine with much to do can lose it: moby/moby#27289
    ' sh "$@" 2>/dev/null)
INSIDE
}}
"""


class Inspected(msgspec.Struct, frozen=True):
    """A container as it is: its name is the record's."""

    status: str
    """`created`, `running`, `paused`, `exited` …, as ``docker inspect`` has it."""
    image: str
    """The id of the image it was made from."""
    labels: dict[str, str]

    @property
    def digest(self) -> str:
        """What it was made from (see container.label), '' for one that isn't ours."""
        return self.labels.get("mooring.digest", "")


class Engine(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine said; all of it '' or None where nobody asked."""

    asked: str
    """The image that was asked for."""
    name: str
    """`docker`; `podman` where only that is there; '' where there is neither."""
    owner: str
    """The uid and gid of the target's user, with a colon between."""
    image_id: str
    """'' if the engine doesn't have the image."""
    found: Inspected | None
    """The recorded container, None if the engine doesn't have it."""
    inside: tuple[live.Live, ...]
    """Who runs Claude in it; their pids are those of the container."""
    dev: bool
    """Whether a dev container was made for the workspace, which may be there still."""
    told: tuple[str, ...]
    """Keys of the repo's config whose values hold a token or a password."""
    problem: str
    """Why the engine did not answer, in its own words."""


class _State(msgspec.Struct, rename="pascal"):
    status: str = ""


class _Config(msgspec.Struct, rename="pascal"):
    labels: dict[str, str] | None = None


class _Said(msgspec.Struct, rename="pascal"):
    id: str
    image: str = ""
    config: _Config | None = None
    state: _State | None = None


def parse(said: dict[str, str], inside: tuple[live.Live, ...]) -> Engine:
    """The container among what the probe said."""
    lines = said.get("inspected", "").split("\n")
    objects = [msgspec.json.decode(line, type=_Said) for line in lines if line.startswith("{")]
    others = [line for line in lines if line and not line.startswith("{")]
    containers = [item for item in objects if item.state]
    images = [item for item in objects if not item.state]
    return Engine(
        asked=said.get("image", ""),
        name=said.get("engine", ""),
        owner=said.get("owner", ""),
        image_id=images[0].id if images else "",
        found=_inspected(containers[0]) if containers else None,
        inside=inside,
        dev=bool(said.get("dev")),
        told=tuple(said.get("told", "").split()),
        problem=next((line for line in others if "no such object" not in line.lower()), ""),
    )


def _inspected(said: _Said) -> Inspected:
    labels = said.config.labels if said.config else None
    return Inspected(said.state.status if said.state else "", said.image, labels or {})
