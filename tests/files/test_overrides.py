"""A session's own settings, the approved environment, and other tools' lists, on real repos."""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import pytest

from mooring.facts import record as record_file
from mooring.model import Record
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


def rewritten(person: Person, **changes: object) -> None:
    """The one record as somebody on the target has changed it."""
    (path,) = (person.home / ".local/share/mooring/records").glob("*/*/*.json")
    path.write_text(record_file.text(msgspec.convert(records(person.home)[0] | changes, Record)))


def test_a_record_names_no_secret_of_the_controller(person: Person, shop: Path) -> None:
    made(person, "fix-login", cwd=shop)
    trap = person.home / "trap"
    setting = f'secrets={{KEY: {{command: [touch, "{trap}"]}}}}'
    rewritten(person, set=[setting, "env.ONE=1"])
    refused = person.mooring("new", "fix-login", "--trust", cwd=shop, check=False)
    assert refused.returncode == 1
    assert "Cannot read --set secrets" in refused.stderr
    assert not trap.exists()
    person.mooring("new", "fix-login", "--unset", "secrets", cwd=shop)
    assert kept(person) == ["env.ONE=1"]


def test_settings_that_cannot_be_read_stop_no_end(person: Person, shop: Path) -> None:
    made(person, "fix-login", cwd=shop)
    rewritten(person, set=["no-such-key=1"])
    done = person.mooring("end", "fix-login", cwd=shop)
    assert "unknown key 'no-such-key'; going on without it" in done.stderr


def test_a_dry_run_records_nothing(person: Person, shop: Path) -> None:
    made(person, "fix-login", "--set", "env.MODE=x", cwd=shop)
    args = ("--set", "env.MODE=y", "--set", "env.ONE=1", "--dry-run")
    person.mooring("new", "fix-login", *args, cwd=shop)
    assert kept(person) == ["env.MODE=x"]
    assert entered(person, shop)["MODE"] == "x"


def test_the_answers_have_the_settings(person: Person, shop: Path) -> None:
    made(person, "fix-login", "--set", "env.MODE=x", cwd=shop)
    for verb in ("new", "status"):
        answer = json.loads(person.mooring(verb, "fix-login", "--json", cwd=shop).stdout)
        assert answer["set"] == ["env.MODE=x"]


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


LISTED = """\
# what a workspace needs
copy:.env.local
copy:.env.shared:config/.env
symlink:node_modules
skip:*.log
"""


@pytest.fixture
def lister(person: Person, repo: Path) -> Path:
    """A repo that has its files in a list of another tool's."""
    (repo / "node_modules").mkdir()
    (repo / ".env.shared").write_text("SHARED=1\n")
    spec = "files: {from: .worktree-files, copy: [.env.log]}\n"
    commit(person, repo, {"mooring.yaml": spec, ".worktree-files": LISTED})
    commit(person, repo, {".gitignore": ".env*\nnode_modules\n"})
    return repo


def test_a_list_of_another_tool_is_read(person: Person, lister: Path) -> None:
    (lister / ".env.log").write_text("LOG=1\n")
    place = made(person, "fix-login", cwd=lister)
    assert (place / ".env.local").read_text() == (lister / ".env.local").read_text()
    assert (place / "config/.env").read_text() == "SHARED=1\n"
    assert os.readlink(place / "node_modules") == str(lister / "node_modules")
    assert not (place / ".env.log").exists()
    planned = person.mooring("files", "plan", "fix-login", "--json", cwd=lister)
    found = {row["path"]: row["rule"] for row in json.loads(planned.stdout)}
    assert found == {
        ".env.local": ".worktree-files: copy[0]",
        "config/.env": ".worktree-files: copy[1]",
        "node_modules": ".worktree-files: symlink[0]",
        ".env.log": ".worktree-files: skip[0]",
    }
    assert "unchanged" in person.mooring("new", "fix-login", cwd=lister).stderr
    assert status(person, place) == ""
    (lister / ".worktree-files").write_text(LISTED.replace("skip:*.log\n", ""))
    person.mooring("new", "fix-login", cwd=lister)
    assert (place / ".env.log").read_text() == "LOG=1\n"
    audited = person.mooring("files", "audit", "--json", cwd=lister)
    assert "config/.env" not in audited.stdout
    person.mooring("end", "fix-login", cwd=lister)


def test_several_lists_and_one_by_set(person: Person, lister: Path) -> None:
    (lister / ".env.one").write_text("ONE=1\n")
    (lister / ".env.two").write_text("TWO=2\n")
    (lister / "one").write_text(".env.one\n")
    (lister / "two").write_text("copy:.env.two\n")
    (lister / "mooring.yaml").write_text("files: {from: [.worktree-files, one]}\n")
    place = made(person, "fix-login", "--set", "files.from=two", cwd=lister)
    for name in (".env.local", ".env.one", ".env.two"):
        assert (place / name).is_file()
    planned = person.mooring("files", "plan", "fix-login", "--json", cwd=lister)
    rules = {row["path"]: row["rule"] for row in json.loads(planned.stdout)}
    assert (rules[".env.one"], rules[".env.two"]) == ("one: copy[0]", "two: copy[0]")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "there is no such file in {place} (mooring.yaml: files.from)"),
        ("copy:.env.local\nlink:x\n", "Cannot read .worktree-files line 2: 'link' is none of"),
        ("copy:a\ncopy:../../x\n", "Cannot read .worktree-files line 2: '../../x' leaves"),
        ("link", "(mooring.yaml: files.from)"),
    ],
)
def test_a_list_that_cannot_be_read(
    person: Person, lister: Path, text: str | None, message: str
) -> None:
    path = lister / ".worktree-files"
    path.unlink()
    if text == "link":
        path.symlink_to(person.home / ".gitconfig")
    elif text:
        path.write_text(text)
    done = person.mooring("new", "fix-login", cwd=lister, check=False)
    assert done.returncode == 1
    assert message.format(place=lister) in done.stderr
    assert (rows(person), records(person.home)) == ([], [])


def test_a_list_that_is_gone_stops_no_end(person: Person, lister: Path) -> None:
    made(person, "fix-login", cwd=lister)
    (lister / ".worktree-files").write_text("link:x\n")
    person.mooring("end", "fix-login", cwd=lister)


def test_a_template_in_a_list_needs_an_approval(person: Person, lister: Path) -> None:
    listed = LISTED + "template:env.j2:.env\n"
    commit(person, lister, {".worktree-files": listed, "env.j2": "T={{ topic }}\n"})
    refused = person.mooring("new", "fix-login", cwd=lister, check=False)
    assert refused.returncode == 4
    assert "T={{ topic }}" in person.mooring("trust", "--show", cwd=lister, check=False).stdout
    person.mooring("trust", "--yes", cwd=lister)
    place = made(person, "fix-login", cwd=lister)
    assert (place / ".env").read_text() == "T=fix-login\n"
    assert "unchanged" in person.mooring("new", "fix-login", cwd=lister).stderr
    (lister / "env.j2").write_text("T=changed\n")
    assert person.mooring("new", "fix-login", cwd=lister, check=False).returncode == 4


def test_of_a_url_the_base_commit_has_the_list(person: Person, lister: Path, origin: str) -> None:
    listed = "template:env.j2:.env\n"
    commit(person, lister, {".worktree-files": listed, "env.j2": "T={{ topic }}\n"})
    person.git("push", origin, "main", cwd=lister)
    (lister / ".worktree-files").write_text("link:not pushed\n")
    done = person.mooring("new", "fix-login", "--repo", origin, "--trust")
    assert (Path(done.stdout.strip()) / ".env").read_text() == "T=fix-login\n"
    assert "unchanged" in person.mooring("new", "fix-login", "--repo", origin).stderr
