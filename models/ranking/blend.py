"""How much weight the network gets beside the linear part: what progressive validation has shown, and nothing before.

In: margins of both parts on pairs that neither has learned. Out: the network's share of the score, 0 to 1, and the
accuracy of what was served. Nothing fails.

Source: Blum, Kalai and Langford, Beating the Hold-Out, COLT 1999 (progressive validation).
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
MEMORY = 2_000  # pairs after which an old one counts 1/e: long enough to see half a point, short enough to follow
PROOF_PAIRS = 500  # pairs that must have been seen before the network gets any weight
PROOF_MARGIN = 0.005  # relative: its loss must be so much lower; below that the linear part alone is as good

Margins = NDArray[np.float64]


@dataclass(slots=True)
class Blend:
    """Fading sums of the loss at each share, and of what the served share got right. One thread at a time.

    Attributes:
        losses: at each of `SHARES`.
        correct: pairs that the served share had in the right order.
        count: pairs, both of these fading.
        seen: pairs ever observed.
        share: that is served now.
    """

    losses: list[float] = field(default_factory=lambda: [0.0] * len(SHARES))
    correct: float = 0.0
    count: float = 0.0
    seen: int = 0
    share: float = 0.0

    @property
    def accuracy(self) -> float:
        """Share of pairs in the right order before they were learned, recent pairs weigh most; 0.5 before any."""
        return self.correct / self.count if self.count else 0.5

    def observe(self, linear: Margins, network: Margins, weights: Margins) -> None:
        """Count a block of pairs and choose the share again.

        Args:
            linear: score of the preferred minus score of the other, by the linear part, float64 [N].
            network: the same by the network, float64 [N].
            weights: of the pairs, float64 [N].
        """
        keep = math.exp(-len(linear) / MEMORY)
        self.losses = [
            keep * loss + float(np.sum(weights * np.logaddexp(0, -_mix(share, linear, network))))
            for share, loss in zip(SHARES, self.losses, strict=True)
        ]
        served = _mix(self.share, linear, network)
        right = float(np.sum(served > 0) + 0.5 * np.sum(served == 0))
        self.correct, self.count = keep * self.correct + right, keep * self.count + len(linear)
        self.seen += len(linear)
        best = int(np.argmin(self.losses))
        is_proved = self.seen >= PROOF_PAIRS and self.losses[best] < (1 - PROOF_MARGIN) * self.losses[0]
        self.share = SHARES[best] if is_proved else 0.0


def _mix(share: float, linear: Margins, network: Margins) -> Margins:
    return (1 - share) * linear + share * network
