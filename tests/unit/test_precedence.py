"""Which rule decides, for any set of rules: against an oracle that is nothing but docs/files.md."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from mooring.config import parse
from mooring.errors import MooringError
from mooring.files.rules import Choice, choose
from mooring.spec import Layers, Spec, merge
from tests.unit.builders import SUM, observed, some_files

LAYERS = {"user": "config.yaml", "repo": "mooring.yaml", "overrides": "overrides", "set": "--set"}
"""The layers of a spec, the strongest last, and what the rules of each are called."""
OWN = ("user", "overrides")
"""Those that may name what is in the user's config directory."""
SESSION = ("overrides", "set")
ACTIONS = ("template", "copy", "symlink")
FILES = ("a", "b", "d/e", "d/f", "many/")
"""What the main checkout has; of `many` so much that it is one thing."""
NAMES = ("a", "b", "d", "d/e", "many")
TEXTS = ("a", "b")
"""What is also a template, or in the user's config directory."""
DESTS = ("x", "y", "y/z", "a", "d", "d/e", "many")

Documents = dict[str, dict[str, list[Any]]]
"""The `files` of each layer."""

COMMON = settings(
    max_examples=400,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],  # add Phase.shrink to look at a failure
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


class Brought(NamedTuple):
    """What one rule would bring to one place."""

    dest: str
    level: tuple[bool, int]
    """The less, the stronger."""
    action: str
    source: tuple[str, str]
    where: str


def placed(src: st.SearchStrategy[str], **more: Any) -> st.SearchStrategy[dict[str, str]]:
    return st.fixed_dictionaries({"src": src, "dest": st.sampled_from(DESTS), **more})


def sections(layer: str) -> st.SearchStrategy[dict[str, list[Any]]]:
    """The `files` of one layer, a few entries of each kind."""
    names, texts = st.sampled_from(NAMES), st.sampled_from(TEXTS)
    anchored = names.map("/{}".format)
    copies = [anchored, placed(names)]
    templates = [placed(texts)]
    if layer in OWN:
        copies.append(placed(texts, root=st.just("user")))
        templates.append(placed(texts, root=st.just("user")))
    return st.fixed_dictionaries(
        {
            "copy": st.lists(st.one_of(copies), max_size=2),
            "template": st.lists(st.one_of(templates), max_size=1),
            "symlink": st.lists(placed(names), max_size=1),
            "skip": st.lists(st.sampled_from(DESTS).map("/{}".format), max_size=1),
        }
    )


def documents() -> st.SearchStrategy[Documents]:
    return st.fixed_dictionaries({layer: sections(layer) for layer in LAYERS})


def spec(given: Documents) -> Spec:
    files: dict[str, Any] = {
        layer: parse(json.dumps({"files": section}).encode(), LAYERS[layer])
        for layer, section in given.items()
    }
    return merge(Layers(**files, texts=dict.fromkeys(TEXTS, b"text")))


def decided(rules: Spec) -> Choice:
    """What comes of them where all that they name is there."""
    copied = [rule for rule in rules.rules if rule.action == "copy" and rule.root != "user"]
    selected = [path for path in FILES if any(is_in(path, rule.src) for rule in copied)]
    files = some_files(
        matched=tuple(selected),
        sources=dict.fromkeys(selected, SUM),
        ignored=frozenset(selected),
        there={f"main:{name}": "" for name in NAMES},
        texts=dict.fromkeys(TEXTS, b"text"),
        elsewhere={f"user:{name}": SUM for name in TEXTS},
    )
    return choose(rules, observed(files=files))


def is_in(path: str, name: str) -> bool:
    """Whether a path is what is named, or below it; `name` may be an anchored pattern."""
    return f"{path.rstrip('/')}/".startswith(f"{name.strip('/')}/")


def entries(given: Documents, action: str) -> Iterator[tuple[str, str, Any]]:
    """Each entry for an action with its layer and what it is called."""
    for layer in LAYERS:
        for index, entry in enumerate(given.get(layer, {}).get(action, [])):
            yield layer, f"{LAYERS[layer]}: files.{action}[{index}]", entry


def called(given: Documents) -> list[str]:
    return [where for action in ACTIONS for _, where, _ in entries(given, action)]


def all_brought(given: Documents) -> Iterator[Brought]:
    """What each rule by itself brings to each place that is not skipped."""
    skips = [pattern for _, _, pattern in entries(given, "skip")]
    for item in _brought(given):
        if not any(is_in(item.dest, pattern) for pattern in skips):
            yield item


def _brought(given: Documents) -> Iterator[Brought]:
    copies = list(entries(given, "copy"))
    named = [e["src"] for _, _, e in copies if isinstance(e, dict) and "root" not in e]
    patterns: dict[str, Brought] = {}
    for action in ACTIONS:
        for layer, where, entry in entries(given, action):
            level = (layer not in SESSION, ACTIONS.index(action))
            if isinstance(entry, str):
                for path in FILES:
                    if is_in(path, entry) and not any(is_in(path, name) for name in named):
                        bare = path.rstrip("/")
                        patterns[bare] = Brought(bare, level, action, ("main", bare), where)
                continue
            src, root = entry["src"], entry.get("root", "main")
            whole = action != "copy" or root == "user"
            for path in [src] if whole else [path for path in FILES if is_in(path, src)]:
                dest = (entry["dest"] + path[len(src) :]).rstrip("/")
                yield Brought(dest, level, action, (root, path.rstrip("/")), where)
    yield from patterns.values()


def contradictions(items: Iterable[Brought]) -> list[tuple[str, str]]:
    """Two rules each that are alike, and bring different files to one place; none is stronger."""
    items = list(items)
    best = winners(items)
    return [
        (one.where, other.where)
        for one, other in combinations(items, 2)
        if (one.dest, one.level) == (other.dest, other.level) and one.source != other.source
        if one.level == best[one.dest].level
    ]


def winners(items: Iterable[Brought]) -> dict[str, Brought]:
    best: dict[str, Brought] = {}
    for item in items:
        if item.dest not in best or item.level < best[item.dest].level:
            best[item.dest] = item
    return best


def nested(best: dict[str, Brought]) -> list[tuple[str, str]]:
    """Two rules each of which one brings something into what the other brings."""
    return [
        (one.where, other.where)
        for one in best.values()
        for other in best.values()
        if one.dest != other.dest and is_in(one.dest, other.dest) and one.where != other.where
    ]


def shown(choice: Choice) -> dict[str, tuple[str, str, str]]:
    """What is placed where."""
    found = {}
    for item in choice.placed:
        root = "user" if item.rule.root == "user" else "main"
        found[item.dest.rstrip("/")] = (item.action, root, item.src.rstrip("/"))
    assert len(found) == len(choice.placed), "two for one place"
    return found


def outcome(rules: Spec) -> dict[str, tuple[str, str, str]] | None:
    """What is placed where; None for an error."""
    try:
        return shown(decided(rules))
    except MooringError:
        return None


@COMMON
@given(given=documents())
def test_the_strongest_of_each_place_is_what_comes(given: Documents) -> None:
    items = list(all_brought(given))
    best = winners(items)
    wrong = [*contradictions(items), *nested(best)]
    event("wrong" if wrong else "right")
    if not wrong:
        found = shown(decided(spec(given)))
        assert found == {dest: (item.action, *item.source) for dest, item in best.items()}
        return
    with pytest.raises(MooringError) as caught:
        decided(spec(given))
    said = caught.value.message
    assert any(one in said and other in said for one, other in wrong)


@COMMON
@given(given=documents(), data=st.data())
def test_in_which_order_rules_stand_does_not_matter(given: Documents, data: st.DataObject) -> None:
    rules = spec(given)
    order = data.draw(st.permutations(range(len(rules.rules))))
    other = msgspec.structs.replace(rules, rules=tuple(rules.rules[index] for index in order))
    event("wrong" if outcome(rules) is None else "right")
    assert outcome(other) == outcome(rules)


@COMMON
@given(given=documents())
def test_what_is_skipped_is_nowhere_else(given: Documents) -> None:
    try:
        found = decided(spec(given))
    except MooringError:
        return
    places = {item.dest.rstrip("/") for item in _brought(given)}
    skips = {where: pattern for _, where, pattern in entries(given, "skip")}
    expected = {place for place in places if any(is_in(place, one) for one in skips.values())}
    event("some" if expected else "none")
    assert {path.rstrip("/") for path, _ in found.skipped} == expected
    assert not expected & {item.dest.rstrip("/") for item in found.placed}
    for path, rule in found.skipped:
        assert is_in(path, skips[rule.where])


@COMMON
@given(given=documents())
def test_nothing_is_in_what_another_rule_brings(given: Documents) -> None:
    try:
        found = decided(spec(given)).placed
    except MooringError:
        return
    for one in found:
        for other in found:
            if one is not other and is_in(one.dest, other.dest):
                assert one.rule == other.rule


@COMMON
@given(
    action=st.sampled_from(ACTIONS),
    layers=st.sampled_from([("user", "repo"), ("repo", "repo"), ("overrides", "set")]),
    other=documents(),
)
def test_two_that_are_alike_are_an_error_whatever_is_elsewhere(
    action: str, layers: tuple[str, str], other: Documents
) -> None:
    rest = {layer: {**section, "skip": []} for layer, section in other.items()}
    for layer, src in zip(layers, ("a", "b"), strict=True):
        rest[layer][action] = [*rest[layer][action], {"src": src, "dest": "new"}]
    assert contradictions(all_brought(rest))
    with pytest.raises(MooringError) as caught:
        decided(spec(rest))
    said = caught.value.message
    assert len([where for where in called(rest) if where in said]) == 2


LENT: Documents = {
    "repo": {"copy": ["/a"], "template": [{"src": "b", "dest": "a"}]},
    "overrides": {"copy": ["/b"]},
}
UNIT: Documents = {"repo": {"copy": ["/many"], "symlink": [{"src": "many", "dest": "many"}]}}
TWO_ROOTS: Documents = {
    "user": {"copy": [{"src": "a", "dest": "x", "root": "user"}]},
    "repo": {"copy": [{"src": "a", "dest": "x"}]},
}
SETTLED: Documents = {
    "repo": {"copy": [{"src": "a", "dest": "x"}, {"src": "b", "dest": "x"}]},
    "overrides": {"copy": [{"src": "a", "dest": "x"}]},
}


def test_a_pattern_of_the_session_lends_its_strength_to_no_other() -> None:
    placed = outcome(spec(LENT))
    assert placed == {"a": ("template", "main", "b"), "b": ("copy", "main", "b")}


def test_a_pattern_of_the_session_keeps_its_strength_beside_a_worktreeinclude() -> None:
    layers = Layers(
        repo=parse(b"files: {template: [{src: b, dest: a}]}"),
        overrides=parse(b"files: {copy: [/a]}", "overrides"),
    )
    assert outcome(merge(layers, b"/d\n")) == {
        "a": ("copy", "main", "a"),
        "d/e": ("copy", "main", "d/e"),
        "d/f": ("copy", "main", "d/f"),
    }


def test_a_directory_of_many_files_is_one_place_with_or_without_its_slash() -> None:
    assert outcome(spec(UNIT)) == {"many": ("copy", "main", "many")}


def test_files_of_one_name_from_two_roots_are_two() -> None:
    with pytest.raises(MooringError) as caught:
        decided(spec(TWO_ROOTS))
    assert sum(where in caught.value.message for where in called(TWO_ROOTS)) == 2


def test_a_stronger_rule_settles_what_two_others_contradict_each_other_in() -> None:
    assert outcome(spec(SETTLED)) == {"x": ("copy", "main", "a")}


def test_an_error_names_the_pattern_that_selects_the_file() -> None:
    given: Documents = {"repo": {"copy": ["/a", {"src": "b", "dest": "a"}, "/d"]}}
    with pytest.raises(MooringError) as caught:
        decided(spec(given))
    assert "files.copy[0] and mooring.yaml: files.copy[1]" in caught.value.message
