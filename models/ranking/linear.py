"""The linear part of the ranker: RankNet's loss with an L2 penalty, at its one optimum.

In: vectors [V, D], pairs as indices, weights. Out: w [D]. Nothing fails: the problem is convex.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize  # type: ignore[import-untyped]
from torch import Tensor
from torch.nn import functional as F

PENALTY = 1.0  # for unit vectors; 0.3 to 3 differ by a point of pair accuracy, from 100 pairs to 3,000
LOSS_TOLERANCE = 1e-6  # relative, of one step of L-BFGS; about what float32 can tell apart
MOST_STEPS = 50  # of L-BFGS; from the last block's optimum it takes about ten


def ranknet_loss(scores: Tensor, pairs: Tensor, weights: Tensor) -> Tensor:
    """Sum over pairs of `weight * softplus(-(s_preferred - s_over))`.

    Args:
        scores: float [V], each picture once.
        pairs: int64 [N, 2], (preferred, over) as indices into `scores`.
        weights: float [N].

    Source: Burges et al., Learning to Rank using Gradient Descent, ICML 2005, equation 3 with target probability 1.
    """
    margins = scores.index_select(0, pairs[:, 0]) - scores.index_select(0, pairs[:, 1])
    return (weights * F.softplus(-margins)).sum()


def fit_linear(w: Tensor, vectors: Tensor, pairs: Tensor, weights: Tensor, *, penalty: float = PENALTY) -> Tensor:
    """w float32 [D] that minimises `ranknet_loss(vectors @ w) + penalty / 2 |w|^2`.

    Args:
        w: float32 [D], where the search begins; the last optimum saves most steps.
        vectors: float32 [V, D], of unit length.
        pairs: int64 [N, 2], (preferred, over) as rows of `vectors`.
        weights: float32 [N].
        penalty: of the squared length of w.

    Source: Liu and Nocedal, On the limited memory BFGS method, Mathematical Programming 45, 1989.
    """

    def loss_and_gradient(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        guess = torch.tensor(at, dtype=vectors.dtype, requires_grad=True)
        with torch.enable_grad():
            loss = ranknet_loss(vectors @ guess, pairs, weights) + penalty / 2 * guess.dot(guess)
        (gradient,) = torch.autograd.grad(loss, guess)
        return loss.item(), gradient.double().numpy()

    options = {"ftol": LOSS_TOLERANCE, "maxiter": MOST_STEPS}
    found = minimize(loss_and_gradient, w.double().numpy(), jac=True, method="L-BFGS-B", options=options)
    return torch.from_numpy(found.x).to(w.dtype)
