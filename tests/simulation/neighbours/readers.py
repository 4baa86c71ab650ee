"""Who reads what in a world: a group that shares partitions, and readers that begin where the state stands.

A member that was fenced off learns of it at its next poll, and finishes what it holds meanwhile.
"""

from collections.abc import Callable, Iterable

from stream.log.reading.positions import StoredOffset
from stream.log.record import Record
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
        return StoredOffset(topic, partition, offset, "id", 0, self._broker.partitions[topic])

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
            stored = {(at.topic, at.partition): at.offset for at in self._stored()}  # the state may be away
            self._offsets = {place: stored.get(place, 0) for place in sorted(share)}
            self._on_assigned()
        found: list[Record] = []
        for place, offset in self._offsets.items():
            records = self._broker.read(place, offset, most)
            self._offsets[place] += len(records)
            found += records
        return found

    def owns(self, place: Place) -> bool:
        """Whether the group counts this partition as ours."""
        return self in self._group.members and place in (self._group.share(self) or ())

    def is_behind(self) -> bool:
        """Whether there is more to read, or a rebalance to take part in."""
        if self._offsets is None or self not in self._group.members or self._generation != self._group.generation:
            return True
        return any(offset < self._broker.end(place) for place, offset in self._offsets.items())

    def stored_offset(self, topic: str, partition: int, offset: int) -> StoredOffset:
        return StoredOffset(topic, partition, offset, "id", 0, self._broker.partitions[topic])
