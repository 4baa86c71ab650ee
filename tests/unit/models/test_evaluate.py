"""The definitions equal scikit-learn's on random inputs, ties included."""

import numpy as np
import pytest
from sklearn import metrics

from models import evaluate


def _random(seed: int, ties: bool) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = random.random((40, 12)) < 0.25
    truth[0] = False
    truth[1] = True
    scores = random.random((40, 12))
    return truth, np.round(scores, 1) if ties else scores


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_equals_scikit_learn(seed: int, ties: bool) -> None:
    truth, scores = _random(seed, ties)
    assert evaluate.label_ranking_average_precision(truth, scores) == pytest.approx(
        metrics.label_ranking_average_precision_score(truth, scores)
    )
    assert evaluate.macro_average_precision(truth, scores) == pytest.approx(
        metrics.average_precision_score(truth, scores, average="macro")
    )


def test_pair_accuracy_equals_the_area_under_the_roc_curve_over_all_pairs() -> None:
    random = np.random.default_rng(3)
    good, bad = np.round(random.random(30) + 0.2, 1), np.round(random.random(50), 1)
    preferred, over = np.repeat(good, 50), np.tile(bad, 30)
    area = metrics.roc_auc_score([1] * 30 + [0] * 50, np.concatenate([good, bad]))
    assert evaluate.pair_accuracy(preferred, over) == pytest.approx(area)


def test_precision_at_five_by_hand() -> None:
    truth = np.array([[True, False, True, False, False, True]])
    scores = np.array([[0.9, 0.8, 0.7, 0.6, 0.5, 0.1]])
    assert evaluate.precision_at(truth, scores, 5) == pytest.approx(2 / 5)
    assert evaluate.precision_at(truth, scores, 10) == pytest.approx(3 / 6)


def test_precision_of_equal_scores_is_the_mean_over_their_orders() -> None:
    truth = np.array([[True, True, False, False, False]])
    scores = np.array([[0.9, 0.5, 0.5, 0.5, 0.1]])  # the true one of three equal ones is second in a third
    assert evaluate.precision_at(truth, scores, 2) == pytest.approx((1 + 1 / 3) / 2)
    assert evaluate.precision_at(truth, np.zeros((1, 5)), 1) == pytest.approx(2 / 5)


def test_calibration_error_by_hand() -> None:
    probabilities = np.array([[0.1, 0.1, 0.9, 1.0]])
    truth = np.array([[False, True, True, True]])
    assert evaluate.expected_calibration_error(truth, probabilities, bins=2) == pytest.approx((0.8 + 0.1) / 4)


def test_nothing_to_measure_is_not_a_number() -> None:
    nothing = np.zeros((3, 2), np.bool_)
    assert np.isnan(evaluate.macro_average_precision(nothing, np.ones((3, 2))))
    assert np.isnan(evaluate.average_precision(nothing[:0, 0], np.ones(0)))
    assert np.isnan(evaluate.pair_accuracy(np.ones(0), np.ones(0)))


@pytest.mark.parametrize("k", [1, 7, 100])
def test_ndcg_equals_scikit_learns(k: int) -> None:
    random = np.random.default_rng(k)
    gains, scores = random.integers(0, 5, 40).astype(float), random.random(40)
    assert evaluate.ndcg_at(gains, scores, k) == pytest.approx(metrics.ndcg_score([gains], [scores], k=k))


def test_ndcg_without_gains_is_nothing() -> None:
    assert np.isnan(evaluate.ndcg_at(np.zeros(4), np.arange(4.0), 100))
