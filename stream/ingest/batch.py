"""What travels through the ingest worker: records of one batch, filled in step by step."""

from concurrent.futures import Future
from dataclasses import dataclass, field

from models.errors import PoisonError
from stream.events.codec import Envelope
from stream.events.schema import ImagePosted
from stream.ingest.apply import EmbeddedImage
from stream.log.reading.positions import StoredOffset
from stream.log.record import Record
from stream.pictures.decode_pool import Decoded

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
    image: EmbeddedImage | None = None


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
