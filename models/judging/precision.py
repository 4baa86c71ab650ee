"""Precision of neighbours: two pictures are relevant to each other if they share a tag.

In: vectors float [N, F] and the tags of each picture. Out: precision at K. Nothing fails on arrays of these shapes.

Source: Jing et al., Visual Search at Pinterest, KDD 2015, section 5: precision@K by shared label, for L2, L1, cosine,
and Hamming distances of binarised features. Averaged by tag, so that 258 flags count no more than two umbrellas.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist  # type: ignore[import-untyped]

Floats = npt.NDArray[np.floating]
Distance = Literal["l2", "l1", "cosine", "hamming"]
ROWS = 256  # queries at once: N x 256 distances are in memory


def _l2(queries: Floats, vectors: Floats) -> Floats:
    squares = np.square(vectors).sum(axis=1)
    return np.asarray(squares - 2 * (queries @ vectors.T))  # the query's own length orders nothing


def _l1(queries: Floats, vectors: Floats) -> Floats:
    return np.asarray(cdist(queries, vectors, "cityblock"))


def _cosine(queries: Floats, vectors: Floats) -> Floats:
    return np.asarray(-(_unit(queries) @ _unit(vectors).T))


def _hamming(queries: Floats, vectors: Floats) -> Floats:
    return np.asarray(-(_signs(queries) @ _signs(vectors).T))


_DISTANCES: dict[str, Callable[[Floats, Floats], Floats]] = {
    "l2": _l2, "l1": _l1, "cosine": _cosine, "hamming": _hamming,
}  # fmt: skip


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))


def _signs(vectors: Floats) -> Floats:
    return np.where(vectors >= 0, np.float32(1), np.float32(-1))


def neighbours(vectors: Floats, k: int, distance: Distance = "cosine") -> npt.NDArray[np.intp]:
    """Rows of the `k` nearest others of each, nearest first, [N, k]; equal ones in the order of the rows.

    Bits are signs around the mean of each number.
    """
    vectors = np.asarray(vectors, np.float32)
    vectors = vectors - vectors.mean(axis=0) if distance == "hamming" else vectors
    found = []
    for start in range(0, len(vectors), ROWS):
        distances = _DISTANCES[distance](vectors[start : start + ROWS], vectors)
        rows = np.arange(len(distances))
        distances[rows, start + rows] = np.inf
        found.append(np.argsort(distances, axis=1, kind="stable")[:, :k])
    return np.concatenate(found)


def precision_by_tag(nearest: npt.NDArray[np.intp], tags: Sequence[Sequence[str]]) -> float:
    """Share of the neighbours [N, k] that share a tag with their picture, averaged by tag; tags on two or more."""
    sets = [frozenset(of_picture) for of_picture in tags]
    of_tag: dict[str, list[float]] = defaultdict(list)
    for row, others in enumerate(nearest):
        share = float(np.mean([not sets[row].isdisjoint(sets[other]) for other in others]))
        for tag in sets[row]:
            of_tag[tag].append(share)
    means = [float(np.mean(shares)) for shares in of_tag.values() if len(shares) > 1]
    return float(np.mean(means)) if means else float("nan")


def rank_me(vectors: Floats) -> float:
    """How many directions the vectors [N, F] use, 1 to min(N, F): less for an encoder that collapsed.

    Source: Garrido et al., RankMe, ICML 2023, equation 1.
    """
    strengths = np.linalg.svd(np.asarray(vectors, np.float32), compute_uv=False)
    shares = strengths / max(float(strengths.sum()), 1e-12) + 1e-7
    return float(np.exp(-(shares * np.log(shares)).sum()))
