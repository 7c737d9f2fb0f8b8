"""What a repo, a worktree or a submodule may hold: nothing of it runs that nobody approved."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.git.traces import ROOT, listing, live, made
from tests.support import Done, Person, commit, lack, make_repo

TOPIC = "fix-login"
NEW = ("new", TOPIC, "--launch", "none")
ROUND = (
    ("status", TOPIC, "--check"),
    NEW,
    ("end", TOPIC),
    ("end", TOPIC, "--force"),
    ("resume", TOPIC, "--launch", "none"),
    ("end", TOPIC, "--force"),
)
HOOKS = ("post-checkout", "reference-transaction", "post-index-change", "pre-commit")
OURS = (ROOT, ".worktrees", "/share/direnv")  # where a run may write, and in a clone:
IN_GIT = ("logs", "objects", "refs/", "worktrees", "index", "info", "packed-refs")


@dataclass(frozen=True)
class Canary:
    """A program that leaves a mark when it runs, and says again what it is told."""

    path: Path
    mark: Path

    @property
    def ran(self) -> str:
        """As what it was run, '' if it was not."""
        return self.mark.read_text() if self.mark.exists() else ""

    @property
    def config(self) -> str:
        """A git config that names it wherever git would run something."""
        run = f'"{self.path}"'
        return (
            f"[core]\n\tfsmonitor = {run}\n\tsshCommand = {run}\n\taskPass = {run}\n"
            f'\teditor = {run}\n\tpager = {run}\n\thooksPath = "{self.path.parent}/hooks"\n'
            f'[filter "x"]\n\tclean = {run}\n\tsmudge = {run}\n\trequired = true\n'
            f"[diff]\n\texternal = {run}\n[gpg]\n\tprogram = {run}\n[commit]\n\tgpgSign = true\n"
            f'[merge "x"]\n\tdriver = {run}\n[credential]\n\thelper = {run}\n'
        )

    def hooks(self, directory: Path) -> None:
        """Make it every hook of that directory."""
        directory.mkdir(parents=True, exist_ok=True)
        for name in HOOKS:
            (directory / name).unlink(missing_ok=True)
            (directory / name).symlink_to(self.path)

    def is_armed(self, person: Person, *args: str | Path, cwd: Path) -> None:
        """Plain git runs it: else there would be nothing to test."""
        self.mark.unlink(missing_ok=True)
        person.git(*args, cwd=cwd, check=False)
        assert self.ran, args
        self.mark.unlink()


@pytest.fixture
def canary(person: Person) -> Canary:
    place = person.home / "evil"
    (person.home / ".local/share").mkdir(parents=True, exist_ok=True)
    found = Canary(place / "canary", place / "ran")
    place.mkdir()
    found.path.write_text(f'#!/bin/sh\necho "$0 $*" >>{shlex.quote(str(found.mark))}\nexec cat\n')
    found.path.chmod(0o755)
    found.hooks(place / "hooks")
    (place / "config").write_text(found.config)
    return found


@pytest.fixture
def place(person: Person, repo: Path) -> Path:
    """A workspace of a repo whose files all go through filters, where somebody sets those up."""
    commit(person, repo, {".gitattributes": "* filter=x diff=x merge=x\n"})
    return made(person, TOPIC, cwd=repo)


def admin(repo: Path) -> Path:
    """Git's own directory for the worktree."""
    return repo / ".git/worktrees" / TOPIC


def change(path: Path) -> None:
    """Change but its bytes: git has to read it, through its filter, to see that."""
    path.write_text(path.read_text().swapcase())
    os.utime(path, (1, 1))


def outside(person: Person) -> dict[str, str]:
    """All that a run has no business in."""
    in_git = tuple(f"/.git/{name}" for name in IN_GIT)
    return listing(person.home, without=(*OURS, *in_git), times=False)


def nothing_runs(person: Person, canary: Canary, *named: str, cwd: Path) -> dict[str, Done]:
    """A workspace's whole life, and no canary; returns the first answer of each verb."""
    before = outside(person)
    answers: dict[str, Done] = {}
    for args in ROUND:
        done = person.mooring(*args, *named, cwd=cwd, check=False)
        assert canary.ran == "", args
        assert "Traceback" not in done.stderr
        answers.setdefault(args[0], done)
    assert outside(person) == before
    assert live(person.home) == []
    return answers


def hints(done: Done) -> list[str]:
    lines = [line for line in done.stderr.splitlines() if line.startswith("hint: ")]
    return [line.removeprefix("hint: ") for line in lines]


# A worktree that somebody has rewritten


def evil_repo(person: Person, canary: Canary) -> Path:
    """A git directory whose config and hooks run the canary."""
    evil = make_repo(person, person.home / "evil/repo", {"README.md": "# Shop\n"}) / ".git"
    canary.hooks(evil / "hooks")
    with (evil / "config").open("a") as config:
        config.write(canary.config)
    (evil / "info").mkdir(exist_ok=True)
    (evil / "info/attributes").write_text("* filter=x\n")
    return evil


def point_elsewhere(person: Person, repo: Path, place: Path, canary: Canary) -> None:
    """Have the worktree name another git directory as its own."""
    (place / ".git").write_text(f"gitdir: {evil_repo(person, canary)}\n")


def share_elsewhere(person: Person, repo: Path, place: Path, canary: Canary) -> None:
    """Have git's own directory of the worktree name another common one, of the same objects."""
    evil = evil_repo(person, canary)
    for name in ("objects", "refs"):
        shutil.rmtree(evil / name)
        (evil / name).symlink_to(repo / ".git" / name)
    (admin(repo) / "commondir").write_text(f"{evil}\n")


Plant = Callable[[Person, Path, Path, Canary], None]
rewritten = pytest.mark.parametrize("plant", [point_elsewhere, share_elsewhere])


@rewritten
def test_a_rewritten_worktree_runs_nothing(
    person: Person, repo: Path, place: Path, canary: Canary, plant: Plant
) -> None:
    plant(person, repo, place, canary)
    canary.is_armed(person, "status", cwd=place)
    change(place / "README.md")
    answers = nothing_runs(person, canary, cwd=repo)
    assert "uncommitted:  M README.md" in answers["end"].stderr


@rewritten
def test_nothing_runs_for_who_stands_in_a_rewritten_worktree(
    person: Person, repo: Path, place: Path, canary: Canary, plant: Plant
) -> None:
    plant(person, repo, place, canary)
    canary.is_armed(person, "status", cwd=place)
    change(place / "README.md")
    for args in (("status", "--check"), ("new", "other", "--launch", "none"), ("end",)):
        done = person.mooring(*args, cwd=place, check=False)
        assert canary.ran == "", args
    assert "uncommitted:  M README.md" in done.stderr
    assert (repo.parent / "shop.worktrees/other/README.md").is_file()


@rewritten
def test_what_an_end_hints_at_runs_nothing_either(
    person: Person, repo: Path, place: Path, canary: Canary, plant: Plant
) -> None:
    plant(person, repo, place, canary)
    canary.mark.unlink(missing_ok=True)
    change(place / "README.md")
    done = person.mooring("end", TOPIC, cwd=repo, check=False)
    for hint in hints(done):
        person.run("sh", "-c", hint, cwd=repo, check=False)
    assert canary.ran == ""


KEYS = ("core.fsmonitor", "filter.x.clean", "include.path", "core.sshCommand")


def test_a_config_of_the_worktrees_own_is_refused_and_runs_nothing(
    person: Person, repo: Path, place: Path, canary: Canary
) -> None:
    person.git("config", "extensions.worktreeConfig", "true", cwd=repo)
    own = admin(repo) / "config.worktree"
    for key in KEYS:
        own.unlink(missing_ok=True)
        person.git("config", "--file", own, key, canary.path.parent / "config")
        done = person.mooring("end", TOPIC, cwd=repo, check=False)
        assert done.returncode == 1
        assert f"its own git config sets {key.lower()}, which could run" in done.stderr
        assert f"--file {own} --list" in hints(done)[0]
        assert canary.ran == ""
    own.write_text(canary.config)
    canary.is_armed(person, "status", cwd=place)
    change(place / "README.md")
    assert "filter.x.clean" in nothing_runs(person, canary, cwd=repo)["end"].stderr


@pytest.mark.parametrize("text", ["[core", "[include]\n\tpath = config.worktree\n"])
def test_a_config_of_the_worktrees_own_that_is_broken_is_refused(
    person: Person, repo: Path, place: Path, text: str
) -> None:
    person.git("config", "extensions.worktreeConfig", "true", cwd=repo)
    (admin(repo) / "config.worktree").write_text(text)
    done = person.mooring("end", TOPIC, cwd=repo, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Cannot ")
    assert (place / "README.md").is_file()


def head_is_an_option(person: Person, repo: Path, place: Path, canary: Canary) -> None:
    """Have HEAD read as an option that names a file to write."""
    (admin(repo) / "HEAD").write_text(f"--output={person.home}/outside/precious\n")


def directories_are_links(person: Person, repo: Path, place: Path, canary: Canary) -> None:
    for name in (".mooring", ".claude"):
        shutil.rmtree(place / name)
        (place / name).symlink_to(person.home / "outside")
    for name in (".envrc", ".session-context.md"):
        (place / name).unlink()
        (place / name).symlink_to(person.home / "outside/precious")


def all_is_a_link(person: Person, repo: Path, place: Path, canary: Canary) -> None:
    place.rename(person.home / "away")
    place.symlink_to(person.home / "outside")


@pytest.mark.parametrize("plant", [head_is_an_option, directories_are_links, all_is_a_link])
def test_a_worktree_writes_nothing_elsewhere(
    person: Person, repo: Path, place: Path, canary: Canary, plant: Plant
) -> None:
    (person.home / "outside").mkdir()
    (person.home / "outside/precious").write_text("mine\n")
    plant(person, repo, place, canary)
    nothing_runs(person, canary, cwd=repo)


# Submodules


def test_a_submodules_own_config_runs_nothing(person: Person, repo: Path, canary: Canary) -> None:
    person.git("config", "--global", "protocol.file.allow", "always")
    library = make_repo(person, person.home / "src/lib", {".gitattributes": "* filter=x\n"})
    commit(person, library, {"lib.c": "int x;\n"})
    person.git("submodule", "--quiet", "add", library.as_uri(), "lib", cwd=repo)
    person.git("commit", "--quiet", "-m", "Add lib", cwd=repo)
    place = made(person, TOPIC, cwd=repo)
    inside = admin(repo) / "modules/lib"
    canary.hooks(inside / "hooks")
    with (inside / "config").open("a") as config:
        config.write(canary.config)
    canary.is_armed(person, "status", cwd=place)
    change(place / "lib/lib.c")
    answers = nothing_runs(person, canary, cwd=repo)
    assert "uncommitted:  M lib/lib.c" in answers["end"].stderr


HOSTILE = """\
[submodule "ext"]
	path = ext
	url = ext::sh -c {canary}
[submodule "fd"]
	path = fd
	url = fd::0
[submodule "option"]
	path = option
	url = -u{canary}
[submodule "ssh"]
	path = ssh
	url = ssh://-oProxyCommand={canary}/x
[submodule "../../../../evil/above"]
	path = above
	url = {url}
[submodule "through"]
	path = link/through
	url = {url}
[submodule "file"]
	path = file
	url = {url}
"""
COMMAND = """\
[submodule "command"]
	path = command
	url = {url}
	update = !{canary}
"""


def plant_submodules(person: Person, repo: Path, text: str) -> list[str]:
    """Push submodules as somebody can who doesn't use `git submodule`; returns their paths."""
    (repo / ".gitmodules").write_text(text)
    paths = [line.partition("path = ")[2] for line in text.splitlines() if "path = " in line]
    tip = person.git("rev-parse", "HEAD", cwd=repo).stdout.strip()
    listed = "".join(f"160000 {tip}\t{path.replace('link/', 'other/')}\n" for path in paths)
    person.git("add", ".gitmodules", cwd=repo)
    person.git("update-index", "--index-info", cwd=repo, input=listed)
    person.git("commit", "--quiet", "-m", "Plant", cwd=repo, check=False)
    person.git("push", "--quiet", "origin", "main", cwd=repo)
    return paths


def unmade(person: Person, repo: Path, url: str, canary: Canary, text: str) -> list[str]:
    """The submodules that a new workspace of the URL lacks, each of which it says."""
    (repo / "link").symlink_to(canary.path.parent)
    person.git("add", "link", cwd=repo)
    paths = plant_submodules(person, repo, text.format(canary=canary.path, url=repo.as_uri()))
    before = outside(person)
    done = person.mooring(*NEW, "--repo", url)
    assert canary.ran == ""
    assert outside(person) == before
    place = Path(done.stdout.removesuffix("\n"))
    found = [path for path in paths if not (place / path / "README.md").exists()]
    said = [line.split()[2] for line in done.stderr.splitlines() if " is not there: " in line]
    assert said == found
    return found


URLS = ["ext", "fd", "option", "ssh", "above", "link/through"]


def test_submodules_run_nothing_for_who_trusts_every_transport(
    person: Person, repo: Path, origin: str, canary: Canary
) -> None:
    for key in ("protocol.allow", "protocol.ext.allow", "protocol.file.allow"):
        person.git("config", "--global", key, "always")
    assert unmade(person, repo, origin, canary, HOSTILE) == URLS
    nothing_runs(person, canary, "--repo", origin, cwd=repo)


@pytest.mark.parametrize(
    ("text", "lacks"), [(HOSTILE, [*URLS, "file"]), (COMMAND, ["command"])], ids=["urls", "update"]
)
def test_submodules_that_git_itself_refuses_are_said(
    person: Person, repo: Path, origin: str, canary: Canary, text: str, lacks: list[str]
) -> None:
    assert unmade(person, repo, origin, canary, text) == lacks


# What a cache, a tree or another owner can do


def test_hooks_in_a_cache_do_not_run(
    person: Person, repo: Path, origin: str, canary: Canary
) -> None:
    made(person, TOPIC, "--repo", origin, cwd=repo)
    (cache,) = (person.home / ROOT / "cache").glob("**/shop.git")
    canary.hooks(cache / "hooks")
    extra = person.home / "extra"
    canary.is_armed(person, "worktree", "add", "--detach", extra, "origin/main", cwd=cache)
    person.git("worktree", "remove", "--force", extra, cwd=cache)
    canary.mark.unlink(missing_ok=True)
    commit(person, repo, {"new.txt": "new\n"})
    person.git("push", "origin", "main", cwd=repo)
    person.mooring(*NEW, "--fetch", "--repo", origin, cwd=repo)
    nothing_runs(person, canary, "--repo", origin, cwd=repo)


def test_a_config_in_the_tree_is_not_read(person: Person, repo: Path, canary: Canary) -> None:
    """Not under names that git reads elsewhere, and not in a git directory that is tracked."""
    include = f'[includeIf "gitdir:**"]\n\tpath = "{canary.path.parent}/config"\n'
    names = (".gitconfig", "config", ".config/git/config", "config.worktree")
    inside = repo / "vendor/inside"
    person.git("init", "--quiet", "--bare", inside)
    (inside / "config").write_text(
        "[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = ..\n" + canary.config
    )
    (inside / "refs/heads/.keep").touch()
    (inside / "objects/.keep").touch()
    commit(person, repo, dict.fromkeys(names, include))
    person.git("add", "--force", "vendor", cwd=repo)
    person.git("commit", "--quiet", "-m", "Add vendor", cwd=repo)
    place = made(person, TOPIC, cwd=repo)
    canary.is_armed(person, "status", cwd=place / "vendor/inside")
    person.mooring("new", "other", "--launch", "none", cwd=place / "vendor/inside")
    person.mooring("end", "other", cwd=repo / "vendor/inside")
    assert canary.ran == ""
    nothing_runs(person, canary, cwd=repo / "vendor/inside")


def test_a_mooring_directory_of_the_tree_is_refused(
    person: Person, repo: Path, canary: Canary
) -> None:
    plant_links(person, repo, ".mooring")
    nothing_runs(person, canary, cwd=repo)


def plant_links(person: Person, repo: Path, *names: str) -> None:
    """Track links to a directory of the person's, and want a file copied to behind one."""
    (person.home / "outside").mkdir()
    for name in names:
        (repo / name).symlink_to(person.home / "outside")
    spec = "files: {copy: [{src: .env.local, dest: conf/env}]}\n"
    (repo / "mooring.yaml").write_text(spec)
    person.git("add", "--force", "mooring.yaml", *names, cwd=repo)
    person.git("commit", "--quiet", "-m", "Plant", cwd=repo)


@pytest.mark.parametrize("names", [(".claude", ".envrc", ".session-context.md"), ("conf",)])
def test_nothing_is_written_through_links_of_the_tree(
    person: Person, repo: Path, canary: Canary, names: tuple[str, ...]
) -> None:
    plant_links(person, repo, *names)
    before = outside(person)
    person.mooring(*NEW, cwd=repo, check=False)
    assert outside(person) == before
    nothing_runs(person, canary, cwd=repo)


def test_a_repo_of_somebody_else_is_refused_until_it_is_trusted(person: Person, repo: Path) -> None:
    if os.getuid():
        lack("only root can give a repo away")
    for path in (repo, *repo.rglob("*")):
        os.lchown(path, 12345, 12345)
    before = outside(person)
    done = person.mooring(*NEW, cwd=repo, check=False)
    assert done.returncode == 1
    assert "dubious ownership" in done.stderr
    assert outside(person) == before
    assert live(person.home) == []
    (hint,) = hints(done)
    assert "safe.directory" in hint
    person.run("sh", "-c", hint)
    place = made(person, TOPIC, cwd=repo)
    person.mooring("end", TOPIC, cwd=repo)
    assert not place.exists()


class Asking(BaseHTTPRequestHandler):
    """A server that wants a password."""

    def do_GET(self) -> None:
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="shop"')
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def asking() -> Iterator[str]:
    """The URL of a repo that asks for a password."""
    with HTTPServer(("127.0.0.1", 0), Asking) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/shop.git"
        server.shutdown()
        thread.join()


def test_a_credential_command_of_the_repo_does_not_run(
    person: Person, repo: Path, asking: str, canary: Canary
) -> None:
    spec = f"git: {{credential: {{command: ['{canary.path}']}}}}\n"
    commit(person, repo, {"mooring.yaml": spec})
    person.git("remote", "add", "origin", asking, cwd=repo)
    own = person.home / ".config/mooring/config.yaml"
    own.parent.mkdir(parents=True)
    own.write_text(spec)
    person.mooring(*NEW, "--fetch", cwd=repo, check=False)
    assert canary.ran, "a person's own is run"
    own.unlink()
    canary.mark.unlink()
    done = person.mooring(*NEW, "--fetch", cwd=repo, check=False)
    assert "git of the repo's mooring.yaml is not used" in done.stderr
    made(person, TOPIC, cwd=repo)
    person.mooring("run", TOPIC, "--", "git", "ls-remote", cwd=repo, check=False)
    nothing_runs(person, canary, cwd=repo)
