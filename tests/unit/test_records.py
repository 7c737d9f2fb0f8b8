"""What a record becomes as its workspace is claimed, finished and ended."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from mooring import records
from mooring.facts.workspace import Observed
from mooring.model import SESSION as SESSION_ID
from mooring.model import Record, State
from mooring.plan import Plan, resolve
from tests.unit.builders import (
    BASE,
    SEEN,
    SESSION,
    SHOP,
    TIP,
    a_record,
    a_request,
    a_spec,
    a_whole_one,
    a_worktree,
    observed,
    registered,
)

OTHER = SESSION.replace("1", "2")
FROM = f"{SHOP}.worktrees/big-change"
PARTIAL = {"state": State.PARTIAL}


def plan(seen: Observed, **request: Any) -> Plan:
    return resolve(a_request(**request), a_spec(), seen)


def wanted(made: Plan, old: Record | None, session: str = "", since: int = 0) -> Record:
    return records.wanted(made, old, "", 5000, "robin@laptop", session, since)


# Which session is reserved, and from when on events count


@pytest.mark.parametrize("session", ["", SESSION])
@pytest.mark.parametrize("old", [a_record(reserved=3), a_record(reserved=3, state=State.ENDED)])
def test_what_is_reserved_stays(old: Record, session: str) -> None:
    new = wanted(plan(observed(record=old)), old, session, since=4000)
    assert (new.session, new.reserved) == (SESSION, 3)


@pytest.mark.parametrize("since", [0, 4000])
def test_another_session_counts_from_the_newest_event_on(since: int) -> None:
    """By the clock of the target, which wrote that: what came until then is the other's."""
    old = a_record(reserved=3)
    for seen in (a_whole_one(record=old), observed(record=old)):
        new = wanted(plan(seen), old, OTHER, since)
        assert (new.session, new.reserved) == (OTHER, since)
        assert records.needs_claim(plan(seen), old, new)


def test_a_first_session_counts_from_the_newest_event_on_too() -> None:
    """An index that lost the record may know events of an earlier workspace."""
    new = wanted(plan(observed()), None, since=4000)
    assert SESSION_ID.fullmatch(new.session)
    assert new.reserved == 4000
    assert wanted(plan(observed()), None, OTHER).session == OTHER


def test_a_record_that_is_as_wanted_is_not_claimed() -> None:
    old = a_record()
    made = plan(a_whole_one())
    assert not records.needs_claim(made, old, wanted(made, old))
    assert records.needs_claim(made, None, wanted(made, None))
    gone = a_record(state=State.ENDED)
    assert records.needs_claim(made, gone, wanted(made, gone))


# What comes along


def test_what_comes_along_is_in_the_record_until_it_has() -> None:
    made = plan(observed(), carry=FROM)
    claimed = wanted(made, None)
    assert (claimed.state, claimed.carry) == (State.PARTIAL, FROM)
    done = records.finished(made, claimed, {}, {}, {}, "digest")
    assert (done.state, done.carry) == (State.READY, "")


@pytest.mark.parametrize("half", [False, True])
def test_a_run_that_died_left_what_comes_along_in_the_record(half: bool) -> None:
    old = a_record(carry=FROM, **PARTIAL)
    there = a_worktree(kind="dir", registered=registered(locked="+initializing"))
    seen = observed(record=old, worktree=there if half else a_worktree())
    made = plan(seen)
    again = wanted(made, old)
    assert (again.state, again.carry, again.session) == (State.PARTIAL, FROM, SESSION)
    same = msgspec.structs.replace(again, ports=old.ports)
    assert not records.needs_claim(made, old, same), "it is claimed already"


def test_a_run_that_died_after_the_worktree_carries_no_more() -> None:
    old = a_record(carry=FROM, **PARTIAL)
    made = plan(a_whole_one(record=old))
    again = wanted(made, old)
    assert (again.state, again.carry) == (State.PARTIAL, "")
    assert records.finished(made, again, {}, {}, {}, "").carry == ""


# Where it began


def test_the_start_is_the_one_that_was_asked_for() -> None:
    new = wanted(plan(observed(), start=SEEN), None)
    assert (new.start, new.commit, new.base, new.owns_branch) == (SEEN, SEEN, "main", True)


def test_a_branch_of_ours_began_where_it_began() -> None:
    """Though its worktree is made again, and the branch has grown."""
    old = a_record(start=BASE)
    refs = msgspec.structs.replace(a_whole_one().repo)
    new = wanted(plan(observed(record=old, repo=refs)), old)
    assert (new.start, new.commit) == (BASE, TIP)


# The end


def test_an_end_keeps_all_but_the_ports() -> None:
    old = a_record(issue="17", parent="big-change", reserved=3, files={".env": "x"})
    gone = records.ended(old, OTHER, "refs/heads/fix-login", TIP, 9000)
    assert gone == msgspec.structs.replace(
        old, state=State.ENDED, session=OTHER, ports={}, commit=TIP, updated=9000
    )


@pytest.mark.parametrize(
    ("head", "branch", "owns"),
    [
        ("refs/heads/wip", "wip", False),
        ("refs/heads/fix-login", "fix-login", True),
        (TIP, "fix-login", True),
        ("", "fix-login", True),
    ],
)
def test_an_end_keeps_the_branch_it_was_on(head: str, branch: str, owns: bool) -> None:
    gone = records.ended(a_record(), SESSION, head, "", 9000)
    assert (gone.branch, gone.owns_branch, gone.commit) == (branch, owns, SEEN)
