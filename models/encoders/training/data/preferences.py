"""Who is preferred over whom, as training wants it: pairs between rows of a plan, on one side or the other.

In: `Pair` records, or ratings or ordered lists that pairs are drawn from. Out: pairs by row, and gains. Raises
UsageError: too few pairs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.encoders.training.data.pictures import Plan
from models.errors import UsageError
from models.ranking.pairs import Pair

LEAST_PAIRS = 20  # of either side
DRAWN_EACH = 20  # pairs drawn for each picture that was rated


@dataclass(frozen=True, eq=False)
class RowPairs:
    """Pairs by row.

    Attributes:
        rows: int64 [P, 2], preferred and over.
        weights: float32 [P].
    """

    rows: NDArray[np.int64]
    weights: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.rows)


def pairs_from_ratings(ratings: Mapping[str, float], seed: int, each: int = DRAWN_EACH) -> list[Pair]:
    """Random pairs of different rating, the better one preferred; as many for a picture as `each` says, about."""
    chance = np.random.default_rng(seed)
    ids = sorted(ratings)
    found = []
    for first, second in chance.integers(0, max(1, len(ids)), (len(ids) * each // 2, 2)):
        one, other = ids[first], ids[second]
        if ratings[one] != ratings[other]:
            found.append(Pair(one, other) if ratings[one] > ratings[other] else Pair(other, one))
    return found


def pairs_from_list(ordered: Sequence[str], seed: int, each: int = DRAWN_EACH) -> list[Pair]:
    """Random pairs of a list, best first; one that stands twice counts where it stands first."""
    places = {name: -float(place) for place, name in reversed(list(enumerate(ordered)))}
    return pairs_from_ratings(places, seed, each)


def label_pairs(plan: Plan, pairs: Iterable[Pair], gains: Mapping[str, float]) -> dict[str, Any]:
    """Labels of a plan: pairs by row, and how good pictures are as far as somebody said.

    Raises:
        UsageError: too few pairs to learn from, or to watch.
    """
    row_of = {name: row for row, name in enumerate(plan.ids)}
    known = [pair for pair in pairs if pair.preferred in row_of and pair.over in row_of]
    labels = {
        "pairs": [(row_of[pair.preferred], row_of[pair.over], pair.weight) for pair in known],
        "gains": {str(row_of[name]): gain for name, gain in gains.items() if name in row_of},
    }
    learned, watched = split_pairs(plan, labels)
    if min(len(learned), len(watched)) < LEAST_PAIRS:
        raise UsageError(
            f"pairs {len(learned)} to learn from and {len(watched)} of held-out pictures: expected {LEAST_PAIRS} or "
            "more of each, of pictures that are there; click on more, or name a file with --ratings"
        )
    return labels


def split_pairs(plan: Plan, labels: Mapping[str, Any] | None = None) -> tuple[RowPairs, RowPairs]:
    """Those between training pictures, and those with a held-out one: neither that picture nor the pair is learned."""
    pairs = (plan.labels if labels is None else labels)["pairs"]
    rows = np.array([pair[:2] for pair in pairs], np.int64).reshape(-1, 2)
    weights = np.array([pair[2] for pair in pairs], np.float32)
    apart = np.isin(rows, np.array(plan.held_out, np.int64)).any(axis=1)
    return RowPairs(rows[~apart], weights[~apart]), RowPairs(rows[apart], weights[apart])


def gains_of(plan: Plan) -> tuple[list[int], list[float]]:
    """Held-out rows and how good they are, 0 or more: as rated, or else the share of their pairs that they won."""
    rated = {int(row): float(gain) for row, gain in plan.labels["gains"].items()}
    if rated:
        least = min(rated.values())
        rows = [row for row in plan.held_out if row in rated]
        return rows, [rated[row] - least for row in rows]
    _, watched = split_pairs(plan)
    won = np.bincount(watched.rows[:, 0], minlength=len(plan.ids))
    seen = won + np.bincount(watched.rows[:, 1], minlength=len(plan.ids))
    rows = [row for row in plan.held_out if seen[row]]
    return rows, [float(won[row] / seen[row]) for row in rows]
