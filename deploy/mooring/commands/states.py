"""How far each session is: reserved, recorded, running, or cleared."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ..claude import live, transcripts
from ..registry import Registry, SessionRow


class Sight:
    """What can be seen on this host, of all sessions at once."""

    def __init__(self, registry: Registry) -> None:
        """Look at Claude's pid files and at our leases."""
        self._registry = registry
        self._store = transcripts.store()
        self._own_stores = {row.session: row.store for row in registry.rows() if row.store}
        self._running = {*live.running(self._store), *registry.leases(live.holds(self._store))}

    def state(self, row: SessionRow) -> str:
        """`running`, `cleared`, `recorded` or `reserved`; a first transcript is noted."""
        if row.session_id in self._running:
            return "running"
        if row.cleared_at:
            return "cleared"
        return "recorded" if row.captured_at or self._captured(row) else "reserved"

    def states(self, rows: Iterable[SessionRow]) -> dict[str, str]:
        """The state of each, by session id."""
        return {row.session_id: self.state(row) for row in rows}

    def _captured(self, row: SessionRow) -> bool:
        """Whether there is a transcript that nobody has noted yet: where Claude puts it first."""
        store = Path(self._own_stores.get(row.session_id, self._store))
        project = store / "projects" / transcripts.slug(os.path.realpath(row.worktree))
        path = Path(row.transcript) if row.transcript else project / f"{row.session_id}.jsonl"
        try:
            found = path.stat()
        except OSError:
            return False
        if not found.st_size:
            return False
        self._registry.captured(row.session_id, str(path), int(found.st_mtime))
        return True
