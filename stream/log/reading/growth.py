"""How images.v1 got more partitions, and where each of its records belongs.

In: `TopicGrown` on topics.v1, which says it to everybody, and the same event as a mark in each partition that was there
before. Out: the log epoch of each partition, its home for a key, and whether a new epoch may begin. With another number
of partitions keys move; positions stay comparable because everything before the marks is in the state, whoever reads
it, before anything behind them is read, and because what comes to another partition than its home is sent there.
"""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from kafka.partitioner.default import murmur2

from models.errors import PoisonError
from stream.events.codec import decode
from stream.events.schema import TopicGrown
from stream.log.reading.positions import StoredOffset
from stream.log.record import Record

Sizes: TypeAlias = tuple[int, ...]  # how many partitions images.v1 had in each epoch
GROWING = "images"  # the only topic that does
_TYPE = ("ce_type", TopicGrown.type.encode())


def grown_by(record: Record) -> TopicGrown | None:
    """The event of a record that says how a topic grew; None for any other, and for one that cannot be read."""
    if _TYPE not in record.headers:
        return None
    try:
        event = decode(record.key, record.value, record.headers).event
    except PoisonError:
        return None
    return event if isinstance(event, TopicGrown) else None


def home_of(key: bytes, partitions: int) -> int:
    """The partition of a key, as Kafka's default partitioner chooses it; some clients have another default.

    Source: Apache Kafka, BuiltInPartitioner.partitionForKey.
    """
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


class Growth:
    """How images.v1 grew, and in which epoch each of its partitions is, as they are read; one thread.

    Attributes:
        partitions: how many there were in each epoch, the present one last; empty where it never grew.
        held: partitions of which nothing may be read yet: the epoch before is not read to its end.
    """

    def __init__(self, partitions: Sizes = ()) -> None:
        self.partitions = partitions
        self.held: set[int] = set()
        self._epochs: dict[int, list[tuple[int, int]]] = {}  # first offset of each epoch, and its number, ascending

    def place(self, partition: int, epoch: int, stored: Iterable[StoredOffset]) -> None:
        """Reading of a partition begins in this epoch."""
        self._epochs[partition] = [(0, epoch)]
        self.held.discard(partition)
        if not self._may_begin(epoch, stored):
            self.held.add(partition)

    def epoch(self, partition: int, offset: int) -> int | None:
        """The epoch of an offset of a partition that is read; None for others."""
        begun = self._epochs.get(partition, [])
        return next((epoch for first, epoch in reversed(begun) if first <= offset), None)

    def begins_behind(self, event: TopicGrown, record: Record) -> bool:
        """Whether a mark begins an epoch of its partition, which is held then; not one that came twice or is forged."""
        epoch = len(event.partitions) - 1
        known = event.partitions == self.partitions[: epoch + 1]
        begun = self._epochs[record.partition]
        if not known or epoch <= begun[-1][1]:
            return False
        begun.append((record.offset + 1, epoch))
        self.held.add(record.partition)
        return True

    def release(self, stored: Sequence[StoredOffset]) -> list[int]:
        """Partitions that need not be held any more."""
        free = [partition for partition in self.held if self._may_begin(self._epochs[partition][-1][1], stored)]
        self.held.difference_update(free)
        return free

    def _may_begin(self, epoch: int, stored: Iterable[StoredOffset]) -> bool:
        """Whether all partitions of the epoch before have been read to its end."""
        if epoch == 0 or not self.partitions:
            return True
        epochs = {at.partition: at.epoch for at in stored if at.topic == GROWING}
        return all(epochs.get(partition, 0) >= epoch for partition in range(self.partitions[epoch - 1]))


def never_grew(topic_id: str) -> Sizes:
    """No topic did: the log of an embedded broker begins anew instead."""
    return ()


def growth_of(topic_id: str, records: Iterable[Record]) -> Sizes:
    """How many partitions a topic had in each epoch, as topics.v1 says; empty if it never grew."""
    said = [event for record in records if (event := grown_by(record)) is not None and event.topic_id == topic_id]
    return said[-1].partitions if said else ()
