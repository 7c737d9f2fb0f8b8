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

from pyinfra.api.host import Host

from . import approval, config, generate, identity, records, settings, trust
from .claude import live, transcripts
from .container import is_there
from .conversation import Conversation
from .document import GitSpec
from .ending import judge
from .environment import template_names
from .errors import MooringError, command
from .facts import record as record_file
from .facts.workspace import Observed
from .files import rules
from .look import Look, excluded
from .model import Key, Record, Request, State
from .plan import Plan, intentions, resolve
from .registry import Registry
from .repo import parse_source
from .selection import PROMPT
from .spec import Spec

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
        self.hidden = False
        """Whether this run has hidden the workspace's own files from git already."""
        self.copied: dict[str, str] = {}
        self.copied_anew: set[str] = set()
        """The paths of files that this run wrote."""
        self.rendered: dict[str, str] = {}
        """What went into each file that this run rendered (see Record.rendered)."""
        self.approval = ""
        """What of the repo's could run, to be approved; '' where nothing is."""
        self.approved = False
        self.error: MooringError | None = None
        self._layers = config.load_user(config.user_directory(), request.topic, request.agent)
        self._seen: tuple[Observed, Spec] | None = None
        self._plan: Plan | None = None
        self._claimed: Record | None = None
        self._composed: tuple[str, dict[str, str]] = ("", {})
        self._told: set[str] = set()
        self._record_sum = ""
        self._fresh = str(uuid.uuid4())

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
                sessions=self._known_sessions(),
                ending=self.ending,
                tell=self.tell,
            )
            observed, spec = look()
            if not self.ending:
                self.approval = approval.text(spec, observed.files.texts)
                known = trust.holds(observed.repo.identity, self.approval)
                self.approved = not self.approval or self.request.trust or known
            spec = look.approved(observed) if self.approved else spec
            self._seen = observed if self.ending else rules.without_links(observed, spec), spec
            seen = observed.session
            self.registry.fold(seen.events, seen.ids_running)
        return self._seen

    def _known_sessions(self) -> tuple[str, ...]:
        """Ids of this agent and topic that the record on the target may not have."""
        request = self.request
        rows = self.registry.sessions(request.topic, request.agent)
        current = [row for row in rows if row.cleared_at is None] or rows[:1]
        ids = [request.session, *(row.session_id for row in current)]
        return tuple(dict.fromkeys(filter(None, ids)))

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

    def overtaken(self) -> None:
        """Another run has made what this one was about to: its record counts."""
        self._claimed = None
        self.forget()

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

    @property
    def remote(self) -> str:
        """The URL of the repo's origin, '' where it has none."""
        if self.source.is_url:
            return self.request.repo
        return self.observed.repo.settings.get("remote.origin.url", "")

    @property
    def git(self) -> GitSpec:
        """Who commits here and with which credential; '' is as git itself has it."""
        request = self.request
        repo, record = self.observed.repo.identity, self.record
        named = (record.base, record.branch) if record else ("", "")
        names = template_names(request.topic, request.agent, request.issue, repo, *named)
        return identity.rendered(self.spec.git, names)

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
        holder = self.registry.issue_holder(key, plan.issue) if plan.issue else None
        if holder:
            raise MooringError(
                f"Cannot use issue {plan.issue!r} for {plan.topic!r}: {holder!r} has it already",
                command("mooring", "end", holder, *self.request.words[1:]),
            )

    def check(self) -> None:
        """Raise MooringError for whatever can be refused before anything is changed."""
        self._conversation.check()
        self.tell(self._nothing_unset())
        if not self.pending:
            notes = self.plan.notes
            self.tell(notes if self.may_run else ())

    def _nothing_unset(self) -> tuple[str, ...]:
        """What to say of keys to forget that nobody has set."""
        known = settings.keys(self.record.set if self.record else ())
        gone = (key for key in self.request.unset if key not in known)
        return tuple(f"--unset {key}: nothing was set of that name" for key in gone)

    @property
    def may_run(self) -> bool:
        """Whether nothing of the repo's waits for an approval that the run can't do without."""
        return not approval.stops(self.spec) or self.approved

    def check_approval(self) -> None:
        """Raise MooringError if the repo has something that would run, and nobody approved it."""
        repo = self.observed.repo.identity
        if not self.may_run:
            raise approval.refusal(self.request, bool(trust.last(repo)))
        if self.request.trust and self.approval and not trust.holds(repo, self.approval):
            trust.approve(repo, self.approval, int(time.time()))

    def check_end(self) -> None:
        """Raise MooringError if there is nothing to end, or if ending would lose something."""
        record = self.record
        if record is None:
            raise MooringError(
                f"Cannot end {self.request.topic!r}: there is no workspace of that name",
                "mooring list",
            )
        if record.state is not State.ENDED:
            self._check_cache()
            judge(self.request, self.observed, self.session)
            if self.held and not self.request.force:
                raise MooringError(
                    f"Cannot end {self.request.topic!r}: Claude is just starting there",
                    command("mooring", "end", *self.request.words, "--force", note="all the same"),
                )

    def _check_cache(self) -> None:
        """Raise MooringError if the repo's clone is gone: then nobody can judge what would go."""
        if self.source.is_url and not self.observed.repo.common and not self.request.force:
            raise MooringError(
                f"Cannot end {self.request.topic!r}: the cache of {self.request.repo} is gone",
                command("mooring", "new", *self.request.words, note="clones it again"),
                command("mooring", "end", *self.request.words, "--force", note="forgets it"),
            )

    def intentions(self) -> tuple[str, ...]:
        """What a run would do, a sentence each, as far as it can be known."""
        if self.pending:
            return (f"fetch {self.request.repo}; branch and files are known after it",)
        asks = f"ask for an approval first: {command('mooring', 'trust', *self.request.words)}"
        said = (*(() if self.may_run else (asks,)), *intentions(self.plan, self.unclaimed))
        if not self.remakes_container:
            return said
        wanted = self.plan.container
        return (*said, f"have a container of {wanted.image if wanted else ''}, and start it")

    # The record

    @property
    def record(self) -> Record | None:
        """The record as claimed in this run, else as the probe found it."""
        return self._claimed or self.observed.record

    @property
    def record_sum(self) -> str:
        """The sha256 of the record's file on the target, '' where there is none."""
        return self._record_sum if self._claimed else self.observed.record_sum

    @property
    def _conversation(self) -> Conversation:
        return Conversation(self.request, self.observed, self.record, self.registry, self.host.name)

    @property
    def session(self) -> str:
        """The id of the conversation that is meant (see Conversation.id)."""
        return self._conversation.id

    @property
    def held(self) -> bool:
        """Whether a process of this host, other than this one, has the session's lease."""
        holds = live.holds(transcripts.store())
        held = self.registry.leases(holds).get(self.session)
        return held is not None and held.pid != os.getpid()

    @property
    def continues(self) -> str:
        """The id of another one that a resume goes on with (see Conversation.continues)."""
        return self._conversation.continues

    @property
    def _reserves(self) -> str:
        """The id to reserve, '' to leave what is reserved as it is."""
        if self._claimed:
            return ""
        if self.request.session or not self.record:
            return self.session
        if self._conversation.anew and not self._conversation.untouched:
            return self._fresh
        return ""

    @property
    def wanted(self) -> Record:
        """The record that the plan claims."""
        now, plan = int(time.time()), self.plan
        key = Key(plan.repo, plan.agent, plan.topic)
        # What happened before doesn't count, by the clock of the target, which wrote it.
        since = self.registry.newest(self.observed.target.id, key)
        known = self.record, self.commit, now, who(), self._reserves, since
        return records.wanted(plan, *known, fresh=self._fresh)

    @property
    def unclaimed(self) -> bool:
        """Whether there is something to claim; until then nothing can be composed."""
        return self._claimed is None and records.needs_claim(self.plan, self.record, self.wanted)

    def claimed(self, answer: list[str]) -> None:
        """Take over the record that the claim printed.

        Raises MooringError if another run claimed the topic in between, and wants it otherwise.
        """
        record, self._record_sum = record_file.from_answer(answer)
        plan = self.plan
        if (record.worktree, record.branch) != (plan.worktree, plan.branch):
            raise MooringError(
                f"Cannot provision {plan.topic!r}: {record.by} has just made it on branch "
                f"{record.branch!r} at {record.worktree}",
                command("mooring", "new", *self.request.words),
            )
        if self.request.session not in ("", record.session):
            raise MooringError(
                f"Cannot go on with session {self.request.session} in {plan.topic!r}: "
                f"{record.by} has just begun another there",
                command("mooring", "sessions", *self.request.words),
            )
        self.finish(record, "claimed")

    def finish(self, record: Record, event: str) -> None:
        """Take over a record that was written to the target, into the registry too."""
        if event != "claimed":
            self._record_sum = text_sum(record_file.text(record))
        self._claimed = record
        running = self.observed.session.ids_running
        self.registry.index(record, self.host.name, event, running)
        self._note_transcript()

    @property
    def remakes_container(self) -> bool:
        """Whether the container that is wanted has to be made, made anew or started."""
        plan, anew = self.plan, self.request.recreate
        if not plan.container:
            return False
        return anew or plan.makes_worktree or not is_there(plan.container, self.observed.container)

    @property
    def container(self) -> str:
        """The name of the container that the workspace is used in; '' for the host."""
        return self.record.container if self.record and self.request.place != "host" else ""

    def note_seen(self) -> None:
        """Tell the registry which commit and transcript the probe saw."""
        if self.record:
            self.registry.saw(self.record, self.commit)
            self._note_transcript()

    def _note_transcript(self) -> None:
        transcript = self.observed.session.of(self.session)
        if transcript:
            self.registry.captured(transcript.session, transcript.path, transcript.modified)

    def finished(self, record: Record) -> Record:
        """What the claimed `record` becomes when all else is done."""
        plan = self.plan
        digest, generated = generate.digest(plan, record), record.generated
        if digest != record.digest:
            files = self._files(record, digest)
            prompt = {name: value for name, value in generated.items() if name in PROMPT}
            generated = prompt | {name: text_sum(text) for name, text in files.items()}
        seen = self.observed
        there = {
            item.dest: item.sum
            for item in plan.files
            if item.sum and rules.state(item.dest, seen) == item.sum
        }
        files = {**there, **self.copied}
        return records.finished(plan, record, files, self.rendered, generated, digest)

    def file_rows(self) -> list[dict[str, str]]:
        """What the rules come to, a path each, as plain data. Raises MooringError as `plan`."""
        return rules.table(self.spec, self.observed)

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

    @property
    def own_files(self) -> tuple[str, ...]:
        """What Mooring writes outside `.mooring/`, which hides itself."""
        plan = self.plan
        prompt = (plan.prompt,) if self.request.prompt else ()
        names = (plan.envrc, plan.context, *prompt, plan.settings)
        brought = (item.dest for item in plan.files if item.root != "tracked")
        return tuple(name for name in (*names, *brought) if not name.startswith(".mooring/"))

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
