"""Stand-ins that behave: an encoder of colours, a decoder of raw pixels, a writer that can lose what it was sent.

The index needs none: qdrant-client's local mode is a real one and starts in a millisecond (`local_index`).
`fake_stores` and `fake_log` have what can be away: an index, pictures, the log's readers.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.errors import (
    BrokerUnavailableError,
    DecodeError,
    PoisonError,
    PolicyError,
)
from models.preprocess import DEFAULT
from models.quantise import dequantise, quantise
from stream.events.codec import STRUCTURED, Headers, encode
from stream.events.schema import Event, ImagePosted
from stream.index.payload import ImagePayload
from stream.index.qdrant import QdrantIndex
from stream.log.reading.positions import position_of
from stream.log.record import Record
from stream.pictures.decode_pool import Decoded, Regions
from stream.pictures.reading.limits import SLOW
from stream.settings import QdrantSettings

D = 8  # numbers in a vector: enough to tell pictures apart


def unit(seed: int) -> np.ndarray:
    """A unit vector [D] on the fixed-point grid, another one for every seed."""
    raw = np.random.default_rng(seed).standard_normal(D).astype(np.float32)
    return dequantise(quantise((raw / np.linalg.norm(raw))[None]))[0]


def payload(**known: Any) -> ImagePayload:
    """The payload of a small picture; `known` fields are set."""
    fields = {"sha256": "0" * 64, "uri": "file:///x", "format": "png", "width_px": 4, "height_px": 4}
    return ImagePayload(**(fields | {"bytes": 9, "encoder": "fake-1"} | known))


def make_record(
    event: Event, *, offset: int = 0, partition: int = 0, epoch: int = 0, timestamp_ms: int = 0, event_id: str = ""
) -> Record:
    """An event as it stands in the log; without `event_id` its id is where it stands."""
    key, value, headers = encode(
        event, source="/test", event_id=event_id or f"{event.topic}/{partition}/{epoch}/{offset}"
    )
    position = position_of(epoch, offset)
    return Record(event.topic, partition, offset, position, timestamp_ms, key, value, tuple(headers))


def local_index() -> QdrantIndex:
    """An empty index of vectors [D] in this process."""
    index = QdrantIndex(QdrantSettings(url=":memory:", collection="test"))
    index.open(FakeEncoder.version, D)
    return index


def encode_structured(event: Event, *, source: str, event_id: str | None = None) -> tuple[bytes, bytes, Headers]:
    """An event in structured mode, as other libraries write it: everything in one JSON value."""
    key, value, headers = encode(event, source=source, event_id=event_id)
    named = {name.removeprefix("ce_"): raw.decode() for name, raw in headers}
    body: dict[str, Any] = named | {"datacontenttype": named.pop("content-type", None)}
    if isinstance(event, ImagePosted):
        body |= {} if event.content is None else {"data_base64": base64.b64encode(event.content).decode()}
    else:
        body["data"] = json.loads(value)
    body = {name: item for name, item in body.items() if item is not None}
    return key, json.dumps(body, ensure_ascii=False).encode(), [("content-type", STRUCTURED.encode())]


class FakeEncoder:
    """Pixels [B, H, W, 3] to unit vectors [B, D]: the mean of each picture seeds a direction."""

    name = "fake"
    version = "fake-1"
    network_version = "fake-network-1"
    dimension = D
    raw_bytes = 8
    preprocessing = DEFAULT
    device = "cpu"

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """The sum of each picture."""
        return pixels.astype(np.int64).reshape(len(pixels), -1).sum(axis=1, keepdims=True).astype("<i8").view(np.uint8)

    def project(self, raw: np.ndarray) -> np.ndarray:
        """Equal sums get equal vectors, others almost surely not."""
        return np.stack([unit(int(total)) for total in np.ascontiguousarray(raw).view("<i8")[:, 0]])

    def embed(self, pixels: np.ndarray) -> np.ndarray:
        """Both of them."""
        return self.project(self.encode(pixels))


class FakeDecoder:
    """Bytes beginning with `pic` are pictures of one colour; only one that is `patient` takes `slow` ones too."""

    def __init__(self, *, patient: bool = False) -> None:
        self.calls = 0
        self.gate = threading.Event()  # where it waits while it is clear
        self.gate.set()
        self._patient = patient

    def decode_many(self, contents: list[bytes], crops: Sequence[Any] | None = None) -> list[Decoded | PoisonError]:
        """One answer each, in order; a crop has another colour than the whole."""
        self.calls += 1
        self.gate.wait()
        return [self._decode(c, crop) for c, crop in zip(contents, crops or [None] * len(contents), strict=True)]

    def regions(self, content: bytes, most: int) -> Regions | PoisonError:
        """Parts in a row, each of another colour; as many as the second to last byte says."""
        decoded = self._decode(content, None)
        if isinstance(decoded, PoisonError):
            return decoded
        count = min(most, content[-2] % 4)
        colours = [(content[-1] + 50 * (n + 1)) % 256 for n in range(count)]
        pixels = np.tile(np.array(colours, np.uint8)[:, None, None, None], (1, 4, 4, 3))
        boxes = tuple((n / 4, 0.25, 0.25, 0.5) for n in range(count))
        return Regions(boxes, pixels, decoded.sha256)

    def thumbnail(self, content: bytes, size_px: int) -> bytes:
        """The colour, so large."""
        (decoded,) = self.decode_many([content])
        if isinstance(decoded, PoisonError):
            raise decoded
        return b"RIFF %d %d" % (decoded.pixels[0, 0, 0], size_px)

    def _decode(self, content: bytes, crop: object) -> Decoded | PoisonError:
        if content.startswith(b"slow") and not self._patient:
            return PolicyError("picture: takes long", SLOW)
        if not content.startswith((b"pic", b"slow")) or content.endswith(b"bad"):
            return DecodeError("bytes: expected a picture")
        sha256 = hashlib.sha256(content).hexdigest()
        pixels = np.full((4, 4, 3), content[-1] ^ (255 if crop else 0), np.uint8)
        return Decoded(pixels, 4, 4, "png", look=bytes.fromhex(sha256) * 12, sha256=sha256)


class Killed(BaseException):
    """The process is gone; nobody may catch this and go on."""


class Journal:
    """What became durable, in order, over all neighbours of a process; `kill_after` so many it dies."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, Any]] = []
        self.kill_after: int | None = None

    def add(self, kind: str, what: Any) -> None:
        """Note one effect, after it is durable."""
        self.entries.append((kind, what))
        if self.kill_after is not None and len(self.entries) >= self.kill_after:
            raise Killed

    def of(self, kind: str) -> list[Any]:
        """The effects of one kind."""
        return [what for found, what in self.entries if found == kind]


@dataclass(frozen=True)
class Sent:
    """One record that was handed to the writer."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    event: Event | None = None
    partition: int | None = None

    @property
    def size_bytes(self) -> int:
        """Value and headers."""
        return len(self.value or b"") + sum(len(name) + len(value) for name, value in self.headers)


class FakeWriter:
    """See stream.log.produce.LogWriter. What was sent is in the log, `acknowledged`, once a flush after it succeeded.

    The next `refusing` sends and the next `failing` flushes raise. What waited for a flush that failed is lost, or with
    `losing` the first so many records of it: the others went in another request. Topics take records of `limit` bytes.
    """

    def __init__(self, journal: Journal | None = None, acknowledged: list[Sent] | None = None) -> None:
        self.acknowledged = [] if acknowledged is None else acknowledged  # what outlives the process
        self.refusing = 0
        self.failing = 0
        self.losing: int | None = None
        self.limit: int | None = None
        self._waiting: list[Sent] = []
        self._journal = journal or Journal()

    def send(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Headers, *,
        partition: int | None = None, timestamp_ms: int | None = None,
    ) -> None:  # fmt: skip
        """Queue one record."""
        self._queue(Sent(topic, key, value, headers, partition=partition))

    def send_event(self, event: Event, *, event_id: str | None = None, timestamp_ms: int | None = None) -> None:
        """Queue one event."""
        self._queue(Sent(event.topic, *encode(event, source="/test", event_id=event_id), event))

    def send_now(self, event: Event, *, event_id: str | None = None, timeout_s: float = 10.0) -> int:
        """Send one event and have it acknowledged; its offset. From any thread."""
        self.acknowledged.append(Sent(event.topic, *encode(event, source="/test", event_id=event_id), event))
        return len(self.acknowledged) - 1

    def _queue(self, sent: Sent) -> None:
        if self.refusing:
            self.refusing -= 1
            raise BrokerUnavailableError("Kafka: takes nothing")
        self._waiting.append(sent)

    def flush(self, timeout_s: float = 60.0) -> None:
        """Acknowledge what waits, or lose it."""
        waiting, self._waiting = self._waiting, []
        if self.failing:
            self.failing -= 1
            self.acknowledged += [] if self.losing is None else waiting[self.losing :]
            raise BrokerUnavailableError("Kafka: no acknowledgement")
        too_large = [one for one in waiting if self.limit is not None and one.size_bytes > self.limit]
        self.acknowledged += [one for one in waiting if one not in too_large]
        if too_large:
            raise PolicyError("record: larger than its topic takes")
        if waiting:
            self._journal.add("acknowledged", [sent.topic for sent in waiting])

    def to(self, topic: str) -> list[Sent]:
        """What is in the log under a topic."""
        return [sent for sent in self.acknowledged if sent.topic == topic]

    @property
    def events(self) -> list[Event]:
        """The events in the log that were sent as such."""
        return [sent.event for sent in self.acknowledged if sent.event is not None]

    def close(self) -> None:
        """Nothing to release."""
