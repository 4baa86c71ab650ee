"""Where records stand in the log, and where reading goes on.

In: topics, and the offsets that were stored with the state they produced. Out: the start of each partition. Raises
OffsetLostError where going on would skip or repeat silently.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from models.errors import ConfigurationError, OffsetLostError
from stream.log.topics import TopicDescription

OFFSET_BITS = 41  # epoch and offset share a number below 2^53, so that float64 range filters stay exact


MAX_EPOCH = (1 << (53 - OFFSET_BITS)) - 1


def position_of(epoch: int, offset: int) -> int:
    """One growing number for (epoch of the log, offset in it); 0 is reserved for "never"."""
    return (epoch << OFFSET_BITS) + offset + 1


@dataclass(frozen=True)
class StoredOffset:
    """Where one consumer goes on: `offset` is the next to read of a topic with this id and so many partitions."""

    topic: str
    partition: int
    offset: int
    topic_id: str
    epoch: int
    partitions: int = 0  # 0: not known

    @property
    def position(self) -> int:
        """Grows with every write."""
        return position_of(self.epoch, self.offset)


@dataclass(frozen=True)
class Start:
    """Where reading of a partition begins; `offset` None means at the beginning of a log never read before."""

    offset: int | None
    epoch: int
    topic_id: str


def starts(
    topics: Mapping[str, TopicDescription], stored: Iterable[StoredOffset], *, new_log_allowed: bool
) -> dict[tuple[str, int], Start]:
    """Choose the start of every partition, explicitly.

    Args:
        topics: by short name.
        stored: offsets kept with the state.
        new_log_allowed: the embedded broker forgets everything when it stops: another topic id then means "new log,
            same state" and begins the next epoch. With any other broker it means somebody made the topic again.

    Raises:
        OffsetLostError: a topic has another id than the one the state was made from.
        ConfigurationError: it has another number of partitions: the events of an image may have moved to one of which
            the positions cannot be compared with those before.
    """
    known = {(o.topic, o.partition): o for o in stored}
    chosen: dict[tuple[str, int], Start] = {}
    for short, topic in topics.items():
        mine = [o for (name, _), o in known.items() if name == short]
        epoch = max((o.epoch for o in mine), default=0)
        renewed = any(o.topic_id != topic.topic_id for o in mine if o.epoch == epoch)
        if renewed and not new_log_allowed:
            raise OffsetLostError(
                f"topic {topic.name}: was made again (id {topic.topic_id}, the state knows "
                f"{mine[0].topic_id}); restore the old topic, or start with an empty state"
            )
        if not renewed:
            check_partitions(topic, topic.partitions, (o.partitions for o in mine if o.epoch == epoch))
        if epoch + renewed > MAX_EPOCH:
            raise ConfigurationError(
                f"topic {topic.name}: {MAX_EPOCH + 1} new logs since the state began; start with an "
                "empty data directory and post the pictures again"
            )
        for partition in range(topic.partitions):
            at = known.get((short, partition))
            same = at is not None and at.topic_id == topic.topic_id
            offset = at.offset if at is not None and same else None
            chosen[short, partition] = Start(offset, epoch + renewed, topic.topic_id)
    return chosen


def check_partitions(topic: TopicDescription, found: int, known: Iterable[int]) -> None:
    """Refuse a topic that grew under the state.

    Raises:
        ConfigurationError: it has `found` partitions and the state knows another number (0: it knows none).
    """
    for partitions in known:
        if partitions not in (0, found):
            raise ConfigurationError(
                f"topic {topic.name}: has {found} partitions, the state knows {partitions}; keys have moved, and what "
                "is written now could lose to what was before. Make a topic with the old number, or start with an "
                "empty state and post everything again"
            )
