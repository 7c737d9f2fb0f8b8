"""A session store in a volume: made, tried out, copied to and from, with a real engine."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tarfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mooring.claude.transcripts import slug
from tests.claude.desk import Desk
from tests.claude.stub import MessagesStub
from tests.containers.conftest import QUIET
from tests.containers.engine import Engine
from tests.support import Done, Person, until
from tests.targets.sshd import SshTarget, ssh_target

ID = "0b5f1f5e-0000-4000-8000-00000000000a"
OTHER = "0b5f1f5e-0000-4000-8000-00000000000b"
PROJECT = "projects/-src-shop"
TRANSCRIPT = f"{PROJECT}/{ID}.jsonl"
CHECKS = ["mount", "write", "rename", "append", "lock", "owner", "mode", "space", "last"]


class Store:
    """A volume's name, and what a person does with it."""

    def __init__(self, person: Person, engine: Engine, image: str, name: str) -> None:
        self.person, self.engine, self.image, self.name = person, engine, image, name
        self.host = person.home / ".claude"

    def __call__(self, verb: str, *args: str, check: bool = True) -> Done:
        words = ("store", verb, *args, "--image", self.image)
        return self.person.mooring(*words, check=check)

    def json(self, verb: str, *args: str) -> Any:
        done = self(verb, *args, "--json", check=False)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def copy(self, *args: str) -> list[dict[str, Any]]:
        """Copy all there is; the rows, of which one is refused if it fails."""
        chosen = () if "--session" in args else ("--all",)
        done = self("copy", *args, *chosen, "--json", check=False)
        assert done.returncode in (0, 1), done.stderr
        rows: list[dict[str, Any]] = json.loads(done.stdout)
        assert done.returncode == any(row["failed"] for row in rows)
        return rows

    def results(self, *args: str) -> dict[str, str]:
        return {row["session"]: row["result"] for row in self.copy(*args)}

    def out(self) -> list[dict[str, Any]]:
        return self.copy("host", self.name)

    def back(self) -> list[dict[str, Any]]:
        return self.copy(self.name, "host")

    def sh(self, script: str, *args: str) -> str:
        """Run a script in a container of the volume, at its root."""
        mine = ("--rm", "--network", "none", "--volume", f"{self.name}:/v", "--workdir", "/v")
        argv = ("run", *mine, "--user", "0", "--entrypoint", "sh", self.image, "-c", script)
        return self.engine.docker(*argv, "-", *args).stdout

    def paths(self) -> list[str]:
        found = self.sh("find . -type f").split("\n")
        return sorted(path.removeprefix("./") for path in found if path)

    def write(self, path: str, content: str = "{}\n", days: float = 0) -> Path:
        """A file of the host's store, so many days old."""
        place = self.host / path
        for parent in reversed(place.parents):
            parent.mkdir(mode=0o700, exist_ok=True)
        place.write_text(content)
        place.chmod(0o600)
        at = time.time() - days * 86400
        os.utime(place, (at, at))
        return place


@pytest.fixture
def store(person: Person, engine: Engine, image: str) -> Iterator[Store]:
    """A name that no volume has yet; the volume, if one is made, is gone afterwards."""
    name = f"mooring-test-{uuid.uuid4().hex[:12]}"
    yield Store(engine.introduce(person), engine, image, name)
    left = engine.docker("ps", "--all", "--quiet", "--filter", f"volume={name}").stdout.split()
    for container in left:
        engine.docker("rm", "--force", container)
    engine.docker("volume", "rm", "--force", name)


@pytest.fixture
def volume(store: Store) -> Store:
    """The same, and there is such a volume."""
    store("create", store.name, "--no-probe")
    return store


def throw_away(store: Store) -> list[str]:
    label = f"label=mooring.store.name={store.name}"
    return store.engine.docker("ps", "--all", "--quiet", "--filter", label).stdout.split()


def test_a_volume_is_made_once_and_tried_out(store: Store) -> None:
    made = store.json("create", store.name)
    assert (made["result"], [item["what"] for item in made["findings"]]) == ("created", CHECKS)
    assert {item["state"] for item in made["findings"]} <= {"ok", "warn"}
    assert store.paths() == []
    assert throw_away(store) == []
    assert store.json("create", store.name, "--no-probe")["result"] == "unchanged"
    other = store("create", store.name, "--option", "type=tmpfs", check=False)
    assert other.returncode == 1
    assert "there is one, of the driver local with no options" in other.stderr


def test_a_volume_whose_options_the_engine_never_looked_at(store: Store) -> None:
    options = ("type=none", "o=bind,password=planted-secret", "device=/nonexistent")
    given = [word for option in options for word in ("--option", option)]
    done = store("create", store.name, *given, "--json", check=False)
    assert done.returncode == 1
    finding = json.loads(done.stdout)["findings"][0]
    assert (finding["what"], finding["state"]) == ("mount", "fail")
    assert "planted-secret" not in done.stdout + done.stderr
    shown = store.person.mooring("store", "inspect", store.name, "--json")
    assert json.loads(shown.stdout)["options"]["o"] == "bind,password=***"
    assert "planted-secret" not in shown.stdout + shown.stderr
    assert throw_away(store) == []


def test_what_lies_in_memory_is_no_store(store: Store) -> None:
    options = ("type=tmpfs", "device=tmpfs", "o=size=1m")
    given = [word for option in options for word in ("--option", option)]
    done = store("create", store.name, *given, "--json", check=False)
    states = {item["what"]: item["state"] for item in json.loads(done.stdout)["findings"]}
    assert (done.returncode, states["last"], states["space"]) == (1, "fail", "fail")


def test_a_probe_that_was_killed_is_cleaned_up_by_the_next(volume: Store) -> None:
    argv = [sys.executable, "-m", "mooring", "store", "probe", volume.name, "--image", volume.image]
    probe = subprocess.Popen(argv, env=volume.person.env, stderr=subprocess.DEVNULL)
    try:
        until(lambda: any(".mooring-stage" in path for path in volume.paths()))
    finally:
        probe.send_signal(signal.SIGKILL)
        probe.wait()
    assert throw_away(volume)
    assert "removing what an earlier run left" in volume("probe", volume.name).stderr
    assert throw_away(volume) == []
    assert volume.paths() == []


def test_without_an_image_one_is_asked_for_and_none_is_pulled(volume: Store) -> None:
    done = volume.person.mooring("store", "probe", volume.name, check=False)
    assert done.returncode == 1
    assert "--image" in done.stderr
    words = ("store", "probe", volume.name, "--image", "no.such/image:1")
    assert "docker pull no.such/image:1" in volume.person.mooring(*words, check=False).stderr


def test_the_image_of_a_container_that_has_it_will_do(volume: Store, engine: Engine) -> None:
    mount = f"{volume.name}:/v"
    name = engine.docker("create", "--volume", mount, volume.image, "true").stdout.strip()
    found = volume.person.mooring("store", "inspect", volume.name, "--json").stdout
    shown = json.loads(found)
    assert (shown["sessions"], shown["driver"], shown["store"]) == (0, "local", True)
    assert [item["status"] for item in shown["containers"]] == ["created"]
    engine.docker("rm", name)


def test_no_engine(store: Store) -> None:
    env = {"DOCKER_HOST": "unix:///nonexistent.sock"}
    done = store.person.mooring("store", "inspect", "any", env=env, check=False)
    assert done.returncode == 1
    assert "Cannot reach the Docker engine at unix:///nonexistent.sock" in done.stderr


def test_there_and_back_with_all_that_belongs_to_it(volume: Store) -> None:
    volume.write(TRANSCRIPT, "one\n")
    sides = [
        f"{PROJECT}/{ID}/tool-results/a b.txt",
        f"{PROJECT}/memory/MEMORY.md",
        f"tasks/{ID}/1.json",
        f"todos/{ID}-agent-{ID}.json",
        f"file-history/{ID}/f@v1",
        f"session-env/{ID}/env.sh",
    ]
    for path in sides:
        volume.write(path, f"{path}\n")
    volume.write(".credentials.json", "planted-secret")
    volume.write(f"tasks/{OTHER}/1.json")
    assert [row["result"] for row in volume.copy("host", volume.name, "--dry-run")] == ["copied"]
    assert volume.paths() == []
    assert [row["result"] for row in volume.out()] == ["copied"]
    assert volume.paths() == sorted([TRANSCRIPT, *sides])
    modes = volume.sh("stat -c '%a %u' projects projects/*/*.jsonl projects/*/*/tool-results")
    assert modes.splitlines() == [f"700 {os.getuid()}", f"600 {os.getuid()}", f"700 {os.getuid()}"]
    assert [row["result"] for row in volume.out()] == ["unchanged"]
    assert volume.json("inspect", volume.name)["sessions"] == 1

    volume.sh('echo two >>"$1"; echo more >"$2"', TRANSCRIPT, sides[2])
    assert [row["result"] for row in volume.back()] == ["extended"]
    assert (volume.host / TRANSCRIPT).read_text() == "one\ntwo\n"
    assert (volume.host / sides[2]).read_text() == "more\n"
    assert stat.S_IMODE((volume.host / TRANSCRIPT).stat().st_mode) == 0o600
    assert not list(volume.host.glob(".mooring-copy-*"))


def test_what_differs_is_never_overwritten_and_the_rest_goes_on(volume: Store) -> None:
    volume.write(TRANSCRIPT, "one\n")
    volume.write(f"{PROJECT}/{OTHER}.jsonl", "other\n")
    volume.out()
    volume.write(TRANSCRIPT, "one\nhere\n")
    volume.sh('echo there and more >>"$1"', TRANSCRIPT)
    volume.write(f"{PROJECT}/{OTHER}.jsonl", "other\ngoes on\n")
    for rows in (volume.out(), volume.copy("host", volume.name, "--move")[:1]):
        assert rows[0]["result"] == "refused"
        assert "it went on in" in rows[0]["said"][0]
    assert volume.sh('cat "$1"', TRANSCRIPT) == "one\nthere and more\n"
    assert volume.sh('cat "$1"', f"{PROJECT}/{OTHER}.jsonl") == "other\ngoes on\n"
    assert not (volume.host / f"{PROJECT}/{OTHER}.jsonl").exists()


def test_a_longer_one_is_kept(volume: Store) -> None:
    volume.write(TRANSCRIPT, "one\ntwo\n")
    volume.out()
    volume.write(TRANSCRIPT, "one\n")
    row = volume.out()[0]
    assert (row["result"], row["hint"]) == (
        "refused",
        f"mooring store copy {volume.name} host --session {ID}",
    )
    assert volume.results(volume.name, "host", "--session", ID) == {ID: "extended"}


def test_memory_of_a_project_is_completed_and_never_replaced(volume: Store) -> None:
    volume.write(TRANSCRIPT)
    volume.write(f"{PROJECT}/memory/a.md", "host\n")
    volume.out()
    volume.sh(f"echo volume >{PROJECT}/memory/a.md")
    volume.write(f"{PROJECT}/memory/b.md")
    row = volume.out()[0]
    assert row["result"] == "completed"
    assert row["said"] == [f"kept as it is in {volume.name}: {PROJECT}/memory/a.md"]
    assert volume.sh(f"cat {PROJECT}/memory/a.md") == "volume\n"


def test_a_move_leaves_nothing_but_memory(volume: Store) -> None:
    volume.write(TRANSCRIPT)
    volume.write(f"{PROJECT}/{ID}/tool-results/1.txt")
    memory = volume.write(f"{PROJECT}/memory/a.md")
    row = volume.copy("host", volume.name, "--move")[0]
    assert (row["result"], row["removed"]) == ("copied", True)
    assert [path for path in volume.host.rglob("*") if path.is_file()] == [memory]
    assert volume.copy(volume.name, "host", "--move")[0]["removed"]
    assert (volume.host / TRANSCRIPT).exists()
    assert volume.paths() == [f"{PROJECT}/memory/a.md"]


def test_an_old_one_is_not_deleted_for_its_age(volume: Store) -> None:
    volume.write(TRANSCRIPT, days=40)
    volume.write(f"{PROJECT}/{OTHER}.jsonl", days=3)
    old, recent = volume.out()
    assert "older than 30 days" in old["said"][0]
    assert recent["said"] == []
    times = [int(at) for at in volume.sh("stat -c %Y projects/*/*.jsonl").split()]
    assert [round((time.time() - at) / 86400) for at in times] == [0, 3]


def test_links_are_not_followed_out_of_the_store(volume: Store) -> None:
    secret = volume.write("../secret", "planted-secret")
    volume.write(TRANSCRIPT)
    (volume.host / f"{PROJECT}/{ID}").symlink_to(secret.parent)
    (volume.host / "projects/-moved").mkdir()
    (volume.host / f"projects/-moved/{ID}").symlink_to(f"../-src-shop/{ID}")
    row = volume.out()[0]
    assert (row["result"], row["said"]) == (
        "copied",
        [f"left out: {PROJECT}/{ID}: it is a symlink"],
    )
    assert volume.paths() == [TRANSCRIPT]
    assert volume.sh(f"readlink projects/-moved/{ID}") == f"../-src-shop/{ID}\n"


def test_what_a_container_put_there_to_lead_out(volume: Store) -> None:
    volume.sh(
        'mkdir -p projects/-a tasks && echo "{}" >"projects/-a/$1.jsonl" && '
        'ln -s /etc "tasks/$1" && ln -s /etc "projects/-a/$1" && ln -s /etc todos && '
        'ln -s -- -a projects/-b && ln -s /etc/passwd "projects/-a/$2.jsonl"',
        ID,
        OTHER,
    )
    (row,) = volume.back()
    assert (row["session"], row["result"]) == (ID, "copied")
    files = [path for path in volume.host.rglob("*") if not path.is_dir()]
    assert files == [volume.host / f"projects/-a/{ID}.jsonl"]


def test_a_project_of_the_host_that_is_a_link_is_not_written_through(volume: Store) -> None:
    volume.sh(f'mkdir -p {PROJECT} && echo "{{}}" >"$1"', TRANSCRIPT)
    outside = volume.person.home / "outside"
    outside.mkdir()
    (volume.host / "projects").mkdir(parents=True)
    (volume.host / PROJECT).symlink_to(outside)
    (row,) = volume.back()
    assert (row["result"], list(outside.iterdir())) == ("refused", [])


def test_several_transcripts_of_one_session_are_refused(volume: Store) -> None:
    volume.write(TRANSCRIPT)
    volume.write(f"projects/-other/{ID}.jsonl")
    (row,) = volume.out()
    assert row["result"] == "refused"
    assert "several transcripts" in row["said"][0]


def test_where_the_other_side_has_it_in_another_project(volume: Store) -> None:
    volume.write(TRANSCRIPT, "one\n")
    volume.out()
    (volume.host / PROJECT).rename(volume.host / "projects/-moved")
    volume.write(f"projects/-moved/{ID}.jsonl", "one\ntwo\n")
    assert volume.out()[0]["result"] == "extended"
    assert volume.paths() == [TRANSCRIPT]
    assert volume.sh('cat "$1"', TRANSCRIPT) == "one\ntwo\n"


def test_from_a_volume_to_another(volume: Store) -> None:
    volume.write(TRANSCRIPT, "one\n")
    volume.out()
    second = Store(volume.person, volume.engine, volume.image, f"{volume.name}-2")
    second("create", second.name, "--no-probe")
    try:
        assert volume.results(volume.name, second.name) == {ID: "copied"}
        assert second.sh('cat "$1"', TRANSCRIPT) == "one\n"
    finally:
        volume.engine.docker("volume", "rm", second.name)


def test_the_owner_is_whoever_has_the_store(volume: Store) -> None:
    volume.sh("mkdir projects && chown 1234:2345 projects")
    volume.write(TRANSCRIPT)
    volume.out()
    owners = volume.sh("stat -c %u:%g projects/* projects/*/*").split()
    assert owners == ["1234:2345", "1234:2345"]


def test_one_that_is_running_in_a_container_is_refused(volume: Store, engine: Engine) -> None:
    volume.write(TRANSCRIPT)
    volume.out()
    begin = (
        'mkdir -p sessions; s=$(cut -d" " -f22 /proc/$$/stat); echo "{\\"pid\\":$$,'
        f'\\"sessionId\\":\\"{ID}\\",\\"procStart\\":\\"$s\\"}}" >sessions/$$.json; '
        ": >ready; while :; do sleep 1; done"
    )
    mine = ("--detach", "--volume", f"{volume.name}:/v", "--workdir", "/v", "--user", "0")
    argv = ("run", *mine, "--entrypoint", "sh", volume.image, "-c", begin)
    container = engine.docker(*argv).stdout.strip()
    until(lambda: "ready" in volume.paths())
    (row,) = volume.back()
    assert (row["result"], "it is running: the container" in row["said"][0]) == ("refused", True)
    engine.docker("rm", "--force", container)
    (row,) = volume.back()
    assert row["result"] == "unchanged"


def test_one_that_is_large(volume: Store) -> None:
    place = volume.write(TRANSCRIPT)
    with place.open("wb") as file:
        for _ in range(20):
            file.write(os.urandom(1 << 20))
    assert volume.out()[0]["size"] == 20 << 20
    content = place.read_bytes()
    place.unlink()
    volume.back()
    assert place.read_bytes() == content


def test_it_goes_on_in_a_container_and_back_at_the_host(
    docker_person: Person, repo: Path, stub: MessagesStub, engine: Engine, store: Store
) -> None:
    desk = Desk(docker_person, repo, stub)
    mine = Store(docker_person, engine, store.image, store.name)
    mine("create", mine.name, "--no-probe")
    session = desk.claude(repo, "alpha")
    assert mine.results("host", mine.name, "--session", session) == {session: "copied"}

    program = Path(docker_person.run("sh", "-c", "readlink -f $(command -v claude)").stdout.strip())
    names = ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY", *QUIET)
    given = [word for name in names for word in ("--env", f"{name}={docker_person.env[name]}")]
    argv = ("claude", "-p", "beta", "--resume", session, "--output-format", "json")
    places = (f"{program}:/usr/local/bin/claude:ro", f"{repo}:{repo}", f"{mine.name}:/store")
    mounts = [word for place in places for word in ("--volume", place)]
    setting = ("--network", "host", "--workdir", str(repo), "--env", "CLAUDE_CONFIG_DIR=/store")
    engine.docker("run", "--rm", *setting, *given, *mounts, mine.image, *argv)
    assert desk.heard("alpha", "beta") == ["alpha", "beta"]

    assert mine.results(mine.name, "host", "--session", session) == {session: "extended"}
    assert desk.claude(repo, "gamma", "--resume", session) == session
    assert desk.heard("alpha", "beta", "gamma") == ["alpha", "beta", "gamma"]
    assert (mine.host / "projects" / slug(str(repo)) / f"{session}.jsonl").exists()


@pytest.mark.parametrize("way", ["out", "back"])
def test_a_copy_that_is_killed_is_whole_or_nothing(volume: Store, way: str) -> None:
    place = volume.write(TRANSCRIPT)
    with place.open("wb") as file:
        for _ in range(30):
            file.write(os.urandom(1 << 20))
    if way == "back":
        volume.out()
        place.unlink()
    ends = ("host", volume.name) if way == "out" else (volume.name, "host")
    argv = (sys.executable, "-m", "mooring", "store", "copy", *ends, "--all")
    for seconds in (0.6, 0.8, 1.0, 1.2, 1.4, 1.7, 2.0):
        copy = subprocess.Popen(
            [*argv, "--image", volume.image],
            env=volume.person.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(seconds)
        copy.kill()
        copy.wait()
        sizes = volume.sh("cat projects/*/*.jsonl 2>/dev/null | wc -c; true").split()
        assert sizes in (["0"], [str(30 << 20)])
        assert not place.exists() or place.stat().st_size == 30 << 20
    assert volume.copy(*ends)[0]["result"] in ("copied", "unchanged")
    assert volume.paths() == [TRANSCRIPT]
    assert throw_away(volume) == []
    assert not list(volume.host.glob(".mooring-copy-*"))


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "y/../../x", "y"])
def test_names_that_lead_out_of_an_archive(name: str) -> None:
    from mooring.commands.volumes.volume import inner

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(tarfile.TarInfo(f"{ID}/{name}"))
        tar.addfile(tarfile.TarInfo(name))
    buffer.seek(0)
    with tarfile.open(fileobj=buffer) as tar:
        found = [inner(f"tasks/{ID}", member.name) for member in tar]
    assert found == [f"tasks/{ID}/y" if name == "y" else None, None]


@pytest.fixture
def sshd(person: Person) -> Iterator[SshTarget]:
    """Another user of this machine, whom `person` reaches as `ssh box`."""
    with ssh_target(person) as target:
        yield target


@pytest.fixture
def remote(sshd: SshTarget, engine: Engine) -> Iterator[Person]:
    """A person whose engine is at the end of ssh, where another user's `docker` has a context."""
    socket_ = sshd.home / "docker.sock"
    with relay(socket_, engine.host.removeprefix("unix://")):
        sshd.run(f"docker context create here --docker host=unix://{socket_}")
        sshd.run("docker context use here")
        yield replace(sshd.client, env=sshd.client.env | {"DOCKER_HOST": f"ssh://{sshd.name}"})


@contextmanager
def relay(at: Path, to: str) -> Iterator[None]:
    """A socket that any user may use, and what is behind it."""

    def pump(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = server.accept()
                engine = socket.socket(socket.AF_UNIX)
                engine.connect(to)
                for ends in ((client, engine), (engine, client)):
                    threading.Thread(target=pump, args=ends, daemon=True).start()

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(at))
        at.chmod(0o777)
        server.listen()
        threading.Thread(target=serve, daemon=True).start()
        yield


def test_an_engine_at_the_end_of_ssh(volume: Store, remote: Person) -> None:
    far = Store(remote, volume.engine, volume.image, volume.name)
    place = far.write(TRANSCRIPT)
    place.write_bytes(os.urandom(3 << 20))
    content = place.read_bytes()
    assert {item["state"] for item in far.json("probe", far.name)} <= {"ok", "warn"}
    assert far.copy("host", far.name, "--move")[0]["removed"]
    assert far.results(far.name, "host") == {ID: "copied"}
    assert place.read_bytes() == content
