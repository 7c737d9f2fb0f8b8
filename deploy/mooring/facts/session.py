"""The session in the target's store: transcripts, what hooks recorded, who is running, settings."""

from __future__ import annotations

import msgspec

from ..claude import events, hooks, live
from ..script import content

NAMES = f"settings_name={hooks.SETTINGS}\n"
"""What other fragments have to know of this one."""

FRAGMENT = rf"""
{NAMES}events_name={events.FILE} pids_name={live.DIRECTORY}
r_kept= # where an end keeps what a resume brings back
probe_session() {{
  store=${{CLAUDE_CONFIG_DIR:-$HOME/.claude}}
  say own_store "$store"
  store=${{r_store:-$store}}
  say store "$store"
  say now "$(date +%s)"
  if [ -f "$store/.last-cleanup" ]; then say cleaned "$(size_and_time "$store/.last-cleanup")"; fi
  _ids="$sessions $r_session"
  if [ -n "$target_id" ] && [ -f "$store/$events_name" ]; then
    _lines=$(tr -d '\000' <"$store/$events_name" |
      grep -F "\"workspace\":\"$target_id $agent $topic " | tail -n 50)
    say events "$_lines"
    _ids="$_ids $(printf '%s\n' "$_lines" |
      sed -n 's/.*"session_id": *"\([0-9a-f-]*\)".*/\1/p' | uniq | tail -n 8)"
  fi
  set -- -e "\"cwd\":\"$path"
  for _id in $_ids; do
    set -- "$@" -e "$_id"
    for _file in "$store"/projects/*/"$_id.jsonl"; do
      if [ ! -s "$_file" ]; then continue; fi
      if [ -r "$_file" ]; then say transcript "$(size_and_time "$_file") $_file"
      else say unreadable "$_file"; fi
    done
  done
  if [ -d "$store/$pids_name" ]; then
    for _file in $(cd -- "$store/$pids_name" && find . -name '*.json' -type f \
      -exec grep -l -F "$@" {{}} + 2>/dev/null); do
      _pid=${{_file#./}} _pid=${{_pid%.json}}
      case $_pid in '' | *[!0-9]*) continue ;; esac
      if kill -0 "$_pid" 2>/dev/null; then probe_process; fi
    done
  fi
  if [ -n "$project" ]; then
    for _file in "$store/projects/$project"/*.jsonl; do
      # Another path can have the same directory there.
      if [ -s "$_file" ] && head -c 1048576 -- "$_file" | grep -qF "\"cwd\":\"$path\""
      then say held "$(size_and_time "$_file") $_file"; fi
    done
  fi
  if [ -n "$record" ]; then r_kept=${{record%.json}}.kept; fi
  say_settings settings "$path"
  if [ -L "$path/$settings_name" ] || [ -L "$path/.claude" ]; then say linked yes; fi
  if [ -n "$r_kept" ] && [ -f "$r_kept/settings" ]; then
    say_file kept_settings "$r_kept/settings"; fi
  if [ -n "$checkout" ]; then say_settings source_settings "$checkout"; fi
}}
size_and_time() {{ stat -L -c '%s %Y' -- "$1" 2>/dev/null || stat -L -f '%z %m' -- "$1"; }}
probe_process() {{ # says what a pid file says, behind when the kernel started that process
  _stat=; [ -r "/proc/$_pid/stat" ] && IFS= read -r _stat <"/proc/$_pid/stat"
  _began=
  if [ -n "$_stat" ]; then
    set -- ${{_stat##*) }}; _began=${{20}}
    case $1 in Z | X) return 0 ;; esac # it only waits to be reaped
  fi
  say live "$_began $(head -c 65536 "$store/$pids_name/$_pid.json")"
}}
say_settings() {{ # NAME DIR: the settings there, if they are a plain file
  if [ -f "$2/$settings_name" ] && [ ! -L "$2/$settings_name" ] && [ ! -L "$2/.claude" ]; then
    say_file "$1" "$2/$settings_name"; fi
}}
"""


class Transcript(msgspec.Struct, frozen=True):
    """One transcript file; `size` in bytes, `modified` in epoch seconds."""

    path: str
    size: int
    modified: int

    @property
    def session(self) -> str:
        """The id of its session."""
        return self.path.rpartition("/")[2].removesuffix(".jsonl")


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """What the store has of the workspace's sessions, and the worktree of Claude's settings."""

    store: str
    """Where the conversation is kept."""
    own_store: str
    """The store of the target's user, which is that one unless a container has its own."""
    transcripts: tuple[Transcript, ...]
    """Of every session that the record, the registry or a hook names."""
    unreadable: tuple[str, ...]
    """Transcripts of those sessions that whoever looked can't read."""
    held: tuple[Transcript, ...] | None
    """Of any session that began in the worktree itself; None where nobody asked."""
    events: tuple[events.Event, ...]
    """What hooks recorded of this agent and topic, of any repo, oldest first."""
    running: tuple[live.Live, ...]
    cleaned: int
    """When Claude last deleted old transcripts (epoch seconds); 0 if it never did."""
    settings: bytes | None
    """The worktree's own settings, as they are."""
    kept_settings: bytes | None
    """Those that the last end kept."""
    linked: bool
    """Whether those are a symlink, or lie behind one: then they are not ours to write."""
    source_settings: bytes | None
    """Those of the main checkout."""

    def of(self, session: str) -> Transcript | None:
        """The transcript of one session, if it has one."""
        return next((item for item in self.transcripts if item.session == session), None)

    @property
    def ids_running(self) -> frozenset[str]:
        """The ids of sessions that run on the target now, as far as they matter here."""
        return frozenset(item.session for item in self.running)

    def inside(self, worktree: str) -> live.Live | None:
        """Who runs a session in a directory or below it, if somebody does."""
        return next(
            (item for item in self.running if f"{item.cwd}/".startswith(f"{worktree}/")), None
        )

    def process(self, session: str) -> live.Live | None:
        """Who runs one session, if somebody does."""
        return next((item for item in self.running if item.session == session), None)


def parse(
    said: dict[str, str],
    transcripts: list[str],
    unreadable: list[str],
    running: tuple[live.Live, ...],
    held: list[str] | None,
) -> Session:
    """The session among what the probe said."""

    def file(name: str) -> bytes | None:
        return content(said[name]) if name in said else None

    return Session(
        store=said["store"],
        own_store=said["own_store"],
        transcripts=_transcripts(transcripts),
        unreadable=tuple(unreadable),
        held=None if held is None else _transcripts(held),
        events=tuple(events.parse(said.get("events", "").split("\n"), int(said["now"]))),
        running=running,
        cleaned=int(said.get("cleaned", "0 0").split()[1]),
        settings=file("settings"),
        kept_settings=file("kept_settings"),
        linked="linked" in said,
        source_settings=file("source_settings"),
    )


def _transcripts(lines: list[str]) -> tuple[Transcript, ...]:
    rows = (line.split(" ", 2) for line in lines)
    return tuple(Transcript(path, int(size), int(at)) for size, at, path in rows)
