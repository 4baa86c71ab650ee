"""The metric of kriging equals its definition."""

import numpy as np

from models.tagging.evidence.metric import fit_metric, no_metric
from models.tagging.evidence.ridge import invert_gram, solve_rows
from tests.tagged_images import DIMENSION, learner


def test_the_metric_equals_its_definition() -> None:
    sums = learner().statistics.sums
    factor = invert_gram(sums.gram, sums.total, sums.images, 0.5)
    weights = solve_rows(factor, sums.tags, sums.counts).astype(np.float64)
    strengths, directions = np.linalg.eigh((weights / np.sqrt(sums.counts)[:, None]).T @ weights)
    tags = (directions * strengths.clip(0) ** 0.6) @ directions.T
    gram = sums.gram / 32767.0**2
    spread = np.linalg.inv(gram + 0.5 * np.eye(DIMENSION))
    expected = np.eye(DIMENSION) / 2 + spread / np.trace(spread @ gram) * sums.images / 2
    expected += tags / np.trace(tags) * 0.65**2 * DIMENSION
    metric = fit_metric(sums).astype(np.float64)
    assert np.allclose(metric @ metric.T, expected, rtol=2e-3, atol=2e-3)
    assert np.array_equal(no_metric(3), np.eye(3))
