"""The smallest deploy there is, with nothing to do: what `bench` compares with."""

from __future__ import annotations

from collections.abc import Iterator

from pyinfra.api.deploy import deploy
from pyinfra.api.operation import operation


@operation()
def nothing() -> Iterator[str]:
    """Change nothing."""
    yield from ()


@deploy("Nothing")
def noop() -> None:
    """Run the operation."""
    nothing(name="Nothing")
