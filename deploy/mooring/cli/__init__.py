"""The command line: arguments in, one use case, its answer out. Nothing heavy is imported here."""

from __future__ import annotations

import gc
import sys

import click

from .. import __version__, ui
from ..errors import Kind, MooringError
from . import approvals, caches, devcontainer, entering, files, stores, views, workspaces


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="mooring")
def cli() -> None:
    """Workspaces for coding with Claude Code, whose conversations outlive them."""


COMMANDS = (
    workspaces.new,
    workspaces.resume,
    workspaces.end,
    entering.run,
    entering.shell,
    entering.cd,
    entering.attach,
    entering.slash_command,
    views.status,
    views.list_,
    views.sessions,
    views.doctor,
    files.files,
    approvals.trust,
    caches.cache,
    stores.store,
    devcontainer.devcontainer,
)
for _command in COMMANDS:
    cli.add_command(_command)


def main() -> None:
    """Run the command line and exit with the status that belongs to what happened."""
    gc.disable()  # a short life: collecting while importing costs a tenth of it
    sys.exit(_main())


def _main() -> int:
    try:
        return int(cli.main(standalone_mode=False) or 0)
    except MooringError as error:
        ui.show_error(error)
        return error.kind.value
    except click.ClickException as error:
        error.show()
        return Kind.USAGE.value
    except (KeyboardInterrupt, click.Abort):
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 141
    except Exception:
        import traceback

        traceback.print_exc()
        ui.narrate(
            f"This is a bug in Mooring {__version__}: please report it with the lines above."
        )
        return Kind.BUG.value
