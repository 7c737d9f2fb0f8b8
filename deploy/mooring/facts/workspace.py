"""The only probe: every noun's fragment in one script, one command, one answer."""

from __future__ import annotations

import msgspec
from pyinfra.api.command import StringCommand
from pyinfra.api.facts import FactBase

from .. import script
from ..claude import live
from ..errors import MooringError
from ..model import Record, State
from . import container, files, record, repo, session, target, worktree

_MAIN = r"""
main() {
  locate
  find_record
  probe_target
  probe_repo
  probe_worktree
  probe_record # after the worktree: it is claimed before that is made
  probe_objects
  probe_files
  probe_session
  probe_container
  probe_scan
  say end
}
answer main
"""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What the probe is asked. Empty strings mean: as recorded, else by default."""

    identity: str
    source: str
    root: str
    agent: str
    topic: str
    base: str
    branch: str
    fallback_branch: str
    """Where neither the request nor a record names a branch."""
    seen: str
    """The commit the registry saw last."""
    resumes: bool = False
    """Whether an ended record's base, branch and path still count."""
    sessions: tuple[str, ...] = ()
    """Ids of sessions to look for, besides those that the record and hooks name."""
    project: str = ""
    """Claude's project directory of the worktree, to see what it holds; '' where nobody asks."""
    new_worktree: bool = False
    include: tuple[str, ...] | None = None
    """Patterns of files to provision; None: those recorded."""
    watched: tuple[str, ...] = ()
    """Other paths to look at (see Spec.watched), where `include` isn't None."""
    scan: bool = False
    excludes: tuple[str, ...] = ()
    """Pathspecs of what doesn't count in a scan."""
    located: tuple[str, ...] = ()
    """Where an earlier answer found the repo: then git isn't asked again."""


class Observed(msgspec.Struct, frozen=True):
    """Everything the probe saw, by noun."""

    target: target.Target
    repo: repo.Repo
    record: Record | None
    record_sum: str
    """The sha256 of the record's file, '' where there is none."""
    worktree: worktree.Worktree
    files: files.Files
    session: session.Session
    container: container.Engine

    @property
    def half_made(self) -> bool:
        """Whether the worktree is one that a run of ours began and didn't finish."""
        found, claimed = self.worktree.registered, self.record
        return bool(
            found
            and found.initializing
            and claimed
            and claimed.state is not State.ENDED
            and claimed.worktree == found.path
        )


def located(observed: Observed) -> tuple[str, ...]:
    """What a second question says of the first one's answer."""
    repo = observed.repo
    return (repo.common, repo.checkout, repo.source, repo.default_worktree, repo.identity)


def files_text(question: Question, observed: Observed) -> script.Stdin:
    """The part of the probe that looks at the files which patterns select."""
    seen, found = observed.repo, observed.record
    variables = {
        "root": observed.target.root,
        "common": seen.common,
        "checkout": seen.checkout,
        "path": observed.worktree.path,
        "record": f"{observed.target.root}/{record.path(found.key)}" if found else "",
        "include": "\n".join(question.include or ()),
        "include_known": "yes",
        "watched": "\n".join(question.watched),
        "scan": "",
        "bases": seen.base_commit,
    }
    main = "main() { probe_files; say end; }\nanswer main\n"
    return script.compose(variables, script.ANSWER, session.NAMES, files.FRAGMENT, main)


def container_text(image: str, observed: Observed) -> script.Stdin:
    """The part of the probe that looks at the container, for another image than the recorded."""
    found = observed.record
    variables = {
        "root": observed.target.root,
        "record": f"{observed.target.root}/{record.path(found.key)}" if found else "",
        "common": observed.repo.common,
        "path": observed.worktree.path,
        "image": image,
        "r_image": "",
        "r_container": found.container if found else "",
    }
    main = "main() { probe_container; say end; }\nanswer main\n"
    return script.compose(variables, script.ANSWER, container.FRAGMENT, main)


def parse_container(lines: list[str], name: str) -> container.Engine:
    """What that part says of the container `name`. Raises MooringError if it is cut short."""
    pairs = script.decode(lines)
    inside = [value for key, value in pairs if key == "inside"]
    return container.parse(dict(pairs), live.parse_all(inside, name))


def parse_files(lines: list[str]) -> files.Files:
    """What that part says. Raises MooringError if it is cut short."""
    pairs = script.decode(lines)
    return files.parse(dict(pairs), [value for key, value in pairs if key == "heads"])


def text(question: Question) -> script.Stdin:
    """The probe's script."""
    leaf = question.topic if question.agent == "dev" else f"{question.agent}@{question.topic}"
    variables = {
        "root": question.root,
        "identity": question.identity,
        "source": question.source,
        "agent": question.agent,
        "topic": question.topic,
        "leaf": leaf,
        "base": question.base,
        "branch": question.branch,
        "fallback_branch": question.fallback_branch,
        "seen": question.seen,
        "resumes": "yes" if question.resumes else "",
        "new_worktree": "yes" if question.new_worktree else "",
        "sessions": " ".join(question.sessions),
        "project": question.project,
        "include": "\n".join(question.include or ()),
        "include_known": "" if question.include is None else "yes",
        "watched": "\n".join(question.watched),
        "image": "",
        "scan": "yes" if question.scan else "",
        "excludes": "\n".join(question.excludes),
        "located": "\n".join(question.located),
    }
    nouns = (target, repo, record, worktree, files, session, container)
    return script.compose(variables, script.ANSWER, *(noun.FRAGMENT for noun in nouns), _MAIN)


def parse(lines: list[str], asked: Question) -> Observed:
    """What the probe's answer says. Raises MooringError if it is cut short or unreadable."""
    pairs = script.decode(lines)
    try:
        return _observed(pairs, asked)
    except (KeyError, IndexError, ValueError) as error:
        raise MooringError(f"Cannot read the target's answer: {error!r}") from None


def _observed(pairs: list[tuple[str, str]], asked: Question) -> Observed:
    said = dict(pairs)

    def every(name: str) -> list[str]:
        return [value for key, value in pairs if key == name]

    seen_repo = repo.parse(said, asked.identity)
    records = [script.content(value) for value in every("record")]
    found, found_sum = record.find(records, seen_repo.identity, seen_repo.source)
    inside = live.parse_all(every("inside"), found.container if found else "")
    return Observed(
        target=target.parse(said),
        repo=seen_repo,
        record=found,
        record_sum=found_sum,
        worktree=worktree.parse(said, every("registered")),
        files=files.parse(said, every("heads")),
        session=session.parse(
            said,
            every("transcript"),
            every("unreadable"),
            (*live.parse_all(every("live")), *inside),
            every("held") if asked.project else None,
        ),
        container=container.parse(said, inside),
    )


class Probe(FactBase[list[str]]):
    """The probe as a pyinfra fact: the answer's lines, or None if the target did not answer.

    They are parsed where an error can be told apart per host: one that a fact raises stops all.
    """

    abstract = False

    def command(self) -> StringCommand:
        """The script travels on stdin, not in argv."""
        return StringCommand(script.RUN)

    def process(self, output: list[str]) -> list[str]:
        """The lines as they came."""
        return output
