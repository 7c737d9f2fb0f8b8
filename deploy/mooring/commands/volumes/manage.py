"""`mooring store create` and `inspect`: a volume, what it is made of, and who has it."""

from __future__ import annotations

import re
from typing import Any

import docker
from docker.models.volumes import Volume

from ...errors import MooringError, command, usage
from . import engine, probe
from .engine import Inside, Report

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,254}")
_SECRET = re.compile(r"pass|secret|token|key|cred|auth", re.IGNORECASE)

COUNT = r"""
n=0
for p in projects/*; do
  if [ -d "$p" ] && [ ! -L "$p" ]; then
    for f in "$p"/*.jsonl; do if [ -f "$f" ] && [ ! -L "$f" ]; then n=$((n + 1)); fi; done
  fi
done
set -- $(du -sk .)
echo "$n $1"
"""


def create(
    name: str,
    driver: str,
    options: dict[str, str],
    report: Report,
    *,
    with_image: str = "",
    probed: bool = True,
) -> dict[str, Any]:
    """Make a volume for a store, unless it is there and made so; then probe it, unless told not to.

    Returns `volume`, `result` (created, unchanged) and `findings`. Raises MooringError if it is
    there and made otherwise, or the engine refuses. A volume that can't be probed stays.
    """
    check(name)
    client = engine.connect()
    with engine.told(f"create the volume {name!r}"):
        there = [item for item in client.volumes.list(filters={"name": name}) if item.name == name]
        if there:
            _same(there[0], driver, options)
        else:
            labels = {engine.STORE: "yes"}
            client.volumes.create(name, driver=driver, driver_opts=options, labels=labels)
    findings = probe.probe(name, report, with_image=with_image) if probed else []
    return {
        "volume": name,
        "result": "unchanged" if there else "created",
        "findings": findings,
    }


def check(name: str) -> None:
    """Raise a usage error unless a store's volume can have that name."""
    if name == "host" or not _NAME.fullmatch(name):
        raise usage(
            f"Cannot use {name!r} as a volume's name: 2 or more of a-z A-Z 0-9 _ . - , "
            "and not 'host', which is the store of this host"
        )


def _same(there: Volume, driver: str, options: dict[str, str]) -> None:
    """Raise MooringError where the volume was made of something else.

    The engine itself says nothing then, and gives the one that is there.
    """
    name, has = str(there.name), dict(there.attrs.get("Options") or {})
    if there.attrs["Driver"] == driver and has == options:
        return
    shown = " ".join(f"{key}={value}" for key, value in hidden(has).items())
    raise MooringError(
        f"Cannot create the volume {name!r}: there is one, of the driver "
        f"{there.attrs['Driver']} with {shown or 'no options'}",
        command("mooring", "store", "inspect", name),
        command("docker", "volume", "rm", name, note="removes it with all that is in it"),
    )


def hidden(options: dict[str, str]) -> dict[str, str]:
    """A volume's options, without what is named like a secret or is a login's password."""
    return {
        key: engine.HIDDEN if _SECRET.search(key) else engine.scrubbed(value)
        for key, value in options.items()
    }


def inspect(name: str, report: Report, *, with_image: str = "") -> dict[str, Any]:
    """What there is to know of a volume, as plain data; `size` is in bytes.

    `sessions` is None where no image is there to look into it with, and `size` where the engine
    doesn't know it either. Raises MooringError.
    """
    client = engine.connect()
    volume = engine.volume(client, name)
    with engine.told(f"look at the volume {name!r}"):
        users = engine.users(client, name)
        sessions, size = _content(client, name, with_image, report)
    labels = volume.attrs.get("Labels") or {}
    return {
        "volume": name,
        "driver": volume.attrs["Driver"],
        "options": hidden(volume.attrs.get("Options") or {}),
        "store": labels.get(engine.STORE) == "yes",
        "size": size,
        "sessions": sessions,
        "containers": [{"name": item.name, "status": item.status} for item in users],
    }


def _content(
    client: docker.DockerClient, name: str, asked: str, report: Report
) -> tuple[int | None, int | None]:
    """How many sessions there are, and how many bytes."""
    try:
        with_image = engine.image(client, name, asked, ("mooring", "store", "inspect", name))
    except MooringError as error:
        if asked:
            raise
        report(f"not looked into: {error.message}")
        for hint in error.hints:
            report(f"hint: {hint}")
        return None, _known_size(client, name)
    engine.clean(client, name, report)
    with engine.inside(client, name, with_image) as within:
        return _counted(within, name)


def _counted(within: Inside, name: str) -> tuple[int, int]:
    done = within.run(COUNT)
    words = done.out.split()
    if len(words) != 2 or not all(word.isdecimal() for word in words):
        raise MooringError(f"Cannot look into the volume {name!r}: {done.err.strip()}")
    return int(words[0]), int(words[1]) * 1024


def _known_size(client: docker.DockerClient, name: str) -> int | None:
    """What the engine knows of the size: of its own driver's volumes only."""
    for item in client.df().get("Volumes") or ():
        if item["Name"] == name:
            size = int((item.get("UsageData") or {}).get("Size", -1))
            return None if size < 0 else size
    return None
