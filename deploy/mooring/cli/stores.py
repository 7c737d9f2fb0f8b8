"""The `store` group: session stores in Docker volumes."""

from __future__ import annotations

from typing import Any

import click

from .. import ui
from .options import dry_run_option, json_option, no_flag

_NAME = click.argument("name")
_IMAGE = click.option(
    "--image",
    metavar="IMAGE",
    default="",
    help="What to look in with: any with a shell that the engine has. Default: of a container "
    "that has the volume.",
    callback=no_flag,
)


@click.group()
def store() -> None:
    """Session stores in Docker volumes: make, look at, try out, copy to and from."""


@store.command()
@_NAME
@click.option("--driver", metavar="DRIVER", default="local", show_default=True, callback=no_flag)
@click.option(
    "--option",
    "options",
    metavar="KEY=VALUE",
    multiple=True,
    help="Of the driver.",
    callback=no_flag,
)
@click.option("--no-probe", is_flag=True, help="Don't try it out.")
@_IMAGE
@json_option
def create(
    name: str, driver: str, options: tuple[str, ...], no_probe: bool, image: str, as_json: bool
) -> int:
    """Make the volume NAME for a store, and try it out; it may be there already."""
    given = _pairs(options)
    from ..commands.volumes import manage, probe

    done = manage.create(name, driver, given, ui.narrate, with_image=image, probed=not no_probe)
    if as_json:
        ui.answer_json(done)
    else:
        ui.answer(f"{done['volume']}: {done['result']}")
        _show(done["findings"])
    return int(probe.failed(done["findings"]))


def _pairs(options: tuple[str, ...]) -> dict[str, str]:
    for item in options:
        if not item.partition("=")[0] or "=" not in item:
            raise click.UsageError("--option is KEY=VALUE")
    return {key: value for key, _, value in (item.partition("=") for item in options)}


@store.command()
@_NAME
@_IMAGE
@json_option
def inspect(name: str, image: str, as_json: bool) -> None:
    """What the volume NAME is made of, how much is in it, and which containers have it."""
    from ..commands.volumes import manage

    found = manage.inspect(name, ui.narrate, with_image=image)
    if as_json:
        ui.answer_json(found)
        return
    size = None if found["size"] is None else ui.size(found["size"])
    users = [f"{item['name']} ({item['status']})" for item in found["containers"]]
    ui.details({**found, "size": size, "containers": users})


@store.command()
@_NAME
@_IMAGE
@json_option
def probe(name: str, image: str, as_json: bool) -> int:
    """Try out whether the volume NAME keeps what Claude writes; exit 1 if not."""
    from ..commands.volumes import probe as command

    findings = command.probe(name, ui.narrate, with_image=image)
    if as_json:
        ui.answer_json(findings)
    else:
        _show(findings)
    return int(command.failed(findings))


def _show(findings: list[dict[str, Any]]) -> None:
    for item in findings:
        ui.answer(f"{item['state']:4}  {item['what']}: {item['text']}")
        if item["hint"]:
            ui.answer(f"      hint: {item['hint']}")


@store.command()
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option(
    "--session",
    "sessions",
    metavar="ID",
    multiple=True,
    help="4 characters will do.",
    callback=no_flag,
)
@click.option("--all", "every", is_flag=True, help="Every session that FROM has.")
@click.option("--move", is_flag=True, help="Remove it from FROM, once it is known to be in TO.")
@_IMAGE
@dry_run_option
@json_option
def copy(
    source: str,
    target: str,
    sessions: tuple[str, ...],
    every: bool,
    move: bool,
    image: str,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Copy sessions FROM one store TO another; each is `host`, or a volume's name.

    Never overwrites a conversation that differs; exit 1 if one was refused.
    """
    if bool(sessions) == every:
        raise click.UsageError("name sessions with --session, or --all")
    from ..commands.volumes import copying

    wish = copying.Wish(sessions=sessions, image=image, move=move, dry_run=dry_run)
    rows = copying.copy(source, target, wish, ui.narrate)
    if as_json:
        ui.answer_json(rows)
    else:
        _show_rows(rows, dry_run)
    return int(any(row["failed"] for row in rows))


def _show_rows(rows: list[dict[str, Any]], dry_run: bool) -> None:
    if not rows:
        ui.narrate("no sessions")
    if dry_run:
        ui.narrate("dry run: nothing was changed")
    for row in rows:
        removed = ", removed where it was" if row["removed"] else ""
        ui.answer(f"{row['session']}  {row['result']}  {ui.size(row['size'])}{removed}")
        for text in row["said"]:
            ui.answer(f"    {text}")
        if row["hint"]:
            ui.answer(f"    hint: {row['hint']}")
