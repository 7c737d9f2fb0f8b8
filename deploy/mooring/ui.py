"""What a person sees: narration on stderr, answers on stdout, plain columns."""

from __future__ import annotations

import json as json_module
import sys
import time
from collections.abc import Sequence
from typing import Any

from .errors import MooringError


def narrate(text: str) -> None:
    """Say something about what happens, on stderr."""
    print(text, file=sys.stderr, flush=True)


def answer(text: str) -> None:
    """Print the answer, on stdout."""
    print(text, flush=True)


def answer_json(data: Any) -> None:
    """Print the answer as JSON, on stdout."""
    print(json_module.dumps(data, indent=2, ensure_ascii=False), flush=True)


def show_error(error: MooringError) -> None:
    """Print an error and its hints, on stderr."""
    for line in error.lines():
        narrate(line)


def table(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> None:
    """Print rows as left-aligned columns under their names."""
    cells = [list(columns), *([_cell(row.get(name), name) for name in columns] for row in rows)]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    for line in cells:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        answer("  ".join(padded).rstrip())


def details(data: dict[str, Any]) -> None:
    """Print one thing as `name  value` lines."""
    width = max(len(name) for name in data)
    for name, value in data.items():
        answer(f"{name.ljust(width)}  {_cell(value, name)}".rstrip())


def age(at: float) -> str:
    """How long ago that was, in one unit; `at` is in seconds since the epoch."""
    seconds = max(0, time.time() - at)
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{int(seconds // length)}{unit}"
    return f"{int(seconds)}s"


def size(value: float) -> str:
    """Bytes as a person reads them."""
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def _cell(value: Any, name: str = "") -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, dict):
        return " ".join(f"{key}={item}" for key, item in value.items()) or "-"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value) or "-"
    if name.endswith("_at"):
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(value))
    return str(value)
