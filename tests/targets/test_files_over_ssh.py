"""What files cost over ssh: one stream, however many they are, and no round trip for each."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.files.test_roots import write
from tests.support import PROJECT, Done, Person
from tests.targets.sshd import SshTarget
from tests.targets.test_fleet import STEPS, outcomes

MORE = 2
"""Commands that files may add to a run over ssh."""
MORE_UNCHANGED = 1
PROGRESS = "sh -c 'tail -c 400 "
"""How a look begins at how far a script is, while it runs: nothing waits for that."""
IGNORED = "/conf/\n/.env\n"
TEXT = "TOPIC={{ topic }}\n"
NOTING = """\
#!/bin/sh
printf '%s\\n' "$SSH_ORIGINAL_COMMAND" | head -n 1 >>'{log}'
exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"
"""


class Noted(NamedTuple):
    """A target whose server notes each command that reaches it."""

    target: SshTarget
    log: Path
    url: str
    checkout: Path

    def workspace(self, topic: str) -> tuple[Done, int]:
        """A run for that topic, and how many commands it waited for."""
        self.log.write_text("")
        data = ("--data", f"topic={topic}", "--data", f"repo={self.url}")
        done = self.target.client.pyinfra(
            *("-y", PROJECT / "inventories/fleet.py", PROJECT / "deploy/workspace.py", *data),
            env={"MOORING_FLEET": self.target.name},
            cwd=self.checkout,
            timeout=300,
        )
        lines = self.log.read_text().splitlines()
        return done, len([line for line in lines if not line.startswith(PROGRESS)])

    def place(self, topic: str) -> Path:
        found = self.target.run(f"find ~/.local/share/mooring/worktrees -name {topic} -type d")
        return Path(found.stdout.removesuffix("\n"))


@pytest.fixture
def noted(person: Person, repo: Path, sshd: SshTarget) -> Noted:
    """A repo that is given by URL, whose checkout is here, and whose cache the target has."""
    (repo / ".gitignore").write_text(IGNORED)
    person.git("commit", "-qam", "Ignore", cwd=repo)
    bare = f"{sshd.home}/remotes/shop.git"
    sshd.run(f"git init -q --bare --initial-branch=main {bare}")
    person.git("push", f"box:{bare}", "main", cwd=repo)
    person.git("remote", "add", "origin", f"file://{bare}", cwd=repo)
    found = Noted(sshd, note_commands(sshd), f"file://{bare}", repo)
    found.workspace("first")
    return found


def note_commands(sshd: SshTarget) -> Path:
    """Let the server note each command before it runs it (sshd(8), AUTHORIZED_KEYS)."""
    place = sshd.home.parent
    script, log, key = place / "note", place / "commands", place / "client_key.pub"
    log.touch()
    log.chmod(0o666)
    script.write_text(NOTING.format(log=log))
    script.chmod(0o755)
    key.write_text(f'command="{script}" {key.read_text()}')
    return log


def fill(place: Path, count: int) -> dict[str, str]:
    """Files of several modes; returns what `seen` says of them."""
    place.mkdir()
    for number in range(count):
        file = place / f"f{number}.conf"
        file.write_text(f"{number}\n")
        file.chmod((0o600, 0o644, 0o755)[number % 3])
    place.chmod(0o750)
    os.utime(place, (1_600_000_000, 1_600_000_000))
    return seen(place)


def seen(place: Path) -> dict[str, str]:
    of_all = place.stat()
    return {".": f"{of_all.st_mode & 0o777:o} {int(of_all.st_mtime)}"} | {
        file.name: f"{file.stat().st_mode & 0o777:o} {file.read_text()}" for file in place.iterdir()
    }


@pytest.mark.parametrize(
    ("count", "pattern"), [(20, "/conf"), (2000, "/conf"), (2000, "/conf/*.conf")]
)
def test_files_take_two_commands_more(
    person: Person, noted: Noted, count: int, pattern: str
) -> None:
    _, plain = noted.workspace("plain")
    _, unchanged = noted.workspace("plain")
    assert 0 < unchanged < plain
    made = fill(noted.checkout / "conf", count)
    template = {"src": "env.j2", "dest": ".env", "root": "user"}
    write(person, copy=[pattern], template=[template])
    (person.home / ".config/mooring/env.j2").write_text(TEXT)
    done, commands = noted.workspace("fix-login")
    assert "Success" in outcomes(done)
    place = noted.place("fix-login")
    assert seen(place / "conf") == made
    assert (place / ".env").read_text() == "TOPIC=fix-login\n"
    assert commands <= plain + MORE
    again, commands = noted.workspace("fix-login")
    assert outcomes(again) == ["No changes"] * STEPS
    assert commands <= unchanged + MORE_UNCHANGED
