"""How much weight the network gets beside the linear part: what progressive validation has shown, and nothing before.

In: margins of both parts on pairs that neither has learned. Out: the network's share of the score, 0 to 1, and the
accuracy of what was served. Nothing fails.

Source: Blum, Kalai and Langford, Beating the Hold-Out, COLT 1999 (progressive validation).
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
MEMORY = 2_000  # pairs after which an old one counts 1/e: long enough to see half a point, short enough to follow
PROOF_PAIRS = 500  # pairs that must have been seen before the network gets any weight
PROOF_MARGIN = 0.005  # relative: its loss must be so much lower; below that the linear part alone is as good

Margins = NDArray[np.float64]


class Blend:
    """Fading sums of the loss at each share, and of what the served share got right. One thread at a time."""

    def __init__(self) -> None:
        self._losses = [0.0] * len(SHARES)
        self._correct = 0.0
        self._count = 0.0
        self._seen = 0
        self.share = 0.0

    @property
    def accuracy(self) -> float:
        """Share of pairs in the right order before they were learned, recent pairs weigh most; 0.5 before any."""
        return self._correct / self._count if self._count else 0.5

    def observe(self, linear: Margins, network: Margins, weights: Margins) -> None:
        """Count a block of pairs and choose the share again.

        Args:
            linear: score of the preferred minus score of the other, by the linear part, float64 [N].
            network: the same by the network, float64 [N].
            weights: of the pairs, float64 [N].
        """
        keep = math.exp(-len(linear) / MEMORY)
        self._losses = [
            keep * loss + float(np.sum(weights * np.logaddexp(0, -_mix(share, linear, network))))
            for share, loss in zip(SHARES, self._losses, strict=True)
        ]
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
            "correct": self._correct,
            "count": self._count,
            "seen": self._seen,
            "share": self.share,
        }

    def restore(self, document: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        self._losses = [float(loss) for loss in document["losses"]]
        self._correct = float(document["correct"])
        self._count, self._seen = float(document["count"]), int(document["seen"])
        self.share = float(document["share"])


def _mix(share: float, linear: Margins, network: Margins) -> Margins:
    return (1 - share) * linear + share * network
