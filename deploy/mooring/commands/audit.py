"""`mooring files audit`: what a checkout has that git doesn't, and a `files:` section for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from .. import config
from ..errors import MooringError, command
from ..files.categories import Row, compiled, proposed
from ..files.formats import ACTIONS, Entry, with_lists
from ..spec import Layers, Rule, merge
from .lookup import repo_here
from .places import cwd, main_checkout, main_git_dir
from .spec_file import content
from .untracked import look

Report = Callable[[str], None]


class Audit(msgspec.Struct, frozen=True):
    """What is proposed for a main checkout."""

    checkout: str
    rows: list[Row]
    files: dict[str, list[Entry]]
    """The new entries of `files:`, by action."""
    notes: list[str]


def audit(repo: str | None, report: Report) -> Audit:
    """Look at the main checkout of a repo and propose what a workspace gets of it.

    Raises MooringError for what is no checkout on this host, or a mooring.yaml that can't be read.
    """
    checkout = checkout_of(repo)
    if not f"{cwd()}/".startswith(f"{os.path.realpath(checkout)}/"):
        report(f"(looking at the main checkout: {checkout})")
    rules = compiled(_rules(checkout))
    seen = look(checkout, main_git_dir(checkout), report)
    rows = [proposed(one, rules) for one in seen.found]
    notes = [*seen.notes, *_hints(rows)]
    return Audit(str(checkout), rows, _entries(rows), notes)


def checkout_of(repo: str | None) -> Path:
    """The main checkout that is named or stood in. Raises MooringError if there is none here."""
    checkout = main_checkout(repo_here(repo))
    if not checkout.is_absolute() or not (checkout / ".git").is_dir():
        raise MooringError(
            f"Cannot look at {checkout}: it is no main checkout of a repo on this host",
            "mooring files audit --repo PATH",
        )
    return checkout


def _rules(checkout: Path) -> tuple[Rule, ...]:
    """What is said already: by the repo's file, the user's own, and a `.worktreeinclude`."""
    user = config.load_user(config.user_directory(), "").user
    repo = config.parse(content(checkout), str(checkout / "mooring.yaml"))
    platform = os.uname().sysname.lower()
    layers = Layers(user=user, repo=repo, platform=platform)
    texts = {path: content(checkout, path) for path in layers.lists}
    layers = with_lists(layers, texts)
    return merge(layers, content(checkout, ".worktreeinclude")).rules


def _entries(rows: list[Row]) -> dict[str, list[Entry]]:
    found = {
        action: [row.entry for row in rows if row.entry and row.action == action]
        for action in ACTIONS
    }
    return {action: entries for action, entries in found.items() if entries}


def _hints(rows: list[Row]) -> Iterator[str]:
    for line in dict.fromkeys(row.hint for row in rows if row.hint):
        yield f"hint: {command('echo', line)} >> .gitignore"
