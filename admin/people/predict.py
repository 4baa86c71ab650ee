"""`mekiki predict`: tags for a picture, as a table or JSON."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column

from admin.connect import Api, client_settings
from admin.console import out, print_json, print_table
from admin.options import AsJson, DataDir
from admin.people.search import MARK_MEANS, marked, read_picture


def predict(
    file: Path, limit: Annotated[int, typer.Option(min=1)] = 10, as_json: AsJson = False, data_dir: DataDir = None
) -> None:
    """Predict tags for a picture."""
    prediction = Api(client_settings(data_dir)).predict(read_picture(file), limit=limit)
    if as_json:
        print_json(prediction.model_dump(mode="json"))
        return
    rows = ((marked(row.probability, row.above_threshold), row.tag) for row in prediction.tags)
    caption = f"{prediction.took_ms} ms, tagger {prediction.tagger_version}"
    print_table(rows, Column("probability", justify="right"), "tag", caption=caption)
    out.print(MARK_MEANS)
