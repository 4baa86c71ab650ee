"""The small network of the ranker: finds what is not linear, given enough pairs.

In: minibatches of pairs from the reservoir. Out: parameters and scores. Every random number is a function of the seed
and the number of the step, so training that was saved and loaded goes on with the same bits.
"""

import math
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim.adamw import adamw  # not the class AdamW: that one imports the compiler, 1.2 s and 140 MB

from models.ranking.linear import ranknet_loss

HIDDEN = 128
DROPOUT = 0.5  # of the hidden numbers; without it the network learns the noise of the first thousand pairs by heart
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 0.1
BETAS = (0.9, 0.999)
EPSILON = 1e-8
MINIBATCH = 128  # pairs

_STATE = tuple(f"{of}_{name}" for of in ("network", "mean", "square") for name in ("hidden", "bias", "output"))


class RankNetwork:
    """`relu(x @ hidden + bias) @ output` with hidden [D, 128], trained by AdamW with dropout.

    One thread at a time. Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization, ICLR 2019 (AdamW).
    """

    def __init__(self, dimension: int, seed: int) -> None:
        self._seed = seed
        self.steps = 0
        generator = torch.Generator().manual_seed(seed)
        self.parameters = [
            torch.randn(dimension, HIDDEN, generator=generator) * math.sqrt(2),  # inputs are unit vectors
            torch.zeros(HIDDEN),
            torch.randn(HIDDEN, generator=generator) / HIDDEN,
        ]
        self._means, self._squares = ([torch.zeros_like(p) for p in self.parameters] for _ in range(2))

    def score(self, vectors: Tensor) -> Tensor:
        """float32 [V, D] -> float32 [V], without dropout."""
        hidden, bias, output = self.parameters
        return torch.relu(vectors @ hidden + bias) @ output

    def step(self, vectors: Tensor, pairs: Tensor, weights: Tensor) -> None:
        """One step of AdamW on a random minibatch.

        Args:
            vectors: float32 [V, D], of unit length.
            pairs: int64 [N, 2], (preferred, over) as rows of `vectors`; N of 1 or more.
            weights: float32 [N].
        """
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + self.steps)
        chosen = torch.randint(len(pairs), (min(MINIBATCH, len(pairs)),), generator=generator)
        rows, flat = torch.unique(pairs[chosen].ravel(), return_inverse=True)  # each picture is scored once
        keep = (torch.rand(HIDDEN, generator=generator) >= DROPOUT).float() / (1 - DROPOUT)
        with torch.enable_grad():
            parameters = [p.detach().requires_grad_() for p in self.parameters]
            hidden, bias, output = parameters
            scores = (torch.relu(vectors[rows] @ hidden + bias) * keep) @ output
            loss = ranknet_loss(scores, flat.view(-1, 2), weights[chosen]) / len(chosen)
        self._descend(list(torch.autograd.grad(loss, parameters)))

    def _descend(self, gradients: list[Tensor]) -> None:
        done = [torch.tensor(float(self.steps)) for _ in self.parameters]
        adamw(
            self.parameters, gradients, self._means, self._squares, [], done,
            foreach=False, amsgrad=False, maximize=False, beta1=BETAS[0], beta2=BETAS[1],
            lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, eps=EPSILON,
        )  # fmt: skip
        self.steps += 1

    def state(self) -> dict[str, NDArray[Any]]:
        """Arrays that `restore` takes."""
        tensors = (*self.parameters, *self._means, *self._squares)
        return {name: tensor.numpy().copy() for name, tensor in zip(_STATE, tensors, strict=True)}

    def restore(self, arrays: dict[str, NDArray[Any]], steps: int) -> None:
        """Take over what `state` gave after that many steps."""
        self.steps = steps
        tensors = [torch.tensor(arrays[name]) for name in _STATE]
        self.parameters, self._means, self._squares = tensors[:3], tensors[3:6], tensors[6:]
