"""What a run may cost: one command for an unchanged workspace, no engine for `list`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support import Person


def commands(person: Person, repo: Path) -> int:
    """How many commands a pyinfra run sends to the target, as its debug log counts them."""
    data = ["topic=fix-login", f"repo={repo}"]
    done = person.pyinfra("-y", "--debug", "@local", "mooring.deploys.workspace", *data)
    return (done.stdout + done.stderr).count("Running command on localhost")


def test_an_unchanged_workspace_takes_one_command(person: Person, repo: Path) -> None:
    (repo / "mooring.yaml").write_text("files: {copy: ['.env*']}\nports: [web]\n")
    assert commands(person, repo) > 1
    assert commands(person, repo) == 1


@pytest.mark.parametrize(
    "args",
    [["--help"], ["list"], ["status", "fix-login"], ["sessions"], ["store", "copy", "--help"]],
)
def test_what_reads_the_index_imports_no_engine(
    person: Person, repo: Path, args: list[str]
) -> None:
    person.mooring("new", "fix-login", "--launch", "none", cwd=repo)
    code = (
        "import sys, mooring.cli; status = mooring.cli._main();"
        "print([name for name in ('pyinfra', 'docker', 'gevent') if name in sys.modules])"
    )
    done = person.run(sys.executable, "-c", code, *args, cwd=repo)
    assert done.stdout.splitlines()[-1] == "[]"
