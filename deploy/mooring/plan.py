"""Request + what was observed -> what the workspace should be. Pure.

Everything that can refuse does so here, before anything is claimed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from . import container, identity, settings
from .claude.hooks import SETTINGS
from .environment import check_env, port_name, template_names
from .errors import MooringError, command
from .files import guard
from .files.rules import check_tracked, choose, known, loose, missing, renders, state
from .files.sources import Placed, rights
from .model import Key, Record, Request, State, check_branch, check_ref
from .obstacles import check_branch_free, check_path, check_repo, clears, existing
from .selection import CONTEXT, ENVRC, PROMPT, place
from .selection import settings as hook_settings
from .spec import render

if TYPE_CHECKING:
    from .facts.workspace import Observed
    from .facts.worktree import Registered
    from .spec import Spec


class Step(msgspec.Struct, frozen=True):
    """One command of `setup`."""

    run: str
    timeout: int
    """In seconds."""
    digest: str
    """What says that it was run: the sha256 of all commands up to it."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a workspace should be, apart from its ports and session, which are claimed."""

    repo: str
    source: str
    common: str
    checkout: str
    agent: str
    topic: str
    issue: str
    pipeline: str
    worktree: str
    base: str
    branch: str
    start: str
    """The commit the branch begins at, if it has to be made."""
    makes_branch: bool
    makes_worktree: bool
    clears: tuple[str, ...]
    """Administrative directories of worktrees that are gone or were half made, ours all."""
    port_names: tuple[str, ...]
    include: tuple[str, ...]
    watched: tuple[str, ...]
    files: tuple[Placed, ...]
    setup: tuple[Step, ...]
    """What is run in the workspace that hasn't been run there yet."""
    required: dict[str, str]
    """Paths that have to be there at last, and aren't yet, with what is known of each."""
    changes: tuple[str, ...]
    """What becomes of files that aren't there as they are to be, a sentence each."""
    envrc: str
    context: str
    prompt: str
    settings: str
    """Which file has Claude's hooks: the worktree's own, or one for ``--settings``."""
    settings_text: str
    """What the worktree's own settings should become; '' if they are so already."""
    parent: str
    carry: str
    """A worktree whose uncommitted changes come along when this one is made."""
    sparse: str
    """The lines of the worktree's sparse-checkout file, '' for everything."""
    lfs: bool
    """Whether the repo keeps files in git-lfs."""
    submodules: bool
    env: dict[str, str]
    set: tuple[str, ...]
    """The session's own settings, to be recorded."""
    recorded_env: dict[str, str]
    """What of `env` is recorded (see Spec.recorded_env)."""
    git_settings: tuple[tuple[str, str], ...]
    """Of git's config, what the environment has: a credential's helper, the guard's hooks."""
    container: container.Wanted | None
    """The container, None for none."""
    drops_container: bool
    """Whether one that is there goes: the spec has none any more."""
    store: str
    """The session store, where it isn't that of the target's user."""
    passes: tuple[str, ...]
    """Names of variables that are passed into the container."""
    guard: str
    """The directory on the target with the hooks that guard commits, '' for none."""
    approves: bool
    """Whether `direnv allow` may be run: the `.envrc` has nothing of the repo's."""
    notes: tuple[str, ...]
    rebuilds: bool
    """Whether an earlier workspace's directory is made again."""


def wanted_base(request: Request, spec: Spec, observed: Observed) -> str:
    """The ref to start from: asked for, recorded, from the spec, else the default branch."""
    kept = _kept(request, observed)
    if request.base or (kept and kept.base):
        return request.base or (kept.base if kept else "")
    return check_ref("base", spec.base) if spec.base else observed.repo.base


def wanted_branch(request: Request, spec: Spec, observed: Observed, base: str) -> str:
    """The branch: asked for, recorded, else by the spec's template."""
    kept = _kept(request, observed)
    if request.branch or kept:
        return request.branch or (kept.branch if kept else "")
    template = spec.branch or default_branch(request)
    names = _names(request, observed, base, "")
    branch = render(template, names, "branch")
    return check_branch("branch", branch)


def wanted_settings(request: Request, observed: Observed) -> tuple[str, ...]:
    """The session's own settings: those recorded, with those asked for and without those unset."""
    kept = _kept(request, observed)
    return settings.combined(kept.set if kept else (), request.set, request.unset)


def _names(request: Request, observed: Observed, base: str, branch: str) -> dict[str, str]:
    return template_names(
        request.topic, request.agent, request.issue, observed.repo.identity, base, branch
    )


def default_branch(request: Request) -> str:
    """The branch where nobody says otherwise: the topic, under the agent's name unless `dev`."""
    name = f"issue-{request.issue}-{request.topic}" if request.issue else request.topic
    return name if request.agent == "dev" else f"{request.agent}/{name}"


def _kept(request: Request, observed: Observed) -> Record | None:
    """The record whose base, branch and path still count: a topic used anew chooses its own."""
    record = observed.record
    if record and record.state is State.ENDED and not request.needs.resumes:
        return None
    return record


def resolve(request: Request, spec: Spec, observed: Observed) -> Plan:
    """Decide everything that the target's state decides.

    Raises MooringError for whatever stands in the way, with what to do about it.
    """
    check_repo(request, observed)
    base = wanted_base(request, spec, observed)
    branch = wanted_branch(request, spec, observed, base)
    present = existing(request, observed, branch)
    if present and present.head.startswith("refs/heads/"):
        branch = present.head.removeprefix("refs/heads/")
    elif not present:
        check_path(request, observed)
        check_branch_free(request, observed, branch)
    start, makes_branch = _start(request, observed, base, branch)
    _check_lists(spec, observed)
    choice = choose(spec, observed)
    if makes_branch:
        check_tracked(choice.placed, observed)
    taken = {item.dest for item in choice.placed}
    names = _names(request, observed, base, branch)
    port_names = tuple(dict.fromkeys(port_name(name) for name in spec.ports))
    check_env(spec.env, names, port_names)
    record = _kept(request, observed)
    envrc = place(ENVRC, observed, taken)
    guarded = _guard(request, spec, observed, choice.placed)
    rendered = renders(SETTINGS, choice.placed, observed)
    hooked, settings_text, why = hook_settings(observed, not present, rendered)
    store = record.store if record else ""
    contained = container.wanted(request, spec, observed, store, guarded)
    return Plan(
        repo=observed.repo.identity,
        source=observed.repo.source,
        common=observed.repo.common,
        checkout=observed.repo.checkout,
        agent=request.agent,
        topic=request.topic,
        issue=request.issue or (record.issue if record else ""),
        pipeline=request.pipeline or (record.pipeline if record else ""),
        worktree=observed.worktree.path,
        base=base,
        branch=branch,
        start=start,
        makes_branch=makes_branch,
        makes_worktree=not present,
        clears=clears(observed),
        port_names=port_names,
        include=spec.patterns,
        watched=spec.watched,
        files=choice.placed,
        setup=_steps(spec, frozenset() if not present else observed.files.setup),
        required=_required(spec, observed, choice.notes),
        changes=tuple(_changes(request, choice.placed, observed)),
        envrc=envrc,
        context=place(CONTEXT, observed, taken),
        prompt=place(PROMPT, observed, taken),
        settings=hooked,
        settings_text=settings_text,
        parent=request.parent or (record.parent if record else ""),
        carry="" if present else request.carry or (record.carry if record else ""),
        sparse="" if observed.repo.checkout else cone(spec.sparse),
        lfs=b"filter=lfs" in observed.repo.blobs.get(".gitattributes", b""),
        submodules=spec.submodules and ".gitmodules" in observed.repo.blobs,
        env=dict(spec.env),
        set=wanted_settings(request, observed),
        recorded_env=spec.recorded_env,
        git_settings=(
            *identity.settings(spec.git, _remote(request, observed)),
            *(guard.settings(guarded) if guarded else ()),
        ),
        container=contained,
        drops_container=_drops(request, observed, contained),
        store=container.own_store(contained) if contained else store,
        passes=_passes(request, spec, record),
        guard=guarded,
        approves="env" not in spec.held_back and envrc == ENVRC[0] and not _misread(observed),
        notes=(
            *choice.notes,
            *(() if request.force else choice.edited),
            *why,
            *_notes(request, spec, observed, present, branch, envrc),
        ),
        rebuilds=not present and bool(observed.record) and request.needs.resumes,
    )


def _required(spec: Spec, observed: Observed, notes: tuple[str, ...]) -> dict[str, str]:
    """Required paths that aren't there yet, each also with what a note says of its source."""
    said = missing(spec, observed)
    for path, why in said.items():
        sources = {path, *(rule.src for rule in spec.rules if rule.dest == path)}
        starts = tuple(f"not {done}: {src} (" for done in ("copied", "linked") for src in sources)
        lines = [note.split("\n")[0] for note in notes if note.startswith(starts)]
        said[path] = "; ".join([why, *lines])
    return said


def _changes(request: Request, placed: Iterable[Placed], observed: Observed) -> Iterator[str]:
    for item in placed:
        there, last = state(item.dest, observed), known(item.dest, observed, observed.record)
        brought = f"{item.action} {item.src} to {item.dest}"
        if not there:
            yield brought
        elif there == item.sum:
            if loose(item, observed):
                yield f"give {item.dest} no more than the mode {rights(item)}"
            elif request.refresh and item.action == "template":
                yield brought
        elif there == last or request.force or (item.root == "tracked" and not last):
            yield brought


def _check_lists(spec: Spec, observed: Observed) -> None:
    for path, where in spec.lists.items():
        if path not in observed.files.texts:
            place = observed.repo.checkout or f"{observed.repo.base} of the repo"
            raise MooringError(f"Cannot read {path}: there is no such file in {place} ({where})")


def _steps(spec: Spec, done: frozenset[str]) -> tuple[Step, ...]:
    """The commands that are left: what follows one that has changed is run again."""
    steps, before = [], ""
    for command_ in spec.setup:
        before = sha256(f"{before}\0{command_.run}".encode("utf-8", "surrogateescape")).hexdigest()
        steps.append(Step(command_.run, command_.timeout, before))
    return tuple(step for step in steps if step.digest not in done)


def _start(request: Request, observed: Observed, base: str, branch: str) -> tuple[str, bool]:
    repo = observed.repo
    tip = repo.refs.get(f"refs/heads/{branch}")
    if tip:
        return tip, False
    if request.start:
        return request.start, True
    if not request.base:
        again = repo.last_commit if request.needs.resumes else ""
        remote = repo.refs.get(f"refs/remotes/origin/{branch}")
        if again or remote:
            return again or str(remote), True
    if not repo.base_commit:
        name = repo.head.removeprefix("refs/heads/")
        if base == name and not request.base:
            raise MooringError(
                f"Cannot provision {request.topic!r}: the repo has no commit on {name!r} yet",
                command("git", "-C", repo.source, "commit", "--allow-empty", "-m", "First commit"),
            )
        raise MooringError(
            f"Cannot start {request.topic!r} from {base!r}: "
            "the repo has no such branch, tag or commit",
            command("mooring", "new", *request.words, "--base", "BRANCH"),
        )
    return repo.base_commit, True


def _drops(request: Request, observed: Observed, wanted: container.Wanted | None) -> bool:
    there = observed.record and observed.record.container
    leaves = request.place == "host" or observed.container.inside
    return bool(there) and wanted is None and not leaves


def _passes(request: Request, spec: Spec, record: Record | None) -> tuple[str, ...]:
    if request.place == "host" and record:
        return tuple(record.passes)
    return tuple(spec.container.env) if spec.container else ()


def _guard(request: Request, spec: Spec, observed: Observed, placed: tuple[Placed, ...]) -> str:
    """Where the guard is, '' where none is wanted, or no template has a secret."""
    if not spec.guard or not any(item.secrets for item in placed):
        return ""
    key = Key(observed.repo.identity, request.agent, request.topic)
    return guard.directory(observed.target.root, key)


def _remote(request: Request, observed: Observed) -> str:
    """The URL of the origin, '' where there is none."""
    return observed.repo.settings.get("remote.origin.url", "") or request.repo


def cone(directories: tuple[str, ...]) -> str:
    """A sparse-checkout file in cone mode (git-sparse-checkout(1), INTERNALS)."""
    parents = {part for name in directories for part in _parents(name)} - set(directories)
    lines = ["/*", "!/*/"] if directories else []
    for name in sorted({*directories, *parents}):
        lines += [f"/{name}/"] if name in directories else [f"/{name}/", f"!/{name}/*/"]
    return "\n".join(lines)


def _parents(place: str) -> list[str]:
    parts = place.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _misread(observed: Observed) -> bool:
    """Whether direnv itself (2.32) would run or drop a part of the workspace's path."""
    return re.search(r'[$`"\\]', observed.worktree.path) is not None


def _notes(
    request: Request,
    spec: Spec,
    observed: Observed,
    present: Registered | None,
    branch: str,
    envrc: str,
) -> list[str]:
    notes = []
    repo, record = observed.repo, observed.record
    committed = repo.blobs.get("mooring.yaml")
    if repo.checkout and repo.checkout_files.get("mooring.yaml") != committed:
        notes.append(f"mooring.yaml was read from {repo.checkout}; {repo.base}'s differs")
    if present and record and record.state is State.READY and record.branch != branch:
        notes.append(f"the worktree is on branch {branch!r} now; it was on {record.branch!r}")
    if present and not present.head.startswith("refs/heads/"):
        notes.append(f"HEAD is detached at {present.head[:12]}")
    if "claude.args" in spec.held_back:
        notes.append("claude.args of the repo's mooring.yaml are not used: nobody approved them")
    for name in ("git", "agents"):
        if name in spec.held_back:
            notes.append(
                f"{name} of the repo's mooring.yaml is not used: it is for your own config"
            )
    if spec.sparse and repo.checkout:
        notes.append("checkout.sparse is for repos given by URL; here git has your clone's own")
    path = observed.worktree.path
    if envrc == ENVRC[1]:
        notes.append(
            f"the repo has an .envrc itself, or shows one; ours is .mooring/envrc: "
            f'source_env "{path}/.mooring/envrc" in it'
        )
    if "env" in spec.held_back:
        notes.append(
            "env of the repo's mooring.yaml is in the .envrc, which direnv blocks until you "
            "approve it; `mooring run` and Claude don't get it\nhint: "
            + command("direnv", "allow", f"{path}/.envrc")
        )
    elif _misread(observed):
        notes.append(f"direnv misreads the path {path}: use `mooring run` for the environment")
    elif not observed.target.direnv:
        notes.append("direnv is not installed: use `mooring run` for the environment")
    return notes


def intentions(plan: Plan, claims: bool) -> tuple[str, ...]:
    """What carrying out a plan means, a sentence each."""
    said = []
    if claims:
        said.append(f"claim {plan.topic!r}, its session and {', '.join(plan.port_names)}")
    if plan.makes_worktree:
        branch = (
            f"new branch {plan.branch} at {plan.start[:12]}" if plan.makes_branch else plan.branch
        )
        said.append(f"make the worktree {plan.worktree} on {branch} (base {plan.base})")
    return (*said, *plan.changes)
