"""The spec: what a workspace should be, as types, merged from its layers.

Precedence: overrides > repo > user > defaults. What comes from the repo is kept apart where it
could run code or choose what runs: nobody has approved it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec

from .document import (
    AgentSpec,
    Command,
    Container,
    File,
    FilesSpec,
    GitSpec,
    Secret,
    Symlink,
    Template,
    When,
)
from .errors import MooringError
from .paths import ends_escaping, is_inside, pattern_problem

MAX_BYTES = 1048576
DISPOSABLE = (
    "node_modules",
    ".venv",
    "venv",
    "target",
    "dist",
    "build",
    "__pycache__",
    "*.pyc",
    ".direnv",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".tox",
    ".gradle",
    ".next",
    ".turbo",
    ".DS_Store",
)
"""Ignored files that are rebuilt anyway, as gitignore patterns; they don't stop an `end`."""


SESSION = ("overrides", "--set")
"""The layers that are one session's own."""
RECORDED = ("mooring.yaml", "--set")
"""The layers that come from the target: they choose nothing of what the controller has."""


class Layers(msgspec.Struct, frozen=True):
    """The files that make a Spec, each already checked, and where they are to hold."""

    user: File = File()
    repo: File = File()
    overrides: File = File()
    set: File = File()
    """What `--set` said, over the overrides."""
    agent: str = "dev"
    texts: dict[str, bytes] = {}
    """Templates of the user's config directory, by path there."""
    listed: dict[str, FilesSpec] = {}
    """What the files that `files.from` names list, by path, as far as they were looked at."""
    platform: str = ""
    ci: bool = False
    approved: bool = False
    """Whether a person has approved what of the repo's could run."""
    place: str = ""
    """`host` or `container`, where somebody said which; '' is the container, if there is one."""

    def named(self) -> tuple[tuple[str, File], ...]:
        """Each by the name of its file, the strongest last."""
        return (
            ("config.yaml", self.user),
            ("mooring.yaml", self.repo),
            ("overrides", self.overrides),
            ("--set", self.set),
        )

    @property
    def session(self) -> File:
        """The session's own: its overrides, and over them what `--set` said."""
        return over(self.overrides, self.set)

    @property
    def lists(self) -> dict[str, str]:
        """Files of the repo whose entries count too, and where that is said."""
        return {
            path: f"{name}: files.from" for name, file in self.named() for path in file.files.lists
        }

    def holds(self, when: When) -> bool:
        """Whether a rule does."""
        return (
            when.platform in ("", self.platform)
            and when.agent in ("", self.agent)
            and when.ci in (None, self.ci)
            and when.container in (None, self.contained)
        )

    @property
    def contained(self) -> bool:
        """Whether the workspace is to have a container."""
        return self.place != "host" and any(file.container for _, file in self.named())


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of `files`, with where it stands."""

    action: str
    """`copy`, `template`, `symlink` or `skip`."""
    src: str
    """A path in the main checkout; of a pattern, that."""
    root: str = "main"
    """Where `src` is (see document.Copy); '' for the default of a `copy`."""
    tracked: bool = False
    clone: str = ""
    """How a `copy` is made (see document.Copy)."""
    dest: str = ""
    """Its path in the workspace; '' for a pattern: each file keeps its own."""
    mode: str = ""
    optional: bool = False
    where: str
    """`mooring.yaml: files.copy[0]`."""
    override: bool = False
    """Whether it is one of the session's own."""

    @property
    def plain_name(self) -> str:
        """Of a pattern that is a plain path of ours, that; else ''."""
        name = self.src.strip("/")
        plain = not self.dest and not re.search(r"[*?\[!]", name) and is_inside(name)
        return name if plain and not self.where.startswith(".worktreeinclude") else ""


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """What a workspace should be. `env` has templates in its values, not yet rendered."""

    base: str
    branch: str
    env: dict[str, str]
    trusted_env: dict[str, str]
    """The part of `env` that needs no approval any more, or never did."""
    recorded_env: dict[str, str]
    """What of `env` the record keeps for those who don't read the repo: approved, or by `--set`."""
    secrets: dict[str, Secret]
    texts: dict[str, bytes]
    """Templates of the user's own config directory, by path there."""
    setup: tuple[Command, ...]
    container: Container | None
    """The container; None for none, and for what of it nobody approved."""
    to_contain: Container | None
    """The same with what of it nobody approved yet."""
    share: str
    provide: str
    """How Claude is in a container (see document.ClaudeSpec)."""
    claude_args: list[str]
    ports: tuple[str, ...]
    disposable: tuple[str, ...]
    patterns: tuple[str, ...]
    """What git is asked for, as gitignore patterns."""
    rules: tuple[Rule, ...]
    lists: dict[str, str]
    """Files of the repo whose entries are among the rules, and where that is said."""
    required: dict[str, str]
    """Paths that have to be there at last, and where that is said."""
    filter: str
    sparse: tuple[str, ...]
    submodules: bool
    guard: bool
    """Whether commits with a rendered secret are refused (see document.FilesSpec)."""
    git: GitSpec
    held_back: tuple[str, ...]
    """Keys of the repo's file that have no effect."""
    to_approve: dict[str, object]
    """What of the repo's file could run, by key: it needs a person's approval."""

    @property
    def dockerfile(self) -> str:
        """The file of the repo that the container's image is built from, '' where none is."""
        build = self.to_contain.build if self.to_contain else None
        return build.dockerfile if build else ""

    @property
    def watched(self) -> tuple[str, ...]:
        """What the probe says of, or for `text:` says.

        `main:`, `sum:` and `text:` are paths of the repo, `at:` others of the target, `here:` and
        `mode:` of the workspace; `skip:` are patterns that no directory may hold which is
        brought whole.
        """
        names = [f"text:{path}" for path in self.lists]
        if self.dockerfile:
            names += [f"text:{self.dockerfile}"]
        for rule in self.rules:
            if rule.action == "symlink":
                names += [f"{_kind(rule)}:{rule.src}", f"here:{rule.dest}"]
            elif rule.action == "copy" and rule.root == "target":
                names += [f"at:{rule.src}", f"here:{rule.dest}"]
            elif rule.action == "copy" and rule.dest:
                elsewhere = rule.tracked or rule.dest != rule.src
                names += [f"main:{rule.src}", *([f"sum:{rule.src}"] if elsewhere else [])]
                names += [f"here:{rule.dest}"]
            elif rule.action == "copy" and rule.plain_name:
                names += [f"main:{rule.plain_name}"]
            elif rule.action == "template":
                names += [f"here:{rule.dest}", *_text(rule)]
        names += [
            f"mode:{rule.dest}" for rule in self.rules if rule.mode or rule.action == "template"
        ]
        names += [f"skip:{rule.src}" for rule in self.rules if rule.action == "skip"]
        return _unique([*names, *(f"here:{path}" for path in self.required)])


def _kind(rule: Rule) -> str:
    return "at" if rule.root == "target" else "main"


def _text(rule: Rule) -> list[str]:
    return [f"text:{rule.src}"] if rule.root == "main" else []


def merge(layers: Layers, include: bytes = b"") -> Spec:
    """One Spec from its layers and a `.worktreeinclude` file's content."""
    user, repo, top = layers.user, layers.repo, layers.session
    rules = tuple(_rules(layers))
    here = ("", "main", "controller")
    copied = [rule for rule in rules if rule.action == "copy" and rule.root in here]
    patterns = [f"/{rule.src}" if rule.dest else rule.src for rule in copied]
    mine = user.agents.get(layers.agent, AgentSpec()).git
    to_approve = {
        "env": repo.env,
        "secrets": repo.secrets,
        "setup": repo.setup,
        "claude.args": repo.claude.args,
        "container": repo.container if layers.contained else None,
        "claude.share": repo.claude.share,
    }
    never = {"git": repo.git != GitSpec(), "agents": repo.agents}
    approved = repo if layers.approved else File()
    git = _over(user.git, mine, top.git)
    who = _git_env(git)
    return Spec(
        base=top.base or repo.base or user.base,
        branch=top.branch or repo.branch or user.branch,
        env={**user.env, **repo.env, **top.env, **who},
        trusted_env={**user.env, **approved.env, **top.env, **who},
        recorded_env={
            name: value
            for name, value in {**approved.env, **layers.set.env}.items()
            if name in layers.set.env or name not in top.env
        },
        texts=layers.texts,
        secrets={**user.secrets, **repo.secrets, **top.secrets},
        setup=tuple(_commands(layers)),
        container=_container(user, approved, top) if layers.contained else None,
        to_contain=_container(user, repo, top) if layers.contained else None,
        share=top.claude.share or approved.claude.share or user.claude.share or "all",
        provide=top.claude.provide or approved.claude.provide or user.claude.provide,
        claude_args=[*user.claude.args, *approved.claude.args, *top.claude.args],
        ports=_unique(["", *user.ports, *repo.ports, *top.ports]),
        disposable=_unique([*DISPOSABLE, *user.disposable, *repo.disposable, *top.disposable]),
        patterns=_unique([*patterns, *_pattern_lines(include)]),
        rules=(*rules, *_included(include)),
        lists=layers.lists,
        required={
            path: f"{name}: files.required[{index}]"
            for name, file in layers.named()
            for index, path in enumerate(file.files.required)
        },
        filter=top.cache.filter or repo.cache.filter or user.cache.filter,
        sparse=_unique(top.checkout.sparse or repo.checkout.sparse or user.checkout.sparse),
        submodules=all(file.checkout.submodules for file in (user, repo, top)),
        guard=_guards(layers),
        git=git,
        held_back=tuple(
            name
            for name, value in {**({} if layers.approved else to_approve), **never}.items()
            if value
        ),
        to_approve={name: value for name, value in to_approve.items() if value},
    )


def _guards(layers: Layers) -> bool:
    """The session has the last word; else a repo can't take back what its user asks for."""
    said = layers.session.files.guard
    return bool(layers.user.files.guard or layers.repo.files.guard) if said is None else said


def _container(*files: File) -> Container | None:
    found: Container | None = None
    for file in files:
        if file.container:
            found = _contain(found or Container(), file.container)
    return found


def _contain(low: Container, high: Container) -> Container:
    """Both as one: lists are appended; where the image is from, the higher alone says."""
    silent = Container()
    if high.image or high.build:
        low = msgspec.structs.replace(low, image="", build=None)
    fields: dict[str, Any] = {
        name: [*getattr(low, name), *getattr(high, name)]
        if isinstance(getattr(silent, name), list)
        else getattr(high, name) or getattr(low, name)
        for name in silent.__struct_fields__
    }
    return Container(**fields)


def _commands(layers: Layers) -> Iterator[Command]:
    for _, file in layers.named():
        for entry in file.setup:
            yield Command(entry) if isinstance(entry, str) else entry


def _sections(layers: Layers) -> Iterator[tuple[str, str, FilesSpec]]:
    """Each layer's `files` and the lists that it names, with what stands before an entry's name."""
    for name, file in layers.named():
        yield name, f"{name}: files.", file.files
        for path in file.files.lists:
            yield name, f"{path}: ", layers.listed.get(path, FilesSpec())


def _rules(layers: Layers) -> Iterator[Rule]:
    for name, place, files in _sections(layers):
        for action, entries in (
            ("copy", files.copy),
            ("template", files.template),
            ("symlink", files.symlink),
            ("skip", files.skip),
        ):
            for index, entry in enumerate(entries):
                where = f"{place}{action}[{index}]"
                own = name in SESSION
                if isinstance(entry, str):
                    path = entry.strip("/") if action == "symlink" else ""
                    src = path or entry
                    yield Rule(action=action, src=src, dest=path, where=where, override=own)
                elif layers.holds(entry.when):
                    if name in RECORDED and entry.root in ("user", "target"):
                        raise MooringError(
                            f"Cannot use {where}: root: {entry.root} is for your own config"
                        )
                    yield Rule(
                        action=action,
                        src=entry.src,
                        dest=entry.dest or entry.src,
                        root=entry.root,
                        tracked=getattr(entry, "tracked", False),
                        mode="" if isinstance(entry, Symlink) else entry.mode,
                        clone=getattr(entry, "clone", ""),
                        optional=not isinstance(entry, Template) and entry.optional,
                        where=where,
                        override=own,
                    )


def _included(include: bytes) -> Iterator[Rule]:
    for number, line in enumerate(_pattern_lines(include), 1):
        yield Rule(action="copy", src=line, where=f".worktreeinclude: pattern {number}")


S = TypeVar("S", bound=msgspec.Struct)


def over(low: S, high: S) -> S:
    """Both as one: dicts are merged, lists appended, sections go field by field.

    Of anything else `high` has the say, unless it says nothing.
    """
    silent = type(high)()
    fields = {
        name: _both(getattr(low, name), getattr(high, name), getattr(silent, name))
        for name in high.__struct_fields__
    }
    return type(high)(**fields)


def _both(low: Any, high: Any, silent: Any) -> Any:
    if isinstance(silent, msgspec.Struct):
        return over(low, high)
    if isinstance(low, Container) and isinstance(high, Container):
        return _contain(low, high)
    if isinstance(silent, dict):
        return {**low, **high}
    if isinstance(silent, list):
        return [*_items(low), *_items(high)]
    return low if high == silent else high


def _items(found: str | list[Any]) -> list[Any]:
    """A list; of one thing that stands without, that."""
    return [found] if isinstance(found, str) else found


def _over(*layers: GitSpec) -> GitSpec:
    """Each value from the last layer that has it."""
    merged = GitSpec()
    for layer in layers:
        given = {name: getattr(layer, name) for name in layer.__struct_fields__}
        merged = msgspec.structs.replace(merged, **{k: v for k, v in given.items() if v})
    return merged


def _git_env(git: GitSpec) -> dict[str, str]:
    """What beats every config file, also the repo's own: git's variables for who commits."""
    return {
        f"GIT_{role}_{field}": value
        for field, value in (("NAME", git.name), ("EMAIL", git.email))
        for role in ("AUTHOR", "COMMITTER")
        if value
    }


def _unique(items: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))


def _pattern_lines(include: bytes) -> Iterator[str]:
    """The patterns of a `.worktreeinclude`, which has the format of a gitignore(5) file."""
    if len(include) > MAX_BYTES or b"\0" in include:
        raise MooringError("Cannot read .worktreeinclude: it is not a small text file")
    for number, line in enumerate(include.decode("utf-8", "surrogateescape").split("\n"), 1):
        if line.strip() and not line.startswith("#"):
            pattern = _trimmed(line)
            problem = pattern_problem(pattern)
            if problem:
                raise MooringError(
                    f"Cannot read .worktreeinclude line {number}: {pattern!r} {problem}",
                    "gitignore(5) has the format",
                )
            yield pattern


def _trimmed(line: str) -> str:
    """A line without what stands behind its pattern; a space behind a backslash is a part of it."""
    pattern = line.rstrip()
    return f"{pattern} " if ends_escaping(pattern) and line != pattern else pattern


_NAME = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")


def render(template: str, names: dict[str, str], where: str) -> str:
    """Replace each ``{{ name }}``. Raises MooringError for an unknown name or other template code.

    Deliberately no template engine: these strings come from repos that nobody has approved.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise MooringError(f"Cannot render {where}: there is no {name!r}{hint}")
        return names[name]

    if "{{" in _NAME.sub("", template) or "{%" in template:
        raise MooringError(f"Cannot render {where}: only {{{{ name }}}} is known here")
    return _NAME.sub(value, template)
