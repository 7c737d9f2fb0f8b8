"""Who commits in a workspace, in whatever shell, and nowhere else; what that leaves behind."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.git.test_many import assert_sound, at_once
from tests.git.traces import ROOT, made, rows
from tests.support import GIT_CONFIG, Done, Person, commit, make_home, make_person, make_repo, need

ROBIN, BOT, BAT = (
    f"{name} <{name.split()[0].lower()}@example.com>" for name in ("Robin Shore", "Bot", "Bat")
)
AGENTS = """\
agents:
  bot: {git: {name: Bot, email: bot@example.com}}
  bat: {git: {name: Bat, email: bat@example.com}}
"""
COMMIT = "git commit --quiet --allow-empty --message Work"


def config(person: Person, text: str, name: str = "config.yaml") -> None:
    """A file of the person's own configuration."""
    path = person.home / ".config/mooring" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def agents(person: Person) -> None:
    config(person, AGENTS)


def plainly(person: Person, place: Path, script: str) -> Done:
    """Run a script with HOME and PATH and nothing else, as cron would."""
    variables = (f"HOME={person.home}", f"PATH={person.env['PATH']}")
    return person.run("env", "-i", *variables, "sh", "-c", script, cwd=place)


def by_run(person: Person, place: Path, script: str) -> Done:
    return person.mooring("run", "--", "sh", "-c", script, cwd=place)


def by_direnv(person: Person, place: Path, script: str) -> Done:
    return person.run(need("direnv"), "exec", place, "sh", "-c", script, cwd=place)


Shell = Callable[[Person, Path, str], Done]
SHELLS: tuple[Shell, ...] = (plainly, by_run, by_direnv)


def committer(person: Person, place: Path, shell: Shell = plainly) -> str:
    """Commit there; returns who is its author, who must be its committer too."""
    shell(person, place, COMMIT)
    line = person.git("log", "-1", "--format=%s|%an <%ae>|%cn <%ce>", cwd=place).stdout.strip()
    subject, author, by = line.split("|")
    assert (subject, author) == ("Work", by)
    return author


def left(person: Person) -> list[str]:
    """Git config of ours that is still there."""
    return [str(path) for path in (person.home / ROOT).rglob("*gitconfig*")]


def gitconfig(person: Person) -> bytes:
    return (person.home / ".gitconfig").read_bytes()


@pytest.mark.usefixtures("agents")
@pytest.mark.parametrize("shell", SHELLS)
def test_who_commits(person: Person, repo: Path, shell: Shell) -> None:
    own, mine = (repo / ".git/config").read_bytes(), gitconfig(person)
    bots = made(person, "fix-login", "--agent", "bot", cwd=repo)
    bats = made(person, "fix-login", "--agent", "bat", cwd=repo)
    robins = made(person, "fix-login", cwd=repo)
    assert committer(person, bots, shell) == BOT
    assert committer(person, bats, shell) == BAT
    assert committer(person, robins, shell) == ROBIN
    assert committer(person, repo) == ROBIN
    assert (repo / ".git/config").read_bytes() == own
    for agent in ("bot", "bat", "dev"):
        person.mooring("end", "fix-login", "--agent", agent, cwd=repo)
    assert (left(person), gitconfig(person)) == ([], mine)
    assert committer(person, repo) == ROBIN


@pytest.mark.usefixtures("agents")
@pytest.mark.parametrize("shell", SHELLS)
def test_a_repo_that_says_who_commits(person: Person, repo: Path, shell: Shell) -> None:
    person.git("config", "user.name", "Robin at Work", cwd=repo)
    person.git("config", "user.email", "robin@work.example.com", cwd=repo)
    place = made(person, "fix-login", "--agent", "bot", cwd=repo)
    assert committer(person, place, shell) == BOT
    assert committer(person, repo) == "Robin at Work <robin@work.example.com>"


@pytest.mark.usefixtures("agents")
def test_nobody_is_named(person: Person, repo: Path) -> None:
    mine = gitconfig(person)
    done = person.mooring("new", "fix-login", cwd=repo)
    assert "identity" not in done.stderr
    assert (left(person), gitconfig(person)) == ([], mine)


@pytest.mark.usefixtures("agents")
def test_a_workspace_of_a_url(person: Person, repo: Path, origin: str) -> None:
    places = [
        made(person, "fix-login", "--repo", origin, "--agent", agent, cwd=person.home)
        for agent in ("bot", "bat", "dev")
    ]
    assert [committer(person, place) for place in places] == [BOT, BAT, ROBIN]


@pytest.mark.usefixtures("agents")
@pytest.mark.parametrize("shell", SHELLS)
def test_a_submodule_of_the_worktree(person: Person, repo: Path, shell: Shell) -> None:
    library = make_repo(person, person.home / "src/library", {"lib.txt": "lib\n"})
    person.git("config", "--global", "protocol.file.allow", "always")
    person.git("submodule", "--quiet", "add", library.as_uri(), "lib", cwd=repo)
    person.git("commit", "--quiet", "--message", "Add lib", cwd=repo)
    place = made(person, "fix-login", "--agent", "bot", cwd=repo)
    script = f"cd lib && {COMMIT}"
    shell(person, place, script)
    plainly(person, repo, script)
    who = [
        person.git("log", "-1", "--format=%s, %an <%ae>, %cn <%ce>", cwd=where / "lib").stdout
        for where in (place, repo)
    ]
    assert who == [f"Work, {BOT}, {BOT}\n", f"Work, {ROBIN}, {ROBIN}\n"]


@pytest.mark.usefixtures("agents")
def test_a_worktree_that_was_moved(person: Person, repo: Path) -> None:
    mine = gitconfig(person)
    place = made(person, "fix-login", "--agent", "bot", cwd=repo)
    person.git("worktree", "move", place, repo.parent / "elsewhere", cwd=repo)
    assert committer(person, repo.parent / "elsewhere") == BOT
    person.mooring("end", "fix-login", "--agent", "bot", cwd=repo)
    assert (left(person), gitconfig(person)) == ([], mine)


def test_what_wins(person: Person, repo: Path) -> None:
    """An override over the agent's over everybody's, value by value."""
    everybody = "git: {name: Everybody, email: all@example.com}\n"
    config(person, f"{everybody}agents: {{bot: {{git: {{name: Bot}}}}}}\n")
    config(person, "git: {name: Once}\n", "overrides/special.yaml")
    workspaces = {
        ("usual", "dev"): "Everybody",
        ("usual", "bot"): "Bot",
        ("special", "bot"): "Once",
    }
    for (topic, agent), name in workspaces.items():
        place = made(person, topic, "--agent", agent, cwd=repo)
        for shell in (plainly, by_run):
            assert committer(person, place, shell) == f"{name} <all@example.com>"


@pytest.mark.parametrize(
    "name",
    [
        "{{ agent }}",
        "{{ topic }}",
        "{{ branch }}",
    ],
)
def test_a_template(person: Person, repo: Path, name: str) -> None:
    config(person, f"git: {{name: '[{name}]', email: bot@example.com}}\n")
    place = made(person, "fix-login", "--agent", "bot", cwd=repo)
    meant = {"{{ agent }}": "bot", "{{ topic }}": "fix-login", "{{ branch }}": "bot/fix-login"}
    for shell in SHELLS:
        assert committer(person, place, shell) == f"[{meant[name]}] <bot@example.com>"


@pytest.mark.parametrize(
    "name",
    [
        """it's "Bot" & \\ a\\n b\\t co""",
        "-n %s # 1; [bot]",
        "$HOME `touch pwned` $(touch pwned)",
        "Ångström 日本 🤖",
    ],
)
def test_odd_names_arrive_as_they_are(person: Person, repo: Path, name: str) -> None:
    mine, git = gitconfig(person), {"name": name, "email": "bot@example.com"}
    config(person, json.dumps({"git": git}, ensure_ascii=False))
    place = made(person, "fix-login", cwd=repo)
    for shell in SHELLS:
        assert committer(person, place, shell) == f"{name} <bot@example.com>"
    assert "unchanged" in person.mooring("new", "fix-login", cwd=repo).stderr
    person.mooring("end", "fix-login", cwd=repo)
    assert (left(person), gitconfig(person)) == ([], mine)
    assert list(person.home.rglob("pwned")) == []


def test_a_name_of_two_lines_is_refused(person: Person, repo: Path) -> None:
    mine = gitconfig(person)
    config(person, json.dumps({"git": {"name": "Bot\n[core]\nfsmonitor = touch pwned"}}))
    done = person.mooring("new", "fix-login", cwd=repo, check=False)
    assert done.returncode == 1
    assert "config.yaml line 1" in done.stderr
    assert "control characters" in done.stderr
    assert (left(person), gitconfig(person), rows(person)) == ([], mine, [])


@pytest.mark.usefixtures("agents")
@pytest.mark.parametrize(
    "name",
    [
        " a 商店 ",
        "shop*? **",
        "[s]hop",
        'sh\\o"p',
        "#(s)+{1}|^shop$; $HOME",
    ],
)
def test_a_repo_with_an_odd_path(person: Person, repo: Path, name: str) -> None:
    mine, odd = gitconfig(person), repo.rename(repo.parent / name)
    place = made(person, "fix-login", "--agent", "bot", cwd=odd)
    assert [committer(person, where) for where in (place, odd)] == [BOT, ROBIN]
    done = person.mooring("new", "fix-login", "--agent", "bot", cwd=odd)
    assert "unchanged" in done.stderr
    person.mooring("end", "fix-login", "--agent", "bot", cwd=odd)
    assert (left(person), gitconfig(person)) == ([], mine)


@pytest.mark.usefixtures("agents")
def test_a_pattern_matches_no_other_repo(person: Person, repo: Path) -> None:
    """What a path means as a glob is another repo, with a worktree of the same name."""
    other = make_repo(person, repo.parent / "shops", {"README.md": "# Another\n"})
    odd = repo.rename(repo.parent / "sh?ps")
    place = made(person, "fix-login", "--agent", "bot", cwd=odd)
    twin = other.parent / "twin/bot@fix-login"
    person.git("worktree", "add", "--quiet", twin, cwd=other)
    assert (other / ".git/worktrees/bot@fix-login").is_dir()
    assert [committer(person, where) for where in (place, twin)] == [BOT, ROBIN]


@pytest.mark.parametrize("name", ["it's a home", "#home; $HOME", "(h)+{1}|^o*?me$", "主目录"])
def test_a_home_with_an_odd_path(tmp_path: Path, name: str) -> None:
    person = make_person(make_home(tmp_path / name))
    config(person, AGENTS)
    mine, repo = gitconfig(person), make_repo(person, person.home / "shop", {"README.md": "#\n"})
    place = made(person, "fix-login", "--agent", "bot", cwd=repo)
    assert [committer(person, where) for where in (place, repo)] == [BOT, ROBIN]
    done = person.mooring("new", "fix-login", "--agent", "bot", cwd=repo)
    assert "unchanged" in done.stderr
    person.mooring("end", "fix-login", "--agent", "bot", cwd=repo)
    assert (left(person), gitconfig(person)) == ([], mine)


@pytest.mark.usefixtures("agents")
@pytest.mark.parametrize(
    "text",
    [
        pytest.param(GIT_CONFIG, id="sections"),
        pytest.param(f"{GIT_CONFIG}[include]\n\tpath = ~/other\n", id="an include"),
        pytest.param(f"[include]\n\tpath = ~/other\n{GIT_CONFIG}", id="an include above"),
        pytest.param(f"[include]\n\tpath = ~/other\n\t# mine\n{GIT_CONFIG}", id="a comment"),
        pytest.param(GIT_CONFIG.replace("\n", "\r\n"), id="carriage returns"),
        pytest.param("", id="empty"),
    ],
)
def test_the_global_config_is_as_it_was(person: Person, repo: Path, text: str) -> None:
    path = person.home / ".gitconfig"
    path.write_bytes(text.encode())
    path.chmod(0o640)
    for _ in range(2):
        place = made(person, "fix-login", "--agent", "bot", cwd=repo)
        assert committer(person, place) == BOT
        person.mooring("end", "fix-login", "--agent", "bot", cwd=repo)
        assert left(person) == []
        assert path.exists()
        assert (path.read_bytes(), path.stat().st_mode & 0o777) == (text.encode(), 0o640)


@pytest.mark.usefixtures("agents")
@pytest.mark.parametrize("end", ["# the end\n", "\n\n", "[alias]\n\tst = status"])
def test_the_global_config_says_what_it_said(person: Person, repo: Path, end: str) -> None:
    """git config itself leaves such an end a little different: a blank line, or one less."""
    path = person.home / ".gitconfig"
    path.write_text(f"{GIT_CONFIG}{end}")
    said = person.git("config", "--global", "--list").stdout
    made(person, "fix-login", "--agent", "bot", cwd=repo)
    person.mooring("end", "fix-login", "--agent", "bot", cwd=repo)
    assert person.git("config", "--global", "--list").stdout == said


@pytest.mark.usefixtures("agents")
def test_a_global_config_that_is_a_symlink(person: Person, repo: Path) -> None:
    path, real = person.home / ".gitconfig", person.home / "dotfiles/gitconfig"
    real.parent.mkdir()
    path.rename(real)
    path.symlink_to("dotfiles/gitconfig")
    mine = real.read_bytes()
    place = made(person, "fix-login", "--agent", "bot", cwd=repo)
    assert committer(person, place) == BOT
    person.mooring("end", "fix-login", "--agent", "bot", cwd=repo)
    assert os.readlink(path) == "dotfiles/gitconfig"
    assert (left(person), real.read_bytes()) == ([], mine)


@pytest.mark.usefixtures("agents")
def test_no_global_config(person: Person, repo: Path) -> None:
    path = person.home / ".gitconfig"
    path.unlink()
    place = made(person, "fix-login", "--agent", "bot", cwd=repo)
    assert committer(person, place) == BOT
    person.mooring("end", "fix-login", "--agent", "bot", cwd=repo)
    assert left(person) == []
    assert not path.exists()


@pytest.mark.usefixtures("agents")
def test_a_global_config_under_xdg(person: Person, repo: Path) -> None:
    """`git config --global` would from then on know a ~/.gitconfig of ours only."""
    path = person.home / ".config/git/config"
    path.parent.mkdir(parents=True)
    (person.home / ".gitconfig").rename(path)
    mine = path.read_bytes()
    place = made(person, "fix-login", "--agent", "bot", cwd=repo)
    assert [committer(person, where) for where in (place, repo)] == [BOT, ROBIN]
    assert "unchanged" in person.mooring("new", "fix-login", "--agent", "bot", cwd=repo).stderr
    assert not (person.home / ".gitconfig").exists()
    person.mooring("end", "fix-login", "--agent", "bot", cwd=repo)
    assert (left(person), path.read_bytes()) == ([], mine)


@pytest.fixture
def read_only(person: Person) -> Path:
    """The directory of the dotfiles, which nobody may change; ~/.gitconfig is a link into it."""
    place = person.home / "dotfiles"
    place.mkdir()
    (person.home / ".gitconfig").rename(place / "gitconfig")
    (person.home / ".gitconfig").symlink_to(place / "gitconfig")
    place.chmod(0o555)
    return place


def bound(person: Person, *args: str, cwd: Path) -> Done:
    """`mooring ARGS` by somebody whom permissions stop: root gives up what gets it past them."""
    drop = (need("setpriv"), "--bounding-set", "-dac_override,-dac_read_search")
    become = drop if os.geteuid() == 0 else ()
    return person.run(*become, sys.executable, "-m", "mooring", *args, cwd=cwd, check=False)


@pytest.mark.usefixtures("agents")
def test_a_global_config_that_cannot_be_written(
    person: Person, repo: Path, read_only: Path
) -> None:
    """The environment holds all the same, and the hint makes it whole."""
    mine, own = gitconfig(person), (repo / ".git/config").read_bytes()
    for _ in range(2):
        done = bound(person, "new", "fix-login", "--agent", "bot", cwd=repo)
        place = Path(done.stdout.removesuffix("\n"))
        assert "cannot be written" in done.stderr
        assert "Permission denied" in done.stderr
        assert [committer(person, place, shell) for shell in SHELLS] == [ROBIN, BOT, BOT]
        assert (gitconfig(person), (repo / ".git/config").read_bytes()) == (mine, own)
        assert list(person.home.rglob("*.lock")) == []
    read_only.chmod(0o755)
    person.run("sh", "-c", done.stderr.partition("hint: ")[2].splitlines()[0])
    assert [committer(person, where) for where in (place, repo)] == [BOT, ROBIN]
    assert "unchanged" in person.mooring("new", "fix-login", "--agent", "bot", cwd=repo).stderr
    person.mooring("end", "fix-login", "--agent", "bot", cwd=repo)
    assert (left(person), gitconfig(person)) == ([], mine)


@pytest.mark.usefixtures("agents", "read_only")
def test_the_end_of_what_was_never_included(person: Person, repo: Path) -> None:
    mine = gitconfig(person)
    for verb in ("new", "end"):
        done = bound(person, verb, "fix-login", "--agent", "bot", cwd=repo)
        assert done.returncode == 0, done.stderr
    assert (left(person), gitconfig(person)) == ([], mine)


@pytest.mark.usefixtures("agents")
def test_an_end_that_cannot_restore_the_global_config(
    person: Person, repo: Path, read_only: Path
) -> None:
    read_only.chmod(0o755)
    made(person, "fix-login", "--agent", "bot", cwd=repo)
    read_only.chmod(0o555)
    done = bound(person, "end", "fix-login", "--agent", "bot", cwd=repo)
    assert left(person) == []
    assert "includeIf.gitdir:/.path" in done.stderr


@pytest.mark.usefixtures("agents")
def test_another_name(person: Person, repo: Path) -> None:
    mine = gitconfig(person)
    place = made(person, "fix-login", "--agent", "bot", cwd=repo)
    assert committer(person, place) == BOT
    config(person, AGENTS.replace("Bot", "Bot II"))
    assert "identity" in person.mooring("new", "fix-login", "--agent", "bot", cwd=repo).stderr
    for shell in SHELLS:
        assert committer(person, place, shell) == BOT.replace("Bot", "Bot II")
    assert "unchanged" in person.mooring("new", "fix-login", "--agent", "bot", cwd=repo).stderr
    config(person, "{}\n")
    made(person, "fix-login", "--agent", "bot", cwd=repo)
    for shell in SHELLS:
        assert committer(person, place, shell) == ROBIN
    assert (left(person), gitconfig(person)) == ([], mine)


@pytest.mark.usefixtures("agents")
@pytest.mark.parametrize("lost", ["the include", "the repo's file", "the workspace's file"])
def test_what_somebody_removed_is_made_again(person: Person, repo: Path, lost: str) -> None:
    mine = gitconfig(person)
    place = made(person, "fix-login", "--agent", "bot", cwd=repo)
    records = person.home / ROOT / "records"
    if lost == "the include":
        (person.home / ".gitconfig").write_bytes(mine)
    else:
        pattern = "*/gitconfig" if lost == "the repo's file" else "*/bot/*.gitconfig"
        (path,) = records.glob(pattern)
        path.unlink()
    assert committer(person, place) == ROBIN
    made(person, "fix-login", "--agent", "bot", cwd=repo)
    assert committer(person, place) == BOT
    person.mooring("end", "fix-login", "--agent", "bot", cwd=repo)
    assert (left(person), gitconfig(person)) == ([], mine)


@pytest.mark.usefixtures("agents")
def test_a_workspace_of_a_name_that_was_removed_by_hand_is_nobody_elses(
    person: Person, repo: Path
) -> None:
    place = made(person, "id1", "--agent", "bot", cwd=repo)
    name = person.git("rev-parse", "--absolute-git-dir", cwd=place).stdout.strip()
    person.git("worktree", "remove", "--force", place, cwd=repo)
    other = repo.parent / "bot@id1"
    config(person, AGENTS + "branch: 'x/{{ topic }}'\n")
    place = made(person, "id1", "--agent", "guest", cwd=repo)
    assert committer(person, place) == ROBIN
    person.git("worktree", "add", "--quiet", "--detach", other, cwd=repo)
    again = person.git("rev-parse", "--absolute-git-dir", cwd=other).stdout.strip()
    assert again == name


@pytest.mark.usefixtures("agents")
def test_what_a_person_includes_at_the_top_counts_less(
    person: Person, repo: Path, key: Path
) -> None:
    path = person.home / ".gitconfig"
    mine = f"[include]\n\tpath = ~/none\n{path.read_text()}[user]\n\tsigningKey = {key}.pub\n"
    path.write_text(f"{mine}[gpg]\n\tformat = ssh\n[commit]\n\tgpgSign = true\n")
    before = path.read_bytes()
    place = made(person, "fix-login", "--agent", "bot", cwd=repo)
    for shell in SHELLS:
        assert committer(person, place, shell) == BOT
        assert person.git("log", "-1", "--format=%G?", cwd=place).stdout == "N\n"
    person.mooring("end", "fix-login", "--agent", "bot", cwd=repo)
    assert path.read_bytes() == before


def test_only_the_first_line_is_the_password(person: Person, repo: Path) -> None:
    """As `pass show` prints it, with more below."""
    person.git("remote", "add", "origin", "https://example.com/shop.git", cwd=repo)
    command = {"command": ["sh", "-c", "echo word; echo more"]}
    config(person, json.dumps({"git": {"credential": command}}))
    place = made(person, "fix-login", cwd=repo)
    asked = "protocol=https\nhost=example.com\n\n"
    for done in (
        person.git("credential", "fill", cwd=place, input=asked),
        person.mooring(
            "run", "fix-login", "--", "git", "credential", "fill", cwd=repo, input=asked
        ),
    ):
        assert "password=word\n" in done.stdout
        assert "more" not in done.stdout + done.stderr


@pytest.mark.usefixtures("agents")
def test_one_workspace_in_another(person: Person, repo: Path) -> None:
    """Who commits in the outer one is nobody in the inner."""
    made(person, "outer", "--agent", "bot", cwd=repo)
    made(person, "inner", cwd=repo)
    inner = [sys.executable, "-m", "mooring", "run", "inner", "--repo", str(repo), "--agent", "dev"]
    asks = ["git", "var", "GIT_COMMITTER_IDENT"]
    outer = ("run", "outer", "--agent", "bot", "--", *inner, "--", *asks)
    assert person.mooring(*outer, cwd=repo).stdout.startswith(ROBIN)


@pytest.mark.usefixtures("agents")
def test_only_the_last_end_takes_it_all(person: Person, repo: Path) -> None:
    mine = gitconfig(person)
    other = make_repo(person, person.home / "src/other", {"README.md": "# Other\n"})
    first = made(person, "first", "--agent", "bot", cwd=repo)
    second = made(person, "second", "--agent", "bat", cwd=repo)
    third = made(person, "third", "--agent", "bot", cwd=other)
    person.mooring("end", "first", "--agent", "bot", cwd=repo)
    assert not first.exists()
    assert [committer(person, place) for place in (second, third)] == [BAT, BOT]
    person.mooring("end", "second", "--agent", "bat", cwd=repo)
    assert committer(person, third) == BOT
    person.mooring("end", "third", "--agent", "bot", cwd=other)
    assert (left(person), gitconfig(person)) == ([], mine)


@pytest.mark.usefixtures("agents")
@pytest.mark.parametrize(
    "gone",
    [
        "worktree",
        "worktree, pruned",
        "repo",
    ],
)
def test_the_end_of_what_was_deleted_by_hand(person: Person, repo: Path, gone: str) -> None:
    mine = gitconfig(person)
    place = made(person, "fix-login", "--agent", "bot", cwd=repo)
    shutil.rmtree(place)
    if gone == "worktree, pruned":
        person.git("worktree", "prune", cwd=repo)
    elif gone == "repo":
        shutil.rmtree(repo)
    person.mooring("end", "fix-login", "--agent", "bot", "--repo", repo)
    assert (left(person), gitconfig(person)) == ([], mine)


@pytest.mark.usefixtures("agents")
def test_a_name_of_gits_own_used_again(person: Person, repo: Path) -> None:
    """git calls a worktree as the one that was deleted by hand: its identity is nobody else's."""
    place = made(person, "fix-login", "--agent", "bot", cwd=repo)
    shutil.rmtree(place)
    person.git("worktree", "prune", cwd=repo)
    place = made(person, "other", "--branch", "other", cwd=repo)
    again = repo.parent / "again" / "bot@fix-login"
    person.git("worktree", "add", "--quiet", "-b", "again", again, cwd=repo)
    person.mooring("end", "fix-login", "--agent", "bot", cwd=repo)
    assert [committer(person, where) for where in (place, again)] == [ROBIN, ROBIN]


def test_sixteen_at_once(person: Person, repo: Path) -> None:
    mine = gitconfig(person)
    names = [f"bot{number}" for number in range(16)]
    git = {name: {"git": {"name": name, "email": "bots@example.com"}} for name in names}
    config(person, json.dumps({"agents": git}))
    done = at_once(person, [["new", "fix-login", "--agent", name] for name in names], repo)
    assert [one.returncode for one in done] == [0] * 16, [one.stderr for one in done]
    for name, one in zip(names, done, strict=True):
        place = Path(one.stdout.removesuffix("\n"))
        assert committer(person, place) == f"{name} <bots@example.com>"
    ended = at_once(person, [["end", "fix-login", "--agent", name] for name in names], repo)
    assert [one.returncode for one in ended] == [0] * 16, [one.stderr for one in ended]
    assert (left(person), gitconfig(person)) == ([], mine)
    assert_sound(person, repo)


# The real git, which notes each change of the person's own config that comes without the lock.
WATCHED = """\
#!/bin/sh
case " $* " in *" config --global "*)
  echo "$*" >>"{home}/changes"
  if flock --nonblock "{root}/locks/target" true; then echo "$*" >>"{home}/unlocked"; fi ;;
esac
exec {git} "$@"
"""


@pytest.mark.usefixtures("agents")
@pytest.mark.parametrize(
    "verb",
    [
        "new",
        "end",
    ],
)
def test_what_all_repos_share_is_locked(person: Person, repo: Path, verb: str) -> None:
    need("flock")
    if verb == "end":
        made(person, "fix-login", "--agent", "bot", cwd=repo)
    git = person.home / "bin/git"
    real, root = git.resolve(), person.home / ROOT
    git.unlink()
    git.write_text(WATCHED.format(root=root, home=person.home, git=real))
    git.chmod(0o755)
    person.mooring(verb, "fix-login", "--agent", "bot", cwd=repo)
    assert (person.home / "changes").exists()
    assert not (person.home / "unlocked").exists()


@pytest.fixture
def key(person: Person) -> Path:
    """The bot's ssh key; the person's git knows that it is the bot's."""
    path, signers = person.home / ".ssh/bot", person.home / ".ssh/signers"
    path.parent.mkdir(mode=0o700)
    person.run(need("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "bot", "-f", path)
    public = Path(f"{path}.pub").read_text()
    signers.write_text(f"bot@example.com {public}")
    person.git("config", "--global", "gpg.ssh.allowedSignersFile", signers)
    return path


@pytest.mark.parametrize(
    "named",
    [
        "absolute",
        "from home",
        "private",
    ],
)
def test_signing_with_an_ssh_key(person: Person, repo: Path, key: Path, named: str) -> None:
    path = {"absolute": f"{key}.pub", "from home": "~/.ssh/bot.pub", "private": f"{key}"}[named]
    git = {"name": "Bot", "email": "bot@example.com", "signing_key": path}
    config(person, json.dumps({"agents": {"bot": {"git": git}}}))
    place = made(person, "fix-login", "--agent", "bot", cwd=repo)
    for shell in SHELLS:
        assert committer(person, place, shell) == BOT
        signed = person.git("log", "-1", "--show-signature", cwd=place)
        assert 'Good "git" signature for bot@example.com' in signed.stdout
        assert person.git("log", "-1", "--format=%G?", cwd=place).stdout == "G\n"
    assert committer(person, repo) == ROBIN
    assert person.git("log", "-1", "--format=%G?", cwd=repo).stdout == "N\n"


@pytest.mark.usefixtures("agents")
def test_nobody_signs_for_an_agent(person: Person, repo: Path, key: Path) -> None:
    """A signature is what proves who it was: the person's key says that it was the person."""
    for name, value in {
        "gpg.format": "ssh",
        "user.signingKey": f"{key}.pub",
        "commit.gpgSign": "true",
    }.items():
        person.git("config", "--global", name, value)
    place = made(person, "fix-login", "--agent", "bot", cwd=repo)
    assert [committer(person, where) for where in (repo, place)] == [ROBIN, BOT]
    signed = [person.git("log", "-1", "--format=%G?", cwd=where).stdout for where in (repo, place)]
    assert signed == ["G\n", "N\n"]


def test_a_key_of_gpg_where_the_person_has_one_of_ssh(person: Person, repo: Path) -> None:
    person.git("config", "--global", "gpg.format", "ssh")
    config(person, "agents: {bot: {git: {signing_key: 0123456789ABCDEF}}}\n")
    place = made(person, "fix-login", "--agent", "bot", cwd=repo)
    assert plainly(person, place, "git config user.signingKey").stdout == "0123456789ABCDEF\n"
    assert plainly(person, place, "git config gpg.format").stdout == "openpgp\n"


def test_what_the_repo_says_of_it_is_not_used(person: Person, repo: Path) -> None:
    helper = "{command: [sh, -c, 'touch pwned']}"
    theirs = f"{{name: Evil, email: evil@example.com, credential: {helper}}}"
    spec = f"git: {theirs}\nagents: {{bot: {{git: {theirs}}}}}\n"
    commit(person, repo, {"mooring.yaml": spec})
    person.git("remote", "add", "origin", "http://127.0.0.1:1/shop.git", cwd=repo)
    mine = gitconfig(person)
    for agent in ("dev", "bot"):
        done = person.mooring("new", "fix-login", "--agent", agent, cwd=repo)
        for name in ("git", "agents"):
            assert f"{name} of the repo's mooring.yaml is not used" in done.stderr
        place = Path(done.stdout.removesuffix("\n"))
        for shell in SHELLS:
            assert committer(person, place, shell) == ROBIN
        plainly(person, place, "git ls-remote origin 2>/dev/null || :")
    assert (left(person), gitconfig(person)) == ([], mine)
    assert list(person.home.rglob("pwned")) == []
