"""Events that wait in the state of their image: tags that came before it, and pictures that are still being decoded.

In: the state, an event and its record. Out: the state with it, and what it has no room for as dead letters. A picture
that waits is kept without its bytes, which stand in our own store, or behind its dataref. Pure.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import numpy as np

from models.encoders.base import Encoder
from models.errors import PoisonError, SchemaError, UnknownImageError
from stream.events.codec import Envelope, decode, encode, identity_hash
from stream.events.schema import ImageDecoded, ImagePosted
from stream.index.payload import EmbeddedImage, ImagePayload, IndexRecord
from stream.ingest.image_tags import DeadLetters
from stream.log.record import Record
from stream.pictures.store import picture_name

DETAILS = ("title", "source_url", "author", "metadata")  # said of a picture, and kept when a later post says nothing
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WAITING_EVENTS = 100  # for one image, and ...
WAITING_CHARS = 300_000  # ... as much of them: its point is written anew with each
_SAID = ("sha256", "uri", "stored", "format", "width_px", "height_px", "bytes", "encoder", "look", "raw")
BYTES_HEADER = "mekiki_bytes"  # of a picture that waits: the hash of its bytes in our own store


@dataclass(frozen=True)
class Undecoded:
    """A picture that takes its own time; `sha256` of its bytes in our own store, empty where they are elsewhere."""

    sha256: str


Picture: TypeAlias = EmbeddedImage | Undecoded | PoisonError  # what became of a picture


@dataclass(frozen=True)
class Waits:
    """An event that waits, read again from the state of its image."""

    record: Record
    envelope: Envelope

    @property
    def is_picture(self) -> bool:
        """Whether it is a picture to be decoded; else it is about tags."""
        return isinstance(self.envelope.event, ImagePosted)

    @property
    def sha256(self) -> str:
        """Of a picture whose bytes are in our own store their hash; empty where they are elsewhere."""
        return dict(self.record.headers).get(BYTES_HEADER, b"").decode()

    @property
    def stored(self) -> str:
        """Their name there, or nothing."""
        image_id = self.envelope.event.key()
        return picture_name(image_id, self.record.position) if self.sha256 else ""


def events_of(state: IndexRecord) -> list[Waits]:
    """What waits, oldest first."""
    records = map(Record.from_text, state.waiting)
    return [Waits(record, decode(record.key, record.value, record.headers)) for record in records]


def with_events(state: IndexRecord, events: list[Waits]) -> IndexRecord:
    """The state with these waiting."""
    pictures = tuple(event.sha256 for event in events if event.is_picture)
    return replace(state, waiting=tuple(event.record.to_text() for event in events), undecoded=pictures)


def put(state: IndexRecord, envelope: Envelope, record: Record) -> tuple[IndexRecord, DeadLetters]:
    """Let one event about tags wait; the oldest of them give way where there is no room."""
    events = [*events_of(state), Waits(record, envelope)]
    sizes = [len(text) for text in (*state.waiting, record.to_text())]
    ended = 0
    while len(events) - ended > WAITING_EVENTS or sum(sizes[ended:]) > WAITING_CHARS:
        ended += 1
    return end(with_events(state, events), [event for event in events if not event.is_picture][:ended])


def put_picture(state: IndexRecord, envelope: Envelope, record: Record, sha256: str) -> IndexRecord:
    """Let a picture wait for its decoding; its bytes are in our own store, or `sha256` is empty."""
    event = envelope.event
    assert isinstance(event, ImagePosted)
    key, _, headers = encode(event, source=envelope.source, event_id=envelope.id)
    headers += [("ce_time", envelope.time.encode())] if envelope.time else []
    headers += [(BYTES_HEADER, sha256.encode())] if sha256 else []
    kept = replace(record, key=key, value=b"", headers=tuple(headers))
    return with_events(state, [*events_of(state), Waits(kept, envelope)])


def end(state: IndexRecord, ended: list[Waits], reason: str = "unknown_image") -> tuple[IndexRecord, DeadLetters]:
    """The state without these events about tags, as dead letters; their replay is not taken for a producer's retry."""
    positions = {event.record.position for event in ended}
    kept = [event for event in events_of(state) if event.record.position not in positions]
    forgotten = {identity_hash(event.envelope) for event in ended}
    seen = tuple(identity for identity in state.seen if identity not in forgotten)
    return with_events(replace(state, seen=seen), kept), tuple(_dead(event.record, reason) for event in ended)


def _dead(record: Record, reason: str) -> tuple[Record, PoisonError]:
    image_id = (record.key or b"").decode()
    text = {
        "image_deleted": f"image {image_id!r}: deleted before it was posted; nothing to do",
        "unknown_image": f"image {image_id!r}: not posted while this waited; post it, then replay the dead letter",
    }[reason]
    return record, UnknownImageError(text, reason=reason)


def decoded_event(image_id: str, of: int, picture: EmbeddedImage | PoisonError) -> ImageDecoded:
    """What is said of a picture that waited, and was posted at a position `of` the log."""
    if isinstance(picture, PoisonError):
        return ImageDecoded(image_id=image_id, of=of, failure=picture.reason, text=str(picture))
    vector = base64.b64encode(picture.quantised.astype("<i2").tobytes()).decode()
    kept = {name: getattr(picture.payload, name) for name in _SAID}
    return ImageDecoded(image_id=image_id, of=of, vector=vector, fields=kept)


def picture_of(event: ImageDecoded, encoder: Encoder) -> EmbeddedImage | PoisonError:
    """What `decoded_event` was given.

    Raises:
        SchemaError: reason `bad_event`, somebody else wrote it.
    """
    if event.failure:
        return PoisonError(event.text, event.failure)
    try:
        vector = np.frombuffer(base64.b64decode(event.vector, validate=True), "<i2")
        payload = ImagePayload(**event.fields)  # type: ignore[arg-type]  # checked below
    except (ValueError, TypeError):
        raise SchemaError(f"{event.type}: expected what ingest writes; do not post it", "bad_event") from None
    if event.fields.keys() != set(_SAID) or payload.encoder != encoder.version or vector.shape != (encoder.dimension,):
        raise SchemaError(f"{event.type}: expected a vector of encoder {encoder.version}; post it again", "bad_event")
    return EmbeddedImage(vector, payload)


def said_of(before: ImagePayload | None, story: Sequence[Waits]) -> dict[str, Any]:
    """What producers said of the picture beside its tags: when it came first, and of the rest what was said last."""
    posts = [one for one in story if isinstance(one.envelope.event, ImagePosted)]
    first = next(filter(None, map(_posted_at, posts)), "")
    said: dict[str, Any] = {"posted_at": (before.posted_at if before is not None else "") or first}
    events = [one.envelope.event for one in posts]
    for name in DETAILS:
        values = [getattr(one, name) for one in (before, *events) if one is not None]
        said[name] = next(filter(None, reversed(values)), {} if name == "metadata" else "")
    return said


def _posted_at(posted: Waits) -> str:
    """The producer's time, or the log's; nothing where neither is one: the log takes any number."""
    if posted.envelope.time is not None:
        return posted.envelope.time
    time_ms = posted.record.time_ms
    return "" if time_ms is None else (EPOCH + timedelta(milliseconds=time_ms)).isoformat()
