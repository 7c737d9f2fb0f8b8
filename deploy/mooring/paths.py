"""Paths and patterns that a spec may name, on whatever file system they come to. Pure."""

from __future__ import annotations

import re

NEW = ".mooring-new"
"""Behind the name of a file that somebody edited: what its source has become since."""
_UNSEEN = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
"""What HFS+ leaves out of a name (git's is_hfs_dotgit)."""


def is_inside(path: str) -> bool:
    """Whether a relative path stays inside the worktree and out of `.git` and `.mooring`.

    So it does on every file system, whatever that makes of the case of letters.
    """
    return not place_problem(path)


def place_problem(path: str) -> str:
    """Why `is_inside` doesn't hold, for the end of a sentence; '' if it does."""
    parts = _UNSEEN.sub("", path).split("/")
    if not path:
        return "is no path"
    if re.search(r"[\x00-\x1f\x7f\\\ud800-\udfff]", path):
        return "has a control character or a backslash, which a path here cannot have"
    if path.startswith("/") or any(
        part == ".." or part.lower().rstrip(". ") == ".git" for part in parts
    ):
        return "leaves the repo or is git's own"
    if any(part in ("", ".") for part in parts):
        return "is to be written without `./`, `//` and a slash at its end"
    if parts[-1].endswith(NEW) or parts[0].lower().rstrip(". ") == ".mooring":
        return "is Mooring's own"
    return ""


def ends_escaping(pattern: str) -> bool:
    """Whether its last character is a backslash that escapes what would follow."""
    return (len(pattern) - len(pattern.rstrip("\\"))) % 2 == 1


def pattern_problem(pattern: str) -> str:
    """Why a pattern selects nothing by gitignore(5), for the end of a sentence; '' if it may."""
    if ends_escaping(pattern):
        return "ends with a backslash, which has nothing to escape"
    if pattern == "!":
        return "is no pattern"
    if re.search(r"\[[^/]*-", pattern):  # seldom enough to ask who matches in the end
        from pathspec import GitIgnoreSpec

        try:
            GitIgnoreSpec.from_lines([pattern])
        except (ValueError, re.error):
            return "has a range of characters whose end is before its beginning"
    return ""
