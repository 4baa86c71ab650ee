"""Log-odds of a snapshot in NumPy: ridge score, kriging under the metric, co-occurrence, calibrated. See scorer.py."""

import numpy as np

from models.quantise import SCALE
from models.tagging.arrays import Float32, Int64
from models.tagging.calibration.log_odds import FLOOR
from models.tagging.evidence.derived import ExemplarCache
from models.tagging.evidence.kriging import kriging_weights
from models.tagging.evidence.neighbours import nearest, nearest_by_bits
from models.tagging.memory.exemplars import unit
from models.tagging.serving.scorer import Coefficients
from models.tagging.serving.snapshot import Snapshot

FEW = 4  # queries for which choosing neighbours by signs is faster than a matrix product ...
LARGE = 4096  # ... among more exemplars than this


class NumpyScorer:
    """See `models.tagging.serving.scorer.Scorer`. The cache goes from one version to the next."""

    batch = 64  # 8 MB of scores at 30,000 tags, which stays in the processor's cache

    def __init__(self, snapshot: Snapshot, cache: ExemplarCache) -> None:
        self._snapshot = snapshot
        self._cache = cache
        self._coefficients = Coefficients.of(snapshot)

    def find_neighbours(self, vectors: Float32) -> Int64:
        """See Scorer."""
        exemplars, k = self._snapshot.exemplars, self._snapshot.neighbours
        if len(vectors) <= FEW and len(exemplars) > LARGE:
            return nearest_by_bits(exemplars, self._cache.bits(exemplars), _quantised(vectors), k)
        return nearest(exemplars, _quantised(vectors), k)

    def log_odds(self, vectors: Float32, neighbours: Int64 | None = None) -> Float32:
        """See Scorer."""
        slots = self.find_neighbours(vectors) if neighbours is None else neighbours
        raw = self._snapshot.ridge.times(unit(_quantised(vectors)))
        weights = self._kriging_weights(vectors, slots)
        by = self._coefficients
        for row, of_image in zip(raw, weights, strict=True):  # row by row: 30,000 numbers stay in the cache
            row *= by.ridge
            row += by.base * (1 - of_image.sum())
            row += by.intercept
        if slots.shape[1]:
            images, tags, gained = self._gained(slots, weights)
            np.add.at(raw, (images, tags), gained * by.slope[tags])
        raw[:, by.hidden] = FLOOR
        for tag, into in self._snapshot.implied:
            np.maximum(raw[:, into], raw[:, tag], out=raw[:, into])
        return raw

    def log_odds_of(self, rows: list[int], vectors: Float32) -> Float32:
        """See Scorer."""
        slots = self.find_neighbours(vectors)
        weights = self._kriging_weights(vectors, slots)
        by = self._coefficients
        raw: Float32 = unit(_quantised(vectors)) @ self._snapshot.ridge.take(np.array(rows)).T * by.ridge[rows]
        raw += np.outer(1 - weights.sum(axis=1), by.base[rows]) + by.intercept[rows]
        if slots.shape[1]:
            images, tags, gained = self._gained(slots, weights)
            for column, row in enumerate(rows):
                here = tags == row
                np.add.at(raw[:, column], images[here], gained[here] * by.slope[row])
        raw[:, self._snapshot.columns.counts[rows] == 0] = FLOOR
        return raw

    def _kriging_weights(self, vectors: Float32, slots: Int64) -> Float32:
        exemplars, metric = self._snapshot.exemplars, self._snapshot.metric
        if len(slots) <= FEW:
            compared = exemplars.vectors.take(slots) @ metric
        else:
            compared = self._cache.compared(exemplars, metric).take(slots)
        weights: Float32 = kriging_weights(compared, _quantised(vectors) @ metric)
        return weights

    def _gained(self, slots: Int64, weights: Float32) -> tuple[Int64, Int64, Float32]:
        """The evidence that neighbours with these weights [B, k] give: (image, tag, evidence), each [P]."""
        owner, rows = self._snapshot.exemplars.tags_of(slots.reshape(-1))
        of_neighbour, expected = weights.reshape(-1)[owner], weights.sum(axis=1)
        images = owner // slots.shape[1]
        return self._snapshot.co_occurrence.spread(images, rows, of_neighbour, expected, self._coefficients.priors)


def _quantised(vectors: Float32) -> Float32:
    """Unit vectors as the integers that were learned, in float32."""
    rounded: Float32 = np.rint(vectors * np.float32(SCALE))
    return rounded
