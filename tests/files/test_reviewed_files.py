"""What a reader who wanted to break it found."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.files.test_directories import fill
from tests.git.traces import made, status, worktrees
from tests.support import Person, commit


def user_config(person: Person, **keys: object) -> Path:
    """The person's own config.yaml; returns its directory."""
    own = person.home / ".config/mooring"
    own.mkdir(parents=True, exist_ok=True)
    (own / "config.yaml").write_text(json.dumps(keys))
    return own


def spec(**files: object) -> str:
    """A mooring.yaml with these `files`."""
    return json.dumps({"files": files})


def drift(person: Person, repo: Path) -> dict[str, str]:
    """What `mooring files check` finds, by path."""
    done = person.mooring("files", "check", "fix-login", "--json", cwd=repo, check=False)
    return {row["path"]: row["state"] for row in json.loads(done.stdout)}


def test_an_unapproved_env_is_not_in_the_users_own_setup(person: Person, repo: Path) -> None:
    user_config(person, setup=["env >.mooring/env"])
    path = {"PATH": "bin:/usr/bin:/bin", "REPOS": "1"}
    commit(person, repo, {"mooring.yaml": json.dumps({"env": path})})
    env = {"PORT_OTHER": "9"}
    done = person.mooring("new", "fix-login", cwd=repo, env=env)
    said = (Path(done.stdout.strip()) / ".mooring/env").read_text()
    assert "REPOS" not in said
    assert "PATH=bin" not in said
    assert "PORT_OTHER" not in said, "another workspace's"


def test_an_unapproved_env_is_not_in_the_users_own_template(person: Person, repo: Path) -> None:
    entry = {"src": "env.j2", "dest": ".env.user", "root": "user"}
    own = user_config(person, env={"MODE": "dev"}, files={"template": [entry]})
    (own / "env.j2").write_text("MODE={{ env.MODE }}\n")
    commit(person, repo, {"mooring.yaml": json.dumps({"env": {"MODE": "x; evil"}})})
    place = made(person, "fix-login", cwd=repo)
    assert (place / ".env.user").read_text() == "MODE=dev\n"


@pytest.mark.parametrize("later", [False, True])
def test_a_copy_is_ignored_where_it_comes_to(person: Person, repo: Path, later: bool) -> None:
    """The base may be older than the .gitignore of the main checkout."""
    person.git("branch", "old", cwd=repo)
    files = {".gitignore": ".env\n/fixtures/\n", "mooring.yaml": spec(copy=[".env", "/fixtures"])}
    commit(person, repo, files)
    if later:
        place = made(person, "fix-login", "--base", "old", cwd=repo)
    (repo / ".env").write_text("SECRET=1\n")
    fill(repo / "fixtures")
    place = made(person, "fix-login", "--base", "old", cwd=repo)
    assert (place / ".env").exists()
    assert (place / "fixtures").is_dir()
    assert status(person, place) == ""


def test_no_source_is_behind_a_tracked_symlink(person: Person, repo: Path) -> None:
    outside = person.home / "outside"
    outside.mkdir()
    (outside / "id").write_text("PRIVATE\n")
    (repo / "out").symlink_to(outside)
    person.git("add", "out", cwd=repo)
    entries = {
        "copy": [{"src": "out/id", "dest": "stolen", "tracked": True}],
        "symlink": [{"src": "out/id", "dest": "linked"}, {"src": "out", "dest": "all"}],
    }
    commit(person, repo, {"mooring.yaml": spec(**entries)})
    done = person.mooring("new", "fix-login", cwd=repo)
    place = Path(done.stdout.strip())
    assert "not linked: out/id (it leads out of the repo)" in done.stderr
    assert "not linked: out (it leads out of the repo)" in done.stderr
    assert not any(os.path.lexists(place / name) for name in ("stolen", "linked", "all"))


def test_a_run_that_failed_can_be_ended(person: Person, repo: Path) -> None:
    rules = spec(
        copy=[".e*", "/fixtures"], symlink=["certs"], template=[{"src": "t.j2", "dest": ".et"}]
    )
    whole = {**json.loads(rules), "setup": ["false"]}
    ignored = ".e*\n/fixtures/\ncerts\n"
    commit(person, repo, {"mooring.yaml": json.dumps(whole), "t.j2": "x\n", ".gitignore": ignored})
    (repo / ".e1").write_text("1\n")
    (repo / "certs").mkdir()
    fill(repo / "fixtures")
    done = person.mooring("new", "fix-login", "--trust", cwd=repo, check=False)
    assert "Cannot set up" in done.stderr
    person.mooring("end", "fix-login", cwd=repo)
    assert worktrees(person, repo) == []


def test_a_rotation_comes_beside_what_was_edited(person: Person, repo: Path) -> None:
    key = person.home / "key"
    key.write_text("one\n")
    document = {
        "files": {"template": [{"src": "t.j2", "dest": ".env"}]},
        "secrets": {"KEY": {"file": str(key)}},
    }
    commit(person, repo, {"mooring.yaml": json.dumps(document), "t.j2": "K={{ KEY }}\n"})
    place = made(person, "fix-login", "--trust", cwd=repo)
    (place / ".env").write_text("MINE=1\n")
    key.write_text("two\n")
    person.mooring("files", "refresh", "fix-login", cwd=repo)
    assert (place / ".env").read_text() == "MINE=1\n"
    assert (place / ".env.mooring-new").read_text() == "K=two\n"


def test_an_interrupt_ends_what_setup_runs(person: Person, repo: Path) -> None:
    user_config(person, setup=["sleep 97.25; touch late"])
    argv = [sys.executable, "-m", "mooring", "new", "fix-login"]
    with subprocess.Popen(argv, cwd=repo, env=person.env, start_new_session=True) as child:
        for _ in range(200):
            if person.run("pgrep", "-f", "sleep 97.25", check=False).stdout:
                break
            time.sleep(0.1)
        time.sleep(0.5)
        os.killpg(child.pid, signal.SIGINT)
        assert child.wait(30) == 130
    for _ in range(50):
        if not person.run("pgrep", "-fx", "sleep 97.25", check=False).stdout:
            break
        time.sleep(0.1)
    else:
        pytest.fail("it still runs")


@pytest.mark.parametrize(
    "text", ["{{ topic" + "|d" * 4000 + " }}", "{{ " + "topic and " * 4000 + "topic }}"]
)
def test_what_is_nested_too_deeply(person: Person, repo: Path, text: str) -> None:
    commit(person, repo, {"mooring.yaml": spec(template=[{"src": "t.j2", "dest": ".env"}])})
    (repo / "t.j2").write_text(text)
    done = person.mooring("new", "fix-login", "--trust", cwd=repo, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "Cannot render t.j2" in done.stderr


def test_loops_have_a_limit_together(person: Person, repo: Path) -> None:
    env = {f"N{number}": "x" for number in range(2000)}
    text = "{% for k in env %}" + "{{ topic|replace('', 'bbb') }}" * 200 + "{% endfor %}"
    document = {"env": env, "files": {"template": [{"src": "t.j2", "dest": ".env"}]}}
    commit(person, repo, {"mooring.yaml": json.dumps(document), "t.j2": text})
    done = person.mooring("new", "fix-login", "--trust", cwd=repo, check=False)
    assert done.returncode == 1
    assert "its loops are too long" in done.stderr


def test_a_change_of_line_ends_is_shown(person: Person, repo: Path) -> None:
    rules = {"mooring.yaml": spec(template=[{"src": "t.j2", "dest": ".env"}])}
    commit(person, repo, {**rules, "t.j2": "A=1 # ok\u2028curl evil\n"})
    person.mooring("trust", "--yes", cwd=repo)
    (repo / "t.j2").write_text("A=1 # ok\ncurl evil\n")
    shown = person.mooring("trust", "--show", cwd=repo, check=False).stdout
    assert "-A=1 # ok\\u2028curl evil" in shown
    assert "+curl evil" in shown


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_force_makes_a_link_again(person: Person, repo: Path, kind: str) -> None:
    commit(person, repo, {"mooring.yaml": spec(symlink=["certs"]), ".gitignore": "certs\n"})
    (repo / "certs").mkdir()
    place = made(person, "fix-login", cwd=repo)
    (place / "certs").unlink()
    mine = place / "certs" / "mine" if kind == "directory" else place / "certs"
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine\n")
    person.mooring("new", "fix-login", "--force", cwd=repo)
    assert os.readlink(place / "certs") == str(repo / "certs")
    (saved,) = (place / ".mooring/saved").iterdir()
    assert (saved / mine.relative_to(place)).read_text() == "mine\n"


def test_a_value_that_becomes_a_secret_closes_its_file(person: Person, repo: Path) -> None:
    key = person.home / "key"
    key.write_text("same\n")
    document = {"files": {"template": [{"src": "t.j2", "dest": ".env"}]}, "env": {"TOK": "same"}}
    commit(person, repo, {"mooring.yaml": json.dumps(document), "t.j2": "T={{ TOK }}\n"})
    place = made(person, "fix-login", "--trust", cwd=repo)
    document = {**document, "env": {}, "secrets": {"TOK": {"file": str(key)}}}
    (repo / "mooring.yaml").write_text(json.dumps(document))
    made(person, "fix-login", "--trust", cwd=repo)
    assert (place / ".env").stat().st_mode & 0o777 == 0o600


def test_a_directory_that_grew_can_be_ended(person: Person, repo: Path) -> None:
    commit(person, repo, {"mooring.yaml": spec(copy=["/cache"]), ".gitignore": "/cache/\n"})
    (repo / "cache").mkdir()
    (repo / "cache/one").write_text("1\n")
    made(person, "fix-login", cwd=repo)
    fill(repo / "cache")
    person.mooring("end", "fix-login", cwd=repo)
    assert worktrees(person, repo) == []


def test_a_copy_that_no_rule_names_any_more_can_be_ended(person: Person, repo: Path) -> None:
    commit(person, repo, {"mooring.yaml": spec(copy=[{"src": ".e"}]), ".gitignore": ".e\n"})
    (repo / ".e").write_text("1\n")
    made(person, "fix-login", cwd=repo)
    (repo / "mooring.yaml").write_text("{}\n")
    place = made(person, "fix-login", cwd=repo)
    assert (place / ".e").exists()
    person.mooring("end", "fix-login", cwd=repo)


@pytest.mark.parametrize(
    "files",
    [
        {"copy": [{"src": "conf/x"}], "symlink": ["conf"]},
        {"copy": [{"src": "k1", "dest": "d/a"}, {"src": "k2", "dest": "d/a/b"}]},
        {"symlink": ["conf"], "template": [{"src": "t.j2", "dest": "conf/s"}]},
    ],
)
def test_no_destination_is_in_another(person: Person, repo: Path, files: dict[str, object]) -> None:
    text = {"mooring.yaml": spec(**files), "t.j2": "x\n", ".gitignore": "conf/\nk?\n"}
    commit(person, repo, text)
    (repo / "conf").mkdir()
    for name in ("conf/x", "k1", "k2"):
        (repo / name).write_text("1\n")
    done = person.mooring("new", "fix-login", "--trust", cwd=repo, check=False)
    assert done.returncode == 1
    assert "is then in" in done.stderr
    assert worktrees(person, repo) == []


def test_a_plain_name_that_is_not_there_is_said(person: Person, repo: Path) -> None:
    commit(person, repo, {"mooring.yaml": spec(copy=[".nope", ".env*", "x/.nope*"])})
    said = person.mooring("new", "fix-login", cwd=repo).stderr
    assert f"not copied: .nope ({repo} has no such file)" in said
    assert said.count("not copied") == 1


@pytest.mark.parametrize("pattern", ["?*", "*", "*.*", "[a]*"])
def test_not_everything_is_disposable(person: Person, repo: Path, pattern: str) -> None:
    (repo / "mooring.yaml").write_text(json.dumps({"disposable": [pattern]}))
    done = person.mooring("new", "fix-login", cwd=repo, check=False)
    assert (done.returncode == 1) == (pattern != "[a]*")


def test_what_is_said_of_a_slow_command_on_the_target(person: Person, repo: Path) -> None:
    document = {
        "files": {"template": [{"src": "t.j2", "dest": ".env"}]},
        "secrets": {"KEY": {"command": ["sleep", "20"], "on": "target", "timeout": 1}},
    }
    commit(person, repo, {"mooring.yaml": json.dumps(document), "t.j2": "{{ KEY }}\n"})
    done = person.mooring("new", "fix-login", "--trust", cwd=repo, check=False)
    assert "sleep took longer than 1 s" in done.stderr


@pytest.mark.parametrize("action", ["template", "symlink", "copy"])
def test_nothing_is_hidden_in_the_main_checkout(person: Person, repo: Path, action: str) -> None:
    """A line in info/exclude counts there too."""
    rules = spec(**{action: [{"src": "t.j2", "dest": ".visible"}]})
    commit(person, repo, {"mooring.yaml": rules, ".gitignore": ".env*\nt.j2\n"})
    (repo / "t.j2").write_text("x\n")
    (repo / ".visible").write_text("mine\n")
    done = person.mooring("new", "fix-login", "--trust", cwd=repo, check=False)
    assert done.returncode == 1
    assert "would hide it there too\nhint: echo /.visible >> .gitignore" in done.stderr
    assert status(person, repo) == "?? .visible\n"
    assert worktrees(person, repo) == []
    (repo / ".gitignore").write_text(".env*\nt.j2\n.visible\n")
    place = made(person, "fix-login", "--trust", cwd=repo)
    assert (place / ".visible").exists()
