"""`mekiki tags list|show`: what the tag learner knows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer
from rich.table import Table

from admin.connect import Api, client_settings
from admin.console import out, print_json

app = typer.Typer(help="What the tag learner knows.", no_args_is_help=True)
DataDir = Annotated[Path | None, typer.Option(help="Data directory of the running `mekiki up`.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]


@app.command(name="list")
def list_tags(
    limit: Annotated[int, typer.Option(min=1)] = 40, prefix: str = "", as_json: AsJson = False, data_dir: DataDir = None
) -> None:
    """Tags by number of images, with quality and first use."""
    page = Api(client_settings(data_dir)).get("/v1/tags", limit=limit, prefix=prefix)
    if as_json:
        print_json(page)
        return
    names = list(dict.fromkeys(name for row in page["tags"] for name in row))
    table = Table(caption=f"{page['known']} tags known, tagger {page['tagger_version']}")
    for name in names:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in page["tags"]:
        table.add_row(*(_cell(row.get(name)) for name in names))
    out.print(table)


@app.command()
def show(tag: str, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """One tag."""
    row = Api(client_settings(data_dir)).get(f"/v1/tags/{quote(tag, safe='')}")
    if as_json:
        print_json(row)
        return
    table = Table(show_header=False)
    for name, value in row.items():
        table.add_row(name.replace("_", " "), _cell(value))
    out.print(table)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
