"""The one error type: a kind, a sentence, and hints. The kind alone picks the exit code."""

from __future__ import annotations

import shlex
from enum import Enum


class Kind(Enum):
    """Why something failed; the value is the exit code of `mooring`."""

    FAILED = 1
    """The user's or the target's fault."""
    USAGE = 2
    DRIFT = 3
    NOT_APPROVED = 4
    BUG = 70


class MooringError(Exception):
    """A refusal or a failure that a person can act on.

    `message` is a sentence of the form ``Cannot <action>: <reason>``; each hint is a command that
    can be run as it stands, or where there is none, a short instruction.
    """

    def __init__(self, message: str, *hints: str, kind: Kind = Kind.FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.hints = hints
        self.kind = kind

    def lines(self) -> list[str]:
        """The message, then one ``hint:`` line for each hint."""
        return [self.message, *(f"hint: {hint}" for hint in self.hints)]


class OccupiedError(MooringError):
    """A new conversation was wanted where there is one: to be resumed, or another begun?"""


def command(*words: str, note: str = "") -> str:
    """A command line as a hint: quoted so that it can be pasted, with a remark behind it."""
    return shlex.join(words) + (f"    # {note}" if note else "")


def usage(message: str, *hints: str) -> MooringError:
    """An error in how the command was called (exit 2)."""
    return MooringError(message, *hints, kind=Kind.USAGE)
