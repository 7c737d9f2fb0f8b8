"""The name of a project's directory, as the real CLI makes it: a new one may do it otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mooring.claude import transcripts
from tests.support import Person

PATHS = {
    "spaces": "my shop (1)",
    "unicode": "Grüße/Gru\u0308n/日本🚀",
    "long": "/".join(["long-part-é" * 6] * 5),
}


@pytest.mark.parametrize("kind", PATHS)
def test_claude_names_the_project_so(claude_person: Person, repo: Path, kind: str) -> None:
    cwd = repo / PATHS[kind]
    cwd.mkdir(parents=True)
    done = claude_person.run("claude", "-p", "hi there", "--output-format", "json", cwd=cwd)
    session = json.loads(done.stdout)["session_id"]
    store = claude_person.home / ".claude"
    name = transcripts.slug(str(cwd.resolve()))
    assert (len(name) > transcripts.SLUG_LENGTH) == (kind == "long")
    transcript = store / "projects" / name / f"{session}.jsonl"
    assert transcripts.find(store, session) == [transcript]
    (found,) = transcripts.of_repo(store, [str(repo.resolve())])
    assert (found.session_id, found.cwd, found.branch) == (session, str(cwd.resolve()), "main")
    assert (found.first_prompt, found.turns) == ("hi there", 1)
