"""Which examples the calibrators and the running evaluation look at: a function of the position in the log alone.

The log is cut into blocks; of each block the first examples are the sample. At first the sample is everything, at last
one in 512: evidence for one example costs as much as the sums of a hundred. The sample of a block is judged as soon as
its last example is there, with evidence from which all of the sample was taken out.
"""

from __future__ import annotations

from dataclasses import dataclass

FIRST_FIT = 256  # examples before metric and associations are fitted; before, everything is noise
GROWTH = 1.25  # fitted again when a quarter more was learned: a metric half as old cost 0.01 of average precision ...
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


def stage_at(position: int, stages: tuple[Stage, ...] = STAGES) -> Stage:
    """The rule in force at a position, counted from the first example ever learned."""
    return next(stage for stage in reversed(stages) if stage.start <= position)


def sample_left(position: int, stages: tuple[Stage, ...] = STAGES) -> int:
    """How many examples from `position` on belong to a sample; 0 when this one does not."""
    stage = stage_at(position, stages)
    return max(stage.sample - (position - stage.start) % stage.block, 0)


def until_next_sample(position: int, stages: tuple[Stage, ...] = STAGES) -> int:
    """How many examples from `position` on belong to no sample; 0 when this one does."""
    if sample_left(position, stages):
        return 0
    stage = stage_at(position, stages)
    return stage.block - (position - stage.start) % stage.block


def next_fit(last: int) -> int:
    """How many examples must have been learned before metric and associations, last fitted after so many, are again."""
    return max(FIRST_FIT, int((GROWTH if last < LATER else GROWTH_LATER) * last))
