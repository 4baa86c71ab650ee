"""Stand-ins that behave: an encoder of colours, a decoder of raw pixels, a writer that keeps what it was sent.

The index needs none: qdrant-client's local mode is a real one and starts in a millisecond (`local_index`).
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from models.errors import DecodeError, PoisonError
from models.quantise import dequantise, quantise
from stream.events.codec import Headers, encode
from stream.events.schema import Event
from stream.index.payload import ImagePayload
from stream.index.qdrant import QdrantIndex
from stream.log.positions import position_of
from stream.log.record import Record
from stream.pictures.decode_pool import Decoded

D = 8  # numbers in a vector: enough to tell pictures apart


def unit(seed: int) -> np.ndarray:
    """A unit vector [D] on the fixed-point grid, another one for every seed."""
    raw = np.random.default_rng(seed).standard_normal(D).astype(np.float32)
    return dequantise(quantise((raw / np.linalg.norm(raw))[None]))[0]


def payload(**known: Any) -> ImagePayload:
    """The payload of a small picture; `known` fields are set."""
    fields = {"sha256": "0" * 64, "phash": "0" * 16, "uri": "file:///x", "format": "png", "width_px": 4, "height_px": 4}
    return ImagePayload(**(fields | {"bytes": 9, "encoder": "fake-1"} | known))


def local_index() -> QdrantIndex:
    """An empty index of vectors [D] in this process."""
    index = QdrantIndex(":memory:", collection="test")
    index.open(FakeEncoder.version, D)
    return index


def make_record(
    event: Event, *, offset: int = 0, partition: int = 0, epoch: int = 0, timestamp_ms: int = 0, event_id: str = ""
) -> Record:
    """An event as it stands in the log; without `event_id` its id is where it stands."""
    key, value, headers = encode(
        event, source="/test", event_id=event_id or f"{event.topic}/{partition}/{epoch}/{offset}"
    )
    version = position_of(epoch, offset)
    return Record(event.topic, partition, offset, version, timestamp_ms, key, value, tuple(headers))


class FakeEncoder:
    """Pixels [B, H, W, 3] to unit vectors [B, D]: the mean of each picture seeds a direction."""

    name = "fake"
    version = "fake-1"
    dimension = D
    device = "cpu"

    def embed(self, pixels: np.ndarray) -> np.ndarray:
        """Equal pictures get equal vectors, others almost surely not."""
        return np.stack([unit(int(picture.astype(np.int64).sum())) for picture in pixels])


class FakeDecoder:
    """Bytes beginning with `pic` are pictures of one colour; anything else is not."""

    def decode_many(self, contents: list[bytes], crops: Sequence[Any] | None = None) -> list[Decoded | PoisonError]:
        """One answer each, in order; a crop has another colour than the whole."""
        return [self._decode(c, crop) for c, crop in zip(contents, crops or [None] * len(contents), strict=True)]

    def _decode(self, content: bytes, crop: object) -> Decoded | PoisonError:
        if not content.startswith(b"pic"):
            return DecodeError("bytes: expected a picture")
        sha256 = hashlib.sha256(content).hexdigest()
        pixels = np.full((4, 4, 3), content[-1] ^ (255 if crop else 0), np.uint8)
        return Decoded(pixels, 4, 4, "png", phash=int(sha256[:16], 16), sha256=sha256)


class FakeWriter:
    """Keeps what was sent; `acknowledged` counts what a `flush` covered."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes | None, bytes | None, Headers]] = []
        self.events: list[Event] = []
        self.acknowledged = 0

    def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers, **_: object) -> None:
        """Keep one record."""
        self.sent.append((topic, key, value, headers))

    def send_event(self, event: Event, *, event_id: str | None = None, timestamp_ms: int | None = None) -> None:
        """Keep one event."""
        self.events.append(event)
        self.send(event.topic, *encode(event, source="/test", event_id=event_id))

    def flush(self, timeout_s: float = 60.0) -> None:
        """Everything so far is durable."""
        self.acknowledged = len(self.sent)

    def close(self) -> None:
        """Nothing to release."""
