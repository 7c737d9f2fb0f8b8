"""The flake, with real Nix and without a network: nixpkgs is the stand-in in `tests/nix/nixpkgs`.

Its first lines say what these tests can show, and what they can't.
"""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import PROJECT, Done, Person, need

SYSTEMS = {"x86_64-linux", "aarch64-linux", "x86_64-darwin", "aarch64-darwin"}
CONFIG = """\
experimental-features = nix-command flakes
build-users-group =
sandbox = false
substituters =
flake-registry =
"""


@dataclass(frozen=True)
class Nix:
    """Nix with a store of its own, and a copy of the flake: `path:` copies whole directories."""

    person: Person
    flake: Path

    def run(self, *args: str) -> Done:
        places = {
            f"NIX_{kind}_DIR": str(self.person.home / "nix" / kind.lower())
            for kind in ("STORE", "STATE", "LOG", "CONF")
        }
        env = places | {"NIX_CONFIG": CONFIG, "HOST_PATH": self.person.env["PATH"]}
        return self.person.run(need("nix"), *args, cwd=self.flake, env=env)

    def with_stub(self, *verb: str, attribute: str = "", rest: tuple[str, ...] = ()) -> Done:
        """Run a verb on the flake, with the stand-in for nixpkgs."""
        override = ("--override-input", "nixpkgs", f"path:{self.flake}/tests/nix/nixpkgs")
        flake = f"path:{self.flake}{attribute}"
        return self.run(*verb, flake, *override, "--no-write-lock-file", *rest)


@pytest.fixture
def nix(person: Person, tmp_path: Path) -> Nix:
    flake = tmp_path / "flake"
    shutil.copytree(PROJECT / "tests/nix/nixpkgs", flake / "tests/nix/nixpkgs")
    for name in ("flake.nix", "flake.lock", "pyproject.toml"):
        shutil.copy(PROJECT / name, flake)
    return Nix(person, flake)


def test_the_dev_shell_has_the_tool_and_what_it_needs(nix: Nix) -> None:
    programs = ["python3", "git", "direnv", "mooring"]
    script = f"echo $IN_NIX_SHELL; command -v {' '.join(programs)}; git --version"
    kind, *found, version = nix.with_stub(
        "develop", rest=("-c", "bash", "-c", script)
    ).stdout.splitlines()
    store = nix.person.home / "nix/store"
    assert kind == "impure"
    assert [Path(path).name for path in found] == programs
    assert all(Path(path).is_relative_to(store) for path in found)
    assert version.startswith("git version")


def test_the_package_runs_the_tool(nix: Nix) -> None:
    assert "Usage:" in nix.with_stub("run", rest=("--", "--help")).stdout


def test_every_output_evaluates_on_every_system(nix: Nix) -> None:
    outputs = json.loads(nix.with_stub("flake", "show", "--json").stdout)
    assert outputs.keys() == {"devShells", "packages"}
    for systems in outputs.values():
        assert systems.keys() == SYSTEMS
        assert all(names["default"]["type"] == "derivation" for names in systems.values())


def test_the_package_depends_on_what_pyproject_names(nix: Nix) -> None:
    package = "#packages.x86_64-linux.default"
    name_each = ("--json", "--apply", "map (package: package.name)")
    answer = nix.with_stub("eval", attribute=f"{package}.dependencies", rest=name_each)
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert json.loads(answer.stdout) == [
        re.split(r"[^A-Za-z0-9-]", requirement)[0] for requirement in project["dependencies"]
    ]


def test_the_lock_fits_the_flake(nix: Nix) -> None:
    metadata = nix.run("flake", "metadata", "--json", "--no-update-lock-file", f"path:{nix.flake}")
    lock = json.loads((PROJECT / "flake.lock").read_text())
    assert json.loads(metadata.stdout)["locks"] == lock
