"""What Claude has to know in a container so that its first start there asks nothing. Pure.

Claude Code keeps it in `.claude.json` beside much that is the host's alone; tried with 2.1.197 and
2.1.329.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

FILE = ".claude.json"
_TAKEN = ("customApiKeyResponses", "theme")
"""Answers of the user that hold in a container too."""
_SECRETS = ("env", "headers")
"""Where an MCP server's entry has what may be secret."""
_REFERENCE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}")


def document(worktree: str) -> dict[str, Any]:
    """The least that it takes: nothing to ask, and this one directory is trusted."""
    return {
        "hasCompletedOnboarding": True,
        "projects": {worktree: {"hasTrustDialogAccepted": True}},
    }


def merged(there: Any, worktree: str, users: Any) -> dict[str, Any]:
    """What is there, with that, and with the user's own answers and MCP servers as they are now.

    `users` is the user's file; of either, what isn't a JSON object counts as empty. A token in an
    MCP server's entry becomes a reference to a variable (see `variables`).
    """
    there, users = _object(there), _object(users)
    trusted = {**_object(_object(there.get("projects")).get(worktree))}
    projects = {
        **_object(there.get("projects")),
        worktree: {**trusted, "hasTrustDialogAccepted": True},
    }
    answers = {name: users[name] for name in _TAKEN if name in users}
    servers = {name: _referring(name, entry) for name, entry in _servers(users).items()}
    return {
        **there,
        "hasCompletedOnboarding": True,
        **answers,
        "projects": projects,
        **({"mcpServers": servers} if servers or "mcpServers" in there else {}),
    }


def variables(users: Any) -> dict[str, str]:
    """The values that those references stand for, by variable."""
    return {
        _variable(name, section, key): value
        for name, entry in _servers(_object(users)).items()
        for section, key, value in _literals(entry)
    }


def _servers(users: dict[str, Any]) -> dict[str, Any]:
    found = _object(users.get("mcpServers"))
    return {name: entry for name, entry in found.items() if isinstance(entry, dict)}


def _referring(server: str, entry: dict[str, Any]) -> dict[str, Any]:
    changed = dict(entry)
    for section, key, _ in _literals(entry):
        name = _variable(server, section, key)
        changed[section] = {**changed[section], key: f"${{{name}}}"}
    return changed


def _literals(entry: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Section, key and value of what stands there as it is, not as a reference."""
    for section in _SECRETS:
        for key, value in _object(entry.get(section)).items():
            if isinstance(value, str) and value and not _REFERENCE.fullmatch(value):
                yield section, key, value


def _variable(server: str, section: str, key: str) -> str:
    """A name that no other value has: two of them may differ in what a variable's can't."""
    readable = re.sub(r"[^A-Z0-9]", "_", f"{server}_{key}".upper())
    own = sha256("\0".join((server, section, key)).encode("utf-8", "surrogatepass")).hexdigest()
    return f"MCP_{readable}_{own[:8].upper()}"


def _object(found: Any) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}
