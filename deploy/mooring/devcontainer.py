"""A repo's devcontainer.json: read, and composed with what a workspace's container needs. Pure.

The format is that of the Development Containers specification (its "devcontainer.json reference").
What the real command line does with the composed file was measured with @devcontainers/cli 0.89.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any

import msgspec

from . import identity
from .claude import mounts
from .errors import MooringError

STORE = "/mooring/claude"
"""Claude's config directory in there. It isn't in a home: whose that is, and where, is known only
once the image is built, which is after the mounts have to be named."""

CLAUDE = "/usr/local/bin/claude"
"""Where the host's Claude is in there."""

MAX_BYTES = 1 << 20
"""Of a devcontainer.json."""

_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\r\n]*|/\*.*?\*/', re.DOTALL)
_COMMA = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[\]}])', re.DOTALL)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a workspace is on its host, and what of the host its container has."""

    worktree: str
    common: str
    """The git directory that the repo's worktrees share."""
    admin: str
    """What in there is this worktree's own."""
    guarded: tuple[str, ...]
    """Paths within those three that the container can't write."""
    private: str
    """The directory of what is this container's alone, in Claude's config directory."""
    store: str
    """The host's session store."""
    share: str
    project: tuple[str, ...]
    """What of the store's `projects` is this workspace's (see claude.mounts)."""
    claude: str
    """The host's Claude, '' where the image has its own."""
    settings: tuple[tuple[str, str], ...]
    """What git is told in there."""


def parse(text: bytes, name: str) -> dict[str, Any]:
    """What a devcontainer.json says, with comments and trailing commas as its format allows.

    Raises MooringError, with the line, where it is something else; `name` is for the message.
    """
    start = f"Cannot read {name}"
    if len(text) > MAX_BYTES:
        raise MooringError(f"{start}: it has more than {MAX_BYTES} bytes")
    try:
        found = json.loads(plain(text.decode("utf-8-sig")), parse_constant=_refuse)
    except UnicodeDecodeError:
        raise MooringError(f"{start}: it is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise MooringError(f"{start}: line {error.lineno}: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise MooringError(f"{start}: {error}") from None
    if not isinstance(found, dict):
        raise MooringError(f"{start}: it is no JSON object")
    return found


def plain(text: str) -> str:
    """JSON with comments and trailing commas as JSON, with everything else where it was."""
    bare = _COMMENT.sub(lambda found: found[1] or re.sub(r"[^\r\n]", " ", found[0]), text)

    def comma(found: re.Match[str]) -> str:
        before = found.start() - 1
        while before >= 0 and bare[before].isspace():
            before -= 1
        return "," if before < 0 or bare[before] in "[{,:" else " "

    return _COMMA.sub(lambda found: found[1] or comma(found), bare)


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def check(document: Mapping[str, Any], name: str) -> None:
    """Raise MooringError for a dev container that can't be a workspace's."""
    start = f"Cannot make a dev container of {name}"
    if "dockerComposeFile" in document:
        raise MooringError(
            f"{start}: it is one of Docker Compose (dockerComposeFile), whose services take their "
            "mounts from their own files alone",
            "say image: or build: in a second one, .devcontainer/workspace/devcontainer.json, "
            "and name it with --config",
        )
    for key, (kind, noun) in _KINDS.items():
        if key in document and not isinstance(document[key], kind):
            raise MooringError(f"{start}: {key} is no {noun}")
    if not document.get("image") and not dockerfile(document):
        raise MooringError(f"{start}: it names neither an image nor a Dockerfile")


_KINDS: dict[str, tuple[type, str]] = {
    "image": (str, "string"),
    "build": (dict, "object"),
    "dockerFile": (str, "string"),
    "context": (str, "string"),
    "mounts": (list, "list"),
    "runArgs": (list, "list"),
    "containerEnv": (dict, "object"),
    "remoteEnv": (dict, "object"),
}


def dockerfile(document: Mapping[str, Any]) -> str:
    """The Dockerfile that it names, relative to its own directory; '' for none."""
    named = document.get("build", {}).get("dockerfile") or document.get("dockerFile")
    return named if isinstance(named, str) else ""


def context(document: Mapping[str, Any]) -> str:
    """The directory that is built, relative to its own; that of the Dockerfile unless it says."""
    build = document.get("build", {})
    said = build.get("context") if "dockerFile" not in document else document.get("context")
    return said if isinstance(said, str) else posixpath.dirname(dockerfile(document)) or "."


def scripts(document: Mapping[str, Any]) -> Iterator[str]:
    """The words of what would run on the host, any of which may be a file of the repo."""
    command = document.get("initializeCommand", [])
    commands = command.values() if isinstance(command, dict) else [command]
    for one in commands:
        words = one.split() if isinstance(one, str) else one if isinstance(one, list) else []
        yield from (word.strip("\"';&|()") for word in words if isinstance(word, str))


def override(
    document: Mapping[str, Any], directory: str, place: Place, names: Iterable[str], label: str
) -> dict[str, Any]:
    """The repo's document with the workspace's mounts and variables.

    `directory` is where the repo's own file is: what it names relative to that is named absolutely.
    `names` are the variables that whatever is started in there gets from who starts it; `label` is
    what the container's label `mooring.digest` says.
    Raises MooringError where a path can't be written into such a file.
    """
    for path in (place.worktree, place.common, place.private, place.store):
        _mountable(path)
    theirs = {name: str(value) for name, value in document.get("containerEnv", {}).items()}
    own = {
        "CLAUDE_CONFIG_DIR": STORE,
        "DISABLE_AUTOUPDATER": "1",
        **identity.variables(theirs, place.settings),
    }
    added = ["--label", f"mooring.digest={label}"]
    return {
        **_built(document, directory),
        "workspaceFolder": place.worktree,
        "workspaceMount": bind(place.worktree, place.worktree),
        "mounts": [*document.get("mounts", []), *_mounts(place)],
        "runArgs": [*document.get("runArgs", []), *added],
        "containerEnv": {**theirs, **own},
        "remoteEnv": remote(document.get("remoteEnv", {}), names),
    }


def remote(theirs: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """A `remoteEnv` that takes the variables from who starts something; no value is in there.

    Of the repo's, whatever would lead Claude to another config directory is left out.
    """
    taken = {name: f"${{localEnv:{name}}}" for name in sorted(set(names))}
    return {**theirs, **taken, "CLAUDE_CONFIG_DIR": STORE}


def digest(document: Mapping[str, Any], place: Place, approved: str) -> str:
    """A sha256 over what a container is made from: it differs where one has to be made anew."""
    parts = (json.dumps(document, sort_keys=True).encode(), msgspec.json.encode(place))
    text = approved.encode("utf-8", "surrogateescape")
    return sha256(b"\0".join([*parts, text])).hexdigest()


def dump(document: Mapping[str, Any]) -> str:
    """The document as text."""
    return json.dumps(document, indent=2) + "\n"


def _built(document: Mapping[str, Any], directory: str) -> dict[str, Any]:
    """The document with the paths of its build made absolute, so that it can be anywhere."""
    if not dockerfile(document):
        return dict(document)
    file = posixpath.normpath(posixpath.join(directory, dockerfile(document)))
    where = posixpath.normpath(posixpath.join(directory, context(document)))
    rest = {k: v for k, v in document.items() if k not in ("dockerFile", "context")}
    return {**rest, "build": {**document.get("build", {}), "dockerfile": file, "context": where}}


def bind(source: str, target: str, *, writable: bool = True) -> str:
    """A bind mount, as `docker run --mount` and a devcontainer.json take it."""
    fields = ["type=bind", _field(f"source={source}"), _field(f"target={target}")]
    return ",".join(fields if writable else [*fields, "readonly"])


def _field(text: str) -> str:
    """One field of a line of CSV, which Docker reads it as."""
    if "," in text or '"' in text:
        return '"' + text.replace('"', '""') + '"'
    return text


def _mountable(path: str) -> None:
    if "${" in path or any(character < " " for character in path):
        raise MooringError(
            f"Cannot mount {path!r} into a dev container: its name would be read as a variable's, "
            "or as two lines"
        )


def _mounts(place: Place) -> Iterator[str]:
    """All but the worktree itself; a later one at the same target takes the place of an earlier."""
    yield bind(place.common, place.common)
    yield bind(place.admin, place.admin)
    for path in place.guarded:
        yield bind(path, path, writable=False)
    yield bind(place.private, STORE)
    for entry in mounts.entries(place.share):
        if entry.access != "copy":
            source, writable = f"{place.store}/{entry.name}", entry.access == "rw"
            yield bind(source, f"{STORE}/{entry.name}", writable=writable)
    if place.share == "workspace":
        own, repos = (f"projects/{name}" for name in place.project)
        yield bind(f"{place.store}/{own}", f"{STORE}/{own}")
        yield bind(f"{place.store}/{repos}/memory", f"{STORE}/{repos}/memory")
    if place.claude:
        yield bind(place.claude, CLAUDE, writable=False)
