"""A target in a container: one of the test images that sleeps, and the client that reaches it.

What lives here: the container, its volumes, and the log of what the client ran. The fixture over it
is in `tests/targets/conftest.py`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.containers.engine import Engine
from tests.support import PROJECT, Done, Person, need

DOCKER = PROJECT / "inventories/docker.py"
HOME = "/root"
PROGRESS = "tail -c 400 "
"""How a look begins at how far a script is, while it runs: nothing waits for that."""
NOTING = """\
#!/bin/sh
printf '%s\\0' "$*" >>'{log}'
exec {docker} "$@"
"""


@dataclass(frozen=True)
class Box:
    """A container that `client` reaches as `@docker/<name>`; `options` are those of docker run."""

    name: str
    image: str
    engine: Engine
    client: Person
    options: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        return f"@docker/{self.name}"

    @property
    def log(self) -> Path:
        """What `client` had the engine do: arguments, a NUL behind each run of `docker`."""
        return self.client.home / "docker-log"

    def start(self) -> None:
        """Make the container, and let it run."""
        run = ("run", "--detach", "--name", self.name, *self.options, self.image)
        self.engine.docker(*run, "sleep", "infinity")

    def remove(self) -> None:
        """Remove it, and the volumes without a name."""
        self.engine.docker("rm", "--force", "--volumes", self.name)

    def run(self, script: str, *options: str, check: bool = True) -> Done:
        """Run a shell script in it, as its user, at home."""
        argv = ("exec", "--interactive", *options, self.name, "sh", "-c", f"cd\n{script}")
        return self.engine.docker(*argv, check=check)

    def deploy(
        self, entry: str, *flags: str, others: str = "", check: bool = True, **data: str
    ) -> Done:
        """`pyinfra inventories/docker.py deploy/ENTRY.py`; `others` go before it in the fleet."""
        given = [word for key, value in data.items() for word in ("--data", f"{key}={value}")]
        env = {"MOORING_CONTAINERS": f"{others},{self.name}"}
        path = PROJECT / f"deploy/{entry}.py"
        return self.client.pyinfra("-y", *flags, DOCKER, path, *given, env=env, check=check)

    def counted(self, entry: str, **data: str) -> tuple[Done, int]:
        """The same, and how many commands in the container it waited for."""
        self.log.unlink(missing_ok=True)
        done = self.deploy(entry, **data)
        ran = [line for line in self.log.read_text().split("\0") if line.startswith("exec ")]
        return done, len([line for line in ran if PROGRESS not in line])


@contextmanager
def box_target(client: Person, engine: Engine, image: str, *options: str) -> Iterator[Box]:
    """A running container, for as long as the block runs."""
    box = Box(f"mooring-test-{uuid.uuid4().hex[:12]}", image, engine, note(client, engine), options)
    try:
        box.start()
        yield box
    finally:
        engine.docker("rm", "--force", "--volumes", box.name, check=False)


def note(client: Person, engine: Engine) -> Person:
    """The client, whose `docker` notes what it is asked to do."""
    wrapper = client.home / "bin/docker"
    wrapper.unlink(missing_ok=True)
    known = engine.introduce(client)
    wrapper.unlink()
    wrapper.write_text(NOTING.format(log=client.home / "docker-log", docker=need("docker")))
    wrapper.chmod(0o755)
    return known
