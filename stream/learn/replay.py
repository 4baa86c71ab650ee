"""examples.v1 up to an offset, learned from nothing: the tagger as it was at that point of the log.

In: a reader at the beginning of the log, and an empty state. Out: the same state, as a service stopped there has it.
Raises OffsetLostError where the log does not begin with what was learned first, UsageError where it ends too soon.
"""

from collections.abc import Callable
from typing import Protocol

from models.errors import OffsetLostError, UsageError
from stream.events.example import decode_example
from stream.learn.tagger_state import OpenTagger
from stream.log.reading.positions import StoredOffset, epoch_of
from stream.log.record import Record

POLL_S = 0.5  # a poll returns as soon as there are records
TOPIC = "examples"


class ExamplesReader(Protocol):
    """What is asked of stream.log.reading.consume.LogReader."""

    def poll(self, timeout_s: float) -> list[Record]:
        """The next records."""
        ...

    def caught_up(self, topic: str, partition: int) -> bool:
        """Whether there are none for now."""
        ...

    def stored_offset(self, topic: str, partition: int, offset: int) -> StoredOffset:
        """An offset, with the topic's id."""
        ...


def replay(
    reader: ExamplesReader,
    state: OpenTagger,
    *,
    at: int | None,
    embedded: bool = False,
    on_progress: Callable[[int], None] = lambda _: None,
) -> StoredOffset:
    """Learn the records below offset `at`, None for all that there are; returns the offset that was reached.

    Args:
        reader: of examples.v1 from its beginning.
        state: that has learned nothing.
        at: the offset of the first record that is left out.
        embedded: the log is that of `mekiki up`, which begins anew with every start.
        on_progress: told the offset reached, again and again.

    Raises:
        OffsetLostError: what was learned first is not in this log.
        UsageError: the log ends before `at`.
        CheckpointError: a record is no example.
        EncoderMismatchError: the log holds vectors of two encoders.
    """
    end = 0
    while at is None or end < at:
        records = reader.poll(POLL_S)
        if records:
            if end == 0:
                _check_begins(records[0], embedded)
            wanted = [record for record in records if at is None or record.offset < at]
            state.learn([example for record in wanted if (example := state.new_of(record)) is not None])
            end = records[-1].offset + 1 if at is None else min(records[-1].offset + 1, at)
            on_progress(end)
        elif reader.caught_up(TOPIC, 0):
            break
    if at is not None and end < at:
        raise UsageError(f"offset {at}: expected at most {end}, where examples.v1 ends; name one that was reached")
    return reader.stored_offset(TOPIC, 0, end)


def _check_begins(first: Record, embedded: bool) -> None:
    if first.offset > 0:
        raise OffsetLostError(
            f"topic examples.v1: the log begins at {first.offset}, expected 0; what the records before it taught "
            "cannot be learned again: restore them"
        )
    if embedded and epoch_of(decode_example(first.value).position) > 0:  # it derives from a later log than the first
        raise OffsetLostError(
            "topic examples.v1: expected all that was learned; the log of `mekiki up` begins anew with every start, "
            "and what was learned before is not in it: export before stopping, or use a Kafka of your own"
        )
