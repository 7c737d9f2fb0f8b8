"""The ways to start Claude: one table, which the command line offers."""

from __future__ import annotations

import click

from mooring.cli import cli
from mooring.commands.launchers import LAUNCHERS


def test_the_command_line_offers_what_the_table_has() -> None:
    for verb in ("new", "resume"):
        (option,) = [one for one in cli.commands[verb].params if one.name == "launch"]
        assert isinstance(option.type, click.Choice)
        assert set(option.type.choices) == {*LAUNCHERS, "none"}
