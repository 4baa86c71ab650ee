"""How much the network may say: what progressive validation proves, and nothing before.

Comes in: margins of both parts on pairs neither has learned from. Goes out: the share of the network, 0 to 1, and the
accuracy of what was served. Source of the method: Blum, Kalai and Langford, Beating the Hold-Out, COLT 1999.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
MEMORY = 2_000  # pairs after which an old one counts 1/e: long enough to tell half a point, short enough to follow
PROOF_PAIRS = 500  # evidence before the network may say anything
PROOF_MARGIN = 0.005  # the part by which its loss must be lower: below that the linear part alone is as good

Margins = NDArray[np.float64]


class Blend:
    """Faded sums of each share's loss, and of what the served share got right."""

    def __init__(self) -> None:
        self._losses = [0.0] * len(SHARES)
        self._weight = 0.0
        self._correct = 0.0
        self._count = 0.0
        self._seen = 0
        self.share = 0.0

    @property
    def accuracy(self) -> float:
        """Share of pairs put in the right order before they were learned, recent ones first; 0.5 before any."""
        return self._correct / self._count if self._count else 0.5

    def observe(self, linear: Margins, network: Margins, weights: Margins) -> None:
        """Count a block of pairs: margins float64 [N], preferred minus over, of either part alone."""
        keep = math.exp(-len(linear) / MEMORY)
        self._losses = [
            keep * loss + float(np.sum(weights * np.logaddexp(0, -_mix(share, linear, network))))
            for share, loss in zip(SHARES, self._losses, strict=True)
        ]
        self._weight = keep * self._weight + float(weights.sum())
        served = _mix(self.share, linear, network)
        right = float(np.sum(served > 0) + 0.5 * np.sum(served == 0))
        self._correct, self._count = keep * self._correct + right, keep * self._count + len(linear)
        self._seen += len(linear)
        best = int(np.argmin(self._losses))
        is_proved = self._seen >= PROOF_PAIRS and self._losses[best] < (1 - PROOF_MARGIN) * self._losses[0]
        self.share = SHARES[best] if is_proved else 0.0

    def state(self) -> dict[str, Any]:
        """Plain numbers that `restore` takes."""
        return {
            "losses": self._losses,
            "weight": self._weight,
            "correct": self._correct,
            "count": self._count,
            "seen": self._seen,
            "share": self.share,
        }

    def restore(self, document: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        self._losses = [float(loss) for loss in document["losses"]]
        self._weight, self._correct = float(document["weight"]), float(document["correct"])
        self._count, self._seen = float(document["count"]), int(document["seen"])
        self.share = float(document["share"])


def _mix(share: float, linear: Margins, network: Margins) -> Margins:
    return (1 - share) * linear + share * network
