"""What the engine says of a workspace's container, but for its mounts."""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import command
from ...settings import keys
from .. import launch
from ..doctor import Finding
from .look import Look, plain


def state(look: Look) -> Iterator[Finding]:
    """Whether it is there, and runs."""
    name, found = look.row.container, look.inspected
    if found is None and look.problem:
        text = f"the engine does not answer: {look.problem}"
        yield Finding("engine", "fail", text, command("docker", "info", note="says why"))
    elif found is None:
        yield Finding("container", "fail", f"there is no container {name}", look.new())
    elif found.state.status == "running":
        yield Finding("container", "ok", f"{name} runs")
    elif found.state.status == "paused":
        text = f"{name} is paused"
        yield Finding("container", "fail", text, command("docker", "unpause", name))
    else:
        text = f"{name} does not run, it is {found.state.status}: nothing in it was looked at"
        yield Finding("container", "warn", text, command("docker", "start", name))


def origin(look: Look) -> Iterator[Finding]:
    """Whether Mooring made it, for this workspace, and of the image that was asked for."""
    if look.inspected is None:
        return
    labels, row = look.inspected.labels, look.row
    own = {"topic": row.topic, "agent": row.agent, "repo": row.repo, "worktree": row.worktree}
    other = [name for name, value in own.items() if labels.get(f"mooring.{name}") != value]
    image, wanted = labels.get("mooring.image", ""), _image(look)
    if not labels.get("mooring.digest"):
        text = f"{row.container} was not made by Mooring"
        yield Finding("made", "fail", text, look.anew)
    elif other:
        text = f"{row.container} was made for another {', '.join(other)}"
        yield Finding("made", "fail", text, look.anew)
    elif wanted and wanted != image:
        text = f"it is of the image {image}, where {wanted} is asked for"
        yield Finding("made", "warn", text, look.new())
    else:
        yield Finding("made", "ok", f"by Mooring, of {image}")


def _image(look: Look) -> str:
    """The image that the session's own settings name, '' where they don't."""
    if "container.image" not in keys(look.row.set):
        return ""
    asked = launch.spec_of(look.row).to_contain
    return asked.image if asked and not asked.build else ""


def user(look: Look) -> Iterator[Finding]:
    """Whether what is written in there belongs to whom the worktree and the store belong to."""
    found, said = look.inspected, look.said or {}
    if found is None:
        return
    uid = plain(said.get("uid", [found.config.user.partition(":")[0]])[0])
    if not uid.isdecimal():
        return
    owners = {"worktree": look.owner[0]}
    if look.store.exists():
        owners["session store"] = look.store.stat().st_uid
    other = [
        f"the {name} belongs to {owner}" for name, owner in owners.items() if owner != int(uid)
    ]
    if other:
        text = f"it runs as uid {uid}, but {' and '.join(other)}"
        yield Finding("user", "warn", text, mended(look))
    else:
        yield Finding("user", "ok", f"uid {uid}, like the worktree and the session store")


def mended(look: Look) -> str:
    """The command by which the container runs as the owner of the worktree."""
    made = look.inspected and look.inspected.labels.get("mooring.digest")
    if not made:
        return look.anew
    return look.without("container.user", f"{look.owner[0]}:{look.owner[1]}")
