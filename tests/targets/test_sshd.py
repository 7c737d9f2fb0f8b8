"""The ssh target itself: a run of ssh, of pyinfra, and of sftp is another user's, umask 077."""

from __future__ import annotations

import os
import pwd

import pytest

from tests.support import Person
from tests.targets.sshd import SshTarget, processes, ssh_target


def test_a_command_runs_as_another_user(sshd: SshTarget, person: Person) -> None:
    done = sshd.run('id -un; umask; pwd; echo "$HOME"')
    assert done.stdout.splitlines() == [sshd.user, "0077", str(sshd.home), str(sshd.home)]
    assert done.stderr == ""
    assert sshd.home != person.home
    assert pwd.getpwnam(sshd.user).pw_uid != os.geteuid()


def test_the_status_of_a_script_comes_back(sshd: SshTarget) -> None:
    assert sshd.run("cat; exit 65", input="from stdin", check=False).stdout == "from stdin"
    with pytest.raises(AssertionError, match="ended with 65"):
        sshd.run("exit 65")


def test_pyinfra_connects_without_asking(sshd: SshTarget, person: Person) -> None:
    done = person.pyinfra("-y", "@ssh/box", "exec", "--", "id -un; umask")
    said = done.stdout + done.stderr
    assert f"[@ssh/box] {sshd.user}\n" in said
    assert "[@ssh/box] 0077\n" in said
    assert "No host key" not in said


def test_pyinfra_uploads_with_the_same_umask(sshd: SshTarget, person: Person) -> None:
    (person.home / "note").write_text("hello")
    person.pyinfra("-y", "@ssh/box", "files.put", "src=note", "dest=note")
    assert (sshd.home / "note").read_text() == "hello"
    assert (sshd.home / "note").stat().st_mode & 0o777 == 0o600


def test_nothing_stays(person: Person) -> None:
    with ssh_target(person) as target:
        target.run("nohup sleep 600 >/dev/null 2>&1 & echo started")
        uid = pwd.getpwnam(target.user).pw_uid
        assert processes(uid)
    assert not target.home.parent.exists()
    with pytest.raises(KeyError):
        pwd.getpwnam(target.user)
    assert processes(uid) == []
