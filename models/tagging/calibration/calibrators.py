"""From evidence to probability: a small river classifier per tag, warm-started from one that all tags share.

A tag uses the shared classifier until it was evaluated often enough to have its own, which starts as a copy. Serving
reads all classifiers as one array and computes what river's `predict_proba_one` would (log_odds.py).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from models.tagging.arrays import Float64
from models.tagging.calibration.classifiers import STATE, WARM_START, Classifier, Classifiers, state_of
from models.tagging.calibration.log_odds import NUMBERS
from models.tagging.memory.chunks import Array

OWN_AFTER = 60  # positives evaluated before a tag leaves the shared classifier; from 10 on LRAP is 0.008 lower


class Calibrators:
    """The shared classifier and those of the tags that have earned one."""

    def __init__(self, classifiers: Classifiers) -> None:
        self._classifiers = classifiers
        self.shared = classifiers.make(WARM_START)
        self.own: dict[int, Classifier] = {}
        self._positives: dict[int, int] = {}
        self._table: Float64 = np.empty((0, NUMBERS))  # of the tags' own ones; NaN where there is none
        self._stale: set[int] = set()  # rows of the table to be read anew

    def learn(self, row: int, features: dict[str, float], truth: bool, weight: float) -> None:
        """Let a tag's classifier and the shared one learn one evaluated pair of image and tag."""
        own = self.own.get(row)
        if own is not None:
            self._classifiers.learn(own, features, truth, weight)
            self._stale.add(row)
        elif truth:
            self._positives[row] = seen = self._positives.get(row, 0) + 1
            if seen >= OWN_AFTER:
                self._adopt(row, self.shared)
        self._classifiers.learn(self.shared, features, truth, weight)

    def _adopt(self, row: int, model: Classifier) -> None:
        """Give a tag a classifier of its own that begins where this one is."""
        self.own[row] = self._classifiers.make(state_of(model), own=True)
        self._stale.add(row)
        if row >= len(self._table):
            self.array(row + 1)

    def copy(self, source: int, target: int) -> None:
        """Let a tag start with what another learned."""
        if source in self._positives:
            self._positives[target] = self._positives[source]
        if source in self.own:
            self._adopt(target, self.own[source])

    def drop(self, row: int) -> None:
        """Forget what a tag learned."""
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

    def dump(self) -> dict[str, Array]:
        """Everything learned: `shared` [STATE], `own_rows` [N], `own` [N, STATE], `positives` (row, count) [P, 2]."""
        rows = sorted(self.own)
        return {
            "shared": np.array(state_of(self.shared)),
            "own_rows": np.array(rows, np.int64),
            "own": np.array([state_of(self.own[row]) for row in rows]).reshape(-1, STATE),
            "positives": np.array(sorted(self._positives.items()), np.int64).reshape(-1, 2),
        }

    def load(self, arrays: Mapping[str, Array]) -> None:
        """Put back what `dump` gave."""
        self.shared = self._classifiers.make(arrays["shared"].tolist())
        for row, state in zip(arrays["own_rows"].tolist(), arrays["own"].tolist(), strict=True):
            self.own[row] = self._classifiers.make(state, own=True)
        self._stale.update(self.own)
        if self.own:
            self.array(max(self.own) + 1)
        self._positives = dict(arrays["positives"].tolist())
