"""Precision of the nearest pictures by shared tag, averaged by tag, on pictures that nothing was learned from."""

from collections.abc import Sequence

import numpy as np

from models.encoders.base import Vectors

LEAST = 5  # pictures that carry a tag, for it to count


def precision_by_tag(vectors: Vectors, tags: Sequence[Sequence[str]], queries: Sequence[int], k: int = 5) -> float:
    """Of each tag the share of the k nearest of its queries that carry it too; the mean over tags.

    Args:
        vectors: float32 [N, D], of any length and centre.
        tags: of each of them.
        queries: rows that are asked for; the others, and each other, are what is found.
        k: neighbours, without the query itself.
    """
    counts: dict[str, int] = {}
    for of_one in tags:
        for tag in of_one:
            counts[tag] = counts.get(tag, 0) + 1
    centred = vectors - vectors.mean(axis=0)
    centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9)
    carried = [frozenset(tag for tag in of_one if counts[tag] >= LEAST) for of_one in tags]
    shares: dict[str, list[float]] = {}
    for query in queries:
        cosines = centred @ centred[query]
        cosines[query] = -np.inf
        nearest = np.argpartition(-cosines, k)[:k]
        for tag in carried[query]:
            shares.setdefault(tag, []).append(sum(tag in carried[near] for near in nearest) / k)
    return float(np.mean([np.mean(of_tag) for of_tag in shares.values()]))
