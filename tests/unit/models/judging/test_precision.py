"""Precision by shared tag, against arithmetic written out."""

import numpy as np
import pytest

from models.judging.precision import neighbours, precision_by_tag, rank_me

VECTORS = np.float32([[1, 0], [0.9, 0.1], [0, 1], [-1, 0.2], [3, 0.1]])
TAGS = [("cat", "pet"), ("cat",), ("dog", "pet"), ("sun",), ("sun", "cat")]


@pytest.mark.parametrize(("distance", "nearest_of_first"), [
    ("l2", [1, 2]),  # 0.02, 2, 4.04, 4.01
    ("l1", [1, 2]),  # 0.2, 2, 2.2, 2.1; equal ones by row
    ("cosine", [4, 1]),  # 0.9994, 0.9939
])  # fmt: skip
def test_neighbours_by_each_distance(distance, nearest_of_first):
    assert neighbours(VECTORS, 2, distance)[0].tolist() == nearest_of_first


def test_bits_are_signs_around_the_mean():
    shifted = np.float32([[10, 10], [10.1, 10.2], [20, 20], [20, 10]])  # means 15.025, 12.55
    assert neighbours(shifted, 1, "hamming")[:, 0].tolist() == [1, 0, 3, 0]


def test_precision_is_averaged_by_tag():
    nearest = np.array([[1, 2], [0, 3], [0, 4], [1, 4], [3, 2]])
    shares = [1.0, 0.5, 0.5, 0.5, 0.5]  # 0: cat and pet; 1: cat; 2: pet; 3: sun of 4; 4: sun of 3
    cat, pet, sun = np.mean([shares[0], shares[1], shares[4]]), np.mean([shares[0], shares[2]]), 0.5
    assert precision_by_tag(nearest, TAGS) == pytest.approx(np.mean([cat, pet, sun]))  # dog is on one picture alone
    assert np.isnan(precision_by_tag(nearest, [(str(n),) for n in range(5)]))


def test_rank_me_counts_directions():
    assert rank_me(np.eye(8, dtype=np.float32)) == pytest.approx(8, rel=1e-3)
    assert rank_me(np.ones((8, 5), np.float32)) == pytest.approx(1, rel=1e-3)
