"""Bytes to vectors: the first two steps of a batch, each on a thread of its own.

In: records of images.v1 and tags.v1. Out: the same items with event, pixels, then quantised vector and payload, or with
`poison`. Waits for a dataref's store that is away; never raises for what a record contains.
"""

import threading
from collections.abc import Sequence
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from models.encoders.base import Encoder, Vectors
from models.errors import PoisonError, SchemaError
from models.quantise import quantise
from stream.events.codec import decode
from stream.events.schema import Event, ImageDeleted, ImagePosted, TagOperationPosted, TagsApplied, TagsRemoved
from stream.index.payload import ImagePayload
from stream.ingest.apply import EmbeddedImage
from stream.ingest.batch import Batch, Item, image_id_of
from stream.log.record import Record
from stream.pictures.dataref import DatarefReader, checked_sha256
from stream.pictures.decode_pool import Decoded
from stream.pictures.store import PictureStore
from stream.retry import until_available

Codes: TypeAlias = npt.NDArray[np.int16]


class Decoder(Protocol):
    """What the pipeline needs of stream.pictures.decode_pool.DecodePool."""

    def decode_many(self, contents: list[bytes]) -> list[Decoded | PoisonError]:
        """Pictures to pixels, one answer each, in order."""


class Prepare:
    """Decodes and embeds; `decode` and `embed` may run at the same time on different batches."""

    def __init__(
        self,
        decoder: Decoder,
        encoder: Encoder,
        datarefs: DatarefReader,
        pictures: PictureStore,
        aborting: threading.Event,
    ) -> None:
        self._decoder = decoder
        self._encoder = encoder
        self._datarefs = datarefs
        self._pictures = pictures
        self._aborting = aborting

    def decode(self, batch: Batch) -> None:
        """Read the events and decode their pictures, in child processes."""
        for item in batch.items:
            self._read_event(item)
        posted = [item for item in batch.items if item.content is not None]
        answers = self._decoder.decode_many([item.content or b"" for item in posted])
        for item, answer in zip(posted, answers, strict=True):
            if isinstance(answer, PoisonError):
                item.poison = answer
            else:
                item.decoded = answer

    def _read_event(self, item: Item) -> None:
        record = item.record
        try:
            item.envelope = decode(record.key, record.value, record.headers)
            event = item.envelope.event
            _check_place(event, record)
            if isinstance(event, ImagePosted):
                content = event.content
                if content is None:
                    dataref = event.dataref or ""
                    content = until_available(lambda: self._datarefs.read(dataref), self._aborting, what="dataref")
                checked_sha256(content, event.sha256)
                item.content = content
        except PoisonError as error:
            item.poison = error

    def embed(self, batch: Batch) -> None:
        """Turn pixels into quantised vectors, on the device."""
        items = [item for item in batch.items if item.decoded is not None]
        if not items:
            return
        pixels = np.stack([item.decoded.pixels for item in items if item.decoded is not None])
        for item, codes in zip(items, _quantised(self._encoder.embed(pixels)), strict=True):
            if isinstance(codes, PoisonError):
                item.poison = codes
            elif item.decoded is not None and item.content is not None:
                item.image = EmbeddedImage(codes, self._payload(item, item.decoded, item.content))
            item.decoded = None  # pixels are the heaviest part of a batch
        batch.images = sum(item.image is not None for item in items)

    def _payload(self, item: Item, decoded: Decoded, content: bytes) -> ImagePayload:
        event = item.envelope.event if item.envelope is not None else None
        dataref = event.dataref if isinstance(event, ImagePosted) else None
        return ImagePayload(
            sha256=decoded.sha256,
            phash=f"{decoded.phash:016x}",
            uri=dataref or self._pictures.uri(decoded.sha256),
            format=decoded.format,
            width_px=decoded.width_px,
            height_px=decoded.height_px,
            bytes=len(content),
            encoder=self._encoder.version,
        )


def _quantised(vectors: Vectors) -> Sequence[Codes | PoisonError]:
    """Codes of each vector; a picture that makes the network overflow is that picture's fault alone."""
    try:
        return list(quantise(vectors))
    except PoisonError as error:
        return [error] if len(vectors) == 1 else [found for vector in vectors for found in _quantised(vector[None])]


def _check_place(event: Event, record: Record) -> None:
    """Topic and key decide the partition, and the partition the order: elsewhere an event would have no order."""
    allowed = (
        (ImagePosted, ImageDeleted) if record.topic == "images" else (TagsApplied, TagsRemoved, TagOperationPosted)
    )
    if not isinstance(event, allowed):
        text = f"{type(event).__name__} on topic {record.topic}: post it to its own topic"
        raise SchemaError(text, reason="wrong_topic")
    if image_id_of(record) != event.key():
        what = "" if isinstance(event, TagOperationPosted) else "the image id "
        text = f"key {image_id_of(record)[:100]!r}: expected {what}{event.key()[:100]!r}; post it with that key"
        raise SchemaError(text, reason="wrong_key")
