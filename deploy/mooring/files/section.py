"""The `files:` section of a mooring.yaml as text: written, and added to one that is there. Pure.

An addition is an edit of the text, so that comments stay. What comes of it is read again: unless it
means what was there and what was added, and nothing else, nothing is given back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ..config import parse
from ..errors import MooringError
from .formats import Entry

_PLAIN = re.compile(r"[./A-Za-z][A-Za-z0-9_./@+-]*")
_WORDS = ("y", "n", "yes", "no", "on", "off", "true", "false", "null")
"""What YAML takes for something else than text."""
Entries = Mapping[str, Sequence[Entry]]


def rendered(entries: Entries) -> str:
    """A whole `files:` section, '' without entries."""
    blocks = [_block(action, items, "  ") for action, items in entries.items() if items]
    return "files:\n" + "".join(blocks) if blocks else ""


def added(data: bytes, entries: Entries) -> bytes:
    """A mooring.yaml with these entries too, those that it has already left out.

    Lists and mappings in block and in flow style can be added to. Raises MooringError where it
    can't be done safely.
    """
    before = parse(data)
    lacking = {action: _lacking(before, action, items) for action, items in entries.items()}
    wanted = parse(rendered(lacking).encode())
    try:
        text = _edited(data.decode("utf-8-sig"), {k: v for k, v in lacking.items() if v})
        after = parse(text.encode())
    except (MooringError, _ShapeError, UnicodeError):
        raise _refusal() from None
    files = {
        name: [*getattr(before.files, name), *getattr(wanted.files, name)]
        for name in before.files.__struct_fields__
        if isinstance(getattr(before.files, name), list)
    }
    merged = msgspec.structs.replace(before.files, **files)
    if after != msgspec.structs.replace(before, files=merged):
        raise _refusal()
    return text.encode()


def _lacking(file: Any, action: str, items: Sequence[Entry]) -> list[Entry]:
    """The entries that a parsed file doesn't have word for word."""
    read = getattr(parse(rendered({action: items}).encode()).files, action) if items else []
    there = getattr(file.files, action) if items else []
    return [entry for entry, meant in zip(items, read, strict=True) if meant not in there]


class _ShapeError(Exception):
    """The text has a shape that isn't known here."""


def _refusal() -> MooringError:
    return MooringError(
        "Cannot add to mooring.yaml: its `files` cannot be edited safely",
        "add the proposal to it by hand",
    )


def _edited(text: str, entries: dict[str, list[Entry]]) -> str:
    end = "\r\n" if "\r\n" in text else "\n"
    text = text.replace("\r\n", "\n")
    for action, items in entries.items():
        text = _with(text, action, items)
    return text.replace("\n", end)


def _with(text: str, action: str, items: list[Entry]) -> str:
    """The text with more entries of one action, at the end of those that are there."""
    import yaml

    try:
        root: Any = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError:
        raise _ShapeError from None
    if root is None:
        return _below(text, len(text), f"files:\n{_block(action, items, '  ')}", blank=bool(text))
    files = _value(root, "files")
    if files is None:
        if root.flow_style:
            return _in_flow(text, root, f"files: {{{action}: {_flow(items)}}}")
        block = f"files:\n{_block(action, items, '  ')}"
        return _below(text, len(text), block, blank=True)
    there = _value(files, action)
    if there is None and files.flow_style:
        return _in_flow(text, files, f"{action}: {_flow(items)}")
    if there is None:
        return _below(text, _end(files), _block(action, items, " " * files.start_mark.column))
    if not isinstance(there, yaml.SequenceNode):
        raise _ShapeError
    if there.flow_style:
        return _in_flow(text, there, ", ".join(_item(entry) for entry in items))
    return _below(text, _end(there), _items(items, " " * there.start_mark.column))


def _value(mapping: Any, key: str) -> Any:
    """The node of a key, None if there is no such key."""
    if not isinstance(mapping.value, list) or mapping.id != "mapping":
        raise _ShapeError
    return next((value for name, value in mapping.value if name.value == key), None)


def _end(node: Any) -> int:
    """Where the last thing in a node ends; a block's own mark is behind the comments after it."""
    while node.id != "scalar" and not node.flow_style:
        if not node.value:
            raise _ShapeError
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    return int(node.end_mark.index)


def _below(text: str, at: int, lines: str, *, blank: bool = False) -> str:
    """The text with lines below the one that `at` is in."""
    cut = text.find("\n", at - 1 if text[at - 1 : at] == "\n" else at)
    head, tail = (text, "") if cut < 0 else (text[: cut + 1], text[cut + 1 :])
    if head and not head.endswith("\n"):
        head += "\n"
    if blank and not head.endswith("\n\n"):
        head += "\n"
    return head + lines + tail


def _in_flow(text: str, node: Any, more: str) -> str:
    """The text with more inside of brackets or braces."""
    if not node.value:
        at = int(node.start_mark.index) + 1
        return text[:at] + more + text[at:]
    last = node.value[-1]
    at = int((last[1] if isinstance(last, tuple) else last).end_mark.index)
    return f"{text[:at]}, {more}{text[at:]}"


def _block(action: str, items: Sequence[Entry], indent: str) -> str:
    return f"{indent}{action}:\n{_items(items, indent + '  ')}"


def _items(items: Sequence[Entry], indent: str) -> str:
    return "".join(f"{indent}- {_item(entry)}\n" for entry in items)


def _flow(items: Sequence[Entry]) -> str:
    return f"[{', '.join(_item(entry) for entry in items)}]"


def _item(entry: Entry) -> str:
    if isinstance(entry, str):
        return _scalar(entry)
    return "{" + ", ".join(f"{key}: {_scalar(value)}" for key, value in entry.items()) + "}"


def _scalar(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS and not re.match(r"[.]\d", text):
        return text
    return '"' + "".join(map(_character, text)) + '"'


def _character(char: str) -> str:
    """One character in double quotes (YAML 1.1, section 5.6)."""
    if char in '"\\':
        return f"\\{char}"
    if char.isprintable():
        return char
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"
