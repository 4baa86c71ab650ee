"""Evidence from the nearest labelled images, by kriging (a Gaussian process with a fixed kernel, solved locally).

For a query q and its k nearest labelled images L, `w = (K_LL + λI)⁻¹ k_Lq` with `K = exp(g (cos - 1))`; the evidence
for a tag is `prior + Σ w_i (y_i - prior)`. Near copies share their weight, where a plain vote counts them twice.

Source: Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), section 2.2 and 8.3.
"""

from __future__ import annotations

import numpy as np

from models.tagging.arrays import Float32, Int64
from models.tagging.reference import Reference, signs

NEIGHBOURS = 80  # flat from 60 to 100 on OpenMoji
BANDWIDTH = 0.5  # g; 2 costs 0.007 of average precision on OpenMoji, less gains nothing
NOISE = 0.3  # λ of the kriging system; it goes with g: 0.55 costs 0.003
_CANDIDATES = 8  # for each neighbour wanted, when signs choose
_TOGETHER = 64  # queries whose candidates are gathered at once: 15 MB
_GROUP = 32  # columns whose maximum stands for them while the k-th largest is bounded
CG_STEPS = 12  # relative error 1e-5: the spectrum is one large eigenvalue and a short tail above the noise
_TINY = np.float32(1e-30)
_SPARE = 8  # candidates beyond k that the exact inner product may still reorder; float32 errs by 1e-6


def nearest(reference: Reference, queries: Float32, k: int, without: Int64 | None = None) -> Int64:
    """Slots [B, k'] of the rows most alike to each query, best first; k' = min(k, rows left).

    Decided by exact inner products, ties by hash, so that it depends neither on slots nor on the number of threads.

    Args:
        reference: the labelled images.
        queries: integer-valued float32 [B, D].
        k: neighbours wanted.
        without: slots that may not be given.
    """
    likeness = reference.vectors.times(queries)
    left = len(reference)
    if without is not None and without.size:
        likeness[:, without] = -np.inf
        left -= len(without)
    k = min(k, left)
    if k == 0 or not len(queries):
        return np.empty((len(queries), k), np.int64)
    floors = _floor_of_top(likeness, min(k + _SPARE, left))
    every = [np.flatnonzero(values >= floor) for values, floor in zip(likeness, floors, strict=True)]
    ends = np.cumsum([0, *map(len, every)])
    found = np.empty((len(queries), k), np.int64)
    for start in range(0, len(queries), _TOGETHER):
        rows = range(start, min(start + _TOGETHER, len(queries)))
        together = np.concatenate([every[row] for row in rows])
        vectors, hashes = reference.vectors.take(together), reference.hashes.take(together)
        for row in rows:
            here = slice(ends[row] - ends[start], ends[row + 1] - ends[start])
            exact = vectors[here].astype(np.float64) @ queries[row].astype(np.float64)
            found[row] = every[row][np.lexsort((hashes[here], -exact))[:k]]
    return found


def nearest_by_bits(reference: Reference, queries: Float32, k: int) -> Int64:
    """Like `nearest`, for one query or a few: signs choose the candidates, exact inner products order them.

    A matrix of 50,000 x 512 floats takes 8 ms to read; its signs are 3 MB. Embeddings end with a rotation that makes
    signs a good code: on OpenMoji the forty nearest by 512 signs hold 0.97 of the ten nearest; here it is 8 for 1.
    """
    k = min(k, len(reference))
    wanted = min(_CANDIDATES * k, len(reference))
    found = np.empty((len(queries), k), np.int64)
    codes = signs(queries)
    for row, code in enumerate(codes):
        apart = np.bitwise_count(reference.bits ^ code).sum(axis=1, dtype=np.int16)
        candidates = np.argpartition(apart, wanted - 1)[:wanted] if wanted < len(apart) else np.arange(len(apart))
        exact = reference.vectors.take(candidates).astype(np.float64) @ queries[row].astype(np.float64)
        found[row] = candidates[np.lexsort((reference.hashes.take(candidates), -exact))[:k]]
    return found


def _floor_of_top(values: Float32, k: int) -> Float32:
    """A bound that at least k numbers of each row [B, N] reach, close to the k-th largest."""
    width = values.shape[1]
    groups = width // _GROUP
    if groups < 2 * k:
        floor: Float32 = np.partition(values, width - k, axis=1)[:, width - k]
        return floor
    best = values[:, : groups * _GROUP].reshape(len(values), _GROUP, groups).max(axis=1)  # any groups will do
    bound: Float32 = np.partition(best, groups - k, axis=1)[:, groups - k]
    return bound


def kriging_weights(
    neighbours: Float32,
    queries: Float32,
    metric: Float32,
    *,
    projected: Float32 | None = None,
    bandwidth: float = BANDWIDTH,
    noise: float = NOISE,
) -> Float32:
    """Weights [B, k] of the neighbours [B, k, D] of queries [B, D], whatever their lengths.

    Vectors are compared by the cosine of `(x, x @ metric)`; a metric [D, 0] compares them as they are. Who has
    `neighbours @ metric` already gives it as `projected`. Conjugate
    gradients on all systems at once: they are well conditioned, and LAPACK's threads get into each other's way on
    systems this small.
    """
    kernel = np.matmul(neighbours, neighbours.transpose(0, 2, 1))
    towards = np.matmul(neighbours, queries[:, :, None])[:, :, 0]
    own = np.einsum("bd,bd->b", queries, queries)
    if metric.shape[1]:
        asked = queries @ metric
        if projected is None:
            projected = neighbours @ metric
        kernel += np.matmul(projected, projected.transpose(0, 2, 1))
        towards += np.matmul(projected, asked[:, :, None])[:, :, 0]
        own += np.einsum("bd,bd->b", asked, asked)
    inverse = 1 / np.sqrt(np.einsum("bii->bi", kernel))
    kernel *= inverse[:, :, None]
    kernel *= inverse[:, None, :]
    towards *= inverse / np.sqrt(own)[:, None]
    for likeness in (kernel, towards):
        likeness -= 1
        likeness *= np.float32(bandwidth)
        np.exp(likeness, out=likeness)
    weights: Float32 = np.zeros_like(towards)
    residual = towards.copy()
    direction = towards.copy()
    energy = (residual * residual).sum(axis=1)
    for _ in range(CG_STEPS):
        image = np.matmul(kernel, direction[:, :, None])[:, :, 0]
        image += np.float32(noise) * direction
        step = energy / np.maximum((direction * image).sum(axis=1), _TINY)
        weights += step[:, None] * direction
        residual -= step[:, None] * image
        before, energy = energy, (residual * residual).sum(axis=1)
        direction *= (energy / np.maximum(before, _TINY))[:, None]
        direction += residual
    return weights


def top(values: Float32, k: int) -> list[Int64]:
    """Columns of the k largest numbers of each row [B, N], best first; faster than a partition of the whole row."""
    if k == 0:
        return [np.empty(0, np.int64) for _ in values]
    result = []
    for row, floor in zip(values, _floor_of_top(values, k), strict=True):
        candidates = np.flatnonzero(row >= floor)
        result.append(candidates[np.argsort(-row[candidates], kind="stable")[:k]])
    return result
