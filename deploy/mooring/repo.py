"""What a repo is called: a URL or path as given, and the identity that is the same on every host.

Pure text: nothing here looks at a disk or runs git.
"""

from __future__ import annotations

import posixpath
import re
from hashlib import sha256
from urllib.parse import quote, unquote, urlsplit

import msgspec

from .errors import MooringError, usage

SCHEMES = ("https", "http", "ssh", "git", "file")
"""Transports that git speaks itself. Remote helpers (`ext::`, `fd::`) run commands: never."""

_SCP = re.compile(
    r"(?:(?P<user>[A-Za-z0-9._-]+)@)?(?P<host>[A-Za-z0-9][A-Za-z0-9.-]*):(?P<path>.+)"
)
_COMPONENT = re.compile(r"[A-Za-z0-9_~+][A-Za-z0-9._~+-]*")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_TOKEN = re.compile(r"gh[a-z]_|github_pat_|glpat-|x-access-token|x-token|oauth|.{32}")
_PASSWORD = re.compile(r"([^/@:\s]*):[^/@]*@")


class Source(msgspec.Struct, frozen=True):
    """Where a repo comes from, as the user named it: a URL, or a path on the target."""

    text: str
    identity: str | None
    """Known at once for a URL; a path's identity is that of its origin, read by the probe."""

    @property
    def is_url(self) -> bool:
        """Whether git fetches it into a cache; a path is its own cache."""
        return self.identity is not None


def parse_source(text: object) -> Source:
    """The source that `--repo` or ``--data repo=…`` names.

    Raises a usage error for anything git could read as an option or as a remote helper.
    """
    if not isinstance(text, str) or not text:
        raise usage("Cannot use the repo: it must be a URL or a path", "--repo .")
    if _UNSAFE.search(text):
        raise _refused(text, "it holds control characters, or is not UTF-8")
    if text.startswith("-"):
        raise _refused(text, "it looks like an option", f"--repo ./{text}")
    if "::" in text.split("/", 1)[0]:
        why = "git remote helpers can run any command"
        raise _refused(text, why, "use an https, ssh, git or file URL, or a path")
    if "://" in text or _looks_scp(text):
        return Source(text, url_identity(text))
    return Source(text, None)


def _refused(text: str, why: str, *hints: str) -> MooringError:
    """The error about a repo's name; a password in it is not repeated."""
    shown = _PASSWORD.sub(r"\1:…@", text)
    return usage(f"Cannot use the repo {shown!r}: {why}", *hints)


def _looks_scp(text: str) -> bool:
    """Git's own rule: a colon before the first slash makes it ``host:path``."""
    return ":" in text.split("/", 1)[0]


def url_identity(url: str) -> str:
    """``host/owner/name`` of a remote URL, ``file/<path>`` of a file URL.

    `git@host:o/n.git`, `ssh://git@host:22/o/n` and `https://host/o/n/` are one repo. Raises a
    usage error if the URL has another scheme, a password, or path components that are unsafe as
    directory names.
    """
    host, path = _split_url(url)
    parts = _path_parts(unquote(path, errors="surrogateescape"))
    if _UNSAFE.search("".join(parts)):
        raise _refused(url, "its path holds control characters, or is not UTF-8")
    if host == "file":
        if ".." in parts or not parts:
            raise _refused(url, "the path must be absolute and without '..'")
        return "/".join(["file", *parts])
    bad = [part for part in parts if not _COMPONENT.fullmatch(part)]
    if bad or not parts:
        raise _refused(url, "it has no usable owner/name path")
    return "/".join([host.lower(), *parts])


def _path_parts(path: str) -> list[str]:
    parts = [part for part in path.split("/") if part and part != "."]
    if parts:
        parts[-1] = parts[-1].removesuffix(".git") or parts[-1]
    return parts


def _split_url(url: str) -> tuple[str, str]:
    if "://" not in url:
        scp = _SCP.fullmatch(url)
        if not scp:
            raise _refused(url, "neither a URL nor host:path")
        return scp["host"], scp["path"]
    try:
        parts = urlsplit(url)
        host, password = parts.hostname or "", parts.password
    except ValueError as error:
        raise _refused(url, f"{error}") from None
    if password is not None:
        raise MooringError(
            "Cannot use the repo: its URL holds a password, which would end up in .git/config",
            "git credential approve    # then name the URL without it",
        )
    if parts.scheme in ("http", "https") and _TOKEN.match(parts.username or ""):
        raise MooringError(
            "Cannot use the repo: its URL holds a token, which would end up in .git/config",
            "git credential approve    # then name the URL without it",
        )
    if parts.scheme not in SCHEMES:
        why = f"git's {parts.scheme!r} transport is not allowed"
        raise _refused(url, why, f"use one of: {', '.join(SCHEMES)}")
    if parts.query or parts.fragment:
        raise _refused(url, "a repo URL has no query and no fragment")
    if parts.scheme == "file":
        return "file", parts.path
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.:-]*", host):
        raise _refused(url, "it has no valid host")
    return host, parts.path


def path_identity(origin: str, root_commit: str) -> str:
    """The identity of a clone on a target: its origin's, or without an origin its root commit's."""
    if not origin:
        return f"commit/{root_commit}"
    if "://" in origin or _looks_scp(origin):
        try:
            return url_identity(re.sub(r"://[^/@]*@", "://", origin))
        except MooringError:
            return f"commit/{root_commit}"
    if not origin.startswith("/"):  # relative to the clone: it names nothing elsewhere
        return f"commit/{root_commit}"
    return "/".join(["file", *_path_parts(posixpath.normpath(origin))])


def source_key(identity: str) -> str:
    """The identity as one directory name: percent-encoded, at most 200 bytes and still unique."""
    name = quote(identity, safe="").replace("~", "%7E")
    if len(name) <= 200:
        return name
    return f"{name[:160]}-{sha256(identity.encode()).hexdigest()[:32]}"
