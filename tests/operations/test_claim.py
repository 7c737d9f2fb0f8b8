"""The claim, run for real: the record, its session, and ports that nobody else has."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, cast

import msgspec
import pytest

from mooring.facts import record as record_file
from mooring.facts.workspace import Observed
from mooring.model import Record, State
from mooring.operations.claim import _CLAIM, _COMMON, PORTS, finish_script, record_names
from tests.operations.scripts import Target, ended, tools
from tests.support import Person, lack, need
from tests.unit.builders import IDENTITY, SESSION, a_record, observed

if TYPE_CHECKING:
    from mooring.handle import Workspace

OTHER_SESSION = "00000000-0000-4000-8000-000000000002"
ID = "00000000-0000-4000-8000-0000000000aa"


@pytest.fixture(params=["system", "busybox"])
def target(request: pytest.FixtureRequest, person: Person, tmp_path: Path) -> Target:
    """A target without records, once with this machine's programs, once with busybox's."""
    path = "" if request.param == "system" else tools(tmp_path / "tools", "busybox")
    return Target(person, tmp_path / "root", path=path)


@pytest.fixture
def plain(person: Person, tmp_path: Path) -> Target:
    """A target without records, with this machine's programs."""
    return Target(person, tmp_path / "root")


def wanted(topic: str = "fix-login", **changes: object) -> Record:
    """What a run wants to claim: neither ports nor the target's id are known to it."""
    fields = {"topic": topic, "state": State.PARTIAL, "ports": {}, "target": ""}
    return a_record(**fields | changes)


def path_of(target: Target, record: Record) -> Path:
    """The record's file."""
    return target.root / record_file.path(record.key)


def names(
    target: Target,
    record: Record,
    ports: str = "PORT",
    kept: Mapping[str, int] | None = None,
    seen: bytes = b"",
    first: int = PORTS[0],
    count: int = PORTS[1],
) -> dict[str, str]:
    """The variables of a claim; `seen` is the record's file as the run knows it."""
    return {
        "record": str(path_of(target, record)),
        "text": record_file.text(record),
        "seen": sha256(seen).hexdigest() if seen else "",
        "wanted_state": record.state.value,
        "reserves": "",
        "new_id": ID,
        "names": ports,
        "kept": "\n".join(f"{name}={port}" for name, port in (kept or {}).items()),
        "first": str(first),
        "count": str(count),
    }


CLAIM = _COMMON + _CLAIM


def answer(stdout: str) -> Record:
    """The record that a claim printed."""
    return record_file.from_answer(stdout.splitlines())[0]


def claim(target: Target, record: Record, **options: object) -> Record:
    """Claim a record; the one that was claimed."""
    return answer(target.run(CLAIM, **names(target, record, **options)).stdout)


def refuses(target: Target, record: Record, **options: object) -> str:
    """Why a record cannot be claimed."""
    return target.refuses(CLAIM, **names(target, record, **options))


def test_a_claim_writes_the_record_with_ports_and_the_targets_id(target: Target) -> None:
    record = claim(target, wanted(), ports="PORT PORT_WEB")
    assert set(record.ports) == {"PORT", "PORT_WEB"}
    assert len(set(record.ports.values())) == 2
    assert all(PORTS[0] <= port < sum(PORTS) for port in record.ports.values())
    assert record.target == ID
    assert msgspec.structs.replace(record, ports={}, target="") == wanted()
    written = path_of(target, record)
    assert written.read_text() == record_file.text(record)
    assert [item.name for item in written.parent.iterdir()] == [written.name]


def test_the_targets_id_stays(target: Target) -> None:
    claim(target, wanted())
    (target.root / "id").write_text("another\n")
    assert claim(target, wanted("other")).target == "another"


def test_ports_are_stable(target: Target) -> None:
    first = claim(target, wanted())
    seen = path_of(target, first).read_bytes()
    again = claim(target, first, ports="PORT_WEB PORT PORT_DB", kept=first.ports, seen=seen)
    assert again.ports["PORT"] == first.ports["PORT"]
    assert len(set(again.ports.values())) == 3


def test_a_port_that_is_in_use_by_its_own_workspace_stays(target: Target) -> None:
    first = claim(target, wanted())
    seen = path_of(target, first).read_bytes()
    with listening(socket.AF_INET, "127.0.0.1", first.ports["PORT"]):
        assert claim(target, first, kept=first.ports, seen=seen).ports == first.ports


def listening(family: int, address: str, port: int = 0) -> closing[socket.socket]:
    """A socket that listens at an address."""
    server = socket.socket(family, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind((address, port))
    except OSError:
        server.close()
        lack(f"{address} cannot be bound here")
    server.listen()
    return closing(server)


@pytest.fixture(
    params=[
        (socket.AF_INET, "127.0.0.1"),
        (socket.AF_INET, "0.0.0.0"),
        (socket.AF_INET, "127.0.0.2"),
        (socket.AF_INET6, "::1"),
        (socket.AF_INET6, "::"),
    ],
    ids=lambda param: param[1],
)
def occupied(request: pytest.FixtureRequest) -> Iterator[int]:
    """A port that somebody listens on."""
    with listening(*request.param) as server:
        yield server.getsockname()[1]


def test_a_port_that_somebody_listens_on_is_passed_over(target: Target, occupied: int) -> None:
    first = occupied - 5
    record = claim(target, wanted(), first=first, count=12)
    assert occupied != record.ports["PORT"]
    assert "Cannot claim a port" in refuses(target, wanted("other"), first=occupied, count=1)
    assert not path_of(target, wanted("other")).exists()


def free_range(size: int) -> int:
    """The first of so many ports in a row that nobody has."""
    for first in range(15000, 19000, size):
        try:
            for port in range(first, first + size):
                with closing(socket.create_server(("", port))):
                    pass
        except OSError:
            continue
        return first
    pytest.fail("there are no free ports")


def test_a_range_can_be_used_up(target: Target) -> None:
    first = free_range(3)
    taken = [claim(target, wanted(f"t{n}"), first=first, count=3) for n in range(3)]
    assert sorted(item.ports["PORT"] for item in taken) == [first, first + 1, first + 2]
    said = refuses(target, wanted("t3"), first=first, count=3)
    assert said.splitlines() == [
        f"Cannot claim a port: all from {first} to {first + 2} are taken",
        "hint: mooring list",
    ]
    assert not path_of(target, wanted("t3")).exists()


def test_an_ended_workspaces_port_is_free_again(target: Target) -> None:
    first = free_range(1)
    record = claim(target, wanted(), first=first, count=1)
    ended_one = msgspec.structs.replace(record, state=State.ENDED, ports={})
    path_of(target, record).write_text(record_file.text(ended_one))
    assert claim(target, wanted("other"), first=first, count=1).ports == {"PORT": first}


def test_users_of_one_machine_start_apart(person: Person, tmp_path: Path) -> None:
    ports = []
    for uid in (1000, 1001, 1090):
        tools_of_user = tmp_path / f"as-{uid}"
        tools_of_user.mkdir()
        (tools_of_user / "id").write_text(f"#!{need('sh')}\necho {uid}\n")
        (tools_of_user / "id").chmod(0o755)
        path = f"{tools_of_user}:{person.env['PATH']}"
        target = Target(person, tmp_path / f"root-{uid}", path=path)
        ports.append(claim(target, wanted()).ports["PORT"])
        start = PORTS[0] + uid * 137 % PORTS[1]
        assert start <= ports[-1] < start + 137
    assert len(set(ports)) == 3


def test_twenty_at_once_share_no_port(plain: Target) -> None:
    records = [wanted(f"t{number}") for number in range(20)]
    ports = "PORT PORT_WEB"
    started = [
        plain.start(CLAIM, **names(plain, record, ports) | {"new_id": f"id-{record.topic}"})
        for record in records
    ]
    done = [ended(process) for process in started]
    assert [(item.returncode, item.stderr) for item in done] == [(0, "")] * 20
    claimed = [answer(item.stdout) for item in done]
    assert len({port for record in claimed for port in record.ports.values()}) == 40
    assert len({record.target for record in claimed}) == 1
    assert [record.topic for record in claimed] == [record.topic for record in records]
    for record in claimed:
        assert path_of(plain, record).read_text() == record_file.text(record)


def test_eight_who_claim_one_topic_get_one_record(plain: Target) -> None:
    texts = [wanted(session=f"00000000-0000-4000-8000-00000000000{n}") for n in range(8)]
    started = [plain.start(CLAIM, **names(plain, record)) for record in texts]
    claimed = [answer(ended(process).stdout) for process in started]
    assert all(record == claimed[0] for record in claimed)


def test_who_is_late_gets_the_others_record(target: Target) -> None:
    first = claim(target, wanted())
    late = claim(target, wanted(session=OTHER_SESSION, branch="other"))
    assert late == first


def test_a_session_is_kept_for_good(target: Target) -> None:
    first = claim(target, wanted())
    gone = record_file.text(msgspec.structs.replace(first, state=State.ENDED, ports={}))
    path_of(target, first).write_text(gone)
    again = claim(target, wanted(session=OTHER_SESSION, branch="anew"), seen=gone.encode())
    assert (again.session, again.branch, again.state) == (SESSION, "anew", State.PARTIAL)
    assert again.ports


def test_another_session_is_reserved_where_one_is_asked_for(target: Target) -> None:
    first = claim(target, wanted())
    seen = path_of(target, first).read_bytes()
    forked = msgspec.structs.replace(first, session=OTHER_SESSION, reserved=2000)
    again = answer(
        target.run(CLAIM, **names(target, forked, seen=seen) | {"reserves": "yes"}).stdout
    )
    assert (again.session, again.reserved) == (OTHER_SESSION, 2000)
    assert path_of(target, first).read_text() == record_file.text(again)


def test_a_record_that_ended_meanwhile_is_claimed_anew(target: Target) -> None:
    first = claim(target, wanted())
    seen = path_of(target, first).read_bytes()
    gone = record_file.text(msgspec.structs.replace(first, state=State.ENDED, ports={}))
    path_of(target, first).write_text(gone)
    again = claim(target, wanted(branch="anew"), seen=seen)
    assert (again.branch, again.session, again.state) == ("anew", SESSION, State.PARTIAL)


ODD = {
    "slash": "/srv/a/b",
    "ampersand": "/srv/a&b&&",
    "backslash": "/srv/a\\1\\n\\",
    "quotes": "/srv/a\"b'c",
    "command": "/srv/$(touch planted)`touch planted`",
    "percent": "/srv/%s%n",
    "unicode": "/srv/größe \u2028",
    "like a field": '/srv/x",\n"ports": {"A":1},',
}


@pytest.mark.parametrize("path", ODD.values(), ids=ODD.keys())
def test_odd_values_reach_the_record_whole(target: Target, person: Person, path: str) -> None:
    record = claim(target, wanted(source=path, worktree=path, by=path))
    assert (record.source, record.worktree, record.by) == (path, path, path)
    assert not (person.home / "planted").exists()


def test_a_record_that_cannot_be_written_is_not_claimed(person: Person, tmp_path: Path) -> None:
    """Least of all is the one that was there before taken for it."""
    target = Target(person, tmp_path / "root")
    first = claim(target, wanted())
    gone = record_file.text(msgspec.structs.replace(first, state=State.ENDED, ports={}))
    path_of(target, first).write_text(gone)
    full = tmp_path / "full-disk"
    full.mkdir()
    (full / "mv").write_text(f"#!{need('sh')}\necho 'No space left on device' >&2; exit 1\n")
    (full / "mv").chmod(0o755)
    broken = Target(person, target.root, path=f"{full}:{person.env['PATH']}")
    assert "Cannot write the record" in refuses(broken, wanted(), seen=gone.encode())
    assert path_of(target, first).read_text() == gone


FINISH = finish_script()


def finish(target: Target, record: Record, seen: bytes, *, check: bool = True) -> tuple[int, str]:
    """Bring the record from what was seen to what it should be; the status and what was said."""
    done = target.run(FINISH, check=check, **names(target, record, seen=seen))
    return done.returncode, done.stderr


def test_a_record_is_finished(target: Target) -> None:
    record = claim(target, wanted())
    ready = msgspec.structs.replace(record, state=State.READY)
    finish(target, ready, path_of(target, record).read_bytes())
    assert path_of(target, record).read_text() == record_file.text(ready)


def test_a_record_that_somebody_else_finished_stays_theirs(target: Target) -> None:
    record = claim(target, wanted())
    theirs = record_file.text(msgspec.structs.replace(record, state=State.READY, branch="theirs"))
    seen = path_of(target, record).read_bytes()
    path_of(target, record).write_text(theirs)
    finish(target, msgspec.structs.replace(record, state=State.READY), seen)
    assert path_of(target, record).read_text() == theirs


@pytest.mark.parametrize("theirs", [State.ENDED, State.PARTIAL, None])
def test_a_record_that_somebody_else_changed_is_not_overwritten(
    target: Target, theirs: State | None
) -> None:
    record = claim(target, wanted())
    path = path_of(target, record)
    seen = path.read_bytes()
    if theirs:
        changed = msgspec.structs.replace(record, state=theirs, branch="theirs")
        path.write_text(record_file.text(changed))
    else:
        path.unlink()
    before = path.read_bytes() if theirs else b""
    ready = msgspec.structs.replace(record, state=State.READY)
    status, said = finish(target, ready, seen, check=False)
    assert (status, said.splitlines()[0]) == (
        65,
        "Cannot finish: somebody else has just changed the workspace",
    )
    assert (path.read_bytes() if theirs else b"") == before


def older(record: Record) -> bytes:
    """The record as an older Mooring wrote it: fewer keys, and in another order."""
    fields = json.loads(record_file.text(record))
    for name in ("reserved", "parent", "carry"):
        del fields[name]
    ports = json.dumps(fields.pop("ports"), separators=(",", ":"))
    lines = [f'"{name}": {json.dumps(fields[name])}' for name in reversed(fields)]
    return ("{\n" + ",\n".join([*lines, f'"ports": {ports}']) + "\n}\n").encode()


@dataclass
class Seen:
    """A workspace whose probe saw one record's file, as far as `record_names` asks."""

    observed: Observed
    record_sum: str


def seen_by_probe(target: Target, raw: bytes) -> tuple[Record, Seen]:
    """The record in a file, and the workspace that has it."""
    record, found_sum = record_file.find([raw], IDENTITY, "")
    assert record
    where = msgspec.structs.replace(observed().target, root=str(target.root))
    return record, Seen(observed(target=where, record=record, record_sum=found_sum), found_sum)


def put(target: Target, raw: bytes) -> Path:
    """The record's file, with that in it."""
    path = path_of(target, a_record())
    path.parent.mkdir(parents=True)
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("state", [State.READY, State.ENDED])
@pytest.mark.parametrize("old", [State.PARTIAL, State.READY])
def test_an_older_record_is_finished_and_ended(target: Target, old: State, state: State) -> None:
    """It says the same as what this Mooring would write, in another text."""
    raw = older(a_record(state=old))
    path = put(target, raw)
    record, workspace = seen_by_probe(target, raw)
    assert record == a_record(state=old)
    final = msgspec.structs.replace(record, state=state, branch="b")
    names_ = record_names(cast("Workspace", workspace), final)
    assert names_["record"] == str(path)
    target.run(FINISH, **names_)
    assert path.read_text() == record_file.text(final)


@pytest.mark.parametrize("state", [State.PARTIAL, State.READY, State.ENDED])
def test_an_older_record_is_claimed(target: Target, state: State) -> None:
    first = free_range(3)
    ports = {} if state is State.ENDED else {"PORT": first}
    raw = older(a_record(state=state, ports=ports))
    path = put(target, raw)
    record, workspace = seen_by_probe(target, raw)
    wish = msgspec.structs.replace(record, state=State.PARTIAL, carry="/w", session=OTHER_SESSION)
    claim_names = names(target, wish, "PORT PORT_WEB", kept=ports, first=first, count=3)
    claim_names |= record_names(cast("Workspace", workspace), wish)
    printed = target.run(CLAIM, **claim_names).stdout
    claimed, claimed_sum = record_file.from_answer(printed.splitlines())
    assert (claimed.session, claimed.carry) == (SESSION, "/w"), "the reserved one stays"
    assert set(claimed.ports) == {"PORT", "PORT_WEB"}
    assert claimed.ports["PORT"] == first
    assert path.read_text() == record_file.text(claimed)
    assert claimed_sum == sha256(path.read_bytes()).hexdigest()


def test_an_older_records_ports_are_taken(target: Target) -> None:
    first = free_range(2)
    put(target, older(a_record(ports={"PORT": first})))
    assert claim(target, wanted("other"), first=first, count=2).ports == {"PORT": first + 1}


def test_an_older_record_that_was_faster_can_be_finished(target: Target) -> None:
    """The claim answers with the other's record; its sum is of the text that stands there."""
    path = put(target, older(a_record(state=State.PARTIAL)))
    printed = target.run(CLAIM, **names(target, wanted())).stdout
    record, found_sum = record_file.from_answer(printed.splitlines())
    assert record == a_record(state=State.PARTIAL)
    ready = msgspec.structs.replace(record, state=State.READY)
    target.run(FINISH, **names(target, ready) | {"seen": found_sum})
    assert path.read_text() == record_file.text(ready)


def test_an_older_record_that_changed_meanwhile_is_not_overwritten(target: Target) -> None:
    raw = older(a_record())
    path = put(target, raw)
    record, workspace = seen_by_probe(target, raw)
    path.write_text(record_file.text(a_record(branch="theirs")))
    final = msgspec.structs.replace(record, state=State.ENDED)
    said = target.refuses(FINISH, **record_names(cast("Workspace", workspace), final))
    assert "somebody else has just changed the workspace" in said
    assert '"branch": "theirs"' in path.read_text()


def test_an_answer_is_ascii(target: Target) -> None:
    printed = target.run(CLAIM, **names(target, wanted(branch="größe"))).stdout
    assert printed.isascii()
    assert base64.b64decode(printed).decode().count("größe") == 1
