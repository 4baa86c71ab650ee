"""From evidence to probability: a small river classifier per tag, warm-started from one that all tags share.

The features are three numbers: the ridge score, the kriging evidence (which contains the prior), and that over the root
of the prior. The log-odds of the prior as a fourth brought LRAP on OpenMoji down from 0.590 to 0.585. A tag uses the
shared classifier until it has been judged often enough to have its own, which starts as a copy. Serving reads all
classifiers as one array [T, 4] and computes what river's `predict_proba_one` would.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from river import optim
from river.linear_model import LogisticRegression

from models.tagging.arrays import Float32, Float64

FEATURES = ("ridge", "kriging", "kriging_over_root_prior")
NUMBERS = len(FEATURES) + 1  # of a classifier: weights and intercept
ROOT_SCALE = 5.0  # divides kriging / √prior, which reaches 10, so that one learning rate suits all features
WARM_START = (2.3, 7.5, 3.7, -5.3)  # FEATURES and intercept, where the shared one ends on the OpenMoji pictures
SHARED_RATE = optim.schedulers.InverseScaling(0.1, 0.4)  # bold at first, then an average: 0.05 throughout left
# the last steps' noise in every tag, and three times the calibration error
FLOOR = np.float32(-30.0)  # log-odds of a tag that is not served
OWN_RATE = 0.005  # a tag sees few examples: small steps away from what all tags have in common
OWN_AFTER = 60  # positives judged before a tag leaves the shared classifier; from 10 on LRAP is 0.008 lower


def default_classifier() -> LogisticRegression:
    """A logistic regression that starts where it ended on the benchmark's pictures."""
    model = LogisticRegression(optimizer=optim.SGD(SHARED_RATE), intercept_lr=SHARED_RATE)
    set_weights(model, np.array(WARM_START))
    return model


def own_classifier(shared: LogisticRegression) -> LogisticRegression:
    """A copy for one tag, which learns in smaller steps."""
    model = copy.deepcopy(shared)
    model.optimizer.lr = optim.schedulers.Constant(OWN_RATE)
    model.intercept_lr = optim.schedulers.Constant(OWN_RATE)
    return model


def set_weights(model: LogisticRegression, values: Float64) -> None:
    """Put FEATURES' weights and the intercept [4] into a river model."""
    model._weights.update(dict(zip(FEATURES, (float(value) for value in values[:-1]), strict=True)))
    model.intercept = float(values[-1])


def weights_of(model: LogisticRegression) -> list[float]:
    """FEATURES' weights and the intercept of a river model."""
    weights: dict[str, Any] = model.weights
    return [float(weights.get(name, 0.0)) for name in FEATURES] + [float(model.intercept)]


def state_of(model: LogisticRegression) -> list[float]:
    """FEATURES' weights, the intercept and the steps taken [NUMBERS + 1] of a river model."""
    return [*weights_of(model), float(model.optimizer.n_iterations)]


def restored(state: Sequence[float]) -> LogisticRegression:
    """The shared classifier with what `state_of` gave."""
    model = default_classifier()
    set_weights(model, np.array(state[:-1]))
    model.optimizer.n_iterations = int(state[-1])
    return model


class Calibrators:
    """The shared classifier and those of the tags that have earned one.

    `changed` are the rows whose state changed since the store last took them.
    """

    def __init__(self, shared: LogisticRegression) -> None:
        self.shared = shared
        self.own: dict[int, LogisticRegression] = {}
        self.positives: dict[int, int] = {}
        self.changed: set[int] = set()
        self._table: Float64 = np.empty((0, NUMBERS))  # of the tags' own ones; NaN where there is none
        self._stale: set[int] = set()  # rows of the table to be read anew

    def learn(self, row: int, features: dict[str, float], truth: bool, weight: float) -> None:
        """Show one judged pair of image and tag to the tag's classifier and to the shared one."""
        own = self.own.get(row)
        if own is not None:
            own.learn_one(features, truth, w=weight)
            self._stale.add(row)
            self.changed.add(row)
        elif truth:
            self.positives[row] = seen = self.positives.get(row, 0) + 1
            self.changed.add(row)
            if seen >= OWN_AFTER:
                self.adopt(row, own_classifier(self.shared))
        self.shared.learn_one(features, truth, w=weight)

    def adopt(self, row: int, model: LogisticRegression) -> None:
        """Give a tag a classifier of its own."""
        self.own[row] = model
        self._stale.add(row)
        self.changed.add(row)
        if row >= len(self._table):
            self.array(row + 1)

    def copy(self, source: int, target: int) -> None:
        """Let a tag start with what another learned."""
        self.changed.add(target)
        if source in self.positives:
            self.positives[target] = self.positives[source]
        if source in self.own:
            self.adopt(target, copy.deepcopy(self.own[source]))

    def drop(self, row: int) -> None:
        """Forget what a tag learned."""
        self.changed.add(row)
        if self.own.pop(row, None) is not None:
            self._stale.add(row)
        self.positives.pop(row, None)

    def dump(self, row: int) -> tuple[int | None, bytes | None] | None:
        """(positives judged, state of its own classifier as float64) of a tag; None when there is neither."""
        own = self.own.get(row)
        positives = self.positives.get(row)
        state = None if own is None else np.array(state_of(own)).tobytes()
        return None if positives is None and state is None else (positives, state)

    def load(self, row: int, positives: int | None, own: bytes | None) -> None:
        """Put back what `dump` gave."""
        if positives is not None:
            self.positives[row] = positives
        if own is not None:
            self.adopt(row, own_classifier(restored(np.frombuffer(own).tolist())))

    def array(self, rows: int) -> Float64:
        """Weights and intercepts [T, 4] of tags 0 .. rows - 1."""
        if rows > len(self._table):
            self._table = np.concatenate([self._table, np.full((rows - len(self._table), NUMBERS), np.nan)])
        for row in self._stale:
            self._table[row] = weights_of(self.own[row]) if row in self.own else np.nan
        self._stale.clear()
        table = self._table[:rows]
        return np.where(np.isnan(table[:, :1]), np.array(weights_of(self.shared)), table)


def log_odds(table: Float32, priors: Float32, ridge: Float32, kriging: Float32) -> Float32:
    """Raw scores [B, T] of evidence [B, T] under calibrators [T, 4] and priors [T]; overwrites `ridge`."""
    slope = kriging_slope(table, priors)
    for row, of_image in zip(ridge, kriging, strict=True):  # row by row: 30,000 numbers stay in the cache
        row *= table[:, 0]
        row += of_image * slope
        row += table[:, 3]
    return ridge


def kriging_slope(table: Float32, priors: Float32) -> Float32:
    """What one unit of kriging evidence adds to the log-odds of each tag [T]."""
    root: Float32 = np.float32(ROOT_SCALE) * np.sqrt(priors)
    slope: Float32 = table[:, 1] + table[:, 2] / root
    return slope


def sigmoid(raw: Float32) -> Float32:
    """Probabilities of log-odds; beyond 80 either way float32 has nothing left to say."""
    result: Float32 = np.exp(-np.clip(raw, -80.0, 80.0))
    result += 1
    np.reciprocal(result, out=result)
    return result


def features_of(ridge: float, kriging: float, prior: float) -> dict[str, float]:
    """The dict that a river classifier learns from."""
    over_root = kriging / (ROOT_SCALE * math.sqrt(prior))
    return {FEATURES[0]: ridge, FEATURES[1]: kriging, FEATURES[2]: over_root}


def prior_of(counts: Float64, images: int) -> Float32:
    """Share of the labelled images that carry each tag [T], kept off 0 and 1 by half an image."""
    prior: Float32 = ((counts + 0.5) / (images + 1.0)).astype(np.float32)
    return prior
