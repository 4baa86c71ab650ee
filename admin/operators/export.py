"""`mekiki export tags`: what was learned at a point of the log, as features for other models."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from admin.connect import client_settings
from admin.console import out, print_json
from admin.options import DataDir

app = typer.Typer(help="What was learned, as files for other models.", no_args_is_help=True)


@app.callback()
def export() -> None:
    """What was learned, as files for other models."""


@app.command()
def tags(
    at: Annotated[
        int | None,
        typer.Option(min=0, help="Offset of examples.v1: the records before it count. Without it all that there are."),
    ] = None,
    format: Annotated[Literal["parquet", "csv"], typer.Option(help="Of the table.")] = "parquet",
    out_file: Annotated[
        Path | None, typer.Option("--out", help="The table; its manifest is FILE.json. Without it tags.FORMAT here.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The manifest on standard output.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Probabilities of every tag for every picture somebody tagged, as they were at a point of the log."""
    from admin.operators.exporting import export_tags
    from stream.export.tags import manifest_path

    path = out_file or Path(f"tags.{format}")
    manifest = export_tags(client_settings(data_dir), at, path, format)
    if as_json:
        print_json(asdict(manifest))
        return
    words = len(manifest.vocabulary)
    out.print(f"{path}: {manifest.rows} pictures x {words} tags at offset {manifest.offset}", soft_wrap=True)
    out.print(f"{manifest_path(path)}: its manifest", soft_wrap=True)
