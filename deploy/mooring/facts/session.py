"""The session in the target's store: whether Claude has a transcript of it there."""

from __future__ import annotations

import msgspec

FRAGMENT = r"""
probe_session() {
  store=${CLAUDE_CONFIG_DIR:-$HOME/.claude}
  say store "$store"
  if [ -z "$r_session" ]; then return; fi
  for _file in "$store"/projects/*/"$r_session.jsonl"; do
    if [ -s "$_file" ]; then say transcript "$(wc -c <"$_file" | tr -d ' ') $_file"; fi
  done
}
"""


class Transcript(msgspec.Struct, frozen=True):
    """One transcript file; `size` in bytes."""

    path: str
    size: int


class Session(msgspec.Struct, frozen=True):
    """What the store has of the recorded session."""

    store: str
    transcripts: tuple[Transcript, ...]


def parse(said: dict[str, str], transcripts: list[str]) -> Session:
    """The session among what the probe said."""
    rows = [line.split(" ", 1) for line in transcripts]
    return Session(said["store"], tuple(Transcript(path, int(size)) for size, path in rows))
