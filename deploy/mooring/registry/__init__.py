"""The registry on the controller: the truth about sessions and events, and an index of records."""

from .store import Registry, Row, SessionRow, opened

__all__ = ["Registry", "Row", "SessionRow", "opened"]
