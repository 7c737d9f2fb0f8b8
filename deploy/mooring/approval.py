"""What of a repo needs a person's approval before it has any effect, as a text to read. Pure.

An approval is one of exactly this text, by its digest: whatever changes in it is asked for again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from .errors import Kind, MooringError, command
from .settings import keys

if TYPE_CHECKING:
    from .model import Request
    from .spec import Spec

NEEDS_IT = ("secrets", "setup", "container")
"""Keys that stop a run until they are approved; without the others it goes on."""


def text(spec: Spec, texts: Mapping[str, bytes]) -> str:
    """Everything of the repo's that would run or be rendered; '' if there is nothing.

    `texts` are the templates' own, by path.
    """
    return "".join(_sections(spec, texts))


def stops(spec: Spec) -> bool:
    """Whether a run has to wait for an approval."""
    named = any(name in spec.to_approve for name in NEEDS_IT)
    return named or bool(spec.dockerfile) or any(_templates(spec))


def digest(text: str) -> str:
    """What an approval is kept by."""
    return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def refusal(request: Request, changed: bool) -> MooringError:
    """Why a run stops that nobody has approved."""
    again = " any more: it has changed since" if changed else ""
    what = "the templates, secrets and commands of its repo are not approved"
    return MooringError(
        f"Cannot provision {request.topic!r}: {what}{again}", _way(request), kind=Kind.NOT_APPROVED
    )


def _way(request: Request) -> str:
    """How to approve it. What `--set` says of files is recorded by the run that is refused."""
    given = [
        *(word for said in request.set for word in ("--set", said)),
        *(word for key in request.unset for word in ("--unset", key)),
    ]
    if any(key.split(".")[0] in ("files", "base") for key in keys((*request.set, *request.unset))):
        words = (*request.words, *given, "--trust")
        return command("mooring", "new", *words, note="approves them with these settings, unseen")
    return command("mooring", "trust", *request.words, note="shows them, and asks")


def _sections(spec: Spec, texts: Mapping[str, bytes]) -> Iterator[str]:
    for name, value in spec.to_approve.items():
        shown = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
        yield f"== mooring.yaml: {name}\n{shown}\n\n"
    if spec.dockerfile:
        yield f"== {spec.dockerfile}\n{_body(texts.get(spec.dockerfile))}\n"
    for src, dests in sorted(_templates_by_source(spec).items()):
        yield f"== {src}, a template for {', '.join(sorted(dests))}\n{_body(texts.get(src))}\n"


def _body(found: bytes | None) -> str:
    body = "(it is not there)\n" if found is None else found.decode("utf-8", "surrogateescape")
    return body if body.endswith("\n") else f"{body}\n(no newline at its end)\n"


def _templates_by_source(spec: Spec) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for src, dest in _templates(spec):
        found.setdefault(src, set()).add(dest)
    return found


def _templates(spec: Spec) -> Iterator[tuple[str, str]]:
    for rule in spec.rules:
        if rule.action == "template" and rule.root == "main":
            yield rule.src, rule.dest
