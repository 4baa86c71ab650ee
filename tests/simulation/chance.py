"""What the seed decides, and a count of every fault that it injected.

In each world some kinds of fault are rare, some frequent and some absent: faults that hide each other meet alone, too.
"""

import random
from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

WRITES = (
    "examples and dead letters", "pictures", "images", "offsets", "tagger checkpoint", "ranker checkpoint",
)  # fmt: skip
NEIGHBOURS = ("broker", "index", "pictures", "disk")
RATES = {
    **{f"killed at {write}": 0.02 for write in WRITES},
    "killed while it waits": 0.02,
    "killed between two steps": 0.005,
    **{f"{name} refuses, nothing is written": 0.03 for name in NEIGHBOURS},
    **{f"{name} writes, the answer is lost": 0.03 for name in NEIGHBOURS},
    "part of a batch of points is written": 0.06,
    "part of a batch of points is written, then killed": 0.03,
    "an early request is lost, later ones arrive": 0.08,
    "part of the requests arrive, then killed": 0.04,
    "a lost request arrives late": 0.5,
    "stands still between two writes": 0.1,
    "hands over too late": 0.4,
    "a producer posts again": 0.15,
    "a producer's first request fails, the second does not": 0.06,
    "a producer puts a record into another partition": 0.04,
}
STEPS = {f"{name} is away": name for name in NEIGHBOURS}
COUNTED = ("rebalance", "a member is fenced off", "a fenced owner ends its batch", "power cut", "a write is taken back",
           "a name of a file is lost", "partitions are added", "a picture takes its own time", *STEPS)  # fmt: skip
KINDS = (*RATES, *COUNTED)


class Chance:
    """One generator for a whole world.

    Attributes:
        random: the generator.
        counts: faults injected, by kind.
        faults: whether there are any at the moment.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.trace: list[str] | None = None
        self.faults = False
        self._rates = {kind: rate * self.random.choice((0, 0, 0.5, 1, 3)) for kind, rate in RATES.items()}

    def hits(self, kind: str) -> bool:
        """Whether a fault of this kind happens now."""
        rate = self._rates[kind]
        if not self.faults or not rate or self.random.random() >= rate:
            return False
        self.count(kind)
        return True

    def count(self, kind: str) -> None:
        """One more fault of this kind."""
        self.counts[kind] += 1
        self.note("  ! ", kind)

    def note(self, *said: object) -> None:
        """A line of the trace, if somebody wants one."""
        if self.trace is not None:
            self.trace.append("".join(map(str, said)))

    def pick(self, among: Sequence[T]) -> T:
        """One of these."""
        return among[int(self.random.random() * len(among))]

    def below(self, end: int) -> int:
        """A number from 0 on."""
        return int(self.random.random() * end)
