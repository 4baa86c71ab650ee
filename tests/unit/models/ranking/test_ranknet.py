"""The ranker: right from the first hundreds of pairs, and the same bits however the log is cut."""

import json

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from models.errors import CheckpointError, UsageError
from models.ranking.ranknet import FORMAT, Ranker, block_end

Floats = NDArray[np.float32]


def unit(count: int, dimension: int, seed: int) -> Floats:
    vectors = np.random.default_rng(seed).standard_normal((count, dimension))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def linear_taste(pairs: int, dimension: int, seed: int) -> tuple[Floats, Floats, Floats]:
    """Preferred and other vectors of 400 pictures by a hidden direction, one click in ten at random; the direction."""
    rng = np.random.default_rng(seed)
    pictures, hidden = unit(400, dimension, seed), rng.standard_normal(dimension).astype(np.float32)
    one, other = pictures[rng.integers(0, 400, pairs)], pictures[rng.integers(0, 400, pairs)]
    likes_one = np.where(rng.random(pairs) < 0.1, rng.random(pairs) < 0.5, one @ hidden > other @ hidden)
    return np.where(likes_one[:, None], one, other), np.where(likes_one[:, None], other, one), hidden


def accuracy(ranker: Ranker, hidden: Floats, seed: int = 99) -> float:
    one, other = unit(4_000, len(hidden), seed), unit(4_000, len(hidden), seed + 1)
    score = ranker.published().score
    return float(np.mean((score(one) > score(other)) == (one @ hidden > other @ hidden)))


def same(one: Ranker, other: Ranker) -> bool:
    (arrays, document), (others, other_document) = one.state(), other.state()
    return document == other_document and all(np.array_equal(arrays[name], others[name]) for name in arrays)


def test_learns_a_linear_taste_from_noisy_clicks() -> None:
    preferred, over, hidden = linear_taste(3_000, 64, seed=0)
    ranker = Ranker(64)
    assert accuracy(ranker, hidden) < 0.55
    ranker.learn_many(preferred[:300], over[:300])
    assert accuracy(ranker, hidden) > 0.75
    ranker.learn_many(preferred[300:], over[300:])
    assert accuracy(ranker, hidden) > 0.85
    assert ranker.progressive_accuracy > 0.75


def test_the_first_click_counts_at_once() -> None:
    ranker = Ranker(8)
    one, other = unit(2, 8, 1)
    ranker.learn_many(one[None], other[None])
    assert ranker.version == 1
    scores = ranker.published().score(np.stack([one, other]))
    assert scores[0] > scores[1]


def test_any_cut_of_the_log_and_any_save_gives_the_same_bits() -> None:
    preferred, over, _ = linear_taste(1_500, 32, seed=2)
    weight = np.random.default_rng(0).uniform(0.1, 2, 1_500).astype(np.float32)
    whole = Ranker(32, seed=5)
    whole.learn_many(preferred, over, weight, 0)

    rng = np.random.default_rng(3)
    parted, position = Ranker(32, seed=5), 0
    while position < 1_500:
        end = min(1_500, position + int(rng.integers(1, 90)))
        parted.learn_many(preferred[position:end], over[position:end], weight[position:end], position)
        position = end
        if rng.random() < 0.5:
            arrays, document = parted.state()
            parted = Ranker.from_state(arrays, json.loads(json.dumps(document)))
    assert whole.version > 40
    assert same(whole, parted)


def test_the_number_of_threads_changes_no_bit() -> None:
    preferred, over, _ = linear_taste(700, 512, seed=6)
    rankers = []
    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        with threadpool_limits(threads, user_api="blas"):
            ranker = Ranker(512, seed=1)
            ranker.learn_many(preferred, over)
        assert torch.get_num_threads() == threads
        rankers.append(ranker)
    torch.set_num_threads(before)
    assert same(*rankers)


def test_pairs_that_come_again_are_learned_once_and_missing_ones_are_noticed() -> None:
    preferred, over, _ = linear_taste(300, 16, seed=4)
    once, twice = Ranker(16), Ranker(16)
    once.learn_many(preferred, over, None, 0)
    twice.learn_many(preferred[:200], over[:200], None, 0)
    twice.learn_many(preferred[100:], over[100:], None, 100)
    assert same(once, twice)
    with pytest.raises(CheckpointError):
        once.learn_many(preferred, over, None, 301)


def test_the_network_gets_a_share_once_it_is_better() -> None:
    rng = np.random.default_rng(8)
    pictures = unit(300, 16, 8)
    taste = np.abs(pictures[:, 0]) * 3  # both ends are liked: no direction says so
    one, other = rng.integers(0, 300, 6_000), rng.integers(0, 300, 6_000)
    preferred, over = np.where(taste[one] > taste[other], (one, other), (other, one))
    ranker = Ranker(16)
    ranker.learn_many(pictures[preferred[:500]], pictures[over[:500]])
    assert ranker.published().blend == 0
    ranker.learn_many(pictures[preferred[500:]], pictures[over[500:]])
    assert ranker.published().blend > 0
    assert ranker.progressive_accuracy > 0.75


def test_blocks_grow_and_tile_the_log() -> None:
    ends = sorted({block_end(position) for position in range(1_024)})
    assert ends[:10] == [1, 2, 3, 4, 5, 6, 7, 8, 12, 16] and ends[-2:] == [960, 1024]
    assert all(block_end(end - 1) == end for end in ends)


def test_wrong_input_and_foreign_states_are_refused() -> None:
    ranker = Ranker(4)
    rows = unit(3, 4, 0)
    with pytest.raises(UsageError):
        ranker.learn_many(rows, rows[:2])
    with pytest.raises(UsageError):
        ranker.learn_many(rows, np.full_like(rows, np.nan))
    with pytest.raises(UsageError):
        ranker.learn_many(rows, rows, np.float32([1, 0, 1]))
    arrays, document = ranker.state()
    with pytest.raises(CheckpointError):
        Ranker.from_state(arrays, {**document, "format": FORMAT - 1})
    with pytest.raises(CheckpointError):
        Ranker.from_state({}, document)
