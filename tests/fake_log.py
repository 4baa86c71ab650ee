"""Kafka in memory: a log with partitions, and readers that share them and can be away. (The writer is in `fakes`.)

They behave as `stream.log` does where the service depends on it: reading begins where the state stands, a rebalance
takes everything away before it gives anything, a commit counts only for what is assigned.
"""

import threading
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable

from models.errors import BrokerUnavailableError
from stream.events.schema import Event
from stream.log.reading.consume import Record
from stream.log.reading.positions import StoredOffset
from tests.fakes import make_record

PAUSE_S = 0.001  # of a poll that finds nothing; it ends when something is posted


class MemoryLog:
    """Topics of `partitions` partitions each, and the group of readers that share them."""

    def __init__(self, partitions: int = 1) -> None:
        self.partitions = partitions
        self.committed: dict[tuple[str, int], int] = {}  # what lag tools see
        self.news = threading.Condition()
        self._records: dict[tuple[str, int], list[Record]] = defaultdict(list)
        self._posted = 0
        self._assignment: dict[FakeReader, set[int]] = {}
        self._revoked: set[FakeReader] = set()

    def append(self, *records: Record) -> None:
        """Put records at the end of their partitions; their offsets must fit."""
        with self.news:
            for record in records:
                partition = self._records[record.topic, record.partition]
                assert record.offset == len(partition), f"{record.topic}: offset {record.offset}, not {len(partition)}"
                partition.append(record)
            self.news.notify_all()

    def post(self, *events: Event, event_id: str = "", time_ms: int | None = None) -> None:
        """Append events, each to the partition of its key; long ago and a millisecond apart unless a time is given."""
        for event in events:
            self._posted += 1
            at = 0 if event.topic == "operations" else self.partition_of(event.key())
            offset, posted_ms = self.end(event.topic, at), 1_000 + self._posted if time_ms is None else time_ms
            record = make_record(event, offset=offset, partition=at, timestamp_ms=posted_ms, event_id=event_id)
            self.append(record)

    def partition_of(self, key: str) -> int:
        """Where an event with this key goes."""
        return zlib.crc32(key.encode()) % self.partitions

    def end(self, topic: str, partition: int) -> int:
        """The offset of the next record."""
        return len(self._records[topic, partition])

    def ends(self) -> dict[tuple[str, int], int]:
        """The end of every partition that has records."""
        return {place: len(records) for place, records in self._records.items() if records}

    def read(self, topic: str, partition: int, offset: int) -> list[Record]:
        """What stands at `offset` and after it."""
        with self.news:
            return self._records[topic, partition][offset:]

    def rebalance(self, assignment: dict["FakeReader", set[int]]) -> None:
        """Share partitions anew; each reader takes part in its next poll, and waits for the others there."""
        with self.news:
            self._assignment, self._revoked = assignment, set()
            for reader in assignment:
                reader.revoking.clear()

    def take_part(self, reader: "FakeReader") -> set[int] | None:
        """The partitions of a reader that gave up what it had; None while others have not."""
        with self.news:
            self._revoked.add(reader)
            return self._assignment[reader] if self._revoked >= self._assignment.keys() else None

    def is_rebalancing(self, reader: "FakeReader") -> bool:
        """Whether this reader has to take part in a rebalance."""
        with self.news:
            return reader in self._assignment and reader not in self._revoked


class FakeReader:
    """See stream.log.reading.consume.LogReader. The next `away` polls fail; a poll returns at most `most` records."""

    def __init__(
        self,
        log: MemoryLog,
        topics: tuple[str, ...],
        stored: Callable[[], Iterable[StoredOffset]] = tuple,
        *,
        on_revoked: Callable[[set[tuple[str, int]]], None] | None = None,
        on_assigned: Callable[[], None] | None = None,
        group_wide: bool = False,
    ) -> None:
        self.away = 0
        self.polls = 0
        self.homes: dict[str, int] = {}  # of keys that a producer put elsewhere
        self.most = 2_000
        self.paused: set[tuple[str, int]] = set()
        self.revoking = threading.Event()  # it was asked to give up what it had
        self.at_end: Callable[[], None] | None = None  # called by a poll that finds nothing
        self._log, self._topics, self._stored = log, topics, stored
        self._on_revoked, self._on_assigned = on_revoked, on_assigned
        self._offsets: dict[tuple[str, int], int] = {}  # the next to return, of what is assigned
        self._unplaced: set[int] | None = None  # gave up what it had, waits for its new partitions
        if not group_wide:
            self._place(set(range(log.partitions)))

    def poll(self, timeout_s: float, max_records: int | None = None) -> list[Record]:
        """The next records; takes part in a rebalance."""
        self.polls += 1
        self._check()
        if self._log.is_rebalancing(self):
            self.revoking.set()
            if self._on_revoked is not None:
                self._on_revoked(set(self._offsets))
            self._offsets, self._unplaced = {}, set()
        if self._unplaced is not None:
            mine = self._log.take_part(self)
            if mine is None:
                return []
            self._place(mine)  # may raise: then the next poll tries again
            if self._on_assigned is not None:
                self._on_assigned()
            self._unplaced = None
        found = self._next(min(max_records or self.most, self.most))
        if not found and self.at_end is not None:
            self.at_end()
        elif not found and timeout_s:
            with self._log.news:
                self._log.news.wait(min(timeout_s, PAUSE_S))
        return found

    def _check(self) -> None:
        if self.away:
            self.away -= 1
            raise BrokerUnavailableError("Kafka: away")

    def _place(self, partitions: set[int]) -> None:
        stored = {(at.topic, at.partition): at.offset for at in self._stored()}
        places = [(topic, partition) for topic in self._topics for partition in sorted(partitions)]
        self._offsets = {place: stored.get(place, 0) for place in places}
        self.paused.clear()

    def _next(self, most: int) -> list[Record]:
        found: list[Record] = []
        for place, offset in self._offsets.items():
            if place not in self.paused:
                taken = self._log.read(*place, offset)[: most - len(found)]
                self._offsets[place] += len(taken)
                found += taken
        return found

    @property
    def assigned(self) -> frozenset[int]:
        """Partitions of images.v1 that are this reader's now."""
        return frozenset(partition for topic, partition in list(self._offsets) if topic == "images")

    def position(self, topic: str, partition: int) -> int:
        """The offset of the next record that `poll` returns."""
        return self._offsets.get((topic, partition), 0)

    def caught_up(self, topic: str, partition: int) -> bool:
        """Asks the broker, as the real one does."""
        self._check()
        return self._offsets.get((topic, partition), -1) == self._log.end(topic, partition)

    def partitions(self, topic: str) -> int:
        return self._log.partitions

    def stored_offset(self, topic: str, partition: int, offset: int) -> StoredOffset:
        return StoredOffset(topic, partition, offset, "id", 0)

    def home(self, record: Record) -> int:
        """Where it came, unless it is told otherwise: the fake log has one way to choose a partition."""
        return self.homes.get((record.key or b"").decode(), record.partition)

    def commit_offsets(self, offsets: Iterable[StoredOffset], *, wait: bool = False) -> None:
        """Commit what is assigned; a broker that is away takes nothing and nobody minds."""
        mine = {(at.topic, at.partition): at.offset for at in offsets if (at.topic, at.partition) in self._offsets}
        if mine and not self.away:
            self._log.committed |= mine

    def pause(self, topic: str) -> None:
        self.paused |= {place for place in self._offsets if place[0] == topic}

    def resume(self, topic: str) -> None:
        self.paused -= {place for place in self._offsets if place[0] == topic}

    def close(self) -> None:
        """Nothing to release."""
