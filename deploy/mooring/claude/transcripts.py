"""Where Claude Code keeps conversations, and what a transcript says about itself.

A transcript is `<store>/projects/<slug>/<id>.jsonl`; what its tools wrote lies beside it in
`<id>/`. Everything here was measured with Claude Code 2.1.197 and 2.1.329; its maker documents
none of it. Only `move` changes anything.
"""

from __future__ import annotations

import os
import re
import stat
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from ..errors import MooringError, command
from ..model import SESSION

WINDOW = 32 << 10
"""Bytes read of a transcript's head, and again of its tail."""
SMALL = 256 << 10
"""A transcript of so many bytes is read whole: with 2.1.329 a first turn alone can take 150 KB."""
SEARCH = 512 << 10
"""How far the head is searched for a prompt: a hook's output before it can take 200 KB."""
REACH = 8 << 20
"""How far it is searched for a working directory, which follows a first prompt with images."""

SLUG_LENGTH = 200
PROMPT_LENGTH = 200
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_SUFFIX = ".jsonl"
_BRANCH = re.compile(rb'"gitBranch": ?("(?:[^"\\]|\\.)*")')
_SURROGATE = re.compile(rb"\\u[dD](?:[89abAB]..(\\u[dD][c-fC-F]..)|[89a-fA-F]..)", re.DOTALL)
"""Claude cuts texts at UTF-16 units, and JavaScript writes what is left of a pair as an escape."""
_USER = re.compile(rb'"type": ?"user"')
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

_NO_PROMPT = re.compile(r"\s*<[a-z][\w-]*[\s>]|\[Request interrupted by user[^\]]*\]")
"""Commands, caveats, notifications and reminders, by the pattern that Claude Code itself uses."""


class Transcript(msgspec.Struct, frozen=True, kw_only=True):
    """What the head and the tail of one transcript say.

    `size` is in bytes, `modified` the mtime in seconds since the epoch. `cwd` is where the session
    began, `branch` the last it was on ('' for none, or a detached HEAD). `first_prompt` is one line
    of at most 200 characters, '' if the head has none. `turns` counts the user's prompts; unless
    `turns_exact`, the file is larger than what was read, and there are at least so many.
    """

    session_id: str
    path: str
    size: int
    modified: float
    cwd: str = ""
    branch: str = ""
    first_prompt: str = ""
    turns: int = 0
    turns_exact: bool = False


class _Line(msgspec.Struct, rename="camel"):
    """One line of a transcript, as far as it matters here."""

    type: str = ""
    cwd: str | None = None
    is_meta: bool | None = None
    is_sidechain: bool | None = None
    is_compact_summary: bool | None = None
    message: msgspec.Raw = msgspec.Raw(b"{}")


class _Block(msgspec.Struct):
    type: str = ""
    text: str = ""


class _Message(msgspec.Struct):
    content: str | list[_Block] = ""


class _Found(msgspec.Struct):
    """What a run of lines holds: the first working directory, and every prompt in order."""

    cwd: str = ""
    prompts: list[str] = []

    @property
    def first_prompt(self) -> str:
        return next((prompt for prompt in self.prompts if prompt), "")


_LINE = msgspec.json.Decoder(_Line)
_MESSAGE = msgspec.json.Decoder(_Message)
_TEXT = msgspec.json.Decoder(str)
_BROKEN = (msgspec.MsgspecError, ValueError, RecursionError)


def store() -> Path:
    """Where Claude keeps conversations on this host: `CLAUDE_CONFIG_DIR`, else `~/.claude`."""
    configured = os.environ.get("CLAUDE_CONFIG_DIR")
    return Path(configured) if configured else Path.home() / ".claude"


def slug(path: str) -> str:
    """The name of Claude's project directory for a working directory, given as its real path."""
    raw = path.encode("utf-16-le", "surrogatepass")
    units = struct.unpack(f"<{len(raw) // 2}H", raw)
    name = re.sub(r"[^0-9A-Za-z]", "-", "".join(map(chr, units)))
    if len(name) <= SLUG_LENGTH:
        return name
    return f"{name[:SLUG_LENGTH]}-{_base36(abs(_hash(units)))}"


def _hash(units: Iterable[int]) -> int:
    """Java's `String.hashCode`: 32 bits, signed."""
    value = 0
    for unit in units:
        value = (31 * value + unit) & 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"


def read(path: Path | str) -> Transcript | None:
    """What a transcript says, from its head and tail; None if it is empty, or no file.

    Content never raises: what can't be understood is passed over, and a file that can't be read
    has a size and a time, and nothing else.
    """
    path = os.fspath(path)
    try:
        return _read(path)
    except OSError:
        return _unread(path)


def _unread(path: str) -> Transcript | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return _described(path, found)


def _described(path: str, found: os.stat_result) -> Transcript | None:
    if not stat.S_ISREG(found.st_mode) or not found.st_size:
        return None
    name = os.path.basename(path).removesuffix(_SUFFIX)
    return Transcript(session_id=name, path=path, size=found.st_size, modified=found.st_mtime)


def _read(path: str) -> Transcript | None:
    # Without O_NONBLOCK, opening a named pipe would wait for a writer.
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        bare = _described(path, os.fstat(file))
        return bare and _with_content(file, bare)
    finally:
        os.close(file)


def _with_content(file: int, bare: Transcript) -> Transcript:
    size = bare.size
    head, found = _head(file, size)
    prompts = found.prompts
    start = max(len(head), size - WINDOW)
    rest = os.pread(file, size - start, start)
    whole = start == len(head)
    if rest and whole:  # a line may cross from one to the other
        prompts = _scan(head + rest, found.cwd).prompts
    elif rest:
        prompts = prompts + _scan(rest.partition(b"\n")[2], found.cwd).prompts
    return Transcript(
        session_id=bare.session_id,
        path=bare.path,
        size=size,
        modified=bare.modified,
        cwd=found.cwd,
        branch=_branch(rest) or _branch(head),
        first_prompt=found.first_prompt,
        turns=len(prompts),
        turns_exact=whole,
    )


def _head(file: int, size: int) -> tuple[bytes, _Found]:
    """As much of the head as it takes to find a working directory and a prompt, and these."""
    head = b""
    want = size if size <= SMALL else WINDOW
    while True:
        more = os.pread(file, want - len(head), len(head))
        head += more
        found = _scan(head)
        done = found.cwd and (found.first_prompt or want >= SEARCH)
        if done or not more or want >= min(size, REACH):
            return head, found
        want = min(4 * want, size, REACH)


def _scan(data: bytes, cwd: str = "") -> _Found:
    """What the lines hold, unless `cwd` is known; those cut, or not Claude's, hold nothing."""
    found = _Found(cwd)
    for text in data.split(b"\n"):
        user = _USER.search(text)
        if not user and (found.cwd or b'"cwd":' not in text):
            continue
        try:
            line = _LINE.decode(_SURROGATE.sub(_paired, text))
        except _BROKEN:
            continue
        found.cwd = found.cwd or line.cwd or ""
        prompt = _prompt(line) if user else None
        if prompt is not None:
            found.prompts.append(prompt)
    return found


def _paired(found: re.Match[bytes]) -> bytes:
    """A pair as it is; half of one, which is no text, as the sign for that."""
    return found[0] if found[1] else rb"\ufffd"


def _prompt(line: _Line) -> str | None:
    """What the user asked, as one line ('' for only an image); None if no user asked this."""
    if line.type != "user" or line.is_meta or line.is_sidechain or line.is_compact_summary:
        return None
    try:
        content = _MESSAGE.decode(line.message).content
    except _BROKEN:
        return None
    if isinstance(content, str):
        content = [_Block("text", content)] if content else []
    if any(block.type == "tool_result" for block in content):
        return None
    texts = [block.text for block in content if block.type == "text"]
    asked = [text for text in texts if not _NO_PROMPT.match(text)]
    if asked:
        return _one_line(asked[0])
    return None if texts or not content else ""


def _one_line(text: str) -> str:
    words = text.split(None, PROMPT_LENGTH)[:PROMPT_LENGTH]
    return _UNPRINTABLE.sub("\ufffd", " ".join(words)[:PROMPT_LENGTH])


def _branch(data: bytes) -> str:
    """The last branch named.

    It is looked for in the bytes, not in the lines: it stands at the end of each, and the last may
    be too long for the window. In text that a line quotes, a backslash precedes each quotation
    mark, so it can't match there.
    """
    named = _BRANCH.findall(data)
    try:
        branch = _TEXT.decode(named[-1]) if named else ""
    except _BROKEN:
        return ""
    return "" if branch == "HEAD" else branch


def of_repo(store: Path, places: Iterable[str], known: Iterable[str] = ()) -> list[Transcript]:
    """The transcripts of sessions that began at one of `places` or below it, newest first.

    `places` are absolute real paths: a main checkout, the directory of its worktrees, a worktree.
    `known` are ids of sessions that belong to the repo anyhow, wherever in the store they lie. A
    file that several links lead to is listed once. Raises MooringError if a directory that would
    hold such transcripts can't be listed.
    """
    roots = [place.rstrip("/") for place in places]
    ours = frozenset(known)
    listed: dict[tuple[int, int] | None, Transcript] = {}
    for session, path, exact in _candidates(store, roots, ours):
        file = _identity(path)
        transcript = None if file in listed else read(path)
        if transcript and (session in ours or _belongs(transcript.cwd, roots, exact)):
            listed[file] = transcript
    return sorted(listed.values(), key=lambda each: (-each.modified, each.session_id))


def _candidates(
    store: Path, roots: list[str], known: frozenset[str]
) -> Iterator[tuple[str, str, bool]]:
    """Session id and path of what may be the repo's, and whether its project is that of a root."""
    projects = {slug(root or "/") for root in roots}
    below = tuple(slug(root)[:SLUG_LENGTH] + "-" for root in roots)
    for project in _projects(store):
        exact = project.name in projects
        near = exact or project.name.startswith(below)
        if near or known:
            for session, path in _sessions(project.path, needed=near):
                if near or session in known:
                    yield session, path, exact


def _identity(path: str) -> tuple[int, int] | None:
    """What two names of one file have in common; None if it is gone."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _belongs(cwd: str, roots: list[str], exact: bool) -> bool:
    """Whether a session is the repo's; where it doesn't say, its directory's name decides.

    The name alone proves little: `/src/shop-api` and `/src/shop/api` have the same one.
    """
    return any(f"{cwd}/".startswith(f"{root}/") for root in roots) if cwd else exact


def _projects(store: Path) -> list[os.DirEntry[str]]:
    """The project directories, links behind what they lead to. Raises MooringError."""
    projects = _listed(os.path.join(store, "projects"))
    return sorted(projects, key=lambda entry: (entry.is_symlink(), entry.name))


def _sessions(project: str, *, needed: bool) -> Iterator[tuple[str, str]]:
    """The ids and paths of a project's transcripts; raises MooringError only if `needed`."""
    try:
        entries = _listed(project)
    except MooringError:
        if needed:
            raise
        return
    for entry in sorted(entries, key=os.DirEntry.is_symlink):
        session = entry.name.removesuffix(_SUFFIX)
        if session != entry.name and SESSION.fullmatch(session):
            yield session, entry.path


def _listed(directory: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise _unlisted(directory, error) from None


def _unlisted(directory: str, error: OSError) -> MooringError:
    return MooringError(
        f"Cannot look for conversations in {directory}: {error.strerror}",
        command("ls", "-ld", directory),
    )


def find(store: Path, session_id: str, likely: Iterable[str] = ()) -> list[Path]:
    """Every transcript of a session in the store, empty ones too; several mean that it forked.

    Looks in the projects named `likely` first (by slug), and nowhere else if it is there. A file
    that several links lead to is given once. Raises MooringError if it was found nowhere and some
    directory couldn't be looked into.
    """
    if not SESSION.fullmatch(session_id):
        return []
    projects = store / "projects"
    name = session_id + _SUFFIX
    found = _files(projects / project / name for project in dict.fromkeys(likely))
    return found or _files(Path(project.path, name) for project in _projects(store))


def _files(candidates: Iterable[Path]) -> list[Path]:
    """Those that exist, each file once. Raises MooringError if none does and some can't be seen."""
    files: dict[tuple[int, int], Path] = {}
    denied: MooringError | None = None
    for path in candidates:
        try:
            found = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            denied = _unlisted(str(path.parent), error)
            continue
        if stat.S_ISREG(found.st_mode):
            files.setdefault((found.st_dev, found.st_ino), path)
    if denied and not files:
        raise denied
    return list(files.values())


def move(transcript: Path, worktree: str) -> Path:
    """Move a conversation into the project of `worktree`, in the same store; returns its new path.

    Claude Code before 2.1.223 resumes only what lies in the project of its working directory. The
    transcript holds absolute paths into its side directory: that goes first, and a link to it stays
    where it was. May be killed at any point and run again. Nobody may be writing to the session.
    Raises MooringError if another transcript of that id is there already, or for an OSError.
    """
    project = transcript.parents[1] / slug(os.path.realpath(worktree))
    try:
        return _move(transcript, project / transcript.name)
    except OSError as error:
        raise MooringError(
            f"Cannot move the conversation {transcript.stem} to {project}: {error.strerror}",
            command("ls", "-ld", str(transcript.parent), str(project)),
        ) from None


def _move(source: Path, target: Path) -> Path:
    if os.path.realpath(source.parent) == os.path.realpath(target.parent):
        return source
    if not source.exists():
        if target.exists():
            return target  # an earlier run got so far
        raise MooringError(
            f"Cannot move the conversation {source.stem}: {source} is gone",
            command("ls", "-l", str(source.parent)),
        )
    linked = target.exists() and target.samefile(source)
    if target.exists() and not linked:
        raise MooringError(
            f"Cannot move the conversation {source.stem}: {target} is another transcript of it",
            command("ls", "-l", str(source), str(target)),
        )
    target.parent.mkdir(mode=stat.S_IMODE(source.parent.stat().st_mode), exist_ok=True)
    _move_side(source.with_suffix(""), target.with_suffix(""))
    if linked and not target.is_symlink():
        source.unlink()  # rename() does nothing between two names of one file
    else:
        source.rename(target)
    return target


def _move_side(old: Path, new: Path) -> None:
    """Move what belongs to a transcript, and leave a link; does what an earlier run left undone."""
    if old.is_symlink():
        if old.exists() and not new.exists():
            new.unlink(missing_ok=True)
            _link(new, old.resolve())
        return
    if not old.exists():
        if new.exists():
            _link(old, new)
        return
    if new.is_symlink() and (not new.exists() or new.samefile(old)):
        new.unlink()
    old.rename(new)
    _link(old, new)


def _link(at: Path, to: Path) -> None:
    """A relative link, so that it also leads there where the store is mounted elsewhere."""
    at.symlink_to(os.path.relpath(to.resolve(), at.parent.resolve()))
