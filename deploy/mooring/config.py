"""The repo's `mooring.yaml`, the user's config and overrides: read, and checked.

An error names the key, its line and the nearest known key.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from .document import (
    AgentSpec,
    CacheSpec,
    CheckoutSpec,
    ClaudeSpec,
    Copy,
    Credential,
    File,
    FilesSpec,
    GitSpec,
    Secret,
    Symlink,
    Template,
    When,
)
from .errors import MooringError
from .model import AGENT, FILTER
from .paths import is_inside, pattern_problem, place_problem
from .spec import MAX_BYTES, Layers

LATER = frozenset(
    {
        "prebuild",
        "container",
        "claude.share",
    }
)
"""Keys of the format that this version does not act on: refused rather than ignored."""

PLATFORMS = ("linux", "darwin")
"""What `uname -s` of a target may say, in lower case."""

_PORT = re.compile(r"[a-z][a-z0-9_-]{0,30}")
_ENV = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_FIXED = re.compile(r"WORK_[A-Z_]+|PORT(_[A-Z0-9_]+)?|CLAUDE_SESSION_ID")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_MODE = re.compile(r"0?[0-7]{3}")


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
    for path, problem in _problems(file):
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
        "$.checkout": CheckoutSpec,
        "$.git": GitSpec,
        "$.git.credential": Credential,
    }
    if path.startswith("$.secrets."):
        kinds[path] = Secret
    if path.startswith("$.files.template"):
        kinds[path] = Template
    if path.startswith("$.files.symlink"):
        kinds[path] = Symlink
    if path.startswith("$.agents."):
        path = re.sub(r"^\$\.agents\.[^.]*\.git", "$.git", path)
        kinds[path] = kinds.get(path, AgentSpec)
    return list(kinds.get(path, Copy).__struct_encode_fields__)


def _error(name: str, line: int | None, problem: str) -> MooringError:
    where = f"{name} line {line}" if line else name
    return MooringError(f"Cannot read {where}: {problem}", "docs/configuration.md has every key")


def _problems(file: File) -> Iterator[tuple[str, str]]:
    """What types can't say, as (path, problem)."""
    for index, port in enumerate(file.ports):
        if not _PORT.fullmatch(port):
            yield f"$.ports[{index}]", f"{port!r} is no port name: use a-z 0-9 _ -"
    for key, value in file.env.items():
        if not _ENV.fullmatch(key):
            yield f"$.env.{key}", f"{key!r} is no environment variable name"
        if _FIXED.fullmatch(key):
            yield f"$.env.{key}", f"{key} is set by Mooring itself"
        if "\0" in value:
            yield f"$.env.{key}", "a value cannot hold a NUL byte"
    yield from _file_problems(file.files)
    yield from _secret_problems(file.secrets)
    for index, entry in enumerate(file.setup):
        text = entry if isinstance(entry, str) else entry.run
        if not text.strip() or "\0" in text:
            yield f"$.setup[{index}]", "it needs a command"
        if not isinstance(entry, str) and entry.timeout < 1:
            yield f"$.setup[{index}]", "timeout is in seconds, at least 1"
    if file.cache.filter and not FILTER.fullmatch(file.cache.filter):
        yield "$.cache.filter", f"{file.cache.filter!r} is no filter: use blob:none or tree:0"
    for index, place in enumerate(file.checkout.sparse):
        if not is_inside(place) or re.search(r"[*?\[]", place):
            yield f"$.checkout.sparse[{index}]", f"{place!r} is no directory of the repo"
    for name in file.agents:
        if not AGENT.fullmatch(name):
            yield f"$.agents.{name}", f"{name!r} is no agent: use a-z 0-9 _ -, 32 at most"
    gits = {"$.git": file.git, **{f"$.agents.{k}.git": v.git for k, v in file.agents.items()}}
    for path, git in gits.items():
        words = git.credential.command if git.credential else []
        if git.credential and not words:
            yield f"{path}.credential.command", "it needs a command, as a list of words"
        user = git.credential.username if git.credential else ""
        if any(_CONTROL.search(word) for word in (git.name, git.email, git.signing_key, user)):
            yield path, "a value cannot hold control characters"
        if any("\0" in word or "\n" in word for word in words):
            yield f"{path}.credential.command", "a word cannot hold a newline"
    for index, pattern in enumerate(file.disposable):
        if not re.sub(r"[\s*?/.\[\]]", "", pattern) or re.search(r"[\n:!]", pattern):
            yield f"$.disposable[{index}]", f"{pattern!r} would make everything disposable"


def _file_problems(files: FilesSpec) -> Iterator[tuple[str, str]]:
    for name, patterns in (("copy", files.copy), ("skip", files.skip)):
        for index, item in enumerate(patterns):
            if not isinstance(item, str):
                continue
            problem = pattern_problem(item)
            if not item.strip() or "\n" in item or item.startswith("!"):
                problem = f"is no pattern of files to {name}"
            if problem:
                yield f"$.files.{name}[{index}]", f"files.{name}: {item!r} {problem}"
    named: tuple[tuple[str, list[Any]], ...] = (
        ("copy", files.copy),
        ("template", list(files.template)),
        ("symlink", files.symlink),
    )
    for name, entries in named:
        for index, entry in enumerate(entries):
            path = f"$.files.{name}[{index}]"
            if isinstance(entry, str) and name == "symlink":
                if re.search(r"[*?\[]", entry):
                    yield path, f"{entry!r} is a pattern: a symlink is for one path"
                problem = place_problem(entry.strip("/"))
                if problem:
                    yield path, f"{entry!r} {problem}"
            elif not isinstance(entry, str):
                yield from _place_problems(path, entry)
                yield from _when_problems(path, entry.when)
                mode = "" if isinstance(entry, Symlink) else entry.mode
                if mode and not _MODE.fullmatch(mode):
                    yield path, f'{mode!r} is no file mode: use one such as "0600"'
    for index, item in enumerate(files.required):
        path = f"$.files.required[{index}]"
        if re.search(r"[*?\[]", item):
            yield path, f"{item!r} is a pattern: each of files.required is one path"
        yield from _inside_problems(path, item)
    for index, item in enumerate(files.lists):
        yield from _inside_problems(f"$.files.from[{index}]", item)


def _inside_problems(path: str, place: str) -> Iterator[tuple[str, str]]:
    problem = place_problem(place)
    if problem:
        yield path, f"{place!r} {problem}"


def _when_problems(path: str, when: When) -> Iterator[tuple[str, str]]:
    name = when.platform
    if name and name not in PLATFORMS:
        near = "darwin" if re.match(r"mac|os-?x|apple", name.lower()) else ""
        found = [near] if near else difflib.get_close_matches(name.lower(), PLATFORMS, 1)
        hint = f"; did you mean {found[0]!r}?" if found else ""
        yield path, f"when.platform: {name!r} is none of {', '.join(PLATFORMS)}{hint}"


def _place_problems(path: str, entry: Copy | Symlink | Template) -> Iterator[tuple[str, str]]:
    places = [entry.src, entry.dest or entry.src]
    if entry.root == "target":
        places = [entry.dest]
        if not entry.src.startswith("/") or not is_inside(entry.src[1:]):
            yield path, f"{entry.src!r} is no absolute path: root: target is for those"
        if not entry.dest:
            yield path, "it needs a dest"
            return
    for place in places:
        yield from _inside_problems(path, place)


def _secret_problems(secrets: dict[str, Secret]) -> Iterator[tuple[str, str]]:
    for name, secret in secrets.items():
        path = f"$.secrets.{name}"
        if not _ENV.fullmatch(name):
            yield path, f"{name!r} is no name for a secret: use letters, digits and _"
        if sum(map(bool, (secret.command, secret.env, secret.file))) != 1:
            yield path, "it needs one of command, env and file"
        program = secret.command[0] if secret.command else "/"
        if any("\0" in word for word in (*secret.command, secret.env, secret.file)):
            yield path, "a word cannot hold a NUL byte"
        if not program or ("/" in program and not program.startswith("/")):
            yield path, f"{program!r} is no program on PATH, and no absolute path"
        if secret.env and not _ENV.fullmatch(secret.env):
            yield path, f"{secret.env!r} is no environment variable name"
        if secret.file and not secret.file.startswith(("/", "~/")):
            yield path, f"{secret.file!r} is no absolute path"
        if not 1 <= secret.timeout <= 600:
            yield path, "timeout is in seconds, 1 to 600"
