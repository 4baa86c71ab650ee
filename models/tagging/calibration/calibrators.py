"""From evidence to probability: a small river classifier per tag, warm-started from one that all tags share.

A tag uses the shared classifier until it was evaluated often enough to have its own, which starts as a copy. Serving
reads all classifiers as one array and computes what river's `predict_proba_one` would (log_odds.py).
"""

from collections.abc import Sequence

import numpy as np

from models.tagging.arrays import Float64
from models.tagging.calibration.classifiers import WARM_START, Classifier, Classifiers, state_of
from models.tagging.calibration.log_odds import NUMBERS

OWN_AFTER = 60  # positives evaluated before a tag leaves the shared classifier; from 10 on LRAP is 0.008 lower


class Calibrators:
    """The shared classifier and those of the tags that have earned one.

    Attributes:
        shared: of the tags that have none of their own.
        own: by row.
        changed: rows whose state changed since the store last took them.
    """

    def __init__(self, classifiers: Classifiers) -> None:
        self._classifiers = classifiers
        self.shared = classifiers.make(WARM_START)
        self.own: dict[int, Classifier] = {}
        self._positives: dict[int, int] = {}
        self.changed: set[int] = set()
        self._table: Float64 = np.empty((0, NUMBERS))  # of the tags' own ones; NaN where there is none
        self._stale: set[int] = set()  # rows of the table to be read anew

    def learn(self, row: int, features: dict[str, float], truth: bool, weight: float) -> None:
        """Let a tag's classifier and the shared one learn one evaluated pair of image and tag."""
        own = self.own.get(row)
        if own is not None:
            self._classifiers.learn(own, features, truth, weight)
            self._stale.add(row)
            self.changed.add(row)
        elif truth:
            self._positives[row] = seen = self._positives.get(row, 0) + 1
            self.changed.add(row)
            if seen >= OWN_AFTER:
                self._adopt(row, state_of(self.shared))
        self._classifiers.learn(self.shared, features, truth, weight)

    def _adopt(self, row: int, state: Sequence[float]) -> None:
        """Give a tag a classifier of its own that begins with this state."""
        self.own[row] = self._classifiers.make(state, own=True)
        self._stale.add(row)
        self.changed.add(row)
        if row >= len(self._table):
            self.array(row + 1)

    def copy(self, source: int, target: int) -> None:
        """Let a tag start with what another learned."""
        self.changed.add(target)
        if source in self._positives:
            self._positives[target] = self._positives[source]
        if source in self.own:
            self._adopt(target, state_of(self.own[source]))

    def drop(self, row: int) -> None:
        """Forget what a tag learned."""
        self.changed.add(row)
        if self.own.pop(row, None) is not None:
            self._stale.add(row)
        self._positives.pop(row, None)

    def array(self, rows: int) -> Float64:
        """Weights and intercepts [T, NUMBERS] of tags 0 .. rows - 1."""
        if rows > len(self._table):
            self._table = np.concatenate([self._table, np.full((rows - len(self._table), NUMBERS), np.nan)])
        for row in self._stale:
            self._table[row] = state_of(self.own[row])[:NUMBERS] if row in self.own else np.nan
        self._stale.clear()
        table = self._table[:rows]
        return np.where(np.isnan(table[:, :1]), np.array(state_of(self.shared)[:NUMBERS]), table)

    def dump(self, row: int) -> tuple[int | None, bytes | None] | None:
        """(positives evaluated, state of its own classifier as float64) of a tag; None when there is neither."""
        own = self.own.get(row)
        positives = self._positives.get(row)
        state = None if own is None else np.array(state_of(own)).tobytes()
        return None if positives is None and state is None else (positives, state)

    def load(self, row: int, positives: int | None, own: bytes | None) -> None:
        """Put back what `dump` gave."""
        if positives is not None:
            self._positives[row] = positives
        if own is not None:
            self._adopt(row, np.frombuffer(own).tolist())

    def restore_shared(self, state: Sequence[float]) -> None:
        """Let the shared classifier go on from this state [STATE], see `state_of`."""
        self.shared = self._classifiers.make(state)
