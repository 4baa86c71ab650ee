"""The float work that learning depends on: predict a sample of examples as if they had never been seen, then learn.

What a sample contributed to the sums is taken out again, exactly, before its evidence is computed: no example sees
itself or its sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from models.quantise import SCALE
from models.tagging.arrays import Bool, Float32, Float64, Int16, Int64
from models.tagging.calibration.calibrators import Calibrators, features_of, log_odds, prior_of, sigmoid
from models.tagging.calibration.drift import Drift
from models.tagging.calibration.metrics import Progress
from models.tagging.calibration.schedule import next_fit
from models.tagging.evidence.backend import Backend
from models.tagging.evidence.co_occurrence import CoOccurrence
from models.tagging.evidence.metric import fit_metric, no_metric
from models.tagging.evidence.neighbours import nearest
from models.tagging.memory.exemplars import image_hash
from models.tagging.memory.images import ImageState
from models.tagging.memory.sufficient_statistics import SufficientStatistics

_BESIDE = ThreadPoolExecutor(1, thread_name_prefix="tag-judge")  # half of the work: the other core is free meanwhile
NEGATIVES = 2.0  # negatives shown to the calibrators for each expected positive, drawn where the prediction is high


@dataclass(frozen=True, slots=True)
class Evidence:
    """Leave-sample-out evidence of B images for K known tags."""

    rows: Int64
    truth: Bool
    ridge: Float32
    kriging: Float32
    priors: Float32


class PrequentialEvaluator:
    """Computes leave-sample-out evidence and feeds calibrators and evaluation."""

    def __init__(
        self,
        statistics: SufficientStatistics,
        calibrators: Calibrators,
        progress: Progress,
        *,
        ridge_lambda: float,
        k: int,
        backend: Backend,
    ) -> None:
        self.statistics = statistics
        self.calibrators = calibrators
        self.progress = progress
        self.drift = Drift()
        self._ridge_lambda = ridge_lambda
        self._k = k
        self._backend = backend
        self.metric = no_metric(statistics.dimension)
        self.co_occurrence = CoOccurrence.none()
        self.fitted_at = 0  # examples learned when these two were fitted

    def judge(self, image_ids: Sequence[str], seed: int) -> None:
        """Predict, book, learn; `seed` names the log position, from which the drawn negatives follow."""
        evidence = self.evidence(image_ids)
        if evidence is None:
            return
        table = self.calibrators.array(len(self.statistics.sums.counts))[evidence.rows].astype(np.float32)
        raw = log_odds(table, evidence.priors, evidence.ridge.copy(), evidence.kriging)
        self.progress.grow(len(self.statistics.sums.counts))
        chances = sigmoid(raw)
        self.progress.judge(evidence.rows, evidence.truth, raw, chances)
        self._learn(evidence, chances, np.random.default_rng([20, seed]), seed)

    def refit(self, learned: int) -> None:
        """Fit metric and co_occurrence anew when enough was learned since; for what comes after."""
        if learned >= next_fit(self.fitted_at):
            self.fit(learned)

    def fit(self, learned: int) -> None:
        """Fit metric and co_occurrence to what is known now."""
        sums = self.statistics.sums
        if sums.images:
            metric = _BESIDE.submit(fit_metric, sums, self._backend)
            self.co_occurrence = CoOccurrence.of(self.statistics.exemplars.tags(), sums.rows)
            self.metric, self.fitted_at = metric.result(), learned

    def drop(self, rows: Sequence[int]) -> None:
        """These rows will belong to other tags."""
        self.co_occurrence = self.co_occurrence.without(rows)
        for row in rows:
            self.drift.drop(row)

    def evidence(self, image_ids: Sequence[str]) -> Evidence | None:
        """Evidence for those of the images that are labelled; None when nothing else was learned yet."""
        statistics = self.statistics
        states = self._labelled(image_ids)
        if not states:
            return None
        vectors = statistics.vectors(states)
        beside = _BESIDE.submit(self._neighbours, states, vectors)  # no sums are asked for: they may still come in
        pairs = [(index, row) for index, state in enumerate(states) for row in statistics.tags_of(state)]
        owners, tags = np.array(pairs, np.int64).reshape(-1, 2).T
        counts = statistics.sums.counts - np.bincount(tags, minlength=len(statistics.sums.counts))
        images = statistics.sums.images - len(states)
        ridge = self._ridge(vectors, owners, tags, counts / images) if images > 0 else None
        slots, weights = beside.result()
        rows = np.flatnonzero(counts > 0)
        if ridge is None or not rows.size:
            return None
        priors = prior_of(counts.astype(np.float64), images)
        kriging = self._kriging(slots, weights, priors)
        truth = np.zeros((len(states), len(counts)), np.bool_)
        truth[owners, tags] = True
        if rows.size == len(counts):
            return Evidence(rows, truth, ridge, kriging, priors)
        return Evidence(rows, truth[:, rows], ridge[:, rows], kriging[:, rows], priors[rows])

    def _labelled(self, image_ids: Sequence[str]) -> list[ImageState]:
        unique = list(dict.fromkeys(image_ids))
        known = self.statistics.memory.fetch([(image_hash(image_id), image_id) for image_id in unique])
        return [known[image_id] for image_id in unique if image_id in known and known[image_id].labelled]

    def _ridge(self, vectors: Int16, owners: Int64, tags: Int64, share: Float64) -> Float32:
        sums = self.statistics.sums
        gram, total, _ = sums.without(vectors)
        regular = gram / float(SCALE) ** 2
        regular[np.diag_indices_from(regular)] += self._ridge_lambda
        exact = vectors.astype(np.float64) / SCALE
        towards = self._backend.solve(regular, exact.T).T  # [B, D]
        scores = self._backend.scores((towards / SCALE).astype(np.float32), sums.tags)
        own = (towards @ exact.T).astype(np.float32)  # what each sampled image added to the scores of the others
        np.subtract.at(scores.T, tags, own.T[owners])
        scores -= np.outer(towards @ (total / SCALE), share).astype(np.float32)
        return scores

    def _neighbours(self, states: Sequence[ImageState], vectors: Int16) -> tuple[Int64, Float32]:
        """Slots of the neighbours [B, k], and their kriging weights [B, k]."""
        exemplars = self.statistics.exemplars.present()
        queries = vectors.astype(np.float32)
        without = self.statistics.exemplars.slots([state.hash for state in states])
        slots = nearest(exemplars, queries, self._k, without, self._backend)
        if not slots.shape[1]:
            return slots, np.empty(slots.shape, np.float32)
        used, where = np.unique(slots, return_inverse=True)
        by_hash = np.argsort(exemplars.hashes.take(used), kind="stable")  # slots are storage: no bit may depend on them
        compared = exemplars.vectors.take(used[by_hash]) @ self.metric  # few, early on: each once, not per query
        where = np.argsort(by_hash, kind="stable")[where].reshape(slots.shape)
        return slots, self._backend.kriging_weights(compared[where], queries @ self.metric)

    def _kriging(self, slots: Int64, weights: Float32, priors: Float32) -> Float32:
        expected = weights.sum(axis=1)
        evidence = np.outer(1 - expected, priors).astype(np.float32)
        owner, rows = self.statistics.exemplars.tags_of(slots.reshape(-1))
        of_neighbour = weights.reshape(-1)[owner]
        images, tags, gained = self.co_occurrence.spread(owner // slots.shape[1], rows, of_neighbour, expected, priors)
        np.add.at(evidence, (images, tags), gained)
        return evidence

    def _learn(self, evidence: Evidence, chances: Float32, random: np.random.Generator, learned: int) -> None:
        drawn_with = np.minimum(NEGATIVES * chances, 1.0)
        shown = evidence.truth | (random.random(chances.shape, np.float32) < drawn_with)
        for image, column in zip(*np.nonzero(shown), strict=True):
            truth = bool(evidence.truth[image, column])
            features = features_of(
                float(evidence.ridge[image, column]),
                float(evidence.kriging[image, column]),
                float(evidence.priors[column]),
            )
            row = int(evidence.rows[column])
            self.drift.update(row, abs(truth - float(chances[image, column])), learned)
            weight = 1.0 if truth else 1.0 / float(drawn_with[image, column])
            self.calibrators.learn(row, features, truth, weight)
