"""`mekiki encoder`: fit a projection on pictures without labels.

Comes in: a folder of pictures, or the OpenMoji pictures. Goes out: a safetensors file that settings may name as the
encoder's projection; the encoder's version changes with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from models.encoders.base import Extractor, Images, Vectors
from models.encoders.load import load_extractor
from models.encoders.projected import encoder_version
from models.encoders.projection import DIMENSION, SHIPPED, fit_projection
from models.errors import UsageError
from models.preprocess import fit_square

BATCH = 32  # pictures decoded before the network runs on them: steps of the progress bar

app = typer.Typer(no_args_is_help=True, help="The frozen network that turns pictures into vectors.")


@app.callback()
def encoder() -> None:
    """The frozen network that turns pictures into vectors."""


@app.command()
def fit(
    pictures: Annotated[Path | None, typer.Option(help="Folder of pictures; without it the OpenMoji pictures.")] = None,
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("projection.safetensors"),
    dimension: Annotated[int, typer.Option(min=2, help="Length of the vectors.")] = DIMENSION,
    threads: Annotated[int | None, typer.Option(help="CPU threads; without it all.")] = None,
    cache_dir: Annotated[
        Path | None,
        typer.Option(envvar="MEKIKI_CACHE_DIR", help="Keeps the network's graph; without it ~/.cache/mekiki."),
    ] = None,
) -> None:
    """Fit the projection to 512 numbers on pictures without labels (a few thousand are enough)."""
    features = extract_features(pictures, load_extractor(cache_dir=cache_dir, threads=threads))
    console = Console(stderr=True)
    with console.status(f"fitting {dimension} of {features.shape[1]} numbers on {len(features)} pictures"):
        projection = fit_projection(features, dimension)
    out.parent.mkdir(parents=True, exist_ok=True)
    projection.save(out)
    console.print(f"wrote {out}: {len(features)} pictures, encoder version {encoder_version(projection)}")
    if out.resolve() != SHIPPED.resolve():
        console.print("Vectors of another version cannot be mixed with these: use it with a new data directory.")


def extract_features(folder: Path | None, extractor: Extractor) -> Vectors:
    """Raw features float32 [N, 2608] of every picture of a folder, or of OpenMoji; a bar shows how far it is.

    Raises:
        UsageError: the folder holds no picture.
    """
    count, images = _openmoji() if folder is None else _folder(folder)
    found: list[Vectors] = []
    batch: list[Images] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("pictures", total=count)
        for image in images:
            if image is not None:
                batch.append(image)
            if len(batch) == BATCH:
                found.append(extractor.extract(np.stack(batch)))
                batch.clear()
            progress.advance(task)
    if batch:
        found.append(extractor.extract(np.stack(batch)))
    if not found:
        raise UsageError(f"folder {folder}: expected pictures in it; name another with --pictures")
    return np.concatenate(found)


def _openmoji() -> tuple[int, Iterator[Images | None]]:
    from admin.openmoji import load_pictures, rasterise

    pictures = load_pictures()
    return len(pictures), (_square(rasterise(picture)) for picture in pictures)


def _folder(folder: Path) -> tuple[int, Iterator[Images | None]]:
    """Files that are no pictures give None. An operator's own folder is trusted, so it is decoded in this process."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return len(paths), (_square(path.read_bytes()) for path in paths)


def _square(content: bytes) -> Images | None:
    if not content:
        return None
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)
    return None if image is None else fit_square(np.asarray(image, np.uint8))
