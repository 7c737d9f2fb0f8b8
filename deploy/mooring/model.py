"""The words of the domain as frozen data, and what makes each of them valid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import msgspec

from .errors import MooringError, usage

TOPIC = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
AGENT = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
SESSION = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_REF_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\ud800-\udfff~^:?*\[\\]|\.\.|@\{|//")
FILTER = re.compile(r"blob:none|blob:limit=[0-9]+[kmg]?|tree:[0-9]+")
"""What git may leave out of a clone, and fetch when it is needed (git-rev-list(1))."""
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")
_UNFIT = re.compile(r"[\x00\ud800-\udfff]")
_LABEL = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,200}")


_ISSUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_ISSUE_URL = re.compile(r".*/(?:issues?|browse|work_items)/([A-Za-z0-9_-]+)")
MAX_PROMPT = 1048576
"""The longest prompt, in bytes."""


class State(StrEnum):
    """How far a workspace is: claimed but not finished, whole, or gone."""

    PARTIAL = "partial"
    READY = "ready"
    ENDED = "ended"


class Needs(StrEnum):
    """What must be there already for a provision to make sense."""

    NOTHING = "nothing"
    RECORD = "record"
    """`resume --launch none`: an earlier workspace of this topic."""
    TRANSCRIPT = "transcript"
    """`resume -- -p`: a transcript of the session."""
    CONVERSATION = "conversation"
    """`resume`: a transcript, or the only conversation that the worktree ever held."""
    VACANCY = "vacancy"
    """`new` that starts Claude: a session that has no conversation yet."""

    @property
    def resumes(self) -> bool:
        """Whether an ended workspace's branch, base and path still count."""
        return self not in (Needs.NOTHING, Needs.VACANCY)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for, checked; from host data, or from the command line."""

    topic: str
    repo: str
    agent: str = "dev"
    base: str = ""
    branch: str = ""
    issue: str = ""
    pipeline: str = ""
    root: str = ""
    fetch: bool = False
    new_worktree: bool = False
    force: bool = False
    """Whether an end may lose work, or a provision replace what was edited (and keep it beside)."""
    refresh: bool = False
    """Whether to render all templates again, as after a secret has changed."""
    trust: bool = False
    """Whether what the repo says may run without another approval."""
    fresh: bool = False
    """Whether to leave a session that has a conversation, and begin another."""
    session: str = ""
    """The conversation to go on with, if it isn't the workspace's own."""
    prompt: str = ""
    """What to say to Claude first; it is written to `.session-prompt.md`."""
    parent: str = ""
    """The topic whose branch this one is stacked on."""
    start: str = ""
    """The commit that the branch begins at, if it isn't the base's own."""
    carry: str = ""
    """A worktree on the target whose uncommitted changes come along."""
    filter: str = ""
    """What objects a new cache leaves out, as `git clone --filter` takes it."""
    set: tuple[str, ...] = ()
    """Settings of the session's own, `key=value` each; they are recorded (see settings.read)."""
    unset: tuple[str, ...] = ()
    """Keys of recorded settings to forget."""
    place: str = ""
    """`container` or `host`: where it is to be; '' is in the container, if the spec has one."""
    recreate: bool = False
    """Whether to make the container anew, also while Claude is running in it."""
    needs: Needs = Needs.NOTHING
    named_repo: bool = False
    """Whether the person said `--repo`, so that a hint has to say it too."""

    @property
    def words(self) -> tuple[str, ...]:
        """What names this workspace on the command line, for hints."""
        agent = () if self.agent == "dev" else ("--agent", self.agent)
        repo = ("--repo", self.repo) if self.named_repo else ()
        return (self.topic, *agent, *repo)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """The truth about one workspace on a target, kept in one JSON file there.

    `start` is the commit its branch began at, `commit` the last one seen; `owns_branch` says that
    the branch was made here. `files` maps each provisioned path, `generated` each path Mooring
    composed, to the sha256 of the content that was written.
    """

    version: int = 1
    target: str
    repo: str
    source: str
    agent: str
    topic: str
    issue: str = ""
    pipeline: str = ""
    state: State
    worktree: str
    branch: str
    owns_branch: bool
    base: str
    start: str
    commit: str
    session: str
    """The id that was reserved; hooks may have named a newer one."""
    reserved: int = 0
    """What hooks recorded up to then (epoch seconds of the target) doesn't count for it."""
    parent: str = ""
    """The topic whose branch this one began at, if it is stacked on one."""
    carry: str = ""
    """A worktree whose uncommitted changes come along; '' once they have."""
    ports: dict[str, int]
    created: int
    """Seconds since the epoch, as `updated`."""
    updated: int
    digest: str = ""
    """What the generated files were composed from; '' until the workspace is ready."""
    by: str
    """Who claimed it: user@host of the controller."""
    container: str = ""
    """The name of its container, '' where it has none."""
    image: str = ""
    """What that is made from, as the spec names it."""
    store: str = ""
    """The session store, where it isn't that of the target's user."""
    passes: list[str] = []
    """Names of variables that are passed into the container."""
    set: list[str] = []
    """The session's own settings, `key=value` each (see settings.read)."""
    env: dict[str, str] = {}
    """Variables that a person approved or set, as templates (see Spec.recorded_env)."""
    include: list[str] = []
    watched: list[str] = []
    """What else the spec looks at (see Spec.watched)."""
    files: dict[str, str] = {}
    generated: dict[str, str] = {}
    rendered: dict[str, str] = {}
    """Of files that templates made: the sha256 of what went into each but secrets; of directories
    that came from the controller: their sum there."""

    @property
    def key(self) -> Key:
        """What names this workspace on its target."""
        return Key(self.repo, self.agent, self.topic)


class Key(msgspec.Struct, frozen=True):
    """What names a workspace on a target, and a session everywhere."""

    repo: str
    agent: str
    topic: str


def request(data: dict[str, Any]) -> Request:
    """Check what a front door was given. Raises a usage error that names the first bad value."""
    known = set(Request.__struct_fields__)
    given = {name: value for name, value in data.items() if value not in (None, "")}
    if unknown := sorted(given.keys() - known):
        raise usage(f"Cannot provision: unknown data {unknown[0]!r}", f"known: {sorted(known)}")
    for name in ("topic", "repo"):
        if name not in given and data.get(name) is None:
            raise usage(f"Cannot provision: no {name} was given", f"--data {name}=…")
    checked = {name: _CHECKS[name](name, value) for name, value in given.items()}
    for name in ("topic", "repo"):
        if name not in checked:
            checked[name] = _CHECKS[name](name, data.get(name))
    return Request(**checked)


def check_topic(name: str, value: object) -> str:
    """A topic: 1-64 of `a-z 0-9 -`, starting with a letter or digit."""
    return _word(name, value, TOPIC, "1-64 of a-z 0-9 -, starting with a letter or digit")


def check_agent(name: str, value: object) -> str:
    """An agent: 1-32 of `a-z 0-9 _ -`, starting with a letter or digit."""
    return _word(name, value, AGENT, "1-32 of a-z 0-9 _ -, starting with a letter or digit")


def _word(name: str, value: object, pattern: re.Pattern[str], rule: str) -> str:
    if not isinstance(value, str):
        raise _not_text(name, value)
    if not pattern.fullmatch(value):
        near = re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")[:32].strip("-")
        raise usage(
            f"Cannot use {_shown(value)} as {name}: it must be {rule}",
            f"{name} {near}" if near else f"{name} fix-login",
        )
    return value


def _not_text(name: str, value: object) -> MooringError:
    return usage(
        f"Cannot use {value!r} as {name}: pyinfra read it as {type(value).__name__}, not as text",
        f"--data '{name}=\"…\"'    # quoted, so that it stays text",
    )


def check_ref(name: str, value: object) -> str:
    """A branch, tag or commit by name, as git would accept it (git-check-ref-format(1))."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # pyinfra reads a branch or commit of digits as a number
    if not isinstance(value, str):
        raise _not_text(name, value)
    parts = value.split("/")
    bad = (
        not value
        or value.startswith("-")
        or value == "@"
        or value.endswith(".")
        or _REF_FORBIDDEN.search(value)
        or len(value.encode()) > 200
        or any(not part or part.startswith(".") or part.endswith(".lock") for part in parts)
    )
    if bad:
        raise usage(
            f"Cannot use {_shown(value)} as {name}: it must be a branch, tag or commit by name",
            "git branch --all",
        )
    return value


def check_branch(name: str, value: object) -> str:
    """A branch's name: a ref that isn't git's own word for where one stands."""
    if value == "HEAD" or (isinstance(value, str) and _COMMIT.fullmatch(value)):
        raise usage(
            f"Cannot use {value!r} as {name}: git reads it as something else", "git branch --all"
        )
    return check_ref(name, value)


def _session(name: str, value: object) -> str:
    if not isinstance(value, str) or not SESSION.fullmatch(value):
        raise usage(f"Cannot use {value!r} as {name}: it must be a UUID in lower case")
    return value


def _issue(name: str, value: object) -> str:
    """An issue's key: `12`, `LIN-123`, or the one in an issue's URL."""
    text = _label(name, value).removeprefix("#")
    found = _ISSUE_URL.match(text) if "://" in text else None
    if "://" in text and not found:
        raise usage(
            f"Cannot use {_shown(text)} as {name}: that URL names no issue", f"{name} LIN-123"
        )
    key = found[1] if found else text
    if not _ISSUE.fullmatch(key):
        raise usage(f"Cannot use {_shown(key)} as {name}: it must be one such as 12 or LIN-123")
    return key


def _filter(name: str, value: object) -> str:
    if not isinstance(value, str) or not FILTER.fullmatch(value):
        raise usage(f"Cannot use {value!r} as {name}: use blob:none, blob:limit=1m or tree:0")
    return value


def _prompt(name: str, value: object) -> str:
    text = str(value)
    if re.search(r"[\x00\ud800-\udfff]", text) or len(text.encode()) > MAX_PROMPT:
        raise usage(f"Cannot use the {name}: it must be UTF-8 text of at most 1 MiB, without NUL")
    return text


def _label(name: str, value: object) -> str:
    text = str(value)
    if isinstance(value, bool) or not _LABEL.fullmatch(text) or text.startswith("-"):
        raise usage(f"Cannot use {_shown(text)} as {name}: it must be one line of text")
    return text


def check_pipeline(value: str | None) -> str:
    """A pipeline's id: one line of text; '' for none."""
    return _label("pipeline", value) if value else ""


def _root(name: str, value: object) -> str:
    if not isinstance(value, str) or not value.startswith("/") or not _LABEL.fullmatch(value):
        raise usage(f"Cannot use {value!r} as {name}: it must be an absolute path on the target")
    return value.rstrip("/") or "/"


def _repo(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise usage(f"Cannot use {value!r} as {name}: it must be a URL or a path")
    return value


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise usage(f"Cannot use {value!r} as {name}: it must be true or false")
    return value


def _place(name: str, value: object) -> str:
    if value not in ("container", "host"):
        raise usage(f"Cannot use {value!r} as {name}: it must be container or host")
    return str(value)


def _needs(name: str, value: object) -> Needs:
    if value not in set(Needs):
        raise usage(f"Cannot use {value!r} as {name}: it must be one of {', '.join(Needs)}")
    return Needs(str(value))


def _settings(name: str, value: object) -> tuple[str, ...]:
    """Settings, one by one or a line each."""
    found = tuple(_texts(name, value))
    for one in found:
        key, equals, _ = one.partition("=")
        if not equals or not _KEY.fullmatch(key) or _UNFIT.search(one):
            raise usage(
                f"Cannot use {_shown(key)} as {name}: it must be key=value, as in env.MODE=x"
            )
    return found


def _keys(name: str, value: object) -> tuple[str, ...]:
    found = tuple(_texts(name, value))
    for one in found:
        if not _KEY.fullmatch(one):
            raise usage(f"Cannot use {_shown(one)} as {name}: it must be a key, as in env.MODE")
    return found


def _texts(name: str, value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield from (line for line in value.split("\n") if line.strip())
        return
    for one in value if isinstance(value, list | tuple) else [value]:
        if not isinstance(one, str):
            raise _not_text(name, one)
        yield one


_CHECKS: dict[str, Any] = {
    "topic": check_topic,
    "agent": check_agent,
    "repo": _repo,
    "base": check_ref,
    "branch": check_branch,
    "issue": _issue,
    "pipeline": _label,
    "session": _session,
    "prompt": _prompt,
    "parent": check_topic,
    "carry": _root,
    "filter": _filter,
    "start": check_ref,
    "set": _settings,
    "unset": _keys,
    "root": _root,
    "fresh": _flag,
    "fetch": _flag,
    "new_worktree": _flag,
    "force": _flag,
    "refresh": _flag,
    "trust": _flag,
    "place": _place,
    "recreate": _flag,
    "needs": _needs,
    "named_repo": _flag,
}


def _shown(value: str) -> str:
    return repr(value if len(value) <= 80 else value[:77] + "...")


def slug(topic: str) -> str:
    """The topic with `_` for `-`: safe as a database or compose project name."""
    return topic.replace("-", "_")


def parse_record(text: bytes) -> Record:
    """The record in a file's content. Raises MooringError if it isn't one of ours."""
    try:
        return msgspec.json.decode(text, type=Record)
    except (msgspec.DecodeError, ValueError) as error:
        raise MooringError(f"Cannot read the workspace's record: {error}") from None


REQUEST_DATA = tuple(
    name for name in Request.__struct_fields__ if name not in ("needs", "named_repo")
)
"""The host data that make a Request."""
