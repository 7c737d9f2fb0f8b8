"""The commands of `setup`: once each, in its environment, gone on with after a failure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.git.traces import made, records, rows
from tests.support import Person, commit


def spec(*commands: object, **more: object) -> str:
    """A mooring.yaml with these."""
    return json.dumps({"setup": list(commands), **more})


def test_once_each_in_the_environment_of_the_workspace(person: Person, repo: Path) -> None:
    shown = "echo $WORK_TOPIC $PORT $MODE $PWD >>out.log; env >env.log"
    commit(person, repo, {"mooring.yaml": spec(shown, env={"MODE": "m"}), ".gitignore": "*.log\n"})
    refused = person.mooring("new", "fix-login", cwd=repo, check=False)
    assert refused.returncode == 4
    assert rows(person) == []
    place = made(person, "fix-login", "--trust", cwd=repo)
    (record,) = records(person.home)
    port = record["ports"]["PORT"]
    assert (place / "out.log").read_text() == f"fix-login {port} m {place}\n"
    assert "GIT_OPTIONAL_LOCKS" not in (place / "env.log").read_text()
    assert "unchanged" in person.mooring("new", "fix-login", cwd=repo).stderr
    assert len((place / "out.log").read_text().splitlines()) == 1


def test_a_failure_is_gone_on_with(person: Person, repo: Path) -> None:
    steps = ("echo 1 >>out.log", "echo trying; test -f go.log", "echo 3 >>out.log")
    commit(person, repo, {"mooring.yaml": spec(*steps), ".gitignore": "*.log\n"})
    done = person.mooring("new", "fix-login", "--trust", cwd=repo, check=False)
    assert done.returncode == 1
    assert "Cannot set up: this failed: echo trying; test -f go.log" in done.stderr
    (record,) = records(person.home)
    assert record["state"] == "partial"
    place = Path(str(record["worktree"]))
    log = place / ".mooring/setup.log"
    assert str(log) in done.stderr
    assert "trying\n" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600
    (place / "go.log").touch()
    made(person, "fix-login", cwd=repo)
    assert (place / "out.log").read_text() == "1\n3\n"
    (record,) = records(person.home)
    assert record["state"] == "ready"


def test_a_command_that_changed_is_run_with_those_behind_it(person: Person, repo: Path) -> None:
    steps = ["echo 1 >>out.log", "echo 2 >>out.log", "echo 3 >>out.log"]
    commit(person, repo, {"mooring.yaml": spec(*steps), ".gitignore": "*.log\n"})
    place = made(person, "fix-login", "--trust", cwd=repo)
    steps[1] = "echo two >>out.log"
    (repo / "mooring.yaml").write_text(spec(*steps))
    made(person, "fix-login", "--trust", cwd=repo)
    assert (place / "out.log").read_text().split() == ["1", "2", "3", "two", "3"]


def test_a_new_directory_is_set_up_again(person: Person, repo: Path) -> None:
    commit(person, repo, {"mooring.yaml": spec("echo x >out.log"), ".gitignore": "*.log\n"})
    place = made(person, "fix-login", "--trust", cwd=repo)
    (place / "out.log").unlink()
    person.mooring("end", "fix-login", cwd=repo)
    made(person, "fix-login", cwd=repo)
    assert (place / "out.log").exists()


def test_what_takes_too_long_is_ended(person: Person, repo: Path) -> None:
    commit(person, repo, {"mooring.yaml": spec({"run": "sleep 60; touch late", "timeout": 1})})
    done = person.mooring("new", "fix-login", "--trust", cwd=repo, check=False)
    assert done.returncode == 1
    assert "it took longer than 1 s: sleep 60; touch late" in done.stderr
    person.mooring("end", "fix-login", cwd=repo)


def test_the_users_own_needs_no_approval(person: Person, repo: Path) -> None:
    own = person.home / ".config/mooring"
    own.mkdir(parents=True)
    (own / "config.yaml").write_text(spec("echo mine >.mooring/mine"))
    place = made(person, "fix-login", cwd=repo)
    assert (place / ".mooring/mine").read_text() == "mine\n"


@pytest.mark.parametrize("entry", ["", "  ", {"run": "x", "timeout": 0}, {"timeout": 3}, 7])
def test_what_is_no_command(person: Person, repo: Path, entry: object) -> None:
    (repo / "mooring.yaml").write_text(spec(entry))
    done = person.mooring("new", "fix-login", "--trust", cwd=repo, check=False)
    assert done.returncode == 1
    assert "mooring.yaml line 1" in done.stderr


def test_two_at_once_run_it_once(person: Person, repo: Path) -> None:
    """The second waits for the first, and finds it done."""
    commit(
        person,
        repo,
        {"mooring.yaml": spec("sleep 2; echo x >>out.log"), ".gitignore": "*.log\n"},
    )
    person.mooring("trust", "--yes", cwd=repo)
    both = "mooring new fix-login & mooring new fix-login; wait"
    person.run("sh", "-c", both, cwd=repo)
    place = made(person, "fix-login", cwd=repo)
    assert (place / "out.log").read_text() == "x\n"
