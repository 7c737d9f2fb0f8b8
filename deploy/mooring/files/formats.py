"""Lists of files in other tools' formats, as entries of our `files:`. Pure; nothing is looked up.

The format is recognised from the content. A line that can't be read is an error with its number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from ..config import checked, plain_yaml
from ..errors import MooringError
from ..paths import is_inside, pattern_problem
from ..spec import MAX_BYTES, Layers

Entry = str | dict[str, Any]
Lines = list[str]

ACTIONS = ("copy", "template", "symlink", "skip")
SUFFIXES = (".template", ".tmpl", ".j2", ".jinja", ".jinja2", ".example", ".sample")
"""What the name of a template may end with; the file made from it does without."""
DOTTED = (
    "env",
    "env.*",
    "envrc",
    "envrc.*",
    "tool-versions",
    "npmrc",
    "yarnrc",
    "yarnrc.yml",
    "nvmrc",
    "node-version",
    "python-version",
    "ruby-version",
    "netrc",
    "pgpass",
)
"""Names in a directory of templates that get a leading dot; any other stays as it is."""
KEYS = {
    "src": "src",
    "source": "src",
    "dest": "dest",
    "destination": "dest",
    "target": "dest",
    "mode": "mode",
    "optional": "optional",
}
"""Keys of a mapping in somebody's YAML, and ours for each."""


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """The entries of `files:`, one to one, and what a person should know of them."""

    copy: tuple[Entry, ...] = ()
    template: tuple[Entry, ...] = ()
    symlink: tuple[Entry, ...] = ()
    skip: tuple[Entry, ...] = ()
    notes: tuple[str, ...] = ()

    def entries(self) -> dict[str, list[Entry]]:
        """By action, those that there are."""
        return {action: list(found) for action in ACTIONS if (found := getattr(self, action))}


class _LineError(Exception):
    """What is wrong with one line."""


def read(name: str, text: bytes) -> Listed:
    """What a file in one of the formats lists. Raises MooringError, naming the line."""
    lines = _lines(name, text)
    if _is_yaml(lines):
        return _from_yaml(name, text)
    reader = _reader(name, lines)
    found: list[tuple[str, Entry]] = []
    for number, line in enumerate(lines, 1):
        try:
            found += reader(line)
        except _LineError as problem:
            raise _error(name, number, str(problem)) from None
    return _listed(found)


def with_lists(layers: Layers, texts: Mapping[str, bytes]) -> Layers:
    """The layers with what the files list that `files.from` names, of those among the texts.

    Raises MooringError for one that can't be read, naming the line.
    """
    listed = {}
    for path in layers.lists.keys() & texts.keys():
        entries = read(path, texts[path]).entries()
        listed[path] = checked({"files": entries}, path, {}).files
    return msgspec.structs.replace(layers, listed=listed)


def of_templates(directory: str, names: Iterable[str]) -> Listed:
    """What a directory of `*.template` files lists: `env.template` is for `.env`.

    `directory` is relative to the repo. Raises MooringError for two files that make one.
    """
    found: list[tuple[str, Entry]] = []
    made: dict[str, str] = {}
    for name in sorted(names):
        src = f"{directory}/{name}" if directory else name
        bare = name.removesuffix(".template")
        dest = f".{bare}" if any(fnmatchcase(bare, known) for known in DOTTED) else bare
        if not name.endswith(".template") or not is_inside(src) or not is_inside(dest):
            why = "its name cannot be carried safely" if not is_inside(src) else "no *.template"
            found.append(("notes", f"left out: {_shown(name)} ({why})"))
        elif dest in made:
            raise MooringError(f"Cannot make {dest} from both {made[dest]} and {name}")
        else:
            made[dest] = name
            found.append(("template", {"src": src, "dest": dest}))
    return _listed(found)


def _lines(name: str, text: bytes) -> Lines:
    if len(text) > MAX_BYTES:
        raise MooringError(f"Cannot read {name}: it is larger than 1 MiB")
    try:
        decoded = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _error(name, text[: error.start].count(b"\n") + 1, "it is not UTF-8") from None
    return [line.removesuffix("\r") for line in decoded.split("\n")]


def _is_yaml(lines: Lines) -> bool:
    """Whether the first line that says something is one of YAML's mappings."""
    return bool(re.match(r"---$|---\s|\{|[\"']?[\w-]+[\"']?\s*:(\s|$)", _first(lines)))


def _first(lines: Lines) -> str:
    return next((line for line in lines if line.strip() and not line.startswith("#")), "").strip()


def _reader(name: str, lines: Lines) -> Callable[[str], Iterator[tuple[str, Entry]]]:
    if re.match(r"[A-Za-z]{2,}:\S", _first(lines)):
        return _action_line
    if re.search(r"(include|ignore)$", name):
        return _pattern_line
    said = [line for line in lines if line.strip() and not line.startswith("#")]
    return _pattern_line if any(_is_pattern(line) for line in said) else _path_line


def _is_pattern(line: str) -> bool:
    return bool(re.match(r"[!/]", line) or re.search(r"[*?\[\\]", line))


def _pattern_line(line: str) -> Iterator[tuple[str, Entry]]:
    """One line of gitignore(5)."""
    if line.startswith("#") or not line.strip():
        return
    pattern = re.sub(r"(?<!\\) +$", "", line)
    if not pattern.startswith("!"):
        yield "copy", _pattern(pattern)
        return
    skipped = _pattern(pattern[1:])
    yield "skip", skipped
    yield (
        "notes",
        f"{_shown(pattern)} became a skip of {_shown(skipped)}, which no later line takes back",
    )


def _path_line(line: str) -> Iterator[tuple[str, Entry]]:
    """One path."""
    path = line.strip()
    if path and not path.startswith("#"):
        yield "copy", f"/{_path(path)}"


def _action_line(line: str) -> Iterator[tuple[str, Entry]]:
    """`ACTION:SOURCE:DEST`, where DEST may be left out."""
    line = line.strip()
    if not line or line.startswith("#"):
        return
    action, *places = line.split(":")
    if action not in ACTIONS:
        raise _LineError(f"{_shown(action)} is none of {', '.join(ACTIONS)}")
    if len(places) not in (1, 2):
        raise _LineError("it is not ACTION:SOURCE:DEST")
    src, dest = (*places, "")[:2]
    yield action, _entry(action, src, dest)


def _from_yaml(name: str, text: bytes) -> Listed:
    document, lines = plain_yaml(text, name)
    if not isinstance(document, dict):
        raise _error(name, 1, f"it has none of {', '.join(ACTIONS)}")
    found: list[tuple[str, Entry]] = []
    where = "$"
    try:
        for action, items in document.items():
            where = f"$.{action}"
            if action not in ACTIONS:
                raise _LineError(f"{_shown(action)} is none of {', '.join(ACTIONS)}")
            if not isinstance(items, list):
                raise _LineError("it is no list")
            for index, item in enumerate(items):
                where = f"$.{action}[{index}]"
                found.append((action, _yaml_entry(action, item)))
    except _LineError as problem:
        raise _error(name, lines.get(where, 1), str(problem)) from None
    return _listed(found)


def _yaml_entry(action: str, item: object) -> Entry:
    if isinstance(item, str):
        return _entry(action, item, "")
    if not isinstance(item, dict) or action == "skip":
        raise _LineError("it is no path")
    ours: dict[str, Any] = {}
    for key, value in item.items():
        kind = bool if key == "optional" else str
        if key not in KEYS or KEYS[key] in ours or not isinstance(value, kind):
            raise _LineError(f"{_shown(key)} is not understood")
        ours[KEYS[key]] = value
    if "src" not in ours:
        raise _LineError("it has no src")
    if "mode" in ours and (action != "copy" or not re.fullmatch(r"0?[0-7]{3}", ours["mode"])):
        raise _LineError("its mode is not understood")
    entry = _entry(action, ours.pop("src"), ours.pop("dest", ""), named=bool(ours))
    return {**entry, **ours} if isinstance(entry, dict) else entry


def _entry(action: str, src: str, dest: str, *, named: bool = False) -> Entry:
    """One entry; of a copy without a DEST a pattern, which selects a directory too."""
    if action == "skip" and dest:
        raise _LineError("a skip has no DEST")
    if action in ("copy", "skip") and not dest and not named:
        return _pattern(src) if _is_pattern(src) else f"/{_path(src)}"
    if re.search(r"[*?\[]", src + dest):
        raise _LineError(f"{_shown(src)} is a pattern: this is for one path")
    src = _path(src)
    if action == "template":
        dest = dest or next((src.removesuffix(end) for end in SUFFIXES if src.endswith(end)), "")
        if not dest:
            raise _LineError(f"a template needs a DEST: {_shown(src)} does not say what it makes")
    return {"src": src, "dest": _path(dest)} if dest else {"src": src}


def _path(said: str) -> str:
    path = said.removeprefix("./").removesuffix("/")
    if not is_inside(path):
        raise _LineError(f"{_shown(said)} leaves the repo, is git's own, or is no safe name")
    return path


def _pattern(said: str) -> str:
    """A pattern of gitignore(5) that stays in the repo."""
    body = re.sub(r"\\(.)", r"\1", said).removeprefix("/").removesuffix("/")
    if said.startswith("!") or not is_inside(body):
        raise _LineError(f"{_shown(said)} leaves the repo, is git's own, or is no safe name")
    problem = pattern_problem(said)
    if problem:
        raise _LineError(f"{_shown(said)} {problem}")
    return said


def _listed(found: Iterable[tuple[str, Entry]]) -> Listed:
    lists: dict[str, list[Entry]] = {}
    for kind, entry in found:
        if entry not in lists.setdefault(kind, []):
            lists[kind].append(entry)
    return msgspec.convert({kind: tuple(items) for kind, items in lists.items()}, Listed)


def _shown(text: str) -> str:
    """Somebody's text as a message can hold it."""
    return ascii(text[:200]) if not text.isprintable() else repr(text[:200])


def _error(name: str, line: int, problem: str) -> MooringError:
    return MooringError(
        f"Cannot read {name} line {line}: {problem}", "docs/files.md has every format"
    )
