"""Results unlike each other: maximal marginal relevance.

In: scores and unit vectors of candidates. Out: places of those to show, in their order. Pure.
Source: Carbonell and Goldstein, The Use of MMR, Diversity-Based Reranking for Reordering Documents, 1998.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def pick(scores: Sequence[float], vectors: npt.NDArray[np.float32], count: int, diversity: float) -> list[int]:
    """The first `count` places by (1 - diversity) * score - diversity * similarity to the nearest picked before.

    Args:
        scores: one for each candidate, the largest best.
        vectors: [N, D].
        diversity: 0 keeps the order of the scores, 1 looks at nothing but unlikeness after the first.
    """
    relevance = np.asarray(scores, np.float64)
    nearest = np.full(len(relevance), -np.inf)
    picked: list[int] = []
    while len(picked) < min(count, len(relevance)):
        gain = (1 - diversity) * relevance - diversity * nearest if picked else relevance.copy()
        gain[picked] = -np.inf
        best = int(np.argmax(gain))
        picked.append(best)
        nearest = np.maximum(nearest, vectors @ vectors[best])
    return picked
