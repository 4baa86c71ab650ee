"""Kriging weights equal the solved system, in NumPy and in torch."""

from typing import Any

import numpy as np
import pytest
import torch

from models.tagging.evidence.kriging import BANDWIDTH, DOUBT, NOISE, kriging_weights


@pytest.mark.parametrize("xp", [np, torch], ids=lambda xp: xp.__name__)
def test_kriging_equals_the_solved_system(xp: Any) -> None:
    random = np.random.default_rng(0)
    near = random.standard_normal((3, 50, 32)) + 2 * random.standard_normal((3, 1, 32))
    point = near[:, 0] + 0.1 * random.standard_normal((3, 32))
    given = (xp.asarray(array.astype(np.float32)) for array in (near, point))
    weights = np.asarray(kriging_weights(*given, xp))
    for row in range(3):
        both = near[row] / np.linalg.norm(near[row], axis=1, keepdims=True)
        cosines = both @ (point[row] / np.linalg.norm(point[row]))
        rank = np.argsort(np.argsort(-cosines))
        kernel = np.exp(BANDWIDTH * (both @ both.T - 1)) + np.diag(NOISE * np.exp(DOUBT * rank / 50))
        assert np.allclose(weights[row], np.linalg.solve(kernel, np.exp(BANDWIDTH * (cosines - 1))), atol=1e-4)


def test_it_overwrites_nothing_it_is_given() -> None:
    random = np.random.default_rng(1)
    near, point = (random.standard_normal(shape).astype(np.float32) for shape in ((2, 5, 4), (2, 4)))
    before = near.copy(), point.copy()
    kriging_weights(near, point)
    assert np.array_equal(near, before[0]) and np.array_equal(point, before[1])


@pytest.mark.parametrize("xp", [np, torch], ids=lambda xp: xp.__name__)
def test_kriging_does_without_neighbours(xp: Any) -> None:
    near, point = xp.asarray(np.empty((2, 0, 8), np.float32)), xp.asarray(np.ones((2, 8), np.float32))
    assert kriging_weights(near, point, xp).shape == (2, 0)
