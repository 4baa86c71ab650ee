"""The float work that learning depends on: predict a sample of images as if they had never been seen, then learn.

In: ids of sampled images, where the schedule says so (schedule.py). Out: running metrics, drift and calibrators, and
the metric and co-occurrence that later evidence is made with. All of it depends on the log alone.

Source: Gama, Sebastião and Rodrigues, On Evaluating Stream Learning Algorithms (2013), section 3.1.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from models.background import BackgroundThread
from models.tagging.arrays import Float32
from models.tagging.calibration.calibrators import Calibrators
from models.tagging.calibration.drift import Drift
from models.tagging.calibration.left_out import Evidence, LeftOutEvidence
from models.tagging.calibration.log_odds import features_of, log_odds, sigmoid
from models.tagging.calibration.metrics import PrequentialMetrics
from models.tagging.calibration.schedule import next_fit
from models.tagging.evidence.co_occurrence import CoOccurrence
from models.tagging.evidence.metric import fit_metric, no_metric
from models.tagging.evidence.ridge import RidgeSettings
from models.tagging.memory.sufficient_statistics import SufficientStatistics

NEGATIVES = 2.0  # negatives shown to the calibrators for each expected positive, drawn where the prediction is high


@dataclass(eq=False)
class PrequentialEvaluator:
    """Evaluates samples and lets the calibrators learn from them; used from the learner's thread only.

    Attributes:
        statistics: what is known.
        calibrators: what learns from the samples.
        metrics: how well they were predicted.
        ridge: how evidence regresses.
        neighbours: labelled images that give evidence.
        drift: of each tag.
        co_occurrence: which tags go together.
        metric: [D, D], what kriging compares images by.
        fitted_at: records learned when these two were fitted.
    """

    statistics: SufficientStatistics
    calibrators: Calibrators
    metrics: PrequentialMetrics
    ridge: RidgeSettings
    neighbours: int
    drift: Drift = field(default_factory=Drift)
    co_occurrence: CoOccurrence = field(default_factory=CoOccurrence.none)
    fitted_at: int = 0

    def __post_init__(self) -> None:
        self.metric = no_metric(self.statistics.dimension)
        self._background = BackgroundThread("tag-evaluation")
        self._evidence = LeftOutEvidence(self.statistics, self._background, self.ridge, self.neighbours)

    def evaluate(self, image_ids: Sequence[str], learned: int) -> None:
        """Predict a sample, count how well, and let the calibrators learn it.

        Args:
            image_ids: the sample.
            learned: records learned so far, from which the drawn negatives follow.
        """
        evidence = self._evidence.of(image_ids, self.metric, self.co_occurrence)
        if evidence is None:
            return
        tags = len(self.statistics.sums.counts)
        table = self.calibrators.array(tags)[evidence.rows].astype(np.float32)
        raw = log_odds(table, evidence.priors, evidence.ridge.copy(), evidence.kriging)
        probabilities = sigmoid(raw)
        self.metrics.grow(tags)
        self.metrics.update(evidence.rows, evidence.truth, raw, probabilities)
        self._learn(evidence, probabilities, learned)

    def _learn(self, evidence: Evidence, probabilities: Float32, learned: int) -> None:
        drawn_with = np.minimum(NEGATIVES * probabilities, 1.0)
        drawn = np.random.default_rng([20, learned]).random(probabilities.shape, np.float32) < drawn_with
        for image, column in zip(*np.nonzero(evidence.truth | drawn), strict=True):
            truth = bool(evidence.truth[image, column])
            features = features_of(
                float(evidence.ridge[image, column]),
                float(evidence.kriging[image, column]),
                float(evidence.priors[column]),
            )
            row = int(evidence.rows[column])
            self.drift.update(row, abs(truth - float(probabilities[image, column])), learned)
            weight = 1.0 if truth else 1.0 / float(drawn_with[image, column])
            self.calibrators.learn(row, features, truth, weight)

    def refit(self, learned: int) -> None:
        """Fit metric and co-occurrence anew when enough was learned since; for what comes after."""
        if learned >= next_fit(self.fitted_at):
            self.fit(learned)

    def fit(self, learned: int) -> None:
        """Fit metric and co-occurrence to what is known now, after `learned` records."""
        sums = self.statistics.sums
        if sums.images:
            metric = self._background.submit(fit_metric, sums, self.ridge.backend)
            self.co_occurrence = CoOccurrence.of(self.statistics.exemplars.tags(), sums.rows)
            self.metric, self.fitted_at = metric.result(), learned

    def drop(self, rows: Sequence[int]) -> None:
        """These rows will belong to other tags."""
        self.co_occurrence = self.co_occurrence.without(rows)
        for row in rows:
            self.forget(row)

    def forget(self, row: int) -> None:
        """Forget what was learned of a tag here."""
        for of_tags in (self.calibrators, self.metrics, self.drift):
            of_tags.drop(row)

    def inherit(self, rows: Sequence[int], target: int) -> None:
        """Let a new tag start with what was learned of the most used of some tags; its loss is watched anew."""
        source = max(rows, key=lambda row: (self.metrics.positives(row), -row))
        self.calibrators.copy(source, target)
        self.metrics.copy(source, target)

    def close(self) -> None:
        """End the background thread."""
        self._background.close()
