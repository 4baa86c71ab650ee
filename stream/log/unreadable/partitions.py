"""Partitions of one reader that stand at a batch which cannot be read, and what becomes of them.

In: batches as they are met, and what operators said on `<topic>.dlq` (`mekiki dlq skip`). Out: a partition waits while
others go on, and goes past the batch once an operator says so, now and in every replay. A topic without dead letters
ends the process with CheckpointError; where every record stands for itself the batch is passed over at once.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from kafka import TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from models.errors import CheckpointError, MekikiError
from stream import metrics
from stream.log.record import Record
from stream.log.topics import SHAPES, TopicDescription
from stream.log.unreadable.batches import UnreadableBatch, UnreadableBatchError
from stream.log.unreadable.skips import Skip, read_skip

log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0  # between two looks at what operators said
AGAIN_EVERY_S = 30.0  # between two tries to read the batch: another replica may hold it whole
WITH_DEAD_LETTERS = {shape.name.removesuffix(".dlq") for shape in SHAPES if shape.name.endswith(".dlq")}


class Letters(Protocol):
    """What is needed of a stream.log.reading.consume.LogReader over dead letters."""

    def poll(self, timeout_s: float) -> list[Record]:
        """The next records."""

    def caught_up(self, topic: str, partition: int) -> bool:
        """Whether there are no more."""

    def partitions(self, topic: str) -> int:
        """How many partitions the topic has."""

    def close(self) -> None:
        """Release the connection."""


@dataclass
class _Waiting:
    batch: UnreadableBatch
    tried_s: float


class UnreadablePartitions:
    """One thread: the reader's."""

    def __init__(
        self,
        consumer: Any,
        topics: Mapping[str, TopicDescription],
        open_letters: Callable[[tuple[str, ...], str, Callable[[], tuple[()]]], Letters],
        *,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        """`topics` by short name; `open_letters` is a LogReader with its settings."""
        self._consumer = consumer
        self._topics = topics
        self._short = {topic.name: short for short, topic in topics.items()}
        self._open_letters = open_letters
        self._letters: Letters | None = None
        self._look_every_s = look_every_s
        self._looked_s = float("-inf")
        self._waiting: dict[TopicPartition, _Waiting] = {}
        self._skips: set[Skip] = set()
        self._passed: list[UnreadableBatch] = []

    def __contains__(self, at: object) -> bool:
        return at in self._waiting

    def poll(self, timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        """What the consumer gives; a batch that cannot be read stops its partition alone.

        Raises:
            CheckpointError: nobody can go past it.
        """
        if self._waiting:
            self._turn()
        try:
            polled = dict(self._consumer.poll(timeout_ms=timeout_ms))
        except UnreadableBatchError as error:
            self._meet(error.batch)
            return {}
        for at in [at for at in self._waiting if at in polled]:  # it can be read again
            self._forget(at)
        return polled

    def take_lost(self) -> list[ConsumerRecord]:
        """An empty record for each batch that was left out by the last poll, at its last offset."""
        passed, self._passed = self._passed, []
        return [_empty(batch) for batch in passed]

    def drop(self, partitions: Iterable[TopicPartition]) -> None:
        """These begin anew, or are another reader's."""
        for at in partitions:
            if at in self._waiting:
                self._forget(at)
            self._passed = [batch for batch in self._passed if batch.at != at]

    def close(self) -> None:
        """Release the connection."""
        if self._letters is not None:
            self._letters.close()

    def _meet(self, batch: UnreadableBatch) -> None:
        """Reading of a partition came to this batch.

        Raises:
            CheckpointError: nobody can go past it.
        """
        at = batch.at
        batch = batch.within(self._consumer.highwater(at))
        short, place = self._short[at.topic], f"topic {at.topic} partition {at.partition} offset {batch.offset}"
        if short == "models" or short.endswith(".dlq"):
            log.error("%s: cannot be read (%s); passed over, its records are lost", place, batch.why)
            self._consumer.seek(at, batch.end)
            self._passed.append(batch)
            return
        if short not in WITH_DEAD_LETTERS:
            raise CheckpointError(
                f"{place}: cannot be read ({batch.why}), and nothing may be left out here; restore the topic, or make "
                "it again and start with an empty state, from the beginning of images.v1"
            )
        self._consumer.pause(at)
        before = self._waiting.get(at)
        if before is None or before.batch.offset != batch.offset:
            log.error(
                "%s: cannot be read (%s); other partitions go on, `mekiki dlq skip %s %s %s` goes past the batch",
                place, batch.why, short, at.partition, batch.offset,
            )  # fmt: skip
            self._looked_s = float("-inf")
        self._waiting[at] = _Waiting(batch, time.monotonic())
        metrics.UNREADABLE.labels(short, str(at.partition)).set(1)

    def _turn(self) -> None:
        """Go past what an operator says; try again what may be whole elsewhere."""
        now_s = time.monotonic()
        if now_s - self._looked_s >= self._look_every_s and self._look():
            self._looked_s = now_s
        for at, waiting in list(self._waiting.items()):
            batch = waiting.batch
            if any(self._covers(skip, batch) for skip in self._skips):
                log.warning("topic %s partition %s: goes on at offset %s, an operator says so", *at, batch.end)
                self._consumer.seek(at, batch.end)
                self._consumer.resume(at)
                self._forget(at)
                self._passed.append(batch)
            elif now_s - waiting.tried_s >= AGAIN_EVERY_S:
                waiting.tried_s = now_s
                self._consumer.resume(at)

    def _forget(self, at: TopicPartition) -> None:
        del self._waiting[at]
        metrics.UNREADABLE.labels(self._short[at.topic], str(at.partition)).set(0)

    def _covers(self, skip: Skip, batch: UnreadableBatch) -> bool:
        topic = self._topics[self._short[batch.at.topic]]
        where = skip.topic_id, skip.partition
        return where == (topic.topic_id, batch.at.partition) and batch.start <= skip.offset < batch.end

    def _look(self) -> bool:
        """Take in some of what operators said; True if there is no more, or none to be had now."""
        topics = tuple(f"{short}.dlq" for short in self._topics if short in WITH_DEAD_LETTERS)
        try:
            if self._letters is None:
                self._letters = self._open_letters(topics, "skips", lambda: ())
            letters = self._letters
            self._skips |= {skip for record in letters.poll(0.0) if (skip := read_skip(record)) is not None}
            return all(letters.caught_up(topic, p) for topic in topics for p in range(letters.partitions(topic)))
        except MekikiError as error:
            log.warning("dead letters not read: %s", error)
            return True


def _empty(batch: UnreadableBatch) -> ConsumerRecord:
    at, last = batch.at, batch.end - 1
    return ConsumerRecord(at.topic, at.partition, -1, last, 0, 0, None, None, [], None, -1, -1, -1)
