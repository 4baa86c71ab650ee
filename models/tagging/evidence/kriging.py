"""Evidence from the nearest labelled images, by kriging: a Gaussian process with a fixed kernel, solved around a query.

For a query q and its k nearest labelled images L, `w = (K_LL + Λ)⁻¹ k_Lq` with `K = exp(g (cos - 1))`; the evidence
for a tag is `prior + Σ w_i (y_i - prior)`. Near copies share their weight, where a plain vote counts them twice. Λ is
diagonal: the further down in the order of likeness an image stands, the less it is believed, so that it hardly matters
where the neighbourhood ends (locally weighted regression).

Sources: Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), section 2.2 and 8.3; Cleveland and
Devlin, Locally Weighted Regression (1988), doi:10.1080/01621459.1988.10478639.
"""

from __future__ import annotations

import numpy as np

from models.tagging.arrays import Float32

BANDWIDTH = 0.5  # g; 2 costs 0.007 of average precision on OpenMoji, less gains nothing
NOISE = 0.3  # λ of the image most alike; it goes with g
DOUBT = 2.0  # λ of the k-th is exp(DOUBT) times that; 0 costs 0.003
CG_STEPS = 12  # to 3e-4 of the largest weight: the spectrum is one large eigenvalue and a short tail above the noise
_TINY = np.float32(1e-30)


def kriging_weights(
    neighbours: Float32, queries: Float32, *, bandwidth: float = BANDWIDTH, noise: float = NOISE, doubt: float = DOUBT
) -> Float32:
    """Weights [B, k] of the neighbours [B, k, D] of queries [B, D], compared by cosine: what `x @ metric` is of both.

    Conjugate gradients, scaled by the diagonal, on all systems at once: they are well conditioned, and LAPACK's threads
    get into each other's way on systems this small.
    """
    kernel = np.matmul(neighbours, neighbours.transpose(0, 2, 1))
    towards = np.matmul(neighbours, queries[:, :, None])[:, :, 0]
    inverse = 1 / np.sqrt(np.einsum("bii->bi", kernel))
    kernel *= inverse[:, :, None]
    kernel *= inverse[:, None, :]
    towards *= inverse / np.sqrt(np.einsum("bd,bd->b", queries, queries))[:, None]
    doubted = _doubted(towards, noise, doubt)
    for likeness in (kernel, towards):
        likeness -= 1
        likeness *= np.float32(bandwidth)
        np.exp(likeness, out=likeness)
    weights: Float32 = np.zeros_like(towards)
    scale = 1 / (1 + doubted)  # of the diagonal
    residual = towards
    direction = scale * residual
    energy = (residual * direction).sum(axis=1)
    for _ in range(CG_STEPS):
        image = np.matmul(kernel, direction[:, :, None])[:, :, 0]
        image += doubted * direction
        step = energy / np.maximum((direction * image).sum(axis=1), _TINY)
        weights += step[:, None] * direction
        residual -= step[:, None] * image
        scaled = scale * residual
        before, energy = energy, (residual * scaled).sum(axis=1)
        direction *= (energy / np.maximum(before, _TINY))[:, None]
        direction += scaled
    return weights


def _doubted(likeness: Float32, noise: float, doubt: float) -> Float32:
    """Noise [B, k] of neighbours with this likeness [B, k] to their query, growing with their rank."""
    k = likeness.shape[1]
    by_rank = (noise * np.exp(doubt * np.arange(k) / max(k, 1))).astype(np.float32)
    result = np.empty_like(likeness)
    np.put_along_axis(result, np.argsort(-likeness, axis=1, kind="stable"), by_rank[None], axis=1)
    return result
