"""Fits the encoder's projection on the pictures of a folder, or on OpenMoji.

In: files that OpenCV reads; others are passed over. Out: a projection file. Raises UsageError when there are too few
pictures.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from admin.console import errors_out, progress
from admin.openmoji import load_pictures, rasterise
from models.encoders.base import Extractor, Images, Vectors
from models.encoders.projected import encoder_version
from models.encoders.projection import SHIPPED, fit_projection
from models.errors import UsageError
from models.preprocess import fit_square

BATCH = 32  # pictures decoded before the network runs on them: steps of the progress bar


def fit_on_pictures(extractor: Extractor, pictures: Path | None, out: Path, dimension: int) -> None:
    """Write a projection to `dimension` numbers, and say which encoder version it makes.

    Raises:
        UsageError: no pictures, or fewer than dimensions.
    """
    features = extract_features(extractor, pictures)
    with errors_out.status(f"fitting {dimension} of {features.shape[1]} numbers on {len(features)} pictures"):
        projection = fit_projection(features, dimension)
    out.parent.mkdir(parents=True, exist_ok=True)
    projection.save(out)
    errors_out.print(f"wrote {out}: {len(features)} pictures, encoder version {encoder_version(projection)}")
    if out.resolve() != SHIPPED.resolve():
        errors_out.print("Vectors of another version cannot be mixed with these: use it with a new data directory.")


def extract_features(extractor: Extractor, folder: Path | None) -> Vectors:
    """Raw features float32 [N, 2608] of every picture of a folder, or of OpenMoji; a bar shows how far it is.

    Raises:
        UsageError: the folder holds no picture.
    """
    count, images = _openmoji() if folder is None else _folder(folder)
    found: list[Vectors] = []
    with progress() as bar:
        task = bar.add_task("pictures", total=count, note="")
        while batch := list(islice(images, BATCH)):
            pictures = [image for image in batch if image is not None]
            if pictures:
                found.append(extractor.extract(np.stack(pictures)))
            bar.advance(task, len(batch))
    if not found:
        raise UsageError(f"folder {folder}: expected pictures in it; name another with --pictures")
    return np.concatenate(found)


def _openmoji() -> tuple[int, Iterator[Images | None]]:
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
