"""Which labelled images are most similar to a query: exact, or by signs first where queries are few among many.

In: exemplars and queries as integers in float32. Out: slots of the exemplars.
"""

import numpy as np

from models.tagging.arrays import Float32, Int64, UInt64
from models.tagging.evidence.backend import NUMPY, Backend
from models.tagging.memory.exemplars import Exemplars, signs

NEIGHBOURS = 100  # 80 cost 0.002 of average precision on OpenMoji, more gain nothing
_CANDIDATES = 8  # for each neighbour wanted, when signs choose
_TOGETHER = 32  # queries whose candidates are gathered at once, each row once: 20 MB
_GROUP = 32  # columns whose maximum stands for them while the k-th largest is bounded
_SPARE = 8  # candidates beyond k that the exact inner product may still reorder; float32 errs by 1e-6


def nearest(
    exemplars: Exemplars, queries: Float32, k: int, without: Int64 | None = None, backend: Backend = NUMPY
) -> Int64:
    """Slots [B, k'] of the exemplars most similar to each query, best first; k' = min(k, rows left).

    Decided by exact inner products, ties by hash, so that it depends neither on slots nor on the number of threads.

    Args:
        exemplars: the labelled images.
        queries: integer-valued float32 [B, D].
        k: neighbours wanted.
        without: slots that may not be given.
        backend: makes the inner products that choose the candidates.
    """
    similarity = backend.similarity(queries, exemplars.vectors)
    left = len(exemplars)
    if without is not None and without.size:
        similarity[:, without] = -np.inf
        left -= len(without)
    k = min(k, left)
    if k == 0 or not len(queries):
        return np.empty((len(queries), k), np.int64)
    floors = _floor_of_top(similarity, min(k + _SPARE, left))
    every = [np.flatnonzero(values >= floor) for values, floor in zip(similarity, floors, strict=True)]
    ends = np.cumsum([0, *map(len, every)])
    found = np.empty((len(queries), k), np.int64)
    for start in range(0, len(queries), _TOGETHER):
        rows = range(start, min(start + _TOGETHER, len(queries)))
        used, where = np.unique(np.concatenate([every[row] for row in rows]), return_inverse=True)
        vectors, hashes = exemplars.vectors.take(used), exemplars.hashes.take(used)
        exact = queries[rows.start : rows.stop].astype(np.float64) @ vectors.astype(np.float64).T
        for row in rows:
            here = where[ends[row] - ends[start] : ends[row + 1] - ends[start]]
            found[row] = every[row][np.lexsort((hashes[here], -exact[row - start, here]))[:k]]
    return found


def nearest_by_bits(exemplars: Exemplars, bits: UInt64, queries: Float32, k: int) -> Int64:
    """Like `nearest`, for one query or a few: signs choose the candidates, exact inner products order them.

    `bits` are the exemplars' signs [ceil(D / 64), N], as `ExemplarCache.bits` gives them. Slots [B, min(k, N)].

    A matrix of 50,000 x 512 floats takes 8 ms to read; its signs are 3 MB. Embeddings end with a rotation that makes
    signs a good code: on OpenMoji the forty nearest by 512 signs hold 0.97 of the ten nearest; here it is 8 for 1.
    """
    k = min(k, len(exemplars))
    wanted = min(_CANDIDATES * k, len(exemplars))
    found = np.empty((len(queries), k), np.int64)
    for row, of_query in enumerate(signs(queries)):
        apart = np.bitwise_count(bits ^ of_query[:, None]).sum(axis=0, dtype=np.int16)
        candidates = np.argpartition(apart, wanted - 1)[:wanted] if wanted < len(apart) else np.arange(len(apart))
        exact = exemplars.vectors.take(candidates).astype(np.float64) @ queries[row].astype(np.float64)
        found[row] = candidates[np.lexsort((exemplars.hashes.take(candidates), -exact))[:k]]
    return found


def _floor_of_top(values: Float32, k: int) -> Float32:
    """A bound that at least k numbers of each row [B, N] reach, close to the k-th largest."""
    width = values.shape[1]
    groups = width // _GROUP
    if groups < 2 * k:
        return np.partition(values, width - k, axis=1)[:, width - k]
    best = values[:, : groups * _GROUP].reshape(len(values), _GROUP, groups).max(axis=1)  # any groups will do
    return np.partition(best, groups - k, axis=1)[:, groups - k]


def top(values: Float32, k: int) -> list[Int64]:
    """Columns of the k largest numbers of each row [B, N], best first; faster than a partition of the whole row."""
    if k == 0:
        return [np.empty(0, np.int64) for _ in values]
    result = []
    for row, floor in zip(values, _floor_of_top(values, k), strict=True):
        candidates = np.flatnonzero(row >= floor)
        result.append(candidates[np.argsort(-row[candidates], kind="stable")[:k]])
    return result
