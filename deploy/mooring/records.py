"""What a workspace's record becomes: claimed, finished, ended. Pure."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec

from .model import Record, State
from .plan import Plan

_CLAIMED = (
    "session",
    "container",
    "image",
    "store",
    "set",
    "parent",
    "carry",
    "issue",
    "pipeline",
    "worktree",
    "branch",
    "base",
    "start",
    "owns_branch",
    "source",
)


def wanted(
    plan: Plan,
    old: Record | None,
    commit: str,
    now: int,
    by: str,
    session: str = "",
    since: int = 0,
    fresh: str = "",
) -> Record:
    """The record this plan claims: the present one brought up to date, or a new one.

    `session` is the one to reserve, if it isn't the record's; what hooks recorded up to `since`, by
    the target's clock, is then of another.

    The claim itself puts in the ports and the target's id, under the target's lock. `now` is in
    seconds since the epoch; `commit` is the one the workspace is at, '' where there is none yet;
    `fresh` tells the name of a new container from others.
    """
    id_, reserved = _reserving(session, old, since)
    live = old if old and old.state is not State.ENDED else None
    contained = _contained(plan, live, fresh)
    if live and not plan.makes_worktree:
        return msgspec.structs.replace(
            live,
            **contained,
            session=id_,
            reserved=reserved,
            set=list(plan.set),
            parent=plan.parent,
            carry=plan.carry,
            issue=plan.issue,
            pipeline=plan.pipeline,
            worktree=plan.worktree,
            branch=plan.branch,
            base=plan.base,
            owns_branch=_owns(plan, live),
            commit=commit or live.commit,
            updated=now,
        )
    owns = _owns(plan, live)
    return Record(
        target=old.target if old else "",
        repo=plan.repo,
        source=plan.source,
        agent=plan.agent,
        topic=plan.topic,
        issue=plan.issue,
        pipeline=plan.pipeline,
        state=State.PARTIAL,
        worktree=plan.worktree,
        branch=plan.branch,
        owns_branch=owns,
        base=plan.base,
        start=live.start if live and owns and not plan.makes_branch else plan.start,
        commit=plan.start,
        session=id_,
        reserved=reserved,
        set=list(plan.set),
        parent=plan.parent,
        carry=plan.carry,
        ports=old.ports if old else {},
        created=live.created if live else now,
        updated=now,
        by=by,
        **contained,
    )


def _contained(plan: Plan, live: Record | None, fresh: str) -> dict[str, Any]:
    """The container, as it was named when it was first wanted."""
    name, image = (live.container, live.image) if live else ("", "")
    if plan.container:
        who = plan.topic if plan.agent == "dev" else f"{plan.agent}-{plan.topic}"
        name, image = name or f"mooring-{who}-{fresh[:8]}", plan.container.image
    return {"container": name, "image": image, "store": plan.store}


def _reserving(session: str, old: Record | None, since: int) -> tuple[str, int]:
    """The session and when it was reserved: as it was, or another from now on."""
    if old and session in ("", old.session):
        return old.session, old.reserved
    return session or str(uuid.uuid4()), since


def _owns(plan: Plan, live: Record | None) -> bool:
    """Whether the branch is ours: made now, or by an earlier run of a workspace not yet ended."""
    ours = live is not None and live.owns_branch and live.branch == plan.branch
    return plan.makes_branch or ours


def needs_claim(plan: Plan, old: Record | None, new: Record) -> bool:
    """Whether the record has to be claimed, or changed, before anything is made."""
    if old is None or old.state is State.ENDED or set(old.ports) != set(plan.port_names):
        return True
    return any(getattr(old, name) != getattr(new, name) for name in _CLAIMED)


def finished(
    plan: Plan,
    record: Record,
    copied: dict[str, str],
    rendered: dict[str, str],
    generated: dict[str, str],
    digest: str,
) -> Record:
    """The record of a workspace that is whole: what `record` becomes when all else is done."""
    return msgspec.structs.replace(
        record,
        state=State.READY,
        carry="",
        set=list(plan.set),
        env=plan.recorded_env,
        container="" if plan.drops_container else record.container,
        image="" if plan.drops_container else record.image,
        passes=list(plan.passes),
        include=list(plan.include),
        watched=list(plan.watched),
        files={**record.files, **copied},
        rendered=_rendered(plan, record, rendered),
        generated=generated,
        digest=digest,
    )


def _rendered(plan: Plan, record: Record, rendered: dict[str, str]) -> dict[str, str]:
    """What went into each rendered file that is there, also into those that no rule names now."""
    known = {**record.rendered, **rendered}
    dests = {item.dest for item in plan.files}
    made = [item for item in plan.files if item.action == "template" or item.source]
    now = {item.dest: known[item.dest] for item in made if item.dest in known}
    return {dest: found for dest, found in record.rendered.items() if dest not in dests} | now


def ended(record: Record, session: str, head: str, commit: str, now: int) -> Record:
    """The record of a workspace that is gone: it keeps all but the ports.

    `session` is its current one.

    `head` is the ref its worktree was on, which may be another branch than the recorded one.
    """
    branch = head.removeprefix("refs/heads/") if head.startswith("refs/heads/") else record.branch
    return msgspec.structs.replace(
        record,
        state=State.ENDED,
        session=session,
        carry="",
        container="",
        image="",
        ports={},
        files={path: sum_ for path, sum_ in record.files.items() if path not in record.rendered},
        rendered={},
        branch=branch,
        owns_branch=record.owns_branch and branch == record.branch,
        commit=commit or record.commit,
        updated=now,
    )
