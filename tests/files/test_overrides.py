"""A session's own settings, the approved environment, and other tools' lists, on real repos."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.git.traces import made, records, rows, status
from tests.support import PROJECT, Done, Person, commit

SPEC = "env: {MODE: repo, NAME: 'shop-{{ slug }}', OWN: repo}\nports: [web]\n"


@pytest.fixture
def shop(person: Person, repo: Path) -> Path:
    """A repo with variables that nobody has approved."""
    commit(person, repo, {"mooring.yaml": SPEC})
    return repo


def entered(person: Person, main: Path, topic: str = "fix-login") -> dict[str, str]:
    """The environment of `mooring run`."""
    done = person.mooring("run", topic, "--", "env", "-0", cwd=main)
    return dict(item.split("=", 1) for item in done.stdout.split("\0") if item)


def exported(person: Person, place: Path) -> dict[str, str]:
    """The environment that the `.envrc` makes."""
    script = 'eval "$(grep ^export .envrc)"; env -0'
    done = person.run("bash", "-c", script, cwd=place)
    return dict(item.split("=", 1) for item in done.stdout.split("\0") if item)


def kept(person: Person) -> list[str]:
    """What the one record has of settings."""
    (record,) = records(person.home)
    found = record["set"]
    assert isinstance(found, list)
    return found


def user_file(person: Person, name: str, text: str) -> None:
    """One of the person's own files."""
    path = person.home / ".config/mooring" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def resumed(person: Person, main: Path, *args: str) -> Done:
    return person.mooring("resume", "fix-login", "--launch", "none", *args, cwd=main)


def test_a_setting_is_recorded_and_kept(person: Person, shop: Path) -> None:
    user_file(person, "overrides/fix-login.yaml", "env: {MODE: override}\n")
    place = made(person, "fix-login", "--set", "env.MODE=a 'b' $c", "--set", "ports=[db]", cwd=shop)
    assert kept(person) == ["env.MODE=a 'b' $c", "ports=[db]"]
    assert exported(person, place)["MODE"] == entered(person, shop)["MODE"] == "a 'b' $c"
    ports = entered(person, shop)
    assert len({ports["PORT"], ports["PORT_WEB"], ports["PORT_DB"]}) == 3
    again = person.mooring("new", "fix-login", cwd=shop)
    assert "unchanged" in again.stderr
    person.mooring("new", "fix-login", "--set", "env.MODE=other", cwd=shop)
    assert kept(person) == ["env.MODE=other", "ports=[db]"]
    assert exported(person, place)["MODE"] == entered(person, shop)["MODE"] == "other"
    same = person.mooring("new", "fix-login", "--set", "env.MODE=other", cwd=shop)
    assert "unchanged" in same.stderr
    assert person.mooring("status", "fix-login", "--check", cwd=shop).returncode == 0
    assert status(person, place) == ""


def test_a_setting_is_taken_back(person: Person, shop: Path) -> None:
    place = made(person, "fix-login", "--set", "env.MODE=x", "--set", "env.ONE=1", cwd=shop)
    person.mooring("new", "fix-login", "--unset", "env.MODE", cwd=shop)
    assert kept(person) == ["env.ONE=1"]
    assert exported(person, place)["MODE"] == "repo"
    assert "MODE" not in entered(person, shop)
    assert entered(person, shop)["ONE"] == "1"
    said = person.mooring("new", "fix-login", "--unset", "env.MOED", cwd=shop).stderr
    assert "--unset env.MOED: nothing was set of that name" in said
    assert "unchanged" in said


@pytest.mark.parametrize(
    ("setting", "status_", "message"),
    [
        ("evn.MODE=x", 1, "Cannot read --set: unknown key 'evn'; did you mean 'env'?"),
        ("ports=[a", 1, "Cannot read --set ports line"),
        ("env.MODE", 2, "it must be key=value"),
        ("secrets.KEY.command=[id]", 1, "which has no say in the secrets of this host"),
    ],
)
def test_a_bad_setting_changes_nothing(
    person: Person, shop: Path, setting: str, status_: int, message: str
) -> None:
    done = person.mooring("new", "fix-login", "--set", setting, cwd=shop, check=False)
    assert done.returncode == status_
    assert message in done.stderr
    assert (rows(person), records(person.home)) == ([], [])
    made(person, "fix-login", "--set", "env.MODE=x", cwd=shop)
    done = person.mooring("new", "fix-login", "--set", setting, cwd=shop, check=False)
    assert done.returncode == status_
    assert kept(person) == ["env.MODE=x"]


def test_settings_outlive_the_end_for_a_resume(person: Person, shop: Path) -> None:
    made(person, "fix-login", "--set", "env.MODE=x", cwd=shop)
    person.mooring("end", "fix-login", cwd=shop)
    resumed(person, shop, "--set", "env.TWO=2")
    assert kept(person) == ["env.MODE=x", "env.TWO=2"]
    environment = entered(person, shop)
    assert (environment["MODE"], environment["TWO"]) == ("x", "2")
    resumed(person, shop, "--unset", "env.TWO")
    assert kept(person) == ["env.MODE=x"]
    person.mooring("end", "fix-login", cwd=shop)
    made(person, "fix-login", cwd=shop)
    assert kept(person) == [], "a topic used anew chooses its own"
    assert "MODE" not in entered(person, shop)


def test_a_workspace_deleted_by_hand_keeps_its_settings(person: Person, shop: Path) -> None:
    place = made(person, "fix-login", "--set", "env.MODE=x", cwd=shop)
    person.git("worktree", "remove", "--force", place, cwd=shop)
    person.mooring("new", "fix-login", cwd=shop)
    assert kept(person) == ["env.MODE=x"]
    assert exported(person, place)["MODE"] == "x"


def test_rules_of_files_by_set_are_named_so(person: Person, shop: Path) -> None:
    (shop / ".env.other").write_text("OTHER=1\n")
    rule = "files.copy=[{src: .env.local, dest: .env}, .env.other]"
    args = ("--set", rule, "--set", 'files.skip=["*.other"]')
    place = made(person, "fix-login", *args, cwd=shop)
    assert (place / ".env").read_text() == (shop / ".env.local").read_text()
    assert not (place / ".env.other").exists()
    planned = person.mooring("files", "plan", "fix-login", "--json", cwd=shop)
    found = {row["path"]: (row["action"], row["rule"]) for row in json.loads(planned.stdout)}
    assert found[".env"] == ("copy", "--set: files.copy[0]")
    assert found[".env.other"] == ("skip", "--set: files.skip[0]")


def test_plain_pyinfra_takes_and_keeps_settings(person: Person, shop: Path) -> None:
    entry, local = PROJECT / "deploy/workspace.py", PROJECT / "inventories/local.py"
    data = ("--data", "topic=fix-login", "--data", f"repo={shop}")
    person.pyinfra("-y", local, entry, *data, "--data", "set=env.MODE=x\nports=[db]")
    assert kept(person) == ["env.MODE=x", "ports=[db]"]
    listed = ("--data", 'set=["env.MODE=y","env.ONE=1"]', "--data", "unset=ports")
    person.pyinfra("-y", local, entry, *data, *listed)
    assert kept(person) == ["env.MODE=y", "env.ONE=1"]
    assert entered(person, shop)["MODE"] == "y"
    again = person.pyinfra("-y", local, entry, *data)
    assert "No changes" in again.stdout + again.stderr
    assert kept(person) == ["env.MODE=y", "env.ONE=1"]
    person.pyinfra("-y", local, PROJECT / "deploy/retire.py", *data)


def test_the_repos_env_reaches_a_command_once_it_is_approved(person: Person, shop: Path) -> None:
    user_file(person, "config.yaml", "env: {MODE: user, MINE: user}\n")
    user_file(person, "overrides/fix-login.yaml", "env: {OWN: override}\n")
    made(person, "fix-login", cwd=shop)
    before = entered(person, shop)
    assert (before["MODE"], before["MINE"], before["OWN"]) == ("user", "user", "override")
    assert "NAME" not in before
    assert [record["env"] for record in records(person.home)] == [{}]
    person.mooring("trust", "--yes", cwd=shop)
    assert "NAME" not in entered(person, shop), "not before the workspace knows of it"
    person.mooring("new", "fix-login", cwd=shop)
    (record,) = records(person.home)
    assert record["env"] == {"MODE": "repo", "NAME": "shop-{{ slug }}"}
    after = entered(person, shop)
    assert (after["MODE"], after["NAME"]) == ("repo", "shop-fix_login")
    assert (after["MINE"], after["OWN"]) == ("user", "override")
    assert "unchanged" in person.mooring("new", "fix-login", cwd=shop).stderr
    (shop / "mooring.yaml").write_text("env: {MODE: changed}\n")
    person.mooring("new", "fix-login", cwd=shop)
    assert entered(person, shop)["MODE"] == "user", "that has nobody approved"


def test_a_lost_registry_has_it_again(person: Person, shop: Path) -> None:
    person.mooring("new", "fix-login", "--trust", "--set", "env.ONE=1", cwd=shop)
    before = entered(person, shop)
    for path in (person.home / ".local/share/mooring").glob("registry.db*"):
        path.unlink()
    person.mooring("new", "fix-login", cwd=shop)
    after = entered(person, shop)
    names = ("MODE", "NAME", "OWN", "ONE")
    assert [after[name] for name in names] == [before[name] for name in names]


def test_a_record_of_an_older_mooring_is_read(person: Person, shop: Path) -> None:
    made(person, "fix-login", cwd=shop)
    (path,) = (person.home / ".local/share/mooring/records").glob("*/*/*.json")
    old = json.loads(path.read_text())
    del old["set"], old["env"]
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in old.items())
    path.write_text(f"{{\n{lines}\n}}\n")
    person.mooring("new", "fix-login", "--set", "env.ONE=1", cwd=shop)
    assert kept(person) == ["env.ONE=1"]
    assert entered(person, shop)["ONE"] == "1"
    person.mooring("end", "fix-login", cwd=shop)


def test_claude_gets_the_arguments_and_variables(person: Person, shop: Path) -> None:
    claude = person.home / "bin/claude"
    claude.write_text(
        '#!/bin/sh\ncase $1 in --version) echo "2.1.329 (Claude Code)"; exit;; esac\n'
        'printf "%s\\n" "$MODE" "$@"\n'
    )
    os.chmod(claude, 0o755)
    args = ("--trust", "--set", "claude.args=[--verbose]", "--set", "env.ONE=1")
    done = person.mooring("new", "fix-login", *args, "--", "--debug", cwd=shop)
    said = done.stdout.splitlines()
    assert said[:2] == ["repo", "--verbose"]
    assert said[-1] == "--debug"
