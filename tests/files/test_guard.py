"""The guard for commits, with real git: what it refuses, what it lets pass, whose hooks run."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.git.test_identity import by_direnv, by_run, left, plainly
from tests.git.traces import ROOT, hook, made, status
from tests.git.versions import NAME, gits, with_git
from tests.support import Done, Person, commit, link, need

SECRET = "hunter2-Zq9vX4'$(id)\\\"%&é"
LINES = ["-----BEGIN KEY-----", "MIIEow+IBAAKCAQEA/7Q1", "b1Zq9vX4hunter2==", "-----END KEY-----"]
SPEC = """\
files:
  template: [{src: env.j2, dest: .env}]
  guard: true
secrets:
  KEY: {file: "~/key"}
  PEM: {file: "~/pem"}
"""
SOURCE = "KEY={{ KEY | dotenv }}\nPEM={{ PEM | shell }}\n"
Shell = Callable[[Person, Path, str], Done]
COMMIT = "git add --all && git commit --quiet --message Work"


def rotate(person: Person, value: str) -> None:
    (person.home / "key").write_text(f"{value}\n")


@pytest.fixture
def shop(person: Person, repo: Path) -> Path:
    """A repo that asks for the guard, with two secrets."""
    rotate(person, SECRET)
    (person.home / "pem").write_text("\n".join(LINES) + "\n")
    commit(person, repo, {"mooring.yaml": SPEC, "env.j2": SOURCE, "app/config": "mode=1\n"})
    person.mooring("trust", "--yes", cwd=repo)
    return repo


@pytest.fixture
def place(person: Person, shop: Path) -> Path:
    """Its workspace."""
    return made(person, "fix-login", cwd=shop)


def guards(person: Person) -> list[Path]:
    return list((person.home / ROOT).rglob("*.guard"))


def tried(person: Person, place: Path, script: str = COMMIT, shell: Shell = plainly) -> Done:
    """Run a script that commits, and say whether it was done; stderr is git's own."""
    return shell(person, place, f"{{ {script}; }} 2>&1; echo status $?")


def refused(person: Person, place: Path, script: str = COMMIT, shell: Shell = plainly) -> str:
    """What is said of a commit that is refused: never the value."""
    before = person.git("rev-parse", "HEAD", cwd=place).stdout
    said = tried(person, place, script, shell).stdout
    assert "has a secret that was rendered for the workspace" in said, said
    assert said.endswith("status 1\n")
    assert person.git("rev-parse", "HEAD", cwd=place).stdout == before
    assert SECRET[:10] not in said
    assert "git commit --no-verify" in said
    assert list(guards(person)[0].glob(".check*")) == []
    return said


def committed(person: Person, place: Path, script: str = COMMIT, shell: Shell = plainly) -> str:
    before = person.git("rev-parse", "HEAD", cwd=place).stdout
    said = tried(person, place, script, shell).stdout
    assert said.endswith("status 0\n"), said
    assert person.git("rev-parse", "HEAD", cwd=place).stdout != before
    return said


TEXTS = {
    "plain": SECRET,
    "in a word": f"prefix{SECRET}suffix",
    "in a line": f"one\ntwo\nkey = '{SECRET}' # mine\nlast",
    "in a URL": f"DATABASE=postgres://u:{SECRET}@host/shop",
    "encoded in a URL": f"DATABASE=postgres://u:{quote(SECRET, safe='')}@host/shop",
    "in JSON": json.dumps({"key": SECRET}),
    "a line of several": f"x\n  {LINES[2]}\n",
    "several lines": "\n".join(LINES),
    "with carriage returns": "\r\n".join(["a", SECRET, "b"]),
    "in a long line": "x=1;" * 5000 + SECRET + "y" * 9000,
    "across what is looked at at once": "é" * 2040 + SECRET,
    "among other bytes": f"\0\1\0{SECRET}\0\0",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_value_is_refused(person: Person, place: Path, text: str) -> None:
    (place / "new file").write_text(text)
    assert "new file line " in refused(person, place)
    assert "hint: git restore --staged ':/new file'" in tried(person, place).stdout
    committed(person, place, "git commit --quiet --no-verify --message Meant")


def test_the_rendered_file_itself_is_refused(person: Person, place: Path) -> None:
    refused(person, place, "git add --force .env && git commit --message Work")


@pytest.mark.parametrize("shell", [plainly, by_run, by_direnv])
def test_each_shell(person: Person, place: Path, shell: Shell) -> None:
    config = place / "app/config"
    config.write_text(f"mode=1\nnone\n{SECRET}\n")
    assert "app/config line 3" in refused(person, place, shell=shell)
    config.write_text("mode=2\n")
    committed(person, place, shell=shell)


@pytest.mark.parametrize(
    "script",
    [
        "git commit --all --message Work",
        "git commit --message Work -- app/config",
        "cd app && git commit --message Work config",
        "cd app && git add . && git commit --message Work",
        "git add app && git commit --amend --no-edit",
        "git checkout --quiet --orphan new && git commit --all --message Work"
        " || { git symbolic-ref HEAD refs/heads/fix-login; false; }",
        "git add app && git -c diff.noprefix=true -c diff.external=true commit --message Work",
    ],
)
def test_each_way_to_commit(person: Person, place: Path, script: str) -> None:
    with (place / "app/config").open("a") as config:
        config.write(SECRET)
    assert "app/config line 2" in refused(person, place, script)


def test_a_merge_and_a_patch_are_refused(person: Person, place: Path) -> None:
    (place / "leak").write_text(SECRET)
    committed(
        person,
        place,
        "git checkout --quiet -b leaks && git add leak && git commit --quiet --no-verify -m Leak"
        " && git format-patch --quiet -1 --output-directory ../patch",
    )
    person.git("checkout", "--quiet", "fix-login", cwd=place)
    (place / "other").write_text("other\n")
    committed(person, place)
    refused(person, place, "git merge --no-edit leaks || { git merge --abort; false; }")
    refused(person, place, "git am ../patch/* || { git am --abort; false; }")


def test_what_is_no_secret_is_committed(person: Person, place: Path) -> None:
    (place / "leak").write_text(f"one\n{SECRET}\ntwo\n")
    committed(person, place, f"{COMMIT} --no-verify")
    (place / "leak").write_text(f"one\n{SECRET}\ntwo, changed\n++ b/three\n-----BEGIN KEY-----\n")
    assert "cannot" not in committed(person, place).lower()
    committed(person, place, "git mv leak moved && git commit --quiet --message Moved")
    (place / "moved").write_text("one\ntwo\n")
    committed(person, place)
    (place / "near").write_text(f"{SECRET[:-1]}\n{SECRET[1:]}\n{SECRET.lower()}\nKEY\n")
    committed(person, place)


def test_the_values_are_nowhere(person: Person, place: Path) -> None:
    (guard,) = guards(person)
    assert guard.stat().st_mode & 0o777 == 0o700
    known = guard / "hashes"
    assert known.stat().st_mode & 0o777 == 0o600
    text = known.read_text()
    assert text.splitlines()[0].startswith("salt ")
    assert len(text.splitlines()) > 3
    files = [path for path in (person.home / ROOT).rglob("*") if path.is_file()]
    for value in (SECRET, LINES[1], LINES[2]):
        assert [path for path in files if value.encode() in path.read_bytes()] == []


OWN = {
    "by default": (".git/hooks", None),
    "in the repo's config": (".husky/_", ".husky/_"),
    "in one's own config": ("../hooks", "~/src/hooks"),
}


@pytest.mark.parametrize("where", OWN)
def test_the_repos_own_hooks_run(person: Person, shop: Path, origin: str, where: str) -> None:
    """With their arguments, their stdin, and in the place of git's."""
    directory, value = OWN[where]
    if value:
        scope = "--global" if value.startswith("~") else "--local"
        person.git("config", scope, "core.hooksPath", value, cwd=shop)
    told = person.home / "told"
    names = ("pre-commit", "commit-msg", "post-commit", "pre-push", "reference-transaction")
    place = made(person, "fix-login", "--trust", cwd=shop)
    hooks = (shop if directory != ".husky/_" else place) / directory
    hooks.mkdir(parents=True, exist_ok=True)
    for name in names:
        script = hooks / name
        script.write_text(
            f"#!/bin/sh\necho \"${{0##*/}}|$#|$2|${{PWD##*/}}|${{LC_ALL-}}|$(cat)\" >>'{told}'\n"
        )
        script.chmod(0o755)
    (hooks / "post-merge").write_text("not executable")
    (place / "app/config").write_text("mode=2\n")
    committed(person, place, "git commit --quiet --all --message Work", by_run)
    person.mooring("run", "--", "git", "push", "--quiet", "origin", "HEAD:refs/heads/x", cwd=place)
    lines = told.read_text().splitlines()
    assert f"pre-commit|0||{place.name}||" in lines
    assert f"commit-msg|1||{place.name}||" in lines
    assert f"post-commit|0||{place.name}||" in lines
    head = person.git("rev-parse", "HEAD", cwd=place).stdout.strip()
    zeros = "0" * 40
    assert f"pre-push|2|{origin}|{place.name}||HEAD {head} refs/heads/x {zeros}" in lines
    assert any(line.startswith("reference-transaction|1|") for line in lines)
    (hooks / "pre-commit").write_text("#!/bin/sh\necho mine >&2; exit 3\n")
    said = tried(person, place, "git commit --allow-empty --message Work", by_run).stdout
    assert "mine" in said
    assert "status 1" in said
    (place / "leak").write_text(SECRET)
    refused(person, place, shell=by_run)


def test_a_repo_whose_config_names_its_hooks(person: Person, shop: Path) -> None:
    person.git("config", "core.hooksPath", ".husky", cwd=shop)
    said = person.mooring("new", "fix-login", cwd=shop)
    assert "git's config says core.hooksPath=.husky there" in said.stderr
    assert "core.hooksPath" not in person.mooring("new", "fix-login", cwd=shop).stderr
    place = Path(said.stdout.strip())
    (place / "leak").write_text(SECRET)
    for shell in (by_run, by_direnv):
        refused(person, place, shell=shell)


def test_elsewhere_nothing_is_guarded(person: Person, shop: Path, place: Path) -> None:
    hook(shop, "touch ran")
    other = shop.parent / "other"
    person.git("worktree", "add", "--quiet", "-b", "other", other, cwd=shop)
    for where in (shop, other):
        assert person.git("config", "core.hooksPath", cwd=where, check=False).stdout == ""
        (where / "leak").write_text(SECRET)
        committed(person, where, "git add leak && git commit --quiet --message Work")
    (shop / "leak").write_text(f"again {SECRET}")
    script = f"cd {shlex.quote(str(shop))} && git commit --quiet --all --message Again"
    assert tried(person, place, script, by_run).stdout.endswith("status 0\n")
    assert "ran" in status(person, other)


def test_each_workspace_has_its_own(person: Person, shop: Path, place: Path) -> None:
    """In another one's environment, too."""
    rotate(person, "another-secret")
    other = made(person, "other", cwd=shop)
    (other / "leak").write_text("another-secret")
    (place / "leak").write_text("another-secret")
    refused(person, other)
    script = f"cd {shlex.quote(str(other))} && {COMMIT}"
    assert "rendered" in tried(person, place, script, by_run).stdout
    committed(person, place)


def test_by_default_there_is_none(person: Person, repo: Path) -> None:
    rotate(person, SECRET)
    own = SPEC.replace("  guard: true\n", "").replace('  PEM: {file: "~/pem"}\n', "")
    commit(person, repo, {"mooring.yaml": own, "env.j2": "K={{ KEY }}\n"})
    said = person.mooring("new", "fix-login", "--trust", cwd=repo)
    place = Path(said.stdout.strip())
    assert "guard" not in said.stderr
    assert (guards(person), left(person)) == ([], [])
    assert "hooksPath" not in (place / ".envrc").read_text()
    assert person.mooring("run", "--", "env", cwd=place).stdout.count("GIT_CONFIG") == 0
    assert person.git("config", "core.hooksPath", cwd=place, check=False).stdout == ""


def test_it_comes_and_goes_as_it_is_asked_for(person: Person, shop: Path) -> None:
    place = made(person, "fix-login", "--set", "files.guard=false", cwd=shop)
    assert (guards(person), left(person)) == ([], [])
    (place / "leak").write_text(SECRET)
    person.mooring("new", "fix-login", "--unset", "files.guard", cwd=shop)
    refused(person, place)
    assert "unchanged" in person.mooring("new", "fix-login", cwd=shop).stderr
    person.mooring("new", "fix-login", "--set", "files.guard=false", cwd=shop)
    assert (guards(person), left(person)) == ([], [])
    committed(person, place)


def test_a_user_asks_for_it_whatever_the_repo_says(person: Person, shop: Path) -> None:
    commit(person, shop, {"mooring.yaml": SPEC.replace("guard: true", "guard: false")})
    own = person.home / ".config/mooring/config.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("files: {guard: true}\n")
    place = made(person, "fix-login", cwd=shop)
    (place / "leak").write_text(SECRET)
    refused(person, place)


def test_after_a_rotation_both_are_refused(person: Person, shop: Path, place: Path) -> None:
    (guard,) = guards(person)
    before = (guard / "hashes").read_text()
    assert "unchanged" in person.mooring("new", "fix-login", cwd=shop).stderr
    person.mooring("files", "refresh", "fix-login", cwd=shop)
    assert (guard / "hashes").read_text() == before
    rotate(person, "rotated-secret")
    person.mooring("files", "refresh", "fix-login", cwd=shop)
    for value in (SECRET, "rotated-secret"):
        (place / "leak").write_text(value)
        refused(person, place)


@pytest.mark.parametrize("inside", [False, True])
def test_nothing_is_left_after_the_end(person: Person, shop: Path, inside: bool) -> None:
    mine = (person.home / ".gitconfig").read_bytes()
    place = made(person, "fix-login", cwd=shop)
    assert len(guards(person)) == 1
    done = person.mooring("end", *([] if inside else ["fix-login"]), cwd=place if inside else shop)
    assert "git config" not in done.stderr
    assert (guards(person), left(person)) == ([], [])
    assert (person.home / ".gitconfig").read_bytes() == mine
    place = made(person, "fix-login", cwd=shop)
    (place / "leak").write_text(SECRET)
    refused(person, place)


def test_a_guard_that_cannot_look_refuses(person: Person, shop: Path, place: Path) -> None:
    (guards(person)[0] / "hashes").unlink()
    said = tried(person, place, "git commit --allow-empty --message Work").stdout
    assert "Cannot check the commit for secrets: " in said
    assert "hint: mooring files refresh\n" in said
    assert "status 1" in said
    person.mooring("files", "refresh", cwd=place)
    committed(person, place, "git commit --quiet --allow-empty --message Work")


def test_what_is_too_large_is_said(person: Person, place: Path) -> None:
    (place / "large").write_text(("0123456789abcdef" * 4 + "\n") * 140000)
    said = committed(person, place)
    assert "not checked for secrets, since there is too much of it: the commit from large" in said


def test_a_short_secret_is_said(person: Person, shop: Path) -> None:
    rotate(person, "short")
    said = person.mooring("new", "fix-login", cwd=shop)
    assert "the guard does not look for KEY: it is too short" in said.stderr
    place = Path(said.stdout.strip())
    (place / "leak").write_text("short")
    committed(person, place)


def test_a_workspace_of_a_url(person: Person, shop: Path, origin: str) -> None:
    place = made(person, "fix-login", "--trust", "--repo", origin, cwd=person.home)
    (place / "leak").write_text(SECRET)
    for shell in (plainly, by_run):
        refused(person, place, shell=shell)


def test_a_submodule_is_guarded(person: Person, shop: Path) -> None:
    library = shop.parent / "library"
    person.git("init", "--quiet", library)
    commit(person, library, {"lib.txt": "lib\n"})
    person.git("config", "--global", "protocol.file.allow", "always")
    person.git("submodule", "--quiet", "add", library.as_uri(), "lib", cwd=shop)
    person.git("commit", "--quiet", "--message", "Add lib", cwd=shop)
    place = made(person, "fix-login", cwd=shop)
    (place / "lib/leak").write_text(SECRET)
    refused(person, place / "lib")


@pytest.mark.parametrize("shell", [("bash", "--posix"), ("dash",), ("busybox", "sh")])
def test_each_shell_and_awk(person: Person, place: Path, shell: tuple[str, ...]) -> None:
    """With busybox's programs where the shell is busybox's."""
    (guard,) = guards(person)
    text = (guard / "hook").read_text()
    first = " ".join([need(shell[0]), *shell[1:]])
    (guard / "hook").write_text(text.replace("#!/bin/sh\n", f"#!{first}\n"))
    if shell[0] == "busybox":
        for name in ("awk", "find", "head", "mkdir", "rm", "sed", "sha256sum", "tr"):
            link(need("busybox"), person.home / "bin" / name)
    for text in (f"\0\1é{SECRET}", "z" * 9000 + SECRET):
        (place / "leak").write_text(text)
        assert "leak line 1 " in refused(person, place)
    (place / "leak").write_text(f"{SECRET[1:]}\n")
    committed(person, place)


@pytest.mark.parametrize("name", ["awk", "sha256sum"])
def test_a_program_that_fails_lets_nothing_pass(person: Person, place: Path, name: str) -> None:
    link(need("false"), person.home / "bin" / name)
    (place / "leak").write_text(SECRET)
    said = tried(person, place).stdout
    assert "Cannot check the commit for secrets: " in said
    assert said.endswith("status 1\n")


@pytest.mark.parametrize("git", gits(), ids=NAME)
def test_each_git(person: Person, shop: Path, git: tuple[str, Path]) -> None:
    with_it = with_git(person, *git)
    place = made(with_it, "fix-login", cwd=shop)
    (place / "leak").write_text(SECRET)
    refused(with_it, place)
    (place / "leak").write_text("none\n")
    committed(with_it, place)
    with_it.mooring("end", "fix-login", "--force", cwd=shop)
    assert guards(person) == []
