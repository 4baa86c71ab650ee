"""Records that were released to the steps and wait for their batch.

In: records, each partition in order. Out: batches, and how much waits. One thread.
"""

from collections import deque
from collections.abc import Iterable

from stream.ingest.batch import Batch, Item, carries_picture
from stream.log.reading.consume import LogReader
from stream.log.record import Record

FIRST_IMAGES = 8  # in a batch that finds the steps idle: the encoder begins before the others are decoded
MAX_BATCH_RECORDS = 512  # tags are light: a batch may carry many beside its images


class Batcher:
    """A queue of records with their number of images and bytes.

    Attributes:
        bytes: encoded picture bytes that wait.
        images: pictures that wait.
    """

    def __init__(self, reader: LogReader, batch_images: int) -> None:
        self._reader = reader
        self._batch_images = batch_images
        self._records: deque[Record] = deque()
        self.bytes = 0
        self.images = 0

    def __len__(self) -> int:
        return len(self._records)

    @property
    def has_full_batch(self) -> bool:
        """Whether as many images wait as a batch takes."""
        return self.images >= self._batch_images

    def add(self, records: Iterable[Record]) -> None:
        """Let records wait, each partition in order."""
        for record in records:
            self._records.append(record)
            self._count(record, 1)

    def drop(self, partitions: set[tuple[str, int]]) -> None:
        """Forget what another worker reads from now on: topics with partitions."""
        kept = [record for record in self._records if (record.topic, record.partition) not in partitions]
        self._records.clear()
        self.bytes = self.images = 0
        self.add(kept)

    def take(self, *, idle: bool) -> Batch:
        """The next batch; a short one if the steps are `idle`."""
        items: list[Item] = []
        images = size_bytes = 0
        enough = min(FIRST_IMAGES, self._batch_images) if idle else self._batch_images
        last: dict[tuple[str, int], int] = {}
        while self._records and len(items) < MAX_BATCH_RECORDS and images < enough:
            record = self._records.popleft()
            self._count(record, -1)
            size_bytes += record.size_bytes
            images += carries_picture(record)
            items.append(Item(record))
            last[record.topic, record.partition] = record.offset + 1
        offsets = [self._reader.stored_offset(t, p, offset) for (t, p), offset in last.items()]
        return Batch(items, offsets, size_bytes)

    def _count(self, record: Record, sign: int) -> None:
        self.bytes += sign * record.size_bytes
        self.images += sign * carries_picture(record)
