"""Secrets on the controller: fetched where a template asks for one, and kept nowhere."""

from __future__ import annotations

import os
import subprocess
from contextlib import closing
from pathlib import Path

from ..document import Secret
from ..errors import MooringError, command

MAX_BYTES = 65536
"""The largest secret."""


def fetch(name: str, secret: Secret) -> str:
    """The value of a secret, without the newline at its end.

    Raises MooringError, which never has anything of what was read or said, if it can't be had.
    """
    if secret.env:
        value = os.environ.get(secret.env)
        if value is None:
            raise failure(name, f"${secret.env} is not set")
        return checked(name, os.fsencode(value))
    if secret.file:
        return checked(name, _read(name, secret.file))
    return checked(name, _run(name, secret.command, secret.timeout))


def checked(name: str, value: bytes) -> str:
    """The value as text. Raises MooringError where no file of text could hold it."""
    if len(value) > MAX_BYTES:
        raise failure(name, "it is larger than 64 KiB")
    try:
        text = value.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise failure(name, "it is not UTF-8") from None
    if not text or "\0" in text:
        raise failure(name, "it has a NUL byte" if text else "it is empty")
    return text


def failure(name: str, why: str, *hints: str) -> MooringError:
    """Why a secret can't be had."""
    return MooringError(f"Cannot get the secret {name}: {why}", *hints)


def command_failure(name: str, words: list[str], status: int) -> MooringError:
    """Why a command gave none; what it said itself could hold one, so that it is not shown."""
    hint = command(*words) + " >/dev/null    # says why"
    return failure(name, f"{words[0]} ended with {status}", hint)


def _read(name: str, file: str) -> bytes:
    try:
        with Path(file).expanduser().open("rb") as opened:
            return opened.read(MAX_BYTES + 1)
    except (OSError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or "there is no home directory"
        raise failure(name, f"{file}: {why}") from None


def _run(name: str, words: list[str], seconds: int) -> bytes:
    try:
        child = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    except OSError as error:
        raise failure(name, f"{words[0]}: {error.strerror}") from None
    assert child.stdout
    with closing(child.stdout):  # a child of its own, which holds it open, isn't waited for
        try:
            value, _ = child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise failure(name, f"{words[0]} took longer than {seconds} s") from None
        finally:
            child.kill()
            child.wait()
    if child.returncode:
        raise command_failure(name, words, child.returncode)
    return value
