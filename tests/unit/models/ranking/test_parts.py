"""Loss, linear fit, network, reservoir and blend, each against what it must equal."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from models.ranking.blend import PROOF_PAIRS, Blend
from models.ranking.linear import fit_linear, ranknet_loss
from models.ranking.network import RankNetwork
from models.ranking.reservoir import PairReservoir, position_key


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


def test_linear_fit_reaches_the_optimum_that_scipy_finds() -> None:
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


def test_network_step_equals_torch_adamw_on_the_same_minibatch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.ranking.network.DROPOUT", 0.0)
    generator = torch.Generator().manual_seed(1)
    vectors = torch.randn(10, 6, generator=generator)
    pairs, weights = torch.tensor([[0, 1]]).expand(4, 2), torch.ones(4)  # any minibatch of these is the same
    ours = RankNetwork(6, seed=3)
    theirs = [p.clone().requires_grad_() for p in ours.parameters]
    adamw = torch.optim.AdamW(theirs, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1)
    for _ in range(3):
        ours.step(vectors, pairs, weights)
        adamw.zero_grad()
        scores = torch.relu(vectors @ theirs[0] + theirs[1]) @ theirs[2]
        (ranknet_loss(scores, pairs, weights) / 4).backward()
        adamw.step()
    for one, other in zip(ours.parameters, theirs, strict=True):
        assert torch.allclose(one, other.detach(), atol=1e-6)


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


def test_blend_gives_the_network_nothing_before_it_has_proved_itself() -> None:
    rng = np.random.default_rng(0)
    blend = Blend()
    weak, strong = rng.normal(0.2, 1, PROOF_PAIRS), rng.normal(2, 1, PROOF_PAIRS)
    ones = np.ones(PROOF_PAIRS)
    blend.observe(weak[1:], strong[1:], ones[1:])
    assert blend.share == 0
    blend.observe(weak[:1], strong[:1], ones[:1])
    assert blend.share == 1
    for _ in range(20):
        blend.observe(strong, weak, ones)
    assert blend.share == 0


def test_accuracy_counts_ties_half() -> None:
    blend = Blend()
    assert blend.accuracy == 0.5
    margins = np.array([1.0, 0.0, -1.0, 2.0])
    blend.observe(margins, margins, np.ones(4))
    assert blend.accuracy == pytest.approx(2.5 / 4)
