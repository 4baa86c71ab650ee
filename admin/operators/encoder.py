"""`mekiki encoder fit`: the projection, fitted on pictures of one's own."""

from pathlib import Path
from typing import Annotated

import typer

from admin.operators.encoders import train

app = typer.Typer(no_args_is_help=True, help="The frozen network that turns pictures into vectors.")
app.add_typer(train.app, name="train")


@app.callback()
def encoder() -> None:
    """The frozen network that turns pictures into vectors."""


@app.command()
def fit(
    pictures: Annotated[Path | None, typer.Option(help="Folder of pictures; without it the OpenMoji pictures.")] = None,
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("projection.safetensors"),
    dimension: Annotated[int, typer.Option(min=2, help="Length of the vectors.")] = 512,
    threads: Annotated[int | None, typer.Option(help="CPU threads; without it all.")] = None,
    cache_dir: Annotated[
        Path | None,
        typer.Option(envvar="MEKIKI_CACHE_DIR", help="Keeps the network's graph; without it ~/.cache/mekiki."),
    ] = None,
) -> None:
    """Fit the projection to so many numbers on pictures without labels (a few thousand are enough)."""
    from admin.operators.fit import fit_on_pictures
    from models.encoders.load import load_extractor

    fit_on_pictures(load_extractor(cache_dir=cache_dir, threads=threads), pictures, out, dimension)
