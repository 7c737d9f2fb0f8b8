"""Records on the target: how one stands on disk, and which are there for an agent and topic."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import msgspec

from ..errors import MooringError
from ..model import Key, Record, parse_record
from ..repo import source_key
from ..script import content

FRAGMENT = r"""
r_repo= r_source= r_state= r_worktree= r_branch= r_base= r_commit= r_session= record=
r_container= r_image= r_store=
load() { # the fields of a record that the probe itself needs, in one sed
  {
    IFS= read -r r_repo; IFS= read -r r_source; IFS= read -r r_state; IFS= read -r r_worktree
    IFS= read -r r_branch; IFS= read -r r_base; IFS= read -r r_commit; IFS= read -r r_session
    IFS= read -r r_container; IFS= read -r r_image; IFS= read -r r_store
  } <<FIELDS
$(sed -n -e '/^"repo": "/bk' -e '/^"source": "/bk' -e '/^"state": "/bk' \
    -e '/^"worktree": "/bk' -e '/^"branch": "/bk' \
    -e '/^"base": "/bk' -e '/^"commit": "/bk' -e '/^"session": "/bk' \
    -e '/^"container": "/bk' -e '/^"image": "/bk' -e '/^"store": "/bk' -e d \
    -e :k -e 's/^"[a-z]*": "\(.*\)",\{0,1\}$/\1/' -e "$unescape" -e p "$1")
FIELDS
}
find_record() { # loads the record of this repo
  for _file in "$root/records"/*/"$agent/$topic.json"; do
    [ -f "$_file" ] && [ -z "$record" ] || continue
    load "$_file"
    if [ "$r_repo" = "$identity" ] || [ "$r_source" = "$repo" ]; then record=$_file; fi
  done
  if [ -n "$record" ]; then
    # A topic used anew after its end chooses base, branch and path again.
    if [ -z "$resumes" ] && [ "$r_state" = ended ]; then r_worktree= r_branch= r_base=; fi
  else
    r_repo= r_source= r_state= r_worktree= r_branch= r_base= r_commit= r_session=
    r_container= r_image= r_store=
  fi
}
probe_record() { # says every record of this agent and topic
  for _file in "$root/records"/*/"$agent/$topic.json"; do
    if [ -f "$_file" ]; then say_file record "$_file"; fi
  done
}
"""


def find(files: Sequence[bytes], identity: str, source: str) -> tuple[Record | None, str]:
    """The repo's own record among those found: by identity, or where the repo is gone by path.

    With it the sha256 of its file: an older Mooring wrote the same record as another text.
    """
    records = [(parse_record(raw), sha256(raw).hexdigest()) for raw in files]
    same = [found for found in records if found[0].repo == identity]
    same += [found for found in records if found[0].source == source]
    return same[0] if same else (None, "")


def path(key: Key) -> str:
    """Where the record lives, relative to the root."""
    return f"records/{source_key(key.repo)}/{key.agent}/{key.topic}.json"


def text(record: Record) -> str:
    """A record as its file's text: JSON with one key a line, which sh reads with sed."""
    fields: dict[str, Any] = msgspec.to_builtins(record)
    lines = [f'"{name}": {_value(value, name)}' for name, value in fields.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _value(value: Any, name: str) -> str:
    if isinstance(value, list):
        return "[\n" + ",\n".join(f" {_json(item)}" for item in value) + "\n]"
    if isinstance(value, dict) and name != "ports":
        items = (f" {_json(key)}: {_json(item)}" for key, item in value.items())
        return "{\n" + ",\n".join(items) + "\n}"
    return _json(value)


def _json(value: Any) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:
        raise MooringError(f"Cannot write {value!r} to the record: it is not UTF-8") from None


def from_answer(lines: Sequence[str]) -> tuple[Record, str]:
    """The record that a script printed as base64, and the sha256 of its file."""
    try:
        raw = content("".join(lines))
        return parse_record(raw), sha256(raw).hexdigest()
    except ValueError:  # of base64, or not even ASCII
        raise MooringError("Cannot read the record that the target sent") from None
