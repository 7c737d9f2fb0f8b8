"""Who a container runs as: whoever its workspace belongs to, whatever users its image knows."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Unpack

import pytest

from tests.claude.desk import Desk
from tests.containers.engine import Engine
from tests.support import Done, Person, RunOptions, need

TOPIC = "fix-login"
UID = 1000


class Commoner(Person):
    """A person without root's rights, but to search the directories above their HOME."""

    def run(self, *argv: str | Path, **options: Unpack[RunOptions]) -> Done:
        """Run it as that user, who is in the group that may use the engine."""
        socket = Path(self.env["DOCKER_HOST"].removeprefix("unix://"))
        who = [f"--reuid={UID}", f"--regid={UID}", f"--groups={socket.stat().st_gid}"]
        # no_setuid_fixup: access(2) counts the right to search, too.
        rights = ["--securebits=+no_setuid_fixup", "--inh-caps=+dac_read_search"]
        rights += ["--ambient-caps=+dac_read_search"]
        return super().run(need("setpriv"), *who, *rights, *argv, **options)


@pytest.fixture
def common_box(box: Desk) -> Desk:
    """The desk of somebody who isn't root."""
    person = Commoner(box.person.home, box.person.env)
    for place, directories, files in os.walk(person.home):
        for name in (".", *directories, *files):
            os.lchown(Path(place) / name, UID, UID)
    return replace(box, person=person)


def test_root_and_named_users_of_images(common_box: Desk, vscode_image: str) -> None:
    box = common_box
    box.turn("new", TOPIC, "--in", "host", say="alpha")
    script = "id -u; echo $HOME; touch made; git commit -q --allow-empty -m x; id -un || :"
    homes = []
    for marker, setting in (("beta", ()), ("gamma", ("--set", f"container.image={vscode_image}"))):
        box.turn("resume", TOPIC, *setting, say=marker)
        said = box.mooring("run", TOPIC, "--", "sh", "-c", script).stdout.split()
        assert said[0] == str(UID)
        homes.append(said[1])
    assert homes == ["/home/mooring", "/home/vscode"]
    assert box.heard("alpha", "beta", "gamma") == ["alpha", "beta", "gamma"]
    box.turn("resume", TOPIC, "--in", "host", say="delta")
    assert box.heard("alpha", "beta", "gamma", "delta") == ["alpha", "beta", "gamma", "delta"]
    assert not [path for path in box.person.home.rglob("*") if path.lstat().st_uid != UID]


def test_another_user_of_the_image(box: Desk, engine: Engine, vscode_image: str) -> None:
    settings = ("--set", f"container.image={vscode_image}", "--set", "container.user=vscode")
    box.new(TOPIC, *settings)
    assert box.mooring("run", TOPIC, "--", "id", "-u").stdout == "1000\n"
    wrong = ("--set", "container.user=nobody-of-it")
    done = box.mooring("new", "other", "--launch", "none", *settings[:2], *wrong, check=False)
    assert "its image has no such user" in done.stderr
