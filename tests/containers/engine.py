"""The Docker engine that tests run containers in.

What lives here: which engine it is, and its client. CI starts one (`.ci/engine`); the images are in
`tests/containers/images.py`, the fixtures over both in `tests/containers/conftest.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.support import SYSTEM_PATH, Done, Person, lack, link, need

VARIABLE = "MOORING_TEST_DOCKER"
DEFAULT = "unix:///var/run/docker.sock"


@dataclass(frozen=True)
class Engine:
    """An engine that answers; `host` is what DOCKER_HOST says, `config` a directory of its own."""

    host: str
    config: Path

    @property
    def env(self) -> dict[str, str]:
        """What points a client to this engine, and away from the configuration of a person."""
        return {"DOCKER_HOST": self.host, "DOCKER_CONFIG": str(self.config)}

    def docker(
        self,
        *args: str | Path,
        check: bool = True,
        input: str | None = None,  # noqa: A002 (subprocess's name)
    ) -> Done:
        """Run the client. Raises AssertionError for a status other than 0, if `check`."""
        done = subprocess.run(
            [need("docker"), *args],
            input=input or "",
            env={"PATH": os.pathsep.join(SYSTEM_PATH), **self.env},
            timeout=120,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, f"{done.args}: {done.stderr}"
        return done

    def inspect(self, name: str) -> dict[str, Any]:
        """What the engine says of a container or an image."""
        found: dict[str, Any] = json.loads(self.docker("inspect", name).stdout)[0]
        return found

    def introduce(self, person: Person) -> Person:
        """The same person, with the client on PATH, which talks to this engine."""
        link(need("docker"), person.home / "bin/docker")
        return replace(person, env=person.env | self.env)

    def remove_below(self, directory: Path) -> None:
        """Remove Mooring's containers with a worktree or a mount in a directory.

        The others may be those of tests beside this one: xdist's workers share the engine.
        """
        form = '{{.ID}},{{.Label "mooring.worktree"}},{{.Mounts}}'
        mine = ("ps", "--all", "--no-trunc", "--filter", "label=mooring.topic", "--format", form)
        for line in self.docker(*mine).stdout.splitlines():
            container, *paths = line.split(",")
            if any(Path(path).is_relative_to(directory) for path in paths):
                self.docker("rm", "--force", "--volumes", container)


def find_engine(config: Path) -> Engine:
    """The engine that MOORING_TEST_DOCKER names, else the machine's; without one, `lack`."""
    named = os.environ.get(VARIABLE)
    engine = Engine(named or DEFAULT, config)
    asked = engine.docker("version", "--format", "{{.Server.Version}}", check=False)
    if asked.returncode:
        reason = f"no Docker engine answers at {engine.host}: {asked.stderr.strip()}"
        assert not named, reason
        lack(reason)
    return engine
