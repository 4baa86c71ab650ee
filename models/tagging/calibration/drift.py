"""Does a tag still mean what it meant? River's ADWIN watches the progressive loss of each tag.

The loss of an evaluated pair of image and tag is `|truth - probability|` before it was learned, in [0, 1]. ADWIN says
when its mean changed; a fall is learning, a rise is drift. A window is made anew from its latest losses when it has
become long: memory stays bounded, and the state is those losses, which fed again give the same window to the bit.

Source: Bifet and Gavalda, Learning from Time-Changing Data with Adaptive Windowing, SIAM SDM 2007.
"""

from array import array
from dataclasses import dataclass
from typing import Any

import numpy as np
from river.drift import ADWIN

from models.tagging.arrays import Int64

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
    """The windows of all tags that were evaluated, and how often each drifted.

    Attributes:
        counts: drifts by row.
        changed: rows whose state changed since the store last took them.
    """

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.changed: set[int] = set()
        self._losses: dict[int, array[float]] = {}
        self._windows: dict[int, Any] = {}
        self._noticed: list[Drifted] = []

    def update(self, row: int, loss: float, learned: int) -> None:
        """Add one progressive loss, in [0, 1]."""
        self.changed.add(row)
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
        self.changed.add(row)
        for of_row in (self.counts, self._losses, self._windows):
            of_row.pop(row, None)

    def array(self, rows: int) -> Int64:
        """Drifts of tags 0 .. rows - 1."""
        found = np.zeros(rows, np.int64)
        for row, count in self.counts.items():
            found[row] = count
        return found

    def dump(self, row: int) -> tuple[int, bytes] | None:
        """(drifts, losses in the window as float32) of a tag; None when it is not watched."""
        losses = self._losses.get(row)
        return None if losses is None else (self.counts.get(row, 0), losses.tobytes())

    def load(self, row: int, drifts: int, losses: bytes) -> None:
        """Put back what `dump` gave."""
        self._losses[row] = array("f", losses)
        self._windows[row] = _window(self._losses[row])
        if drifts:
            self.counts[row] = drifts


def _window(losses: "array[float]") -> Any:  # river's detectors are not typed
    window: Any = _ADWIN(delta=CONFIDENCE, clock=CLOCK)
    for loss in losses:
        window.update(loss)
    return window
