"""Running metrics of prequential evaluation: every evaluated image is predicted first and learned after.

LRAP and P@5 are means over evaluated images; average precision and calibration error come from histograms of predicted
log-odds (histograms.py). Only tags known before the image count. Definitions: models/evaluate.py.

Source: Dawid, Statistical Theory: The Prequential Approach (1984); Gama, Sebastião and Rodrigues, On Evaluating Stream
Learning Algorithms (2013).
"""

from dataclasses import dataclass, field

import numpy as np

from models.evaluate import label_ranking_average_precision, precision_at
from models.tagging.arrays import Bool, Float32, Float64, Int64
from models.tagging.calibration.histograms import ALL, BINS, MASS, POSITIVE, add_predictions, average_precisions


@dataclass(frozen=True, slots=True)
class Quality:
    """Running metrics over all evaluated images; NaN where there is nothing to tell yet.

    Attributes:
        images: evaluated.
        lrap: label ranking average precision.
        p_at_5: precision at 5.
        micro_ap: average precision of all pairs of image and tag together.
        macro_ap: mean of the average precision of each tag.
        ece: expected calibration error of all pairs together.
    """

    images: int
    lrap: float
    p_at_5: float
    micro_ap: float
    macro_ap: float
    ece: float


NOT_EVALUATED = Quality(0, *[float("nan")] * 5)


@dataclass(eq=False)
class PrequentialMetrics:
    """What was counted of all evaluated images.

    Attributes:
        images: evaluated.
        lrap_sum: over these images.
        p_at_5_sum: over these images.
        histograms: of predicted log-odds [T, 3, BINS].
        changed: rows whose histograms changed beyond the lowest bin since the store last took them. (In the lowest bin
            every evaluated image changes the row of every known tag.)
    """

    images: int = 0
    lrap_sum: float = 0.0
    p_at_5_sum: float = 0.0
    histograms: Float64 = field(default_factory=lambda: np.zeros((0, 3, BINS)))
    changed: set[int] = field(default_factory=set)

    def grow(self, rows: int) -> None:
        """Make room for `rows` tags."""
        if rows > len(self.histograms):
            grown = np.zeros((rows, 3, BINS))
            grown[: len(self.histograms)] = self.histograms
            self.histograms = grown

    def copy(self, source: int, target: int) -> None:
        """Let a tag start with what was counted for another."""
        self.changed.add(target)
        self.grow(max(source, target) + 1)
        self.histograms[target] = self.histograms[source]

    def drop(self, row: int) -> None:
        """Forget what was counted for a tag."""
        self.changed.add(row)
        if row < len(self.histograms):
            self.histograms[row] = 0

    def positives(self, row: int) -> float:
        """Evaluated images that carry a tag."""
        return float(self.histograms[row, POSITIVE].sum()) if row < len(self.histograms) else 0.0

    def update(self, rows: Int64, truth: Bool, log_odds: Float32, probabilities: Float32) -> None:
        """Count predictions [B, K] and truth [B, K] of the known tags `rows` [K], for which `grow` made room."""
        self.images += len(truth)
        self.lrap_sum += len(truth) * label_ranking_average_precision(truth, log_odds)
        self.p_at_5_sum += len(truth) * precision_at(truth, log_odds, 5)
        changed = add_predictions(self.histograms, rows, truth, log_odds, probabilities)
        self.changed.update(changed.tolist())

    def quality(self, rows: Int64, precisions: Float64 | None = None) -> Quality:
        """The running metrics over the tags `rows`.

        Who has the `average_precisions` [T] of all tags already gives them.
        """
        images = self.images or float("nan")
        whole = self.histograms[rows].sum(axis=0, keepdims=True)
        per_tag = average_precisions(self.histograms[rows]) if precisions is None else precisions[rows]
        macro = float(np.nanmean(per_tag)) if np.isfinite(per_tag).any() else float("nan")
        pairs = max(whole[0, ALL].sum(), 1.0)
        ece = float(np.abs(whole[0, POSITIVE] - whole[0, MASS]).sum() / pairs) if self.images else float("nan")
        micro = float(average_precisions(whole)[0])
        return Quality(self.images, self.lrap_sum / images, self.p_at_5_sum / images, micro, macro, ece)
