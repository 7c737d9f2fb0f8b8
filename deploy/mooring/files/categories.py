"""What the untracked files of a checkout are, by name, and what to do with each. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

import msgspec

from ..spec import Rule
from .formats import SUFFIXES, Entry

CONFIGURATION = "configuration"
SECRETS = "secrets and credentials"
IDE = "IDE settings"
SCRIPTS = "local scripts and tools"
BUILD = "build output and caches"
DEPENDENCIES = "dependencies"
TEMPORARY = "temporary"
OTHER = "other"

MANY = 200
"""Files that one entry of `copy` brings at most: each is compared at every run."""
LARGE = 50_000_000
"""Bytes that it brings at most."""
FEW = 5
"""Rows that are worth reading one by one."""

# fmt: off
CATEGORIES: tuple[tuple[str, tuple[str, ...], str, str], ...] = (
    (CONFIGURATION, ("/mooring.yaml", "/.worktreeinclude"),
     "nothing", "Mooring reads it where it is"),
    (CONFIGURATION, ("/.mooring/", "/.envrc", "/.session-*.md"),
     "nothing", "each workspace gets its own from Mooring"),
    (DEPENDENCIES, ("node_modules/", "bower_components/", "vendor/", "Pods/", "jspm_packages/"),
     "symlink", "one for all workspaces is enough"),
    (DEPENDENCIES, (".venv/", "venv/", ".virtualenv/", "__pypackages__/", ".pixi/", ".direnv/",
                    ".bundle/", ".yarn/"),
     "nothing", "to be made in each workspace: it holds the paths of this checkout"),
    (BUILD, ("dist/", "build/", "out/", "target/", "obj/", "_build/", ".next/", ".nuxt/", ".turbo/",
             ".svelte-kit/", ".parcel-cache/", ".cache/", ".gradle/", ".terraform/", ".eggs/",
             "*.egg-info/", "__pycache__/", ".mypy_cache/", ".pytest_cache/", ".ruff_cache/",
             ".hypothesis/", ".import_linter_cache/", ".tox/", ".nox/", "coverage/", "htmlcov/",
             ".nyc_output/", ".coverage*", "*.pyc", "*.o", "*.a", "*.so", "*.class",
             "*.tsbuildinfo", ".eslintcache"),
     "nothing", "it is built again"),
    (TEMPORARY, ("tmp/", "temp/", "log/", "logs/", "*.log", "*.tmp", "*.pid", "*.sock", "*.swp",
                 "*.swo", "*~", "*.bak", "*.orig", "*.rej", ".DS_Store", "Thumbs.db"),
     "nothing", "nothing needs it later"),
    (TEMPORARY, ("*.sqlite", "*.sqlite3", "*.db", "*.sqlite-*", "*.db-*"),
     "nothing", "a copy of a database in use is broken; let setup make one"),
    (SECRETS, (".env.prod*", ".env.staging*", "*.prod.env", "*.production.env", ".env.live*"),
     "skip", "a session has no business in production"),
    (SECRETS, ("id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "*.ppk", "*.p12", "*.pfx", "*.jks",
               "*.keystore", "*.kdbx", "*.gpg", ".ssh/", ".gnupg/", ".aws/", ".netrc", ".pgpass",
               ".vault-pass*", ".vault_pass*", "credentials.json", "client_secret*.json",
               "service-account*.json", "service_account*.json"),
     "skip", "it is a person's or a service's identity"),
    (SECRETS, ("*.pem", "*.key", "*.crt", "*.cer", "certs/", "certificates/"),
     "copy", "a server needs its certificate"),
    (CONFIGURATION, tuple(f"*{end}" for end in SUFFIXES if end not in (".example", ".sample")),
     "template", "each workspace gets its own from it"),
    (CONFIGURATION, (".env", ".env.*", "*.env", ".flaskenv", ".envrc.local", ".tool-versions",
                     "mise.toml", ".mise.toml", "mise.local.toml", ".nvmrc", ".node-version",
                     ".python-version", ".ruby-version", ".java-version", ".npmrc", ".yarnrc",
                     ".yarnrc.yml", "pip.conf", "local.properties", "local.settings.json",
                     "local_settings.py", "settings_local.py", "appsettings.*.json", "*.tfvars",
                     "*.local", "*.local.json", "*.local.toml", "*.local.yml", "*.local.yaml",
                     "*.local.md", "*compose.override.yml", "*compose.override.yaml", ".mcp.json",
                     "/.claude/settings.local.json"),
     "copy", "the project runs with it"),
    (IDE, (".vscode/", ".idea/", ".fleet/", ".zed/", ".settings/", ".vim/", "*.code-workspace",
           "*.iml", "*.sublime-project", "*.sublime-workspace", ".project", ".classpath",
           ".exrc", ".nvim.lua", ".dir-locals-2.el"),
     "copy", "an editor opens a workspace as it does this checkout"),
    (SCRIPTS, ("scripts/", "tools/", "local/", "*.sh", "Makefile.local", "*.local.mk",
               "justfile.local", "Taskfile.local.*"),
     "copy", "a session may want to run it"),
    (SCRIPTS, ("bin/",),
     "nothing", "scripts or build output: copy it if it is yours"),
)
# fmt: on
"""(category, gitignore patterns, action, reason); the first that a path matches."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One path that git doesn't have; of a directory with a `/` at its end, all that is in it."""

    path: str
    ignored: bool
    size: int = 0
    """Bytes."""
    files: int = 1
    mode: int = 0o600
    secret: str = ""
    """Which rule its content meets."""
    problem: str = ""
    """Why it can't be brought whatever it is."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What is proposed for one path."""

    path: str
    category: str
    size: int
    files: int
    action: str
    reason: str
    entry: Entry = ""
    """The entry of `files` that does it, '' if none has to."""
    hint: str = ""
    """What to ignore first, as a line of a .gitignore."""


@cache
def kind(path: str) -> tuple[str, str, str]:
    """Category, action and reason of a path, which ends with `/` if it is a directory's."""
    for spec, (category, _, action, reason) in _compiled():
        if spec.match_file(path):
            return category, action, reason
    return OTHER, "nothing", "no pattern knows it: add it to `copy` if a session needs it"


@cache
def _compiled() -> tuple[tuple[Any, tuple[str, tuple[str, ...], str, str]], ...]:
    from pathspec import GitIgnoreSpec

    return tuple((GitIgnoreSpec.from_lines(row[1]), row) for row in CATEGORIES)


def unit(path: str) -> str:
    """The highest directory of a path that nobody would want in parts, else the path itself."""
    for end in (match.end() for match in re.finditer("/", path)):
        if _whole(path[:end]):
            return path[:end]
    return path


@cache
def _whole(directory: str) -> bool:
    category, action, _ = kind(directory)
    return category != OTHER and action in ("nothing", "symlink")


def wants_content(path: str) -> bool:
    """Whether it matters for the proposal if a secret is in there."""
    category, action, _ = kind(path)
    return action in ("copy", "template") or category == OTHER


def proposed(found: Found, rules: Iterable[tuple[Any, Rule]] = ()) -> Row:
    """What to do with one path, given the rules that there are (see `compiled`)."""
    category, action, reason = kind(found.path)
    if found.secret:
        needed = action == "copy" and category in (CONFIGURATION, SECRETS)
        reason = f"holds {found.secret}" + (f"; {reason}" if needed else "")
        category, action = SECRETS, "copy" if needed else "skip"
    said = _already(found.path, rules) or found.problem
    if not said and action == "copy" and (found.files > MANY or found.size > LARGE):
        said = "too much to copy to each workspace"
    if said:
        return _row(found, category, "nothing", f"{reason}; {said}" if found.secret else said)
    if not found.ignored:
        return _shown(found, category, action, reason)
    return _row(found, category, action, reason, entry=_entry(found, action))


def _shown(found: Found, category: str, action: str, reason: str) -> Row:
    """Of a path that git shows: it is never brought, and should be ignored or committed."""
    if found.secret or category == SECRETS:
        why, hint = (
            f"git shows it, a commit would publish it: {reason}",
            kind(found.path)[0] != OTHER,
        )
    elif action in ("copy", "symlink", "template"):
        why, hint = f"git shows it: to {action} it, ignore it first; {reason}", True
    else:
        why, hint = "git shows it: commit it, or ignore it", False
    return _row(found, category, "nothing", why, hint=_anchored(found.path) if hint else "")


def _row(found: Found, category: str, action: str, reason: str, **more: Any) -> Row:
    size, files = found.size, found.files
    return Row(
        path=found.path,
        category=category,
        size=size,
        files=files,
        action=action,
        reason=reason,
        **more,
    )


def _entry(found: Found, action: str) -> Entry:
    path = found.path.rstrip("/")
    if action == "symlink":
        return path
    if action == "template":
        suffix = next(end for end in SUFFIXES if path.endswith(end))
        return {"src": path, "dest": path.removesuffix(suffix)}
    if action == "copy" and found.secret and found.mode & 0o077 and _anchored(path) == f"/{path}":
        return {"src": path, "mode": "0600", "optional": True}
    return _anchored(found.path) if action in ("copy", "skip") else ""


def _anchored(path: str) -> str:
    """The pattern of gitignore(5) for this path alone."""
    return "/" + re.sub(r"[*?\[]| (?=/?$)", r"\\\g<0>", path)


def folded(rows: Iterable[Row]) -> list[Row]:
    """The rows for a person: of many alike with which nothing is to do, one."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        alike = row.action == "nothing" and not row.hint
        label = _label(row.path) if alike else row.path
        groups.setdefault((label, row.category, row.reason), []).append(row)
    found = [one for (label, *_), group in groups.items() for one in _fold(label, group)]
    return sorted(found, key=lambda row: row.path)


def _label(path: str) -> str:
    """What many are called together: directories of one name, or what is in one directory."""
    if path.endswith("/"):
        return f"**/{path.rstrip('/').rpartition('/')[2]}/"
    top, inside, _ = path.partition("/")
    return f"{top}/..." if inside else path


def _fold(label: str, rows: list[Row]) -> list[Row]:
    if len(rows) < FEW:
        return rows
    size, files = (sum(column) for column in zip(*((r.size, r.files) for r in rows), strict=True))
    return [msgspec.structs.replace(rows[0], path=label, size=size, files=files)]


def compiled(rules: Iterable[Rule]) -> list[tuple[Any, Rule]]:
    """The rules that there are, each with what its pattern matches; None for a single file's."""
    from pathspec import GitIgnoreSpec

    return [(None if rule.dest else GitIgnoreSpec.from_lines([rule.src]), rule) for rule in rules]


def _already(path: str, rules: Iterable[tuple[Any, Rule]]) -> str:
    """Which rule says something of a path, or brings something to it or into it."""
    bare = path.rstrip("/")
    for spec, rule in rules:
        of_it = spec.match_file(path) if spec else bare in (rule.src.rstrip("/"), rule.dest)
        if of_it or f"{rule.dest}/".startswith(f"{bare}/"):
            return f"{rule.where} says what to do"
    return ""
