"""Which untracked files a workspace gets, and which rule decides for each. Pure.

Of several rules for one path the first of these decides: skip, one of the session's own overrides,
template, copy, symlink. Two that are alike in this are an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from itertools import accumulate
from typing import TYPE_CHECKING

import msgspec

from ..errors import MooringError, command
from ..model import Record
from ..paths import NEW
from ..spec import Rule, Spec
from .sources import ELSEWHERE, Matcher, Placed, found, rights

if TYPE_CHECKING:
    from ..facts.workspace import Observed

BEHIND = "-> elsewhere"
"""The state of what is behind a symlink."""
ACTIONS = ("template", "copy", "symlink")
"""The stronger first."""


class Choice(msgspec.Struct, frozen=True):
    """What came of the rules."""

    placed: tuple[Placed, ...]
    notes: tuple[str, ...]
    """What a person should know of the others."""
    edited: tuple[str, ...]
    """What is to be said of those that stay as somebody made them."""
    skipped: tuple[tuple[str, Rule], ...]
    """Paths that a rule leaves out, with it."""


def choose(spec: Spec, observed: Observed) -> Choice:
    """The files to bring. Raises MooringError where two rules contradict each other."""
    notes: list[str] = []
    items = found(spec, observed, notes)
    skips = Matcher(rule for rule in spec.rules if rule.action == "skip")
    skipped = {item.dest: rule for item in items if (rule := skips.of(item.dest))}
    chosen = _decided((item for item in items if item.dest not in skipped), spec)
    _check_shown(chosen, observed)
    edited = tuple(_edited(chosen, observed))
    return Choice(tuple(chosen), tuple(notes), edited, tuple(sorted(skipped.items())))


def _check_shown(chosen: list[Placed], observed: Observed) -> None:
    """Raise MooringError for what would have to be hidden in the main checkout too."""
    for item in chosen:
        if item.dest in observed.files.shown and (item.action != "copy" or item.dest != item.src):
            raise MooringError(
                f"Cannot {item.action} {item.src} to {item.dest}: git shows an untracked "
                f"{item.dest} in the main checkout, and what hides ours would hide it there too",
                f"{command('echo', f'/{item.dest}')} >> .gitignore",
            )


def check_tracked(placed: Iterable[Placed], observed: Observed) -> None:
    """Raise MooringError for a destination that git has in the base commit, or below a file."""
    tracked = observed.files.in_base
    for item in placed:
        if item.root == "tracked" or item.dest.endswith("/"):
            continue
        *above, itself = accumulate(item.dest.split("/"), lambda path, name: f"{path}/{name}")
        what = f"Cannot {item.action} {item.src} to {item.dest} ({item.rule.where})"
        if itself in tracked:
            raise MooringError(f"{what}: the repo tracks it")
        for path in above:
            if tracked.get(path) == "blob":
                raise MooringError(f"{what}: {path} is a file or a symlink that the repo tracks")


def _decided(items: Iterable[Placed], spec: Spec) -> list[Placed]:
    """One for each destination. Raises MooringError for two of the same rank."""
    best: dict[str, list[Placed]] = {}
    for item in items:
        alike = best.setdefault(item.dest.rstrip("/"), [])
        if not alike or _rank(item) < _rank(alike[0]):
            alike[:] = [item]
        elif _rank(item) == _rank(alike[0]) and _source(item) != _source(alike[0]):
            alike.append(item)
    for dest, (one, *others) in best.items():
        if others:
            patterns = _patterns(spec)
            raise MooringError(
                f"Cannot {one.action} both {one.src} and {others[0].src} to {dest}: "
                f"{_where(one, patterns)} and {_where(others[0], patterns)} name one destination"
            )
    decided = {dest: one for dest, (one,) in best.items()}
    _check_nested(decided, spec)
    return list(decided.values())


def _patterns(spec: Spec) -> Matcher:
    return Matcher(rule for rule in spec.rules if rule.action == "copy" and not rule.dest)


def _where(item: Placed, patterns: Matcher) -> str:
    """What the rule is called. Of patterns, git has only said that one of them selects the file."""
    return (item.rule if item.rule.dest else patterns.of(item.src) or item.rule).where


def _source(item: Placed) -> tuple[str, str]:
    """The same for what comes from the main checkout as such, whether or not a rule says so."""
    return (item.rule.root if item.rule.root in ELSEWHERE else "", item.src)


def _check_nested(best: Mapping[str, Placed], spec: Spec) -> None:
    """Raise MooringError where one destination is in another; patterns have theirs from git."""
    for dest, item in best.items():
        above = accumulate(dest.split("/")[:-1], lambda path, name: f"{path}/{name}")
        other = next((best[path] for path in above if path in best), None)
        if other and other.rule != item.rule and (other.rule.dest or item.rule.dest):
            patterns = _patterns(spec)
            raise MooringError(
                f"Cannot {item.action} {item.src} to {item.dest}: {_where(other, patterns)} brings "
                f"{other.src} to {other.dest}, which {_where(item, patterns)} is then in"
            )


def _rank(item: Placed) -> tuple[bool, int]:
    return (not item.rule.override, ACTIONS.index(item.action))


def known(dest: str, observed: Observed, record: Record | None) -> str:
    """What we wrote there last, as `state` has it: recorded, or by a run that didn't finish."""
    there = state(dest, observed)
    sums = (there, sha256(there.encode("utf-8", "surrogateescape")).hexdigest())  # of a link
    if any((dest, sum_) in observed.files.provisioned for sum_ in sums):
        return there
    files = record.files if record else {}
    if there == "other" and files.get(f"{dest}/") == state(f"{dest}/", observed) != "":
        return there  # a directory that we brought as one thing
    return files.get(dest, "")


def _edited(chosen: list[Placed], observed: Observed) -> Iterator[str]:
    for item in chosen:
        there = state(item.dest, observed)
        last = known(item.dest, observed, observed.record)
        if item.root == "tracked" and not last:
            continue
        if there and there not in (item.sum, last):
            newer = last and last != item.sum and item.action != "symlink"
            also = f"; what its source is now: {item.dest}{NEW}" if newer else ""
            if newer and item.dest.endswith("/"):
                also = "; its source has changed since: --force takes that, and keeps a copy"
            if there == BEHIND:
                why = "it is behind a symlink in the workspace: take that away, and run again"
            elif there == "other":
                why = "something else is there: --force replaces that, and keeps a copy"
            elif not last:
                why = "the worktree has one itself"
            else:
                why = f"it was edited in the workspace{also}"
            yield f"kept as it is: {item.dest} ({why})"


def renders(dest: str, placed: Iterable[Placed], observed: Observed) -> bool:
    """Whether a template makes that file, and nobody edited what it came to."""
    ours = state(dest, observed) in ("", known(dest, observed, observed.record))
    return ours and any(item.dest == dest and item.action == "template" for item in placed)


def without_links(observed: Observed, spec: Spec) -> Observed:
    """The same as if the links that we made, and that no rule wants any more, were gone already."""
    files, record = observed.files, observed.record
    wanted = {rule.dest for rule in spec.rules if rule.action == "symlink"}
    copied = set(files.sources.values())
    gone = tuple(
        path
        for path, leads in (record.files if record else {}).items()
        if leads.startswith("-> ") and leads not in copied and path not in wanted
        if state(path, observed) == leads
    )
    if not gone:
        return observed

    def stays(path: str) -> bool:
        return not any(is_at_or_below(path, link) for link in gone)

    there = {key: to for key, to in files.there.items() if stays(key.removeprefix("here:"))}
    changes = msgspec.structs.replace(
        files,
        obsolete=gone,
        behind=frozenset(filter(stays, files.behind)),
        present={path: sum_ for path, sum_ in files.present.items() if stays(path)},
        there={**{key: to for key, to in files.there.items() if key[:5] != "here:"}, **there},
    )
    return msgspec.structs.replace(observed, files=changes)


def is_at_or_below(path: str, place: str) -> bool:
    """Whether a path is that place, or in it."""
    return f"{path.rstrip('/')}/".startswith(f"{place}/")


def loose(item: Placed, observed: Observed) -> bool:
    """Whether others may do more with the file than its mode says."""
    most, there = rights(item), observed.files.modes.get(item.dest, 0)
    return bool(most) and bool(there & ~int(most, 8) & 0o777)


def state(dest: str, observed: Observed) -> str:
    """What the workspace has there: a sha256, `-> ` and a path, `other`; '' for nothing."""
    files = observed.files
    if dest in files.behind:
        return BEHIND
    leads = files.there.get(f"here:{dest}")
    return leads or files.present.get(dest, "") or ("" if leads is None else "other")


def table(spec: Spec, observed: Observed) -> list[dict[str, str]]:
    """Each path with its action, its state, its source and the rule that decided."""
    choice, patterns = choose(spec, observed), _patterns(spec)
    rows = [
        {
            "path": item.dest,
            "action": item.action,
            "state": _compared(item, observed),
            "source": item.src,
            "rule": _where(item, patterns),
        }
        for item in choice.placed
    ]
    rows += [
        {"path": path, "action": "skip", "state": "-", "source": "", "rule": rule.where}
        for path, rule in choice.skipped
    ]
    brought = {item.dest for item in choice.placed}
    rows += [
        {
            "path": path,
            "action": "required",
            "state": "missing" if observed.worktree.registered else "unknown",
            "source": "",
            "rule": spec.required[path],
        }
        for path in missing(spec, observed)
        if path not in brought
    ]
    return sorted(rows, key=lambda row: row["path"])


def _compared(item: Placed, observed: Observed) -> str:
    """`there`, `missing`, `outdated` (its source has changed), `edited` or `mode`."""
    there = state(item.dest, observed)
    if not there:
        return "missing"
    if there == item.sum:
        return "mode" if loose(item, observed) else "there"
    return "outdated" if there == known(item.dest, observed, observed.record) else "edited"


def missing(spec: Spec, observed: Observed) -> dict[str, str]:
    """Required paths that the workspace doesn't have, with what is known of each.

    Of a workspace that isn't there yet: all of them.
    """
    said = {}
    for path, where in spec.required.items():
        if f"here:{path}" in observed.files.there:
            continue
        rules = [rule for rule in spec.rules if rule.dest == path and rule.action in ACTIONS]
        pattern = Matcher(rule for rule in spec.rules if not rule.dest).of(path)
        places = [(rule.where, rule.src) for rule in rules]
        if pattern:
            places.append((pattern.where, path))
        main = observed.repo.checkout
        looked = [f"{rule} looks for {main}/{src}" for rule, src in places]
        said[path] = f"{where} wants {path}; " + ("; ".join(looked) or "no rule brings it")
    return said
