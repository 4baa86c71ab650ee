"""What travels through the ingest worker: records of one batch, filled in step by step."""

from concurrent.futures import Future
from dataclasses import dataclass, field

from models.errors import PoisonError
from stream.events.codec import Envelope
from stream.events.schema import OPERATION_KEY
from stream.ingest.apply import EmbeddedImage
from stream.log.positions import StoredOffset
from stream.log.record import Record
from stream.pictures.decode_pool import Decoded


@dataclass
class Item:
    """One record on its way; each step fills in its part or sets `poison`."""

    record: Record
    envelope: Envelope | None = None
    poison: PoisonError | None = None
    content: bytes | None = None
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


def image_id_of(record: Record) -> str:
    """The image a record is about, by its key: what keeps an image's events in one partition, in order."""
    return (record.key or b"").decode(errors="replace")


def names_no_image(record: Record) -> bool:
    """Whether the record is about the tags themselves: it waits for no image."""
    return record.key == OPERATION_KEY.encode()
