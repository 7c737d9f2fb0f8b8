"""Reading what somebody else may have put there: only a plain file, and never more than asked."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from mooring.claude.safely import read

pytestmark = pytest.mark.timeout(20)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    return path


@pytest.mark.parametrize("follow", [False, True])
def test_a_plain_file(file: Path, follow: bool) -> None:
    assert read(file, follow=follow) == b"0123456789"
    file.write_bytes(b"")
    assert read(file, follow=follow) == b""


@pytest.mark.parametrize("limit", [0, 1, 9, 10, 11])
def test_only_the_first_bytes_are_read(file: Path, limit: int) -> None:
    assert read(file, limit) == b"0123456789"[:limit]


def test_a_file_without_end_is_cut(file: Path) -> None:
    os.truncate(file, 1 << 40)  # a hole
    found = read(file)
    assert found
    assert len(found) == 1 << 20


@pytest.mark.parametrize("follow", [False, True])
def test_what_is_no_plain_file_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, follow: bool
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "directory").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(tmp_path)  # a socket's path may only be short
        server.bind("socket")
        for name in ("pipe", "directory", "socket", "missing", "missing/deeper", "x" * 5000):
            assert read(tmp_path / name, follow=follow) is None, name
    for name in ("/dev/null", "/dev/zero", "/dev/tty", "/"):
        assert read(Path(name), follow=follow) is None, name


def test_a_pipe_that_somebody_writes_to_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    pipe = os.open(tmp_path / "pipe", os.O_RDWR)
    os.write(pipe, b"x")
    assert read(tmp_path / "pipe") is None
    os.close(pipe)


def test_a_link_is_followed_only_where_that_is_asked_for(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(file)
    assert read(link) is None
    assert read(link, follow=True) == b"0123456789"


@pytest.mark.parametrize("to", ["nowhere", "link", "pipe", "/dev/zero", "."])
def test_a_link_to_what_is_no_plain_file_is_none(tmp_path: Path, to: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(to)
    assert read(tmp_path / "link") is None
    assert read(tmp_path / "link", follow=True) is None


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_a_name_that_no_file_can_have_is_none(tmp_path: Path, name: str) -> None:
    assert read(tmp_path / name) is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_a_file_without_leave_to_read_is_none(file: Path) -> None:
    file.chmod(0)
    assert read(file) is None


def test_no_file_stays_open(file: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    first = os.dup(0)
    os.close(first)
    for name in ("file", "pipe", "missing", "."):
        read(tmp_path / name)
    again = os.dup(0)
    os.close(again)
    assert again == first
