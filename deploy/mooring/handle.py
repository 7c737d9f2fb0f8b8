"""The late-bound workspace: what is observed, planned and claimed in one run.

Operations read it when they run, so a later one sees what an earlier one changed.
"""

from __future__ import annotations

import getpass
import os
import socket
import time
import uuid
from collections.abc import Callable
from hashlib import sha256

import msgspec
from pyinfra.api.host import Host

from . import config, generate
from .config import Spec
from .errors import MooringError
from .facts import record as record_file
from .facts import workspace as facts
from .facts.workspace import Observed, Question
from .loss import judge
from .model import Key, Needs, Record, Request, State
from .plan import (
    Plan,
    check_needs,
    default_branch,
    finished,
    intentions,
    resolve,
    wanted_base,
    wanted_branch,
)
from .registry import Registry
from .repo import Source, parse_source

PROBE_SECONDS = 120
Report = Callable[[str], None]


class Workspace:
    """One workspace on one host, during one run."""

    def __init__(self, request: Request, host: Host, report: Report, registry: Registry) -> None:
        self.request = request
        self.host = host
        self.report = report
        self.error: MooringError | None = None
        self.source: Source = parse_source(request.repo)
        self.copied: dict[str, str] = {}
        self.fetched = False
        self.scan = False
        self.registry = registry
        self._layers = config.load_user(config.user_directory(), request.topic)
        self._observed: Observed | None = None
        self._spec: Spec | None = None
        self._claimed: Record | None = None
        self._told: set[str] = set()

    def __repr__(self) -> str:
        return f"<workspace {self.request.topic}>"

    @property
    def observed(self) -> Observed:
        """What the probe saw; asked once, and again after `forget`."""
        if self._observed is None:
            self._observed, self._spec = self._look()
        return self._observed

    @property
    def spec(self) -> Spec:
        """What the user and the repo wrote, merged."""
        assert self.observed
        assert self._spec
        return self._spec

    @property
    def pending(self) -> bool:
        """Whether the repo isn't on the target yet, so that nothing more can be known."""
        return not self.observed.repo.common and not self.observed.repo.problem

    @property
    def needs_fetch(self) -> bool:
        """Whether the wanted commit has to be fetched, or was asked to be."""
        if self.fetched or self.pending:
            return False
        missing = self.source.is_url and not self.observed.repo.base_commit
        return self.request.fetch or (missing and not self.observed.worktree.registered)

    @property
    def plan(self) -> Plan:
        """What the workspace should be. Raises MooringError for what stands in the way."""
        plan = resolve(self.request, self.spec, self.observed)
        if plan.issue:
            key = Key(plan.repo, plan.agent, plan.topic)
            holder = self.registry.issue_holder(key, plan.issue)
            if holder:
                raise MooringError(
                    f"Cannot use issue {plan.issue!r} for {plan.topic!r}: "
                    f"{holder!r} has it already",
                    f"mooring end {holder}",
                )
        return plan

    @property
    def record(self) -> Record | None:
        """The record as claimed in this run, else as the probe found it."""
        return self._claimed or self.observed.record

    @property
    def unclaimed(self) -> bool:
        """Whether ports and session are still to be claimed, so that nothing can be composed."""
        return self._claimed is None and self.claims(self.plan)

    @property
    def excludes(self) -> tuple[str, ...]:
        """Pathspecs of what a removal need not care for."""
        return disposable_pathspecs(self.spec.disposable)

    def check(self) -> None:
        """Raise MooringError for whatever can be refused before anything is changed."""
        check_needs(self.request, self.observed)
        if not self.pending:
            self.tell(self.plan.notes)

    def check_end(self) -> None:
        """Raise MooringError if there is nothing to end, or if ending would lose something."""
        record = self.record
        if record is None:
            raise MooringError(
                f"Cannot end {self.request.topic!r}: there is no workspace of that name",
                "mooring list",
            )
        if record.state is not State.ENDED:
            judge(self.request, self.observed)

    def forget(self) -> None:
        """Look again when somebody asks: an operation changed what the probe saw."""
        self._observed = None

    def tell(self, notes: tuple[str, ...]) -> None:
        """Report each note once in a run."""
        for note in notes:
            if note not in self._told:
                self._told.add(note)
                self.report(note)

    def _look(self) -> tuple[Observed, Spec]:
        """Probe; and again only if the spec, once read, wants other refs or files looked at."""
        question = self._question()
        for _attempt in range(3):
            observed = self._ask(question)
            spec = self._read_spec(observed)
            refined = self._refine(question, observed, spec)
            if refined == question:
                break
            question = refined
        return observed, spec

    def _question(self) -> Question:
        request = self.request
        return Question(
            identity=self.source.identity or "",
            source=request.repo,
            root=request.root,
            agent=request.agent,
            topic=request.topic,
            base=request.base,
            branch=request.branch,
            fallback_branch=default_branch(request),
            seen=" ".join(self._seen_commits()),
            resumes=request.needs is not Needs.NOTHING,
            new_worktree=request.new_worktree,
            scan=self.scan,
        )

    def _seen_commits(self) -> list[str]:
        return self.registry.commits(self.request.agent, self.request.topic)

    def _ask(self, question: Question) -> Observed:
        lines = self.host.get_fact(facts.Probe, _stdin=facts.text(question), _timeout=PROBE_SECONDS)
        if lines is None:
            raise MooringError(f"Cannot look at {self.host.name}: the target did not answer")
        return facts.parse(lines, question.identity)

    def _read_spec(self, observed: Observed) -> Spec:
        files = observed.repo.blobs
        if observed.repo.checkout:
            files = observed.repo.checkout_files
        layers, include = self._layers, files.get(".worktreeinclude", b"")
        try:
            layers = msgspec.structs.replace(
                layers, repo=config.parse(files.get("mooring.yaml", b""))
            )
            return config.merge(layers, include)
        except MooringError as error:
            if not self.scan:
                raise
            self.tell((f"{error.message}; going on without it",))
            return config.merge(layers)

    def _refine(self, question: Question, observed: Observed, spec: Spec) -> Question:
        repo = observed.repo
        if not repo.common:
            return question
        base = wanted_base(self.request, spec, observed)
        branch = wanted_branch(self.request, spec, observed, base)
        changes: dict[str, object] = {}
        if base != repo.base:
            changes["base"] = base
        if branch != repo.branch:
            changes["branch"] = branch
        if spec.patterns != observed.files.include and not self.scan:
            changes["include"] = spec.patterns
        if self.scan:
            changes["excludes"] = disposable_pathspecs(spec.disposable)
        return msgspec.structs.replace(question, **changes)

    def wanted_record(self, plan: Plan) -> Record:
        """The record this plan claims: the present one brought up to date, or a new one.

        Its ports and target are put in by the claim itself, under the target's lock.
        """
        now = int(time.time())
        old = self.record
        live = old is not None and old.state is not State.ENDED
        fresh = Record(
            target=self.observed.target.id,
            repo=plan.repo,
            source=plan.source,
            agent=plan.agent,
            topic=plan.topic,
            issue=plan.issue,
            pipeline=plan.pipeline,
            state=State.PARTIAL,
            worktree=plan.worktree,
            branch=plan.branch,
            owns_branch=plan.makes_branch,
            base=plan.base,
            start=plan.start,
            commit=plan.start,
            session=old.session if old else str(uuid.uuid4()),
            ports={},
            created=now,
            updated=now,
            by=who(),
        )
        if old is None:
            return fresh
        kept = {"owns_branch": plan.makes_branch or (old.owns_branch and old.branch == plan.branch)}
        if live and not plan.makes_worktree:
            return msgspec.structs.replace(
                old,
                issue=plan.issue,
                pipeline=plan.pipeline,
                worktree=plan.worktree,
                branch=plan.branch,
                base=plan.base,
                commit=self.commit or old.commit,
                updated=now,
                **kept,
            )
        return msgspec.structs.replace(
            fresh, ports=old.ports, created=old.created if live else now, files=old.files, **kept
        )

    def expected_record(self) -> Record | None:
        """The record as it will be; None while the repo isn't on the target."""
        return None if self.pending else self.wanted_record(self.plan)

    def intentions(self) -> tuple[str, ...]:
        """What a run would do, a sentence each, as far as it can be known."""
        if self.pending:
            return (f"clone {self.request.repo}; branch and files are known after it",)
        return intentions(self.plan, self.claims(self.plan))

    @property
    def commit(self) -> str:
        """The commit the workspace is at, '' where that can't be known."""
        found, refs = self.observed.worktree.registered, self.observed.repo.refs
        if not found:
            return ""
        return refs.get(found.head, "" if found.head.startswith("refs/") else found.head)

    def claims(self, plan: Plan) -> bool:
        """Whether a record has to be claimed or changed before anything is made."""
        record = self.record
        if record is None or record.state is State.ENDED:
            return True
        wanted = self.wanted_record(plan)
        same = ("issue", "pipeline", "worktree", "branch", "base", "owns_branch", "source")
        changed = any(getattr(record, name) != getattr(wanted, name) for name in same)
        return changed or set(record.ports) != set(plan.port_names)

    def claimed(self, answer: list[str]) -> None:
        """Take over the record that the claim printed.

        Raises MooringError if another run claimed the topic in between, and wants it otherwise.
        """
        raw = record_file.from_answer(answer)
        plan, self._claimed = self.plan, raw
        if (raw.worktree, raw.branch) != (plan.worktree, plan.branch):
            raise MooringError(
                f"Cannot provision {plan.topic!r}: {raw.by} has just made it on branch "
                f"{raw.branch!r} at {raw.worktree}",
                f"mooring new {plan.topic}",
            )
        self.registry.index(raw, self.host.name, "claimed")

    def stale(self, paths: tuple[str, ...]) -> dict[str, str]:
        """Those of the generated files, with their content, that aren't there as they should be."""
        record, plan, present = self.record, self.plan, self.observed.files.present
        assert record
        if record.digest == generate.digest(plan, record) and all(
            present.get(name, "-") == record.generated.get(name) for name in paths
        ):
            return {}
        files = generate.compose(plan, record)
        return {name: files[name] for name in paths if present.get(name) != text_sum(files[name])}

    def final_record(self) -> Record:
        """The record of the finished workspace."""
        record, plan = self.record, self.plan
        assert record
        digest = generate.digest(plan, record)
        sums = record.generated
        if digest != record.digest:
            files = generate.compose(plan, record)
            sums = {name: text_sum(text) for name, text in files.items()}
        known = {item.dest: item.sum for item in plan.copies}
        present = self.observed.files.present
        copied = {dest: value for dest, value in known.items() if present.get(dest) == value}
        return finished(plan, record, {**copied, **self.copied}, sums, digest)

    def finish(self, record: Record, event: str) -> None:
        """Take over a record that was written to the target, into the registry too."""
        self._claimed = record
        self.registry.index(record, self.host.name, event)

    def note_seen(self) -> None:
        """Tell the registry which commit and transcript the probe saw."""
        if self.record:
            seen = bool(self.observed.session.transcripts)
            self.registry.saw(self.record, self.commit, seen)


def text_sum(text: str) -> str:
    """The sha256 of a generated file's content."""
    return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def who() -> str:
    """Who runs this: user@host of the controller."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def disposable_pathspecs(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Exclude pathspecs (gitglossary(7)): a name at any depth, or a path from the top."""
    specs = [*generate.HIDDEN]
    for pattern in patterns:
        name = pattern.strip("/")
        place = name if "/" in name else f"**/{name}"
        specs += [place, f"{place}/**"]
    return tuple(f":(exclude,glob){spec}" for spec in specs)
