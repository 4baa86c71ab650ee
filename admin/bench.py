"""`mekiki bench encoder|ingest|tagger`: what this machine does, measured now, as a table or JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from admin.console import out, print_json, write_json

app = typer.Typer(help="Measure this machine.", no_args_is_help=True)
JsonFile = Annotated[Path | None, typer.Option("--json", help="Write the figures here; `-` prints them.")]


@app.command()
def encoder(
    images: Annotated[int, typer.Option(min=32, help="Pictures to embed.")] = 512, json_file: JsonFile = None
) -> None:
    """Images per second of the bare encoder, by batch size."""
    from benchmarks.encoder import run

    _report(run(images), json_file)


@app.command()
def ingest(
    images: Annotated[int, typer.Option(min=50, help="Pictures to stream.")] = 600, json_file: JsonFile = None
) -> None:
    """Images per second from the log to the index, beside the bare encoder in the same run."""
    from benchmarks.ingest import run

    _report(run(images), json_file)


@app.command()
def tagger(
    json_file: JsonFile = None,
    peers: Annotated[bool, typer.Option("--peers/--no-peers", help="Also measure what one could pick instead.")] = True,
    tags: Annotated[int, typer.Option(min=100, help="Tags of the speed part.")] = 30_000,
) -> None:
    """The tag learner at scale: speed, quality, few-shot; peers need scikit-learn, xgboost and vowpalwabbit."""
    from benchmarks.tagger import run

    report = run(None, tags=tags, peers=peers)
    if json_file is not None and str(json_file) == "-":
        print_json(report)
        return
    if json_file is not None:
        write_json(json_file, report)
    for part, figures in report.items():
        _report({f"{part} {name}": value for name, value in figures.items()}, None)


def _report(figures: dict[str, Any], json_file: Path | None) -> None:
    if json_file is not None and str(json_file) == "-":
        print_json(figures)
        return
    if json_file is not None:
        write_json(json_file, figures)
    table = Table("figure", "value")
    for name, value in figures.items():
        table.add_row(name, f"{value:.2f}" if isinstance(value, float) else str(value))
    out.print(table)
