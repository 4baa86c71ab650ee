"""The reservoir of pairs: which pairs stay, and where."""

import numpy as np

from models.ranking.reservoir import PairReservoir, position_key


def filled(capacity: int, count: int, restore_at: int | None = None) -> PairReservoir:
    rng = np.random.default_rng(4)
    pictures = rng.standard_normal((30, 5)).astype(np.float32)
    reservoir = PairReservoir(5, seed=9, capacity=capacity)
    for position in range(count):
        if position == restore_at:
            again = PairReservoir(5, seed=9, capacity=capacity)
            again.restore(reservoir.state())
            reservoir = again
        one, other = rng.choice(30, 2, replace=False)
        reservoir.add(pictures[one], pictures[other], float(position), position)
    return reservoir


def test_reservoir_keeps_the_pairs_with_the_largest_keys_and_each_vector_once() -> None:
    reservoir = filled(40, 500)
    best = sorted(range(500), key=lambda position: position_key(9, position))[-40:]
    assert sorted(reservoir.weights[: len(reservoir)].tolist()) == sorted(map(float, best))
    named = set(reservoir.pairs[: len(reservoir)].ravel().tolist())
    assert len({reservoir.vectors[row].numpy().tobytes() for row in named}) == len(named) <= 30


def test_reservoir_goes_on_from_its_state_with_the_same_places() -> None:
    whole, parted = filled(40, 500).state(), filled(40, 500, restore_at=313).state()
    assert all(np.array_equal(whole[name], parted[name]) for name in whole)


def test_reservoir_leans_towards_what_is_new() -> None:
    kept = [position_key(1, position, decay=1_000) for position in range(10_000)]
    newest = np.argsort(kept)[-500:]
    assert np.median(newest) > 8_000
