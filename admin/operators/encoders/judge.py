"""Judges encoders on pictures with tags: one table for all of them.

In: names of encoders, labelled pictures. Out: rows of figures, and a plot of them. Raises UsageError when too few
pictures share tags, ConfigurationError for an encoder that cannot be loaded.
"""

import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from admin.console import progress
from admin.operators.encoders.labelled import Labelled, Tags
from models.encoders.base import Encoder, Images, Raw
from models.encoders.load import load_encoder
from models.encoders.raw_features import unpack
from models.encoders.registry.folders import EncoderFolders
from models.encoders.registry.trial import unlike_pictures
from models.errors import ConfigurationError
from models.judging.person import taste_of
from models.judging.table import Judged, Row, rows_of, steps

SPEED_S = 2.0  # how long the speed is measured

SHOWN = ("p_at_5", "p_at_10", "hamming", "knn", "ridge", "lrap", "map", "pair_accuracy")  # of an encoder, in the plot


def judge(folders: EncoderFolders, names: Sequence[str], pictures: Labelled, splits: int) -> list[Row]:
    """The rows of each encoder: its vector first, then its layers.

    Raises:
        ConfigurationError: see the module.
        UsageError: see the module.
    """
    return [row for name in names for row in _rows(folders, name, pictures, splits)]


def _rows(folders: EncoderFolders, name: str, pictures: Labelled, splits: int) -> list[Row]:
    encoder, manifest = load_encoder(name=name, folders=folders), folders.manifest(name)
    tastes: list[float] = []

    def measure(pixels: Images, tags: Sequence[Tags]) -> Raw:
        tastes.extend(taste_of(of_one, image) for of_one, image in zip(tags, pixels, strict=True))
        return encoder.encode(pixels)

    raw, tags = pictures.measured(measure, encoder.preprocessing, note=name)
    judged = Judged(name, unpack(raw, manifest.parts), manifest.parts, encoder.project(raw), tags, np.array(tastes))
    with progress() as bar:
        task = bar.add_task("figures", total=steps(judged, splits), note=name)
        first, *layers = rows_of(judged, splits, lambda: bar.advance(task))
    return [replace(first, images_per_second=_speed(encoder)), *layers]


def _speed(encoder: Encoder) -> float:
    images = unlike_pictures(encoder.preprocessing.size_px)
    start_s, done = time.perf_counter(), 0
    while not done or time.perf_counter() - start_s < SPEED_S:
        encoder.encode(images)
        done += len(images)
    return done / (time.perf_counter() - start_s)


def recommended(rows: Sequence[Row], trained: Collection[str] = ()) -> str:
    """The encoder whose heads are best; of those within a standard deviation of it one that was not trained here, and
    the fastest of these.
    """
    vectors = [row for row in rows if row.layer == "vector"]
    best = max(vectors, key=lambda row: row.map or 0.0)
    near = [row for row in vectors if (row.map or 0.0) >= (best.map or 0.0) - (best.map_std or 0.0)]
    return max(near, key=lambda row: (row.encoder not in trained, row.images_per_second or 0.0)).encoder


def trained_here(folders: EncoderFolders, names: Sequence[str]) -> set[str]:
    """Those of the encoders whose network `mekiki encoder train` made."""
    return {name for name in names if "kind" in folders.manifest(name).made_from}


def plot(rows: Sequence[Row], path: Path) -> None:
    """Bars of the encoders' figures, side by side, as PNG.

    Raises:
        ConfigurationError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigurationError("package matplotlib: not installed; run: pip install 'mekiki[plots]'") from error
    vectors = [row for row in rows if row.layer == "vector"]
    figure = Figure(figsize=(11, 5), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(vectors)
    for number, row in enumerate(vectors):
        values = [getattr(row, name) or 0.0 for name in SHOWN]
        label = f"{row.encoder}, {row.images_per_second or 0:.0f} pictures/s"
        axes.bar(np.arange(len(SHOWN)) + number * width, values, width, label=label)
    axes.set_xticks(np.arange(len(SHOWN)) + 0.4 - width / 2, SHOWN)
    axes.set_ylim(0, 1)
    axes.set_title("Encoders, higher is better")
    axes.legend()
    figure.savefig(path, format="png", dpi=120)
