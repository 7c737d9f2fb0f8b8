"""What the user wrote: the repo's `mooring.yaml`, the user's config and overrides, as a Spec.

Precedence: overrides > repo > user > defaults. What comes from the repo is kept apart where it
could run code or choose what runs: nobody has approved it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from .errors import MooringError
from .model import FILTER

MAX_BYTES = 1048576
DISPOSABLE = (
    "node_modules",
    ".venv",
    "venv",
    "target",
    "dist",
    "build",
    "__pycache__",
    "*.pyc",
    ".direnv",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".tox",
    ".gradle",
    ".next",
    ".turbo",
    ".DS_Store",
)
"""Ignored files that are rebuilt anyway, as gitignore patterns; they don't stop an `end`."""

LATER = frozenset(
    {
        "secrets",
        "prebuild",
        "setup",
        "container",
        "files.template",
        "files.symlink",
        "files.skip",
        "files.required",
        "claude.share",
    }
)
"""Keys of the format that this version does not act on: refused rather than ignored."""

_PORT = re.compile(r"[a-z][a-z0-9_-]{0,30}")
_ENV = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_FIXED = re.compile(r"WORK_[A-Z_]+|PORT(_[A-Z0-9_]+)?|CLAUDE_SESSION_ID")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_MODE = re.compile(r"0?[0-7]{3}")


class Copy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One untracked file of the main checkout, by name."""

    src: str
    dest: str = ""
    mode: str = ""


class FilesSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`copy`: gitignore patterns, or single files with another name or mode."""

    copy: list[str | Copy] = []


class ClaudeSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments that every start of Claude gets."""

    args: list[str] = []


class CacheSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a URL's repo is cloned."""

    filter: str = ""
    """As ``git clone --filter`` takes it (git-rev-list(1)); '' for all objects."""


class CheckoutSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What of the repo is in the worktree."""

    sparse: list[str] = []
    """Directories, as ``git sparse-checkout set --cone`` takes them; none for everything."""
    submodules: bool = True


class Credential(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A command whose output is the password or token for the repo's remote."""

    command: list[str]
    username: str = "x-access-token"


class GitSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who commits in a workspace, and with which credential it fetches and pushes."""

    name: str = ""
    email: str = ""
    signing_key: str = ""
    credential: Credential | None = None


class AgentSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What holds for one agent alone."""

    git: GitSpec = GitSpec()


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One YAML file of the format; all of it is optional."""

    version: Literal[1] = 1
    base: str = ""
    branch: str = ""
    env: dict[str, str] = {}
    ports: list[str] = []
    disposable: list[str] = []
    files: FilesSpec = FilesSpec()
    claude: ClaudeSpec = ClaudeSpec()
    cache: CacheSpec = CacheSpec()
    checkout: CheckoutSpec = CheckoutSpec()
    git: GitSpec = GitSpec()
    agents: dict[str, AgentSpec] = {}


class Layers(msgspec.Struct, frozen=True):
    """The files that make a Spec, each already checked."""

    user: File = File()
    repo: File = File()
    overrides: File = File()
    agent: str = "dev"


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """What a workspace should be. `env` has templates in its values, not yet rendered."""

    base: str
    branch: str
    env: dict[str, str]
    trusted_env: dict[str, str]
    """The part of `env` that needs no approval: the user's own."""
    claude_args: list[str]
    ports: tuple[str, ...]
    disposable: tuple[str, ...]
    patterns: tuple[str, ...]
    copies: dict[str, Copy]
    filter: str
    sparse: tuple[str, ...]
    submodules: bool
    git: GitSpec
    held_back: tuple[str, ...]
    """Keys of the repo's file that have no effect until a person approves them."""


def merge(layers: Layers, include: bytes = b"") -> Spec:
    """One Spec from its layers and a `.worktreeinclude` file's content."""
    user, repo, top = layers.user, layers.repo, layers.overrides
    files = [*user.files.copy, *repo.files.copy, *top.files.copy]
    copies = {item.src: item for item in files if isinstance(item, Copy)}
    patterns = [item if isinstance(item, str) else f"/{item.src}" for item in files]
    mine = user.agents.get(layers.agent, AgentSpec()).git
    held = {
        "env": repo.env,
        "claude.args": repo.claude.args,
        "git": repo.git != GitSpec(),
        "agents": repo.agents,
    }
    git = _over(user.git, mine, top.git)
    who = _git_env(git)
    return Spec(
        base=top.base or repo.base or user.base,
        branch=top.branch or repo.branch or user.branch,
        env={**user.env, **repo.env, **top.env, **who},
        trusted_env={**user.env, **top.env, **who},
        claude_args=[*user.claude.args, *top.claude.args],
        ports=_unique(["", *user.ports, *repo.ports, *top.ports]),
        disposable=_unique([*DISPOSABLE, *user.disposable, *repo.disposable, *top.disposable]),
        patterns=_unique([*patterns, *_pattern_lines(include)]),
        copies=copies,
        filter=top.cache.filter or repo.cache.filter or user.cache.filter,
        sparse=_unique(top.checkout.sparse or repo.checkout.sparse or user.checkout.sparse),
        submodules=all(file.checkout.submodules for file in (user, repo, top)),
        git=git,
        held_back=tuple(name for name, value in held.items() if value),
    )


def _over(*layers: GitSpec) -> GitSpec:
    """Each value from the last layer that has it."""
    merged = GitSpec()
    for layer in layers:
        given = {name: getattr(layer, name) for name in layer.__struct_fields__}
        merged = msgspec.structs.replace(merged, **{k: v for k, v in given.items() if v})
    return merged


def _git_env(git: GitSpec) -> dict[str, str]:
    """What beats every config file, also the repo's own: git's variables for who commits."""
    return {
        f"GIT_{role}_{field}": value
        for field, value in (("NAME", git.name), ("EMAIL", git.email))
        for role in ("AUTHOR", "COMMITTER")
        if value
    }


def _unique(items: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))


def _pattern_lines(include: bytes) -> Iterator[str]:
    """The patterns of a `.worktreeinclude`, which has the format of a gitignore(5) file."""
    if len(include) > MAX_BYTES or b"\0" in include:
        raise MooringError("Cannot read .worktreeinclude: it is not a small text file")
    for line in include.decode("utf-8", "surrogateescape").split("\n"):
        if line.strip() and not line.startswith("#"):
            yield line.rstrip()


def load_user(directory: Path, topic: str, agent: str = "dev") -> Layers:
    """The user's own files: `config.yaml` and `overrides/<topic>.yaml`, where they exist."""
    return Layers(
        user=_load(directory / "config.yaml"),
        overrides=_load(directory / "overrides" / f"{topic}.yaml"),
        agent=agent,
    )


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
    document, lines = _yaml(data, name)
    try:
        file = msgspec.convert(document or {}, File)
    except msgspec.ValidationError as error:
        raise _explain(error, name, lines) from None
    for path, problem in _problems(file):
        raise _error(name, lines.get(path), problem)
    return file


def _yaml(data: bytes, name: str) -> tuple[Any, dict[str, int]]:
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
        return (_build(node, "$", lines, name) if node else {}), lines
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
    """Plain data from YAML nodes; values of `env` stay as they are written."""
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
    if path.startswith("$.env.") or kind not in ("int", "bool"):
        return node.value
    return int(node.value, 0) if kind == "int" else node.value.lower() in ("true", "yes", "on")


def _explain(error: msgspec.ValidationError, name: str, lines: dict[str, int]) -> MooringError:
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
        return _error(name, 1, "it must be keys with values, such as `base: main`")
    if path == "$.version":
        return _error(name, _line(path, lines), "version: this Mooring reads version 1")
    return _error(name, _line(path, lines), f"{path.removeprefix('$.')}: {text}")


def _line(path: str, lines: dict[str, int]) -> int | None:
    while path and path not in lines:
        path = re.sub(r"(\.[^.\[]*|\[[^\]]*\])$", "", path) if path != "$" else ""
    return lines.get(path)


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
    if path.startswith("$.agents."):
        path = re.sub(r"^\$\.agents\.[^.]*\.git", "$.git", path)
        kinds[path] = kinds.get(path, AgentSpec)
    return list(kinds.get(path, Copy).__struct_fields__)


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
    for index, item in enumerate(file.files.copy):
        path = f"$.files.copy[{index}]"
        if isinstance(item, str):
            if not item.strip() or "\n" in item or item.startswith("!"):
                yield path, f"{item!r} is no pattern of files to copy"
        else:
            for place in (item.src, item.dest or item.src):
                if not is_inside(place):
                    yield path, f"{place!r} leaves the repo or is git's own"
            if item.mode and not _MODE.fullmatch(item.mode):
                yield path, f'{item.mode!r} is no file mode: use one such as "0600"'
    if file.cache.filter and not FILTER.fullmatch(file.cache.filter):
        yield "$.cache.filter", f"{file.cache.filter!r} is no filter: use blob:none or tree:0"
    for index, place in enumerate(file.checkout.sparse):
        if not is_inside(place) or re.search(r"[*?\[]", place):
            yield f"$.checkout.sparse[{index}]", f"{place!r} is no directory of the repo"
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
        if not pattern.strip() or pattern.strip(" */.") == "" or re.search(r"[\n:!]", pattern):
            yield f"$.disposable[{index}]", f"{pattern!r} would make everything disposable"


def is_inside(path: str) -> bool:
    """Whether a relative path stays inside the worktree and out of `.git` and `.mooring`."""
    parts = path.split("/")
    return bool(
        path
        and not path.startswith("/")
        and not re.search(r"[\x00-\x1f\x7f\\\ud800-\udfff]", path)
        and not any(part in ("", ".", "..") for part in parts)
        and not any(part.lower().rstrip(". ") == ".git" for part in parts)
        and parts[0] != ".mooring"
    )


_NAME = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")


def render(template: str, names: dict[str, str], where: str) -> str:
    """Replace each ``{{ name }}``. Raises MooringError for an unknown name or other template code.

    Deliberately no template engine: these strings come from repos that nobody has approved.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise MooringError(f"Cannot render {where}: there is no {name!r}{hint}")
        return names[name]

    if "{{" in _NAME.sub("", template) or "{%" in template:
        raise MooringError(f"Cannot render {where}: only {{{{ name }}}} is known here")
    return _NAME.sub(value, template)
