"""Evidence from the nearest labelled images, by kriging: a Gaussian process with a fixed kernel, solved around a query.

For a query q and its k nearest labelled images L, `w = (K_LL + Λ)⁻¹ k_Lq` with `K = exp(g (cos - 1))`; the evidence
for a tag is `prior + Σ w_i (y_i - prior)`. Near copies share their weight, where a plain vote counts them twice. Λ is
diagonal: the further down in the order of similarity an image stands, the less it is believed, so that it hardly
matters where the neighbourhood ends (locally weighted regression).

In: vectors that were multiplied by the metric. Out: one weight for each neighbour. NumPy or torch, by the namespace.

Sources: Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), equation 2.25 and section 8.3;
Cleveland and Devlin, Locally Weighted Regression (1988), doi:10.1080/01621459.1988.10478639; Golub and Van Loan, Matrix
Computations (4th edition, 2013), section 11.5 (conjugate gradients with a preconditioner).
"""

from typing import Any

import numpy as np

BANDWIDTH = 0.5  # g; 2 costs 0.007 of average precision on OpenMoji, less gains nothing
NOISE = 0.3  # λ of the image most alike; it goes with g
DOUBT = 2.0  # λ of the k-th is exp(DOUBT) times that; 0 costs 0.003
CG_STEPS = 12  # to 3e-4 of the largest weight: the spectrum is one large eigenvalue and a short tail above the noise
_TINY = 1e-30


def kriging_weights(neighbours: Any, queries: Any, xp: Any = np) -> Any:
    """Weights float32 [B, k] of the neighbours [B, k, D] of queries [B, D], compared by cosine.

    Conjugate gradients, scaled by the diagonal, on all systems at once: they are well conditioned, and LAPACK's threads
    get into each other's way on systems this small.

    Args:
        neighbours: float32, `x @ metric` of the labelled images; none of length 0.
        queries: float32, `x @ metric` of the queries; none of length 0.
        xp: the namespace that the arrays belong to: numpy, or torch on any device.
    """
    kernel = neighbours @ neighbours.mT
    towards = (neighbours @ queries[:, :, None])[:, :, 0]
    inverse = 1 / xp.sqrt(xp.einsum("bii->bi", kernel))
    kernel *= inverse[:, :, None]
    kernel *= inverse[:, None, :]
    towards *= inverse / xp.sqrt(xp.einsum("bd,bd->b", queries, queries))[:, None]
    diagonal = _noise(towards, xp)
    for similarity in (kernel, towards):
        similarity -= 1
        similarity *= BANDWIDTH
        xp.exp(similarity, out=similarity)
    return _solved(kernel, diagonal, towards, xp)


def _noise(similarity: Any, xp: Any) -> Any:
    """Λ's diagonal [B, k] for neighbours with this similarity [B, k] to their query: it grows with their rank."""
    k = similarity.shape[1]
    rank = xp.argsort(xp.argsort(-similarity, stable=True))
    found = xp.zeros_like(similarity)
    found += NOISE * xp.exp(DOUBT * rank / max(k, 1))
    return found


def _solved(kernel: Any, diagonal: Any, right: Any, xp: Any) -> Any:
    """`(kernel + diagonal)⁻¹ right` [B, k] after `CG_STEPS`; overwrites `right`. The kernel's diagonal is 1."""
    found = xp.zeros_like(right)
    scale = 1 / (1 + diagonal)
    residual = right
    direction = scale * residual
    energy = (residual * direction).sum(axis=1)
    for _ in range(CG_STEPS):
        image = (kernel @ direction[:, :, None])[:, :, 0]
        image += diagonal * direction
        step = energy / xp.clip((direction * image).sum(axis=1), _TINY, None)
        found += step[:, None] * direction
        residual -= step[:, None] * image
        scaled = scale * residual
        before, energy = energy, (residual * scaled).sum(axis=1)
        direction *= (energy / xp.clip(before, _TINY, None))[:, None]
        direction += scaled
    return found
