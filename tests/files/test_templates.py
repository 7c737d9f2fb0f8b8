"""Rendered files on real repos: approval, values of their own, secrets, rotation, hostile ones."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.git.traces import made, records, rows, status, worktrees
from tests.support import PROJECT, Person, commit

SECRET = "hunter2-Zq9vX4'$(id)\\"
SOURCE = """\
DATABASE=shop_{{ slug }}
PORT={{ port }}
WEB={{ ports.web }}
COMPOSE_PROJECT_NAME={{SESSION_SLUG}}
MODE={{ env.MODE | dotenv }}
KEY={{ secret('KEY') | dotenv }}
"""
SPEC = """\
env: {MODE: "m-{{ topic }}"}
ports: [web]
files:
  template: [{src: .mooring.d/env.j2, dest: .env}]
  required: [.env]
secrets: {KEY: {file: "~/key"}}
"""


def rotate(person: Person, value: str) -> None:
    """Let the secret be that."""
    (person.home / "key").write_text(f"{value}\n")


@pytest.fixture
def shop(person: Person, repo: Path) -> Path:
    """A repo with a template that asks for a secret, approved by nobody."""
    rotate(person, SECRET)
    commit(person, repo, {"mooring.yaml": SPEC, ".mooring.d/env.j2": SOURCE})
    return repo


@pytest.fixture
def main(person: Person, shop: Path) -> Path:
    """The same, approved."""
    person.mooring("trust", "--yes", cwd=shop)
    return shop


def variables(person: Person, place: Path) -> dict[str, str]:
    """What bash reads from the rendered file."""
    names = ("DATABASE", "PORT", "WEB", "COMPOSE_PROJECT_NAME", "MODE", "KEY")
    shown = "; ".join(f'printf "%s\\n" "${name}"' for name in names)
    done = person.run("bash", "-c", f". ./.env; {shown}", cwd=place)
    return dict(zip(names, done.stdout.splitlines(), strict=True))


def test_two_topics_have_files_of_their_own(person: Person, main: Path) -> None:
    found = {}
    for topic in ("fix-login", "other"):
        place = made(person, topic, cwd=main)
        found[topic] = variables(person, place)
        assert (place / ".env").stat().st_mode & 0o777 == 0o600
        assert status(person, place) == ""
        assert "unchanged" in person.mooring("new", topic, cwd=main).stderr
    one, other = found["fix-login"], found["other"]
    assert one["DATABASE"] == "shop_fix_login"
    assert one["COMPOSE_PROJECT_NAME"] == "fix_login"
    assert (one["MODE"], other["MODE"]) == ("m-fix-login", "m-other")
    assert one["KEY"] == other["KEY"] == SECRET
    assert len({one["PORT"], one["WEB"], other["PORT"], other["WEB"]}) == 4
    assert status(person, main) == ""
    for topic in found:
        person.mooring("end", topic, cwd=main)
    assert worktrees(person, main) == []


def test_nothing_is_rendered_that_nobody_approved(person: Person, shop: Path) -> None:
    refused = person.mooring("new", "fix-login", cwd=shop, check=False)
    assert refused.returncode == 4
    assert "hint: mooring trust fix-login" in refused.stderr
    assert (rows(person), worktrees(person, shop)) == ([], [])
    shown = person.mooring("trust", "--show", cwd=shop, check=False)
    assert shown.returncode == 4
    assert SOURCE in shown.stdout
    assert "~/key" in shown.stdout
    assert SECRET not in shown.stdout + shown.stderr
    asked = person.mooring("trust", cwd=shop, check=False)
    assert asked.returncode == 4
    assert "--yes" in asked.stderr
    dry = person.mooring("new", "fix-login", "--dry-run", cwd=shop)
    assert "would ask for an approval first: mooring trust fix-login" in dry.stderr
    assert "would template .mooring.d/env.j2 to .env" in dry.stderr


def test_what_changes_is_asked_for_again(person: Person, main: Path) -> None:
    place = made(person, "fix-login", cwd=main)
    (main / ".mooring.d/env.j2").write_text(SOURCE + "NEW={{ topic }}\n")
    refused = person.mooring("new", "fix-login", cwd=main, check=False)
    assert refused.returncode == 4
    assert "it has changed since" in refused.stderr
    shown = person.mooring("trust", "--show", cwd=main, check=False).stdout
    assert "+NEW={{ topic }}" in shown
    assert "DATABASE" not in shown, "only what has changed is shown"
    person.mooring("new", "fix-login", "--trust", cwd=main)
    assert (place / ".env").read_text().endswith("NEW=fix-login\n")
    person.mooring("trust", "--revoke", cwd=main)
    assert person.mooring("new", "fix-login", cwd=main, check=False).returncode == 4
    person.mooring("end", "fix-login", cwd=main)


def test_an_approved_env_is_allowed_at_once(person: Person, main: Path) -> None:
    said = person.mooring("new", "fix-login", cwd=main).stderr
    assert "direnv blocks" not in said


def test_a_template_of_the_user_needs_no_approval(person: Person, repo: Path) -> None:
    own = person.home / ".config/mooring"
    own.mkdir(parents=True)
    entry = "{src: env.j2, dest: .env.mine, root: user, mode: '0640'}"
    (own / "config.yaml").write_text(f"files: {{template: [{entry}]}}\n")
    (own / "env.j2").write_text("T={{ topic }}\n")
    place = made(person, "fix-login", cwd=repo)
    assert (place / ".env.mine").read_text() == "T=fix-login\n"
    assert (place / ".env.mine").stat().st_mode & 0o777 == 0o640
    assert status(person, place) == ""
    (repo / "mooring.yaml").write_text(f"files: {{template: [{entry}]}}\n")
    refused = person.mooring("new", "other", cwd=repo, check=False)
    assert "root: user is for your own config" in refused.stderr


def test_a_rotation_changes_what_has_the_secret_alone(person: Person, main: Path) -> None:
    place, other = made(person, "fix-login", cwd=main), made(person, "other", cwd=main)
    assert person.mooring("files", "refresh", "fix-login", cwd=main).stdout == ""
    rotate(person, "another")
    assert "unchanged" in person.mooring("new", "fix-login", cwd=main).stderr
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*") if path.name != ".env"}
    changed = person.mooring("files", "refresh", "fix-login", "--json", cwd=main)
    assert json.loads(changed.stdout) == {"topic": "fix-login", "changed": [".env"]}
    assert variables(person, place)["KEY"] == "another"
    assert variables(person, other)["KEY"] == SECRET
    after = {path: path.stat().st_mtime_ns for path in place.rglob("*") if path.name != ".env"}
    assert {p: t for p, t in after.items() if ".mooring" not in str(p)} == {
        p: t for p, t in before.items() if ".mooring" not in str(p)
    }
    assert person.mooring("files", "refresh", "fix-login", cwd=main).stdout == ""


def test_what_was_edited_stays_and_force_keeps_a_copy(person: Person, main: Path) -> None:
    place = made(person, "fix-login", cwd=main)
    (place / ".env").write_text("MINE=1\n")
    rotate(person, "another")
    done = person.mooring("files", "refresh", "fix-login", cwd=main)
    assert "kept as it is: .env" in done.stderr
    (main / ".mooring.d/env.j2").write_text(SOURCE + "NEW=1\n")
    person.mooring("new", "fix-login", "--trust", cwd=main)
    assert (place / ".env").read_text() == "MINE=1\n"
    beside = place / ".env.mooring-new"
    assert beside.read_text().endswith("NEW=1\n")
    assert beside.stat().st_mode & 0o777 == 0o600
    assert status(person, place) == ""
    check = person.mooring("files", "check", "fix-login", "--json", cwd=main, check=False)
    assert [(row["path"], row["state"]) for row in json.loads(check.stdout)] == [(".env", "edited")]
    assert "unchanged" in person.mooring("new", "fix-login", cwd=main).stderr
    person.mooring("new", "fix-login", "--force", cwd=main)
    assert (place / ".env").read_text() == beside.read_text()
    (saved,) = (place / ".mooring/saved").iterdir()
    assert (saved / ".env").read_text() == "MINE=1\n"
    refused = person.mooring("end", "fix-login", cwd=main, check=False)
    assert f"ignored: .mooring/saved/{saved.name}/.env" in refused.stderr
    assert "ignored: .env\n" not in refused.stderr


def test_a_run_that_failed_later_goes_on_with_what_it_rendered(person: Person, shop: Path) -> None:
    commit(person, shop, {"mooring.yaml": SPEC + "setup: ['false']\n"})
    assert person.mooring("new", "fix-login", "--trust", cwd=shop, check=False).returncode == 1
    rotate(person, "another")
    (shop / "mooring.yaml").write_text(SPEC)
    place = Path(person.mooring("new", "fix-login", "--trust", cwd=shop).stdout.strip())
    assert variables(person, place)["KEY"] == "another"
    assert not (place / ".mooring/provisioned").exists()
    person.mooring("end", "fix-login", cwd=shop)


def test_the_end_forgets_what_was_rendered(person: Person, main: Path) -> None:
    place = made(person, "fix-login", cwd=main)
    (record,) = records(person.home)
    assert list(record["rendered"]) == [".env"]
    person.mooring("end", "fix-login", cwd=main)
    assert not place.exists()
    (record,) = records(person.home)
    assert record["rendered"] == record["files"] == {}
    again = Path(person.mooring("new", "fix-login", cwd=main).stdout.strip())
    assert variables(person, again)["KEY"] == SECRET


def test_of_a_url_the_base_commit_has_the_template(person: Person, shop: Path, origin: str) -> None:
    person.git("push", origin, "main", cwd=shop)
    (shop / ".mooring.d/env.j2").write_text("not pushed\n")
    refused = person.mooring("new", "fix-login", "--repo", origin, check=False)
    assert refused.returncode == 4
    done = person.mooring("new", "fix-login", "--repo", origin, "--trust")
    assert variables(person, Path(done.stdout.strip()))["DATABASE"] == "shop_fix_login"
    again = person.mooring("new", "fix-login", "--repo", origin)
    assert "unchanged" in again.stderr


@pytest.mark.parametrize(
    ("secret", "message"),
    [
        ({"env": "NOT_SET_ANYWHERE"}, "$NOT_SET_ANYWHERE is not set"),
        ({"file": "/nowhere/key"}, "/nowhere/key: No such file or directory"),
        ({"command": ["false"]}, "false ended with 1"),
        ({"command": ["no-such-program"]}, "no-such-program: No such file or directory"),
        ({"command": ["sleep", "60"], "timeout": 1}, "sleep took longer than 1 s"),
        ({"command": ["sh", "-c", "sleep 60 & sleep 60"], "timeout": 1}, "longer than 1 s"),
        ({"command": ["true"]}, "it is empty"),
        ({"command": ["head", "-c", "70000", "/dev/zero"]}, "larger than 64 KiB"),
        ({"command": ["printf", "a\\000b"]}, "it has a NUL byte"),
        ({"command": ["printf", "\\377"]}, "it is not UTF-8"),
        ({"command": ["false"], "on": "target"}, "false ended with"),
        ({"file": "/nowhere/key", "on": "target"}, "/nowhere/key cannot be read on the target"),
        ({"env": "NOT_SET_ANYWHERE", "on": "target"}, "is not set on the target"),
        ({"command": ["sh", "-c", "echo LEAKED; echo LEAKED >&2; exit 3"]}, "sh ended with 3"),
    ],
)
def test_a_secret_that_cannot_be_had(
    person: Person, shop: Path, secret: dict[str, Any], message: str
) -> None:
    spec = {
        "files": {"template": [{"src": ".mooring.d/env.j2", "dest": ".env"}]},
        "secrets": {"KEY": secret},
        "ports": ["web"],
        "env": {"MODE": "x"},
    }
    commit(person, shop, {"mooring.yaml": json.dumps(spec)})
    done = person.mooring("new", "fix-login", "--trust", cwd=shop, check=False)
    assert done.returncode == 1
    assert f"Cannot get the secret KEY: {message}" in done.stderr or message in done.stderr
    assert "LEAKED\n" not in done.stderr
    (place,) = worktrees(person, shop)
    assert not (Path(place) / ".env").exists()
    person.mooring("end", "fix-login", cwd=shop)


@pytest.mark.parametrize("on", ["controller", "target"])
@pytest.mark.parametrize("kind", ["command", "env", "file"])
def test_where_secrets_come_from(person: Person, shop: Path, kind: str, on: str) -> None:
    value: Any = {"command": ["cat", str(person.home / "key")], "env": "THE_KEY", "file": "~/key"}
    spec = SPEC.replace('{file: "~/key"}', json.dumps({kind: value[kind], "on": on}))
    commit(person, shop, {"mooring.yaml": spec})
    env = {"THE_KEY": SECRET}
    done = person.mooring("new", "fix-login", "--trust", cwd=shop, env=env)
    assert variables(person, Path(done.stdout.strip()))["KEY"] == SECRET


PLAIN = "hunter2-Zq9vX4"


def test_the_secret_is_in_the_file_and_nowhere_else(person: Person, main: Path) -> None:
    rotate(person, PLAIN)
    seen: list[bytes] = []
    over = threading.Event()
    sampler = threading.Thread(target=_sample_argv, args=(over, seen))
    sampler.start()
    try:
        entry = PROJECT / "deploy/workspace.py"
        data = ("--data", "topic=fix-login", "--data", f"repo={main}")
        flags = ("-y", "--debug", "-vvv", PROJECT / "inventories/local.py", entry)
        deployed = person.pyinfra(*flags, *data, timeout=300)
        place = main.parent / "shop.worktrees/fix-login"
        assert variables(person, place)["KEY"] == PLAIN
        rotate(person, f"{PLAIN}-2")
        refreshed = person.mooring("files", "refresh", "fix-login", cwd=main)
        planned = person.mooring("files", "plan", "fix-login", "--json", cwd=main)
        dry = person.pyinfra("--dry", "--diff", "--json", *flags[1:], *data, timeout=300)
        target = person.mooring("trust", "--show", cwd=main)
    finally:
        over.set()
        sampler.join()
    for done in (deployed, refreshed, planned, dry, target):
        assert PLAIN not in done.stdout + done.stderr
    assert seen
    assert not any(PLAIN.encode() in argv for argv in seen)
    (place / "work.txt").write_text("work\n")
    person.git("add", "-A", cwd=place)
    person.git("commit", "-m", "Work", cwd=place)
    objects = "git cat-file --batch-all-objects --batch --buffer"
    assert PLAIN not in person.run("sh", "-c", f"{objects} | cat -v", cwd=main).stdout
    holds = [path for path in person.home.rglob("*") if _holds(path)]
    assert sorted(holds) == sorted([person.home / "key", place / ".env"])


def _holds(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and PLAIN.encode() in path.read_bytes()


def _sample_argv(over: threading.Event, seen: list[bytes]) -> None:
    while not over.wait(0.002):
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                seen.append(process.read_bytes())
            except OSError:
                continue


HOSTILE = {
    "{{ ''.__class__.__mro__[1].__subclasses__() }}": "line 1",
    "{% include '/etc/passwd' %}": "'include' is not for templates",
    "{% for a in range(100000) %}{% endfor %}": "a loop goes over",
    "{{ 'a' * 9999999999 }}": "'mul' is not for templates",
    "{{ DB_PASSWORD }}": "there is no 'DB_PASSWORD'",
    "{{ topic": "unexpected end of template",
    "{{ secret('KYE') }}": "there is no secret 'KYE'; did you mean 'KEY'?",
}


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_template_makes_nothing(person: Person, shop: Path, text: str) -> None:
    (shop / ".mooring.d/env.j2").write_text(text)
    done = person.mooring("new", "fix-login", "--trust", cwd=shop, check=False)
    assert done.returncode == 1
    assert "Cannot render .mooring.d/env.j2" in done.stderr
    assert HOSTILE[text] in done.stderr
    assert (rows(person), worktrees(person, shop)) == ([], [])


def test_a_template_that_is_not_there_fails(person: Person, shop: Path) -> None:
    (shop / ".mooring.d/env.j2").unlink()
    done = person.mooring("new", "fix-login", "--trust", cwd=shop, check=False)
    assert done.returncode == 1
    assert f"there is no .mooring.d/env.j2 in {shop} (mooring.yaml: files.template[0])" in (
        done.stderr
    )
    assert rows(person) == []


@pytest.mark.parametrize("part", ["file", "directory"])
def test_a_source_behind_a_symlink_is_none(person: Person, shop: Path, part: str) -> None:
    outside = person.home / "outside"
    outside.mkdir()
    (outside / "env.j2").write_text("PLANTED\n")
    source = shop / ".mooring.d"
    if part == "file":
        (source / "env.j2").unlink()
        (source / "env.j2").symlink_to(outside / "env.j2")
    else:
        source.rename(shop / "moved")
        source.symlink_to(outside)
    done = person.mooring("new", "fix-login", "--trust", cwd=shop, check=False)
    assert done.returncode == 1
    assert "there is no .mooring.d/env.j2" in done.stderr


@pytest.mark.parametrize(
    ("dest", "ignore", "message"),
    [
        ("README.md", "", "the repo tracks it"),
        (".env", "!.env\n", "git could stage it"),
        ("a/../../x", "", "leaves the repo or is git's own"),
        (".git/hooks/pre-commit", "", "leaves the repo or is git's own"),
        (".GIT/config", "", "leaves the repo or is git's own"),
        ("a\nb", "", "has a control character"),
        ("app", "", "the repo tracks it"),
        ("link/x", "", "link is a file or a symlink that the repo tracks"),
        ("README.md/x", "", "README.md is a file or a symlink that the repo tracks"),
        (".claude/settings.local.json", "", "it is not JSON that hooks can be added to"),
    ],
)
def test_where_no_rendered_file_may_be(
    person: Person, shop: Path, dest: str, ignore: str, message: str
) -> None:
    outside = person.home / "outside"
    outside.mkdir()
    os.symlink(outside, shop / "link")
    spec = {
        "files": {"template": [{"src": ".mooring.d/env.j2", "dest": dest}]},
        "secrets": {"KEY": {"file": "~/key"}},
        "ports": ["web"],
        "env": {"MODE": "x"},
    }
    commit(person, shop, {"mooring.yaml": json.dumps(spec), ".gitignore": ignore})
    person.git("add", "link", cwd=shop)
    person.git("commit", "-m", "Link", cwd=shop)
    done = person.mooring("new", "fix-login", "--trust", cwd=shop, check=False)
    assert done.returncode == 1
    assert message in done.stderr
    assert list(outside.iterdir()) == []
    for place in worktrees(person, shop):
        assert status(person, Path(place)) == ""
        assert SECRET not in "".join(
            path.read_text("utf-8", "replace") for path in Path(place).rglob("*") if path.is_file()
        )
    subprocess.run(["git", "-C", shop, "status"], check=True, capture_output=True)


SETTINGS = ".claude/settings.local.json"
RULES = """\
{"env": {"TOPIC": "{{ topic }}", "KEY": "{{ secret('KEY') }}"},
 "hooks": {"SessionStart": [{"hooks": [{"type": "command", "command": "true"}]}]}}
"""


@pytest.fixture
def agents(person: Person, shop: Path) -> Path:
    """A repo that renders Claude's settings for each workspace, approved."""
    rotate(person, "plain-value-1")
    template = {"src": "settings.j2", "dest": SETTINGS}
    spec = {"files": {"template": [template]}, "secrets": {"KEY": {"file": "~/key"}}}
    commit(person, shop, {"mooring.yaml": json.dumps(spec), "settings.j2": RULES})
    person.mooring("trust", "--yes", cwd=shop)
    return shop


def test_claudes_settings_are_composed_with_a_template(person: Person, agents: Path) -> None:
    place = made(person, "fix-login", cwd=agents)
    found = json.loads((place / SETTINGS).read_text())
    assert found["env"] == {"TOPIC": "fix-login", "KEY": "plain-value-1"}
    assert [len(found["hooks"][event]) for event in ("SessionStart", "SessionEnd")] == [2, 1]
    assert (place / SETTINGS).stat().st_mode & 0o777 == 0o600
    assert status(person, place) == ""
    assert "unchanged" in person.mooring("new", "fix-login", cwd=agents).stderr
    rotate(person, "plain-value-2")
    person.mooring("files", "refresh", "fix-login", cwd=agents)
    again = json.loads((place / SETTINGS).read_text())
    assert again == found | {"env": {"TOPIC": "fix-login", "KEY": "plain-value-2"}}
    person.mooring("end", "fix-login", cwd=agents)
    assert holding(person, b"plain-value-2") == {person.home / "key"}


def test_rendered_settings_that_claude_added_to(person: Person, agents: Path) -> None:
    """Nothing of them is lost, nor kept where nobody looks for a secret."""
    place = made(person, "fix-login", cwd=agents)
    added = json.loads((place / SETTINGS).read_text()) | {"permissions": {"allow": ["Bash(ls)"]}}
    (place / SETTINGS).write_text(json.dumps(added))
    done = person.mooring("new", "fix-login", cwd=agents)
    assert f"kept as it is: {SETTINGS}" in done.stderr
    found = json.loads((place / SETTINGS).read_text())
    assert found == added
    done = person.mooring("end", "fix-login", cwd=agents, check=False)
    assert done.returncode == 1
    assert SETTINGS in done.stderr
    person.mooring("end", "fix-login", "--force", cwd=agents)
    assert holding(person, b"plain-value-1") == {person.home / "key"}


def holding(person: Person, value: bytes) -> set[Path]:
    """The files under HOME with that in them."""
    files = (path for path in person.home.rglob("*") if path.is_file() and not path.is_symlink())
    return {path for path in files if value in path.read_bytes()}
