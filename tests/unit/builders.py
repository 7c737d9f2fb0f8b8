"""Values that the unit tests build on: a record, a request and an observed target, by hand."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec

from mooring.facts import container, files, repo
from mooring.facts import record as record_file
from mooring.facts.container import Engine
from mooring.facts.files import Files
from mooring.facts.repo import Repo
from mooring.facts.session import Session, Transcript
from mooring.facts.target import Target
from mooring.facts.workspace import Observed
from mooring.facts.worktree import Registered, Worktree
from mooring.model import Record, Request, State
from mooring.spec import Layers, Spec, merge

ROOT = "/home/robin/.local/share/mooring"
SHOP = "/home/robin/src/shop"
COMMON = f"{SHOP}/.git"
PATH = f"{SHOP}.worktrees/fix-login"
ADMIN = f"{COMMON}/worktrees/fix-login"
IDENTITY = "example.com/robin/shop"
SESSION = "00000000-0000-4000-8000-000000000001"
STORE = "/home/robin/.claude"
BASE = "1" * 40
TIP = "2" * 40
SEEN = "3" * 40
REMOTE = "4" * 40
SUM = "a" * 64
EDITED = "b" * 64


def a_record(**changes: Any) -> Record:
    """The record of a workspace that is whole."""
    record = Record(
        target="00000000-0000-4000-8000-00000000000a",
        repo=IDENTITY,
        source=SHOP,
        agent="dev",
        topic="fix-login",
        state=State.READY,
        worktree=PATH,
        branch="fix-login",
        owns_branch=True,
        base="main",
        start=BASE,
        commit=SEEN,
        session=SESSION,
        ports={"PORT": 20001},
        created=1000,
        updated=1000,
        by="robin@laptop",
    )
    return msgspec.structs.replace(record, **changes)


def a_request(**changes: Any) -> Request:
    """What `mooring new fix-login --repo ~/src/shop` asks for."""
    return Request(**{"topic": "fix-login", "repo": SHOP, **changes})


def a_spec(layers: Layers | None = None, include: bytes = b"") -> Spec:
    """The spec of a repo whose files say nothing, unless given."""
    return merge(layers or Layers(), include)


def a_repo(**changes: Any) -> Repo:
    """A main checkout on main, with one commit."""
    said = {
        "repo": SHOP,
        "common": COMMON,
        "checkout": SHOP,
        "default": PATH,
        "problem": "",
        "head": "refs/heads/main",
        "base": "main",
        "branch": "fix-login",
    }
    known = {"base_commit": BASE, "refs": {"refs/heads/main": BASE}}
    return msgspec.structs.replace(repo.parse(said, IDENTITY), **{**known, **changes})


def a_worktree(**changes: Any) -> Worktree:
    """Nothing at the path, nothing registered, nobody asked for a scan."""
    return msgspec.structs.replace(Worktree(PATH, "", None, (), "", False, None), **changes)


def registered(**changes: Any) -> Registered:
    """Git's registration of the worktree at the workspace's path, on its branch."""
    found = Registered(PATH, ADMIN, "refs/heads/fix-login", True, "")
    return msgspec.structs.replace(found, **changes)


def elsewhere(name: str, **changes: Any) -> Registered:
    """Git's registration of another worktree, on a branch of the same name."""
    found = Registered(
        f"{SHOP}.worktrees/{name}", f"{COMMON}/worktrees/{name}", f"refs/heads/{name}", True, ""
    )
    return msgspec.structs.replace(found, **changes)


def some_files(**changes: Any) -> Files:
    """No patterns, and nothing in the workspace."""
    return msgspec.structs.replace(files.parse({"source_root": SHOP}, []), **changes)


TRANSCRIPT = f"{STORE}/projects/-home-robin/{SESSION}.jsonl"


def a_session(*paths: str, **changes: Any) -> Session:
    """What the store has: a transcript at each path, and else nothing."""
    found = Session(
        store=STORE,
        own_store=STORE,
        transcripts=tuple(Transcript(path, 1, 2000) for path in paths),
        unreadable=(),
        held=None,
        events=(),
        running=(),
        cleaned=0,
        linked=False,
        settings=None,
        kept_settings=None,
        source_settings=None,
    )
    return msgspec.structs.replace(found, **changes)


def an_engine(**changes: Any) -> Engine:
    """An engine that nobody asked for anything."""
    return msgspec.structs.replace(container.parse({}, ()), **changes)


def observed(**changes: Any) -> Observed:
    """A target with git and direnv, a repo, and no trace of the workspace."""
    target = Target("id", ROOT, "/usr/bin/direnv", "/usr/bin/git", "linux", "host")
    nouns = (a_worktree(), some_files(), a_session(), an_engine())
    seen = Observed(target, a_repo(), None, "", *nouns)
    return _seen(seen, changes)


def _seen(seen: Observed, changes: dict[str, Any]) -> Observed:
    """The same with those changes; a record stands in a file as this Mooring writes it."""
    if record := changes.get("record"):
        text = record_file.text(record).encode()
        changes = {"record_sum": sha256(text).hexdigest()} | changes
    elif "record" in changes:
        changes = {"record_sum": ""} | changes
    return msgspec.structs.replace(seen, **changes)


def a_whole_one(**changes: Any) -> Observed:
    """A target where the workspace is there, as its record says."""
    refs = {"refs/heads/main": BASE, "refs/heads/fix-login": TIP}
    there = a_worktree(kind="dir", registered=registered())
    seen = observed(record=a_record(), repo=a_repo(refs=refs), worktree=there)
    return _seen(seen, changes)
