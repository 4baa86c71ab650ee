"""Numbers that a snapshot keeps beside each tag's weights, and one tag's row of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.tagging.arrays import Bool, Float32, Int64
from models.tagging.calibration.calibrators import NUMBERS


@dataclass(frozen=True, slots=True)
class TagRow:
    """What is known of a tag.

    Attributes:
        name: its one spelling.
        count: images that carry it.
        first_seen: log position of its first use.
        quality: running average precision; NaN before it was judged.
        drift: drift events so far.
        threshold: the probability from which on predicting it has maximised F1 so far.
    """

    name: str
    count: int
    first_seen: int
    quality: float
    drift: int
    threshold: float


@dataclass(frozen=True, eq=False)
class Columns:
    """Numbers per tag, each [T] but for `table` [T, 4]."""

    counts: Int64
    first_seen: Int64
    table: Float32
    thresholds: Float32
    quality: Float32
    drift: Int64
    hidden: Bool

    @classmethod
    def empty(cls) -> Columns:
        """Of no tag."""
        whole, real = np.empty(0, np.int64), np.empty(0, np.float32)
        return cls(whole, whole, np.empty((0, NUMBERS), np.float32), real, real, whole, np.empty(0, np.bool_))
