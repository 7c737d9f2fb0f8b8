"""Who commits in a workspace, and with which credential: as git's own config and environment. Pure.

No token is in it: git runs the command that prints one, each time it needs it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from .document import Credential, GitSpec
from .spec import render


def rendered(git: GitSpec, names: Mapping[str, str]) -> GitSpec:
    """The spec's `git` with the names in its values. Raises MooringError for an unknown name."""

    def text(value: str, where: str) -> str:
        return render(value, dict(names), f"git.{where}")

    credential = git.credential
    if credential:
        words = [text(word, "credential.command") for word in credential.command]
        credential = Credential(words, text(credential.username, "credential.username"))
    return GitSpec(
        name=text(git.name, "name"),
        email=text(git.email, "email"),
        signing_key=text(git.signing_key, "signing_key"),
        credential=credential,
    )


def text(git: GitSpec, url: str) -> str:
    """A git config file (git-config(1)); `url` is the remote that the credential is for."""
    who = {"name": git.name, "email": git.email}
    # Git asks author and committer before user, whichever file has them: so these beat a clone's
    # own user.email, though its config is read after ours.
    parts = [_section("user", {**who, "signingKey": git.signing_key})]
    parts += [_section("author", who), _section("committer", who)]
    if git.signing_key:
        parts.append(_section("commit", {"gpgSign": "true"}))
        parts.append(_section("gpg", {"format": "ssh" if _is_ssh(git.signing_key) else "openpgp"}))
    elif git.name or git.email:  # a signature says who it was: nobody signs for another
        parts += [_section("commit", {"gpgSign": "false"}), _section("tag", {"gpgSign": "false"})]
    parts.append(credential(git, url))
    return "".join(parts)


def hooks(place: str, digest: str) -> str:
    """The part that names a directory of hooks; with what is in them, it changes."""
    return f"[core]\n\thooksPath = {_quoted(place)}\n# {digest}\n"


def credential(git: GitSpec, url: str) -> str:
    """The part for git's own fetches and pushes; '' for a remote that takes no password."""
    key, helper = _helper(git, url)
    if not helper:
        return ""
    return f"[credential {_quoted(key)}]\n\thelper =\n\thelper = {_quoted(helper)}\n"


def settings(git: GitSpec, url: str) -> tuple[tuple[str, str], ...]:
    """The same, to be given in the environment: no helper set up elsewhere comes before it."""
    key, helper = _helper(git, url)
    name = f"credential.{key}.helper"
    return ((name, ""), (name, helper)) if helper else ()


def variables(inherited: Mapping[str, str], own: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Variables by which git (2.31) has those settings after the ones that it had anyway.

    Those of another workspace are left out.
    """
    count = inherited.get("GIT_CONFIG_COUNT", "")
    pairs = [
        (inherited.get(f"GIT_CONFIG_KEY_{n}", ""), inherited.get(f"GIT_CONFIG_VALUE_{n}", ""))
        for n in range(int(count) if count.isdecimal() and len(count) < 4 else 0)
    ]
    pairs = [pair for pair in pairs if not _ours(*pair)] + list(own)
    if not pairs and not count:
        return {}
    found = {"GIT_CONFIG_COUNT": str(len(pairs))}
    for n, (name, value) in enumerate(pairs):
        found |= {f"GIT_CONFIG_KEY_{n}": name, f"GIT_CONFIG_VALUE_{n}": value}
    return found


def _ours(name: str, value: str) -> bool:
    return value.startswith(_HELPER) or (name.lower() == "core.hookspath" and _is_guard(value))


def _is_guard(path: str) -> bool:
    """As the hooks know it, too (see guard.directory)."""
    return "/records/" in path and path.endswith(".guard")


_HELPER = '!f() { test "$1" = get || exit 0; '
"""How a helper of ours begins."""


def _helper(git: GitSpec, url: str) -> tuple[str, str]:
    """For which server, and git's line for a helper (gitcredentials(7)); '' where none is meant."""
    parts = urlsplit(url) if "://" in url else None
    if not git.credential or not parts or parts.scheme not in ("http", "https"):
        return "", ""
    command = shlex.join(git.credential.command)
    user = shlex.quote(git.credential.username)
    # It only answers: nothing is stored, and where the command fails nobody else is asked.
    helper = (
        f"{_HELPER}secret=$({command}) || {{ echo quit=1; exit; }}; "
        f"printf 'username=%s\\npassword=%s\\n' {user} "
        '"$(printf \'%s\\n\' "$secret" | head -n 1)"; }; f'
    )
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", helper


def _section(name: str, values: Mapping[str, str]) -> str:
    lines = [f"\t{key} = {_quoted(value)}\n" for key, value in values.items() if value]
    return f"[{name}]\n{''.join(lines)}" if lines else ""


def _quoted(value: str) -> str:
    """A value in git's config syntax (git-config(1), Syntax)."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _is_ssh(key: str) -> bool:
    return re.match(r"ssh-|ecdsa-|sk-|key::", key) is not None or key.startswith(("/", "~/"))
