"""A workspace's dev container: composed from the repo's devcontainer.json, made by its own CLI.

What the composed file says is decided in `devcontainer.py`; here the host's files are read and
written, and the real `devcontainer` is run.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from .. import devcontainer as composing
from .. import trust
from ..approval import digest as text_digest
from ..claude import mounts, safely, transcripts
from ..container import PASSED, private
from ..devcontainer import Place
from ..errors import Kind, MooringError, command, usage
from ..registry import Row
from . import container, outside
from .launch import Start, own_variables, spec_of
from .places import git, git_dir_of, guard_settings

FOLDER = ".devcontainer"
NAMES = (f"{FOLDER}/devcontainer.json", ".devcontainer.json")
"""Where a repo's is, the first that is there; else one directory further down, if it is the only
one there (the specification's order)."""

MOST_FILES = 500
"""How many files of the repo's an approval can be of."""

INSTALL = "npm install -g @devcontainers/cli"

Report = Callable[[str], None]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A workspace's devcontainer.json, and what of the repo has to be approved for it."""

    repo: str
    file: str
    """The repo's own devcontainer.json, as an absolute path."""
    document: dict[str, Any]
    text: str
    """What a person is to read, and approves exactly."""
    approved: bool


class Composed(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to make a dev container from."""

    file: str
    """The repo's own devcontainer.json, as an absolute path."""
    override: dict[str, Any]
    digest: str
    place: Place


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A dev container that is running."""

    container: str
    """Its id."""
    user: str
    """Who runs things in it."""
    override: str
    """The file that it was made from."""


def asked(row: Row, config: str = "") -> Asked:
    """What the workspace's devcontainer.json is, and whether it is approved.

    `config` is its path in the worktree, where it isn't one of the usual ones.
    Raises MooringError if there is none, or it can't be a workspace's.
    """
    worktree = Path(row.worktree)
    file = _find(row, config)
    text = _inside(worktree, file).read_bytes()
    name = str(file.relative_to(worktree))
    document = composing.parse(text, name)
    composing.check(document, name)
    shown = "".join(_sections(worktree, file, text, document))
    return Asked(
        repo=row.repo,
        file=str(file),
        document=document,
        text=shown,
        approved=trust.holds(approvals(row.repo), shown),
    )


def approvals(repo: str) -> str:
    """Under which name approvals of a repo's dev containers are kept: apart from the others."""
    return f"devcontainer {repo}"


def approve(what: Asked) -> None:
    """Keep the approval of exactly that. Raises MooringError if it can't be kept."""
    trust.approve(approvals(what.repo), what.text, int(time.time()))


def compose(row: Row, config: str = "") -> Composed:
    """The repo's devcontainer.json with what the workspace's container needs.

    Raises MooringError if there is none, nobody has approved it (exit 4), or it can't be one's.
    """
    what = asked(row, config)
    if not what.approved:
        words = ("devcontainer", "trust", *row.words, *(("--config", config) if config else ()))
        raise MooringError(
            f"Cannot use the dev container of {row.topic!r}: it is not approved, and could run "
            "commands on this host",
            command("mooring", *words, note="shows it, and asks"),
            kind=Kind.NOT_APPROVED,
        )
    place = _place(row)
    directory = str(Path(what.file).parent)
    digest = composing.digest(what.document, place, text_digest(what.text))
    override = composing.override(what.document, directory, place, _passed(row), digest)
    return Composed(file=what.file, override=override, digest=digest, place=place)


def printed(row: Row, config: str = "") -> dict[str, Any]:
    """The composed document, for whoever makes the container without us; what it mounts is there.

    Raises MooringError as `compose`.
    """
    found = compose(row, config)
    _prepare(found.place, row)
    return found.override


def up(row: Row, report: Report, *, recreate: bool = False, config: str = "") -> Made:
    """Have the workspace's dev container running, by the real ``devcontainer up``.

    Raises MooringError if it isn't approved (exit 4), can't be made, or would have to be made anew
    and `recreate` doesn't say so.
    """
    program = _program(row)
    found = compose(row, config)
    old = _digests(row)
    if old and not recreate and found.digest not in old:
        raise MooringError(
            f"Cannot use the dev container of {row.topic!r}: it was made from something else",
            command("mooring", "devcontainer", "up", *row.words, "--recreate"),
        )
    file = override_file(row)
    _prepare(found.place, row)
    _put(file, composing.dump(found.override).encode())
    argv = [program, "up", *options(row, file), "--config", found.file, *_lock(found.file)]
    if recreate:
        argv.append("--remove-existing-container")
    report(f"devcontainer up {row.topic}: its log is {_log(file)}")
    answer = _run(argv, row, _log(file))
    return Made(
        container=answer["containerId"], user=answer.get("remoteUser", ""), override=str(file)
    )


def inside(what: Start, row: Row) -> Start:
    """The same, started in the workspace's dev container: its values travel by name, not in argv.

    Nothing of the worktree is read, which whoever is in there could have changed. Raises
    MooringError if no dev container was made.
    """
    program, file = _program(row), override_file(row)
    content = safely.read(file)
    listed = _listed(row)
    if content is None or not listed:
        raise MooringError(
            f"Cannot enter the dev container of {row.topic!r}: it has none",
            command("mooring", "devcontainer", "up", *row.words),
        )
    env = {
        name: value
        for name, value in container.variables(what, row).items()
        if not name.startswith("GIT_CONFIG_")  # the container has its own (see override)
    }
    document = json.loads(content)
    document["remoteEnv"] = composing.remote(document["remoteEnv"], env)
    _put(file, composing.dump(document).encode())
    outside.note_inside(row, row.worktree)
    argv = (program, "exec", *options(row, file), *what.argv)
    stop = container.stopping(listed[0].split()[0], env)
    return replace(what, argv=argv, env={**os.environ, **env}, stop=stop)


def down(row: Row) -> int:
    """Remove the workspace's dev container. Returns how many there were.

    What it alone had of Claude's stays. Raises MooringError if the engine refuses.
    """
    ids = [line.split()[0] for line in _listed(row)]
    if ids:
        _docker("rm", "--force", "--volumes", *ids)
    return len(ids)


def init(directory: Path, image: str = "") -> list[Path]:
    """Write a devcontainer.json for a repo that has none. Returns what was written.

    Without an image it comes with a Dockerfile. Raises MooringError if there is one already.
    """
    there = next(_candidates(directory), None)
    if there is not None:
        raise MooringError(f"Cannot write a devcontainer.json: there is {there} already")
    files = {NAMES[0]: _OF_IMAGE.format(name=json.dumps(image))}
    if not image:
        files = {f"{FOLDER}/Dockerfile": _DOCKERFILE, NAMES[0]: _OF_BUILD}
    try:
        (directory / FOLDER).mkdir(exist_ok=True)
        for name, text in files.items():
            with (directory / name).open("x") as file:
                file.write(text)
    except OSError as error:
        raise MooringError(f"Cannot write {error.filename}: {error.strerror}") from None
    return [directory / name for name in files]


_DOCKERFILE = """\
FROM debian:stable-slim
RUN apt-get update \\
    && apt-get install --yes --no-install-recommends \\
        ca-certificates curl git openssh-client procps \\
    && rm -rf /var/lib/apt/lists/*
"""
_OF_BUILD = """\
{
    // The Development Containers specification says what can be here.
    "build": {"dockerfile": "Dockerfile"},
    "remoteUser": "root"
    // "postCreateCommand": "make setup"
}
"""
_OF_IMAGE = """\
{{
    // The Development Containers specification says what can be here.
    "image": {name}
    // "postCreateCommand": "make setup"
}}
"""


def override_file(row: Row) -> Path:
    """Where a workspace's composed devcontainer.json is: beside what its container alone has."""
    return _private(row) / "devcontainer.json"


def options(row: Row, file: Path) -> tuple[str, ...]:
    """What tells the CLI which workspace is meant, by each of its verbs."""
    named = (word for label in _labels(row) for word in ("--id-label", label))
    return ("--workspace-folder", row.worktree, "--override-config", str(file), *named)


def _labels(row: Row) -> tuple[str, ...]:
    """What tells its dev container from others, and from a plain container of the workspace."""
    topic, worktree = f"mooring.topic={row.topic}", f"mooring.worktree={row.worktree}"
    return (topic, worktree, "mooring.kind=devcontainer")


def _private(row: Row) -> Path:
    root = Path(os.path.realpath(Path.home() / ".local/share/mooring"))
    return root / private(row.key)


def _log(file: Path) -> Path:
    return file.with_name("devcontainer.log")


def _program(row: Row) -> str:
    found = shutil.which("devcontainer")
    if found is None:
        raise MooringError(
            f"Cannot use the dev container of {row.topic!r}: there is no `devcontainer` here",
            INSTALL,
        )
    return found


def _find(row: Row, config: str) -> Path:
    worktree = Path(row.worktree)
    if config:
        named = Path(os.path.normpath(worktree / config))
        if not named.is_relative_to(worktree):
            raise usage(f"Cannot use {config} as a devcontainer.json: it is not in the worktree")
        return named
    found = list(_candidates(worktree))
    if not found:
        raise MooringError(
            f"Cannot use a dev container for {row.topic!r}: its repo has no devcontainer.json",
            command("mooring", "devcontainer", "init", "--repo", row.worktree),
        )
    if len(found) > 1 and str(found[0].relative_to(worktree)) not in NAMES:
        names = [str(one.relative_to(worktree)) for one in found]
        raise MooringError(
            f"Cannot tell which dev container is meant: {', '.join(names)}",
            command("mooring", "devcontainer", "up", *row.words, "--config", names[0]),
        )
    return found[0]


def _candidates(directory: Path) -> Iterator[Path]:
    yield from (directory / name for name in NAMES if os.path.lexists(directory / name))
    yield from sorted((directory / FOLDER).glob("*/devcontainer.json"))


def _inside(worktree: Path, path: Path) -> Path:
    """The file that a path of the repo leads to. Raises MooringError for none, or one outside."""
    found = Path(os.path.realpath(path))
    if not found.is_relative_to(os.path.realpath(worktree)):
        raise MooringError(f"Cannot use {path}: it leads out of the worktree")
    if not found.is_file():
        raise MooringError(f"Cannot use {path}: there is no such file")
    return found


def _sections(worktree: Path, file: Path, text: bytes, document: dict[str, Any]) -> Iterator[str]:
    """The file, and what of the repo it is known to build from or run on the host."""
    seen = {file}
    yield _section(worktree, file, text)
    for path in _related(worktree, file, document):
        if path not in seen:
            seen.add(path)
            if len(seen) > MOST_FILES:
                raise MooringError(
                    f"Cannot use {file}: there are more than {MOST_FILES} files with it"
                )
            yield _section(worktree, path, _inside(worktree, path).read_bytes())


def _related(worktree: Path, file: Path, document: dict[str, Any]) -> Iterator[Path]:
    if named := composing.dockerfile(document):
        yield Path(os.path.normpath(file.parent / named))
        if not _within(worktree, file.parent / composing.context(document)):
            raise MooringError(f"Cannot use {file}: what it builds leads out of the worktree")
    if _lock_file(file).is_file():
        yield _lock_file(file)
    for word in composing.scripts(document):
        path = Path(os.path.normpath(worktree / word))
        if word and _within(worktree, path) and path.is_file():
            yield path
    for directory, directories, names in os.walk(worktree / FOLDER):
        directories.sort()
        yield from (Path(directory, name) for name in sorted(names))


def _within(worktree: Path, path: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(worktree))


def _section(worktree: Path, path: Path, content: bytes) -> str:
    """A file as a person reads it; what is no text, or long, by its sum."""
    name = path.relative_to(worktree)
    try:
        body = content.decode() if len(content) <= composing.MAX_BYTES else ""
    except UnicodeDecodeError:
        body = ""
    if content and (not body or "\0" in body):
        body = f"({len(content)} bytes, sha256 {sha256(content).hexdigest()})"
    return f"== {name}\n{body}{'' if body.endswith(chr(10)) else f'{chr(10)}(no newline)'}\n"


def _lock(file: str) -> tuple[str, ...]:
    """A lock file of the repo's is kept to, and none is written into the worktree."""
    return ("--frozen-lockfile",) if _lock_file(Path(file)).exists() else ("--no-lockfile",)


def _lock_file(file: Path) -> Path:
    """Where the CLI keeps the digests of features."""
    dot = "." if file.name.startswith(".") else ""
    return file.with_name(f"{dot}devcontainer-lock.json")


def _passed(row: Row) -> Iterator[str]:
    """Variables that a shell there gets from who starts it, as far as that has them now."""
    ours = {*own_variables(row), *row.passes}
    return (name for name in os.environ if name in ours or PASSED.fullmatch(name))


def _place(row: Row) -> Place:
    """Where the workspace is. Raises MooringError if git doesn't know it as a worktree."""
    common = git_dir_of(row)
    place = Path(os.path.realpath(common)) if common else None
    admin = _admin(place, row.worktree) if place else None
    if place is None or admin is None:
        raise MooringError(
            f"Cannot use a dev container for {row.topic!r}: git does not know {row.worktree}",
            command("mooring", "resume", *row.words, "--launch", "none"),
        )
    _check_config(row, place)
    spec = spec_of(row)
    checkout = row.source if row.source.startswith("/") else str(place)
    guard = [value for name, value in guard_settings(row) if name == "core.hooksPath"]
    return Place(
        worktree=row.worktree,
        common=str(place),
        admin=str(admin),
        guarded=(*_guarded(Path(row.worktree), place, admin), *guard),
        private=str(_private(row) / "claude"),
        store=os.path.realpath(transcripts.store()),
        share="none" if row.store else spec.share,
        project=(transcripts.slug(row.worktree), transcripts.slug(checkout)),
        claude=_claude(spec.provide),
        settings=(("safe.directory", "*"), *guard_settings(row)),
    )


def _admin(common: Path, worktree: str) -> Path | None:
    """Git's own directory of a worktree (gitrepository-layout(5))."""
    for admin in sorted((common / "worktrees").glob("*")):
        said = safely.read(admin / "gitdir", 8192) or b""
        pointer = os.fsdecode(said).rstrip("\n")
        if pointer and os.path.realpath(admin / pointer) == os.path.realpath(f"{worktree}/.git"):
            return admin
    return None


_COMMON = ("config", "config.worktree", "hooks", "info", "modules", "worktrees")
_ADMIN = ("gitdir", "commondir", "config.worktree")


def _guarded(worktree: Path, common: Path, admin: Path) -> Iterator[str]:
    """What of git's the container can't write: whatever chooses a program that runs outside."""
    for name in ("hooks", "info", "modules"):
        (common / name).mkdir(exist_ok=True)
    asks = git(str(common), "config", "--type", "bool", "--get", "extensions.worktreeConfig")
    for place in (common, admin) if asks == ["true"] else ():
        (place / "config.worktree").touch(exist_ok=True)  # git reads it
    modules = sorted((admin / "modules").glob("*"))
    for path in (admin / "modules", *modules):
        if path.is_symlink():
            raise MooringError(f"Cannot keep a container from changing {path}: it is a symlink")
    for path in (
        *(common / name for name in _COMMON),
        *(admin / name for name in _ADMIN),
        *(module / name for module in modules for name in ("config", "hooks")),
        worktree / ".git",
    ):
        if path.is_symlink():
            raise MooringError(f"Cannot keep a container from changing {path}: it is a symlink")
        if path.exists():
            yield str(path)


_TOLD = re.compile(
    r"http\..*extraheader |.*://([^/@ ]*:[^/@ ]*|gh[a-z]_[^/@ ]*|github_pat_[^/@ ]*|glpat-[^/@ ]*)@"
)


def _check_config(row: Row, common: Path) -> None:
    """Raise MooringError where the container would see a token in the repo's config."""
    pattern = r"^(remote\..*url|http\..*extraheader)$"
    argv = ["git", "config", "--file", str(common / "config"), "--no-includes", "--get-regexp"]
    done = subprocess.run([*argv, pattern], capture_output=True, text=True, check=False)
    told = [line.split(" ")[0] for line in done.stdout.splitlines() if _TOLD.match(line)]
    if told:
        raise MooringError(
            f"Cannot use a dev container for {row.topic!r}: {told[0]} in {common}/config holds a "
            "password or token, which everything in there could read",
            command("git", "config", "--file", f"{common}/config", told[0], "URL"),
        )


def _claude(provide: str) -> str:
    """The host's Claude, where it is one program; '' if it isn't to be mounted."""
    program = shutil.which("claude") if provide != "image" else None
    real = os.path.realpath(program) if program else ""
    elf = bool(real) and (safely.read(Path(real), 4) or b"") == b"\x7fELF"
    if provide == "host" and not elf:
        raise MooringError(
            "Cannot mount Claude: this host has none that is one program",
            "npm install -g @anthropic-ai/claude-code",
        )
    return real if elf else ""


def _prepare(place: Place, row: Row) -> None:
    """Have what is mounted there, made by us, so that it doesn't become root's."""
    mine, store = Path(place.private), Path(place.store)
    for directory in (mine.parent, mine):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (mine / ".claude.json").exists():
        _put(mine / ".claude.json", _settings(place.worktree))
    entries = mounts.entries(place.share)
    names = ["projects", *(one.name for one in entries if one.access != "copy")]
    if place.share == "workspace":
        own, repos = place.project
        for path in (f"projects/{own}", f"projects/{repos}", f"projects/{repos}/memory"):
            if (store / path).is_symlink():
                raise MooringError(f"Cannot mount {store / path}: it is a symlink")
        names += [f"projects/{own}", f"projects/{repos}", f"projects/{repos}/memory"]
    for name in names:
        _own_directory(mine / name)
        if place.share != "none":
            (store / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    if place.share != "none":
        container.bring(row, place.worktree)


def _settings(worktree: str) -> bytes:
    """What Claude has to know so that its first start there asks nothing."""
    trusted = {worktree: {"hasTrustDialogAccepted": True}}
    return json.dumps({"hasCompletedOnboarding": True, "projects": trusted}).encode()


def _own_directory(path: Path) -> None:
    """A directory, where a container that is gone by now may have put something else."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    path.mkdir(mode=0o700, exist_ok=True)


def _put(path: Path, content: bytes) -> None:
    """Write a file for its owner alone, at once or not at all, and not through a symlink."""
    handle, stage = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    Path(stage).rename(path)


def _run(argv: list[str], row: Row, log: Path) -> dict[str, Any]:
    """What the CLI answers. Raises MooringError, with its own words, where that is no success."""
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as said:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, check=False
        )
    try:
        answer = json.loads(done.stdout.decode(errors="replace").strip().split("\n")[-1])
    except ValueError:
        answer = {}
    if isinstance(answer, dict) and answer.get("outcome") == "success":
        return answer
    why = answer.get("description") or answer.get("message") or f"it ended with {done.returncode}"
    raise MooringError(
        f"Cannot make the dev container of {row.topic!r}: {why}", command("cat", str(log))
    )


def _digests(row: Row) -> list[str]:
    """What each dev container of the workspace was made from: '' for one that nobody knows."""
    return [line.partition(" ")[2] for line in _listed(row)]


def _listed(row: Row) -> list[str]:
    form = '{{.ID}} {{.Label "mooring.digest"}}'
    filters = (word for label in _labels(row) for word in ("--filter", f"label={label}"))
    return _docker("ps", "--all", "--no-trunc", *filters, "--format", form).splitlines()


def _docker(*args: str) -> str:
    try:
        done = subprocess.run(["docker", *args], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise MooringError("Cannot look for dev containers: there is no `docker` here") from None
    if done.returncode:
        raise MooringError(f"Cannot run docker {args[0]}: {done.stderr.strip()}", "docker info")
    return done.stdout
