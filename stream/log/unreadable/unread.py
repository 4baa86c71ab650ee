"""What our readers have not read, partition by partition: what was committed to Kafka against the ends of the log.

In: settings. Out: a snapshot; it asks the broker. Fails with BrokerUnavailableError or ConfigurationError.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from kafka import TopicPartition
from kafka.admin import OffsetSpec

from stream.log.client import admin_client
from stream.log.topics import describe_topics
from stream.log.unreadable.batches import UnreadableBatch, read_at
from stream.settings import Settings

READERS = {"images": "ingest", "operations": "ingest", "examples": "tags", "clicks": "ranking"}  # groups, by topic


@dataclass(frozen=True)
class Unread:
    """Of one partition: the offset of the next record to read, and how many there are at least."""

    topic: str
    partition: int
    offset: int
    records: int

    @property
    def place(self) -> tuple[str, int]:
        """Topic and partition."""
        return self.topic, self.partition


def find_unread(settings: Settings) -> list[Unread]:
    """The partitions that have unread records. A transaction's own marks at the end of one look like records."""
    described = describe_topics(settings, tuple(READERS))
    places = {TopicPartition(d.name, p): short for short, d in described.items() for p in range(d.partitions)}
    committed: dict[TopicPartition, int] = {}
    with admin_client(settings) as client:
        for reader in sorted(set(READERS.values())):
            group = f"{settings.kafka.topic_prefix}.{reader}"
            committed |= {at: found.offset for at, found in client.list_group_offsets({group: None})[group].items()}
        first = client.list_partition_offsets(dict.fromkeys(places, OffsetSpec.EARLIEST))
        end = client.list_partition_offsets(dict.fromkeys(places, OffsetSpec.LATEST))
    following = {at: max(committed.get(at, -1), first[at].offset) for at in places}
    waiting = {at: end[at].offset - following[at] for at in places}
    if settings.embedded:  # its end is the beginning of the last batch
        quiet = {at: following[at] for at, records in waiting.items() if records <= 0}
        waiting |= dict.fromkeys(read_at(settings, quiet), 1)
    return [Unread(places[at], at.partition, following[at], records) for at, records in waiting.items() if records > 0]


def look_at(settings: Settings, waiting: Sequence[Unread]) -> dict[tuple[str, int], bool]:
    """The places where there is a record indeed, and whether it can be read."""
    places = {TopicPartition(settings.topic(one.topic), one.partition): one for one in waiting}
    found = read_at(settings, {at: one.offset for at, one in places.items()})
    return {places[at].place: not isinstance(what, UnreadableBatch) for at, what in found.items()}
