"""Where a reader is in each of its partitions: where it began, in which epoch of the log, and where keys belong.

In: what the broker says of the topics, the offsets stored with the state, how images.v1 grew. Out: starts, positions,
stored offsets. Asks the broker and the state, never the consumer. Raises as `positions.starts`.
"""

from collections.abc import Callable, Iterable, Sequence

from stream.events.schema import TopicGrown
from stream.log.reading.growth import GROWING, Growth, Sizes, home_of
from stream.log.reading.positions import Start, StoredOffset, check_partitions, epoch_of, position_of, starts
from stream.log.record import Record
from stream.log.topics import describe_topics
from stream.settings import Settings


class Places:
    """See the module; one thread.

    Attributes:
        described: the topics by short name.
        short: short names by full ones.
        growth: of images.v1; `grown` reads how it grew, given its topic id.
    """

    def __init__(
        self,
        settings: Settings,
        topics: tuple[str, ...],
        stored: Callable[[], Iterable[StoredOffset]],
        grown: Callable[[str], Sizes],
    ) -> None:
        self._settings = settings
        self._stored = stored
        self._grown = grown
        self.described = describe_topics(settings, topics)
        self.short = {topic.name: short for short, topic in self.described.items()}
        self.growth = Growth()
        self._starts: dict[tuple[str, int], Start] = {}
        self._look_at_growth()

    def stored(self) -> list[StoredOffset]:
        """Where the state stands now; raises what it raises while it is away."""
        return list(self._stored())

    def choose(self) -> list[StoredOffset]:
        """Choose the start of every partition anew; the offsets it was chosen by."""
        stored, sizes = self.stored(), {GROWING: self.growth.partitions}
        self._starts = starts(self.described, stored, new_log_allowed=self._settings.embedded, grown=sizes)
        return stored

    def start(self, short: str, partition: int) -> Start:
        """The start that was chosen."""
        return self._starts[short, partition]

    def begin(self, short: str, partition: int, stored: Sequence[StoredOffset]) -> None:
        """Reading of a partition begins at its start."""
        if short == GROWING:
            self.growth.place(partition, self._starts[short, partition].epoch, stored)

    def notice(self, short: str, partitions: int) -> None:
        """A topic has so many partitions at least: as before, as somebody said, or added behind our back."""
        known = self.described[short]
        if partitions > known.partitions:
            self._look_at_growth()
            if short != GROWING or not self.growth.partitions:
                check_partitions(known, partitions, (known.partitions,))

    def begins_epoch(self, event: TopicGrown, record: Record) -> bool:
        """Whether this mark begins an epoch of its partition, which is held from then on."""
        if event.partitions != self.growth.partitions[: len(event.partitions)]:
            self._look_at_growth()  # said after this reader began
        return self.growth.begins_behind(event, record)

    def _look_at_growth(self) -> None:
        if GROWING in self.described:
            self.growth.partitions = self._grown(self.described[GROWING].topic_id)
            self.described |= describe_topics(self._settings, (GROWING,))

    def position(self, short: str, partition: int, offset: int) -> int:
        """The position of an offset."""
        return position_of(self._epoch(short, partition, offset), offset)

    def stored_offset(self, short: str, partition: int, offset: int) -> StoredOffset:
        """`offset` (the next to read) in the form that is kept with the state."""
        epoch, topic_id = self._epoch(short, partition, offset), self._starts[short, partition].topic_id
        return StoredOffset(short, partition, offset, topic_id, epoch, self._size(short, epoch))

    def home(self, record: Record) -> int:
        """The partition where a record belongs: that of its key, where a topic has several."""
        if record.topic != GROWING or not record.key:
            return record.partition
        return home_of(record.key, self._size(GROWING, epoch_of(record.position)))

    def _epoch(self, short: str, partition: int, offset: int) -> int:
        grown = self.growth.epoch(partition, offset) if short == GROWING else None
        return self._starts[short, partition].epoch if grown is None else grown

    def _size(self, short: str, epoch: int) -> int:
        sizes = self.growth.partitions if short == GROWING else ()
        return sizes[epoch] if sizes else self.described[short].partitions
