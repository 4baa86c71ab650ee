"""Does a tag still mean what it meant? River's ADWIN watches the progressive loss of each tag.

The loss of an evaluated pair of image and tag is `|truth - probability|` before it was learned, in [0, 1]. ADWIN says
when its mean changed; a fall is learning, a rise is drift. A window is made anew from its latest losses when it has
become long: memory stays bounded, and the state is those losses, which fed again give the same window to the bit.

Source: Bifet and Gavalda, Learning from Time-Changing Data with Adaptive Windowing, SIAM SDM 2007.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Any

import numpy as np
from river.drift import ADWIN

from models.tagging.arrays import Float32, Int64

_ADWIN: Any = ADWIN
LONGEST = 512  # losses a window may hold ...
KEPT = 256  # ... and those it starts anew with
CONFIDENCE = 0.002  # ADWIN's delta: no false alarm in 300,000 draws from a steady loss
CLOCK = 8  # losses between two looks; a jump from 0.3 to 0.8 is then found after 40 to 60


@dataclass(frozen=True, slots=True)
class Drifted:
    """A tag's loss rose.

    Attributes:
        row: of the tag.
        learned: records learned when it was noticed.
        loss_before: mean of the window until then.
        loss_after: mean of what is left of it.
    """

    row: int
    learned: int
    loss_before: float
    loss_after: float


class Drift:
    """The windows of all tags that were evaluated, and how often each drifted."""

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self._losses: dict[int, array[float]] = {}
        self._windows: dict[int, Any] = {}
        self._noticed: list[Drifted] = []

    def update(self, row: int, loss: float, learned: int) -> None:
        """Add one progressive loss, in [0, 1]."""
        losses = self._losses.get(row)
        if losses is None:
            losses = self._losses[row] = array("f")
            self._windows[row] = _window(losses)
        elif len(losses) >= LONGEST:
            del losses[:-KEPT]
            self._windows[row] = _window(losses)
        losses.append(loss)
        window = self._windows[row]
        before = window.estimation
        window.update(losses[-1])
        if window.drift_detected and window.estimation > before:
            self.counts[row] = self.counts.get(row, 0) + 1
            self._noticed.append(Drifted(row, learned, before, window.estimation))

    def take_noticed(self) -> list[Drifted]:
        """What was noticed since the last call, oldest first."""
        noticed, self._noticed = self._noticed, []
        return noticed

    def drop(self, row: int) -> None:
        """Forget a tag."""
        for of_row in (self.counts, self._losses, self._windows):
            of_row.pop(row, None)

    def array(self, rows: int) -> Int64:
        """Drifts of tags 0 .. rows - 1."""
        found = np.zeros(rows, np.int64)
        for row, count in self.counts.items():
            found[row] = count
        return found

    def dump(self) -> tuple[Int64, Float32]:
        """(row, drifts, losses in the window) of each watched tag [N, 3], and all losses one after another."""
        rows = sorted(self._losses)
        facts = [(row, self.counts.get(row, 0), len(self._losses[row])) for row in rows]
        losses = np.concatenate([np.empty(0, np.float32), *(np.array(self._losses[row], np.float32) for row in rows)])
        return np.array(facts, np.int64).reshape(-1, 3), losses

    def load(self, facts: Int64, losses: Float32) -> None:
        """Put back what `dump` gave."""
        start = 0
        for row, count, length in facts.tolist():
            mine = self._losses[row] = array("f", losses[start : start + length].tolist())
            self._windows[row] = _window(mine)
            if count:
                self.counts[row] = count
            start += length


def _window(losses: array[float]) -> Any:  # river's detectors are not typed
    window: Any = _ADWIN(delta=CONFIDENCE, clock=CLOCK)
    for loss in losses:
        window.update(loss)
    return window
