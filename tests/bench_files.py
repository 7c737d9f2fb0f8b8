"""What untracked files cost: `python -m tests.bench_files [some] [many]`. A benchmark, not a test.

A workspace with 20 files and 3 templates against one without, in turns; and 10,000 files against
`cp -a` of the same tree. Medians, by the clock and of CPU (the command's and its children's).
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench_refs import ROUNDS, Place, timed
from tests.support import Person, commit, make_home, make_person

FILES, TEMPLATES, SIZE, TREE = 20, 3, 4096, 10_000
WANTED = (0.15, 1.25)
IGNORED = "/local/\n/node_modules/\n.env*\n"


def shop(person: Person, name: str, spec: str) -> Place:
    """A repo with that spec, approved, and the files that it may name."""
    place = person.home / name
    place.mkdir()
    person.git("init", "--quiet", cwd=place)
    templates = {f".mooring.d/env{n}.j2": f"N={n}\nS={{{{ slug }}}}\n" for n in range(TEMPLATES)}
    commit(person, place, {"mooring.yaml": spec, ".gitignore": IGNORED, **templates})
    (place / "local").mkdir()
    for number in range(FILES):
        (place / f"local/file{number}").write_text("x" * (SIZE - 1) + "\n")
    person.mooring("trust", "--yes", cwd=place)
    return Place(place)


def some(person: Person) -> None:
    """20 files of 4 KiB and 3 templates."""
    entries = ", ".join(f"{{src: .mooring.d/env{n}.j2, dest: .env{n}}}" for n in range(TEMPLATES))
    spec = f"files: {{copy: [/local/], template: [{entries}]}}\n"
    places = {"without": shop(person, "without", "{}\n"), "with": shop(person, "with", spec)}
    taken: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for number in range(ROUNDS + 1):
        for verb in ("new", "unchanged", "end"):
            for name, place in places.items():
                found = timed(person, place, verb)
                if number:
                    taken.setdefault((verb, name), []).append(found)
    print(f"{FILES} files and {TEMPLATES} templates    without      with   more    more CPU")
    for verb in ("new", "unchanged", "end"):
        (wall, cpu), (wall_with, cpu_with) = (
            tuple(map(statistics.median, zip(*taken[verb, name], strict=True)))
            for name in ("without", "with")
        )
        print(
            f"{verb:<25} {wall:8.2f} s {wall_with:7.2f} s {wall_with - wall:6.2f} s "
            f"{cpu_with - cpu:6.2f} s"
        )
    print(f"(wanted of new: at most {WANTED[0]} s more)")


def many(person: Person) -> None:
    """10,000 files, less what a workspace without them takes."""
    specs = {"none": "{}\n", "copied": "files: {copy: [node_modules]}\n"}
    places = {name: shop(person, name, spec) for name, spec in specs.items()}
    tree = places["copied"].cwd / "node_modules"
    for number in range(TREE):
        file = tree / f"package{number % 200}/lib/{number}.js"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x" * 2000)
    taken: dict[str, list[float]] = {"none": [], "copied": [], "cp -a": [], "unchanged": []}
    for number in range(ROUNDS):
        if number % 2:
            taken["cp -a"].append(copied(person, tree))
        for name, place in places.items():
            os.sync()  # or who writes first after a removal pays for it
            taken[name].append(timed(person, place, "new")[0])
        taken["unchanged"].append(timed(person, places["copied"], "unchanged")[0])
        if not number % 2:
            taken["cp -a"].append(copied(person, tree))
        for place in places.values():
            timed(person, place, "end")
    medians = {name: statistics.median(values) for name, values in taken.items()}
    ratio = (medians["copied"] - medians["none"]) / medians["cp -a"]
    print(f"\n{TREE:,} files" + "".join(f"   {name} {s:.2f} s" for name, s in medians.items()))
    print(f"against cp -a: {ratio:.2f} (wanted: at most {WANTED[1]})")


def copied(person: Person, tree: Path) -> float:
    """The seconds that `cp -a` takes."""
    there = person.home / "copy"
    os.sync()
    began = time.perf_counter()
    subprocess.run(["cp", "-a", tree, there], check=True)
    took = time.perf_counter() - began
    shutil.rmtree(there)
    return took


def main() -> None:
    """Measure and print, in a HOME that is gone afterwards."""
    base = Path(tempfile.mkdtemp(prefix="mooring-bench-"))
    try:
        person = make_person(make_home(base / "home"))
        for part in (some, many):
            if part.__name__ in (sys.argv[1:] or ["some", "many"]):
                part(person)
    finally:
        shutil.rmtree(base)
    print(f"\n{ROUNDS} rounds; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs")


if __name__ == "__main__":
    main()
