"""ADWIN over progressive losses: what counts as drift, bounded windows, and state that survives to the bit."""

import numpy as np

from models.tagging.calibration.drift import KEPT, LONGEST, Drift


def losses(mean: float, count: int, seed: int) -> list[float]:
    return np.clip(np.random.default_rng(seed).normal(mean, 0.2, count), 0, 1).tolist()


def fed(*values: float) -> Drift:
    drift = Drift()
    for number, value in enumerate(values):
        drift.update(7, value, number)
    return drift


def test_a_rise_is_drift_and_is_reported_once() -> None:
    drift = fed(*losses(0.2, 300, 1), *losses(0.7, 200, 2))
    (noticed,) = drift.take_noticed()
    assert noticed.row == 7
    assert 300 <= noticed.learned < 400
    assert noticed.loss_after > noticed.loss_before
    assert drift.array(9).tolist() == [0] * 7 + [1, 0]
    assert drift.take_noticed() == []


def test_a_steady_or_falling_loss_is_none() -> None:
    assert fed(*losses(0.4, 2_000, 3)).take_noticed() == []
    assert fed(*losses(0.7, 300, 4), *losses(0.2, 300, 5)).take_noticed() == []


def test_windows_are_bounded() -> None:
    dumped = fed(*losses(0.3, 10 * LONGEST, 6)).dump(7)
    assert dumped is not None
    assert KEPT <= len(dumped[1]) // 4 <= LONGEST


def test_state_goes_on_to_the_bit() -> None:
    first, second = losses(0.2, LONGEST + 100, 7), losses(0.8, 100, 8)
    whole, half = fed(*first, *second), fed(*first)
    half.take_noticed()
    again, dumped = Drift(), half.dump(7)
    assert dumped is not None
    again.load(7, *dumped)
    for number, value in enumerate(second):
        again.update(7, value, len(first) + number)
    assert again.take_noticed() == whole.take_noticed()
    assert again.dump(7) == whole.dump(7)
    again.drop(7)
    assert again.dump(7) is None
