"""Clicks to pairs: which picture was preferred over which, and how much that counts.

In: image ids of a results page and a click on it. Out: `Pair` records. Raises UsageError when a page, its click and its
propensities do not belong together.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from models.errors import UsageError

MAX_WEIGHT = 10.0  # with more, one click far down the page would outweigh many


@dataclass(frozen=True, slots=True)
class Pair:
    """`preferred` was chosen, `over` was not; the pair's loss is multiplied by `weight`."""

    preferred: str
    over: str
    weight: float = 1.0


def pairs_from_click(
    shown: Sequence[str],
    clicked: str,
    propensities: Sequence[float] | None = None,
    *,
    also_clicked: Collection[str] = (),
) -> list[Pair]:
    """Pairs of the clicked picture over those that were seen on the page and not clicked.

    Without propensities: over everything above it ("click > skip above") and over the next one below ("click >
    no-click next"), which eye tracking finds to be seen as well; each with weight 1. With propensities p, the
    probability that a position is looked at: over everything else on the page, with weight p(other) / p(clicked), at
    most 10. The other may not have been seen, and a click far down stands for the many who did not look so far.

    Args:
        shown: image ids in the order shown.
        clicked: one of them.
        propensities: 0 < p <= 1 for each position of `shown`.
        also_clicked: other clicks on the same page; no pair says that these were skipped.

    Raises:
        UsageError: the click is not on the page, or the lengths differ, or a propensity is not in (0, 1].

    Source: Joachims et al., Accurately Interpreting Clickthrough Data, SIGIR 2005; Joachims, Swaminathan and Schnabel,
    Unbiased Learning-to-Rank with Biased Feedback, WSDM 2017 (propensities).
    """
    if clicked not in shown:
        raise UsageError(f"click on {clicked!r}: expected one of the {len(shown)} pictures shown; post what was shown")
    rank = shown.index(clicked)
    weights = [1.0] * min(len(shown), rank + 2) if propensities is None else _weights(propensities, len(shown), rank)
    done = {clicked, *also_clicked}
    pairs = []
    for other, weight in zip(shown, weights, strict=False):
        if other not in done:
            done.add(other)  # a picture shown twice on a page is skipped once
            pairs.append(Pair(clicked, other, weight))
    return pairs


def _weights(propensities: Sequence[float], count: int, rank: int) -> list[float]:
    if len(propensities) != count or not all(0 < p <= 1 for p in propensities):
        raise UsageError(f"propensities {list(propensities)}: expected {count} numbers in (0, 1], one for each picture")
    return [min(MAX_WEIGHT, p / propensities[rank]) for p in propensities]
