"""What a file of the format says that its types can't refuse. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Any

from .document import Container, Copy, File, FilesSpec, Secret, Symlink, Template, When
from .model import AGENT, FILTER
from .paths import is_inside, pattern_problem, place_problem

PLATFORMS = ("linux", "darwin")
"""What `uname -s` of a target may say, in lower case."""

_PORT = re.compile(r"[a-z][a-z0-9_-]{0,30}")
_ENV = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_FIXED = re.compile(r"WORK_[A-Z_]+|PORT(_[A-Z0-9_]+)?|CLAUDE_SESSION_ID")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_MODE = re.compile(r"0?[0-7]{3}")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]*")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
_SIZE = re.compile(r"[0-9]+[bkmgBKMG]?")
_PORT_NAME = re.compile(r"PORT(_[A-Z0-9_]+)?")
_LINE = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]+")


def problems(file: File) -> Iterator[tuple[str, str]]:
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
    if file.container:
        yield from _container_problems(file.container)
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


def _container_problems(container: Container) -> Iterator[tuple[str, str]]:
    path = "$.container"
    if container.image and container.build:
        yield path, "it is either from an image or from a build"
    if container.image and not _IMAGE.fullmatch(container.image):
        yield f"{path}.image", f"{container.image!r} is no name of an image"
    build = container.build
    for name in ("context", "dockerfile") if build else ():
        place = getattr(build, name)
        if place != "." and not is_inside(place):
            yield f"{path}.build.{name}", f"{place!r} is no path in the repo"
    words = {"network": _WORD, "user": _WORD, "memory": _SIZE, "cpus": _NUMBER}
    for name, form in words.items():
        value = str(getattr(container, name))
        if value and not form.fullmatch(value):
            yield f"{path}.{name}", f"{value!r} is not what Docker takes"
    for index, name in enumerate(container.env):
        if not _ENV.fullmatch(name):
            yield f"{path}.env[{index}]", f"{name!r} is no variable's name; its value stays outside"
    for index, port in enumerate(container.ports):
        if not _PORT_NAME.fullmatch(port):
            yield f"{path}.ports[{index}]", f"{port!r} is none: use PORT, or PORT_WEB for `web`"
    for index, mount in enumerate(container.mounts):
        for place in (mount.src, mount.dest or mount.src):
            if not place.startswith("/") or not _LINE.fullmatch(place) or ".." in place.split("/"):
                yield f"{path}.mounts[{index}]", f"{place!r} is no absolute path"
    if "\0" in container.command:
        yield f"{path}.command", "a command cannot hold a NUL byte"
