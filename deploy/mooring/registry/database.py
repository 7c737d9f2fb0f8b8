"""The registry's database: opened, brought to its schema, written to in short transactions."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

import peewee

from ..errors import MooringError, command
from .schema import TABLES, migrate

BUSY_SECONDS = 30
P = ParamSpec("P")
T = TypeVar("T")


def location() -> Path:
    """The registry's file: `$MOORING_REGISTRY`, else under `~/.local/share/mooring`."""
    configured = os.environ.get("MOORING_REGISTRY", "")
    if "://" in configured:
        raise MooringError(
            f"Cannot open the registry: {configured.partition('://')[0]} is not supported yet",
            "unset MOORING_REGISTRY",
        )
    default = Path.home() / ".local" / "share" / "mooring" / "registry.db"
    return Path(configured).expanduser() if configured else default


def explaining(method: Callable[P, T]) -> Callable[P, T]:
    """Turn what the database says of a damaged file into an error that a person can act on."""

    @functools.wraps(method)
    def explained(*args: P.args, **kwargs: P.kwargs) -> T:
        registry: Any = args[0]
        with _explained(registry.path):
            return method(*args, **kwargs)

    return explained


class Database:
    """An open database, one in a process: peewee's tables are bound to the last one opened.

    Each method is one short transaction.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Open the file at `path` (default: `location()`), brought to the newest schema.

        One that isn't there reads as empty, and is made by the first thing that is written. Raises
        MooringError if it can't be opened or is from a newer Mooring.
        """
        self.path = path or location()
        self._there = self.path.exists()
        with _explained(self.path):
            self._connect(str(self.path) if self._there else ":memory:")

    def _connect(self, place: str) -> None:
        pragmas = {"journal_mode": "wal", "busy_timeout": BUSY_SECONDS * 1000}
        # One connection for all greenlets: pyinfra runs each host in its own, in one thread.
        self._database = peewee.SqliteDatabase(
            place, pragmas=pragmas, timeout=BUSY_SECONDS, thread_safe=False
        )
        self._database.connect()
        self._database.bind(TABLES)
        migrate(self._database)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction that writes; makes the file if there is none yet."""
        with _explained(self.path):
            if not self._there:
                self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
                self._database.close()
                self._connect(str(self.path))
                self._there = True
            with self._database.atomic("IMMEDIATE"):
                yield

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; nothing else may be called after."""
        self._database.close()


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except peewee.IntegrityError as error:
        raise MooringError(
            f"Cannot note this in the registry: {error}", "mooring sessions"
        ) from None
    except (peewee.PeeweeException, OSError) as error:
        raise MooringError(
            f"Cannot use the registry {path}: {error}",
            command(
                "mv", str(path), f"{path}.old", note="a new one is made; records are the truth"
            ),
        ) from None
