"""What signs keep of vectors, on vectors of which it can be said beforehand."""

import numpy as np
import pytest

from benchmarks.bits import binary_figures, share_a_tag


def test_vectors_that_are_their_signs_lose_nothing():
    corners = np.where(np.random.default_rng(0).standard_normal((300, 64)) >= 0, 1.0, -1.0).astype(np.float32) / 8
    figures = binary_figures(corners, np.random.default_rng(1).random((300, 300)) < 0.1)
    assert figures == {
        "recall_at_10_rescored": 1.0, "hit_at_10_bits_over_float": 1.0, "bytes_per_vector": 8,
        "float_bytes_per_vector": 256,
    }  # fmt: skip


def test_vectors_whose_signs_say_nothing_lose_what_they_must():
    """All in one quadrant: bits are the same for all, so the first 160 come, of 400 in no order."""
    vectors = np.abs(np.random.default_rng(2).standard_normal((400, 64))).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    figures = binary_figures(vectors, np.ones((400, 400), bool))
    assert figures["recall_at_10_rescored"] == pytest.approx(160 / 399, abs=0.05)
    assert figures["hit_at_10_bits_over_float"] == 1.0  # everything answers everything


def test_pictures_answer_each_other_that_share_a_tag():
    shared = share_a_tag([("cat", "red"), ("dog",), ("red", "dog"), ()])
    assert shared.tolist() == [
        [True, False, True, False], [False, True, True, False], [True, True, True, False], [False] * 4
    ]  # fmt: skip
