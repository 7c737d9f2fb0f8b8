"""Repos that are odd in one way each: a builder makes one at a place where nothing is yet.

It returns where a person stands in it. What else belongs to it, such as its remote, lies beside it.
What Mooring makes of each is in `tests/git/test_matrix.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.git.traces import head, hook
from tests.support import Done, Person, commit, make_repo

Builder = Callable[[Person, Path], Path]

FILES = {"README.md": "# Shop\n", "app/shop.py": 'print("open")\n', "docs/use.md": "# Use\n"}
NOBODY = 65534  # a uid that is not ours
BRANCHES = 5_000
MANY = 50_000
NFC, NFD = "caf\u00e9.txt", "cafe\u0301.txt"
ODD_NAMES = (
    "a \"b\" 'c'.txt",
    " leading",
    "trailing ",
    "-dash",
    "back\\slash",
    "*glob?[x]",
    "$(touch pwned)",
    "`touch pwned`;&|",
    "tab\there",
    "{{ topic }}",
    "%s%n",
    "!bang",
    "#hash",
    ":(top)magic",
)


def plain(person: Person, place: Path) -> Path:
    return make_repo(person, place, FILES)


def _origin(person: Person, place: Path) -> str:
    """A bare remote beside the place, with two commits on main and one on `other`."""
    source = make_repo(person, _beside(place, "source"), FILES)
    commit(person, source, {"CHANGES.md": "# Changes\n"})
    person.git("switch", "--quiet", "--create", "other", "main~1", cwd=source)
    commit(person, source, {"other.txt": "other\n"})
    person.git("switch", "--quiet", "main", cwd=source)
    bare = _beside(place, "origin.git")
    person.git("clone", "--quiet", "--bare", source, bare)
    return bare.as_uri()


def _beside(place: Path, name: str) -> Path:
    return place.with_name(f"{place.name}-{name}")


def _clone(person: Person, place: Path, *args: str) -> Path:
    person.git("clone", "--quiet", *args, _origin(person, place), place)
    return place


def cloned(person: Person, place: Path) -> Path:
    return _clone(person, place)


def no_commits(person: Person, place: Path) -> Path:
    person.git("init", "--quiet", place)
    return place


def orphan(person: Person, place: Path) -> Path:
    """Commits on main, and HEAD on a branch without any."""
    plain(person, place)
    person.git("switch", "--quiet", "--orphan", "fresh", cwd=place)
    return place


def shallow(person: Person, place: Path) -> Path:
    return _clone(person, place, "--depth", "1")


def partial(person: Person, place: Path) -> Path:
    """A clone whose blobs are fetched when they are wanted."""
    url = _origin(person, place)
    person.git("config", "uploadpack.allowFilter", "true", cwd=_beside(place, "origin.git"))
    person.git("clone", "--quiet", "--filter=blob:none", "--no-checkout", url, place)
    return place


def bare(person: Person, place: Path) -> Path:
    return _clone(person, place.with_suffix(".git"), "--bare")


def bare_as_dot_git(person: Person, place: Path) -> Path:
    """A bare repo named `.git`, in a directory that only has worktrees."""
    person.git("clone", "--quiet", "--bare", _origin(person, place), place / ".git")
    return place


def bare_behind_a_file(person: Person, place: Path) -> Path:
    """A bare repo beside its worktrees, with a `.git` file that points there."""
    person.git("clone", "--quiet", "--bare", _origin(person, place), place / ".bare")
    (place / ".git").write_text("gitdir: ./.bare\n")
    return place


def linked(person: Person, place: Path) -> Path:
    """A worktree of another repo."""
    main = plain(person, _beside(place, "main"))
    person.git("worktree", "add", "--quiet", "-b", "linked", place, cwd=main)
    return place


def subdirectory(person: Person, place: Path) -> Path:
    return plain(person, place) / "app"


def through_a_link(person: Person, place: Path) -> Path:
    """A symlink to the repo."""
    plain(person, _beside(place, "real"))
    place.symlink_to(_beside(place, "real"))
    return place


def sparse(person: Person, place: Path) -> Path:
    """A checkout of `app` and the top alone, in cone mode."""
    plain(person, place)
    person.git("sparse-checkout", "init", "--cone", cwd=place)
    person.git("sparse-checkout", "set", "app", cwd=place)
    assert not (place / "docs").exists()
    return place


def separate_git_dir(person: Person, place: Path) -> Path:
    apart = _beside(place, "apart")
    person.git("init", "--quiet", "--separate-git-dir", apart, place)
    commit(person, place, FILES)
    return place


def core_worktree(person: Person, place: Path) -> Path:
    """A git directory elsewhere that says itself where its worktree is."""
    separate_git_dir(person, place)
    person.git("config", "core.worktree", str(place), cwd=place)
    return place


def worktree_config(person: Person, place: Path) -> Path:
    """Each worktree has a config of its own; the main one says what only it should have."""
    plain(person, place)
    person.git("config", "extensions.worktreeConfig", "true", cwd=place)
    person.git("config", "--worktree", "core.worktree", str(place), cwd=place)
    person.git("config", "--worktree", "user.name", "Main", cwd=place)
    return place


def unknown_extension(person: Person, place: Path) -> Path:
    plain(person, place)
    person.git("config", "core.repositoryFormatVersion", "1", cwd=place)
    person.git("config", "extensions.foo", "true", cwd=place)
    return place


def sha256(person: Person, place: Path) -> Path:
    person.git("init", "--quiet", "--object-format=sha256", place)
    commit(person, place, FILES)
    return place


def reftable(person: Person, place: Path) -> Path:
    """Refs in a binary file, `HEAD` only for show. Needs a git of 2.45 or newer."""
    person.git("init", "--quiet", "--ref-format=reftable", place)
    commit(person, place, FILES)
    return place


def as_reftable(person: Person, place: Path) -> Path:
    """What a git before 2.45 sees of a repo with reftables."""
    plain(person, place)
    person.git("config", "core.repositoryFormatVersion", "1", cwd=place)
    person.git("config", "extensions.refStorage", "reftable", cwd=place)
    return place


def version(person: Person) -> tuple[int, int]:
    """The first two numbers of the version of the person's git."""
    numbers = person.git("version").stdout.split()[2].split(".")
    return int(numbers[0]), int(numbers[1])


def detached(person: Person, place: Path) -> Path:
    plain(person, place)
    commit(person, place, {"CHANGES.md": "# Changes\n"})
    person.git("checkout", "--quiet", "--detach", "HEAD~1", cwd=place)
    return place


def somebody_elses(person: Person, place: Path) -> Path:
    """A repo of another user, which git doesn't trust. Needs root."""
    plain(person, place)
    for path in (place, *place.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    return place


def somebody_elses_but_safe(person: Person, place: Path) -> Path:
    """The same, but the person has told git to trust it. Needs root."""
    somebody_elses(person, place)
    person.git("config", "--global", "--add", "safe.directory", str(place))
    return place


def unicode_names(person: Person, place: Path) -> Path:
    """A file twice, but for the form of its name; the repo's directory has both forms too."""
    files = {NFC: "composed\n", NFD: "decomposed\n", "日本/\N{ROCKET}.md": "# Rocket\n"}
    repo = make_repo(person, place / NFC / NFD, FILES | files)
    person.git("branch", "tópico/ünï", cwd=repo)
    return repo


def odd_names(person: Person, place: Path) -> Path:
    repo = place / 'it\'s a "shop"; $(touch pwned) #1 & [co]* \\ %s'
    make_repo(person, repo, FILES)
    for name in ODD_NAMES:
        (repo / name).write_text("odd\n")
    person.git("add", "--all", cwd=repo)
    person.git("commit", "--quiet", "-m", "Odd", cwd=repo)
    return repo


def branch_below(person: Person, place: Path) -> Path:
    """A branch `t/x`, where git can have no `t`."""
    plain(person, place)
    person.git("branch", "t/x", cwd=place)
    return place


def branch_above(person: Person, place: Path) -> Path:
    """A branch `t`, packed, where git can have no `t/x`."""
    plain(person, place)
    person.git("branch", "t", cwd=place)
    person.git("pack-refs", "--all", cwd=place)
    return place


def submodules(person: Person, place: Path) -> Path:
    """A submodule with a submodule, all checked out."""
    inner = make_repo(person, _beside(place, "inner"), {"inner.txt": "inner\n"})
    outer = make_repo(person, _beside(place, "outer"), {"outer.txt": "outer\n"})
    plain(person, place)
    for repo, module, name in ((outer, inner, "inner"), (place, outer, "outer")):
        _with_file(person, "submodule", "--quiet", "add", module.as_uri(), name, cwd=repo)
        person.git("commit", "--quiet", "-m", "Add it", cwd=repo)
    _with_file(person, "submodule", "--quiet", "update", "--init", "--recursive", cwd=place)
    assert (place / "outer/inner/inner.txt").is_file()
    return place


def _with_file(person: Person, *args: str, cwd: Path) -> Done:
    """A git that may clone submodules from here."""
    return person.git("-c", "protocol.file.allow=always", *args, cwd=cwd)


def claude_as_submodule(person: Person, place: Path) -> Path:
    """A team's shared `.claude`, as a submodule."""
    shared = make_repo(person, _beside(place, "claude"), {"settings.json": "{}\n"})
    plain(person, place)
    _with_file(person, "submodule", "--quiet", "add", shared.as_uri(), ".claude", cwd=place)
    person.git("commit", "--quiet", "-m", "Add it", cwd=place)
    return place


def lfs(person: Person, place: Path) -> Path:
    """A clone with a file in git-lfs, all of it here. Needs git-lfs."""
    return _lfs(person, place)


def lfs_elsewhere(person: Person, place: Path) -> Path:
    """The same, but git-lfs has to fetch the file from the remote. Needs git-lfs."""
    return _lfs(person, place, "--no-checkout")


def _lfs(person: Person, place: Path, *args: str) -> Path:
    person.git("lfs", "install", "--skip-repo")
    source = make_repo(person, _beside(place, "source"), FILES)
    person.git("lfs", "install", "--local", cwd=source)
    person.git("lfs", "track", "*.bin", cwd=source)
    commit(person, source, {".gitattributes": (source / ".gitattributes").read_text()})
    commit(person, source, {"large.bin": "large\n" * 1000})
    origin = _beside(place, "origin.git")
    person.git("clone", "--quiet", "--bare", source, origin)
    person.git("push", "--quiet", origin.as_uri(), "main", cwd=source)
    person.git("lfs", "push", origin.as_uri(), "main", cwd=source)
    person.git("clone", "--quiet", *args, origin.as_uri(), place)
    person.git("lfs", "install", "--local", cwd=place)
    return place


def own_hook(person: Person, place: Path) -> Path:
    """A post-checkout hook that leaves `hook-ran` in the HOME."""
    plain(person, place)
    hook(place, 'echo "$PWD" >>"$HOME/tmp/hook-ran"')
    return place


def failing_hook(person: Person, place: Path) -> Path:
    plain(person, place)
    hook(place, "echo the hook is unhappy >&2; exit 3")
    return place


def locked_worktrees(person: Person, place: Path) -> Path:
    """Two locked worktrees: one is there, one is away."""
    plain(person, place)
    for name in ("here", "away"):
        tree = _beside(place, name)
        person.git("worktree", "add", "--quiet", "--lock", tree, cwd=place)
    tree.rename(_beside(place, "gone"))
    return place


def many_branches(person: Person, place: Path, count: int = BRANCHES) -> Path:
    """Packed branches in directories, `many/0/0` and so on."""
    plain(person, place)
    tip = head(person, place)
    lines = (f"create refs/heads/many/{n % 100}/{n} {tip}\n" for n in range(count))
    person.git("update-ref", "--stdin", cwd=place, input="".join(lines))
    person.git("pack-refs", "--all", cwd=place)
    return place


def many_files(person: Person, place: Path, count: int = MANY) -> Path:
    """One commit with that many small files, a hundred in each directory, checked out."""
    person.git("init", "--quiet", place)
    person.git("fast-import", "--quiet", cwd=place, input="".join(_commit_of(count)))
    person.git("reset", "--quiet", "--hard", "main", cwd=place)
    return place


def _commit_of(count: int) -> Iterator[str]:
    yield "commit refs/heads/main\ncommitter Robin Shore <robin@example.com> 0 +0000\n"
    yield "data 4\nMany\n"
    for number in range(count):
        content = f"{number}\n"
        yield f"M 644 inline files/{number // 100}/{number}.txt\n"
        yield f"data {len(content)}\n{content}\n"


def alternates(person: Person, place: Path) -> Path:
    """A clone that has its objects from another one."""
    return _clone(person, place, "--shared")


def stash(person: Person, place: Path) -> Path:
    plain(person, place)
    for word in ("first", "second"):
        (place / "README.md").write_text(f"{word}\n")
        person.git("stash", "--quiet", cwd=place)
    return place


def dirty(person: Person, place: Path) -> Path:
    """Staged, unstaged and untracked changes, in the middle of a merge."""
    plain(person, place)
    person.git("branch", "other", cwd=place)
    commit(person, place, {"README.md": "ours\n"})
    person.git("switch", "--quiet", "other", cwd=place)
    commit(person, place, {"README.md": "theirs\n"})
    person.git("switch", "--quiet", "main", cwd=place)
    person.git("merge", "other", cwd=place, check=False)
    (place / "app/shop.py").write_text("changed\n")
    (place / "untracked.txt").write_text("mine\n")
    return place


MODULES = """\
[submodule "option"]
	path = option
	url = -u./payload
[submodule "helper"]
	path = helper
	url = "ext::sh -c touch% pwned"
[submodule "../../escape"]
	path = escape
	url = ./-x
	update = !touch pwned
"""


def hostile(person: Person, place: Path) -> Path:
    """What a stranger can put into a repo: attributes, submodules and links.

    A link out of it is `vendor`, to `precious` in the HOME. Whatever runs leaves a `pwned`.
    """
    (person.home / "precious").mkdir()
    (person.home / "precious/notes").write_text("mine\n")
    attributes = "* filter=evil diff=evil merge=evil ident\n*.md working-tree-encoding=UTF-16\n"
    plain(person, place)
    commit(person, place, {".gitmodules": MODULES, "payload": "#!/bin/sh\ntouch pwned\n"})
    commit(person, place, {".git-hooks/post-checkout": "#!/bin/sh\ntouch pwned\n"})
    commit(person, place, {"tools/.gitattributes": attributes})
    (place / "vendor").symlink_to(person.home / "precious")
    person.git("add", "vendor", cwd=place)
    for name in ("option", "helper", "escape"):
        entry = f"160000,{head(person, place)},{name}"
        person.git("update-index", "--add", "--cacheinfo", entry, cwd=place)
        (place / name).mkdir()
    person.git("commit", "--quiet", "-m", "Plant", cwd=place)
    return place


def linked_claude(person: Person, place: Path) -> Path:
    """A tracked `.claude` that is a link to `precious` in the HOME."""
    (person.home / "precious").mkdir()
    (person.home / "precious/notes").write_text("mine\n")
    return _with_link(person, place, ".claude", person.home / "precious")


def linked_gitignore(person: Person, place: Path) -> Path:
    """A tracked `.gitignore` that is a link: git (2.32) warns of it whenever it looks at files."""
    return _with_link(person, place, ".gitignore", Path("docs/use.md"))


def _with_link(person: Person, place: Path, name: str, target: Path) -> Path:
    plain(person, place)
    (place / name).symlink_to(target)
    person.git("add", name, cwd=place)
    person.git("commit", "--quiet", "-m", "Link", cwd=place)
    return place


def listing_gitignore(person: Person, place: Path) -> Path:
    """A `.gitignore` that names what is not ignored, after which no exclude counts."""
    plain(person, place)
    commit(person, place, {".gitignore": "/*\n!*.md\n!/.*\n!/app\n!/docs\n"})
    return place


def graft(person: Person, place: Path) -> Path:
    """An `info/grafts`, of which git speaks at every turn."""
    plain(person, place)
    (place / ".git/info/grafts").write_text(f"{head(person, place)}\n")
    return place


def no_info(person: Person, place: Path) -> Path:
    """A repo made with an empty template: it has no `info/exclude`."""
    (person.home / "template").mkdir()
    person.git("init", "--quiet", f"--template={person.home}/template", place)
    commit(person, place, FILES)
    return place


def linked_exclude(person: Person, place: Path) -> Path:
    """An `info/exclude` that is a link to a file of the person's."""
    plain(person, place)
    (person.home / "my-excludes").write_text("*.swp\n")
    (place / ".git/info/exclude").unlink()
    (place / ".git/info/exclude").symlink_to(person.home / "my-excludes")
    return place


def linked_worktrees(person: Person, place: Path) -> Path:
    """A link where the worktrees go, to an empty directory on another disk, as it were."""
    plain(person, place)
    (person.home / "disk").mkdir()
    _worktrees(place).symlink_to(person.home / "disk")
    return place


def blocked_worktrees(person: Person, place: Path) -> Path:
    """A file where the worktrees' directory would be."""
    plain(person, place)
    _worktrees(place).write_text("mine\n")
    return place


def _worktrees(place: Path) -> Path:
    return place.with_name(f"{place.name}.worktrees")


def missing_blob(person: Person, place: Path) -> Path:
    """A repo that lacks the content of a file."""
    plain(person, place)
    blob = person.git("rev-parse", "HEAD:app/shop.py", cwd=place).stdout.strip()
    (place / ".git/objects" / blob[:2] / blob[2:]).unlink()
    return place


def partial_and_alone(person: Person, place: Path) -> Path:
    """A partial clone whose remote is gone."""
    partial(person, place)
    _beside(place, "origin.git").rename(_beside(place, "gone.git"))
    return place
