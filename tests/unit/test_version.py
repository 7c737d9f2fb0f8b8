"""The installed Claude Code: asked for its version once, and again when it changed.

`claude` here is a small script that stands for any release of Claude Code: it prints the version
it was given, as the real one prints its own, and leaves a line for each time it was asked. What
counts is how often it is started, which takes the real one a tenth of a second each time.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mooring.claude.version import ANY_DIRECTORY, PROMPT_SNAPSHOT, Claude, installed
from mooring.errors import MooringError

Install = Callable[[str], Path]


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    """Where each question leaves a line."""
    return tmp_path / "asked"


@pytest.fixture
def install(tmp_path: Path, asked: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a `claude` on PATH that says that; HOME is empty at first."""
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin")
    (tmp_path / "bin").mkdir()
    clock = [1_000_000_000]

    def put(says: str) -> Path:
        program = tmp_path / "bin/claude"
        program.write_text(f"#!/bin/sh\necho \"$*\" >>'{asked}'\nprintf '%s\\n' '{says}'\n")
        program.chmod(0o755)
        clock[0] += 10
        os.utime(program, (clock[0], clock[0]))
        return program

    return put


def times(asked: Path) -> int:
    return len(asked.read_text().splitlines()) if asked.exists() else 0


def test_it_is_asked_once(install: Install, asked: Path) -> None:
    program = install("2.1.329 (Claude Code)")
    claude = installed()
    assert (claude.program, claude.version, claude.text) == (str(program), (2, 1, 329), "2.1.329")
    assert installed() == installed() == claude
    assert asked.read_text() == "--version\n"


def test_it_is_asked_again_when_it_was_updated(install: Install, asked: Path) -> None:
    install("2.1.197 (Claude Code)")
    assert installed().version == (2, 1, 197)
    install("2.1.329 (Claude Code)")
    assert installed().version == (2, 1, 329)
    assert installed().version == (2, 1, 329)
    assert times(asked) == 2


def test_it_is_asked_again_when_its_link_leads_elsewhere(
    install: Install, asked: Path, tmp_path: Path
) -> None:
    """As Claude Code's own installer does it: `claude` is a link to the newest version."""
    for version in ("2.1.197", "2.1.329"):
        program = install(f"{version} (Claude Code)")
        program.rename(tmp_path / version)
        os.utime(tmp_path / version, (1_000_000_000, 1_000_000_000))
    for version in ("2.1.197", "2.1.329", "2.1.329"):
        (tmp_path / "bin/claude").unlink(missing_ok=True)
        (tmp_path / "bin/claude").symlink_to(tmp_path / version)
        assert installed().text == version
        assert installed().program == str(tmp_path / "bin/claude")
    assert times(asked) == 2


def caches(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "home").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff", b'{"path": 1}', b'{"path": "/x", "mtime": 1}']
)
def test_a_cache_that_makes_no_sense_is_made_anew(
    install: Install, asked: Path, tmp_path: Path, content: bytes
) -> None:
    install("2.1.329 (Claude Code)")
    installed()
    (cache,) = caches(tmp_path)
    cache.write_bytes(content)
    assert installed().version == (2, 1, 329)
    assert installed().version == (2, 1, 329)
    assert times(asked) == 2
    assert caches(tmp_path) == [cache], "nothing unfinished is left"


def test_where_nothing_can_be_kept_it_is_asked_each_time(
    install: Install, asked: Path, tmp_path: Path
) -> None:
    (tmp_path / "home").write_text("a file in the way, which stops root too")
    install("2.1.329 (Claude Code)")
    assert installed().version == installed().version == (2, 1, 329)
    assert times(asked) == 2


def test_without_claude(install: Install, tmp_path: Path) -> None:
    if shutil.which("claude", path="/usr/bin:/bin"):
        pytest.skip("this machine has one that isn't a person's own")
    with pytest.raises(MooringError, match="`claude` is not on PATH") as caught:
        installed()
    assert caught.value.hints[0].startswith("npm install")
    assert caches(tmp_path) == []


@pytest.mark.parametrize("says", ["", "nonsense", "Claude Code", "v2.1", "command not found", "2"])
def test_nonsense_is_no_version(install: Install, tmp_path: Path, says: str) -> None:
    program = install(says)
    with pytest.raises(MooringError, match="Cannot tell the version") as caught:
        installed()
    assert str(program) in caught.value.message
    assert caches(tmp_path) == []


def test_a_program_that_cannot_be_run(install: Install, tmp_path: Path) -> None:
    install("2.1.329").write_bytes(b"\x7fELF nonsense")
    with pytest.raises(MooringError, match="Cannot ask"):
        installed()
    assert caches(tmp_path) == []


def test_a_later_number_is_kept_whole(install: Install) -> None:
    install("2.10.0-beta.3 (Claude Code)")
    assert installed().version == (2, 10, 0)
    assert installed().finds_anywhere


@pytest.mark.parametrize(
    ("version", "anywhere", "snapshot"),
    [
        ((2, 1, 197), False, False),
        ((2, 1, 222), False, False),
        (ANY_DIRECTORY, True, False),
        (PROMPT_SNAPSHOT, True, True),
        ((2, 1, 329), True, True),
        ((2, 2, 0), True, True),
        ((10, 0, 0), True, True),
        ((1, 99, 999), False, False),
    ],
)
def test_what_a_version_can_do(version: tuple[int, ...], anywhere: bool, snapshot: bool) -> None:
    claude = Claude("claude", version)
    assert (claude.finds_anywhere, claude.knows_snapshot) == (anywhere, snapshot)
