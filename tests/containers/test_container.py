"""The container of a workspace: made, kept, made anew, removed; and what can be done in it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.claude.desk import Desk
from tests.containers.engine import Engine
from tests.support import Done, commit

TOPIC = "fix-login"


def inside(box: Desk, script: str, *, check: bool = True, topic: str = TOPIC) -> Done:
    """A script in the workspace's container."""
    return box.mooring("run", topic, "--", "sh", "-c", script, check=check)


def made(box: Desk, *args: str) -> dict[str, Any]:
    """What `mooring new` answers."""
    done = box.mooring("new", TOPIC, "--json", *args)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def identity(engine: Engine, answer: dict[str, Any]) -> str:
    return str(engine.inspect(answer["container"])["Id"])


def test_an_unchanged_container_stays_as_it_is(box: Desk, engine: Engine) -> None:
    first = made(box)
    again = made(box)
    assert again["changed"] == []
    assert identity(engine, again) == identity(engine, first)


@pytest.mark.parametrize(
    "setting",
    [
        "container.memory=64m",
        "container.cpus=1.5",
        "container.network=none",
        "container.command=exec sleep 1000",
        "container.ports=[PORT]",
        "container.mounts=[{src: /etc, dest: /outside}]",
        "claude.share=workspace",
        "claude.provide=image",
    ],
)
def test_a_container_that_is_to_be_otherwise_is_made_anew(
    box: Desk, engine: Engine, setting: str
) -> None:
    first = identity(engine, made(box))
    changed = made(box, "--set", setting)
    assert "container" in changed["changed"]
    assert identity(engine, changed) != first
    assert made(box)["changed"] == []


def test_a_stopped_container_is_started(box: Desk, engine: Engine) -> None:
    answer = made(box)
    first = identity(engine, answer)
    engine.docker("stop", "--time", "1", answer["container"])
    assert made(box)["changed"] == ["container"]
    assert identity(engine, answer) == first
    engine.docker("stop", "--time", "1", answer["container"])
    assert inside(box, "echo there").stdout == "there\n"


def test_a_container_in_which_claude_runs_is_left_alone(box: Desk, engine: Engine) -> None:
    answer = made(box)
    first = identity(engine, answer)
    with box.waiting("new", TOPIC, "--", "-p", "alpha"):
        done = box.mooring("new", TOPIC, "--launch", "none", "--set", "container.memory=64m")
        assert "stays as it is: Claude runs in it" in done.stderr
        assert identity(engine, answer) == first
        made(box, "--recreate")
        assert identity(engine, answer) != first


def test_git_works_inside(box: Desk, origin: str) -> None:
    remotes = box.person.home / "remotes"
    made(box, "--set", f"container.mounts=[{{src: {remotes}, mode: rw}}]")
    script = """
        set -e
        echo changed >>README.md
        git status --short
        git commit --quiet --all --message 'From inside'
        git push --quiet origin HEAD:refs/heads/pushed
        git fetch --quiet origin
        git log -1 --format='%an <%ae> %s'
        git stash list; git branch --show-current; git gc --quiet
    """
    said = inside(box, script).stdout.splitlines()
    assert said == [" M README.md", "Robin Shore <robin@example.com> From inside", TOPIC]
    worktree = box.row(TOPIC)["worktree"]
    assert box.person.git("status", "--short", cwd=Path(worktree)).stdout == ""
    assert box.person.git("log", "-1", "--format=%s", "origin/pushed", cwd=box.repo).stdout


READ_ONLY = ("config", "hooks", "info", "worktrees")


def test_what_git_runs_or_follows_cannot_be_changed_inside(box: Desk) -> None:
    box.new("sibling", "--in", "host")
    worktree = Path(made(box)["worktree"])
    common = box.repo / ".git"
    admin = common / "worktrees" / worktree.name
    places = [*(common / name for name in READ_ONLY), worktree / ".git"]
    places += [admin / name for name in ("gitdir", "commondir")]
    places += [common / "worktrees/sibling/HEAD"]
    before = {path: path.read_bytes() for path in places if path.is_file()}
    script = """
        for p; do
          if [ -d "$p" ]; then echo evil >"$p/evil" || :; else echo evil >>"$p" || :; fi
          case $p in */worktrees) ;; *) rm -rf "$p" || :; mv "$p" "$p.old" || : ;; esac
        done 2>/dev/null
    """
    argv = ("run", TOPIC, "--", "sh", "-c", script, "sh", *places)
    box.mooring(*argv, check=False)
    assert {path: path.read_bytes() for path in before} == before
    assert not list(common.glob("*/evil"))
    assert inside(box, "git status --short").stdout == ""


def test_another_workspace_is_not_to_be_seen(box: Desk) -> None:
    other = box.new("sibling", "--in", "host")
    made(box)
    assert inside(box, f"ls {other}", check=False).returncode
    assert inside(box, f"ls {box.repo}/README.md", check=False).returncode
    inside(box, "git worktree prune --expire now", check=False)
    assert box.person.git("status", cwd=other).returncode == 0


def test_no_secret_is_in_what_docker_shows(box: Desk, engine: Engine) -> None:
    config = box.person.home / ".config/mooring/config.yaml"
    spec = json.loads(config.read_text())
    spec["container"]["env"].append("DEPLOY_TOKEN")
    config.write_text(json.dumps(spec))
    secret = {"DEPLOY_TOKEN": "planted-token", "ANTHROPIC_API_KEY": "planted-key"}
    done = box.mooring("new", TOPIC, "--", "-p", "alpha", env=secret)
    name = box.row(TOPIC)["container"]
    told = inside(box, "echo $DEPLOY_TOKEN $ANTHROPIC_API_KEY", check=False)
    script = "echo $DEPLOY_TOKEN $ANTHROPIC_API_KEY"
    with_it = box.mooring("run", TOPIC, "--", "sh", "-c", script, env=secret)
    assert with_it.stdout == "planted-token planted-key\n"
    shown = engine.docker("inspect", name).stdout
    shown += engine.docker("logs", name).stdout + done.stderr
    shown += "".join(
        path.read_text(errors="replace")
        for path in box.person.home.glob(".local/share/mooring/**/*")
        if path.is_file()
    )
    assert "planted" not in shown
    assert told.stdout.strip() == "sk-dummy"


def test_a_token_in_the_repos_config_is_refused(box: Desk, engine: Engine) -> None:
    url = "https://robin:planted-secret@git.example/shop.git"
    box.person.git("remote", "add", "origin", url, cwd=box.repo)
    done = box.mooring("new", TOPIC, "--launch", "none", check=False)
    assert done.returncode == 1
    assert "remote.origin.url" in done.stderr
    assert "planted-secret" not in done.stderr
    assert not (box.repo.parent / f"shop.worktrees/{TOPIC}").exists()
    box.mooring("new", TOPIC, "--launch", "none", "--in", "host")


@pytest.fixture
def plain(box: Desk) -> Desk:
    """The desk without a container in the person's own config."""
    (box.person.home / ".config/mooring/config.yaml").unlink()
    return box


def test_a_container_of_the_repo_waits_for_an_approval(
    plain: Desk, engine: Engine, image: str
) -> None:
    spec = f"container: {{image: '{image}', network: none}}\n"
    commit(plain.person, plain.repo, {"mooring.yaml": spec})
    done = plain.mooring("new", TOPIC, "--launch", "none", check=False)
    assert done.returncode == 4
    assert not (plain.repo.parent / f"shop.worktrees/{TOPIC}").exists()
    at_host = plain.mooring("new", "other", "--launch", "none", "--in", "host", "--json")
    assert json.loads(at_host.stdout)["container"] == ""
    answer = json.loads(plain.mooring("new", TOPIC, "--trust", "--json").stdout)
    assert engine.inspect(answer["container"])["HostConfig"]["NetworkMode"] == "none"
    commit(plain.person, plain.repo, {"mooring.yaml": spec.replace("none", "host")})
    assert plain.mooring("new", TOPIC, "--launch", "none", check=False).returncode == 4


def test_an_image_that_is_built_from_the_repo(plain: Desk, engine: Engine, image: str) -> None:
    files = {
        "mooring.yaml": "container: {build: {context: box, dockerfile: box/Dockerfile}}\n",
        "box/Dockerfile": f"FROM {image}\nCOPY greeting /greeting\n",
        "box/greeting": "hello\n",
    }
    commit(plain.person, plain.repo, files)
    refused = plain.mooring("new", TOPIC, "--launch", "none", check=False)
    assert refused.returncode == 4
    made(plain, "--trust")
    assert inside(plain, "cat /greeting").stdout == "hello\n"
    assert made(plain)["changed"] == []
    commit(plain.person, plain.repo, {"box/Dockerfile": f"FROM {image}\nENV CHANGED=yes\n"})
    refused = plain.mooring("new", TOPIC, "--launch", "none", check=False)
    assert refused.returncode == 4
    assert made(plain, "--trust")["changed"] == ["claim", "container"]
    assert inside(plain, "echo $CHANGED").stdout == "yes\n"


def test_ports_are_published(box: Desk, engine: Engine) -> None:
    args = ("--set", "container.network=bridge", "--set", "container.ports=[PORT]")
    answer = made(box, *args)
    port = answer["ports"]["PORT"]
    bound = engine.inspect(answer["container"])["HostConfig"]["PortBindings"]
    assert bound == {f"{port}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}
    wrong = ("--set", "container.ports=[PORT_WEB]")
    done = box.mooring("new", "other", "--launch", "none", *wrong, check=False)
    assert "Cannot publish PORT_WEB" in done.stderr


def test_an_end_removes_it(box: Desk, engine: Engine) -> None:
    name = made(box)["container"]
    box.mooring("end", TOPIC)
    assert engine.docker("inspect", name, check=False).returncode
    assert not engine.docker("ps", "-aq", "--filter", f"label=mooring.look={name}").stdout
    again = made(box)
    assert again["container"] != name


def test_it_goes_when_the_spec_has_none_any_more(plain: Desk, engine: Engine, image: str) -> None:
    name = made(plain, "--set", f"container.image={image}")["container"]
    answer = made(plain, "--unset", "container.image")
    assert answer["container"] == ""
    assert engine.docker("inspect", name, check=False).returncode
    assert made(plain)["changed"] == []


def test_what_stands_in_the_way_is_said_before_anything_is_made(plain: Desk) -> None:
    done = plain.mooring("new", TOPIC, "--in", "container", "--launch", "none", check=False)
    assert done.returncode == 1
    assert "no spec says of which image" in done.stderr
    missing = ("--set", "container.image=127.0.0.1:1/none")
    done = plain.mooring("new", TOPIC, "--launch", "none", *missing, check=False)
    assert "Cannot get the image 127.0.0.1:1/none" in done.stderr
    off = {"DOCKER_HOST": f"unix://{plain.person.home}/none.sock"}
    done = plain.mooring("new", "other", "--launch", "none", *missing, check=False, env=off)
    assert done.returncode == 1
    assert "docker" in done.stderr.lower()
    assert not (plain.repo.parent / "shop.worktrees/other").exists()
    done = plain.mooring("run", TOPIC, "--in", "container", "--", "true", check=False)
    assert done.returncode == 1


def test_what_claude_keeps_is_seen_on_both_sides(box: Desk) -> None:
    made(box)
    store = box.person.home / ".claude"
    for name in ("projects", "todos", "tasks", "file-history", "plans", "mooring"):
        inside(box, f"echo inside >~/.claude/{name}/from-inside")
        assert (store / name / "from-inside").read_text() == "inside\n"
        (store / name / "from-host").write_text("host\n")
        assert inside(box, f"cat ~/.claude/{name}/from-host").stdout == "host\n"
    for name in ("agents", "commands", "skills"):
        (store / name / "from-host").write_text("host\n")
        assert inside(box, f"cat ~/.claude/{name}/from-host").stdout == "host\n"
        assert inside(box, f"echo x >~/.claude/{name}/x", check=False).returncode


def test_the_users_settings_are_as_they_are_now(box: Desk) -> None:
    store = box.person.home / ".claude"
    store.mkdir(exist_ok=True)
    (store / "settings.json").write_text('{"cleanupPeriodDays": 100}\n')
    box.turn("new", TOPIC, say="alpha")
    (store / "settings.new").write_text('{"cleanupPeriodDays": 200}\n')
    (store / "settings.new").rename(store / "settings.json")
    box.turn("resume", TOPIC, say="beta")
    assert "200" in inside(box, "cat ~/.claude/settings.json").stdout


def test_what_is_never_shared(box: Desk) -> None:
    store = box.person.home / ".claude"
    (store / "sessions").mkdir(parents=True)
    (store / ".credentials.json").write_text("planted-secret")
    box.turn("new", TOPIC, say="alpha")
    script = "cat ~/.claude/.credentials.json ~/.claude.json; ls ~/.claude/sessions"
    assert "planted-secret" not in inside(box, script, check=False).stdout
    assert not list((store / "sessions").iterdir())


def test_a_link_that_the_container_planted_leads_nowhere(box: Desk) -> None:
    box.turn("new", TOPIC, say="alpha")
    target = box.person.home / "precious"
    target.write_text("mine")
    (box.person.home / ".claude/settings.json").write_text("{}\n")
    inside(box, f"cd ~/.claude; rm -rf settings.json .claude.json; ln -s {target} settings.json")
    inside(box, f"cd ~/.claude; ln -s {target} .claude.json.new; ln -s {target} mcp.json")
    box.turn("resume", TOPIC, say="beta")
    made(box, "--recreate")
    assert target.read_text() == "mine"


def test_a_config_that_the_container_chose_is_never_read(box: Desk) -> None:
    """A `commondir` in the main repo sends git elsewhere: also the git of a person."""
    worktree = made(box)["worktree"]
    common, proof = box.repo / ".git", box.person.home / "proof"
    script = f"""
        set -e
        mkdir evil; cp -r {common}/refs {common}/objects evil
        printf '[core]\\n\\trepositoryformatversion = 0\\n' >evil/config
        printf '\\tfsmonitor = touch {proof}\\n' >>evil/config
        printf '[alias]\\n\\tstatus = !touch {proof}\\n[core]\\n\\tsshCommand = touch {proof}\\n' \\
            >>evil/config
        echo {worktree}/evil >{common}/commondir
    """
    inside(box, script)
    for args in (("new", TOPIC, "--launch", "none"), ("end", TOPIC), ("status", TOPIC, "--check")):
        done = box.mooring(*args, check=False)
        assert done.returncode == 1
        assert "commondir" in done.stderr
    box.mooring("list")
    inside(box, "true")
    assert not proof.exists()
    (common / "commondir").unlink()
    made(box)


def test_list_says_how_each_container_is(box: Desk, engine: Engine) -> None:
    box.new("at-host", "--in", "host")
    names = {topic: json.loads(box.mooring("new", topic, "--json").stdout) for topic in "abc"}
    engine.docker("stop", "--time", "0", names["b"]["container"])
    engine.docker("rm", "--force", names["c"]["container"])
    rows = json.loads(box.mooring("list", "--json").stdout)
    states = {row["topic"]: row["container_state"] for row in rows}
    assert states == {"a": "running", "b": "exited", "c": "gone", "at-host": ""}
    assert "running" in box.mooring("list").stdout


def test_a_paused_container_goes_on(box: Desk, engine: Engine) -> None:
    answer = made(box)
    first = identity(engine, answer)
    engine.docker("pause", answer["container"])
    assert made(box)["changed"] == ["container"]
    assert identity(engine, answer) == first
    assert inside(box, "echo there").stdout == "there\n"


def test_a_dry_run_says_what_becomes_of_the_container(box: Desk) -> None:
    done = box.mooring("new", TOPIC, "--dry-run")
    assert "would have a container of" in done.stderr
    made(box)
    assert "nothing to do" in box.mooring("new", TOPIC, "--dry-run", "--launch", "none").stderr
    drift = ("--set", "container.memory=64m")
    done = box.mooring("new", TOPIC, "--dry-run", *drift)
    assert "would have a container of" in done.stderr
    checked = box.mooring("status", TOPIC, "--check", "--json", check=False)
    assert json.loads(checked.stdout)["drift"] == []


def test_an_engine_that_is_away_at_the_end(box: Desk, engine: Engine) -> None:
    name = made(box)["container"]
    off = {"DOCKER_HOST": f"unix://{box.person.home}/none.sock"}
    done = box.mooring("end", TOPIC, env=off, check=False)
    assert done.returncode == 1
    assert box.row(TOPIC)["state"] == "ready"
    box.mooring("end", TOPIC, "--force", env=off)
    assert identity(engine, {"container": name})


def test_plain_pyinfra_makes_the_same(box: Desk, engine: Engine) -> None:
    deploy = ("-y", "@local", "mooring.deploys.workspace", f"topic={TOPIC}", f"repo={box.repo}")
    box.person.pyinfra(*deploy, "place=host")
    assert box.row(TOPIC)["container"] == ""
    box.person.pyinfra(*deploy)
    name = box.row(TOPIC)["container"]
    assert engine.inspect(name)["State"]["Running"]
    again = box.person.pyinfra(*deploy)
    assert "No changes" in again.stdout + again.stderr
    box.person.pyinfra("-y", "@local", "mooring.deploys.retire", *deploy[3:])
    assert engine.docker("inspect", name, check=False).returncode


def test_two_runs_at_once_make_one_container(box: Desk, engine: Engine) -> None:
    box.new("other", "--in", "host")
    argv = [sys.executable, "-m", "mooring", "new", TOPIC, "--launch", "none"]
    runs = [
        subprocess.Popen(argv, cwd=box.repo, env=box.person.env, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    said = [run.communicate(timeout=120)[1] for run in runs]
    assert [run.returncode for run in runs] == [0] * 4, said
    form = '{{.Names}} {{.Label "mooring.worktree"}}'
    listed = engine.docker("ps", "-a", "--filter", f"label=mooring.topic={TOPIC}", "--format", form)
    own = [line for line in listed.stdout.splitlines() if str(box.repo) in line]
    assert [line.split(" ")[0] for line in own] == [box.row(TOPIC)["container"]]
    assert made(box)["changed"] == []


def test_an_engine_that_is_away_is_not_taken_for_containers_that_are_gone(box: Desk) -> None:
    made(box)
    off = {"DOCKER_HOST": f"unix://{box.person.home}/none.sock"}
    rows = json.loads(box.mooring("list", "--json", env=off).stdout)
    assert [row["container_state"] for row in rows] == ["unknown"]
