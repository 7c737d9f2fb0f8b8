"""What listing a repo's conversations costs: `python -m tests.bench_transcripts`. No test.

1,000 transcripts of 500 MB in all, in 50 projects, shaped like those of Claude Code 2.1.329: the
prompt and 80 KB of attachments first, then turns, a snapshot of 60 KB near the end.
"""

from __future__ import annotations

import json
import tempfile
import time
import uuid
from pathlib import Path

from mooring.claude import transcripts

TRANSCRIPTS = 1_000
PROJECTS = 50
SIZE = 500_000
PLACE = "/home/robin/src/shop"


def line(kind: str, cwd: str, **more: object) -> bytes:
    """One line as Claude writes it: what matters for finding it stands at the end."""
    envelope = {"userType": "external", "cwd": cwd, "version": "2.1.329", "gitBranch": "main"}
    entry = {"parentUuid": str(uuid.uuid4()), "type": kind, **more, **envelope}
    return json.dumps(entry, separators=(",", ":")).encode() + b"\n"


def content(cwd: str) -> bytes:
    """One transcript of about SIZE bytes."""
    prompt = {"role": "user", "content": "Please fix the login"}
    answer = {"role": "assistant", "content": [{"type": "text", "text": "Certainly. " * 300}]}
    result = {"role": "user", "content": [{"type": "tool_result", "content": "a line\n" * 500}]}
    head = b'{"type":"mode","mode":"default"}\n{"type":"file-history-snapshot"}\n'
    head += line("user", cwd, message=prompt)
    head += line("attachment", cwd, attachment={"text": "skill " * 2_300})
    head += line("attachment", cwd, attachment={"text": "shape " * 11_000})
    turn = line("user", cwd, message=prompt)
    turn += (line("assistant", cwd, message=answer) + line("user", cwd, message=result)) * 3
    tail = line("attachment", cwd, attachment={"text": "snapshot " * 7_000})
    tail += b'{"type":"last-prompt","lastPrompt":"x"}\n{"type":"cost-state"}\n'
    turns = (SIZE - len(head) - len(tail)) // len(turn) + 1
    return head + turn * turns + tail


def fill(store: Path, place: str = PLACE) -> int:
    """Make the transcripts, of sessions in worktrees beside `place`; returns their bytes."""
    total = 0
    for number in range(TRANSCRIPTS):
        cwd = f"{place}.worktrees/topic-{number % PROJECTS}"
        project = store / "projects" / transcripts.slug(cwd)
        project.mkdir(parents=True, exist_ok=True)
        total += (project / f"{uuid.uuid4()}.jsonl").write_bytes(content(cwd))
    return total


def cost(store: Path) -> tuple[float, float]:
    """Wall and CPU seconds of one listing."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = transcripts.of_repo(store, [PLACE, f"{PLACE}.worktrees"])
    assert len(found) == TRANSCRIPTS
    assert all(each.branch == "main" and each.first_prompt and each.turns for each in found)
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    """Print one line."""
    with tempfile.TemporaryDirectory() as directory:
        total = fill(Path(directory))
        costs = [cost(Path(directory)) for _ in range(5)]
    wall, cpu = (min(each) for each in zip(*costs, strict=True))
    print(
        f"of_repo, {TRANSCRIPTS} transcripts, {total / 1e6:.0f} MB: "
        f"{wall:.3f} s wall, {cpu:.3f} s CPU (best of 5)"
    )


if __name__ == "__main__":
    main()
