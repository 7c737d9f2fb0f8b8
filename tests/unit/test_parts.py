"""What may be done with a session's parts where two stores differ."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mooring.claude import parts
from mooring.claude.parts import File, Verdict

ID = "0b5f1f5e-0000-4000-8000-00000000000a"


def file(data: bytes, at: int | None = None) -> File:
    head = "" if at is None or at > len(data) else sha256(data[:at]).hexdigest()
    return File(len(data), sha256(data).hexdigest(), 0o600, 0.0, head)


def judge(source: bytes, there: bytes | None) -> Verdict:
    if there is None:
        return parts.judge(file(source), None)
    head = file(source, len(there)).head
    return parts.judge(file(source), file(there, len(source)), head)


@pytest.mark.parametrize(
    ("source", "there", "verdict"),
    [
        (b"ab", None, Verdict.NEW),
        (b"ab", b"ab", Verdict.UNCHANGED),
        (b"ab", b"a", Verdict.EXTENDS),
        (b"ab", b"", Verdict.EXTENDS),
        (b"ab", b"abc", Verdict.BEHIND),
        (b"", b"abc", Verdict.BEHIND),
        (b"ab", b"ax", Verdict.DIFFERS),
        (b"ab", b"x", Verdict.DIFFERS),
        (b"ab", b"axc", Verdict.DIFFERS),
    ],
)
def test_verdicts(source: bytes, there: bytes | None, verdict: Verdict) -> None:
    assert judge(source, there) is verdict


SMALL = st.lists(st.sampled_from([b"a", b"b"]), max_size=5).map(b"".join)


@given(SMALL, SMALL)
def test_nothing_is_ever_lost(source: bytes, there: bytes) -> None:
    verdict = judge(source, there)
    assert (verdict is Verdict.UNCHANGED) == (source == there)
    assert (verdict is Verdict.EXTENDS) == (source != there and source.startswith(there))
    assert (verdict is Verdict.BEHIND) == (source != there and there.startswith(source))


@pytest.mark.parametrize(
    ("path", "transcript", "verdict"),
    [
        (f"tasks/{ID}/1.json", Verdict.EXTENDS, Verdict.EXTENDS),
        (f"tasks/{ID}/1.json", Verdict.UNCHANGED, Verdict.DIFFERS),
        (f"tasks/{ID}/1.json", Verdict.NEW, Verdict.DIFFERS),
        ("projects/-p/memory/MEMORY.md", Verdict.EXTENDS, Verdict.DIFFERS),
    ],
)
def test_a_side_file_that_differs(path: str, transcript: Verdict, verdict: Verdict) -> None:
    assert parts.judge_side(path, Verdict.DIFFERS, transcript) is verdict


@pytest.mark.parametrize(
    ("path", "good"),
    [
        ("projects/-p/x.jsonl", True),
        ("projects/../x", False),
        ("/etc/passwd", False),
        ("a//b", False),
        ("a/./b", False),
        ("a/b\nc", False),
        ("", False),
        ("a/\udc80", False),
    ],
)
def test_paths(path: str, good: bool) -> None:
    assert parts.is_path(path) is good


@pytest.mark.parametrize(
    ("path", "to", "good"),
    [
        (f"projects/-p/{ID}", f"../-q/{ID}", True),
        (f"projects/-p/{ID}", "../-q/other", False),
        (f"projects/-p/{ID}", f"../../{ID}", False),
        (f"projects/-p/{ID}", f"../../../{ID}", False),
        (f"projects/-p/{ID}", f"/etc/{ID}", False),
        (f"tasks/{ID}", f"../-q/{ID}", False),
    ],
)
def test_side_links(path: str, to: str, good: bool) -> None:
    assert parts.is_side_link(path, to) is good


def test_a_project_of_another_name() -> None:
    assert parts.at_project("projects/-a/memory/x", "-a", "-b") == "projects/-b/memory/x"
    assert parts.at_project("projects/-ab/x", "-a", "-b") == "projects/-ab/x"
    assert parts.at_project("tasks/x", "-a", "-b") == "tasks/x"


def test_transcripts() -> None:
    assert parts.transcript(f"projects/-p/{ID}.jsonl") == ("-p", ID)
    assert parts.transcript(f"projects/../{ID}.jsonl") is None
    assert parts.transcript("projects/-p/notes.jsonl") is None
