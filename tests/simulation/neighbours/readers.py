"""Who reads what in a world: a group that shares partitions, and readers that begin where the state stands.

A member that was fenced off learns of it at its next poll, and finishes what it holds meanwhile.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from stream.log.reading.growth import Growth, grown_by, home_of
from stream.log.reading.positions import StoredOffset, epoch_of, position_of, starts
from stream.log.record import Record
from stream.log.topics import TopicDescription
from tests.simulation.neighbours.broker import Broker, Place, Process


class Group:
    """Who owns which partitions: in a rebalance everybody gives up what it had before anybody gets anything."""

    def __init__(self, broker: Broker, topics: tuple[str, ...]) -> None:
        self.generation = 0
        self.members: list[GroupReader] = []
        self._broker, self._topics = broker, topics
        self._joined: set[GroupReader] = set()
        self._shares: dict[Place, GroupReader] | None = None

    def rebalance(self) -> None:
        """Everybody has to take part in its next poll."""
        self.generation += 1
        self._joined, self._shares = set(), None

    def leave(self, reader: "GroupReader") -> None:
        """A member ended, or was not heard of for too long."""
        if reader in self.members:
            self.members.remove(reader)
            self.rebalance()

    def join(self, reader: "GroupReader") -> None:
        """A member gave up what it had."""
        if reader not in self.members:
            self.members.append(reader)
            self.rebalance()
        self._joined.add(reader)
        if self._joined >= set(self.members):
            places = self._broker.places(*self._topics)
            self._shares = {place: self._broker.chance.pick(self.members) for place in places}

    def share(self, reader: "GroupReader") -> set[Place] | None:
        """The partitions of a member; None while others have not joined."""
        if self._shares is None:
            return None
        return {place for place, owner in self._shares.items() if owner is reader}


class SoloReader:
    """See LogReader: all of one topic, from the offsets that the state has."""

    def __init__(self, broker: Broker, process: Process, topic: str, stored: Iterable[StoredOffset]) -> None:
        self._broker, self._process = broker, process
        self._place = (topic, 0)
        self.offset = max((at.offset for at in stored), default=0)

    def poll(self, most: int) -> list[Record]:
        """The next records."""
        self._process.check("broker")
        found = self._broker.read(self._place, self.offset, most)
        self.offset += len(found)
        return found

    def is_behind(self) -> bool:
        """Whether there is more to read."""
        return self.offset < self._broker.end(self._place)

    def stored_offset(self, topic: str, partition: int, offset: int) -> StoredOffset:
        return StoredOffset(topic, partition, offset, "id", 0, self._broker.size(topic))

    def commit_offsets(self, offsets: Iterable[StoredOffset], *, wait: bool = False) -> None:
        """Lag tools live elsewhere."""


class GroupReader:
    """See LogReader: the partitions that the group gives, each from where the state stands when it comes."""

    def __init__(
        self, broker: Broker, group: Group, process: Process,
        on_revoked: Callable[[set[Place]], None], on_assigned: Callable[[], None],
        stored: Callable[[], Iterable[StoredOffset]],
    ) -> None:  # fmt: skip
        self._broker, self._group, self._process = broker, group, process
        self._on_revoked, self._on_assigned, self._stored = on_revoked, on_assigned, stored
        self._generation = 0
        self._offsets: dict[Place, int] | None = None  # None: waits for its partitions
        self._growth = Growth()
        self.assigned: frozenset[int] = frozenset()

    def poll(self, most: int) -> list[Record]:
        """The next records; takes part in a rebalance."""
        self._process.check("broker")
        group = self._group
        if self not in group.members or self._generation != group.generation:
            self._on_revoked(set(self._offsets or ()))
            self._offsets = None
            group.join(self)
            self._generation = group.generation
        if self._offsets is None:
            share = group.share(self)
            if share is None:
                return []
            stored = list(self._stored())  # the state may be away
            self._offsets = self._begin(share, stored)
            self.assigned = frozenset(partition for topic, partition in share if topic == "images")
            self._on_assigned()
        if self._growth.held:
            self._growth.release(list(self._stored()))
        found: list[Record] = []
        for place in self._offsets:
            if place[0] != "images" or place[1] not in self._growth.held:
                found += self._read(place, most)
        return found

    def _begin(self, share: set[Place], stored: list[StoredOffset]) -> dict[Place, int]:
        """Where the state stands, by what the real reader goes by."""
        sizes = self._broker.sizes
        self._growth = Growth(tuple(sizes) if len(sizes) > 1 else ())
        topics = {name: TopicDescription(name, "id", self._broker.size(name)) for name in ("images", "operations")}
        begun = starts(topics, stored, new_log_allowed=False, grown={"images": self._growth.partitions})
        for topic, partition in share:
            if topic == "images":
                self._growth.place(partition, begun[topic, partition].epoch, stored)
        return {place: begun[place].offset or 0 for place in sorted(share)}

    def _read(self, place: Place, most: int) -> list[Record]:
        """The next records of a partition, up to a mark that begins an epoch."""
        assert self._offsets is not None
        found = []
        for record in self._broker.read(place, self._offsets[place], most):
            self._offsets[place] += 1
            found.append(replace(record, position=position_of(self._epoch(*place, record.offset), record.offset)))
            event = grown_by(record) if place[0] == "images" else None
            if event is not None:
                self._growth.partitions = tuple(self._broker.sizes)
                if self._growth.begins_behind(event, record):
                    break
        return found

    def _epoch(self, topic: str, partition: int, offset: int) -> int:
        return (self._growth.epoch(partition, offset) or 0) if topic == "images" else 0

    def home(self, record: Record) -> int:
        """See LogReader.home."""
        if record.topic != "images" or not record.key:
            return record.partition
        return home_of(record.key, self._broker.sizes[epoch_of(record.position)])

    def owns(self, place: Place) -> bool:
        """Whether the group counts this partition as ours."""
        return self in self._group.members and place in (self._group.share(self) or ())

    def is_behind(self) -> bool:
        """Whether there is more to read, or a rebalance to take part in."""
        if self._offsets is None or self not in self._group.members or self._generation != self._group.generation:
            return True
        return any(offset < self._broker.end(place) for place, offset in self._offsets.items())

    def stored_offset(self, topic: str, partition: int, offset: int) -> StoredOffset:
        epoch = self._epoch(topic, partition, offset)
        return StoredOffset(topic, partition, offset, "id", epoch, self._broker.size(topic))
