"""What a repo's size costs: `python -m tests.bench_refs`. A benchmark, not a test.

Each command in a small repo and a large one in turns, so that a busy machine slows both alike; each
figure is a median, by the clock and of CPU (the command's and its children's). A ratio of 1 means
that the size costs nothing.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.bench import cpu
from tests.git.matrix import BRANCHES, MANY, many_branches, many_files
from tests.git.traces import head
from tests.support import Person, commit, make_home, make_person

ROUNDS = int(os.environ.get("ROUNDS", "7"))
FEW_BRANCHES, FEW_FILES = 5, 500
WANTED = 1.2
SPEC = {"mooring.yaml": "files: {copy: [.env.local]}\n", ".gitignore": ".env*\n"}
VERBS = ("new", "unchanged", "status", "end")


@dataclass(frozen=True)
class Place:
    """Where the commands run, and how the repo is named there."""

    cwd: Path
    words: tuple[str, ...] = ()


Taken = tuple[float, float]
"""Seconds by the clock, and of CPU."""
Found = dict[tuple[str, str], Taken]


def timed(person: Person, place: Place, verb: str) -> Taken:
    """What one command takes."""
    name = "new" if verb == "unchanged" else verb
    argv = [sys.executable, "-m", "mooring", name, "topic", *place.words]
    began = time.perf_counter()
    spent = cpu(person, argv, place.cwd)
    return time.perf_counter() - began, spent


def measured(person: Person, places: dict[str, Place], verbs: tuple[str, ...] = VERBS) -> Found:
    """The medians of each verb in each place. The first round warms up."""
    taken: dict[tuple[str, str], list[Taken]] = {}
    for number in range(ROUNDS + 1):
        for verb in verbs:
            for name, place in places.items():
                seconds = timed(person, place, verb)
                if number:
                    taken.setdefault((verb, name), []).append(seconds)
    return {key: _medians(values) for key, values in taken.items()}


def _medians(values: list[Taken]) -> Taken:
    walls, cpus = zip(*values, strict=True)
    return statistics.median(walls), statistics.median(cpus)


def with_branches(person: Person, name: str, count: int, *, packed: bool = True) -> Place:
    """A clone with that many branches of its own, and as many of its origin."""
    place = many_branches(person, person.home / name, count)
    commit(person, place, SPEC)
    (place / ".env.local").write_text("A=1\n")
    url = bare(person, place)
    person.git("remote", "add", "origin", url, cwd=place)
    tip = head(person, place)
    lines = (f"create refs/remotes/origin/many/{n % 100}/{n} {tip}\n" for n in range(count))
    person.git("update-ref", "--stdin", cwd=place, input="".join(lines))
    if packed:
        person.git("pack-refs", "--all", cwd=place)
    else:
        loosen(place)
    return Place(place)


def bare(person: Person, place: Path) -> str:
    """The URL of a bare clone of it."""
    there = place.with_name(f"{place.name}-origin.git")
    person.git("clone", "--quiet", "--bare", place, there)
    return there.as_uri()


def loosen(place: Path) -> None:
    """Have each packed ref in a file of its own, as it was before anybody packed them."""
    packed = place / ".git/packed-refs"
    for line in packed.read_text().splitlines():
        if not line.startswith(("#", "^")):
            commit_id, _, name = line.partition(" ")
            path = place / ".git" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                path.write_text(f"{commit_id}\n")
    packed.unlink()


def cached(person: Person, name: str, count: int) -> Place:
    """A URL whose cache is warm."""
    place = with_branches(person, name, count).cwd
    url = person.git("remote", "get-url", "origin", cwd=place).stdout.strip()
    person.mooring("new", "warm-up", "--repo", url)
    return Place(person.home, ("--repo", url))


def with_files(person: Person, name: str, count: int) -> Place:
    place = many_files(person, person.home / name, count)
    commit(person, place, SPEC)
    (place / ".env.local").write_text("A=1\n")
    return Place(place)


def table(title: str, few: str, many: str, found: Found) -> None:
    """Print the medians and their ratios."""
    print(f"\n{title:<30} {few:>9} {many:>9}  ratio        CPU            ratio")
    for verb in dict.fromkeys(verb for verb, _ in found):
        (wall, spent), (long, much) = found[verb, "few"], found[verb, "many"]
        ratio, cpu_ratio = long / wall, much / spent
        note = "" if ratio <= WANTED else f"   more than {WANTED}"
        clock = f"{wall:7.2f} s {long:7.2f} s {ratio:6.2f}"
        print(f"{verb:<30} {clock}   {spent:5.2f} s {much:5.2f} s {cpu_ratio:6.2f}{note}")


def report(person: Person) -> None:
    """Measure all, and print each table when it is known."""
    few = with_branches(person, "few", FEW_BRANCHES)
    sizes = (f"{FEW_BRANCHES}", f"{BRANCHES:,}")
    for title, many in (
        ("branches, packed", with_branches(person, "packed", BRANCHES)),
        ("branches, loose", with_branches(person, "loose", BRANCHES, packed=False)),
    ):
        table(title, *sizes, measured(person, {"few": few, "many": many}))
    caches = {
        "few": cached(person, "few-url", FEW_BRANCHES),
        "many": cached(person, "many-url", BRANCHES),
    }
    table("branches of a URL, warm cache", *sizes, measured(person, caches))
    places = {
        "few": with_files(person, "files", FEW_FILES),
        "many": with_files(person, "many-files", MANY),
    }
    table("files", f"{FEW_FILES}", f"{MANY:,}", measured(person, places, ("unchanged",)))


def main() -> None:
    """Measure and print, in a HOME that is gone afterwards."""
    base = Path(tempfile.mkdtemp(prefix="mooring-bench-"))
    try:
        report(make_person(make_home(base / "home")))
    finally:
        shutil.rmtree(base)
    print(f"\n{ROUNDS} rounds; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs")


if __name__ == "__main__":
    main()
