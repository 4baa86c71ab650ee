"""Kafka in a world: a log with partitions, and a producer that loses requests and answers."""

import zlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from models.errors import BrokerUnavailableError
from stream.events.codec import Headers
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
    """The log. A topic that grows would change `partitions` and begin a rebalance: nothing else counts them.

    Attributes:
        late: requests that nobody waits for any more, and that arrive all the same.
        now_ms: the clock of the world.
    """

    def __init__(self, chance: Chance) -> None:
        self.chance = chance
        self.partitions: dict[str, int] = defaultdict(lambda: 1, images=IMAGE_PARTITIONS)
        self.late: list[Sent] = []
        self.now_ms = 1_000
        self._records: dict[Place, list[Record]] = defaultdict(list)

    def append(self, sent: Sent) -> None:
        """Put a record at the end of its partition."""
        partition = sent.partition
        if partition is None:
            partition = zlib.crc32(sent.key or b"") % self.partitions[sent.topic]
        records = self._records[sent.topic, partition]
        offset, time_ms = len(records), self.now_ms if sent.timestamp_ms is None else sent.timestamp_ms
        records.append(Record(
            sent.topic, partition, offset, position_of(0, offset), time_ms, sent.key, sent.value, tuple(sent.headers),
        ))  # fmt: skip

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
        return [(topic, partition) for topic in topics for partition in range(self.partitions[topic])]


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
