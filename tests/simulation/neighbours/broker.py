"""Kafka in a world: a log with partitions, and a producer that loses requests and answers."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from models.errors import BrokerUnavailableError
from stream.events.codec import Headers, encode
from stream.events.schema import Event, TopicGrown
from stream.log.reading.growth import grown_by, home_of
from stream.log.reading.positions import position_of
from stream.log.record import Record
from tests.simulation.chance import Chance

Place = tuple[str, int]
IMAGE_PARTITIONS = 2


class Process(Protocol):
    """What the neighbours need to know of a process that calls them."""

    name: str

    def moment(self, write: str) -> None:
        """Before and after a write: it may end here, or stand still while others go on."""

    def check(self, neighbour: str) -> None:
        """Raises what a neighbour that is away makes a call raise."""


@dataclass(frozen=True)
class Sent:
    """A record on its way to the broker."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    partition: int | None = None
    timestamp_ms: int | None = None


class Broker:
    """The log.

    Attributes:
        sizes: how many partitions images.v1 had in each epoch.
        late: requests that nobody waits for any more, and that arrive all the same.
        now_ms: the clock of the world.
    """

    def __init__(self, chance: Chance) -> None:
        self.chance = chance
        self.sizes = [IMAGE_PARTITIONS]
        self.late: list[Sent] = []
        self.now_ms = 1_000
        self._records: dict[Place, list[Record]] = defaultdict(list)
        self._marks: dict[Place, list[int]] = defaultdict(list)  # offsets from which an epoch begins
        self._unmarked = False  # partitions were added, and producers may not have noticed

    def append(self, sent: Sent) -> None:
        """Put a record at the end of its partition."""
        partition = sent.partition
        if partition is None:
            partition = self._partition_of(sent)
        records = self._records[sent.topic, partition]
        offset, time_ms = len(records), self.now_ms if sent.timestamp_ms is None else sent.timestamp_ms
        record = Record(sent.topic, partition, offset, 0, time_ms, sent.key, sent.value, tuple(sent.headers))
        records.append(replace(record, position=position_of(self._epoch(sent.topic, partition), offset)))
        if sent.topic == "images" and grown_by(record) is not None:
            self._marks["images", partition].append(offset + 1)

    def _partition_of(self, sent: Sent) -> int:
        if sent.topic != "images":
            return 0
        if self.chance.hits("a producer puts a record into another partition"):
            return self.chance.below(self.sizes[-1])
        late = self._unmarked and self.chance.below(2)
        return home_of(sent.key or b"", self.sizes[-2 if late else -1])

    def _epoch(self, topic: str, partition: int) -> int:
        """Of the next record."""
        if topic != "images":
            return 0
        made = next(epoch for epoch, size in enumerate(self.sizes) if partition < size)
        return made + len(self._marks[topic, partition])

    def grow(self) -> None:
        """Add a partition, or say so in those before it, where that was not done yet."""
        if not self._unmarked:
            self.sizes.append(self.sizes[-1] + 1)
            self._unmarked = True
            return
        self._unmarked = False
        key, value, headers = encode(self.grown, source="/operator")
        for partition in range(self.sizes[-2]):
            self.append(Sent("images", key, value, headers, partition))

    def finish_growing(self) -> None:
        """Say what was not said yet."""
        if self._unmarked:
            self.grow()

    @property
    def grown(self) -> TopicGrown:
        """What topics.v1 says, if there is more than one size."""
        return TopicGrown(topic_id="id", partitions=tuple(self.sizes))

    def arrive_late(self) -> None:
        """What was on its way arrives."""
        for sent in self.late:
            self.append(sent)
        self.late.clear()

    def read(self, place: Place, offset: int = 0, most: int = 1_000_000) -> list[Record]:
        """Records from `offset` on."""
        return self._records[place][offset : offset + most]

    def end(self, place: Place) -> int:
        """The offset of the next record."""
        return len(self._records[place])

    def places(self, *topics: str) -> list[Place]:
        """The partitions of topics."""
        return [(topic, partition) for topic in topics for partition in range(self.size(topic))]

    def size(self, topic: str) -> int:
        """How many partitions a topic has."""
        return self.sizes[-1] if topic == "images" else 1


class Writer:
    """See LogWriter. Records go in requests, one after another for each topic; what is lost was said to be."""

    def __init__(self, broker: Broker, process: Process) -> None:
        self._broker, self._process, self._chance = broker, process, broker.chance
        self._waiting: list[Sent] = []

    def send(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Headers, *,
        partition: int | None = None, timestamp_ms: int | None = None,
    ) -> None:  # fmt: skip
        """Queue one record; what waits may go out at any time."""
        self._process.check("broker")
        self._waiting.append(Sent(topic, key, value, headers, partition, timestamp_ms))

    def flush(self) -> None:
        """Everything arrives, or it raises and nobody knows what did."""
        if not self._waiting:
            return
        self._process.moment("examples and dead letters")
        waiting, self._waiting = self._waiting, []
        try:
            self._process.check("broker")
            refused = self._chance.hits("broker refuses, nothing is written")
        except BrokerUnavailableError:
            self._lose(waiting)
            raise
        if refused:
            self._lose(waiting)
            raise BrokerUnavailableError("broker: refused")
        if self._chance.hits("part of the requests arrive, then killed"):
            self._arrive(waiting[: self._chance.below(len(waiting) + 1)])
            self._process.moment("killed")
        if len(waiting) > 1 and self._chance.hits("an early request is lost, later ones arrive"):
            first = 1 + self._chance.below(len(waiting) - 1)
            self._arrive(waiting[first:])
            self._lose(waiting[:first])
            raise BrokerUnavailableError("broker: no acknowledgement of some")
        self._arrive(waiting)
        if self._chance.hits("broker writes, the answer is lost"):
            raise BrokerUnavailableError("broker: no answer")
        self._process.moment("examples and dead letters")

    def send_now(self, event: Event, *, event_id: str) -> None:
        """One event arrives, or it raises and nobody knows whether it did."""
        self._process.moment("examples and dead letters")
        self._process.check("broker")
        if self._chance.hits("broker refuses, nothing is written"):
            raise BrokerUnavailableError("broker: refused")
        self._arrive([Sent(event.topic, *encode(event, source="/ingest", event_id=event_id))])
        if self._chance.hits("broker writes, the answer is lost"):
            raise BrokerUnavailableError("broker: no answer")
        self._process.moment("examples and dead letters")

    def close(self) -> None:
        """What waits arrives: the process ends, and nothing is wrong."""
        self._arrive(self._waiting)
        self._waiting = []

    def _arrive(self, sent: Iterable[Sent]) -> None:
        for one in sent:
            self._broker.append(one)

    def _lose(self, sent: list[Sent]) -> None:
        if self._chance.hits("a lost request arrives late"):
            self._broker.late += sent
