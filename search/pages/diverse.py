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


def pick_first(
    first: Sequence[bool], scores: Sequence[float], vectors: npt.NDArray[np.float32], limit: int, diverse: float
) -> list[int]:
    """The same where some results come before all others: those among themselves, then others while there is room."""
    chosen: list[int] = []
    for group in (True, False):
        places = [place for place, is_first in enumerate(first) if is_first == group]
        room = limit - len(chosen)
        if places and room > 0:
            found = pick([scores[place] for place in places], vectors[places], room, diverse)
            chosen += [places[at] for at in found]
    return chosen
