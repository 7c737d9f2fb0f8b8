"""`mooring trust`: what of a repo could run, shown and approved."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable
from typing import Any

import msgspec

from .. import runner, trust
from ..errors import MooringError, command


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to approve of a repo."""

    repo: str
    text: str
    """'' for nothing."""
    approved: bool
    last: str
    """What was approved last; '' if nothing ever was."""

    def shown(self) -> list[str]:
        """What a person is to read: the text, or what of it has changed."""
        if not self.last or self.approved:
            return self.text.rstrip("\n").split("\n")
        # Only a newline ends a line: what else looks like one is shown as it is.
        lines = (self.last.split("\n"), self.text.split("\n"))
        return list(difflib.unified_diff(*lines, "approved", "now", lineterm=""))


def asked(data: dict[str, Any], report: Callable[[str], None]) -> Asked:
    """What there is to approve. Raises MooringError if the repo isn't on the target yet."""
    workspace = runner.run("workspace", data, report, dry=True).workspace
    if workspace.pending:
        raise MooringError(
            f"Cannot tell yet what {workspace.request.repo} would run: it is not on the target",
            command("mooring", "new", *workspace.request.words, "--trust", note="unseen"),
        )
    repo = workspace.observed.repo.identity
    known = bool(workspace.approval) and trust.holds(repo, workspace.approval)
    last = trust.last(repo)
    return Asked(repo=repo, text=workspace.approval, approved=known, last=last)


def approve(what: Asked) -> None:
    """Keep the approval of exactly that. Raises MooringError if it can't be kept."""
    trust.approve(what.repo, what.text, int(time.time()))


def revoke(what: Asked) -> int:
    """Forget all approvals of the repo. Returns how many there were."""
    return trust.revoke(what.repo)
