"""Bytes to vectors: the first two steps of a batch, each on a thread of its own.

In: records of images.v1 and operations.v1. Out: the same items with event, pixels, then quantised vector, payload and
raw features, or with `poison`: whatever a record makes us raise is that record's fault.
"""

import base64
import hashlib
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from models.errors import InfrastructureError, InternalError, MekikiError, PoisonError, PolicyError, SchemaError
from models.quantise import quantise
from stream.events.codec import decode
from stream.events.schema import Event, ImageDecoded, ImagePosted, TopicGrown
from stream.index.payload import EmbeddedImage, ImagePayload
from stream.ingest.batch import Batch, Item, image_id_of
from stream.ingest.parts import Ingest
from stream.ingest.waits import Undecoded, picture_of
from stream.log.reading.growth import GROWING
from stream.log.record import Record
from stream.pictures.dataref import checked_sha256, is_remote
from stream.pictures.decode_pool import Decoded
from stream.pictures.reading.limits import SLOW
from stream.pictures.store import picture_name
from stream.retry import StoppedError

Codes: TypeAlias = npt.NDArray[np.int16]
Raw: TypeAlias = npt.NDArray[np.uint8]  # [R], see models.encoders.raw_features
Pixels: TypeAlias = npt.NDArray[np.uint8]

DATAREFS_AT_ONCE = 8  # fetched side by side; their bytes are dropped once they are decoded
DATAREF_S = 8.0  # for all tries of one: what is not there by then is its own fault, not that of its neighbours
TRY_AGAIN_S = 0.5


class Prepare:
    """Decodes and embeds; `decode` and `embed` may run at the same time on different batches.

    A picture that takes its own time is left to the slow lane, which is `patient`: one that somebody else serves, and
    one that is much work for its decoder. Neither depends on the moment: whoever reads a record decides the same.
    """

    def __init__(self, parts: Ingest, aborting: threading.Event, *, patient: bool = False) -> None:
        self._parts = parts
        self._aborting = aborting
        self._patient = patient
        self._decoder = parts.slow_decoder if patient else parts.decoder
        self._fetching = ThreadPoolExecutor(DATAREFS_AT_ONCE, thread_name_prefix="dataref")

    def decode(self, batch: Batch) -> None:
        """Read the events and decode their pictures, in child processes."""
        referred = [item for item in batch.items if self._guarded(item, self._read_event)]
        self._decode([item for item in batch.items if item.content is not None])
        for start in range(0, len(referred), DATAREFS_AT_ONCE):
            group = referred[start : start + DATAREFS_AT_ONCE]
            list(self._fetching.map(lambda item: self._guarded(item, self._fetch), group))
            self._decode([item for item in group if item.content is not None])
            for item in group:
                item.content = None

    def _decode(self, posted: list[Item]) -> None:
        answers = self._decoder.decode_many([item.content or b"" for item in posted])
        for item, answer in zip(posted, answers, strict=True):
            item.content_bytes = len(item.content or b"")
            if isinstance(answer, Decoded):
                item.decoded = answer
            elif answer.reason == SLOW:
                self._leave(item)
            else:
                item.poison = answer

    def _leave(self, item: Item) -> None:
        """Leave a picture to the slow lane."""
        referred = getattr(item.envelope and item.envelope.event, "dataref", None)
        item.picture = Undecoded("" if referred else hashlib.sha256(item.content or b"").hexdigest())

    def _guarded(self, item: Item, work: Callable[[Item], bool]) -> bool:
        """Do some work on an item; False too where the item turns out to be poison."""
        try:
            return work(item)
        except PoisonError as error:
            item.poison = error
        except (MekikiError, StoppedError):
            raise
        except Exception as error:  # noqa: BLE001 - the record's fault, see the module
            item.poison = InternalError.of(error)
        return False

    def _read_event(self, item: Item) -> bool:
        """Read the event and the bytes that came with it; True if they are elsewhere."""
        record = item.record
        if record.lost:
            return False
        envelope = decode(record.key, record.value, record.headers)
        event = envelope.event
        if isinstance(event, TopicGrown) and record.topic == GROWING:
            return False  # for readers, which have seen it
        _check_place(event, record)
        home = self._parts.reader.home(record)
        if home != record.partition:
            item.home = home
            return False
        item.envelope = envelope
        if isinstance(event, ImageDecoded):
            item.picture = picture_of(event, self._parts.encoder)
        if not isinstance(event, ImagePosted):
            return False
        if event.content is not None:
            checked_sha256(event.content, event.sha256)
            item.content = event.content
        elif not self._patient and is_remote(event.dataref or ""):
            item.picture = Undecoded("")
            return False
        return event.content is None

    def _fetch(self, item: Item) -> bool:
        """Get the bytes from elsewhere, in a few tries."""
        event = item.envelope.event if item.envelope is not None else None
        assert isinstance(event, ImagePosted)
        until_s = time.monotonic() + DATAREF_S
        for tries in itertools.count(1):
            try:
                content = self._parts.datarefs.read(event.dataref or "")
                break
            except InfrastructureError as error:
                if tries > 1 and time.monotonic() + TRY_AGAIN_S > until_s:
                    raise PolicyError(f"{error}; mend it, then replay the dead letter", "dataref_unavailable") from None
                if self._aborting.wait(TRY_AGAIN_S):
                    raise StoppedError("dataref") from error
        checked_sha256(content, event.sha256)
        item.content = content
        return True

    def embed(self, batch: Batch) -> None:
        """Turn pixels into quantised vectors, on the device."""
        items = [item for item in batch.items if item.decoded is not None]
        if not items:
            return
        pixels = np.stack([item.decoded.pixels for item in items if item.decoded is not None])
        for item, made in zip(items, self._embedded(pixels), strict=True):
            if isinstance(made, PoisonError):
                item.poison = made
            elif item.decoded is not None:
                codes, raw = made
                item.picture = EmbeddedImage(codes, self._payload(item, item.decoded, raw))
            item.decoded = None  # pixels are the heaviest part of a batch
        batch.images = sum(isinstance(item.picture, EmbeddedImage) for item in batch.items)

    def _embedded(self, pixels: Pixels) -> Sequence[tuple[Codes, Raw] | PoisonError]:
        """Codes and raw features of each picture; one that makes the network fail or overflow is alone to blame."""
        try:
            raw = self._parts.encoder.encode(pixels)
            return list(zip(quantise(self._parts.encoder.project(raw)), raw, strict=True))
        except PoisonError as error:
            alone: PoisonError = error
        except MekikiError:
            raise
        except Exception as error:  # noqa: BLE001 - the picture's fault, see the module
            alone = InternalError.of(error)
        return [alone] if len(pixels) == 1 else [found for one in pixels for found in self._embedded(one[None])]

    def _payload(self, item: Item, decoded: Decoded, raw: Raw) -> ImagePayload:
        event = item.envelope.event if item.envelope is not None else None
        assert isinstance(event, ImagePosted)
        stored = "" if event.dataref else picture_name(event.image_id, item.record.position)
        return ImagePayload(
            sha256=decoded.sha256,
            uri=event.dataref or self._parts.pictures.uri(stored),
            stored=stored,
            format=decoded.format,
            width_px=decoded.width_px,
            height_px=decoded.height_px,
            bytes=item.content_bytes,
            encoder=self._parts.encoder.version,
            look=base64.b64encode(decoded.look).decode(),
            raw=base64.b64encode(raw.tobytes()).decode(),
        )


def _check_place(event: Event, record: Record) -> None:
    """Topic and key decide the partition, and the partition the order: elsewhere an event would have no order."""
    if event.topic != record.topic:
        text = f"{type(event).__name__} on topic {record.topic}: post it to {event.topic}"
        raise SchemaError(text, reason="wrong_topic")
    if record.topic == "images" and image_id_of(record) != event.key():
        text = f"key {image_id_of(record)[:100]!r}: expected the image id {event.key()[:100]!r}; post it with that key"
        raise SchemaError(text, reason="wrong_key")
