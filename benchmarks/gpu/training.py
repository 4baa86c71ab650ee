"""Two epochs of each training, on drawings in memory with tags and tastes by chance: seconds, not quality.

The first epoch has compiling in it, the second has not; both have their evaluation.
"""

import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.drawings import drawing
from models.encoders.base import Images
from models.encoders.training.autoencoder import AutoencoderOptions, train_autoencoder
from models.encoders.training.loop import Recipe
from models.encoders.training.tags import TagOptions, train_tags
from models.encoders.training.taste import Preferences, TasteOptions, train_taste
from models.ranking.pairs import Pair

PICTURES = {"cuda": 2048, "cpu": 48}
TAGS = {"cuda": 500, "cpu": 5}
PAIRS = {"cuda": 4096, "cpu": 400}
TAGS_EACH = 5
SOURCES = 64  # different drawings; each picture is one of them

Figures = Iterator[tuple[str, Any]]


class Drawings:
    """See models.encoders.training.data.pictures.Pictures."""

    looks: Mapping[str, bytes] = {}
    position = "drawings"

    def __init__(self, count: int) -> None:
        self.ids: Sequence[str] = [f"drawing-{number}" for number in range(count)]
        self._drawn = [drawing(seed) for seed in range(SOURCES)]

    def load(self, ids: Sequence[str]) -> list[Images | None]:
        """See Pictures.load."""
        return [self._drawn[int(name.partition("-")[2]) % SOURCES] for name in ids]


class Stopwatch:
    """A `Report` that knows how long each stage took, from its first word to the next one's."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, float]] = []  # what, and when it began
        self._now_s = time.perf_counter()

    def __call__(self, what: str, done: int, total: int) -> None:
        """See Report."""
        if not self.stages or self.stages[-1][0] != what:
            self.stages.append((what, self._now_s))
            print(f"{what} began after {self._now_s - self.stages[0][1]:.1f} s", file=sys.stderr)  # if it is cut
        self._now_s = time.perf_counter()

    def figures(self, *networks: str) -> Figures:
        """Seconds of each stage; epochs by the network that they train, in this order."""
        ends = [begun_s for _, begun_s in self.stages[1:]] + [self._now_s]
        left = list(networks)
        for (what, begun_s), end_s in zip(self.stages, ends, strict=True):
            if what == "epoch 1":
                network = left.pop(0)
            name = f"{network} {what}" if what.startswith("epoch") else what
            yield f"{name}_s".replace(" ", "_"), end_s - begun_s


def autoencoder(device: str) -> Figures:
    """The deep shape on a GPU, the small one on a CPU."""
    size_px, latent = (112, 196) if device == "cuda" else (24, 8)
    options = AutoencoderOptions(size_px=size_px, latent=latent, recipe=_recipe(), device=device)
    watch = Stopwatch()
    yield "pictures", PICTURES[device]
    with tempfile.TemporaryDirectory() as folder:
        done = train_autoencoder(Drawings(PICTURES[device]), Path(folder), options, watch)
    yield from watch.figures("autoencoder")
    yield "loss_before_after", [round(done.course.start, 4), round(done.course.held_out[-1], 4)]


def tags(device: str) -> Figures:
    """The head, then the last blocks."""
    source = Drawings(PICTURES[device])
    chance = np.random.default_rng(0)
    carried = {name: [f"tag {tag}" for tag in chance.integers(0, TAGS[device], TAGS_EACH)] for name in source.ids}
    options = TagOptions(tags=TAGS[device], recipe=_recipe(), body=_recipe(), device=device)
    watch = Stopwatch()
    yield "pictures", len(source.ids)
    with tempfile.TemporaryDirectory() as folder:
        train_tags(source, carried, Path(folder), options, watch)
    yield from watch.figures("head", "last blocks")


def taste(device: str) -> Figures:
    """The head, then the last blocks; then the small network."""
    source = Drawings(PICTURES[device])
    chance = np.random.default_rng(0)
    drawn = chance.integers(0, len(source.ids), (PAIRS[device], 2)).tolist()
    said = Preferences([Pair(source.ids[one], source.ids[other]) for one, other in drawn if one != other])
    yield "pictures", len(source.ids)
    yield "pairs", len(said.pairs)
    for network, names in (("body", ("head", "last blocks")), ("small-cnn", ("small",))):
        options = TasteOptions(network, recipe=_recipe(256), body=_recipe(256), device=device)  # type: ignore[arg-type]
        watch = Stopwatch()
        with tempfile.TemporaryDirectory() as folder:
            train_taste(source, said, Path(folder), options, watch)
        for name, value in watch.figures(*names):
            yield f"{network}_{name}", value


def _recipe(batch: int = 64) -> Recipe:
    return Recipe(epochs=2, batch=batch)
