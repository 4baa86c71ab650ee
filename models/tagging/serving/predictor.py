"""Predictions of a snapshot in NumPy: ridge score, kriging under the metric, co_occurrence, calibrated.

What `torch_backend.Resident` is on a GPU.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from models.quantise import SCALE
from models.tagging.arrays import Float32, Int64
from models.tagging.calibration.calibrators import FLOOR
from models.tagging.evidence.derived import ExemplarCache
from models.tagging.evidence.kriging import kriging_weights
from models.tagging.evidence.neighbours import nearest, nearest_by_bits
from models.tagging.memory.chunks import Chunks
from models.tagging.memory.exemplars import unit

if TYPE_CHECKING:
    from models.tagging.serving.snapshot import Snapshot

FEW = 4  # queries for which choosing neighbours by signs is faster than a matrix product ...
LARGE = 4096  # ... among more labelled images than this


class NumpyServing:
    """See `models.tagging.evidence.backend.Serving`."""

    batch = 64  # 8 MB of scores at 30,000 tags, which stays in the cache

    def __init__(self, snapshot: Snapshot, cache: ExemplarCache) -> None:
        self._of = snapshot
        self._cache = cache

    def find_neighbours(self, vectors: Float32) -> Int64:
        """See Serving."""
        exemplars, k = self._of.exemplars, self._of.neighbours
        if len(vectors) <= FEW and len(exemplars) > LARGE:
            return nearest_by_bits(exemplars, self._cache.bits(exemplars), codes_of(vectors), k)
        return nearest(exemplars, codes_of(vectors), k)

    def log_odds(self, vectors: Float32, neighbours: Int64 | None = None) -> Float32:
        """See Serving."""
        slots = self.find_neighbours(vectors) if neighbours is None else neighbours
        raw = self._of.ridge.times(unit(codes_of(vectors)))
        weights = self._kriging_weights(vectors, slots)
        share, base, slope, intercept = self._of.coefficients
        for row, of_image in zip(raw, weights, strict=True):  # row by row: 30,000 numbers stay in the cache
            row *= share
            row += base * (1 - of_image.sum())
            row += intercept
        if slots.shape[1]:
            images, tags, gained = self._carried(slots, weights)
            np.add.at(raw, (images, tags), gained * slope[tags])
        raw[:, self._of.hidden] = FLOOR
        for tag, into in self._of.implied:
            np.maximum(raw[:, into], raw[:, tag], out=raw[:, into])
        return raw

    def log_odds_of(self, rows: list[int], vectors: Float32) -> Float32:
        """See Serving."""
        slots = self.find_neighbours(vectors)
        weights = self._kriging_weights(vectors, slots)
        share, base, slope, intercept = (of_all[rows] for of_all in self._of.coefficients)
        raw: Float32 = unit(codes_of(vectors)) @ self._of.ridge.take(np.array(rows)).T * share
        raw += np.outer(1 - weights.sum(axis=1), base) + intercept
        if slots.shape[1]:
            images, tags, gained = self._carried(slots, weights)
            for column, row in enumerate(rows):
                here = tags == row
                np.add.at(raw[:, column], images[here], gained[here] * slope[column])
        raw[:, self._of.columns.counts[rows] == 0] = FLOOR
        return raw

    def _kriging_weights(self, vectors: Float32, slots: Int64) -> Float32:
        metric = self._of.metric
        if len(slots) <= FEW:
            compared = self._of.exemplars.vectors.take(slots) @ metric
        else:
            compared = self._compared.take(slots)
        return kriging_weights(compared, codes_of(vectors) @ metric)

    def _carried(self, slots: Int64, weights: Float32) -> tuple[Int64, Int64, Float32]:
        """What neighbours with these weights [B, k] give: (image, tag, evidence)."""
        owner, rows = self._of.exemplars.tags_of(slots.reshape(-1))
        of_neighbour, expected = weights.reshape(-1)[owner], weights.sum(axis=1)
        images = owner // slots.shape[1]
        return self._of.co_occurrence.spread(images, rows, of_neighbour, expected, self._of.priors)

    @cached_property
    def _compared(self) -> Chunks:
        return self._cache.compared(self._of.exemplars, self._of.metric)


def codes_of(vectors: Float32) -> Float32:
    """Unit vectors as the integer-valued codes that were learned."""
    codes: Float32 = np.rint(vectors * np.float32(SCALE))
    return codes
