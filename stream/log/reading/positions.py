"""Where records stand in the log, and where reading goes on.

In: topics, and the offsets that were stored with the state they produced. Out: the start of each partition. Raises
OffsetLostError where going on would skip or repeat silently.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

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


def epoch_of(position: int) -> int:
    """The epoch of the log that a position is in."""
    return (position - 1) >> OFFSET_BITS


def starts(
    topics: Mapping[str, TopicDescription],
    stored: Iterable[StoredOffset],
    *,
    new_log_allowed: bool,
    grown: Mapping[str, Sequence[int]] = MappingProxyType({}),
) -> dict[tuple[str, int], Start]:
    """Choose the start of every partition, explicitly.

    Args:
        topics: by short name.
        stored: offsets kept with the state.
        new_log_allowed: the embedded broker forgets everything when it stops: another topic id then means "new log,
            same state" and begins the next epoch. With any other broker it means somebody made the topic again.
        grown: by short name, how many partitions a topic had in each epoch, where it was made to grow.

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
        sizes = grown.get(short, ())
        if sizes:
            check_partitions(topic, max(topic.partitions, sizes[-1]), sizes[-1:])  # fewer: they are just being made
        elif not renewed:
            check_partitions(topic, topic.partitions, (o.partitions for o in mine if o.epoch == epoch))
        if epoch + renewed > MAX_EPOCH:
            raise ConfigurationError(
                f"topic {topic.name}: {MAX_EPOCH + 1} new logs since the state began; start with an "
                "empty data directory and post the pictures again"
            )
        for partition in range(topic.partitions):
            at = known.get((short, partition))
            if at is not None and at.topic_id == topic.topic_id:
                chosen[short, partition] = Start(at.offset, at.epoch, topic.topic_id)
            else:
                made = next((number for number, size in enumerate(sizes) if partition < size), epoch + renewed)
                chosen[short, partition] = Start(None, made, topic.topic_id)
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
                f"is written now could lose to what was before. Run `mekiki topics grow {found} --from {partitions}`, "
                "then start again"
            )
