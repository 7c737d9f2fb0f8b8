"""Arguments and options that several commands take, and how the shell completes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from .. import ui

F = TypeVar("F", bound=Callable[..., Any])


class WithArguments(click.Command):
    """A command that hands over whatever stands behind ``--``, untouched, as `arguments`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Cut off the part behind ``--`` before click looks at it."""
        rest: list[str] = []
        if "--" in args:
            cut = args.index("--")
            args, rest = args[:cut], args[cut + 1 :]
        left = super().parse_args(ctx, args)
        ctx.params["arguments"] = tuple(rest)
        return left


class WithDefault(click.Group):
    """A group whose words, where they name none of its commands, go to the command `show`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `show` in front of what names no command."""
        if not args and ctx.resilient_parsing:  # of a shell that completes the first word
            return super().parse_args(ctx, args)
        if not args or args[0] not in {*self.commands, "-h", "--help"}:
            args = ["show", *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Offer the commands, and what `show` takes."""
        show = self.commands["show"]
        inner = show.make_context("show", [], parent=ctx, resilient_parsing=True)
        words = [one for one in show.params if isinstance(one, click.Argument)]
        offered = [item for one in words for item in one.shell_complete(inner, incomplete)]
        theirs = show.shell_complete(inner, incomplete)
        return [*super().shell_complete(ctx, incomplete), *offered, *theirs]


def _topics(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    from ..commands import complete

    return complete.topics(open_registry(), typed)


def _agents(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    from ..commands import complete

    return complete.agents(open_registry(), typed)


def session_ids(context: click.Context, parameter: click.Parameter, typed: str) -> list[Any]:
    """Ids of sessions that begin so, of the topic that is named if one is."""
    from click.shell_completion import CompletionItem

    from ..commands import complete

    # While an option lacks its value, click leaves the arguments unread.
    topic = context.params.get("topic") or next(iter(context.args), None)
    return [
        CompletionItem(value, help=text)
        for value, text in complete.sessions(open_registry(), topic, typed)
    ]


def no_flag(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """A value, or several, none of which is an option: one that lacks its own takes the next."""
    for one in value if isinstance(value, tuple) else (value or "",):
        if one.startswith("-"):
            raise click.BadParameter(f"{one} is an option, not a value")
    return value


def which(function: F) -> F:
    """TOPIC, and what tells workspaces of one topic apart."""
    function = click.argument("topic", required=False, shell_complete=_topics)(function)
    function = click.option(
        "--agent",
        metavar="NAME",
        shell_complete=_agents,
        help="Who works there: $WORK_AGENT, or dev.",
    )(function)
    return click.option(
        "--repo", metavar="URL|PATH", help="Which repo: $WORK_REPO, or the one you stand in."
    )(function)


json_option = click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")
launch_option = click.option(
    "--launch",
    type=click.Choice(["exec", "tmux", "zellij", "none"]),
    help="How to start Claude. Default: exec, on a terminal or if it gets arguments; else none.",
)
prompt_option = click.option(
    "--prompt",
    metavar="TEXT|@FILE|-",
    help="What to say to Claude first; - reads stdin. Kept in .session-prompt.md.",
)
pipeline_option = click.option("--pipeline", metavar="ID", help="All workspaces of a pipeline.")
trust_option = click.option(
    "--trust", is_flag=True, help="Approve the repo's templates, secrets and commands as they are."
)
_set_option = click.option(
    "--set",
    "settings",
    metavar="KEY=VALUE",
    multiple=True,
    help="A setting of this session's own, as in mooring.yaml: env.MODE=x. It is kept.",
)
_unset_option = click.option(
    "--unset", "unset", metavar="KEY", multiple=True, help="Take back what --set said of a key."
)


def settings_options(function: F) -> F:
    """--set and --unset."""
    return _set_option(_unset_option(function))


place_option = click.option(
    "--in",
    "place",
    type=click.Choice(["container", "devcontainer", "host"]),
    help="Where. Default: in the container, if there is to be one.",
)
_recreate_option = click.option(
    "--recreate", is_flag=True, help="Make the container anew, even if Claude runs in it."
)


def container_options(function: F) -> F:
    """--in and --recreate."""
    return place_option(_recreate_option(function))


dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Say what would be done; change nothing."
)


def meant_any(said: Any) -> Any:
    """What is meant, where a pipeline can be. Raises a usage error where nothing is."""
    from ..commands import lookup

    found = lookup.meant_any(open_registry(), said, ui.narrate)
    return found or lookup.meant(open_registry(), said, ui.narrate)


def open_registry() -> Any:
    """The registry of this process; imported only by commands that need it."""
    from ..registry import opened

    return opened()
