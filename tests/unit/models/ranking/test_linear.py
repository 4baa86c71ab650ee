"""RankNet's loss and the linear fit, against arithmetic written out and another optimiser."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from models.ranking.linear import fit_linear, ranknet_loss


def test_loss_equals_arithmetic_written_out() -> None:
    scores = torch.tensor([2.0, 0.5, -1.0])
    pairs = torch.tensor([[0, 1], [2, 0], [1, 1]])
    weights = torch.tensor([1.0, 2.0, 0.5])
    # margins 1.5, -3, 0: ln(1 + e^-1.5) + 2 ln(1 + e^3) + ln(2) / 2
    expected = 0.2014132779827524 + 2 * 3.048587351573742 + 0.34657359027997264
    assert float(ranknet_loss(scores, pairs, weights)) == pytest.approx(expected, rel=1e-6)


def test_loss_gradient_is_minus_weight_times_sigmoid_of_the_wrong_way() -> None:
    scores = torch.tensor([0.3, -0.2], requires_grad=True)
    ranknet_loss(scores, torch.tensor([[0, 1]]), torch.tensor([2.0])).backward()
    doubt = 1 / (1 + math.exp(0.5))
    assert scores.grad is not None
    assert scores.grad.tolist() == pytest.approx([-2 * doubt, 2 * doubt], rel=1e-6)


def test_linear_fit_reaches_the_optimum_that_another_method_finds() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((60, 12))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs, weights = rng.integers(0, 60, (200, 2)), rng.uniform(0.5, 2, 200)
    differences = vectors[pairs[:, 0]] - vectors[pairs[:, 1]]

    def loss(w: np.ndarray) -> float:
        return float(np.sum(weights * np.logaddexp(0, -differences @ w)) + 0.5 * w @ w)

    best = minimize(loss, np.zeros(12), method="BFGS", options={"gtol": 1e-8}).x
    given = (torch.tensor(vectors).float(), torch.tensor(pairs), torch.tensor(weights).float())
    fitted = fit_linear(fit_linear(torch.zeros(12), *given), *given)
    assert np.abs(fitted.numpy() - best).max() < 2e-3
    assert loss(fitted.numpy().astype(float)) <= loss(best) + 1e-4
