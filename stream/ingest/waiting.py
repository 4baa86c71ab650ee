"""Events that wait for an image that is not there: how many do in each partition, and the end of the oldest.

In: the records of images as they are written, and those of the index where a worker begins. Out: `WaitingEnded` events
on images.v1 for the oldest where more wait than a partition may keep. So what ends, and when, stands in the log: the
state of an image stays a function of its events, whoever counts, and however often.
"""

from stream.events.codec import encode
from stream.events.schema import WaitingEnded
from stream.index.contract import VectorIndex
from stream.index.payload import IndexRecord
from stream.ingest.waits import events_of
from stream.log.produce import LogWriter

PAGE = 256  # records asked for at once
SOURCE = "mekiki/ingest"


class WaitingEvents:
    """Counts what waits; one thread."""

    def __init__(self, index: VectorIndex, writer: LogWriter, limit: int) -> None:
        self._index = index
        self._writer = writer
        self._limit = limit
        self._loaded = False
        self._waiting: dict[str, dict[int, int]] = {}  # image id -> position -> partition, of each of its events
        self._counts: dict[int, int] = {}  # by partition

    def clear(self) -> None:
        """Partitions changed hands: what is known may be old."""
        self._loaded = False

    def load(self) -> None:
        """Read what waits from the index, if that is not known.

        Raises:
            IndexUnavailableError: try again.
        """
        if self._loaded:
            return
        self._waiting, self._counts, cursor = {}, {}, None
        while True:
            found, cursor = self._index.scroll_waiting(cursor, PAGE)
            for record in found:
                self.put(record)
            if cursor is None:
                self._loaded = True
                return

    def put(self, record: IndexRecord) -> None:
        """An image as it is from now on."""
        before = self._waiting.pop(record.image_id, {})
        for partition in before.values():
            self._counts[partition] -= 1
        events = [one.record for one in events_of(record) if not one.is_picture]
        if events:
            self._waiting[record.image_id] = {event.position: event.partition for event in events}
            for event in events:
                self._counts[event.partition] = self._counts.get(event.partition, 0) + 1

    def end_oldest(self) -> None:
        """Post the end of the oldest events of each partition that keeps too many; acknowledged on return.

        Raises:
            BrokerUnavailableError: try again; an end that is posted twice is one.
        """
        ended: dict[str, tuple[int, int]] = {}
        for partition in [partition for partition, count in self._counts.items() if count > self._limit]:
            there = sorted(
                (position, image_id)
                for image_id, events in self._waiting.items()
                for position, where in events.items()
                if where == partition
            )
            for position, image_id in there[: len(there) - self._limit]:
                ended[image_id] = (partition, position)
        for image_id, (partition, until) in ended.items():
            event = WaitingEnded(image_id=image_id, until=until)
            key, value, headers = encode(event, source=SOURCE, event_id=f"{image_id}/until/{until}")
            self._writer.send("images", key, value, headers, partition=partition)
        if ended:
            self._writer.flush()
        for image_id, (_, until) in ended.items():
            for position in [position for position in self._waiting[image_id] if position <= until]:
                self._counts[self._waiting[image_id].pop(position)] -= 1
