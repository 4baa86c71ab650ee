"""Which examples the calibrators and the running evaluation look at: a function of the log alone.

The log is cut into blocks by position; of each block the first examples are the sample. At first the sample is
everything, at last one in 512: evidence for one example costs as much as the sums of a hundred. Where images come
slowly a block ends sooner, by the time the log gives its records: a site with a thousand images a day would otherwise
look for drift once a month. The sample of a block is evaluated as soon as its last example is there, with evidence from
which all of the sample was taken out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

FIRST_FIT = 256  # examples before metric and co-occurrence are fitted; before, everything is noise
GROWTH = 1.3  # fitted again when so much more was learned: a metric half as old cost 0.01 of average precision ...
GROWTH_LATER = 2.0  # ... and when twice as much was, once much is known: it takes 0.4 s at 30,000 tags
LATER = 32_768


@dataclass(frozen=True, slots=True)
class Stage:
    """From position `start` on, blocks of `block` examples of which the first `sample` count."""

    start: int
    block: int
    sample: int


STAGES = (
    Stage(0, 64, 64),
    Stage(256, 256, 64),
    Stage(1024, 512, 64),
    Stage(4096, 1024, 64),
    Stage(32_768, 32_768, 64),
)
SLOW = 2048  # examples after which a block of the last stage may end ...
SLOW_MS = 3_600_000  # ... if it took this long; a log of years, read again at once, costs no more than its samples


def stage_at(position: int) -> Stage:
    """The rule in force at a position, counted from the first example ever learned."""
    return next(stage for stage in reversed(STAGES) if stage.start <= position)


@dataclass(slots=True)
class Schedule:
    """The present block.

    Attributes:
        begin: the position of its first record.
        began_ms: the time of that record, ms since 1970 by the log; 0 if it has none.
    """

    begin: int = 0
    began_ms: int = 0

    def enter(self, position: int, time_ms: int) -> None:
        """Begin a block with the record at this position if one is due."""
        ends = self.begin + stage_at(self.begin).block
        if position >= ends or (position >= self._slow_from and time_ms >= self.began_ms + SLOW_MS):
            self.begin = position
        if position == self.begin:
            self.began_ms = time_ms

    def together(self, position: int, times_ms: Sequence[int]) -> int:
        """How many of the records from `position` on, which have these times, are all of a sample or all beside one.

        The first may begin a block.
        """
        self.enter(position, times_ms[0])
        left = self.sample_left(position) or self.begin + stage_at(self.begin).block - position
        stop, slow_ms = min(left, len(times_ms)), self.began_ms + SLOW_MS
        return next((i for i in range(max(self._slow_from - position, 1), stop) if times_ms[i] >= slow_ms), stop)

    def sample_left(self, position: int) -> int:
        """How many records from `position` on belong to the sample; 0 when this one does not."""
        return max(stage_at(self.begin).sample - (position - self.begin), 0)

    @property
    def _slow_from(self) -> int:
        """The first position that may begin a block because of its time; beyond the block in all but the last stage."""
        stage = stage_at(self.begin)
        return self.begin + (SLOW if stage is STAGES[-1] else stage.block)


def next_fit(last: int) -> int:
    """How many examples must be learned before metric and co-occurrence, last fitted after `last`, are fitted again."""
    return max(FIRST_FIT, int((GROWTH if last < LATER else GROWTH_LATER) * last))
