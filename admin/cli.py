"""The root of `mekiki`: commands, and errors as one sentence on standard error with the exit code of their fate."""

import io
import logging
import os
import sys
from importlib.metadata import entry_points

import typer

from admin.console import print_error
from admin.demo.command import demo
from admin.operators import dlq, export, index, topics, work
from admin.operators.doctor import doctor
from admin.operators.encoders import command as encoder
from admin.operators.serve import serve
from admin.operators.status import status
from admin.operators.up import up
from admin.people import images, tags
from admin.people.post import post
from admin.people.predict import predict
from admin.people.say import click, tag
from admin.people.search import search
from models.errors import EXIT_TEMPORARY, MekikiError

COMMANDS = "mekiki.commands"  # entry points of pyproject.toml that add commands

app = typer.Typer(
    name="mekiki",
    help="Streaming online learning for images: search, tags and taste that follow the event stream.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


PEOPLE, OPERATORS = "For people", "For operators"
COMMANDS_OF = {PEOPLE: (post, tag, click, search, predict, demo), OPERATORS: (up, serve, status, doctor)}
GROUPS_OF = {
    PEOPLE: {"images": images.app, "tags": tags.app},
    OPERATORS: {
        "work": work.app, "topics": topics.app, "index": index.app, "dlq": dlq.app, "encoder": encoder.app,
        "export": export.app,
    },
}  # fmt: skip
for panel, commands in COMMANDS_OF.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
    for name, group in GROUPS_OF[panel].items():
        app.add_typer(group, name=name, rich_help_panel=panel)


def main() -> None:
    """Entry point of the `mekiki` command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names may have any bytes
    for found in entry_points(group=COMMANDS):  # of rooms above this one, which nothing here imports: benchmarks
        app.add_typer(found.load(), name=found.name, rich_help_panel=OPERATORS)
    try:
        app(prog_name="mekiki")  # which also names the variable of shell completion
        code = 0
    except MekikiError as error:
        logging.getLogger(__name__).debug("failed", exc_info=True)
        print_error(str(error))
        code = error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        where = f"{error.filename} " if error.filename else ""
        print_error(f"{where}{error.strerror or error}; check path, permissions and free space")
        code = EXIT_TEMPORARY
    sys.exit(code)


if __name__ == "__main__":
    main()
