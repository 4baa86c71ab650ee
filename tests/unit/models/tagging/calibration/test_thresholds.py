"""Thresholds maximise F1 of what was predicted; rare tags lean on the average tag."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from models.tagging.calibration.histograms import ALL, BINS, LOWEST, PER_UNIT, POSITIVE, add_predictions
from models.tagging.calibration.log_odds import sigmoid
from models.tagging.calibration.thresholds import average_threshold, f1_thresholds

EDGES = float(LOWEST) + np.arange(BINS - 1) / float(PER_UNIT)  # of the bins but for the lowest


def predicted(seed: int, images: int, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Truth and log-odds [images, 1] of one tag, in the middle of bins, so that a threshold splits them exactly."""
    random = np.random.default_rng(seed)
    truth = random.random((images, 1)) < 0.3
    raw = np.clip(random.normal(shift, 1.5, (images, 1)) + 2.0 * truth, -6.9, 3.9)
    return truth, ((np.floor(raw * 2) + 0.5) / 2).astype(np.float32)


def counted(truth: np.ndarray, raw: np.ndarray) -> np.ndarray:
    histograms = np.zeros((truth.shape[1], 3, BINS))
    add_predictions(histograms, np.arange(truth.shape[1]), truth, raw, sigmoid(raw))
    return histograms


@pytest.mark.parametrize("shift", [-3.0, -1.0, 0.5])
def test_the_threshold_has_the_best_f1_of_all(shift: float) -> None:
    truth, raw = predicted(1, 4_000, shift)
    (threshold,) = f1_thresholds(counted(truth, raw))
    at = {edge: f1_score(truth, raw >= edge) for edge in EDGES}
    best = max(at, key=lambda edge: at[edge])
    assert threshold == pytest.approx(1 / (1 + np.exp(-best)), abs=1e-6)
    assert f1_score(truth, sigmoid(raw) >= threshold) == max(at.values())


def test_a_tag_without_predictions_has_the_threshold_of_the_average_tag() -> None:
    histograms = np.concatenate([counted(*predicted(seed, 2_000, -1.0)) for seed in range(5)])
    empty = np.concatenate([histograms, np.zeros((1, 3, BINS))])
    assert f1_thresholds(empty)[-1] == average_threshold(histograms)[0]
    assert average_threshold(histograms)[0] == f1_thresholds(histograms.sum(axis=0, keepdims=True))[0]


def test_few_predictions_move_a_threshold_less_than_many() -> None:
    common = np.concatenate([counted(*predicted(seed, 2_000, -1.0)) for seed in range(5)])
    odd = np.zeros((1, 3, BINS))
    odd[0, POSITIVE, -1], odd[0, ALL, -1], odd[0, ALL, -2] = 1, 1, 3  # one true pair, three false ones a bin below
    few, many = (f1_thresholds(np.concatenate([common, odd * times]))[-1] for times in (1, 1000))
    average = average_threshold(common)[0]
    assert many > 0.9
    assert abs(few - average) < abs(many - average)
