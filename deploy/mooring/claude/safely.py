"""Reading a file that anybody could have put something else in the place of."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def read(path: Path, limit: int = 1 << 20, *, follow: bool = False) -> bytes | None:
    """The first `limit` bytes of a plain file; None if there is none, or it can't be read.

    A pipe or a device is never waited for, and a symlink is followed only if `follow` says so.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        file = os.open(path, flags)
    except (OSError, ValueError):
        return None
    try:
        return os.read(file, limit) if stat.S_ISREG(os.fstat(file).st_mode) else None
    except OSError:
        return None
    finally:
        os.close(file)
