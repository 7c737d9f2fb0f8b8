"""The repo's `mooring.yaml`, the user's config and overrides: read, and checked.

An error names the key, its line and the nearest known key.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from .document import (
    AgentSpec,
    Build,
    CacheSpec,
    CheckoutSpec,
    ClaudeSpec,
    Container,
    Copy,
    Credential,
    File,
    FilesSpec,
    GitSpec,
    Mount,
    Secret,
    Symlink,
    Template,
)
from .errors import MooringError
from .problems import problems
from .spec import MAX_BYTES, Layers

LATER = frozenset(
    {
        "prebuild",
    }
)
"""Keys of the format that this version does not act on: refused rather than ignored."""


def load_user(directory: Path, topic: str, agent: str = "dev") -> Layers:
    """The user's own files: `config.yaml` and `overrides/<topic>.yaml`, where they exist."""
    user = _load(directory / "config.yaml")
    overrides = _load(directory / "overrides" / f"{topic}.yaml")
    return Layers(
        user=user,
        overrides=overrides,
        agent=agent,
        texts=_texts(directory, user, overrides),
        ci=os.environ.get("CI", "").lower() not in ("", "0", "false"),
    )


def _texts(directory: Path, *files: File) -> dict[str, bytes]:
    """What the user's own files name in the config directory, of those that are there."""
    entries = [item for file in files for item in (*file.files.template, *file.files.copy)]
    wanted = {item.src for item in entries if not isinstance(item, str) and item.root == "user"}
    found = {}
    for src in wanted:
        try:
            found[src] = (directory / src).read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise MooringError(f"Cannot read {directory / src}: {error.strerror}") from None
    return found


def user_directory() -> Path:
    """Where the user's own configuration is: `~/.config/mooring` on Linux."""
    import platformdirs

    return Path(platformdirs.user_config_dir("mooring"))


def _load(path: Path) -> File:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return File()
    except OSError as error:
        raise MooringError(f"Cannot read {path}: {error.strerror}") from None
    return parse(data, str(path))


def parse(data: bytes, name: str = "mooring.yaml") -> File:
    """One file of the format.

    Raises MooringError naming the key, its line and the nearest known key. Aliases and tags are
    refused: a few lines of them can stand for gigabytes, or for objects.
    """
    document, lines = plain_yaml(data, name)
    return checked(document or {}, name, lines)


def checked(document: object, name: str, lines: Mapping[str, int]) -> File:
    """Plain data as one file of the format; `lines` has where each `$.path` of it stands.

    Raises MooringError as `parse`.
    """
    try:
        file = msgspec.convert(document, File)
    except msgspec.ValidationError as error:
        raise _explain(error, name, lines) from None
    for path, problem in problems(file):
        raise _error(name, _line(path, lines), problem)
    return file


def plain_yaml(data: bytes, name: str, at: str = "$") -> tuple[Any, dict[str, int]]:
    """A YAML document as plain data, and the line of each `$.path` in it; refused as in `parse`.

    `at` is the path of the document itself, where it is a part of a file.
    """
    if not data.strip():
        return {}, {}
    if len(data) > MAX_BYTES:
        raise MooringError(f"Cannot read {name}: it is larger than 1 MiB")
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    lines: dict[str, int] = {}
    try:
        depth = 0
        for event in yaml.parse(data, loader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            _check_event(event, name, depth)
        node = yaml.compose(data, loader)
        return (_build(node, at, lines, name) if node else {}), lines
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "it is not YAML"
        raise _error(name, mark.line + 1 if mark else None, str(problem)) from None
    except ValueError:
        raise MooringError(f"Cannot read {name}: it is not YAML of ours") from None


def _check_event(event: Any, name: str, depth: int) -> None:
    """Refuse what could grow or run; libyaml itself crashes on very deep nesting."""
    line = event.start_mark.line + 1
    if depth > 10:
        raise _error(name, line, "it is nested too deeply")
    if getattr(event, "anchor", None):
        raise _error(name, line, "anchors and aliases are not supported")
    if getattr(event, "tag", None):
        raise _error(name, line, f"the tag {event.tag} is not supported")


def _build(node: Any, path: str, lines: dict[str, int], name: str) -> Any:
    """Plain data from YAML nodes; values of `env` and modes stay as they are written."""
    import yaml

    lines[path] = node.start_mark.line + 1
    if path.startswith("$.env.") and not isinstance(node, yaml.ScalarNode):
        raise _error(name, lines[path], f"{path.removeprefix('$.')} must be text")
    if isinstance(node, yaml.SequenceNode):
        return [_build(item, f"{path}[{i}]", lines, name) for i, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        result: dict[str, Any] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise _error(name, line, "a key must be one word")
            if key.value in result:
                raise _error(name, line, f"{key.value!r} stands there twice")
            result[key.value] = _build(value, f"{path}.{key.value}", lines, name)
            lines[f"{path}.{key.value}"] = line
        return result
    kind = node.tag.rpartition(":")[2]
    if kind == "null":
        return None
    if path.startswith("$.env.") or path.endswith("].mode") or kind not in ("int", "bool"):
        return node.value
    if kind == "bool":
        return node.value.lower() in ("true", "yes", "on")
    try:
        return int(node.value, 0)
    except ValueError:
        problem = f"{node.value} is no number that is safe to read: quote it if it is text"
        raise _error(name, lines[path], problem) from None


def _explain(error: msgspec.ValidationError, name: str, lines: Mapping[str, int]) -> MooringError:
    """Turn msgspec's ``… - at `$.path` `` into a sentence with a line."""
    text, _, where = str(error).partition(" - at ")
    path = where.strip("`") or "$"
    path = path.replace("[...]", ".*")
    unknown = re.search(r"unknown field `(.*)`", text)
    if unknown:
        key = f"{path}.{unknown[1]}"
        full = key.removeprefix("$.")
        if full in LATER:
            return _error(name, lines.get(key), f"{full!r} is not supported by this version yet")
        near = difflib.get_close_matches(unknown[1], _known(path), 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return _error(name, lines.get(key), f"unknown key {full!r}{hint}")
    if path == "$":
        return _error(name, lines.get("$"), "it must be keys with values, such as `base: main`")
    if path == "$.version":
        return _error(name, _line(path, lines), "version: this Mooring reads version 1")
    return _error(name, _line(path, lines), f"{path.removeprefix('$.')}: {text}")


def _line(path: str, lines: Mapping[str, int]) -> int | None:
    while path not in lines:
        shorter = re.sub(r"(\.[^.\[]*|\[[^\]]*\])$", "", path)
        if shorter == path:
            return None
        path = shorter
    return lines[path]


def _known(path: str) -> list[str]:
    kinds: dict[str, type[msgspec.Struct]] = {
        "$": File,
        "$.files": FilesSpec,
        "$.claude": ClaudeSpec,
        "$.cache": CacheSpec,
        "$.container": Container,
        "$.container.build": Build,
        "$.checkout": CheckoutSpec,
        "$.git": GitSpec,
        "$.git.credential": Credential,
    }
    if path.startswith("$.secrets."):
        kinds[path] = Secret
    if path.startswith("$.files.template"):
        kinds[path] = Template
    if path.startswith("$.container.mounts"):
        kinds[path] = Mount
    if path.startswith("$.files.symlink"):
        kinds[path] = Symlink
    if path.startswith("$.agents."):
        path = re.sub(r"^\$\.agents\.[^.]*\.git", "$.git", path)
        kinds[path] = kinds.get(path, AgentSpec)
    return list(kinds.get(path, Copy).__struct_encode_fields__)


def _error(name: str, line: int | None, problem: str) -> MooringError:
    where = f"{name} line {line}" if line else name
    return MooringError(f"Cannot read {where}: {problem}", "docs/configuration.md has every key")
