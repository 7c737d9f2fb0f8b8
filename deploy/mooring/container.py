"""What a workspace's container should be, as plain data with a digest. Pure."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from .claude.transcripts import slug
from .document import Build, Container, Mount
from .environment import port_name
from .errors import MooringError, command
from .model import Key, Needs, Request
from .repo import source_key

if TYPE_CHECKING:
    from .facts.container import Engine
    from .facts.workspace import Observed
    from .spec import Spec

PASSED = re.compile(r"(ANTHROPIC|CLAUDE_CODE)_[A-Z0-9_]+")
"""Variables that a container gets without asking: how Claude is reached, and as whom."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that a container is made from, but for the image's id."""

    image: str
    build: Build | None
    dockerfile: str
    """The sha256 of the Dockerfile as the repo has it, '' where nothing is built."""
    worktree: str
    common: str
    store: str
    """The session store on the target."""
    private: str
    """The directory on the target with what is this container's alone."""
    share: str
    provide: str
    project: tuple[str, ...]
    """What of the store's `projects` is this workspace's (see claude.mounts)."""
    guard: str
    owner: str
    """The uid and gid of the target's user, with a colon between."""
    network: str
    mounts: tuple[Mount, ...]
    ports: tuple[str, ...]
    user: str
    memory: str
    cpus: str
    command: str

    @property
    def digest(self) -> str:
        """A sha256 over everything that is in here."""
        return sha256(msgspec.json.encode(self)).hexdigest()


def is_there(wanted: Wanted, engine: Engine) -> bool:
    """Whether the engine has it, made from just that, and running."""
    found = engine.found
    if found is None or found.status != "running":
        return False
    same = found.image if found.labels.get("mooring.image") == wanted.image else ""
    return found.digest == label(wanted.digest, engine.image_id or same)


def label(digest: str, image_id: str) -> str:
    """What the container's label `mooring.digest` says: the same as the script that makes it."""
    return sha256(f"{digest} {image_id}".encode()).hexdigest()


def wanted(
    request: Request, spec: Spec, observed: Observed, store: str, guard: str
) -> Wanted | None:
    """The container that the spec asks for, None for none.

    `store` is the one of its own that it has already, since a conversation is in there, `guard` the
    directory of the guard's hooks; each '' for none.

    Raises MooringError where the target can't have one, or nothing says what it is made from.
    """
    _check_place(request, spec)
    asked = spec.container
    _check_store(request, spec, observed, store)
    if asked is None:
        return None
    _check_engine(request, observed.container)
    _check_config(request, observed)
    _check_ports(request, spec, asked)
    text = observed.files.texts.get(spec.dockerfile, b"")
    key = Key(observed.repo.identity, request.agent, request.topic)
    worktree, common = observed.worktree.path, observed.repo.common
    return Wanted(
        image=image(spec, observed),
        build=asked.build,
        dockerfile=sha256(text).hexdigest() if asked.build else "",
        worktree=worktree,
        common=common,
        store=observed.session.own_store,
        private=f"{observed.target.root}/{private(key)}",
        share=spec.share,
        provide=spec.provide,
        project=(slug(worktree), slug(observed.repo.checkout or common)),
        guard=guard,
        owner=observed.container.owner,
        network=asked.network,
        mounts=tuple(asked.mounts),
        ports=tuple(dict.fromkeys(asked.ports)),
        user=str(asked.user),
        memory=asked.memory,
        cpus=str(asked.cpus),
        command=asked.command,
    )


def _check_place(request: Request, spec: Spec) -> None:
    if request.place == "container" and spec.to_contain is None:
        raise MooringError(
            f"Cannot provision {request.topic!r} in a container: no spec says of which image",
            command("mooring", "new", *request.words, "--set", "container.image=IMAGE"),
            "or put container: {image: IMAGE} into mooring.yaml or your config.yaml",
        )
    asked = spec.to_contain
    if asked and not asked.image and not asked.build:
        raise MooringError(
            f"Cannot provision {request.topic!r} in a container: container: names no image",
            command("mooring", "new", *request.words, "--set", "container.image=IMAGE"),
        )


def _check_engine(request: Request, engine: Engine) -> None:
    start = f"Cannot provision {request.topic!r} in a container"
    host = _at_host(request)
    if engine.name == "podman":
        raise MooringError(f"{start}: Podman is not supported yet, and there is no Docker", host)
    if not engine.name:
        raise MooringError(f"{start}: the target has no `docker`", host)
    if engine.problem:
        raise MooringError(f"{start}: {engine.problem}", "docker info", host)


def _at_host(request: Request) -> str:
    verb = "resume" if request.needs.resumes else "new"
    return command("mooring", verb, *request.words, "--in", "host")


def _check_store(request: Request, spec: Spec, observed: Observed, store: str) -> None:
    """Raise MooringError where the conversation is not in the store that is to be used.

    `store` is the container's own, if it is in there.
    """
    if not observed.session.transcripts or request.fresh:
        return
    outside = request.place == "host" or spec.container is None
    starts = request.needs in (Needs.TRANSCRIPT, Needs.CONVERSATION)
    if store and (starts if outside else spec.share != "none"):
        raise MooringError(
            f"Cannot go on with {request.topic!r} here: its conversation is in the container's own "
            "store (claude.share: none)",
            command(
                *("mooring", "resume", *request.words),
                *("--in", "container", "--set", "claude.share=none"),
            ),
        )
    if not store and not outside and spec.share == "none":
        raise MooringError(
            f"Cannot give {request.topic!r} a store of its own (claude.share: none): its "
            "conversation is in the host's",
            command("mooring", "resume", *request.words, "--set", "claude.share=workspace"),
            command("mooring", "new", *request.words, "--fresh", note="begins another one"),
        )


def _check_config(request: Request, observed: Observed) -> None:
    """Raise MooringError where the container would see a token in the repo's config."""
    told, file = observed.container.told, f"{observed.repo.common}/config"
    if told:
        raise MooringError(
            f"Cannot provision {request.topic!r} in a container: {told[0]} in {file} holds a "
            "password or token, which everything in there could read",
            command("git", "config", "--file", file, told[0], "URL", note="without it"),
            _at_host(request),
        )


def _check_ports(request: Request, spec: Spec, asked: Container) -> None:
    known = [port_name(name) for name in spec.ports]
    for name in asked.ports:
        if name not in known:
            raise MooringError(
                f"Cannot publish {name} of {request.topic!r}: its ports are {', '.join(known)}",
                "ports: [web] in mooring.yaml makes PORT_WEB",
            )


def private(key: Key) -> str:
    """The directory of what a container alone has, relative to the root.

    It stays when the workspace ends: with `claude.share: none` the conversation is in there.
    """
    return f"containers/{source_key(key.repo)}/{key.agent}/{key.topic}"


def own_store(wanted: Wanted) -> str:
    """The session store where it isn't that of the target's user; else ''."""
    return f"{wanted.private}/claude" if wanted.share == "none" else ""


def image(spec: Spec, observed: Observed) -> str:
    """The name of the image that a container is made from; '' where there is to be none.

    A built one is named by what it is built from, so that it is there already or to be built.
    """
    wanted = spec.to_contain
    if not wanted or not wanted.build:
        return wanted.image if wanted else ""
    text = observed.files.texts.get(wanted.build.dockerfile, b"")
    parts = (observed.repo.identity, wanted.build.context, wanted.build.dockerfile)
    made_from = sha256("\0".join(parts).encode("utf-8", "surrogateescape") + b"\0" + text)
    return f"mooring-build:{made_from.hexdigest()[:32]}"
