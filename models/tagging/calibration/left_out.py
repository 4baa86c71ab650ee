"""Evidence for labelled images as if none of them had been seen: what they added to the sums is taken out, exactly.

In: ids of a sample of images. Out: ridge scores and kriging evidence of every tag known without them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.background import BackgroundThread
from models.quantise import SCALE
from models.tagging.arrays import Bool, Float32, Float64, Int16, Int64
from models.tagging.calibration.log_odds import prior_of
from models.tagging.evidence.co_occurrence import CoOccurrence
from models.tagging.evidence.neighbours import nearest
from models.tagging.evidence.ridge import RidgeSettings
from models.tagging.memory.images import ImageState
from models.tagging.memory.sufficient_statistics import SufficientStatistics


@dataclass(frozen=True, slots=True)
class Evidence:
    """Of B images for K known tags.

    Attributes:
        rows: of the tags [K].
        truth: which images carry them [B, K].
        ridge: ridge scores [B, K].
        kriging: kriging evidence with co-occurrence [B, K].
        priors: share of the other labelled images that carry each tag [K].
    """

    rows: Int64
    truth: Bool
    ridge: Float32
    kriging: Float32
    priors: Float32


@dataclass(frozen=True, slots=True)
class LeftOutEvidence:
    """Computes evidence with what was learned and fitted so far; half of the work runs on the background thread."""

    statistics: SufficientStatistics
    background: BackgroundThread
    ridge: RidgeSettings
    neighbours: int

    def of(self, image_ids: Sequence[str], metric: Float32, co_occurrence: CoOccurrence) -> Evidence | None:
        """Evidence for those of the images that are labelled; None when nothing else was learned yet.

        Args:
            image_ids: the sample; all of it is left out.
            metric: [D, D], what kriging compares images by.
            co_occurrence: which tags go together.
        """
        statistics = self.statistics
        known = statistics.known(image_ids)
        states = [known[image_id] for image_id in dict.fromkeys(image_ids) if image_id in known]
        states = [state for state in states if state.labelled]
        if not states:
            return None
        vectors = statistics.vectors(states)
        beside = self.background.submit(self._nearest, states, vectors, metric)  # needs no sums, which may still come
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
        kriging = self._kriging(slots, weights, priors, co_occurrence)
        truth = np.zeros((len(states), len(counts)), np.bool_)
        truth[owners, tags] = True
        if rows.size == len(counts):
            return Evidence(rows, truth, ridge, kriging, priors)
        return Evidence(rows, truth[:, rows], ridge[:, rows], kriging[:, rows], priors[rows])

    def _ridge(self, vectors: Int16, owners: Int64, tags: Int64, share: Float64) -> Float32:
        sums = self.statistics.sums
        gram, total, _ = sums.without(vectors)
        regular = gram / float(SCALE) ** 2
        regular[np.diag_indices_from(regular)] += self.ridge.ridge_lambda
        exact = vectors.astype(np.float64) / SCALE
        towards = self.ridge.backend.solve(regular, exact.T).T  # [B, D]
        scores = self.ridge.backend.scores((towards / SCALE).astype(np.float32), sums.tags)
        own = (towards @ exact.T).astype(np.float32)  # what each sampled image added to the scores of the others
        np.subtract.at(scores.T, tags, own.T[owners])
        scores -= np.outer(towards @ (total / SCALE), share).astype(np.float32)
        return scores

    def _nearest(self, states: Sequence[ImageState], vectors: Int16, metric: Float32) -> tuple[Int64, Float32]:
        """Slots of the neighbours [B, k], and their kriging weights [B, k]."""
        exemplars = self.statistics.exemplars.present()
        queries = vectors.astype(np.float32)
        without = self.statistics.exemplars.slots([state.hash for state in states])
        slots = nearest(exemplars, queries, self.neighbours, without, self.ridge.backend)
        if not slots.shape[1]:
            return slots, np.empty(slots.shape, np.float32)
        used, where = np.unique(slots, return_inverse=True)
        by_hash = np.argsort(exemplars.hashes.take(used), kind="stable")  # slots are storage: no bit may depend on them
        compared = exemplars.vectors.take(used[by_hash]) @ metric  # few, early on: each once, not per query
        where = np.argsort(by_hash, kind="stable")[where].reshape(slots.shape)
        return slots, self.ridge.backend.kriging_weights(compared[where], queries @ metric)

    def _kriging(self, slots: Int64, weights: Float32, priors: Float32, co_occurrence: CoOccurrence) -> Float32:
        expected = weights.sum(axis=1)
        evidence = np.outer(1 - expected, priors).astype(np.float32)
        owner, rows = self.statistics.exemplars.tags_of(slots.reshape(-1))
        of_neighbour = weights.reshape(-1)[owner]
        images, tags, gained = co_occurrence.spread(owner // slots.shape[1], rows, of_neighbour, expected, priors)
        np.add.at(evidence, (images, tags), gained)
        return evidence
