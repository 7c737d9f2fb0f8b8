"""`mooring doctor TOPIC`: what can be wrong is made wrong, found, and mended by its hint."""

from __future__ import annotations

import json
import os
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.claude.desk import Desk
from tests.containers.engine import Engine
from tests.containers.test_users import UID, common_box
from tests.support import Done

__all__ = ["common_box"]

TOPIC = "fix-login"
SECRET = "sk-planted-secret"


def looked(box: Desk, *words: str) -> Done:
    """The doctor's look at the workspace."""
    return box.mooring("doctor", TOPIC, "--json", *words, check=False)


def findings(box: Desk) -> list[dict[str, str]]:
    items: list[dict[str, str]] = json.loads(looked(box).stdout)
    return items


def wrong(box: Desk) -> dict[str, dict[str, str]]:
    """What is not as it should be, by what it is; a workspace that is, has nothing here."""
    return {item["what"]: item for item in findings(box) if item["state"] != "ok"}


def mend(box: Desk, finding: dict[str, str]) -> None:
    """Run the hint, as it stands."""
    argv = shlex.split(finding["hint"], comments=True)
    if argv[0] == "mooring":
        box.mooring(*argv[1:])
    else:
        box.person.run(*argv)


@pytest.fixture
def kept(box: Desk) -> Desk:
    """A desk with nothing to find fault with: a turn in a container."""
    return prepared(box)


def prepared(box: Desk) -> Desk:
    box.mooring("doctor", "--keep-transcripts")
    box.turn("new", TOPIC, say="alpha")
    return box


def container_of(box: Desk) -> str:
    return str(box.row(TOPIC)["container"])


def transcript_of(box: Desk) -> Path:
    return box.transcripts()[box.row(TOPIC)["session"]]


def test_nothing_is_wrong_with_a_fresh_workspace(kept: Desk) -> None:
    assert wrong(kept) == {}
    assert looked(kept).returncode == 0
    what = {item["what"] for item in findings(kept)}
    assert what > {"worktree", "store", "transcript", "hooks", "cleanup", "container", "made"}
    assert what > {"mounts", "secrets", "user", "store inside", "transcript inside", "git inside"}
    assert what > {"guarded", "claude inside", "credentials", "cleanup inside", "clock"}
    worktree = Path(kept.row(TOPIC)["worktree"])
    assert kept.person.git("status", "--short", cwd=worktree).stdout == ""
    assert not list(kept.person.home.rglob(".mooring-doctor*"))


def test_nothing_is_wrong_with_one_on_the_host(box: Desk) -> None:
    box.mooring("doctor", "--keep-transcripts")
    box.turn("new", TOPIC, "--in", "host", say="alpha")
    assert wrong(box) == {}
    assert "container" not in {item["what"] for item in findings(box)}


@pytest.mark.parametrize("share", ["workspace", "none"])
def test_nothing_is_wrong_with_less_of_the_store(box: Desk, share: str) -> None:
    box.mooring("doctor", "--keep-transcripts")
    box.turn("new", TOPIC, "--set", f"claude.share={share}", say="alpha")
    found = wrong(box)
    if share == "none":  # its Claude has settings of its own
        mend(box, found.pop("cleanup inside"))
        assert wrong(box) == {}
    assert found == {}


def test_a_conversation_that_has_not_begun(box: Desk) -> None:
    box.mooring("doctor", "--keep-transcripts")
    box.new(TOPIC)
    assert wrong(box) == {}


def test_a_container_that_is_stopped(kept: Desk, engine: Engine) -> None:
    engine.docker("stop", "--time", "1", container_of(kept))
    (finding,) = wrong(kept).values()
    assert (finding["what"], finding["state"]) == ("container", "warn")
    assert "does not run, it is exited" in finding["text"]
    mend(kept, finding)
    assert wrong(kept) == {}


def test_a_container_that_is_paused(kept: Desk, engine: Engine) -> None:
    engine.docker("pause", container_of(kept))
    (finding,) = wrong(kept).values()
    assert (finding["state"], "is paused" in finding["text"]) == ("fail", True)
    mend(kept, finding)
    assert wrong(kept) == {}


def test_a_container_that_is_gone(kept: Desk, engine: Engine) -> None:
    engine.docker("rm", "--force", container_of(kept))
    (finding,) = wrong(kept).values()
    assert (finding["what"], finding["state"]) == ("container", "fail")
    assert looked(kept).returncode == 1
    mend(kept, finding)
    assert wrong(kept) == {}


def test_an_engine_that_does_not_answer(kept: Desk) -> None:
    env = {**kept.person.env, "DOCKER_HOST": "unix:///nowhere/docker.sock"}
    (finding,) = wrong(replace(kept, person=replace(kept.person, env=env))).values()
    assert (finding["what"], finding["state"]) == ("engine", "fail")
    assert "/nowhere/docker.sock" in finding["text"]


def by_hand(box: Desk, engine: Engine, change: Any, *more: str) -> None:
    """Make the workspace's container anew as docker can, its mounts changed by `change`."""
    name = container_of(box)
    was = engine.inspect(name)
    engine.docker("rm", "--force", name)
    mounts = {item["Destination"]: (item["Source"], item["RW"]) for item in was["Mounts"]}
    change(mounts)
    args = [
        f"--mount=type=bind,source={source},target={to}{'' if rw else ',readonly'}"
        for to, (source, rw) in sorted(mounts.items())
    ]
    labels = [f"--label={key}={value}" for key, value in was["Config"]["Labels"].items()]
    env = [f"--env={item}" for item in was["Config"]["Env"]]
    options = (*args, *labels, *env, f"--user={was['Config']['User']}", *more)
    command = ("--entrypoint", "sh", was["Image"], *was["Config"]["Cmd"])
    engine.docker("create", "--name", name, *options, *command)
    engine.docker("start", name)


def inner(box: Desk, name: str) -> str:
    """Where an entry of the store is in the container."""
    return box.mooring("run", TOPIC, "--", "sh", "-c", f"echo ~/.claude/{name}").stdout.strip()


def test_a_mount_that_is_missing(kept: Desk, engine: Engine) -> None:
    projects = inner(kept, "projects")
    by_hand(kept, engine, lambda mounts: mounts.pop(projects))
    found = wrong(kept)
    assert found["mounts"]["text"] == f"is not mounted: {projects}"
    assert found["transcript inside"]["state"] == "fail"
    mend(kept, found["mounts"])
    assert wrong(kept) == {}


def test_a_mount_from_elsewhere(kept: Desk, engine: Engine, tmp_path: Path) -> None:
    projects, other = inner(kept, "projects"), tmp_path / "other"
    other.mkdir()
    by_hand(kept, engine, lambda mounts: mounts.update({projects: (other, True)}))
    found = wrong(kept)
    assert found["mounts"]["text"] == f"is mounted from elsewhere: {projects}"
    assert "was replaced" in found["store inside"]["text"]
    mend(kept, found["mounts"])
    assert wrong(kept) == {}


def test_a_store_that_is_read_only_inside(kept: Desk, engine: Engine) -> None:
    projects = inner(kept, "projects")
    source = str(kept.person.home / ".claude/projects")
    by_hand(kept, engine, lambda mounts: mounts.update({projects: (source, False)}))
    found = wrong(kept)
    assert found["mounts"]["text"] == f"is read-only: {projects}"
    assert "no turn would be saved" in found["store inside"]["text"]
    assert "can't read and write it" in found["transcript inside"]["text"]
    mend(kept, found["store inside"])
    assert wrong(kept) == {}


def test_what_git_runs_can_be_changed_inside(kept: Desk, engine: Engine) -> None:
    hooks, config = str(kept.repo / ".git/hooks"), str(kept.repo / ".git/config")
    by_hand(
        kept, engine, lambda mounts: mounts.update({hooks: (hooks, True), config: (config, True)})
    )
    before = (kept.repo / ".git/config").stat().st_mtime_ns
    found = wrong(kept)
    assert found["mounts"]["text"].startswith("can be changed from inside: ")
    assert "git runs them on the host" in found["guarded"]["text"]
    assert (kept.repo / ".git/config").stat().st_mtime_ns == before
    mend(kept, found["guarded"])
    assert wrong(kept) == {}


def test_git_that_does_not_work_inside(kept: Desk, engine: Engine) -> None:
    git = str(kept.repo / ".git")
    gone = [to for to in engine_mounts(engine, kept) if to == git or to.startswith(f"{git}/")]
    by_hand(kept, engine, lambda mounts: [mounts.pop(to) for to in gone])
    found = wrong(kept)
    assert "git status does not work: fatal: not a git repository" in found["git inside"]["text"]
    mend(kept, found["git inside"])
    assert wrong(kept) == {}


def engine_mounts(engine: Engine, box: Desk) -> list[str]:
    return [item["Destination"] for item in engine.inspect(container_of(box))["Mounts"]]


def test_one_that_mooring_did_not_make(kept: Desk, engine: Engine) -> None:
    by_hand(kept, engine, lambda mounts: None, "--label=mooring.digest=")
    (finding,) = wrong(kept).values()
    assert "was not made by Mooring" in finding["text"]
    mend(kept, finding)
    assert wrong(kept) == {}


@pytest.mark.parametrize("what", [".claude", ".claude/.credentials.json", "docker.sock", "."])
def test_what_must_never_be_in_there(kept: Desk, what: str) -> None:
    (kept.person.home / ".claude/.credentials.json").write_text(json.dumps({"token": SECRET}))
    (kept.person.home / "docker.sock").touch()
    source = (kept.person.home / what).resolve()
    kept.new(TOPIC, "--set", f"container.mounts=[{{src: {source}, dest: /outside}}]")
    (finding,) = wrong(kept).values()
    assert (finding["what"], finding["state"]) == ("secrets", "fail")
    assert str(source) in finding["text"]
    assert SECRET not in looked(kept).stdout
    mend(kept, finding)
    assert wrong(kept) == {}


def test_a_user_who_cannot_write(kept: Desk) -> None:
    kept.new(TOPIC, "--set", "container.user=1234:1234")
    found = wrong(kept)
    assert "runs as uid 1234, but the worktree belongs to" in found["user"]["text"]
    assert "uid 1234 can't write to it" in found["store inside"]["text"]
    assert found["transcript inside"]["state"] == found["git inside"]["state"] == "fail"
    mend(kept, found["store inside"])
    assert wrong(kept) == {}


def test_a_user_of_the_users_own_config(kept: Desk) -> None:
    config = kept.person.home / ".config/mooring/config.yaml"
    spec = json.loads(config.read_text())
    config.write_text(json.dumps({"container": {**spec["container"], "user": "1234:1234"}}))
    kept.new(TOPIC)
    mend(kept, wrong(kept)["user"])
    assert wrong(kept) == {}


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_a_transcript_of_somebody_else(common_box: Desk) -> None:
    box = prepared(common_box)
    path = transcript_of(box)
    os.chown(path, 0, 0)
    path.chmod(0o600)
    found = wrong(box)
    assert "can't be read and written" in found["transcript"]["text"]
    assert f"uid {UID} can't read and write it" in found["transcript inside"]["text"]
    hint = shlex.split(found["transcript"]["hint"])
    assert hint == ["sudo", "chown", f"{UID}:{UID}", "--", str(path)]
    assert found["transcript inside"]["hint"] == found["transcript"]["hint"]
    os.chown(path, UID, UID)
    assert wrong(box) == {}


@pytest.mark.skipif(os.getuid() != 0, reason="needs another user")
def test_a_transcript_that_is_read_only(common_box: Desk) -> None:
    box = prepared(common_box)
    transcript_of(box).chmod(0o400)
    found = wrong(box)
    assert found.keys() == {"transcript", "transcript inside"}
    mend(box, found["transcript inside"])
    assert wrong(box) == {}


def test_a_transcript_that_is_gone(kept: Desk) -> None:
    transcript_of(kept).unlink()
    (finding,) = wrong(kept).values()
    assert (finding["what"], finding["state"]) == ("transcript", "fail")
    mend(kept, finding)
    assert wrong(kept) == {}


def test_hooks_that_are_missing(kept: Desk) -> None:
    (Path(kept.row(TOPIC)["worktree"]) / ".claude/settings.local.json").unlink()
    (finding,) = wrong(kept).values()
    assert "begun by hand are not noticed" in finding["text"]
    mend(kept, finding)
    assert wrong(kept) == {}


def test_a_worktree_that_is_gone(kept: Desk) -> None:
    worktree = Path(kept.row(TOPIC)["worktree"])
    kept.person.run("rm", "-rf", "--", worktree)
    finding = wrong(kept)["worktree"]
    assert finding["text"] == f"{worktree} is gone"
    mend(kept, finding)
    assert wrong(kept) == {}


def test_a_pointer_that_was_changed(kept: Desk) -> None:
    pointer = Path(kept.row(TOPIC)["worktree"]) / ".git"
    pointer.write_text("gitdir: /elsewhere\n")
    finding = wrong(kept)["worktree"]
    assert "does not point to" in finding["text"]
    mend(kept, finding)
    assert wrong(kept) == {}


def test_a_store_that_was_replaced_under_the_container(kept: Desk) -> None:
    projects = kept.person.home / ".claude/projects"
    projects.rename(projects.with_name("old"))
    kept.person.run("cp", "-a", projects.with_name("old"), projects)
    (finding,) = wrong(kept).values()
    assert "was replaced: the container still has the old one" in finding["text"]
    mend(kept, finding)
    assert wrong(kept) == {}


@pytest.mark.parametrize("text", ["{}", '{"cleanupPeriodDays": 7, "env": {"A": "planted-secret"}}'])
def test_settings_by_which_transcripts_are_deleted(kept: Desk, text: str) -> None:
    (kept.person.home / ".claude/settings.json").write_text(text)
    kept.new(TOPIC, "--recreate")
    found = wrong(kept)
    assert found.keys() == {"cleanup", "cleanup inside"}
    days = json.loads(text).get("cleanupPeriodDays", 30)
    assert all(f"written to for {days} days" in item["text"] for item in found.values())
    assert "planted-secret" not in looked(kept).stdout
    mend(kept, found["cleanup inside"])
    assert wrong(kept) == {}


def test_a_login_that_is_missing(kept: Desk) -> None:
    assert SECRET not in looked(kept).stdout
    env = {key: value for key, value in kept.person.env.items() if "ANTHROPIC" not in key}
    box = replace(kept, person=replace(kept.person, env=env))
    (finding,) = wrong(box).values()
    assert "none of ANTHROPIC_API_KEY" in finding["text"]
    env["CLAUDE_CODE_OAUTH_TOKEN"] = SECRET
    done = looked(box)
    assert "CLAUDE_CODE_OAUTH_TOKEN" in done.stdout
    assert SECRET not in done.stdout + done.stderr
    del env["CLAUDE_CODE_OAUTH_TOKEN"]
    box.mooring("run", TOPIC, "--", "sh", "-c", f"echo {SECRET} >~/.claude/.credentials.json")
    assert wrong(box) == {}
    assert SECRET not in looked(box).stdout


def test_there_is_no_claude_in_there(kept: Desk) -> None:
    kept.new(TOPIC, "--set", "claude.provide=image")
    (finding,) = wrong(kept).values()
    assert finding["text"] == "there is none in the container"
    mend(kept, finding)
    assert wrong(kept) == {}


def wrap_docker(box: Desk, body: str) -> None:
    """Put a script before the engine's client, which it has in $docker."""
    link = box.person.home / "bin/docker"
    real = os.path.realpath(link)
    link.unlink()
    link.write_text(f"#!/bin/sh\ndocker={real}\n{body}\n")
    link.chmod(0o755)


def test_one_inspect_and_one_exec(kept: Desk) -> None:
    log = kept.person.home / "asked"
    wrap_docker(kept, f'echo "$1" >>{log}; exec $docker "$@"')
    assert wrong(kept) == {}
    assert log.read_text().split() == ["container", "exec"]


def test_a_container_with_a_wrong_clock(kept: Desk) -> None:
    wrap_docker(kept, '$docker "$@" | sed "s/^time .*/time 1000000000/"')
    (finding,) = wrong(kept).values()
    assert (finding["what"], finding["state"]) == ("clock", "warn")


def test_a_container_that_lies_cannot_write_to_the_terminal(kept: Desk) -> None:
    wrap_docker(kept, """$docker "$@" | sed 's/^claude .*/claude \x1b[2Jevil/; s/^uid .*/uid x/'""")
    done = kept.mooring("doctor", TOPIC, check=False)
    assert "it does not run there: ?[2Jevil" in done.stdout
    assert "\x1b" not in done.stdout


def test_a_container_that_cannot_be_looked_into(kept: Desk) -> None:
    wrap_docker(kept, 'if [ "$1" = exec ]; then echo "no sh: $2" >&2; exit 126; fi; $docker "$@"')
    (finding,) = wrong(kept).values()
    assert (finding["what"], finding["state"]) == ("inside", "fail")
    assert "no sh: --workdir" in finding["text"]


def test_an_old_claude_and_a_conversation_that_began_elsewhere(kept: Desk) -> None:
    project = transcript_of(kept).parent
    project.rename(project.with_name("-elsewhere"))
    assert wrong(kept) == {}
    wrap_docker(kept, '$docker "$@" | sed "s/^claude .*/claude 2.1.197 (Claude Code)/"')
    (finding,) = wrong(kept).values()
    assert (
        finding["text"] == "2.1.197 does not find a conversation that began elsewhere: -elsewhere"
    )
    assert finding["hint"].startswith(f"mooring resume {TOPIC} ")  # moves it, since it is ours


def test_a_workspace_of_a_url(box: Desk, origin: str) -> None:
    box.mooring("doctor", "--keep-transcripts")
    box.turn("new", TOPIC, "--repo", origin, say="alpha")
    assert wrong(box) == {}


def test_what_it_prints_and_whom_it_means(kept: Desk) -> None:
    done = kept.mooring("doctor", TOPIC, "--agent", "dev", "--repo", kept.repo)
    assert "ok    git inside: HEAD is " in done.stdout
    assert "There is no workspace 'other'" in kept.mooring("doctor", "other", check=False).stderr
    assert kept.mooring("doctor", "--agent", "dev", check=False).returncode == 2
    kept.mooring("end", TOPIC)
    ended = kept.mooring("doctor", TOPIC, check=False)
    assert (ended.returncode, "has ended" in ended.stderr) == (1, True)
