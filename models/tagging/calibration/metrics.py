"""Prequential evaluation: every judged example is predicted first and learned after (Dawid 1984; Gama et al. 2013).

LRAP and P@5 are means over judged images; average precision, thresholds and calibration error come from histograms of
predicted log-odds, overall and per tag, so that memory is bounded by tags. Only tags known before the example count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.evaluate import label_ranking_average_precision, precision_at
from models.tagging.arrays import Bool, Float32, Float64, Int64
from models.tagging.calibration.thresholds import ALL, BINS, LOWEST, MASS, PER_UNIT, POSITIVE, average_precisions


@dataclass(frozen=True, slots=True)
class Quality:
    """Running figures over all judged images."""

    images: int
    lrap: float
    p_at_5: float
    micro_ap: float
    macro_ap: float
    ece: float


NOT_JUDGED = Quality(0, *[float("nan")] * 5)


class Progress:
    """Counts of the running evaluation.

    `changed` are the rows whose histograms changed beyond the lowest bin since the store last took them. (In the
    lowest bin every judged image changes the row of every known tag.)
    """

    def __init__(self) -> None:
        self.changed: set[int] = set()
        self.images = 0
        self.lrap = 0.0
        self.p_at_5 = 0.0
        self._tags: Float64 = np.zeros((0, 3, BINS))

    @property
    def tags(self) -> Float64:
        """Histograms [T, 3, BINS] per tag."""
        return self._tags

    def grow(self, rows: int) -> None:
        """Make room for `rows` tags."""
        if rows > len(self._tags):
            grown = np.zeros((rows, 3, BINS))
            grown[: len(self._tags)] = self._tags
            self._tags = grown

    def copy(self, source: int, target: int) -> None:
        """Let a tag start with what was booked for another."""
        self.changed.add(target)
        self.grow(max(source, target) + 1)
        self._tags[target] = self._tags[source]

    def drop(self, row: int) -> None:
        """Forget what was booked for a tag."""
        self.changed.add(row)
        if row < len(self._tags):
            self._tags[row] = 0

    def booked(self, row: int) -> float:
        """True pairs booked for a tag."""
        return float(self._tags[row, POSITIVE].sum()) if row < len(self._tags) else 0.0

    def restore(self, histograms: Float64) -> None:
        """Put back what `tags` gave."""
        self._tags = histograms

    def judge(self, rows: Int64, truth: Bool, log_odds: Float32, probabilities: Float32) -> None:
        """Book predictions [B, K] of the known tags `rows` [K]."""
        self.images += len(truth)
        self.lrap += len(truth) * label_ranking_average_precision(truth, log_odds)
        self.p_at_5 += len(truth) * precision_at(truth, log_odds, 5)
        lowest = np.stack([truth.sum(axis=0), np.full(len(rows), len(truth)), probabilities.sum(axis=0)], axis=1)
        images, columns = np.nonzero((log_odds > LOWEST) | truth)  # the rest, nearly all, is of the lowest bin
        bins = np.clip((log_odds[images, columns] - LOWEST) * PER_UNIT + 1, 0, BINS - 1).astype(np.int64)
        booked, tags = self._tags.reshape(-1), rows[columns]
        self.changed.update(tags.tolist())
        chances = probabilities[images, columns].astype(np.float64)
        for plane, weights in ((POSITIVE, truth[images, columns] * 1.0), (ALL, np.ones(len(bins))), (MASS, chances)):
            np.add.at(booked, (tags * 3 + plane) * BINS + bins, weights)
            lowest[:, plane] -= np.bincount(columns, weights, len(rows))
        self._tags[rows, :, 0] += lowest

    def quality(self, rows: Int64, precisions: Float64 | None = None) -> Quality:
        """The running figures over the tags `rows`; NaN before the first judged image.

        Who has the `average_precisions` of all tags already gives them.
        """
        images = self.images or float("nan")
        whole = self._tags[rows].sum(axis=0, keepdims=True)
        per_tag = average_precisions(self._tags[rows]) if precisions is None else precisions[rows]
        macro = float(np.nanmean(per_tag)) if np.isfinite(per_tag).any() else float("nan")
        pairs = max(whole[0, ALL].sum(), 1.0)
        ece = float(np.abs(whole[0, POSITIVE] - whole[0, MASS]).sum() / pairs) if self.images else float("nan")
        micro = float(average_precisions(whole)[0])
        return Quality(self.images, self.lrap / images, self.p_at_5 / images, micro, macro, ece)
