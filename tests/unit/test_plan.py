"""The plan: what every situation on the target means for a workspace, decided from data alone."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from mooring.claude import hooks
from mooring.config import parse
from mooring.errors import MooringError
from mooring.facts.workspace import Observed
from mooring.model import Needs, State
from mooring.plan import Plan, intentions, resolve, wanted_base, wanted_branch
from mooring.selection import CONTEXT, ENVRC, PROMPT
from mooring.spec import Layers, Spec
from tests.unit.builders import (
    ADMIN,
    BASE,
    COMMON,
    EDITED,
    IDENTITY,
    PATH,
    REMOTE,
    ROOT,
    SEEN,
    SHOP,
    SUM,
    TIP,
    a_record,
    a_repo,
    a_request,
    a_session,
    a_spec,
    a_whole_one,
    a_worktree,
    elsewhere,
    observed,
    registered,
    some_files,
)

MAIN = {"refs/heads/main": BASE}
OURS = MAIN | {"refs/heads/fix-login": TIP}
PUSHED = MAIN | {"refs/remotes/origin/fix-login": REMOTE}
ENDED = {"state": State.ENDED, "ports": {}}


def plan(seen: Observed | None = None, spec: Spec | None = None, **request: Any) -> Plan:
    """What is to be done about that request."""
    return resolve(a_request(**request), spec or a_spec(), seen or observed())


def refusal(seen: Observed | None = None, spec: Spec | None = None, **request: Any) -> MooringError:
    """Why nothing can be done about it; every refusal is a sentence, with something to do."""
    with pytest.raises(MooringError) as caught:
        plan(seen, spec, **request)
    assert caught.value.message.startswith("Cannot ")
    assert caught.value.hints
    return caught.value


def yaml(text: str) -> Spec:
    """The spec of a repo whose `mooring.yaml` is that."""
    return a_spec(Layers(repo=parse(text.encode())))


def users(text: str) -> Spec:
    """The spec of a user whose `config.yaml` is that."""
    return a_spec(Layers(user=parse(text.encode())))


def test_the_first_workspace_of_a_topic() -> None:
    made = plan(issue="17", pipeline="run-3")
    assert (made.repo, made.source, made.common, made.checkout) == (IDENTITY, SHOP, COMMON, SHOP)
    assert (made.topic, made.agent, made.issue, made.pipeline) == (
        "fix-login",
        "dev",
        "17",
        "run-3",
    )
    assert (made.base, made.branch, made.start) == ("main", "issue-17-fix-login", BASE)
    assert (made.worktree, made.makes_worktree, made.makes_branch) == (PATH, True, True)
    assert (made.envrc, made.context, made.approves) == (ENVRC[0], CONTEXT[0], True)
    assert (made.port_names, made.files, made.clears) == (("PORT",), (), ())
    assert (made.notes, made.rebuilds, made.parent, made.carry) == ((), False, "", "")
    assert (made.prompt, made.settings) == (PROMPT[0], hooks.SETTINGS)


# Where the branch begins, and whether it is made: refs, what the request names, what was seen.
BRANCHES: dict[str, tuple[dict[str, str], dict[str, Any], dict[str, Any], tuple[str, bool]]] = {
    "new": (MAIN, {}, {}, (BASE, True)),
    "existing": (OURS, {}, {}, (TIP, False)),
    "existing and pushed": (OURS | PUSHED, {}, {}, (TIP, False)),
    "pushed only": (PUSHED, {}, {}, (REMOTE, True)),
    "pushed only, but a base was asked for": (PUSHED, {"base": "main"}, {}, (BASE, True)),
    "existing, and a base was asked for": (OURS, {"base": "main"}, {}, (TIP, False)),
    "named": (MAIN, {"branch": "wip"}, {}, (BASE, True)),
    "seen elsewhere, but a new topic": (MAIN, {}, {"last_commit": SEEN}, (BASE, True)),
    "a start": (MAIN, {"start": SEEN}, {}, (SEEN, True)),
    "a start, and pushed": (PUSHED, {"start": SEEN}, {}, (SEEN, True)),
    "a start, and existing": (OURS, {"start": SEEN}, {}, (TIP, False)),
    "a start and a base": (MAIN, {"start": SEEN, "base": "main"}, {}, (SEEN, True)),
    "a start, and a base that is missing": (
        MAIN,
        {"start": SEEN},
        {"base_commit": ""},
        (SEEN, True),
    ),
    "a start, seen elsewhere": (MAIN, {"start": SEEN}, {"last_commit": TIP}, (SEEN, True)),
}


@pytest.mark.parametrize(
    ("refs", "request_", "repo", "expected"), BRANCHES.values(), ids=BRANCHES.keys()
)
def test_branches(
    refs: dict[str, str],
    request_: dict[str, Any],
    repo: dict[str, Any],
    expected: tuple[str, bool],
) -> None:
    made = plan(observed(repo=a_repo(refs=refs, **repo)), **request_)
    assert (made.start, made.makes_branch) == expected
    assert made.makes_worktree


# What `resume --launch none` builds on when the worktree is gone.
RESUMED: dict[str, tuple[dict[str, str], str, tuple[str, bool]]] = {
    "branch there": (OURS, "", (TIP, False)),
    "branch gone, commit seen": (MAIN, SEEN, (SEEN, True)),
    "branch gone, commit seen and pushed": (PUSHED, SEEN, (SEEN, True)),
    "branch gone, pushed": (PUSHED, "", (REMOTE, True)),
    "branch gone, nothing known": (MAIN, "", (BASE, True)),
}


@pytest.mark.parametrize(("refs", "last_commit", "expected"), RESUMED.values(), ids=RESUMED.keys())
@pytest.mark.parametrize("record", [{}, ENDED], ids=["live", "ended"])
def test_a_resumed_workspace_is_rebuilt(
    refs: dict[str, str], last_commit: str, expected: tuple[str, bool], record: dict[str, Any]
) -> None:
    seen = observed(record=a_record(**record), repo=a_repo(refs=refs, last_commit=last_commit))
    made = plan(seen, needs=Needs.RECORD)
    assert (made.start, made.makes_branch) == expected
    assert made.makes_worktree
    assert made.rebuilds


def test_an_existing_worktree_is_used() -> None:
    made = plan(a_whole_one())
    assert not made.makes_worktree
    assert not made.makes_branch
    assert not made.rebuilds
    assert (made.branch, made.clears, made.notes) == ("fix-login", (), ())


def on(head: str, **record: Any) -> Observed:
    """The workspace, its worktree's HEAD being elsewhere."""
    there = a_worktree(kind="dir", registered=registered(head=head))
    return a_whole_one(worktree=there, record=a_record(**record))


def test_the_branch_is_the_one_a_person_switched_to() -> None:
    made = plan(on("refs/heads/wip"))
    assert made.branch == "wip"
    assert made.notes == ("the worktree is on branch 'wip' now; it was on 'fix-login'",)


def test_a_detached_head_is_said() -> None:
    made = plan(on(TIP))
    assert (made.branch, made.makes_worktree) == ("fix-login", False)
    assert made.notes == (f"HEAD is detached at {TIP[:12]}",)


GONE = registered(there=False)
HALF = registered(locked="+initializing")
HALF_GONE = registered(locked="+initializing", there=False)
LOCKED_GONE = registered(locked="+on a disk", there=False)

# What is at the path and registered there -> the registrations to drop, or why not.
PLACES: dict[str, tuple[dict[str, Any], tuple[str, ...] | str]] = {
    "nothing": ({}, ()),
    "an empty directory": ({"kind": "empty"}, ()),
    "a directory": ({"kind": "dir"}, "is not a worktree"),
    "a file or a symlink": ({"kind": "other"}, "is not a worktree"),
    "a stale registration": ({"registered": GONE}, (ADMIN,)),
    "a stale registration, the directory empty": ({"kind": "empty", "registered": GONE}, (ADMIN,)),
    "a stale registration, a directory": ({"kind": "dir", "registered": GONE}, "not a worktree"),
    "locked and gone": ({"registered": LOCKED_GONE}, "locked (on a disk)"),
    "locked without a reason": ({"registered": registered(there=False, locked="+")}, "no reason"),
    "another is stale": ({"others": (elsewhere("other", there=False),)}, ()),
}


@pytest.mark.parametrize(("worktree", "expected"), PLACES.values(), ids=PLACES.keys())
@pytest.mark.parametrize(
    "record", [None, a_record(), a_record(**ENDED)], ids=["new", "live", "ended"]
)
def test_places(worktree: dict[str, Any], expected: tuple[str, ...] | str, record: Any) -> None:
    seen = observed(worktree=a_worktree(**worktree), record=record)
    if isinstance(expected, str):
        assert expected in refusal(seen).message
        return
    made = plan(seen)
    assert made.clears == expected
    assert made.makes_worktree


HALVES = [{"kind": "dir", "registered": HALF}, {"registered": HALF_GONE}]


@pytest.mark.parametrize("worktree", HALVES)
def test_a_worktree_that_we_claimed_and_did_not_finish_is_made_again(
    worktree: dict[str, Any],
) -> None:
    made = plan(observed(worktree=a_worktree(**worktree), record=a_record()))
    assert (made.clears, made.makes_worktree) == ((ADMIN,), True)


@pytest.mark.parametrize("worktree", HALVES)
@pytest.mark.parametrize("record", [None, a_record(**ENDED)], ids=["new", "ended"])
def test_a_worktree_that_somebody_else_is_making_is_left_alone(
    worktree: dict[str, Any], record: Any
) -> None:
    refusal(observed(worktree=a_worktree(**worktree), record=record))


def test_a_locked_worktree_that_is_there_is_used() -> None:
    there = a_worktree(kind="dir", registered=registered(locked="+on a disk"))
    assert not plan(a_whole_one(worktree=there)).makes_worktree


def test_a_half_made_worktree_does_not_hold_its_branch() -> None:
    there = a_worktree(kind="dir", registered=HALF)
    made = plan(a_whole_one(worktree=there))
    assert (made.clears, made.makes_worktree, made.start) == ((ADMIN,), True, TIP)


def test_a_worktree_that_was_moved_away_is_cleared() -> None:
    """The record names another path than the one that is to be made now."""
    old = elsewhere("old", there=False, head="refs/heads/fix-login")
    record = a_record(worktree=old.path)
    made = plan(observed(record=record, worktree=a_worktree(others=(old,)), repo=a_repo(refs=OURS)))
    assert made.clears == (old.admin,)
    assert made.makes_worktree


def test_a_locked_registration_of_ours_elsewhere_is_left_alone() -> None:
    old = elsewhere("old", there=False, locked="+on a disk")
    seen = observed(record=a_record(worktree=old.path), worktree=a_worktree(others=(old,)))
    assert plan(seen).clears == ()


@pytest.mark.parametrize(
    "record",
    [None, a_record(**ENDED), a_record(worktree="/elsewhere")],
    ids=["no", "ended", "other"],
)
def test_a_worktree_that_is_not_ours_is_refused(record: Any) -> None:
    error = refusal(a_whole_one(record=record))
    assert "is a worktree that Mooring did not make" in error.message


# Where the wanted branch is checked out already.
HELD: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "another worktree": (
        {"others": (elsewhere("other", head="refs/heads/fix-login"),)},
        {},
        f"{SHOP}.worktrees/other",
    ),
    "a worktree that is gone": (
        {"others": (elsewhere("other", head="refs/heads/fix-login", there=False),)},
        {},
        f"{SHOP}.worktrees/other",
    ),
    "the main checkout": ({}, {"head": "refs/heads/fix-login"}, SHOP),
}


@pytest.mark.parametrize(("worktree", "repo", "where"), HELD.values(), ids=HELD.keys())
def test_a_branch_that_is_checked_out_elsewhere_is_refused(
    worktree: dict[str, Any], repo: dict[str, Any], where: str
) -> None:
    seen = observed(worktree=a_worktree(**worktree), repo=a_repo(refs=OURS, **repo))
    error = refusal(seen)
    assert f"checked out at {where}" in error.message
    assert "mooring new fix-login --branch fix-login-2" in error.hints


def test_a_bare_repos_head_holds_no_branch() -> None:
    bare = a_repo(head="refs/heads/fix-login", checkout="", refs=OURS)
    assert plan(observed(repo=bare)).makes_worktree


@pytest.mark.parametrize(
    ("repo", "branch", "other"),
    [
        ({"blocked": "fix-login/part"}, "fix-login", "fix-login/part"),
        ({"blocked": "fix"}, "fix/login", "fix"),
    ],
)
def test_a_branch_in_the_way_as_a_path_is_refused(
    repo: dict[str, Any], branch: str, other: str
) -> None:
    error = refusal(observed(repo=a_repo(**repo)), branch=branch)
    assert f"{other!r} is in its way" in error.message


def test_an_asked_for_branch_must_be_the_worktrees() -> None:
    assert plan(a_whole_one(), branch="fix-login").branch == "fix-login"
    error = refusal(a_whole_one(), branch="wip")
    assert "its worktree is on 'fix-login'" in error.message
    assert error.hints == (f"git -C {PATH} switch wip",)


def test_an_asked_for_base_must_be_the_one_it_began_at() -> None:
    assert not plan(a_whole_one(), base="main").makes_worktree
    error = refusal(a_whole_one(), base="release")
    assert "it began at 'main'" in error.message
    assert "mooring end fix-login" in error.hints


def test_a_new_worktree_collides_with_the_one_that_is_there() -> None:
    error = refusal(a_whole_one(), new_worktree=True)
    assert f"{PATH} exists" in error.message
    assert error.hints == ("mooring resume fix-login",)


def test_a_new_worktree_collides_with_a_directory() -> None:
    seen = observed(worktree=a_worktree(kind="dir"), record=a_record(worktree="/elsewhere"))
    assert "is not a worktree" in refusal(seen, new_worktree=True).message


def test_a_new_worktree_beside_the_old_one_needs_another_branch() -> None:
    old = elsewhere("old", head="refs/heads/fix-login")
    seen = observed(
        record=a_record(worktree=old.path),
        worktree=a_worktree(others=(old,)),
        repo=a_repo(refs=OURS),
    )
    assert "checked out at" in refusal(seen, new_worktree=True).message
    made = plan(seen, new_worktree=True, branch="wip")
    assert (made.worktree, made.branch, made.makes_worktree) == (PATH, "wip", True)


def test_a_missing_base_is_refused() -> None:
    error = refusal(observed(repo=a_repo(base="no-such", base_commit="")), base="no-such")
    assert "'no-such': the repo has no such branch, tag or commit" in error.message


def test_an_existing_branch_needs_no_base() -> None:
    made = plan(observed(repo=a_repo(base="no-such", base_commit="", refs=OURS)))
    assert (made.start, made.makes_branch) == (TIP, False)


def test_an_empty_repo_is_refused() -> None:
    error = refusal(observed(repo=a_repo(base_commit="", refs={})))
    assert "has no commit on 'main' yet" in error.message
    assert error.hints == (f"git -C {SHOP} commit --allow-empty -m 'First commit'",)


def test_a_problem_with_the_repo_is_passed_on() -> None:
    seen = observed(repo=a_repo(common="", problem="fatal: not a git repository\nmore\n"))
    error = refusal(seen)
    assert error.message == "Cannot provision 'fix-login': not a git repository"


def test_a_target_without_git_is_refused() -> None:
    target = msgspec.structs.replace(observed().target, git="")
    assert "git is not installed" in refusal(observed(target=target)).message


def test_a_repo_that_has_the_topic_from_another_place_is_refused() -> None:
    error = refusal(observed(record=a_record(source="/srv/other")))
    assert "from /srv/other" in error.message
    assert error.hints == ("mooring new fix-login --repo /srv/other",)
    assert plan(observed(record=a_record(source="/srv/other", **ENDED))).makes_worktree


def test_moorings_own_cache_is_no_repo_to_name_by_path() -> None:
    cache = f"{ROOT}/cache/{IDENTITY}.git"
    mine = a_repo(common=cache, checkout="", identity="commit/" + BASE)
    assert "is Mooring's cache" in refusal(observed(repo=mine)).message


# Claude's settings

IGNORED = {
    "matched": (hooks.SETTINGS,),
    "sources": {hooks.SETTINGS: SUM},
    "ignored": frozenset({hooks.SETTINGS}),
}
MINE = {"permissions": {"allow": ["Bash(make:*)"]}, "größe": 1}
MINE_TEXT = json.dumps(MINE).encode()
COPYING = users(f"files: {{copy: [{hooks.SETTINGS}]}}")


def settled(made: Plan) -> Any:
    """What the worktree's own settings become, less our hooks, which are there and only once."""
    settings = hooks.parse(made.settings_text.encode())
    assert made.settings == hooks.SETTINGS
    assert hooks.merged(settings) == settings
    assert not [note for note in made.notes if hooks.SETTINGS in note]
    return hooks.stripped(settings)


def with_settings(**session: Any) -> Observed:
    return a_whole_one(session=a_session(**session))


def test_the_worktree_gets_settings_with_our_hooks() -> None:
    assert settled(plan()) == {}
    assert settled(plan(with_settings(settings=b""))) == {}


def test_settings_of_the_worktrees_own_get_our_hooks_too() -> None:
    assert settled(plan(with_settings(settings=MINE_TEXT))) == MINE


def test_settings_that_have_our_hooks_stay_as_they_are_written() -> None:
    """They are compared by meaning: Claude Code writes the file too."""
    ours = json.dumps(hooks.merged(MINE), indent=7, sort_keys=True).encode()
    made = plan(with_settings(settings=ours))
    assert (made.settings, made.settings_text) == (hooks.SETTINGS, "")


def test_settings_of_the_main_checkout_are_composed_once() -> None:
    seen = observed(files=some_files(**IGNORED), session=a_session(source_settings=MINE_TEXT))
    made = plan(seen, COPYING)
    assert settled(made) == MINE
    assert made.files == (), "two writers of one file would fight"
    assert settled(plan(seen)) == MINE


def test_settings_of_the_main_checkout_that_nobody_copies_stay_there() -> None:
    assert settled(plan(observed(session=a_session(source_settings=MINE_TEXT)))) == {}


def test_the_settings_that_are_there_come_before_the_main_checkouts() -> None:
    session = a_session(settings=MINE_TEXT, source_settings=b'{"model": "opus"}')
    made = plan(a_whole_one(files=some_files(**IGNORED), session=session), COPYING)
    assert settled(made) == MINE


@pytest.mark.parametrize("files", [{}, IGNORED])
def test_settings_that_an_end_kept_come_back(files: dict[str, Any]) -> None:
    session = a_session(kept_settings=MINE_TEXT, source_settings=b'{"model": "opus"}')
    seen = observed(record=a_record(**ENDED), files=some_files(**files), session=session)
    assert settled(plan(seen, COPYING, needs=Needs.RECORD)) == MINE
    there = msgspec.structs.replace(session, settings=b'{"model": "haiku"}')
    seen = a_whole_one(files=some_files(**files), session=there)
    assert settled(plan(seen, COPYING)) == {"model": "haiku"}, "what is there now counts"


TRACKED = {"repo": a_repo(blobs={hooks.SETTINGS: b"{}"})}
VISIBLE = {"files": some_files(visible=frozenset({hooks.SETTINGS}))}
COPIED_VISIBLE = {
    "files": some_files(**IGNORED | {"ignored": frozenset()}, visible=frozenset({hooks.SETTINGS})),
    "session": a_session(source_settings=MINE_TEXT),
}
ODD_SETTINGS = [b"{", b"[]", b"null", b'{"hooks": []}', b'{"hooks": {"Stop": {}}}', b"\xff", b"1"]

# Whose settings aren't ours to write -> what is said of it.
FLAGGED: dict[str, tuple[dict[str, Any], str]] = {
    "tracked": (TRACKED, "is the repo's own"),
    "git would show it": (VISIBLE, "git would show in the main checkout"),
    "git would show it, and it is copied": (COPIED_VISIBLE, "git would show"),
    **{
        f"odd: {text!r}": ({"session": a_session(settings=text)}, "is not JSON that hooks can be")
        for text in ODD_SETTINGS
    },
    "behind a link": ({"session": a_session(linked=True)}, "lies behind a symlink"),
}


@pytest.mark.parametrize(("seen", "why"), FLAGGED.values(), ids=FLAGGED.keys())
@pytest.mark.parametrize("there", [False, True], ids=["new", "there"])
def test_where_settings_are_not_ours_claude_gets_the_hooks_by_a_flag(
    seen: dict[str, Any], why: str, there: bool
) -> None:
    if there and "repo" in seen:
        seen = {"repo": msgspec.structs.replace(seen["repo"], refs=OURS)}
    made = plan((a_whole_one if there else observed)(**seen))
    assert (made.settings, made.settings_text) == (hooks.FLAG_SETTINGS, "")
    (note,) = [note for note in made.notes if "--settings" in note]
    assert note.startswith(hooks.SETTINGS)
    assert why in note


def test_odd_settings_that_an_end_kept_are_left_alone() -> None:
    made = plan(observed(session=a_session(kept_settings=b"{")))
    assert (made.settings, made.settings_text) == (hooks.FLAG_SETTINGS, "")


def test_settings_that_an_end_kept_come_back_with_the_worktree_only() -> None:
    """Who deleted them in a worktree that is there wants them gone."""
    session = a_session(kept_settings=MINE_TEXT)
    assert settled(plan(a_whole_one(session=session))) == {}
    assert settled(plan(observed(session=session, record=a_record()))) == MINE


def test_settings_that_cannot_be_written_as_utf8_are_left_alone() -> None:
    """JSON may hold half a surrogate pair, which no file in UTF-8 can."""
    made = plan(with_settings(settings=b'{"a": "\\ud800"}'))
    made.settings_text.encode()


# Issue, prompt, parent


@pytest.mark.parametrize(
    ("request_", "branch"),
    [
        ({"issue": "17"}, "issue-17-fix-login"),
        ({"issue": "LIN-123"}, "issue-LIN-123-fix-login"),
        ({"issue": "17", "agent": "qa"}, "qa/issue-17-fix-login"),
        ({"issue": "17", "branch": "wip"}, "wip"),
    ],
)
def test_a_branch_is_named_after_its_issue(request_: dict[str, Any], branch: str) -> None:
    assert plan(**request_).branch == branch


def test_a_workspace_that_is_there_keeps_its_branch_when_it_gets_an_issue() -> None:
    made = plan(a_whole_one(), issue="17")
    assert (made.branch, made.issue, made.makes_branch) == ("fix-login", "17", False)


def test_the_prompt_gives_way_to_a_file_of_the_repos() -> None:
    seen = observed(repo=a_repo(blobs={".session-prompt.md": b"x"}))
    assert plan(seen).prompt == PROMPT[1]
    seen = observed(files=some_files(visible=frozenset({".session-prompt.md"})))
    assert plan(seen, prompt="Fix it").prompt == PROMPT[1]


def test_a_workspace_remembers_what_it_is_stacked_on() -> None:
    assert plan(parent="big-change").parent == "big-change"
    assert plan(a_whole_one(record=a_record(parent="big-change"))).parent == "big-change"
    ended = observed(record=a_record(parent="big-change", **ENDED))
    assert plan(ended).parent == ""
    assert plan(ended, needs=Needs.RECORD).parent == "big-change"


FROM = f"{SHOP}.worktrees/big-change"


def test_what_is_uncommitted_elsewhere_comes_along_once() -> None:
    assert plan(carry=FROM).carry == FROM
    assert plan(a_whole_one(), carry=FROM).carry == "", "the worktree is there already"
    partial = a_record(state=State.PARTIAL, carry=FROM)
    assert plan(a_whole_one(record=partial)).carry == ""


@pytest.mark.parametrize(
    "worktree", [{}, {"registered": GONE}, {"kind": "dir", "registered": HALF}]
)
def test_a_run_that_died_carries_again(worktree: dict[str, Any]) -> None:
    """The one that goes on with it says nothing of that itself."""
    partial = a_record(state=State.PARTIAL, carry=FROM)
    made = plan(observed(record=partial, worktree=a_worktree(**worktree)))
    assert (made.makes_worktree, made.carry) == (True, FROM)
    made = plan(observed(record=partial, worktree=a_worktree(**worktree)), carry="/another")
    assert made.carry == "/another"


def test_a_topic_used_anew_carries_nothing() -> None:
    assert plan(observed(record=a_record(carry=FROM, **ENDED))).carry == ""


# A worktree that somebody moved


def test_a_worktree_that_was_moved_is_the_workspaces_still() -> None:
    there = a_worktree(kind="dir", registered=registered(), moved=True)
    made = plan(a_whole_one(worktree=there, record=a_record(worktree="/elsewhere")))
    assert (made.worktree, made.makes_worktree) == (PATH, False)


def test_a_worktree_that_was_moved_is_not_that_of_an_ended_workspace() -> None:
    there = a_worktree(kind="dir", registered=registered(), moved=True)
    seen = a_whole_one(worktree=there, record=a_record(worktree="/elsewhere", **ENDED))
    assert "is a worktree that Mooring did not make" in refusal(seen).message


def test_a_topic_used_anew_chooses_branch_and_base_again() -> None:
    ended = a_record(branch="old", base="release", issue="17", **ENDED)
    made = plan(observed(record=ended))
    assert (made.branch, made.base, made.issue, made.rebuilds) == ("fix-login", "main", "", False)


def test_a_resumed_topic_keeps_branch_base_and_issue() -> None:
    ended = a_record(branch="old", base="release", issue="17", pipeline="run-3", **ENDED)
    made = plan(observed(record=ended), needs=Needs.RECORD)
    assert (made.branch, made.base, made.issue, made.pipeline) == (
        "old",
        "release",
        "17",
        "run-3",
    )


# Which base and branch are wanted: by the request, the record, the spec, else by default.
WANTED: dict[str, tuple[dict[str, Any], Any, str, tuple[str, str]]] = {
    "default": ({}, None, "{}", ("main", "fix-login")),
    "another agent": ({"agent": "qa"}, None, "{}", ("main", "qa/fix-login")),
    "spec": ({}, None, "{base: dev, branch: 'x/{{ slug }}'}", ("dev", "x/fix_login")),
    "spec, agent": (
        {"agent": "qa"},
        None,
        "{branch: '{{agent}}-{{topic}}'}",
        ("main", "qa-fix-login"),
    ),
    "spec, issue": ({"issue": "17"}, None, "{branch: 'i{{ issue }}'}", ("main", "i17")),
    "record": ({}, {"base": "b", "branch": "x"}, "{base: dev, branch: y}", ("b", "x")),
    "ended record": ({}, {"base": "b", "branch": "x"} | ENDED, "{base: dev}", ("dev", "fix-login")),
    "asked": (
        {"base": "r", "branch": "z"},
        {"base": "b", "branch": "x"},
        "{base: dev, branch: y}",
        ("r", "z"),
    ),
}


@pytest.mark.parametrize(
    ("request_", "record", "text", "expected"), WANTED.values(), ids=WANTED.keys()
)
def test_what_is_wanted(
    request_: dict[str, Any], record: Any, text: str, expected: tuple[str, str]
) -> None:
    seen = observed(record=None if record is None else a_record(**record))
    request, spec = a_request(**request_), yaml(text)
    base = wanted_base(request, spec, seen)
    assert (base, wanted_branch(request, spec, seen, base)) == expected


@pytest.mark.parametrize(
    "template", ["{{ issue }}", "-{{ topic }}", "a..{{ topic }}", "{{ nope }}", "a b", "HEAD"]
)
def test_a_template_that_gives_no_branch_is_refused(template: str) -> None:
    with pytest.raises(MooringError, match="branch"):
        plan(spec=yaml(f"branch: '{template}'"))


MATCHED = some_files(
    include=(".env*",),
    matched=(".env", ".env.local"),
    sources={".env": SUM, ".env.local": EDITED},
    ignored=frozenset({".env", ".env.local"}),
)


def test_matched_files_are_copied() -> None:
    spec = yaml("files: {copy: ['.env*', {src: .env, dest: conf/.env, mode: '0600'}]}")
    made = plan(observed(files=MATCHED), spec)
    assert [(item.src, item.dest, item.mode, item.sum) for item in made.files] == [
        (".env", "conf/.env", "0600", SUM),
        (".env.local", ".env.local", "", EDITED),
    ]
    assert made.include == spec.patterns


# Why a matched file is not copied.
NOT_COPIED: dict[str, tuple[str, dict[str, Any], str]] = {
    "git would show it": ("notes", {"ignored": frozenset()}, "git would show it"),
    "a symlink or directory": ("link", {"sources": {}}, "no plain file"),
    "a quoted name": ('"a\\nb"', {}, "cannot be carried safely"),
    "out of the repo": ("../x", {}, "cannot be carried safely"),
    "git's own": (".git/config", {}, "cannot be carried safely"),
    "Mooring's own": (".mooring/session", {}, "cannot be carried safely"),
    "not UTF-8": ("caf\udce9", {}, "cannot be carried safely"),
}


@pytest.mark.parametrize(("name", "changes", "why"), NOT_COPIED.values(), ids=NOT_COPIED.keys())
def test_what_is_not_copied_is_said(name: str, changes: dict[str, Any], why: str) -> None:
    whole = {"matched": (name,), "sources": {name: SUM}, "ignored": frozenset({name})}
    made = plan(observed(files=some_files(**whole | changes)), yaml("files: {copy: ['*']}"))
    assert made.files == ()
    assert len(made.notes) == 1
    assert f"not copied: {name}" in made.notes[0]
    assert why in made.notes[0]


def test_a_named_file_that_is_missing_is_said() -> None:
    made = plan(spec=yaml("files: {copy: [{src: .env}]}"))
    assert made.notes == (f"not copied: .env ({SHOP} has no such file)",)


def test_a_cache_has_no_files_to_copy() -> None:
    seen = observed(repo=a_repo(checkout=""), files=some_files(root=""))
    made = plan(seen, yaml("files: {copy: [.env]}"))
    assert made.files == ()
    assert "has no main checkout on the target" in made.notes[0]


# What the workspace has of a copied file -> whether it is said to be kept.
KEPT = {
    "nothing": ({}, {}, False),
    "the same": ({".env": SUM}, {}, False),
    "as it was written": ({".env": EDITED}, {".env": EDITED}, False),
    "edited": ({".env": "c" * 64}, {".env": EDITED}, True),
    "a stranger's": ({".env": EDITED}, {}, True),
}


@pytest.mark.parametrize(("present", "known", "said"), KEPT.values(), ids=KEPT.keys())
def test_an_edited_copy_is_kept(present: dict[str, str], known: dict[str, str], said: bool) -> None:
    files = some_files(
        matched=(".env",), sources={".env": SUM}, ignored=frozenset({".env"}), present=present
    )
    made = plan(
        a_whole_one(record=a_record(files=known), files=files), yaml("files: {copy: [.env]}")
    )
    assert any(note.startswith("kept as it is: .env") for note in made.notes) == said


# Whose .envrc there is already -> where ours goes.
ENVRCS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "nobody's": ({}, {}, ".envrc"),
    "tracked": ({"blobs": {".envrc": b"use flake\n"}}, {}, ".mooring/envrc"),
    "untracked in the main checkout": ({}, {"visible": frozenset({".envrc"})}, ".mooring/envrc"),
    "copied": (
        {},
        {"matched": (".envrc",), "sources": {".envrc": SUM}, "ignored": frozenset({".envrc"})},
        ".mooring/envrc",
    ),
    "another file": ({"blobs": {"mooring.yaml": b""}}, {}, ".envrc"),
}


@pytest.mark.parametrize(("repo", "files", "where"), ENVRCS.values(), ids=ENVRCS.keys())
def test_the_envrc_gives_way(repo: dict[str, Any], files: dict[str, Any], where: str) -> None:
    seen = observed(
        repo=a_repo(checkout_files=repo.get("blobs", {}), **repo), files=some_files(**files)
    )
    spec = yaml("files: {copy: [.envrc]}") if "matched" in files else a_spec()
    made = plan(seen, spec)
    assert made.envrc == where
    assert made.approves == (where == ".envrc")
    assert any("the repo has an .envrc itself" in note for note in made.notes) == (
        not made.approves
    )


def test_the_context_gives_way_too() -> None:
    seen = observed(repo=a_repo(blobs={".session-context.md": b"x"}))
    assert plan(seen).context == CONTEXT[1]


def test_env_of_the_repo_is_held_back() -> None:
    made = plan(spec=yaml("env: {A: '{{ slug }}-{{ PORT }}'}"))
    assert made.env == {"A": "{{ slug }}-{{ PORT }}"}
    assert not made.approves
    assert f"hint: direnv allow {PATH}/.envrc" in made.notes[0]


def test_env_of_the_user_is_not_held_back() -> None:
    made = plan(spec=users("env: {A: x}"))
    assert (made.env, made.approves, made.notes) == ({"A": "x"}, True, ())


def test_an_unknown_name_in_env_is_refused_before_the_claim() -> None:
    with pytest.raises(MooringError, match=r"Cannot render env\.A: there is no 'PORT_DB'"):
        plan(spec=yaml("env: {A: '{{ PORT_DB }}'}"))
    assert plan(spec=yaml("ports: [db]\nenv: {A: '{{ PORT_DB }}'}")).env


def test_ports_have_names() -> None:
    made = plan(spec=yaml("ports: [web, api-v2]"))
    assert made.port_names == ("PORT", "PORT_WEB", "PORT_API_V2")


def test_ports_that_would_share_a_variable_are_not_claimed_twice() -> None:
    with suppress(MooringError):
        names = plan(spec=yaml("ports: [web-ui, web_ui]")).port_names
        assert len(set(names)) == len(names)


def test_arguments_of_the_repo_are_not_used() -> None:
    made = plan(spec=yaml("claude: {args: [--dangerously]}"))
    assert made.approves
    assert "claude.args of the repo's mooring.yaml are not used" in made.notes[0]


def test_a_spec_that_differs_from_the_bases_is_said() -> None:
    repo = a_repo(checkout_files={"mooring.yaml": b"base: main\n"})
    (note,) = plan(observed(repo=repo)).notes
    assert note == f"mooring.yaml was read from {SHOP}; main's differs"
    same = a_repo(checkout_files={"mooring.yaml": b"x"}, blobs={"mooring.yaml": b"x"})
    assert plan(observed(repo=same)).notes == ()


def test_a_target_without_direnv_is_told_what_to_use() -> None:
    target = msgspec.structs.replace(observed().target, direnv="")
    assert plan(observed(target=target)).notes == (
        "direnv is not installed: use `mooring run` for the environment",
    )


def test_intentions_say_what_a_run_would_do() -> None:
    spec = yaml("ports: [web]\nfiles: {copy: ['.env*']}")
    assert intentions(plan(observed(files=MATCHED), spec), claims=True) == (
        "claim 'fix-login', its session and PORT, PORT_WEB",
        f"make the worktree {PATH} on new branch fix-login at {BASE[:12]} (base main)",
        "copy .env to .env",
        "copy .env.local to .env.local",
    )
    assert intentions(plan(a_whole_one()), claims=False) == ()


@pytest.mark.parametrize("seen", [observed(), a_whole_one(), on(TIP), on("refs/heads/wip")])
def test_the_same_input_gives_the_same_plan(seen: Observed) -> None:
    assert plan(seen) == plan(seen)
