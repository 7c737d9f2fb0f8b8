"""`mooring cache`: what there is of shared clones, and what a person does to one of them.

Whatever is broken in a cache, a repair brings along all that is ours, or changes nothing.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.git.killing import Deadly
from tests.git.test_cache import cache_of, push
from tests.git.test_many import at_once
from tests.git.traces import ROOT, branches, head, leftovers, listing, made, rows, worktrees
from tests.support import Done, Person, commit, make_home, make_person, make_repo, need

VERBS = ("list", "fetch", "verify", "repair", "remove", "gc")
FILES = {"README.md": "# Shop\n", "app/shop.py": 'print("open")\n'}
PARK = "refs/mooring/park/dev/x/1"
OWN_NOTE = "own note\n"


@dataclass(frozen=True)
class Shared:
    """The cache of `url`, and two workspaces that share it; `repo` is a clone of the person's."""

    person: Person
    repo: Path
    url: str
    cache: Path
    places: tuple[Path, Path]

    def tend(self, verb: str, *args: str, check: bool = True) -> Done:
        return self.person.mooring("cache", verb, self.url, *args, check=check)

    def git(self, *args: str) -> str:
        """What git says of the cache."""
        return self.person.git("--git-dir", self.cache, *args).stdout

    def loose(self, name: str) -> Path:
        """The file of a loose object, by any name of it; it is in no pack from now on."""
        oid = self.git("rev-parse", name).strip()
        path = self.cache / "objects" / oid[:2] / oid[2:]
        for pack in () if path.exists() else self.cache.glob("objects/pack/*.pack"):
            away = pack.rename(self.cache / pack.name)
            pack.with_suffix(".idx").unlink()
            with away.open("rb") as packed:
                args = ["git", "--git-dir", self.cache, "unpack-objects", "-q"]
                subprocess.run(args, stdin=packed, env=self.person.env, check=True)
            away.unlink()
        return path

    def asides(self) -> list[Path]:
        """The caches that repairs put aside."""
        return sorted(self.cache.parent.glob("shop.git.broken.*"))


class Template:
    """A HOME that is made once, and put back for each test at the same place."""

    def __init__(self, base: Path) -> None:
        self._base = base
        person = make_person(make_home(base / "home"))
        repo = make_repo(person, person.home / "src/shop", FILES)
        bare = person.home / "remotes/shop.git"
        person.git("init", "--quiet", "--bare", bare)
        person.git("remote", "add", "origin", bare.as_uri(), cwd=repo)
        person.git("push", "--quiet", "--set-upstream", "origin", "main", cwd=repo)
        words = ("--repo", bare.as_uri())
        one, two = (made(person, name, *words, cwd=person.home) for name in ("one", "two"))
        self.shared = Shared(person, repo, bare.as_uri(), cache_of(person), (one, two))
        self._keep("shared")
        _make_busy(self.shared)
        self._keep("busy")

    def _keep(self, name: str) -> None:
        shutil.copytree(self.shared.person.home, self._base / name, symlinks=True)

    def put(self, name: str) -> Shared:
        """Have the HOME as it was then."""
        shutil.rmtree(self.shared.person.home)
        shutil.copytree(self._base / name, self.shared.person.home, symlinks=True)
        return self.shared


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return Template(tmp_path_factory.mktemp("template"))


@pytest.fixture
def shared(template: Template) -> Shared:
    """Two workspaces in which nobody has worked."""
    return template.put("shared")


@pytest.fixture
def busy(template: Template) -> Shared:
    """Work of every kind in both workspaces, and commits that only a park has."""
    return template.put("busy")


def _make_busy(shared: Shared) -> None:
    for number, place in enumerate(shared.places):
        _work(shared.person, place, number)
    park = shared.git("commit-tree", "one^{tree}", "-p", "one", "-m", "Parked").strip()
    shared.git("update-ref", PARK, park)


def _work(person: Person, place: Path, number: int) -> None:
    """A commit, a stash, and changes that are staged, unstaged and untracked."""
    commit(person, place, {f"own{number}.txt": f"own {number}\n"})
    (place / "README.md").write_text(f"stashed {number}\n")
    person.git("stash", cwd=place)
    (place / "app/shop.py").write_text(f"staged {number}\n")
    (place / f"new{number}.txt").write_text(f"newly staged {number}\n")
    person.git("add", ".", cwd=place)
    (place / "app/shop.py").write_text(f"unstaged {number}\n")
    (place / "untracked file").write_text(f"untracked {number}\n")


LOOKS = (
    ("status",),
    ("diff",),
    ("diff", "--cached"),
    ("log", "--all", "--format=%H %D %s"),
    ("for-each-ref",),
)
LOGS = (("stash", "list"), ("reflog", "--all"), ("log", "--walk-reflogs", "--format=%gd %gs"))


def looks(shared: Shared, commands: tuple[tuple[str, ...], ...] = LOOKS) -> list[str]:
    """What git says in each worktree."""
    return [
        shared.person.git(*command, cwd=place).stdout
        for place in shared.places
        for command in commands
    ]


def contents(shared: Shared) -> dict[str, str]:
    """Every file of the worktrees."""
    return listing(*shared.places, times=False)


def result(done: Done) -> str:
    """The one result of a `--json` answer."""
    (item,) = json.loads(done.stdout)
    return str(item["result"])


def assert_sound(shared: Shared) -> None:
    """Mooring and git agree that nothing is wrong."""
    assert result(shared.tend("verify", "--json")) == "sound"
    shared.git("fsck", "--strict", "--no-dangling")
    assert not (shared.cache / "objects/info/alternates").exists()
    assert leftovers(shared.person.home) == []


def assert_works(shared: Shared) -> None:
    """Workspaces of it come and go."""
    shared.person.mooring("new", "third", "--repo", shared.url)
    shared.person.mooring("end", "third", "--repo", shared.url)


# What it says of them


def test_help_names_every_verb(person: Person) -> None:
    said = person.mooring("cache", "--help").stdout
    assert all(f"\n  {verb} " in said for verb in VERBS)
    for verb in VERBS:
        assert person.mooring("cache", verb, "--help").stdout.startswith("Usage: ")


def test_completion_knows_every_verb(person: Person) -> None:
    words = {
        "_MOORING_COMPLETE": "bash_complete",
        "COMP_WORDS": "mooring cache ",
        "COMP_CWORD": "2",
    }
    said = person.run("mooring", env=words).stdout
    assert {line.partition(",")[2] for line in said.splitlines()} == set(VERBS)


def test_no_caches(person: Person) -> None:
    done = person.mooring("cache", "list")
    assert done.stdout == ""
    assert "no caches" in done.stderr
    assert json.loads(person.mooring("cache", "list", "--json").stdout) == []
    assert json.loads(person.mooring("cache", "verify", "--json").stdout) == []


def test_list(shared: Shared) -> None:
    (row,) = json.loads(shared.person.mooring("cache", "list", "--json").stdout)
    assert row["url"] == shared.url
    assert str(shared.cache).endswith(f"/{row['repo']}.git")
    assert row["workspaces"] == 2
    assert row["size"] > 1000
    assert (row["filter"], row["broken"]) == ("", "")
    table = shared.person.mooring("cache", "list").stdout.splitlines()
    assert table[0].split() == ["repo", "size", "workspaces", "fetched", "note"]
    assert table[1].split()[0] == row["repo"]


def test_list_counts_only_worktrees_that_are_there(shared: Shared) -> None:
    shutil.rmtree(shared.places[0])
    (row,) = json.loads(shared.person.mooring("cache", "list", "--json").stdout)
    assert row["workspaces"] == 1


def test_list_says_what_a_cache_leaves_out(person: Person, origin: str) -> None:
    bare = Path(origin.removeprefix("file://"))
    person.git("config", "uploadpack.allowFilter", "true", cwd=bare)
    made(person, "one", "--repo", origin, "--filter", "blob:none", cwd=person.home)
    (row,) = json.loads(person.mooring("cache", "list", "--json").stdout)
    assert row["filter"] == "blob:none"
    assert "without blob:none" in person.mooring("cache", "list").stdout


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "list"])
@pytest.mark.parametrize("name", ["nope", "https://git.example/no/such.git"])
def test_unknown_repo(person: Person, verb: str, name: str) -> None:
    done = person.mooring("cache", verb, name, check=False)
    assert done.returncode == 1
    assert f"Cannot {verb}: there is no cache of {name}" in done.stderr
    assert "hint: mooring cache list" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    "words", [["repair"], ["remove"], ["fetch"], ["nonsense"], ["verify", "ext::sh -c touch% x/y"]]
)
def test_wrong_usage(person: Person, words: list[str]) -> None:
    done = person.mooring("cache", *words, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_by_identity_as_well(shared: Shared) -> None:
    (row,) = json.loads(shared.person.mooring("cache", "list", "--json").stdout)
    done = shared.person.mooring("cache", "verify", row["repo"])
    assert done.stderr.strip() == f"{row['repo']}: sound"
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("verb", "word"),
    [("fetch", "fetched"), ("verify", "sound"), ("repair", "repaired"), ("gc", "packed")],
)
def test_json(shared: Shared, verb: str, word: str) -> None:
    (item,) = json.loads(shared.tend(verb, "--json").stdout)
    assert sorted(item) == ["repo", "result", "said"]
    assert item["result"] == word
    assert f": {word}" in shared.tend(verb).stderr


# Fetch


def test_fetch_follows_the_remote(shared: Shared) -> None:
    theirs = push(shared.person, shared.repo, "feature")
    shared.tend("fetch")
    assert head(shared.person, shared.cache, "refs/remotes/origin/feature") == theirs
    shared.person.git("push", "origin", "--delete", "feature", cwd=shared.repo)
    shared.tend("fetch")
    assert "origin/feature" not in shared.git("for-each-ref")
    assert sorted(branches(shared.person, shared.cache)) == ["one", "two"]


def test_fetch_says_what_was_force_pushed(shared: Shared) -> None:
    push(shared.person, shared.repo, "feature")
    shared.tend("fetch")
    shared.person.git("commit", "--amend", "-m", "Another", cwd=shared.repo)
    shared.person.git("push", "--force", "origin", "feature", cwd=shared.repo)
    assert "feature was force-pushed" in shared.tend("fetch").stderr


def test_fetch_of_all_while_one_is_away(shared: Shared) -> None:
    """Whatever the order, the others are fetched, and the one is named."""
    person = shared.person
    for name in ("aaa", "zzz"):
        place = person.home / f"remotes/{name}.git"
        person.git("clone", "--quiet", "--bare", shared.url, place)
        made(person, f"of-{name}", "--repo", place.as_uri(), cwd=person.home)
        place.rename(place.with_suffix(".away"))
    theirs = push(person, shared.repo)
    done = person.mooring("cache", "fetch", "--all", check=False)
    assert done.returncode == 1
    assert "aaa.git" in done.stderr
    assert "zzz.git" in done.stderr
    assert head(person, shared.cache, "refs/remotes/origin/main") == theirs


# Damage


def truncated_pack(shared: Shared) -> None:
    """What came from the remote is in a pack, half of which is gone."""
    objects = shared.git("rev-list", "--objects", "--remotes")
    names = "".join(f"{line.split()[0]}\n" for line in objects.splitlines())
    packs = shared.cache / "objects/pack/pack"
    shared.person.git("--git-dir", shared.cache, "pack-objects", "--quiet", packs, input=names)
    shared.git("prune-packed")
    (pack,) = packs.parent.glob("*.pack")
    pack.chmod(0o644)
    pack.write_bytes(pack.read_bytes()[: pack.stat().st_size // 2])


def remotes_object_gone(shared: Shared) -> None:
    shared.loose("origin/main:README.md").unlink()


def remotes_object_garbled(shared: Shared) -> None:
    path = shared.loose("origin/main:README.md")
    path.chmod(0o644)
    path.write_bytes(b"garbage")


def remotes_commit_gone(shared: Shared) -> None:
    shared.loose("origin/main").unlink()


def staged_object_gone(shared: Shared) -> None:
    """The worktree's file still has what was staged."""
    name = next(shared.places[0].glob("new*.txt"), None)
    if name:
        blob = shared.person.git("rev-parse", f":{name.name}", cwd=shared.places[0]).stdout.strip()
        shared.loose(blob).unlink()


def empty_ref(shared: Shared) -> None:
    """As a crash leaves one that was being written; its log has the commit."""
    assert (shared.cache / "logs/refs/heads/one").read_text()
    (shared.cache / "refs/heads/one").write_text("")


def garbage_head(shared: Shared) -> None:
    (shared.cache / "HEAD").write_text("garbage\n")


def empty_head(shared: Shared) -> None:
    (shared.cache / "HEAD").write_text("")


def garbage_config(shared: Shared) -> None:
    (shared.cache / "config").write_text("garbage [\n")


def garbage_packed_refs(shared: Shared) -> None:
    """The branches are loose, and only the remote's refs are in it."""
    (shared.cache / "packed-refs").write_text("garbage\n")


def no_objects(shared: Shared) -> None:
    shutil.rmtree(shared.cache / "objects")


def empty_cache(shared: Shared) -> None:
    shutil.rmtree(shared.cache)
    shared.cache.mkdir()


Damage = Callable[[Shared], None]


def name_of(damage: Damage) -> str:
    return damage.__name__


MENDABLE = [
    truncated_pack,
    remotes_object_gone,
    remotes_object_garbled,
    remotes_commit_gone,
    staged_object_gone,
    empty_ref,
    garbage_head,
    empty_head,
    garbage_config,
    garbage_packed_refs,
]


@pytest.mark.parametrize("damage", MENDABLE, ids=name_of)
def test_repair(busy: Shared, damage: Damage) -> None:
    before, files = looks(busy), contents(busy)
    damage(busy)
    assert result(busy.tend("repair", "--json")) == "repaired"
    assert looks(busy) == before
    assert contents(busy) == files
    assert_sound(busy)
    assert len(busy.asides()) == 1
    assert_works(busy)


@pytest.mark.parametrize(
    "damage",
    [
        truncated_pack,
        remotes_object_gone,
        no_objects,
    ],
    ids=name_of,
)
def test_repair_where_the_remote_has_all(shared: Shared, damage: Damage) -> None:
    """Nothing was committed or staged: whatever is gone can be cloned."""
    (shared.places[0] / "README.md").write_text("unstaged\n")
    (shared.places[1] / "mine.txt").write_text("untracked\n")
    before = looks(shared)
    damage(shared)
    shared.tend("repair")
    assert looks(shared) == before
    assert_sound(shared)
    assert_works(shared)


def test_repair_keeps_the_logs_as_they_are(busy: Shared) -> None:
    before = looks(busy, LOGS)
    busy.tend("repair")
    assert looks(busy, LOGS) == before


def test_repair_keeps_every_stash(busy: Shared) -> None:
    """All but the newest are in a log alone."""
    before = busy.git("log", "--walk-reflogs", "--format=%H", "refs/stash").split()
    assert len(before) == 2
    remotes_object_gone(busy)
    busy.tend("repair")
    after = busy.git("log", "--walk-reflogs", "--format=%H", "refs/stash").split()
    assert set(before) <= set(after)
    assert all("stashed" in busy.git("diff", f"{stash}^", stash) for stash in before)


def test_repair_keeps_refs_of_other_kinds(busy: Shared) -> None:
    busy.person.git("notes", "add", "-m", "A note", cwd=busy.places[0])
    busy.git("update-ref", "refs/wip/robin/1", "refs/heads/one")
    before = busy.git("for-each-ref")
    busy.tend("repair")
    assert busy.git("for-each-ref") == before


def test_repair_keeps_tags_and_what_is_under_way(busy: Shared) -> None:
    """A detached HEAD with commits of its own, in the middle of a bisect."""
    place = busy.places[1]
    tagged = busy.git("commit-tree", "two^{tree}", "-m", "Tagged").strip()
    busy.git("tag", "mine", tagged)
    busy.person.git("stash", cwd=place)
    busy.person.git("checkout", "--quiet", "--detach", cwd=place)
    commit(busy.person, place, {"detached.txt": "detached\n"})
    for words in (["start"], ["bad"], ["good", "HEAD~2"]):
        busy.person.git("bisect", *words, cwd=place)
    bisecting = busy.person.git("bisect", "log", cwd=place).stdout
    before = looks(busy, (*LOOKS, ("rev-parse", "HEAD")))
    remotes_object_gone(busy)
    busy.tend("repair")
    assert looks(busy, (*LOOKS, ("rev-parse", "HEAD"))) == before
    assert busy.person.git("bisect", "log", cwd=place).stdout == bisecting
    assert_sound(busy)


def test_repair_of_a_partial_clone(person: Person, origin: str) -> None:
    bare = Path(origin.removeprefix("file://"))
    person.git("config", "uploadpack.allowFilter", "true", cwd=bare)
    words = ("--repo", origin, "--filter", "blob:none")
    one, two = (made(person, name, *words, cwd=person.home) for name in ("one", "two"))
    shared = Shared(person, person.home, origin, cache_of(person), (one, two))
    _work(person, one, 0)
    before = looks(shared)
    shared.tend("repair")
    assert looks(shared) == before
    (row,) = (row for row in _listed(person) if not row["broken"])
    assert row["filter"] == "blob:none"
    assert result(shared.tend("verify", "--json")) == "sound"
    assert_works(shared)


def _listed(person: Person) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(person.mooring("cache", "list", "--json").stdout)
    return found


def test_what_was_put_aside_is_listed_and_counts_for_nothing(busy: Shared) -> None:
    busy.tend("repair")
    (aside,) = busy.asides()
    broken = [row["broken"] for row in _listed(busy.person)]
    assert broken.count("") == 1
    assert any(str(name).endswith(aside.name) for name in broken)
    assert len(json.loads(busy.person.mooring("cache", "verify", "--json").stdout)) == 1
    assert f"rm -rf {aside}" in busy.tend("repair").stderr or len(busy.asides()) == 2


def test_two_repairs_in_the_same_second(busy: Shared) -> None:
    date = busy.person.home / "bin/date"
    date.write_text("#!/bin/sh\necho 20260101000000\n")
    date.chmod(0o755)
    before = looks(busy)
    for _ in range(2):
        busy.tend("repair")
    assert looks(busy) == before
    assert len(busy.asides()) == 2


def own_blob_gone(shared: Shared) -> None:
    """A file that was committed in the first workspace, and nowhere else."""
    shared.loose("one:own0.txt").unlink()


def own_commit_gone(shared: Shared) -> None:
    shared.loose("refs/heads/one").unlink()


def parked_commit_gone(shared: Shared) -> None:
    shared.loose(PARK).unlink()


def stashed_gone(shared: Shared) -> None:
    """Of the older stash, which only a log has."""
    shared.loose("stash@{1}:README.md").unlink()


def staged_and_changed_since(shared: Shared) -> None:
    """What was staged is neither in the worktree nor at the remote."""
    blob = shared.person.git("rev-parse", ":app/shop.py", cwd=shared.places[0]).stdout.strip()
    shared.loose(blob).unlink()


@pytest.mark.parametrize(
    ("damage", "lost"),
    [
        (own_blob_gone, ("refs/heads/one",)),
        (own_commit_gone, ("refs/heads/one",)),
        (parked_commit_gone, (PARK,)),
        (stashed_gone, ()),
        (staged_and_changed_since, ()),
        (no_objects, ("refs/heads/one", "refs/heads/two", PARK)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_repair_refuses_what_would_lose_work(
    busy: Shared, damage: Damage, lost: tuple[str, ...]
) -> None:
    damage(busy)
    before, files = listing(busy.cache.parent, times=False), contents(busy)
    done = busy.tend("repair", check=False)
    assert done.returncode == 1
    assert f"Cannot repair {busy.url} whole" in done.stderr
    assert "it stays as it is" in done.stderr
    assert "hint: " in done.stderr
    assert all(name in done.stderr for name in lost), done.stderr
    assert listing(busy.cache.parent, times=False) == before
    assert contents(busy) == files
    assert leftovers(busy.person.home) == []


def test_repair_leaves_behind_what_it_is_told_to(busy: Shared) -> None:
    """It is in the one put aside; whatever can be read comes along."""
    before = busy.git("for-each-ref")
    own_blob_gone(busy)
    assert "--force" in busy.tend("repair", check=False).stderr
    done = busy.tend("repair", "--force")
    assert "left behind: refs/heads/one " in done.stderr
    assert len(busy.asides()) == 1
    kept = busy.git("for-each-ref").splitlines()
    gone = [line.rpartition("\t")[2] for line in before.splitlines() if line not in kept]
    assert set(gone) == {"refs/heads/one", PARK}  # which begins at that branch


@pytest.mark.parametrize("left", [0, 60])
def test_repair_of_packed_refs_that_were_cut(busy: Shared, left: int) -> None:
    """What only they had is as its log has it."""
    before = looks(busy, LOOKS[:1])
    busy.git("pack-refs", "--all")
    packed = busy.cache / "packed-refs"
    packed.write_bytes(packed.read_bytes()[:left])
    busy.tend("repair")
    heads = [line for line in looks(busy, LOOKS[:1]) if "refs/heads/" in line]
    assert heads == [line for line in before if "refs/heads/" in line]


def test_new_puts_no_work_aside(busy: Shared) -> None:
    """Of a cache that isn't one any more, since it has no HEAD."""
    before = looks(busy)
    text = (busy.cache / "HEAD").read_text()
    (busy.cache / "HEAD").unlink()
    done = busy.person.mooring("new", "third", "--repo", busy.url, check=False)
    assert done.returncode == 1
    assert f"hint: mooring cache repair {busy.url}" in done.stderr
    assert busy.asides() == []
    busy.tend("repair")
    assert text.startswith("ref: ")
    assert looks(busy) == before


def test_repair_of_an_empty_config(busy: Shared) -> None:
    (busy.cache / "config").write_text("")
    busy.tend("repair")
    busy.tend("fetch")


def test_what_was_malformed_long_ago_is_no_damage(shared: Shared) -> None:
    tree = shared.git("rev-parse", "origin/main^{tree}").strip()
    text = f"tree {tree}\nauthor A<a@x> 1 +0000\ncommitter A<a@x> 1 +0000\n\nOld\n"
    args = (
        "--git-dir",
        shared.cache,
        "hash-object",
        "-t",
        "commit",
        "-w",
        "--stdin",
        "--literally",
    )
    old = shared.person.git(*args, input=text).stdout.strip()
    shared.git("update-ref", "refs/remotes/origin/old", old)
    assert result(shared.tend("verify", "--json")) == "sound"


def test_verify_looks_at_what_is_staged(busy: Shared) -> None:
    staged_and_changed_since(busy)
    assert result(busy.tend("verify", "--json", check=False)) == "damaged"


def test_remove_refuses_a_worktree_that_was_moved_far_away(shared: Shared) -> None:
    ended(shared)
    place = made(shared.person, "far", "--repo", shared.url, cwd=shared.person.home)
    place.rename(shared.person.home / "elsewhere")
    assert "had a worktree at" in refused(shared)


def test_repair_while_the_remote_is_away(busy: Shared) -> None:
    bare = Path(busy.url.removeprefix("file://"))
    remotes_object_gone(busy)
    before = listing(busy.cache.parent, times=False)
    bare.rename(bare.with_suffix(".away"))
    done = busy.tend("repair", check=False)
    assert done.returncode == 1
    assert f"Cannot clone {busy.url}" in done.stderr
    assert listing(busy.cache.parent, times=False) == before
    bare.with_suffix(".away").rename(bare)
    busy.tend("repair")
    assert_sound(busy)


def test_repair_of_a_cache_that_is_empty(busy: Shared) -> None:
    """Nobody can know what was in it; nothing else is touched, and it is a cache again."""
    files = contents(busy)
    empty_cache(busy)
    busy.tend("repair")
    assert contents(busy) == files
    assert_sound(busy)
    assert_works(busy)
    for args in (["new", "one"], ["end", "one"]):
        done = busy.person.mooring(*args, "--repo", busy.url, check=False)
        assert done.returncode == 1
        assert "hint: " in done.stderr
    assert contents(busy) == files


def test_new_of_a_cache_that_is_empty(shared: Shared) -> None:
    empty_cache(shared)
    shared.person.mooring("new", "third", "--repo", shared.url)
    assert_sound(shared)
    assert branches(shared.person, shared.cache) == ["third"]


@pytest.mark.parametrize(
    "damage",
    [
        truncated_pack,
        remotes_object_gone,
        remotes_object_garbled,
        remotes_commit_gone,
        empty_ref,
        garbage_head,
        garbage_config,
        garbage_packed_refs,
        no_objects,
        own_blob_gone,
    ],
    ids=name_of,
)
def test_verify_of_a_damaged_cache(busy: Shared, damage: Damage) -> None:
    damage(busy)
    done = busy.tend("verify", check=False)
    assert done.returncode == 1
    assert ": damaged" in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("hint: ")]
    assert line.startswith("hint: mooring cache repair ")
    told = busy.tend("verify", "--json", check=False)
    assert told.returncode == 1
    (item,) = json.loads(told.stdout)
    assert item["result"] == "damaged"
    assert item["said"]


@pytest.mark.parametrize(
    "damage",
    [
        remotes_object_gone,
        remotes_object_garbled,
        garbage_head,
        garbage_config,
        garbage_packed_refs,
        no_objects,
    ],
    ids=name_of,
)
def test_new_on_a_damaged_cache_says_what_helps(shared: Shared, damage: Damage) -> None:
    damage(shared)
    done = shared.person.mooring("new", "third", "--repo", shared.url, check=False)
    assert done.returncode == 1
    assert f"hint: mooring cache repair {shared.url}" in done.stderr
    assert not any(line.startswith("fatal: ") for line in done.stderr.splitlines()[:1])
    assert leftovers(shared.person.home) == []


def test_new_on_a_broken_pack(busy: Shared) -> None:
    """Whether its workspace is there or not: nothing is done with what can't be read."""
    truncated_pack(busy)
    for topic, said in (("one", "its repo is damaged"), ("third", "its cache is damaged")):
        done = busy.person.mooring("new", topic, "--repo", busy.url, check=False)
        assert done.returncode == 1
        assert f"{said}: error: packfile " in done.stderr.replace("\n", " ")
        assert f"hint: mooring cache repair {busy.url}" in done.stderr
        assert len(done.stderr.splitlines()) < 10
    busy.tend("repair")
    assert made(busy.person, "third", "--repo", busy.url, cwd=busy.person.home).is_dir()


# A repair that dies, and one that is not alone


def assert_converges(shared: Shared, before: list[str]) -> None:
    """Another repair brings all of it to an end, and nothing of ours is lost."""
    shared.tend("repair")
    assert looks(shared) == before
    shared.git("fsck", "--strict", "--no-dangling")
    assert leftovers(shared.person.home) == []
    assert not Path(f"{shared.cache}.mended").exists()


def test_repair_killed_before_each_change(busy: Shared) -> None:
    before = looks(busy)
    remotes_object_gone(busy)
    deadly = Deadly(busy.person, "mv", "cp", "rm")
    call = 1
    while deadly.strikes(call, "cache", "repair", busy.url, cwd=busy.person.home):
        busy.person.mooring("new", "one", "--repo", busy.url)
        assert_converges(busy, before)
        call += 1
    assert call > 8
    assert_works(busy)


def test_repair_killed_in_the_middle(busy: Shared) -> None:
    """At every ninth git that it runs."""
    before = looks(busy)
    remotes_object_gone(busy)
    deadly, counter = Deadly(busy.person, "git"), busy.person.home / "tmp/strikes-in"
    struck = 0
    for call in range(3, 60, 9):
        if not deadly.strikes(call, "cache", "repair", busy.url, cwd=busy.person.home):
            break
        struck += 1
        counter.write_text("1000000\n")  # without one, what it says counts as git's
        assert_converges(busy, before)
    assert struck > 3


def strike_at_mv(shared: Shared, last: str) -> None:
    """A repair that is killed at the move whose target's name ends so."""
    mv = shared.person.home / "bin/mv"
    mv.write_text(f'#!/bin/sh\ncase "$*" in *{last}) kill -9 0 ;; esac\nexec {need("mv")} "$@"\n')
    mv.chmod(0o755)
    argv = ["-m", "mooring", "cache", "repair", shared.url]
    killed = subprocess.run(
        [sys.executable, *argv],
        cwd=shared.person.home,
        env=shared.person.env,
        start_new_session=True,
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -9
    mv.unlink()


@pytest.mark.parametrize("verb", ["repair", "verify", "fetch", "gc"])
def test_repair_killed_between_its_two_moves(busy: Shared, verb: str) -> None:
    before = looks(busy)
    strike_at_mv(busy, "/shop.git")
    assert not busy.cache.exists()
    busy.tend(verb)
    assert looks(busy) == before
    assert_sound(busy)


def test_new_after_a_repair_killed_between_its_two_moves(busy: Shared) -> None:
    before = looks(busy)
    strike_at_mv(busy, "/shop.git")
    assert busy.person.mooring("end", "one", "--repo", busy.url, check=False).returncode == 1
    busy.person.mooring("new", "one", "--repo", busy.url)
    assert looks(busy) == before
    assert_sound(busy)


def test_work_after_a_killed_repair_counts(busy: Shared) -> None:
    strike_at_mv(busy, ".broken.*")
    commit(busy.person, busy.places[0], {"later.txt": "later\n"})
    before = looks(busy)
    busy.tend("repair")
    assert looks(busy) == before


def meanwhile(shared: Shared, verb: str, script: str) -> None:
    """Have a script run in the first workspace when Mooring's git does `verb`, once."""
    git = shared.person.home / "bin/git"
    real, flag = git.resolve(), shared.person.home / "tmp/once"
    git.unlink()
    git.write_text(
        f'#!/bin/sh\ncase " $* " in *" {verb} "*) if [ ! -e {flag} ]; then : >{flag}\n'
        f"(cd {shared.places[0]} && PATH={real.parent}:$PATH && {script}) >/dev/null 2>&1; fi ;;"
        f' esac\nexec {real} "$@"\n'
    )
    git.chmod(0o755)


def test_a_commit_during_a_repair(busy: Shared) -> None:
    meanwhile(busy, "repack", "git commit -q -m Meanwhile --allow-empty")
    done = busy.tend("repair", check=False)
    assert done.returncode == 1
    assert "somebody has just worked in it" in done.stderr
    assert "Meanwhile" in busy.git("log", "-1", "--format=%s", "one")
    assert busy.asides() == []
    assert leftovers(busy.person.home) == []
    assert_converges(busy, looks(busy))


def test_a_staged_file_during_a_repair(busy: Shared) -> None:
    meanwhile(busy, "repack", "git add 'untracked file'")
    busy.tend("repair", check=False)
    assert (busy.person.home / "tmp/once").exists()
    said = busy.person.git("diff", "--cached", "--name-only", cwd=busy.places[0]).stdout
    assert "untracked file" in said


def test_repairs_and_fetches_at_once(busy: Shared) -> None:
    theirs = push(busy.person, busy.repo)
    before = looks(busy, LOOKS[:3])
    calls = [["cache", verb, busy.url] for verb in ("repair", "fetch", "gc", "verify") * 2]
    calls += [["new", f"at-once-{number}", "--repo", busy.url, "--fetch"] for number in range(2)]
    done = at_once(busy.person, calls, busy.person.home)
    assert [one.returncode for one in done] == [0] * 10, [one.stderr for one in done]
    assert looks(busy, LOOKS[:3]) == before
    assert head(busy.person, busy.cache, "refs/remotes/origin/main") == theirs
    assert {PARK, "refs/stash", "refs/heads/one", "refs/heads/at-once-1"} <= set(
        busy.git("for-each-ref", "--format=%(refname)").split()
    )
    assert_sound(busy)


def test_gc_beside_new_and_commits(busy: Shared) -> None:
    """Nothing that was committed, stashed or staged meanwhile is lost."""
    # Git's own prune may take a directory of objects that another git is about to write to.
    work = "{ git add log && git commit -qm $i; } 2>/dev/null"
    script = f"for i in $(seq 40); do echo $i >log; {work} || {work} || {work} || exit 1; done"
    env = busy.person.env
    working = [subprocess.Popen(["sh", "-c", script], cwd=place, env=env) for place in busy.places]
    calls = [["cache", "gc", busy.url]] * 3
    calls += [["new", f"beside-{number}", "--repo", busy.url] for number in range(4)]
    done = at_once(busy.person, calls, busy.person.home)
    assert [one.stderr for one in done if one.returncode] == []
    assert [process.wait(120) for process in working] == [0, 0]
    for branch in ("one", "two"):
        assert busy.git("rev-list", "--count", f"origin/main..{branch}").strip() == "41"
    assert len(worktrees(busy.person, busy.cache)) == 6
    assert "newly staged 0" in busy.git("show", "one:new0.txt")
    assert_sound(busy)


def test_gc_keeps_what_only_worktrees_and_logs_have(busy: Shared) -> None:
    before = looks(busy, (*LOOKS, *LOGS))
    old = 1_500_000_000
    for path in busy.cache.glob("objects/??/*"):
        subprocess.run(["touch", "-d", f"@{old}", path], check=True)
    shutil.move(busy.places[1], busy.person.home / "elsewhere")
    busy.tend("gc")
    shutil.move(busy.person.home / "elsewhere", busy.places[1])
    assert looks(busy, (*LOOKS, *LOGS)) == before
    assert not list(busy.cache.glob("objects/[0-9a-f]*/*"))
    assert_sound(busy)


# Remove


def ended(shared: Shared) -> Shared:
    """The same without its workspaces."""
    for topic in ("one", "two"):
        shared.person.mooring("end", topic, "--repo", shared.url, "--force")
    return shared


def refused(shared: Shared) -> str:
    """What a refused removal says; it must have changed nothing."""
    before = listing(shared.cache.parent, times=False)
    done = shared.tend("remove", check=False)
    assert done.returncode == 1
    assert f"Cannot remove the cache of {shared.url}" in done.stderr
    assert "hint: " in done.stderr
    assert listing(shared.cache.parent, times=False) == before
    return done.stderr


def test_remove_wholly_and_clone_afresh(shared: Shared) -> None:
    ended(shared)
    assert result(shared.tend("remove", "--json")) == "removed"
    assert not list(shared.cache.parent.glob("*"))
    assert not (shared.person.home / ROOT / "removed").exists()
    assert _listed(shared.person) == []
    assert leftovers(shared.person.home) == []
    theirs = push(shared.person, shared.repo)
    place = made(shared.person, "one", "--repo", shared.url, cwd=shared.person.home)
    assert head(shared.person, place) == theirs
    assert_sound(shared)


def test_remove_refuses_a_worktree(shared: Shared) -> None:
    shared.person.mooring("end", "two", "--repo", shared.url)
    said = refused(shared)
    assert f"a worktree uses it: {shared.places[0]}" in said
    done = shared.tend("remove", "--force", check=False)
    assert done.returncode == 1
    assert "a worktree uses it" in done.stderr
    assert shared.cache.is_dir()


def test_remove_refuses_an_unpushed_branch(shared: Shared) -> None:
    commit(shared.person, shared.places[0], {"own.txt": "own\n"})
    said = refused(ended(shared))
    assert "refs/heads/one" in said
    assert f"hint: mooring cache remove {shared.url} --force" in said


def test_remove_of_a_branch_that_was_pushed(shared: Shared) -> None:
    commit(shared.person, shared.places[0], {"own.txt": "own\n"})
    shared.person.git("push", "origin", "one", cwd=shared.places[0])
    ended(shared).tend("remove")
    assert not shared.cache.exists()


def test_remove_refuses_a_park(shared: Shared) -> None:
    shared.person.git("checkout", "--quiet", "--detach", cwd=shared.places[0])
    commit(shared.person, shared.places[0], {"own.txt": "own\n"})
    assert "refs/mooring/park/dev/one/1" in refused(ended(shared))


def test_remove_refuses_a_stash(shared: Shared) -> None:
    (shared.places[0] / "README.md").write_text("stashed\n")
    shared.person.git("stash", cwd=shared.places[0])
    assert "refs/stash" in refused(ended(shared))


def only_a_tag(shared: Shared) -> None:
    shared.git("tag", "mine", shared.git("commit-tree", "one^{tree}", "-m", "Tagged").strip())


def only_a_note(shared: Shared) -> None:
    shared.person.git("notes", "add", "-m", OWN_NOTE, cwd=shared.places[0])


def only_another_ref(shared: Shared) -> None:
    wip = shared.git("commit-tree", "one^{tree}", "-m", "Wip").strip()
    shared.git("update-ref", "refs/wip/robin/1", wip)


@pytest.mark.parametrize(
    "have",
    [only_a_tag, only_a_note, only_another_ref],
    ids=name_of,
)
def test_remove_refuses_what_other_refs_have(shared: Shared, have: Damage) -> None:
    have(shared)
    refused(ended(shared))


def test_remove_refuses_commits_of_a_worktree_that_is_gone(shared: Shared) -> None:
    shared.person.mooring("end", "two", "--repo", shared.url)
    shared.person.git("checkout", "--quiet", "--detach", cwd=shared.places[0])
    commit(shared.person, shared.places[0], {"own.txt": "own\n"})
    shutil.rmtree(shared.places[0])
    refused(shared)


def test_remove_with_force_keeps_a_bundle(busy: Shared) -> None:
    before = _own_refs(ended(busy))
    assert "refs/heads/two" in before
    assert PARK in before
    done = busy.tend("remove", "--force")
    (bundle,) = (busy.person.home / ROOT / "removed").glob("*.bundle")
    assert f"what only it had is in {bundle}" in done.stderr
    assert bundle.parent.stat().st_mode & 0o77 == 0
    assert not busy.cache.exists()
    assert [
        line
        for line in _restored(busy, bundle).splitlines()
        if "/log/" not in line and "/mooring/stash/" not in line
    ] == before.splitlines()
    assert leftovers(busy.person.home) == []
    place = made(busy.person, "one", "--repo", busy.url, cwd=busy.person.home)
    busy.person.git("fetch", bundle, "+refs/*:refs/kept/*", cwd=place)
    assert busy.git("show", "refs/kept/heads/one:own0.txt") == "own 0\n"


def _own_refs(shared: Shared) -> str:
    return shared.git("for-each-ref", "refs/heads", "refs/mooring", "refs/stash")


def _restored(shared: Shared, bundle: Path) -> str:
    """The refs of a new repo that has nothing but the bundle."""
    there = shared.person.home / "restored.git"
    shared.person.git("init", "--quiet", "--bare", there)
    shared.person.git("fetch", "--quiet", bundle, "+refs/*:refs/*", cwd=there)
    shared.person.git("fsck", "--strict", cwd=there)
    return shared.person.git("for-each-ref", cwd=there).stdout


def test_the_bundle_has_tags_and_every_stash(busy: Shared) -> None:
    only_a_tag(busy)
    stashes = busy.git("log", "--walk-reflogs", "--format=%H", "refs/stash").split()
    ended(busy).tend("remove", "--force")
    (bundle,) = (busy.person.home / ROOT / "removed").glob("*.bundle")
    assert "refs/tags/mine" in _restored(busy, bundle)
    for stash in stashes:
        busy.person.git("cat-file", "-e", stash, cwd=busy.person.home / "restored.git")


def test_remove_of_an_empty_cache(shared: Shared) -> None:
    ended(shared)
    empty_cache(shared)
    shared.tend("remove", "--force")
    assert not shared.cache.exists()


def test_remove_of_a_damaged_cache_refuses_without_a_bundle(busy: Shared) -> None:
    own_blob_gone(ended(busy))
    refused(busy)
    assert busy.tend("remove", "--force", check=False).returncode == 1
    assert busy.cache.is_dir()


def test_remove_and_new_at_once(shared: Shared) -> None:
    """Whoever comes first: a workspace that is there has its cache."""
    ended(shared)
    calls = [["cache", "remove", shared.url], ["new", "three", "--repo", shared.url]] * 2
    at_once(shared.person, calls, shared.person.home)
    shared.person.mooring("new", "three", "--repo", shared.url)
    assert_sound(shared)
    ready = [row for row in rows(shared.person) if row["state"] == "ready"]
    assert [row["topic"] for row in ready] == ["three"]


def test_list_while_a_cache_goes_away(shared: Shared) -> None:
    """As `du` and all else find it when a removal is faster."""
    du, away = shared.person.home / "bin/du", shared.cache.with_suffix(".away")
    du.write_text(f'#!/bin/sh\nmv {shared.cache} {away}\nexec {need("du")} "$@"\n')
    du.chmod(0o755)
    assert _listed(shared.person) == []


# Plain pyinfra


def deploy(person: Person, *data: str) -> Done:
    return person.pyinfra("-y", "@local", "mooring.deploys.caches", *data, check=False)


@pytest.mark.parametrize("verb", ["fetch", "verify", "repair", "gc"])
def test_pyinfra(busy: Shared, verb: str) -> None:
    theirs = push(busy.person, busy.repo)
    before = looks(busy, LOOKS[:3])
    done = deploy(busy.person, f"verb={verb}", f"repo={busy.url}")
    assert done.returncode == 0, done
    assert looks(busy, LOOKS[:3]) == before
    assert len(busy.asides()) == (verb == "repair")
    fetched = head(busy.person, busy.cache, "refs/remotes/origin/main") == theirs
    assert fetched == (verb in ("fetch", "repair"))


def test_pyinfra_removes(shared: Shared) -> None:
    refusal = deploy(shared.person, "verb=remove", f"repo={shared.url}")
    assert refusal.returncode == 1
    assert "a worktree uses it" in refusal.stdout + refusal.stderr
    done = deploy(ended(shared).person, "verb=remove", f"repo={shared.url}")
    assert done.returncode == 0
    assert not shared.cache.exists()


def test_pyinfra_of_every_cache(shared: Shared) -> None:
    theirs = push(shared.person, shared.repo)
    assert deploy(shared.person, "verb=fetch").returncode == 0
    assert head(shared.person, shared.cache, "refs/remotes/origin/main") == theirs


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (["verb=nonsense"], "Cannot 'nonsense' a cache"),
        (["verb=repair"], "Cannot repair every cache: name one"),
        (["verb=verify", "repo=nope"], "Cannot verify: there is no cache of nope"),
        ([], "Cannot use the caches"),
    ],
)
def test_pyinfra_refuses_in_a_sentence(person: Person, data: list[str], said: str) -> None:
    done = deploy(person, *data)
    assert done.returncode == 1
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_pyinfra_says_what_a_repair_would_lose(busy: Shared) -> None:
    own_blob_gone(busy)
    done = deploy(busy.person, "verb=repair", f"repo={busy.url}")
    assert done.returncode == 1
    assert "refs/heads/one" in done.stdout + done.stderr


def test_pyinfra_says_that_a_cache_is_damaged(busy: Shared) -> None:
    own_blob_gone(busy)
    done = deploy(busy.person, "verb=verify")
    assert "missing blob" in done.stdout + done.stderr
    assert done.returncode == 1


def test_pyinfra_says_where_the_broken_one_is(busy: Shared) -> None:
    done = deploy(busy.person, "verb=repair", f"repo={busy.url}")
    (aside,) = busy.asides()
    assert aside.name in done.stdout + done.stderr
