"""What each rule of `files` finds for a workspace: templates, copies, links. Pure.

Which of them counts where several want one place is decided in rules.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import msgspec

from ..claude import hooks
from ..environment import context, context_names
from ..errors import MooringError, command
from ..model import Record, State
from ..paths import is_inside
from ..selection import owns_settings
from ..spec import Rule, Spec
from . import templates

if TYPE_CHECKING:
    from ..facts.workspace import Observed


class Placed(msgspec.Struct, frozen=True):
    """One file or directory to bring.

    `sum` is the sha256 of its content; of a symlink, `-> ` and where it leads; of a template ''
    until it is rendered.
    """

    action: str
    src: str
    dest: str
    mode: str
    sum: str
    rule: Rule
    text: str = ""
    """Of a template, that."""
    root: str = ""
    """Of a `copy` where its source is, if that isn't the main checkout (see document.Copy)."""
    clone: str = ""
    source: str = ""
    """Of a directory of the controller its sum there; the two hosts may not count alike."""
    secrets: tuple[str, ...] = ()
    """The names of those that it asks for."""


def rights(item: Placed) -> str:
    """The octal mode that a file is to have at most, '' for any.

    A rendered one with a secret is nobody else's.
    """
    if item.action != "template":
        return item.mode[-3:]
    mode = item.mode[-3:] or "644"
    return f"{mode[0]}00" if item.secrets else mode


class Matcher:
    """The last pattern of gitignore(5) that matches a path decides."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        last_first = list(rules)[::-1]
        self._compiled: list[tuple[Any, Rule]] = []
        if last_first:
            from pathspec import GitIgnoreSpec  # only where there are patterns to match

            self._compiled = [(GitIgnoreSpec.from_lines([rule.src]), rule) for rule in last_first]

    def of(self, path: str) -> Rule | None:
        """The rule whose pattern selects a path, None if there is none."""
        return next((rule for spec, rule in self._compiled if spec.match_file(path)), None)


def found(spec: Spec, observed: Observed, notes: list[str]) -> list[Placed]:
    """All that the rules find; what they don't is added to the notes.

    Raises MooringError for a template that can't be rendered.
    """
    placed = [*_templates(spec, observed), *_others(spec, observed, notes)]
    if observed.files.root:
        placed += _copies(spec, observed, notes)
    elif any(rule.action == "copy" and rule.root not in ELSEWHERE for rule in spec.rules):
        notes.append(
            f"no files were copied: {observed.repo.source} has no main checkout on the target, and "
            "the command doesn't run in one either"
        )
    return [*placed, *_links(spec, observed, notes)]


def _templates(spec: Spec, observed: Observed) -> Iterator[Placed]:
    rules = [rule for rule in spec.rules if rule.action == "template"]
    for rule in rules:
        names = context_names(_env(rule, spec), spec.ports)
        text = _text(rule, spec, observed)
        secrets = tuple(sorted(templates.needed(text, rule.src, names, spec.secrets).secrets))
        item = Placed(
            "template", rule.src, rule.dest, rule.mode, "", rule, text=text, secrets=secrets
        )
        record = observed.record
        same = record and record.rendered.get(rule.dest) == ingredients(
            item, spec, record, observed.target.name
        )
        made = record.files.get(rule.dest, "") if record and same else ""
        yield msgspec.structs.replace(item, sum=made)


def _env(rule: Rule, spec: Spec) -> dict[str, str]:
    """What a template may name: the user's own one nothing of the repo's that nobody approved."""
    return spec.trusted_env if rule.root == "user" else spec.env


def _text(rule: Rule, spec: Spec, observed: Observed) -> str:
    found = spec.texts.get(rule.src) if rule.root == "user" else observed.files.texts.get(rule.src)
    if found is None:
        where = observed.repo.checkout or f"{observed.repo.base} of the repo"
        place = "your config directory" if rule.root == "user" else where
        raise MooringError(
            f"Cannot render {rule.dest}: there is no {rule.src} in {place} ({rule.where})"
        )
    try:
        return found.decode()
    except UnicodeDecodeError:
        raise MooringError(f"Cannot render {rule.src}: it is not UTF-8") from None


def ingredients(item: Placed, spec: Spec, record: Record, target: str) -> str:
    """A sha256 over all that goes into a rendered file but the values of secrets."""
    if record.state is State.ENDED or not record.ports:
        return ""
    names = context(_env(item.rule, spec), spec.ports, record, target)
    used = templates.needed(item.text, item.src, names, spec.secrets)
    inputs: tuple[Any, ...] = (
        item.text if item.dest != hooks.SETTINGS else [item.text, hooks.COMMAND, hooks.EVENTS],
        item.mode,
        {name: names[name] for name in sorted(used.names)},
        {name: spec.secrets[name] for name in sorted(used.secrets)},
    )
    return sha256(msgspec.json.encode(inputs)).hexdigest()


def rendered(
    item: Placed, spec: Spec, record: Record, target: str, secrets: Mapping[str, str]
) -> str:
    """What a template comes to in a workspace. Raises MooringError if it comes to nothing."""
    names = context(_env(item.rule, spec), spec.ports, record, target)
    text = templates.render(item.text, names, secrets, item.src)
    return _composed(text, item) if item.dest == hooks.SETTINGS else text


def _composed(text: str, item: Placed) -> str:
    """Claude's settings with our hooks."""
    settings = hooks.merged(hooks.parse(text.encode("utf-8", "surrogateescape")))
    if settings is None:
        raise MooringError(
            f"Cannot render {item.src} to {item.dest}: it is not JSON that hooks can be added to"
        )
    return hooks.dump(settings)


def _copies(spec: Spec, observed: Observed, notes: list[str]) -> Iterator[Placed]:
    files = observed.files
    rules = [rule for rule in spec.rules if rule.action == "copy" and rule.root not in ELSEWHERE]
    named: dict[str, list[Rule]] = {}
    for rule in rules:
        if rule.dest:
            named.setdefault(rule.src, []).append(rule)
    patterns = [rule for rule in rules if not rule.dest]
    own = Matcher(rule for rule in patterns if rule.override)
    weaker = [rule for rule in patterns if not rule.override] or patterns
    for path in files.matched:
        if path == hooks.SETTINGS and owns_settings(observed):
            continue  # composed with our hooks instead
        problem = _no_copy(path, observed)
        if problem:
            notes.append(f"not copied: {path} ({problem})")
            if problem == _SHOWN:
                notes[-1] += f"\nhint: {command('echo', f'/{path}')} >> .gitignore"
            continue
        strongest = own.of(path)
        for rule in _named(path, named) or ([strongest] if strongest else weaker[-1:]):
            yield _copy(path, rule, files.sources[path], observed)
    for rule in patterns:
        if not _is_there(rule, observed):
            there = f"main:{rule.plain_name}" in files.there
            why = _HAS_IT if there else f"{files.root} has no such file"
            notes.append(f"not copied: {rule.src} ({why})")
    for name, of_name in named.items():
        if any(_is_in(path, name) for path in files.matched):
            continue
        if f"main:{name}" in files.there:
            yield from _tracked(name, of_name, observed, notes)
        elif not any(rule.optional for rule in of_name):
            notes.append(f"not copied: {name} ({files.root} has no such file)")


def _is_there(rule: Rule, observed: Observed) -> bool:
    """Whether a pattern that is a plain name selects anything; any other need not."""
    name = rule.plain_name
    if name in ("", hooks.SETTINGS):
        return True
    ways = (f"/{path}" for path in observed.files.matched)
    return any(f"/{name}/" in f"{way}/" for way in ways)


_HAS_IT = "git tracks it, so that the worktree has it, or it is an empty directory"
ELSEWHERE = ("user", "target")
"""Roots of a source that isn't in a checkout."""


def _others(spec: Spec, observed: Observed, notes: list[str]) -> Iterator[Placed]:
    """Of the user's config directory, and of other places on the target."""
    for rule in spec.rules:
        if rule.action != "copy" or rule.root not in ELSEWHERE:
            continue
        key = rule.src if rule.root == "target" else f"user:{rule.src}"
        found = observed.files.elsewhere.get(key)
        if found:
            yield Placed("copy", rule.src, rule.dest, rule.mode, found, rule, root=rule.root)
        elif not rule.optional:
            place = "the target" if rule.root == "target" else "your config directory"
            notes.append(f"not copied: {rule.src} ({place} has no such file)")


def _tracked(
    name: str, rules: list[Rule], observed: Observed, notes: list[str]
) -> Iterator[Placed]:
    """A file that git has: at its own place the worktree has it too, if perhaps another one."""
    found = observed.files.elsewhere.get(f"sum:{name}", "")
    for rule in rules:
        if rule.tracked and found and observed.repo.checkout:
            yield Placed("copy", name, rule.dest, "", found, rule, root="tracked")
        elif rule.dest != name and found:
            yield _copy(name, rule, found, observed)
        elif not rule.optional:
            why = "git tracks it, so that the worktree has it; tracked: true brings this one"
            if rule.dest != name:
                why = "git tracks it, and of that only a plain file can be brought elsewhere"
            notes.append(f"not copied: {name} ({why})")


def _named(path: str, named: Mapping[str, list[Rule]]) -> list[Rule]:
    """The rules that name the path, or a directory that it is in."""
    return [rule for name, rules in named.items() if _is_in(path, name) for rule in rules]


def _is_in(path: str, name: str) -> bool:
    return path == name or path.startswith(f"{name}/")


def _copy(path: str, rule: Rule, source: str, observed: Observed) -> Placed:
    if rule.mode and path.endswith("/"):
        raise MooringError(
            f"Cannot copy {path} with mode {rule.mode}: that is for files ({rule.where})"
        )
    dest = rule.dest + path[len(rule.src) :] if rule.dest else path
    mode = "" if source.startswith("-> ") else rule.mode
    # Where the target has no main checkout, the one is meant where the command runs.
    root = rule.root if observed.repo.checkout else "controller"
    if root == "controller" and rule.clone:
        raise MooringError(f"Cannot hard-link {path}: it is on another host ({rule.where})")
    item = Placed("copy", path, dest, mode, source, rule, root=root, clone=rule.clone)
    if root != "controller" or not path.endswith("/"):
        return item
    record = observed.record
    same = record and record.rendered.get(dest) == source
    last = record.files.get(dest, "") if record and same else ""
    return msgspec.structs.replace(item, sum=last, source=source)


def directories(spec: Spec, items: Iterable[Placed]) -> list[tuple[str, str]]:
    """The directories that were selected as such, of which only files are placed: (src, dest).

    One of the controller is where it came to with the script: behind `//` and its root.
    """
    matcher = Matcher(rule for rule in spec.rules if rule.action == "copy" and not rule.dest)
    found: dict[tuple[str, str], None] = {}
    for item in items:
        if item.action != "copy" or item.src.endswith("/"):
            continue
        root = "//controller/" if item.root == "controller" else ""
        if item.rule.dest and item.src != item.rule.src:
            found[root + item.rule.src, item.rule.dest] = None
        elif not item.rule.dest:
            above = accumulate(item.src.split("/")[:-1], lambda path, name: f"{path}/{name}")
            top = next((path for path in above if matcher.of(f"{path}/")), "")
            found |= {(root + top, top): None} if top else {}
    return list(found)


def _links(spec: Spec, observed: Observed, notes: list[str]) -> Iterator[Placed]:
    main = observed.repo.checkout
    for rule in spec.rules:
        if rule.action != "symlink":
            continue
        if rule.dest in (hooks.SETTINGS, ".claude"):
            raise MooringError(
                f"Cannot link {rule.dest}: Mooring writes {hooks.SETTINGS} there, with its hooks "
                f"({rule.where})",
                "a copy or a template of it has them added",
            )
        to, key = f"{main}/{rule.src}", f"main:{rule.src}"
        if rule.root == "target":
            to, key = rule.src, f"at:{rule.src}"
        if rule.src in observed.files.outside and rule.root != "target":
            notes.append(f"not linked: {rule.src} (it leads out of the repo)")
        elif key in observed.files.there:
            yield Placed("symlink", rule.src, rule.dest, "", f"-> {to}", rule, root=rule.root)
        elif not rule.optional:
            place = (
                "the target has no such file"
                if rule.root == "target"
                else ("the main checkout has no such file" if main else "there is no main checkout")
            )
            notes.append(f"not linked: {rule.src} ({place})")


_SHOWN = "git would show it"


def _no_copy(path: str, observed: Observed) -> str:
    if path.startswith('"') or not is_inside(path.removesuffix("/")):
        return "its name cannot be carried safely"
    if path in observed.files.outside:
        return f"this leads out of the repo: {observed.files.outside[path]}"
    if path not in observed.files.sources:
        return "it is no plain file, or can't be read"
    if path not in observed.files.ignored:
        return _SHOWN
    return ""
