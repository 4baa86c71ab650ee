"""The root of `mekiki`: commands, and errors as one sentence on standard error with the exit code of their fate."""

import logging
import os
import sys
from importlib.metadata import entry_points

import typer

from admin.console import errors_out
from models.errors import EXIT_TEMPORARY, MekikiError

COMMANDS = "mekiki.commands"  # entry points of pyproject.toml that add commands

app = typer.Typer(
    name="mekiki",
    help="Streaming online learning for images: search, tags and taste that follow the event stream.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _register() -> None:
    from admin.demo import command as demo
    from admin.operators import dlq, doctor, encoder, serve, status, topics, up, work
    from admin.people import post, predict, search, tags

    for module in (demo, up, work, serve, post, search, predict, status, doctor):
        module.register(app)
    app.add_typer(tags.app, name="tags")
    app.add_typer(topics.app, name="topics")
    app.add_typer(dlq.app, name="dlq")
    app.add_typer(encoder.app, name="encoder")
    for found in entry_points(group=COMMANDS):  # of rooms above this one, which nothing here imports: benchmarks
        app.add_typer(found.load(), name=found.name)


def main() -> None:
    """Entry point of the `mekiki` command."""
    _register()
    try:
        app()
        code = 0
    except MekikiError as error:
        logging.getLogger(__name__).debug("failed", exc_info=True)
        errors_out.print(f"mekiki: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        code = error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        errors_out.print(
            f"mekiki:{where} {error.strerror or error}; check path, permissions and free space",
            style="red", markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip
        code = EXIT_TEMPORARY
    sys.exit(code)


if __name__ == "__main__":
    main()
