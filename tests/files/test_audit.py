"""`mooring files audit` and `import` in real repos: proposed, written, brought; secrets unsaid."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from mooring.config import LATER, parse
from tests.git.traces import listing, made, refs, status
from tests.support import Person, commit

IGNORED = """\
.env*
.vscode/
.tool-versions
node_modules/
dist
*.log
data/
/certs/
tools/
"""
# Joined here, so that nothing which scans this repo takes it for real.
SECRET = "ghp_" + "planted" * 6
SPEC = "# the team's\nversion: 1\nports: [web]   # one\n"


@pytest.fixture
def main(person: Person, repo: Path) -> Path:
    """A main checkout with some of everything."""
    commit(person, repo, {".gitignore": IGNORED})
    for name, content in {
        ".env": f"TOKEN={SECRET}\n",
        ".env.production": "A=1\n",
        ".tool-versions": "python 3.11\n",
        ".vscode/settings.json": "{}\n",
        ".vscode/sftp.json": f'{{"password": "{SECRET}"}}\n',
        "app/dist/x.js": "1\n",
        "data/big.bin": "0" * 5000,
        "debug.log": f"{SECRET}\n",
        "node_modules/a/index.js": "1\n",
        "node_modules/b/index.js": "22\n",
        "tools/seed": "#!/bin/sh\n",
        "certs/local.crt": "-----BEGIN CERTIFICATE-----\n",
        "mise.toml": "[tools]\n",
        "notes.txt": f"{SECRET}\n",
        "vendor/lib/a.c": "1\n",
        "vendor/lib/b.c": "1\n",
    }.items():
        (repo / name).parent.mkdir(parents=True, exist_ok=True)
        (repo / name).write_text(content)
    return repo


def audit(person: Person, repo: Path, *args: str, cwd: Path | None = None) -> dict[str, Any]:
    """What `mooring files audit --json` says, its rows by path."""
    done = person.mooring("files", "audit", "--json", *args, cwd=cwd or repo)
    assert SECRET not in done.stdout + done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    assert said["checkout"] == str(repo)
    said["rows"] = {row["path"]: row for row in said["rows"]}
    return said


def test_what_is_proposed(person: Person, main: Path) -> None:
    before = listing(main, times=False)
    rows = audit(person, main)["rows"]
    assert listing(main, times=False) == before
    assert {path: (row["category"], row["action"]) for path, row in rows.items()} == {
        ".env": ("secrets and credentials", "copy"),
        ".env.local": ("secrets and credentials", "copy"),
        ".env.production": ("secrets and credentials", "skip"),
        ".tool-versions": ("configuration", "copy"),
        ".vscode/": ("IDE settings", "copy"),
        ".vscode/sftp.json": ("secrets and credentials", "skip"),
        "app/dist/": ("build output and caches", "nothing"),
        "certs/": ("secrets and credentials", "copy"),
        "data/": ("other", "nothing"),
        "debug.log": ("temporary", "nothing"),
        "mise.toml": ("configuration", "nothing"),
        "node_modules/": ("dependencies", "symlink"),
        "notes.txt": ("secrets and credentials", "nothing"),
        "tools/": ("local scripts and tools", "copy"),
        "vendor/": ("dependencies", "nothing"),
    }
    assert (rows["node_modules/"]["size"], rows["node_modules/"]["files"]) == (5, 2)
    assert "holds a GitHub token" in rows[".env"]["reason"]
    assert "a commit would publish it" in rows["notes.txt"]["reason"]
    assert rows["vendor/"]["files"] == 2


def test_what_a_person_sees(person: Person, main: Path) -> None:
    done = person.mooring("files", "audit", cwd=main / "app")
    table, _, section = done.stdout.partition("\n\n")
    assert table.splitlines()[0].split() == ["path", "category", "size", "action", "reason"]
    assert "5 B in 2 files" in table
    assert {type(entry) for entry in parse(section.encode()).files.skip} == {str}
    for hint in ("/mise.toml", "/vendor/"):
        assert f"hint: echo {hint} >> .gitignore\n" in done.stderr
    assert SECRET not in done.stdout + done.stderr


def test_what_was_written_is_brought(person: Person, main: Path) -> None:
    commit(person, main, {"mooring.yaml": SPEC})
    (main / "mooring.yaml").chmod(0o640)
    proposed = audit(person, main, "--write")
    text = (main / "mooring.yaml").read_text()
    assert text.startswith(SPEC)
    assert SECRET not in text
    assert (main / "mooring.yaml").stat().st_mode & 0o777 == 0o640
    assert status(person, main).split() == [
        "M",
        "mooring.yaml",
        "??",
        "mise.toml",
        "??",
        "notes.txt",
        "??",
        "vendor/",
    ]
    again = audit(person, main, "--write")
    assert again["files"] == {}
    assert (main / "mooring.yaml").read_text() == text
    place = made(person, "fix-login", cwd=main)
    for path, row in proposed["rows"].items():
        there = place / path.rstrip("/")
        assert os.path.lexists(there) == (row["action"] in ("copy", "symlink")), path
        assert there.is_symlink() == (row["action"] == "symlink")
    for name in (".env", ".env.local"):
        assert (place / name).read_bytes() == (main / name).read_bytes()
        assert (place / name).stat().st_mode & 0o777 == 0o600
    assert status(person, place) == ""
    assert audit(person, main, cwd=place)["files"] == {}, "of the main checkout, as from there"


def test_without_a_spec_there_is_one(person: Person, main: Path) -> None:
    audit(person, main, "--write", "--repo", str(main), cwd=person.home)
    assert parse((main / "mooring.yaml").read_bytes()).files.symlink == ["node_modules"]
    assert [path.name for path in main.glob(".mooring*")] == []


@pytest.mark.parametrize(
    "spec", ["files: {copy: ['.env*', .vscode/]}\n", "files:\n  copy:\n  - '*'\n"]
)
def test_what_a_rule_covers_is_not_proposed(person: Person, main: Path, spec: str) -> None:
    commit(person, main, {"mooring.yaml": spec})
    said = audit(person, main)
    assert not [e for e in said["files"].get("copy", []) if ".env" in e or ".vscode" in e]
    assert "mooring.yaml: files.copy[0] says what to do" in said["rows"][".env"]["reason"]


def test_a_worktreeinclude_and_ones_own_rules_count(person: Person, main: Path) -> None:
    commit(person, main, {".worktreeinclude": ".env\n"})
    own = person.home / ".config/mooring/config.yaml"
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text("files: {symlink: [node_modules], copy: [{src: x, dest: .tool-versions}]}\n")
    rows = audit(person, main)["rows"]
    assert {rows[path]["action"] for path in (".env", "node_modules/", ".tool-versions")} == {
        "nothing"
    }


def test_what_cannot_be_edited_is_printed(person: Person, main: Path) -> None:
    spec = "base: main\n...\n"
    (main / "mooring.yaml").write_text(spec)
    done = person.mooring("files", "audit", "--write", cwd=main, check=False)
    assert done.returncode == 1
    assert "Cannot add to mooring.yaml" in done.stderr
    assert "  symlink:\n    - node_modules" in done.stdout
    assert (main / "mooring.yaml").read_text() == spec


@pytest.mark.parametrize("kind", ["symlink", "fifo"])
def test_a_spec_that_is_no_file(person: Person, main: Path, kind: str) -> None:
    spec = main / "mooring.yaml"
    if kind == "fifo":
        os.mkfifo(spec)
    else:
        spec.symlink_to(person.home / ".gitconfig")
    done = person.mooring("files", "audit", "--write", cwd=main, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "it is no plain file" in done.stderr


ODD = (
    b".env.\xff",
    b".env.\nx",
    b".env.\x1b[31m",
    b'.env."x',
    b".env.a\\b",
    ".env.\u2028".encode(),
)
NAMES = (
    ".env.[1]",
    ".env.* ",
    ".env. x",
    ".env.'x",
    ".env.#é",
    ".env.:",
    "-rf/.env",
    "!x/.env",
    "#x/.env",
    ".env.null",
)


def test_any_name_is_brought_or_said(person: Person, main: Path) -> None:
    for name in ODD:
        Path(os.fsdecode(os.fsencode(main) + b"/" + name)).write_text("A=1\n")
    for name in NAMES:
        (main / name).parent.mkdir(exist_ok=True)
        (main / name).write_text("A=1\n")
    done = person.mooring("files", "audit", cwd=main)
    assert done.stderr.count("its name cannot be carried safely") == len(ODD)
    assert "\x1b" not in done.stdout + done.stderr
    assert "\u2028" not in done.stdout + done.stderr
    rows = audit(person, main, "--write")["rows"]
    assert {rows[name]["action"] for name in NAMES} == {"copy"}
    assert audit(person, main)["files"] == {}
    place = made(person, "fix-login", cwd=main)
    assert [name for name in NAMES if not (place / name).is_file()] == []


def test_odd_files(person: Person, main: Path) -> None:
    os.mkfifo(main / ".env.fifo")
    (main / ".env.link").symlink_to("/etc/passwd")
    (main / ".env.unreadable").write_text("A=1\n")
    (main / ".env.unreadable").chmod(0)
    with (main / ".env.huge").open("wb") as file:
        file.truncate(60_000_000)
    (main / "tools/loop").symlink_to("..")
    (main / "tools/locked").mkdir(mode=0)
    done = person.mooring("files", "audit", "--json", cwd=main)
    rows = {row["path"]: row for row in json.loads(done.stdout)["rows"]}
    assert ".env.fifo" not in rows
    assert rows[".env.link"]["reason"] == "a symlink"
    assert rows[".env.huge"]["reason"] == "too much to copy to each workspace"
    assert rows["tools/"]["files"] == 2
    if os.getuid():
        assert "cannot be read: .env.unreadable" in done.stderr
        assert "cannot be read in full: tools/" in done.stderr
    (main / "tools/locked").rmdir()


def test_a_repo_in_the_repo_and_many_files(person: Person, main: Path) -> None:
    person.git("init", main / "tools/own")
    person.git("init", main / "seen")
    for number in range(201):
        (main / f".vscode/{number}").touch()
    rows = audit(person, main)["rows"]
    assert rows["seen/"]["reason"] == "a repo of its own"
    assert rows[".vscode/"]["reason"] == "too much to copy to each workspace"
    assert rows["tools/"]["action"] == "copy"


def test_it_runs_nothing_of_the_repo(person: Person, main: Path) -> None:
    bait = person.home / "bait"
    bait.write_text(f"#!/bin/sh\ntouch {person.home}/bitten\n")
    bait.chmod(0o755)
    person.git("config", "core.fsmonitor", bait, cwd=main)
    before = refs(person, main)
    audit(person, main)
    assert refs(person, main) == before
    assert not (person.home / "bitten").exists()


def test_where_there_is_no_checkout(person: Person) -> None:
    done = person.mooring("files", "audit", check=False)
    assert (done.returncode, done.stdout) == (2, "")
    bare = person.home / "x.git"
    person.git("init", "--bare", bare)
    for repo in (str(bare), "https://example.com/o/n.git"):
        done = person.mooring("files", "audit", "--repo", repo, check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert "no main checkout" in done.stderr


def test_a_worktreeinclude_becomes_ours(person: Person, main: Path) -> None:
    (main / ".worktreeinclude").write_text(".env*\n!.env.production\n")
    done = person.mooring("files", "import", ".worktreeinclude", cwd=main)
    assert done.stdout == '\nfiles:\n  copy:\n    - ".env*"\n  skip:\n    - .env.production\n'
    assert "became a skip" in done.stderr
    for _ in range(2):
        person.mooring("files", "import", ".worktreeinclude", "--write", cwd=main)
        assert (main / "mooring.yaml").read_text() == done.stdout.lstrip("\n")
    (main / ".worktreeinclude").unlink()
    place = made(person, "fix-login", cwd=main)
    assert [(place / name).exists() for name in (".env", ".env.production")] == [True, False]


def test_a_directory_of_templates(person: Person, main: Path) -> None:
    commit(person, main, {"conf/env.template": "A=1\n", "conf/README.md": "why\n"})
    done = person.mooring("files", "import", "conf", "--json", cwd=main)
    assert json.loads(done.stdout) == {
        "files": {"template": [{"src": "conf/env.template", "dest": ".env"}]},
        "notes": ["left out: 'README.md' (no *.template)"],
    }
    written = person.mooring("files", "import", "conf", "--write", cwd=main, check=False)
    assert written.returncode == int("files.template" in LATER)
    outside = person.mooring("files", "import", person.home, cwd=main, check=False)
    assert outside.returncode == 1
    assert "have to be in the repo" in outside.stderr


def test_a_list_that_cannot_be_read(person: Person, main: Path) -> None:
    (main / "list").write_text(".env\n../x\n")
    done = person.mooring("files", "import", "list", "--write", cwd=main, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Cannot read list line 2: '../x' leaves the repo" in done.stderr
    assert not (main / "mooring.yaml").exists()


def test_many_files_are_one_line_for_a_person(person: Person, main: Path) -> None:
    for number in range(9):
        (main / f"app/new{number}.py").touch()
        (main / f"app/{number}/dist").mkdir(parents=True)
        (main / f"app/{number}/dist/x").touch()
    assert len([path for path in audit(person, main)["rows"] if path.startswith("app/new")]) == 9
    table = person.mooring("files", "audit", cwd=main).stdout
    assert "app/new" not in table
    for label, size in (("app/...", "0 B in 9 files"), ("**/dist/", "2 B in 10 files")):
        assert size in next(line for line in table.splitlines() if line.startswith(label))
