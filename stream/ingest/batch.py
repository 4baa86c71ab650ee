"""What travels through the ingest worker: records of one batch, filled in step by step.

In: records that were read, each partition in order. Out: batches, and how much waits for one. One thread.
"""

from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field

from models.errors import PoisonError
from stream.events.codec import Envelope
from stream.events.schema import ImagePosted
from stream.ingest.waits import Picture
from stream.log.reading.consume import LogReader
from stream.log.reading.positions import StoredOffset
from stream.log.record import Record
from stream.pictures.decode_pool import Decoded

FIRST_IMAGES = 8  # in a batch that finds the steps idle: the encoder begins before the others are decoded
MAX_BATCH_RECORDS = 512  # tags are light: a batch may carry many beside its images
MAX_BATCH_BYTES = 8_000_000  # about eight batches are under way at once
LARGE_BYTES = 10_000  # an event in structured mode that weighs more brings a picture along
_POSTED = ImagePosted.type.encode()


@dataclass
class Item:
    """One record on its way; each step fills in its part or sets `poison`."""

    record: Record
    envelope: Envelope | None = None
    poison: PoisonError | None = None
    home: int | None = None  # the partition where the record belongs, if it came to another
    content: bytes | None = None  # of the picture, where it came inline
    content_bytes: int = 0
    decoded: Decoded | None = None
    picture: Picture | None = None  # what became of it


@dataclass
class Batch:
    """Records in the order they apply, and the offsets that hold once they have."""

    items: list[Item]
    offsets: list[StoredOffset]
    size_bytes: int
    images: int = field(default=0)
    embedded: Future[None] | None = None  # done when its vectors are there


def carries_picture(record: Record) -> bool:
    """Whether a record is, as far as its headers say, a picture: what a batch has room for a few of."""
    return ("ce_type", _POSTED) in record.headers or record.size_bytes > LARGE_BYTES


def image_id_of(record: Record) -> str:
    """The image a record is about, by its key: what keeps an image's events in one partition, in order."""
    return (record.key or b"").decode(errors="replace")


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
        while self._records and len(items) < MAX_BATCH_RECORDS and images < enough and size_bytes < MAX_BATCH_BYTES:
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
