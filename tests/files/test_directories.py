"""Directories that are brought along: as they are, compared as a whole where they are large."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.git.traces import leftovers, listing, made, records, status
from tests.support import Person, commit

COUNT = 250
IGNORED = "node_modules/\n/fixtures/\n/small/\n*.log\n.env*\n/link*\n"


def fill(place: Path) -> None:
    """Let it have many files, and what else a directory may hold."""
    for number in range(COUNT):
        file = place / f"d{number % 5}/f{number}.js"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{number}\n")
        os.utime(file, ns=(0, 1_600_000_000_123_456_789 + number))
    (place / "empty/below").mkdir(parents=True)
    (place / "to").symlink_to("d0/f0.js")
    (place / "dangling").symlink_to("d0/nothing")
    (place / 'it\'s a "name"').write_text("odd\n")
    (place / "d1/f1.js").chmod(0o640)
    (place / "d2").chmod(0o750)


def inside(place: Path) -> dict[str, str]:
    """What is in a directory, by relative path."""
    return {key.removeprefix(str(place)): value for key, value in listing(place).items()}


def spec(**files: object) -> str:
    """A mooring.yaml where nothing but these is said, and nothing is disposable for us."""
    return json.dumps({"files": files})


@pytest.fixture
def main(person: Person, repo: Path) -> Path:
    """A main checkout with a large directory that rules name."""
    files = {"mooring.yaml": spec(copy=["/fixtures"]), ".gitignore": IGNORED}
    commit(person, repo, files)
    fill(repo / "fixtures")
    return repo


def drift(person: Person, repo: Path) -> dict[str, str]:
    """What `mooring files check` finds, by path."""
    done = person.mooring("files", "check", "fix-login", "--json", cwd=repo, check=False)
    return {row["path"]: row["state"] for row in json.loads(done.stdout)}


def test_a_large_directory_comes_as_it_is(person: Person, main: Path) -> None:
    place = made(person, "fix-login", cwd=main)
    assert inside(place / "fixtures") == inside(main / "fixtures")
    (record,) = records(person.home)
    assert list(record["files"]) == ["fixtures/"]
    assert status(person, place) == ""
    assert "unchanged" in person.mooring("new", "fix-login", cwd=main).stderr
    assert drift(person, main) == {}
    person.mooring("end", "fix-login", cwd=main)
    assert not place.exists()


@pytest.mark.parametrize(("first", "then"), [(100, COUNT), (COUNT, 100)])
def test_a_directory_that_grows_or_shrinks(
    person: Person, repo: Path, first: int, then: int
) -> None:
    """It stays what it came as, in that workspace: nothing in it was edited."""
    commit(person, repo, {"mooring.yaml": spec(copy=["/small"]), ".gitignore": IGNORED})
    (repo / "small").mkdir()

    def fill_to(count: int) -> None:
        for number in range(COUNT):
            file = repo / f"small/{number}"
            if number >= count:
                file.unlink(missing_ok=True)
            elif not file.exists():
                file.write_text(f"{number}\n")

    fill_to(first)
    place = made(person, "fix-login", cwd=repo)
    fill_to(then)
    done = person.mooring("new", "fix-login", cwd=repo)
    assert "kept as it is" not in done.stderr
    assert {file.name for file in (repo / "small").iterdir()} <= set(os.listdir(place / "small"))
    assert "unchanged" in person.mooring("new", "fix-login", cwd=repo).stderr
    assert drift(person, repo) == {}
    person.mooring("end", "fix-login", cwd=repo)
    assert not place.exists()
    place = made(person, "fix-login", cwd=repo)
    (record,) = records(person.home)
    assert (list(record["files"]) == ["small/"]) == (then == COUNT)


def test_what_changes_at_its_source_comes_along(person: Person, main: Path) -> None:
    place = made(person, "fix-login", cwd=main)
    (main / "fixtures/d3/f3.js").write_text("newer\n")
    (main / "fixtures/d4/f4.js").unlink()
    assert drift(person, main) == {"fixtures/": "outdated"}
    made(person, "fix-login", cwd=main)
    assert inside(place / "fixtures") == inside(main / "fixtures")
    assert leftovers(person.home) == []


def test_what_was_edited_in_it_stays(person: Person, main: Path) -> None:
    place = made(person, "fix-login", cwd=main)
    mine = place / "fixtures/d0/f0.js"
    mine.write_text("mine\n")
    (main / "fixtures/d3/f3.js").write_text("newer\n")
    assert drift(person, main) == {"fixtures/": "edited"}
    done = person.mooring("new", "fix-login", cwd=main)
    assert "kept as it is: fixtures/" in done.stderr
    assert "--force takes that, and keeps a copy" in done.stderr
    assert mine.read_text() == "mine\n"
    refused = person.mooring("end", "fix-login", cwd=main, check=False)
    assert refused.returncode == 1
    assert "ignored: fixtures/" in refused.stderr
    person.mooring("new", "fix-login", "--force", cwd=main)
    assert inside(place / "fixtures") == inside(main / "fixtures")
    (saved,) = (place / ".mooring/saved").iterdir()
    assert (saved / "fixtures/d0/f0.js").read_text() == "mine\n"


def test_what_a_workspace_has_in_its_place_stays(person: Person, main: Path) -> None:
    (main / "fixtures").rename(main / "away")
    place = made(person, "fix-login", cwd=main)
    (main / "away").rename(main / "fixtures")
    (place / "fixtures").mkdir()
    (place / "fixtures/mine").write_text("mine\n")
    done = person.mooring("new", "fix-login", cwd=main)
    assert "kept as it is: fixtures/" in done.stderr
    assert os.listdir(place / "fixtures") == ["mine"]


@pytest.mark.parametrize(
    "target", ["/etc/passwd", "../../../etc", "d0/../../../../x", "{main}/../x"]
)
def test_no_symlink_in_it_leaves_the_repo(person: Person, main: Path, target: str) -> None:
    (main / "fixtures/d0/out").symlink_to(target.format(main=main))
    done = person.mooring("new", "fix-login", cwd=main)
    assert "not copied: fixtures/ (this leads out of the repo: fixtures/d0/out)" in done.stderr
    assert not (Path(done.stdout.strip()) / "fixtures").exists()


def test_a_symlink_by_itself(person: Person, repo: Path) -> None:
    files = {"mooring.yaml": spec(copy=["/link*", ".env"]), ".gitignore": IGNORED}
    commit(person, repo, files)
    (repo / ".env").write_text("A=1\n")
    (repo / "link").symlink_to(".env")
    (repo / "link-out").symlink_to("../outside")
    done = person.mooring("new", "fix-login", cwd=repo)
    place = Path(done.stdout.strip())
    assert os.readlink(place / "link") == ".env"
    assert "not copied: link-out (this leads out of the repo: link-out)" in done.stderr
    assert "unchanged" in person.mooring("new", "fix-login", cwd=repo).stderr
    (place / "link").unlink()
    (place / "link").symlink_to("mine")
    assert "kept as it is: link" in person.mooring("new", "fix-login", cwd=repo).stderr
    refused = person.mooring("end", "fix-login", cwd=repo, check=False)
    assert "ignored: link\n" in refused.stderr


@pytest.mark.parametrize("clone", ["", "hardlink"])
def test_one_that_is_named(person: Person, main: Path, clone: str) -> None:
    entry = {"src": "fixtures", "dest": "data/fixtures", "clone": clone}
    (main / "mooring.yaml").write_text(spec(copy=[entry]))
    place = made(person, "fix-login", cwd=main)
    assert inside(place / "data/fixtures") == inside(main / "fixtures")
    one, other = place / "data/fixtures/d0/f0.js", main / "fixtures/d0/f0.js"
    assert one.samefile(other) == bool(clone)
    assert status(person, place) == ""
    assert "unchanged" in person.mooring("new", "fix-login", cwd=main).stderr
    person.mooring("end", "fix-login", cwd=main)
    assert other.read_text() == "0\n"


def test_a_mode_is_for_files(person: Person, main: Path) -> None:
    entry = {"src": "fixtures", "dest": "data", "mode": "0600"}
    (main / "mooring.yaml").write_text(spec(copy=[entry]))
    done = person.mooring("new", "fix-login", cwd=main, check=False)
    assert (done.returncode, "that is for files" in done.stderr) == (1, True)


def test_what_is_skipped_in_it_is_not_brought(person: Person, main: Path) -> None:
    """Then its files are brought one by one."""
    (main / "mooring.yaml").write_text(spec(copy=["/fixtures"], skip=["f7.js"]))
    place = made(person, "fix-login", cwd=main)
    wanted = inside(main / "fixtures")
    assert wanted.keys() - inside(place / "fixtures").keys() == {"/d2/f7.js"}
    assert "unchanged" in person.mooring("new", "fix-login", cwd=main).stderr


def test_a_small_one_file_by_file(person: Person, repo: Path) -> None:
    entry = {"src": "small", "dest": "other"}
    files = {"mooring.yaml": spec(copy=["/small/", entry]), ".gitignore": IGNORED + "/other/\n"}
    commit(person, repo, files)
    (repo / "small/a").mkdir(parents=True)
    (repo / "small/empty/below").mkdir(parents=True)
    (repo / "small/a/one").write_text("1\n")
    (repo / "mooring.yaml").write_text(spec(copy=["/small/"]))
    place = made(person, "fix-login", cwd=repo)
    assert (place / "small/a/one").read_text() == "1\n"
    assert (place / "small/empty/below").is_dir()
    (repo / "mooring.yaml").write_text(spec(copy=[entry]))
    place = made(person, "second", cwd=repo)
    assert (place / "other/a/one").read_text() == "1\n"
    assert (place / "other/empty/below").is_dir()
    assert not (place / "small").exists()
    assert status(person, place) == ""


def test_a_full_disk_leaves_nothing(person: Person, main: Path) -> None:
    """A cp that says so stands for one: what it had made goes, and the next run makes it."""
    cp = person.home / "bin/cp"
    cp.write_text(
        "#!/bin/sh\n"
        'case " $* " in *" -v "*) mkdir "$(eval echo \\${$#})/half"\n'
        'echo "cp: No space left on device" >&2; exit 1 ;; esac\n'
        'exec /bin/cp "$@"\n'
    )
    cp.chmod(0o755)
    done = person.mooring("new", "fix-login", cwd=main, check=False)
    assert done.returncode == 1
    assert "Cannot copy fixtures/ to fixtures/: cp: No space left on device" in done.stderr
    place = main.parent / "shop.worktrees/fix-login"
    assert not (place / "fixtures").exists()
    assert leftovers(person.home) == []
    cp.unlink()
    made(person, "fix-login", cwd=main)
    assert inside(place / "fixtures") == inside(main / "fixtures")
