"""Numbers that a snapshot keeps beside each tag's weights, and one tag's row of them."""

from dataclasses import dataclass

import numpy as np

from models.tagging.arrays import Bool, Float32, Int64
from models.tagging.calibration.log_odds import NUMBERS


@dataclass(frozen=True, slots=True)
class TagRow:
    """What is known of a tag.

    Attributes:
        name: its one spelling.
        count: images that carry it, by themselves or because a tag of theirs implies it.
        tagged: those that carry it by themselves.
        first_seen: log position of its first use.
        quality: running average precision; NaN before it was evaluated.
        drift: drift events so far.
        threshold: the probability from which on predicting it has maximised F1 so far.
    """

    name: str
    count: int
    tagged: int
    first_seen: int
    quality: float
    drift: int
    threshold: float


@dataclass(frozen=True, eq=False)
class Columns:
    """Numbers per tag.

    Attributes:
        counts: images that carry it by themselves [T].
        carried: images that carry it by themselves or by implication [T].
        first_seen: log position of its first use [T].
        table: weights and intercept of its classifier [T, NUMBERS].
        thresholds: probability from which on it is predicted [T].
        quality: running average precision, or NaN [T].
        drift: drift events so far [T].
        hidden: whether the row is not served: merged away, forgotten or free [T].
    """

    counts: Int64
    carried: Int64
    first_seen: Int64
    table: Float32
    thresholds: Float32
    quality: Float32
    drift: Int64
    hidden: Bool

    @classmethod
    def empty(cls) -> "Columns":
        """Of no tag."""
        whole, real = np.empty(0, np.int64), np.empty(0, np.float32)
        return cls(whole, whole, whole, np.empty((0, NUMBERS), np.float32), real, real, whole, np.empty(0, np.bool_))
