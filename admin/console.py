"""Where commands print: tables and bars for people on standard output, errors on standard error."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

out = Console(highlight=False, markup=False)  # what people write is shown as they wrote it
errors_out = Console(stderr=True, markup=False)


def shown(name: object) -> str:
    """The name of a file as it is shown: on one line, whatever bytes it has."""
    text = str(name)
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character == "\u3000" else ascii(character)[1:-1] for character in text
    )


def print_json(document: Any) -> None:
    """One JSON document on standard output, for programs."""
    print(json.dumps(document, ensure_ascii=False, indent=2))


def write_json(path: Path, document: Any) -> None:
    """One JSON document into a file, its folder made where missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n")


def print_table(rows: Iterable[Sequence[str]], *columns: str | Column, caption: str | None = None) -> None:
    """A table on standard output; without `columns` it has no header. Cells are shown as they are written, long words
    folded.
    """
    lines = list(rows)
    named = columns or [""] * max(map(len, lines), default=0)
    headers = (column if isinstance(column, Column) else Column(column, overflow="fold") for column in named)
    table = Table(*headers, caption=caption, show_header=bool(columns))
    for row in lines:
        table.add_row(*map(Text, row))
    out.print(table)


def print_error(text: str) -> None:
    """One sentence on standard error, as it is."""
    errors_out.print(f"mekiki: {text}", style="red", markup=False, highlight=False, soft_wrap=True)


def progress() -> Progress:
    """A progress bar with a rate, on standard error so that output stays clean."""
    return Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
        TaskProgressColumn(show_speed=True),
        TextColumn("{task.fields[note]}", markup=False), TimeRemainingColumn(), console=errors_out,
        refresh_per_second=4,
    )  # fmt: skip
