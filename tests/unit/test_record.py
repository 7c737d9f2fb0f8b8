"""A record's file: JSON for anyone, and one key a line for the shell functions of the target."""

from __future__ import annotations

import base64
import functools
import json
import shutil
import subprocess
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mooring import script
from mooring.errors import MooringError
from mooring.facts import record as record_file
from mooring.model import Key, Record, parse_record
from tests.unit.builders import EDITED, IDENTITY, SUM, a_record

SHELLS = (("sh",), ("bash", "--posix"), ("dash",), ("busybox", "sh"))
FIELDS = ("repo", "source", "state", "worktree", "branch", "base", "commit", "session")

odd = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"])
    | st.sampled_from("\"'\\ /$`#&|.*[]{},:")
    | st.just("\x85"),
    min_size=1,
    max_size=24,
)
paths = st.dictionaries(odd, st.sampled_from([SUM, EDITED]), max_size=4)


@functools.cache
def shells() -> tuple[tuple[str, ...], ...]:
    """The shells of this machine that a target may have as its `sh`."""
    return tuple(argv for argv in SHELLS if shutil.which(argv[0]))


def run(shell: tuple[str, ...], body: str, *files: Path) -> list[bytes]:
    """The NUL-separated words that `body` prints after the prelude, with the files as arguments."""
    text = script.compose({"root": "/"}, record_file.FRAGMENT, body)
    argv = [*shell, "-s", "--", *files]
    done = subprocess.run(argv, input=text[:].encode(), capture_output=True, check=False)
    assert done.stderr == b""
    assert done.returncode == 0
    return done.stdout.split(b"\0")[:-1]


def written(directory: Path, record: Record) -> Path:
    """The record's file."""
    path = directory / "record.json"
    path.write_text(record_file.text(record), encoding="utf-8", newline="")
    return path


def test_the_text_is_json_with_one_key_a_line() -> None:
    record = a_record(include=[".env*", "/a b"], files={".env": SUM, 'a"b': SUM})
    text = record_file.text(record)
    assert json.loads(text) == msgspec.to_builtins(record)
    assert parse_record(text.encode()) == record
    lines = text.splitlines()
    for name in Record.__struct_fields__:
        assert sum(line.startswith(f'"{name}": ') for line in lines) == 1
    assert '"ports": {"PORT":20001},' in lines


@given(odd, odd, odd, st.lists(odd, max_size=3), paths)
def test_any_record_is_json(
    source: str, branch: str, worktree: str, include: list[str], files: dict[str, str]
) -> None:
    record = a_record(source=source, branch=branch, worktree=worktree, include=include, files=files)
    assert parse_record(record_file.text(record).encode()) == record
    assert json.loads(record_file.text(record)) == msgspec.to_builtins(record)


READ = r"""
for _name in repo source state worktree branch base commit session; do
  printf '%s\0' "$(field $_name "$1")"
done
load "$1"
printf '%s\0' "$r_repo" "$r_source" "$r_state" "$r_worktree" "$r_branch" "$r_base" "$r_commit" \
  "$r_session"
for _name in include files generated; do printf '%s\0' "$(entries $_name "$1")"; done
"""


@settings(max_examples=30)
@given(odd, odd, odd, st.lists(odd, max_size=3), paths, paths)
@example('a"b', "a\\", '\\"', ['",', '"', "]"], {'": "': SUM, "}": SUM, 'x": "a': SUM}, {})
@example("\\/", "\\\\", "a\\\\b", ["\\", '\\",'], {"\\": SUM, "a": EDITED}, {"b": SUM})
@example("'", "$(touch x)", "`touch x`", ["*", "?", "[a]"], {"-n": SUM, "%s": SUM}, {" ü": SUM})
@example('"branch": "x",', "x", "x", ["x"], {'"files": {': SUM}, {})
def test_the_shell_reads_back_exactly_what_was_written(
    scratch: Path,
    source: str,
    branch: str,
    worktree: str,
    include: list[str],
    files: dict[str, str],
    generated: dict[str, str],
) -> None:
    record = a_record(
        source=source,
        branch=branch,
        worktree=worktree,
        include=include,
        files=files,
        generated=generated,
    )
    path = written(scratch, record)
    wanted = [str(getattr(record, name)).encode() for name in FIELDS]
    lists = [include, list(files), list(generated)]
    entries = ["\n".join(items).encode() for items in lists]
    for shell in shells():
        assert run(shell, READ, path) == [*wanted, *wanted, *entries], shell


SOME = r"""
for _file; do for _name in source branch; do printf '%s\0' "$(field $_name "$_file")"; done; done
"""


def test_fields_that_share_a_name_are_told_apart(tmp_path: Path) -> None:
    """The files and generated maps hold names, one a line too."""
    record = a_record(
        source="/s", branch="b", files={"source": SUM, "branch": SUM}, generated={"repo": SUM}
    )
    for shell in shells():
        assert run(shell, SOME, written(tmp_path, record)) == [b"/s", b"b"]


def test_a_missing_field_reads_as_nothing(tmp_path: Path) -> None:
    path = tmp_path / "empty.json"
    path.write_text("{}\n")
    for shell in shells():
        assert run(shell, SOME, path) == [b"", b""]
        assert run(shell, 'printf \'%s\\0\' "$(entries files "$1")"', path) == [b""]


@pytest.mark.parametrize("topic", ["fix-login", "0"])
def test_where_a_record_is(topic: str) -> None:
    key = Key(IDENTITY, "dev", topic)
    assert record_file.path(key) == f"records/example.com%2Frobin%2Fshop/dev/{topic}.json"


def test_paths_of_hostile_repos_stay_under_records() -> None:
    for repo in ("../../etc", "a/../b", "/etc", "a" * 500, "ü/ß"):
        parts = record_file.path(Key(repo, "dev", "x")).split("/")
        assert len(parts) == 4
        assert not {"", ".", ".."} & set(parts)


def find(records: list[Record], identity: str, source: str) -> Record | None:
    """What `find` makes of files that hold those records."""
    files = [record_file.text(item).encode() for item in records]
    found, found_sum = record_file.find(files, identity, source)
    assert found_sum == (sha256(files[records.index(found)]).hexdigest() if found else "")
    return found


def test_the_repos_own_record_is_found() -> None:
    same = a_record()
    other = a_record(repo="example.com/other/shop", source="/elsewhere")
    moved = a_record(repo="commit/" + "5" * 40)
    assert find([], IDENTITY, "/srv/shop") is None
    assert find([other], IDENTITY, "/srv/shop") is None
    assert find([other, same], IDENTITY, "/srv/shop") == same
    assert find([moved, same], IDENTITY, moved.source) == same
    assert find([other, moved], IDENTITY, moved.source) == moved


def test_a_broken_record_is_explained() -> None:
    with pytest.raises(MooringError, match="record"):
        record_file.find([b'{"repo": '], IDENTITY, "/srv/shop")


def older(record: Record) -> bytes:
    """The same record as an older Mooring wrote it: fewer keys, and in another order."""
    fields = json.loads(record_file.text(record))
    for name in ("reserved", "parent", "carry", "digest"):
        del fields[name]
    lines = [f'"{name}": {json.dumps(fields[name])}' for name in reversed(fields)]
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def test_the_sum_of_a_record_is_that_of_its_file() -> None:
    """Not of what this Mooring would write: an older one wrote the same otherwise."""
    raw = older(a_record())
    assert raw != record_file.text(a_record()).encode()
    wanted = (a_record(), sha256(raw).hexdigest())
    assert record_file.find([raw], IDENTITY, "/srv/shop") == wanted
    encoded = base64.encodebytes(raw).decode().splitlines()
    assert len(encoded) > 1
    assert record_file.from_answer(encoded) == wanted


def test_a_key_of_a_newer_mooring_is_no_error() -> None:
    raw = record_file.text(a_record()).replace("{\n", '{\n"novel": {"a": [1]},\n', 1).encode()
    assert record_file.find([raw], IDENTITY, "/x") == (a_record(), sha256(raw).hexdigest())


ANSWERS: list[Any] = [["bm90IGEgcmVjb3Jk"], [""], ["not base64!"], ["é"], ["e"]]


@pytest.mark.parametrize("lines", ANSWERS)
def test_an_answer_that_is_no_record_is_explained(lines: list[str]) -> None:
    with pytest.raises(MooringError):
        record_file.from_answer(lines)


def test_a_name_that_is_not_utf8_is_an_error_of_ours_at_most() -> None:
    """A target's file names are bytes; what is no UTF-8 arrives as lone surrogates."""
    with suppress(MooringError):
        assert record_file.text(a_record(files={"caf\udce9.env": SUM}))
