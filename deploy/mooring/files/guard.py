"""What the pre-commit guard knows of secrets: their lines as salted hashes, never as values. Pure.

operations/guard.py has the hook that reads it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from urllib.parse import quote

from ..facts import record as record_file
from ..model import Key, Record
from .templates import dotenv_quote, shell_quote

SHORTEST = 8
"""Of a line that is looked for, in bytes: a shorter one is in every other commit."""
PRIME = 1048573
"""What a line's checksum is less than: 256 times its square is a whole number in any awk."""


def directory(root: str, key: Key) -> str:
    """The directory on the target with a workspace's guard: its hooks and its hashes."""
    return f"{root}/{record_file.path(key).removesuffix('.json')}.guard"


def settings(place: str) -> tuple[tuple[str, str], ...]:
    """What git is told of a guard in `place`; in the environment it beats the repo's own config."""
    return (("core.hooksPath", place),)


def hashes(record: Record, values: Iterable[str]) -> str:
    """What the hook compares with: the salt, then length, checksum and sha256 of each line.

    The checksum (20 bits) of its end only tells awk which few texts are worth a sha256.
    """
    salt = _salt(record)
    lines = dict.fromkeys(
        line for value in values for form in _forms(value) for line in _lines(form)
    )
    return "\n".join([_head(salt), *(_hash(salt, line) for line in lines)]) + "\n"


def unguarded(values: Mapping[str, str]) -> list[str]:
    """The names of secrets of which no line is long enough to be looked for."""
    return [name for name, value in values.items() if not any(_lines(value))]


def _salt(record: Record) -> str:
    """One for each workspace, and no other anywhere: a target's id is random (a UUID)."""
    key = record.key
    named = "\0".join((record.target, key.repo, key.agent, key.topic, str(record.created)))
    return sha256(f"mooring guard\0{named}".encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _head(salt: str) -> str:
    return f"salt {salt} {_factor(salt)}"


def _factor(salt: str) -> int:
    return 256 + int(salt[:8], 16) % (PRIME - 512)


def _hash(salt: str, line: bytes) -> str:
    checksum = 0
    for byte in line[-SHORTEST:]:
        checksum = (checksum * _factor(salt) + byte) % PRIME
    return f"{len(line)} {checksum} {sha256(salt.encode() + line).hexdigest()}"


def _lines(text: str) -> Iterator[bytes]:
    """Each line that is worth a search; the frame of a PEM file is no secret."""
    for line in text.splitlines():
        found = line.strip().encode("utf-8", "surrogateescape")
        if len(found) >= SHORTEST and not found.startswith(b"-----"):
            yield found


def _forms(value: str) -> tuple[str, ...]:
    """The value plain, as the filters of templates quote it, in a URL, and in JSON."""
    in_json = json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]
    return (value, dotenv_quote(value)[1:-1], shell_quote(value), quote(value, safe=""), *in_json)
