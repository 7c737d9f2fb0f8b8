"""The late-bound workspace: what is observed, planned and claimed in one run.

Operations read it when they run, so a later one sees what an earlier one changed.
"""

from __future__ import annotations

import getpass
import os
import socket
import time
from collections.abc import Callable
from hashlib import sha256

from pyinfra.api.host import Host

from . import config, generate, records
from .config import Spec
from .errors import MooringError, command
from .facts import record as record_file
from .facts.workspace import Observed
from .look import Look, excluded
from .loss import judge
from .model import Key, Record, Request, State
from .plan import Plan, check_needs, intentions, resolve
from .registry import Registry
from .repo import parse_source

Report = Callable[[str], None]


class Workspace:
    """One workspace on one host, during one run."""

    def __init__(self, request: Request, host: Host, report: Report, registry: Registry) -> None:
        self.request = request
        self.host = host
        self.report = report
        self.registry = registry
        self.source = parse_source(request.repo)
        self.ending = False
        self.fetched = False
        self.copied: dict[str, str] = {}
        self.error: MooringError | None = None
        self._layers = config.load_user(config.user_directory(), request.topic)
        self._seen: tuple[Observed, Spec] | None = None
        self._plan: Plan | None = None
        self._claimed: Record | None = None
        self._composed: tuple[str, dict[str, str]] = ("", {})
        self._told: set[str] = set()

    def __repr__(self) -> str:
        return f"<workspace {self.request.topic}>"

    # What there is

    def _look(self) -> tuple[Observed, Spec]:
        if self._seen is None:
            request = self.request
            look = Look(
                host=self.host,
                request=request,
                source=self.source,
                layers=self._layers,
                seen=tuple(self.registry.commits(request.agent, request.topic)),
                ending=self.ending,
                tell=self.tell,
            )
            self._seen = look()
        return self._seen

    @property
    def observed(self) -> Observed:
        """What the probe saw; asked once, and again after `forget`."""
        return self._look()[0]

    @property
    def spec(self) -> Spec:
        """What the user and the repo wrote, merged."""
        return self._look()[1]

    def forget(self) -> None:
        """Look again when somebody asks: an operation changed what the probe saw."""
        self._seen = self._plan = None

    @property
    def pending(self) -> bool:
        """Whether the wanted commit isn't on the target yet, so that nothing more can be known."""
        repo, may_fetch = self.observed.repo, self.source.is_url or self.request.fetch
        if self.fetched or repo.problem or not may_fetch:
            return False
        if f"refs/heads/{repo.branch}" in repo.refs:
            return False
        named = self.request.branch and f"refs/remotes/origin/{repo.branch}" not in repo.refs
        return not repo.base_commit or (self.source.is_url and bool(named))

    @property
    def commit(self) -> str:
        """The commit the workspace is at, '' where that can't be known."""
        found, refs = self.observed.worktree.registered, self.observed.repo.refs
        if not found:
            return ""
        return refs.get(found.head, "" if found.head.startswith("refs/") else found.head)

    @property
    def excludes(self) -> tuple[str, ...]:
        """Pathspecs of what a removal need not care for."""
        return excluded(self.spec)

    # What should be

    @property
    def plan(self) -> Plan:
        """What the workspace should be. Raises MooringError for what stands in the way."""
        if self._plan is None:
            plan = resolve(self.request, self.spec, self.observed)
            self._check_issue(plan)
            self._plan = plan
        return self._plan

    def _check_issue(self, plan: Plan) -> None:
        key = Key(plan.repo, plan.agent, plan.topic)
        ours = self.record.session if self.record else ""
        holder = self.registry.issue_holder(key, plan.issue, ours) if plan.issue else None
        if holder:
            raise MooringError(
                f"Cannot use issue {plan.issue!r} for {plan.topic!r}: {holder!r} has it already",
                command("mooring", "end", holder),
            )

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

    def intentions(self) -> tuple[str, ...]:
        """What a run would do, a sentence each, as far as it can be known."""
        if self.pending:
            return (f"fetch {self.request.repo}; branch and files are known after it",)
        return intentions(self.plan, self.unclaimed)

    # The record

    @property
    def record(self) -> Record | None:
        """The record as claimed in this run, else as the probe found it."""
        return self._claimed or self.observed.record

    @property
    def wanted(self) -> Record:
        """The record that the plan claims."""
        return records.wanted(self.plan, self.record, self.commit, int(time.time()), who())

    @property
    def unclaimed(self) -> bool:
        """Whether there is something to claim; until then nothing can be composed."""
        return self._claimed is None and records.needs_claim(self.plan, self.record, self.wanted)

    def claimed(self, answer: list[str]) -> None:
        """Take over the record that the claim printed.

        Raises MooringError if another run claimed the topic in between, and wants it otherwise.
        """
        record, plan = record_file.from_answer(answer), self.plan
        if (record.worktree, record.branch) != (plan.worktree, plan.branch):
            raise MooringError(
                f"Cannot provision {plan.topic!r}: {record.by} has just made it on branch "
                f"{record.branch!r} at {record.worktree}",
                command("mooring", "new", *self.request.words),
            )
        self.finish(record, "claimed")

    def finish(self, record: Record, event: str) -> None:
        """Take over a record that was written to the target, into the registry too."""
        self._claimed = record
        captured = bool(self.observed.session.transcripts)
        self.registry.index(record, self.host.name, event, captured=captured)

    def note_seen(self) -> None:
        """Tell the registry which commit and transcript the probe saw."""
        if self.record:
            transcript = bool(self.observed.session.transcripts)
            self.registry.saw(self.record, self.commit, transcript)

    def finished(self, record: Record) -> Record:
        """What the claimed `record` becomes when all else is done."""
        plan, present = self.plan, self.observed.files.present
        digest, generated = generate.digest(plan, record), record.generated
        if digest != record.digest:
            files = self._files(record, digest)
            generated = {name: text_sum(text) for name, text in files.items()}
        there = {item.dest: item.sum for item in plan.copies if present.get(item.dest) == item.sum}
        return records.finished(plan, record, {**there, **self.copied}, generated, digest)

    # Generated files

    def stale(self, record: Record, *names: str) -> dict[str, str]:
        """Those of the generated files, with their content, that aren't there as they should be."""
        digest, present = generate.digest(self.plan, record), self.observed.files.present
        if digest == record.digest and all(
            present.get(name, "-") == record.generated.get(name) for name in names
        ):
            return {}
        files = self._files(record, digest)
        return {name: files[name] for name in names if present.get(name) != text_sum(files[name])}

    def _files(self, record: Record, digest: str) -> dict[str, str]:
        if self._composed[0] != digest:
            self._composed = (digest, generate.compose(self.plan, record))
        return self._composed[1]

    def tell(self, notes: tuple[str, ...]) -> None:
        """Report each note once in a run."""
        for note in notes:
            if note not in self._told:
                self._told.add(note)
                self.report(note)


def text_sum(text: str) -> str:
    """The sha256 of a text as it stands in a file."""
    return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def who() -> str:
    """Who runs this: user@host of the controller."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
