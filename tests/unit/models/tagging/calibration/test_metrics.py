"""Running metrics equal those of all predictions together; histograms hold every prediction once."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from models.evaluate import label_ranking_average_precision, precision_at
from models.tagging.calibration.histograms import ALL, BINS, MASS, POSITIVE, average_precisions
from models.tagging.calibration.log_odds import sigmoid
from models.tagging.calibration.metrics import PrequentialMetrics

TAGS = 6


def predictions(seed: int, images: int) -> tuple[np.ndarray, np.ndarray]:
    """Truth [B, TAGS] and log-odds that fall into few bins, so that ties are those of the histograms."""
    random = np.random.default_rng(seed)
    truth = random.random((images, TAGS)) < 0.25
    raw = np.round(random.normal(-2, 2, (images, TAGS)) + 2 * truth) + 0.25
    return truth, np.clip(raw, -6.5, 3.5).astype(np.float32)


def fed(*batches: tuple[np.ndarray, np.ndarray]) -> PrequentialMetrics:
    metrics = PrequentialMetrics()
    metrics.grow(TAGS)
    for truth, raw in batches:
        metrics.update(np.arange(TAGS), truth, raw, sigmoid(raw))
    return metrics


def test_metrics_of_batches_are_those_of_all_images() -> None:
    batches = [predictions(seed, 50 + seed) for seed in range(4)]
    truth, raw = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    quality = fed(*batches).quality(np.arange(TAGS))
    assert quality.images == len(truth)
    assert quality.lrap == pytest.approx(label_ranking_average_precision(truth, raw))
    assert quality.p_at_5 == pytest.approx(precision_at(truth, raw, 5))
    assert quality.micro_ap == pytest.approx(average_precision_score(truth.ravel(), raw.ravel()))
    by_tag = [average_precision_score(truth[:, tag], raw[:, tag]) for tag in range(TAGS)]
    assert quality.macro_ap == pytest.approx(np.mean(by_tag))


def test_every_prediction_is_counted_once() -> None:
    truth, raw = predictions(1, 80)
    raw[:, 0] = -20.0  # beyond the lowest bin
    metrics = fed((truth, raw))
    histograms = metrics.histograms
    assert (histograms[:, ALL].sum(axis=1) == len(truth)).all()
    assert np.array_equal(histograms[:, POSITIVE].sum(axis=1), truth.sum(axis=0))
    assert np.allclose(histograms[:, MASS].sum(axis=1), sigmoid(raw).sum(axis=0), rtol=1e-5)
    assert histograms[0, ALL, 0] == len(truth)
    assert metrics.changed == {tag for tag in range(TAGS) if tag or truth[:, 0].any()}


def test_a_tag_that_nothing_carries_has_no_average_precision() -> None:
    histograms = np.zeros((1, 3, BINS))
    histograms[0, ALL, 5] = 10
    assert np.isnan(average_precisions(histograms)).all()


def test_a_copied_tag_starts_with_the_figures_of_another_and_a_dropped_one_with_none() -> None:
    metrics = fed(predictions(2, 60))
    metrics.copy(1, TAGS + 2)
    assert np.array_equal(metrics.histograms[TAGS + 2], metrics.histograms[1])
    assert metrics.positives(TAGS + 2) == metrics.positives(1) > 0
    metrics.drop(1)
    assert metrics.positives(1) == 0 and not metrics.histograms[1].any()
    assert metrics.positives(99) == 0
