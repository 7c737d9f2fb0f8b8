"""Whatever things are called: a workspace comes and goes without a trace, or is refused cleanly.

MOORING_TEST_NAMES says how many cases are tried, other ones each time; without it, the same few.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, assume, event, example, given, settings
from hypothesis import strategies as st

from mooring.model import AGENT, TOPIC
from tests.git.matrix import NFC, NFD, ODD_NAMES
from tests.git.traces import listing, live, made, refs, status, worktrees
from tests.support import Done, Person, commit, make_home, make_person, make_repo

TRIED = int(os.environ.get("MOORING_TEST_NAMES", "15"))
FILES = {"README.md": "# Shop\n", ".gitignore": "/private/\n"}
COPY = {"mooring.yaml": "files: {copy: [private]}\n"}
KEPT = ("/.local",)

LETTERS = "aZ09-_.äß日🚀\u00e9e\u0301"
UNSAFE = set('\t\n\\"\x7f\udcff')
"""What a file that is to be copied cannot have in its name."""
REF_ODDITIES = "!\"#$%&'()+,;<=>@]`{|}"
FILE_ODDITIES = " \n\t\\\"'`$&;|<>(){}[]*?!#%:~^@=+,\x7f\udcff"


@dataclass(frozen=True)
class Case:
    """A workspace's names, and those of what is in the repo."""

    topic: str
    agent: str
    branch: str
    """'' for the topic's own."""
    exists: bool
    """Whether the branch is there already."""
    base: str
    """'' for the default."""
    kinds: tuple[str, ...]
    """What bears the base's name: `branch`, `tag`, both, or nothing."""
    packed: bool
    tracked: tuple[str, ...]
    untracked: tuple[str, ...]
    ignored: tuple[str, ...]
    """Untracked files that the workspace gets, too."""


def words(pattern: str) -> st.SearchStrategy[str]:
    return st.from_regex(pattern, fullmatch=True)


def ref_names() -> st.SearchStrategy[str]:
    """Names that may be branches; whether git takes them is up to git."""
    part = st.text(st.sampled_from(LETTERS + REF_ODDITIES), min_size=1, max_size=12)
    return st.lists(part, min_size=1, max_size=3).map("/".join)


def file_names() -> st.SearchStrategy[str]:
    name = st.text(st.sampled_from(LETTERS + FILE_ODDITIES), min_size=1, max_size=12)
    odd = st.sampled_from([*ODD_NAMES, NFC, NFD, "-n", "new\nline", "a\nb/c\nd"])
    return st.one_of(odd, name, st.builds("{}/{}".format, name, name))


def endable(names: tuple[str, ...]) -> tuple[str, ...]:
    """Without those that a workspace can't be ended with: see test_a_quoted_name_is_no_loss."""
    return tuple(name for name in names if '"' not in name)


def several_files() -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(file_names(), max_size=4, unique=True).map(tuple)


def cases() -> st.SearchStrategy[Case]:
    return st.builds(
        Case,
        topic=words(TOPIC.pattern),
        agent=st.one_of(st.just("dev"), words(AGENT.pattern)),
        branch=st.one_of(st.just(""), ref_names()),
        exists=st.booleans(),
        base=st.one_of(st.just(""), ref_names()),
        kinds=st.sampled_from([("branch",), ("tag",), ("branch", "tag")]),
        packed=st.booleans(),
        tracked=several_files(),
        untracked=several_files(),
        ignored=several_files().map(endable),
    )


PLAIN = Case("x", "dev", "", False, "", (), False, (), (), ())
TAKEN = Case("main", "dev", "", False, "", (), False, (), (), ())
MISSING = Case("x", "dev", "", False, "no/such", (), False, (), (), ())
ODD = Case(
    "0-",
    "a_-",
    "ü/'\"$(x)`;&|<>{}%!",
    True,
    "tag/日本,#",
    ("tag",),
    True,
    ODD_NAMES,
    (NFC, NFD),
    ODD_NAMES[1:],
)


@settings(
    max_examples=TRIED,
    derandomize="MOORING_TEST_NAMES" not in os.environ,
    deadline=None,
    database=None,
    phases=[phase for phase in Phase if phase is not Phase.explain],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@pytest.mark.timeout(300 + 20 * TRIED)
@example(PLAIN)
@example(TAKEN)
@example(MISSING)
@example(ODD)
@given(case=cases())
def test_names(tmp_path_factory: pytest.TempPathFactory, case: Case) -> None:
    base = tmp_path_factory.mktemp("names")
    person = make_person(make_home(base / "home"))
    assume(all(_git_takes(person, name) for name in (case.branch, case.base) if name))
    repo = built(person, case)
    before = state(person, repo)
    done = mooring(person, repo, "new", case, *options(case))
    if done.returncode:
        event(done.stderr.partition(":")[2].strip()[:60])
        assert_refused(done, case)
    else:
        event("made")
        assert_there(person, repo, case, done)
        ended = mooring(person, repo, "end", case)
        assert ended.returncode == 0, ended.stderr
    assert differences(before, state(person, repo)) == {}
    assert live(person.home) == []
    assert worktrees(person, repo) == []
    shutil.rmtree(base)


def _git_takes(person: Person, name: str) -> bool:
    done = person.git("check-ref-format", "--branch", name, check=False)
    return done.returncode == 0 and done.stdout == f"{name}\n"


def built(person: Person, case: Case) -> Path:
    """The person's clone, which has all that, as far as file system and git can."""
    repo = make_repo(person, person.home / "src/shop", FILES)
    old = person.git("rev-parse", "HEAD", cwd=repo).stdout.strip()
    write(repo, case.tracked)
    commit(person, repo, COPY)
    person.git("add", "--all", cwd=repo)
    person.git("commit", "--quiet", "--allow-empty", "-m", "All", cwd=repo)
    named = [f"refs/heads/{case.branch or default(case)}"] if case.exists else []
    named += [f"refs/{'heads' if kind == 'branch' else 'tags'}/{case.base}" for kind in case.kinds]
    for name in named:  # one that another is in the way of is left out
        person.git("update-ref", name, old, cwd=repo, check=False)
    if case.packed:
        person.git("pack-refs", "--all", cwd=repo)
    write(repo, case.untracked)
    write(repo / "private", case.ignored)
    status(person, repo)  # settles the index
    return repo


def default(case: Case) -> str:
    return case.topic if case.agent == "dev" else f"{case.agent}/{case.topic}"


def write(place: Path, names: tuple[str, ...]) -> None:
    """Files of these names, unless something is in the way."""
    for name in names:
        path = place / name
        if {".", "..", ".git"} & set(Path(name).parts) or path.exists():
            continue
        if not any(parent.is_file() for parent in path.parents):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{name!a}\n")


def options(case: Case) -> list[str]:
    branch = [f"--branch={case.branch}"] if case.branch else []
    return [*branch, f"--base={case.base}"] if case.base else branch


def mooring(person: Person, repo: Path, verb: str, case: Case, *args: str) -> Done:
    words = [verb, case.topic, "--agent", case.agent, *args]
    return person.mooring(*words, cwd=repo, check=False)


def state(person: Person, repo: Path) -> dict[str, str]:
    """Everything that a person has, and what git makes of it."""
    calm = {"GIT_OPTIONAL_LOCKS": "0"}
    shown = person.git("status", "--porcelain", cwd=repo, env=calm).stdout
    files = listing(person.home, without=KEPT, times=False)
    kept = {path: seen for path, seen in files.items() if not _is_for_refs(Path(path))}
    return kept | {"refs": refs(person, repo), "status": shown}


def _is_for_refs(path: Path) -> bool:
    """A directory that git makes for refs or their logs; it may leave one that is empty."""
    return path.is_dir() and bool({"refs", "logs"} & set(path.parts)) and ".git" in path.parts


def differences(before: dict[str, str], after: dict[str, str]) -> dict[str, tuple[str, str]]:
    """What is different of two states."""
    return {
        name: (before.get(name, "nothing"), after.get(name, "nothing"))
        for name in before.keys() | after.keys()
        if before.get(name) != after.get(name)
    }


def assert_refused(done: Done, case: Case) -> None:
    """In a sentence, with something to do about it."""
    assert done.returncode in (1, 2), done
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("Cannot "), done.stderr
    assert case != PLAIN


def assert_there(person: Person, repo: Path, case: Case, done: Done) -> None:
    """The workspace is on its branch, at its base, with every file."""
    place = Path(done.stdout.removesuffix("\n"))
    shown = mooring(person, repo, "status", case, "--json")
    assert shown.returncode == 0, shown.stderr
    row = json.loads(shown.stdout)
    branch = case.branch or default(case)
    assert (row["state"], row["branch"], row["worktree"]) == ("ready", branch, str(place))
    head = person.git("symbolic-ref", "HEAD", cwd=place).stdout
    assert head == f"refs/heads/{branch}\n"
    assert status(person, place) == ""
    assert person.git("diff", "--stat", "HEAD", cwd=place).stdout == ""
    names = person.git("ls-files", cwd=place).stdout
    assert names == person.git("ls-tree", "-r", "--name-only", "HEAD", cwd=place).stdout
    assert_copied(repo, place, done.stderr)


def assert_copied(repo: Path, place: Path, said: str) -> None:
    """Each ignored file came along, or the person heard that it did not."""
    for path in (repo / "private").rglob("*"):
        copy = place / path.relative_to(repo)
        if copy.is_file():
            assert copy.read_bytes() == path.read_bytes()
        elif path.is_file():
            assert "not copied: " in said
            assert UNSAFE & set(str(path.relative_to(repo))), path


def test_a_quoted_name_is_no_loss(person: Person, repo: Path) -> None:
    name = 'a "b".env'
    (repo / "private").mkdir()
    (repo / "private" / name).write_text("mine\n")
    commit(person, repo, {**COPY, ".gitignore": "/private/\n"})
    place = made(person, "fix-login", cwd=repo)
    assert (place / "private" / name).read_text() == "mine\n"
    person.mooring("end", "fix-login", cwd=repo)
    assert not place.exists()
