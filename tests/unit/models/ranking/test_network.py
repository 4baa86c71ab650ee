"""The small network: AdamW as torch has it, and the same bits after a save."""

import pytest
import torch

from models.ranking.linear import ranknet_loss
from models.ranking.network import BETAS, EPSILON, LEARNING_RATE, WEIGHT_DECAY, RankNetwork


def test_steps_equal_torchs_adamw_on_the_same_minibatch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.ranking.network.DROPOUT", 0.0)
    vectors = torch.randn(10, 6, generator=torch.Generator().manual_seed(1))
    pairs, weights = torch.tensor([[0, 1]]).expand(4, 2), torch.ones(4)  # any minibatch of these is the same
    ours = RankNetwork(6, seed=3)
    theirs = [p.clone().requires_grad_() for p in ours.parameters]
    adamw = torch.optim.AdamW(theirs, LEARNING_RATE, BETAS, EPSILON, WEIGHT_DECAY, foreach=False)
    for _ in range(3):
        ours.step(vectors, pairs, weights)
        adamw.zero_grad()
        scores = torch.relu(vectors[:2] @ theirs[0] + theirs[1]) @ theirs[2]
        torch.autograd.backward(ranknet_loss(scores, pairs, weights) / 4)
        adamw.step()
    assert all(torch.equal(one, other.detach()) for one, other in zip(ours.parameters, theirs, strict=True))


def test_training_that_was_saved_goes_on_with_the_same_bits() -> None:
    generator = torch.Generator().manual_seed(2)
    vectors, pairs = torch.randn(40, 8, generator=generator), torch.randint(40, (300, 2), generator=generator)
    weights = torch.rand(300, generator=generator)
    whole, parted = RankNetwork(8, seed=5), RankNetwork(8, seed=5)
    for number in range(12):
        whole.step(vectors, pairs, weights)
        if number % 5 == 0:
            again = RankNetwork(8, seed=5)
            again.restore(parted.state(), parted.steps)
            parted = again
        parted.step(vectors, pairs, weights)
    assert parted.steps == whole.steps == 12
    assert all((whole.state()[name] == array).all() for name, array in parted.state().items())
