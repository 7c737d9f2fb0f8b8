"""What the commands cost, as ratios measured in one run: `make bench`. A benchmark, not a test.

CPU is the user and system time of the command and all its children. Each figure is the median of
several runs, taken in turns, so that a busy machine slows both sides of a ratio alike.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from mooring.claude import hooks
from tests.bench_transcripts import fill
from tests.support import Person, make_home, make_person, make_repo

ROUNDS = int(os.environ.get("ROUNDS", "7"))
PROJECT = Path(__file__).parents[1]


def cpu(person: Person, argv: list[str], cwd: Path) -> float:
    """The CPU seconds of one command and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(argv, cwd=cwd, env=person.env, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def medians(rounds: int, **commands: Callable[[int], float]) -> dict[str, float]:
    """The median of each command, measured in turns."""
    for command in commands.values():
        command(rounds)  # warm
    taken = {name: [command(i) for i in range(rounds)] for name, command in commands.items()}
    return {name: statistics.median(values) for name, values in taken.items()}


def mooring(*args: str) -> list[str]:
    """The command line of `mooring`."""
    return [sys.executable, "-m", "mooring", *args]


def pyinfra(*args: str) -> list[str]:
    """The command line of `pyinfra -y @local`."""
    return [sys.executable, "-m", "pyinfra", "-y", "@local", *args]


def shop(person: Person) -> Path:
    """A repo of 200 files with three untracked ones to provision."""
    files = {f"src/module_{i}.py": f"VALUE = {i}\n" * 40 for i in range(200)}
    spec = 'files: {copy: [".env*"]}\nports: [web]\n'
    path = make_repo(
        person, person.home / "shop", {**files, ".gitignore": ".env*\n", "mooring.yaml": spec}
    )
    person.git("remote", "add", "origin", "https://git.example/shop/shop.git", cwd=path)
    for name in (".env", ".env.local", ".env.test"):
        (path / name).write_text("A=1\n" * 100)
    return path


def bare_git(person: Person, repo: Path, number: int) -> float:
    """What anybody would do by hand: `git worktree add` and `cp` of three files."""
    place = repo.parent / f"by-hand-{number}"
    add = f'git worktree add -q -b hand-{number} "{place}"'
    return cpu(person, ["sh", "-c", f'{add} && cp -p .env .env.local .env.test "{place}"'], repo)


def wall(person: Person, argv: list[str], cwd: Path, said: str = "") -> float:
    """The seconds that one command takes by the clock."""
    began = time.perf_counter()
    subprocess.run(
        argv, cwd=cwd, env=person.env, check=True, capture_output=True, input=said, text=True
    )
    return time.perf_counter() - began


def fire(person: Person, repo: Path, command: str) -> float:
    """The seconds that a hook's command takes in a workspace."""
    said = {"session_id": str(uuid.uuid4()), "cwd": str(repo), "hook_event_name": "SessionStart"}
    place = repo.parent / f"{repo.name}.worktrees" / "topic-0"
    text = json.dumps(said, separators=(",", ":"))
    return wall(person, ["sh", "-c", command], place, text)


def main() -> None:
    """Measure and print."""
    base = Path(tempfile.mkdtemp(prefix="mooring-bench-"))
    try:
        report(make_person(make_home(base / "home")))
    finally:
        shutil.rmtree(base)


def report(person: Person) -> None:
    """Print each figure beside what it may be."""
    repo = shop(person)
    new = medians(
        ROUNDS,
        git=lambda i: bare_git(person, repo, i),
        new=lambda i: cpu(person, mooring("new", f"topic-{i}", "--launch", "none"), repo),
    )
    data = ["topic=topic-0", f"repo={repo}"]
    again = medians(
        ROUNDS,
        noop=lambda _: cpu(person, pyinfra("tests.bench_noop.noop"), PROJECT),
        unchanged=lambda _: cpu(person, pyinfra("mooring.deploys.workspace", *data), repo),
    )
    light = medians(
        ROUNDS,
        help=lambda _: cpu(person, mooring("--help"), repo),
        list=lambda _: cpu(person, mooring("list"), repo),
        status=lambda _: cpu(person, mooring("status", "topic-0"), repo),
        rerun=lambda _: cpu(person, mooring("new", "topic-0", "--launch", "none"), repo),
    )
    hook = medians(
        ROUNDS * 9,
        nothing=lambda _: fire(person, repo, ":"),
        hook=lambda _: fire(person, repo, hooks.COMMAND),
    )
    fill(person.home / ".claude", str(repo))
    stored = medians(ROUNDS, wall=lambda _: wall(person, mooring("sessions", "--all"), repo))
    beyond = new["new"] - new["git"]
    print(f"new            {beyond:.2f} s CPU beyond git and cp ({new['git']:.2f})   at most 0.45")
    ratio = again["unchanged"] / again["noop"]
    print(f"unchanged      {ratio:.2f} x a no-op of pyinfra ({again['noop']:.2f} s)   at most 1.3")
    for name in ("help", "list", "status"):
        print(f"{name:<14} {light[name]:.3f} s CPU   at most 0.12")
    print(f"new, unchanged {light['rerun']:.2f} s CPU")
    beyond = (hook["hook"] - hook["nothing"]) * 1000
    print(f"hook           {beyond:.1f} ms beyond sh -c :   at most 10")
    print(f"sessions --all {stored['wall']:.2f} s of 1,000 transcripts, 500 MB   at most 0.5")


if __name__ == "__main__":
    main()
