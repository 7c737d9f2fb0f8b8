"""What the shell's search says of a file is what Python's says, whatever a line begins with."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from mooring.files.secretish import GREP, found, names


def said(place: Path, name: str, line: str) -> str:
    """What a target would say of a file with that line."""
    (place / name).write_text(line)
    done = subprocess.run(
        ["sh", "-c", f'{GREP}\nsecretish "./$0"', name],
        cwd=place,
        env={**os.environ, **names()},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("line", ["SHOP_API_KEY=k3j4h5k3\n", "API_KEY=changeme\n", "A=1\n"])
def test_they_agree(tmp_path: Path, line: str) -> None:
    assert said(tmp_path, "x.env", line) == ("./x.env\n" if found(line.encode()) else "")


@pytest.mark.parametrize("word", ["YOUR", "EXAMPLE", "DUMMY", "TODO", "REPLACE"])
def test_they_agree_of_a_name_that_begins_as_a_placeholder(tmp_path: Path, word: str) -> None:
    line = f"{word}_API_KEY=k3j4h5k3\n"
    assert found(line.encode())
    assert said(tmp_path, "x.env", line) == "./x.env\n"
