"""What `--set key=value` says of a session: kept as text in its record, read as a file. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from .config import checked, plain_yaml
from .document import File
from .errors import MooringError
from .spec import Layers

OPTION = "--set"
REFUSED = {
    "secrets": "a setting is recorded on the target, which has no say in the secrets of this host; "
    "overrides/TOPIC.yaml in your config directory can name them",
    "agents": "a session has one agent; git.name and the like are for it",
}
"""Keys that no setting may have, and why."""


def combined(
    recorded: Iterable[str], given: Iterable[str], unset: Iterable[str]
) -> tuple[str, ...]:
    """The settings that hold: those given replace earlier ones of the same key.

    Doing it twice changes nothing.
    """
    taken_back = set(unset)
    kept = {_key(one): one for one in recorded if _key(one) not in taken_back}
    return tuple({**kept, **{_key(one): one for one in given}}.values())


def over_layers(layers: Layers, settings: Sequence[str]) -> Layers:
    """The layers with the settings as the strongest. Raises MooringError as `read`."""
    return msgspec.structs.replace(layers, set=read(settings)) if settings else layers


def read(settings: Iterable[str]) -> File:
    """The settings as one file of the format.

    Raises MooringError naming the key, and for an unknown one the nearest that is known.
    """
    document: dict[str, Any] = {}
    for one in settings:
        key, _, value = one.partition("=")
        path = _path(key)
        if path[0] in REFUSED:
            raise MooringError(f"Cannot read {OPTION} {key}: {REFUSED[path[0]]}")
        document = _merged(document, _nested(path, _value(path, key, value)))
    return checked(document, OPTION, {})


def keys(settings: Iterable[str]) -> frozenset[str]:
    """Their keys."""
    return frozenset(map(_key, settings))


def _key(setting: str) -> str:
    return setting.partition("=")[0]


def _path(key: str) -> list[str]:
    """The keys of a dotted one; names of variables have no dots."""
    return key.split(".", 1) if key.startswith("env.") else key.split(".")


def _value(path: list[str], key: str, text: str) -> Any:
    """YAML as plain data; of a variable the text as it stands."""
    if (path[0] == "env" and len(path) > 1) or not text.strip():
        return text
    at = ".".join(["$", *path])
    return plain_yaml(text.encode(), f"{OPTION} {key}", at)[0]


def _nested(path: list[str], value: Any) -> dict[str, Any]:
    for name in reversed(path):
        value = {name: value}
    return dict(value)


def _merged(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    """Both as one; of anything but mappings the later has the say."""
    merged = dict(low)
    for name, value in high.items():
        there = merged.get(name)
        if isinstance(there, dict) and isinstance(value, dict):
            value = _merged(there, value)
        merged[name] = value
    return merged
