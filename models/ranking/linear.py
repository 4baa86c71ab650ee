"""The linear part: RankNet's loss with an L2 penalty, kept close to its one optimum.

Comes in: vectors [V, D], pairs as indices, weights. Goes out: w [D]. Nothing fails: the problem is convex.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

PENALTY = 1.0  # for unit vectors; 0.3 to 3 differ by a point, from 100 pairs to 3,000
NEWTON_STEPS = 3  # from the last block's optimum; ten more change the scores' order by nothing measurable
CG_STEPS = 12  # per Newton step
CG_TOLERANCE = 1e-3  # of the gradient's length


def ranknet_loss(scores: Tensor, pairs: Tensor, weights: Tensor) -> Tensor:
    """Sum over pairs of weight * softplus(-(s_preferred - s_over)).

    Args:
        scores: float [V], each picture once.
        pairs: int64 [N, 2], (preferred, over) as indices into `scores`.
        weights: float [N].

    Source: Burges et al., Learning to Rank using Gradient Descent, ICML 2005, equation 3 with target probability 1.
    """
    margins = scores[pairs[:, 0]] - scores[pairs[:, 1]]
    return (weights * F.softplus(-margins)).sum()


def fit_linear(w: Tensor, vectors: Tensor, pairs: Tensor, weights: Tensor, *, penalty: float = PENALTY) -> Tensor:
    """w [D] that minimises ranknet_loss(vectors @ w) + penalty / 2 |w|^2, from a good guess.

    Newton's method; its systems are solved by conjugate gradients, so the cost is a few dozen products with `vectors`.
    A step that does not lower the loss is halved.
    """
    preferred, over = pairs[:, 0], pairs[:, 1]

    def backward(coefficients: Tensor) -> Tensor:
        """Gradient of sum_k c_k * margin_k with respect to w, each picture's vector used once."""
        sums = torch.zeros(len(vectors)).index_add_(0, preferred, coefficients).index_add_(0, over, -coefficients)
        return sums @ vectors

    def loss(at: Tensor) -> float:
        return float(ranknet_loss(vectors @ at, pairs, weights) + penalty / 2 * at.dot(at))

    value = loss(w)
    for _ in range(NEWTON_STEPS):
        scores = vectors @ w
        doubt = torch.sigmoid(-(scores[preferred] - scores[over]))
        gradient = penalty * w - backward(weights * doubt)
        curvature = weights * doubt * (1 - doubt)

        def hessian(direction: Tensor, curvature: Tensor = curvature) -> Tensor:
            scores = vectors @ direction
            return penalty * direction + backward(curvature * (scores[preferred] - scores[over]))

        step = _conjugate_gradients(hessian, gradient)
        size = 1.0
        while (lower := loss(w - size * step)) > value and size > 1e-3:
            size /= 2
        if lower >= value:
            break
        w, value = w - size * step, lower
    return w


def _conjugate_gradients(product: Callable[[Tensor], Tensor], target: Tensor) -> Tensor:
    """x with product(x) close to target."""
    x = torch.zeros_like(target)
    residual = target.clone()
    direction = residual.clone()
    squared = float(residual.dot(residual))
    goal = squared * CG_TOLERANCE**2
    for _ in range(CG_STEPS):
        if squared <= goal:
            break
        image = product(direction)
        length = squared / float(direction.dot(image))
        x += length * direction
        residual -= length * image
        following = float(residual.dot(residual))
        direction = residual + following / squared * direction
        squared = following
    return x
