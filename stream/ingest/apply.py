"""One event onto the state of one image: what the index holds after it, and what is to be learned.

In: the stored IndexRecord (or None) and a prepared event. Out: the next record, maybe an example, maybe dead letters.
Pure: the state after an event is a function of the events of its image up to it, whoever computes it. A tag for an
image that is not there waits in the image's record and is put on it when it comes.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from models.errors import PoisonError, UnknownImageError
from models.quantise import dequantise, requantise
from models.tagging.examples import Example, TagOperation
from models.tagging.memory.names import normalise_tag
from stream.events.codec import Envelope, decode
from stream.events.schema import (
    ImageDeleted,
    ImagePosted,
    TagOperationPosted,
    TagsApplied,
    TagsRemoved,
    WaitingEnded,
)
from stream.index.payload import ImagePayload, IndexRecord
from stream.ingest.image_tags import DeadLetters, ImageTags, good_names
from stream.log.record import Record

SEEN_EVENTS = 16  # identities kept per image; a producer's retry comes within a few events of the original
WAITING_EVENTS = 100  # for one image, and ...
WAITING_CHARS = 300_000  # ... as much of them: its point is written anew with each
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class EmbeddedImage:
    """What decoding and embedding made of a picture: int16 vector [D], and its payload as far as the bytes say it."""

    quantised: npt.NDArray[np.int16]
    payload: ImagePayload


@dataclass(frozen=True)
class Applied:
    """The state after an event.

    Attributes:
        record: of its image.
        example: None where nothing is to be learned.
        dead: what cannot be applied: a bad tag among good ones, or what waited in vain.
    """

    record: IndexRecord
    example: Example | None = None
    dead: DeadLetters = ()


@dataclass(frozen=True)
class _Context:
    record: Record
    envelope: Envelope
    identity: str


def apply_event(
    state: IndexRecord | None, envelope: Envelope, record: Record, image: EmbeddedImage | None
) -> Applied | None:
    """Apply one event; None if the state has it already.

    Args:
        state: the image as the index holds it, with its vector; None if nothing is known of it.
        envelope: the event.
        record: where it stood in the log.
        image: for ImagePosted, the embedded picture.

    Raises:
        UnknownImageError: reason `image_deleted`, a tag for an image that was taken down.
    """
    event = envelope.event
    if state is not None and record.position <= state.position:
        return None
    context = _Context(record, envelope, _identity(envelope))
    before = state or IndexRecord(getattr(event, "image_id", ""), 0)
    if context.identity in before.seen:
        return Applied(replace(before, position=record.position))
    if isinstance(event, ImagePosted) and image is not None:
        return _post(before, event, image, context)
    if isinstance(event, ImageDeleted):
        return _delete(before, context)
    if isinstance(event, WaitingEnded):
        return None if state is None else _end_waiting(state, event, context)
    if isinstance(event, (TagsApplied, TagsRemoved)):
        return _wait(before, event, context) if before.payload is None else _tag(before, event, context)
    raise TypeError(f"{type(event).__name__} is not an ingest event")


def operation_of(event: TagOperationPosted) -> TagOperation:
    """What an operation on tags is to the learner; no image changes by it.

    Raises:
        PolicyError: reason `bad_tag`.
    """
    names = tuple(dict.fromkeys(normalise_tag(tag) for tag in event.tags))
    into = normalise_tag(event.into) if event.into else ""
    return TagOperation(event.operation_id, event.kind, names, into, event.images, event.target)


def _identity(envelope: Envelope) -> str:
    return hashlib.sha256(envelope.identity.encode()).hexdigest()[:16]


def _advanced(state: IndexRecord, context: _Context, **changes: object) -> IndexRecord:
    """The state with this event in it; a producer's retry of it will be known."""
    seen = (*state.seen, context.identity)[-SEEN_EVENTS:]
    return replace(state, position=context.record.position, seen=seen, **changes)  # type: ignore[arg-type]


def _post(state: IndexRecord, event: ImagePosted, image: EmbeddedImage, context: _Context) -> Applied:
    before = state.payload
    names, dead = good_names(event.tags, event.image_id, context.envelope, context.record)
    tags = ImageTags(before)
    for text in state.waiting:
        waited = Record.from_text(text)
        said = decode(waited.key, waited.value, waited.headers)
        early, _ = good_names(getattr(said.event, "tags", ()), event.image_id, said, waited)  # the bad ones are dead
        tags.apply(early, said, waited)
    added = list(dict.fromkeys([*tags.new, *names]))
    tags.add(names, None, context.envelope, context.record)
    complete = tags.complete or event.complete
    payload = tags.put_on(replace(image.payload, posted_at=_posted_at(context)), complete=complete)
    record = _advanced(
        state, context, payload=payload, vector=dequantise(image.quantised[None])[0], deleted=False, waiting=()
    )
    replaced = before is not None and bool(before.tags or payload.complete)  # labelled: its vector in the sums changes
    if not (added or complete or replaced):
        return Applied(record, dead=dead)
    newly = (event.complete or (tags.complete and before is None)) or None
    example = Example(event.image_id, image.quantised, tuple(added), (), newly, said=tags.said_last(added))
    return Applied(record, example, dead)


def _posted_at(context: _Context) -> str:
    """The producer's time, or the log's; nothing where neither is one: the log takes any number."""
    if context.envelope.time is not None:
        return context.envelope.time
    time_ms = context.record.time_ms
    return "" if time_ms is None else (EPOCH + timedelta(milliseconds=time_ms)).isoformat()


def _delete(state: IndexRecord, context: _Context) -> Applied:
    """A tombstone remembers identities too: a producer's retry must not bring the picture back."""
    tombstone = _advanced(state, context, payload=None, vector=None, deleted=True, waiting=())
    dead = tuple(_ended(Record.from_text(text), "image_deleted") for text in state.waiting)
    if state.payload is None:
        return Applied(tombstone, dead=dead)
    return Applied(tombstone, Example(state.image_id, None, (), (), None, True))  # it may have had tags once


def _ended(record: Record, reason: str) -> tuple[Record, PoisonError]:
    image_id = (record.key or b"").decode()
    text = {
        "image_deleted": f"image {image_id!r}: deleted before it was posted; nothing to do",
        "unknown_image": f"image {image_id!r}: not posted while this waited; post it, then replay the dead letter",
    }[reason]
    return record, UnknownImageError(text, reason=reason)


def _wait(state: IndexRecord, event: TagsApplied | TagsRemoved, context: _Context) -> Applied:
    if state.deleted:
        raise UnknownImageError(
            f"image {event.image_id!r}: deleted before this tag; nothing to do", reason="image_deleted"
        )
    names, dead = good_names(event.tags, event.image_id, context.envelope, context.record)
    if event.tags and not names:
        return Applied(_advanced(state, context), dead=dead)
    waiting = (*state.waiting, context.record.to_text())
    kept = waiting[-WAITING_EVENTS:]
    while sum(map(len, kept)) > WAITING_CHARS:
        kept = kept[1:]
    waited = _without_waiting(_advanced(state, context, waiting=waiting), len(waiting) - len(kept))
    return replace(waited, dead=(*dead, *waited.dead))


def _end_waiting(state: IndexRecord, event: WaitingEnded, context: _Context) -> Applied:
    positions = [Record.from_text(text).position for text in state.waiting]
    ended = sum(event.until is None or position <= event.until for position in positions)
    return _without_waiting(_advanced(state, context), ended)


def _without_waiting(state: IndexRecord, ended: int) -> Applied:
    """The oldest `ended` events as dead letters; their replay is not taken for a producer's retry."""
    records = [Record.from_text(text) for text in state.waiting[:ended]]
    forgotten = {_identity(decode(record.key, record.value, record.headers)) for record in records}
    seen = tuple(identity for identity in state.seen if identity not in forgotten)
    after = replace(state, waiting=state.waiting[ended:], seen=seen)
    return Applied(after, dead=tuple(_ended(record, "unknown_image") for record in records))


def _tag(state: IndexRecord, event: TagsApplied | TagsRemoved, context: _Context) -> Applied:
    assert state.payload is not None
    if state.vector is None:
        raise TypeError("a tag needs the state with its vector")
    names, dead = good_names(event.tags, event.image_id, context.envelope, context.record)
    tags = ImageTags(state.payload)
    tags.apply(names, context.envelope, context.record)
    complete = isinstance(event, TagsApplied) and event.complete
    record = _advanced(state, context, payload=tags.put_on(state.payload, complete=tags.complete))
    added: tuple[str, ...] = names if isinstance(event, TagsApplied) else ()
    removed: tuple[str, ...] = () if isinstance(event, TagsApplied) else names
    if event.tags and not names:
        return Applied(record, dead=dead)
    vector = requantise(state.vector)
    example = Example(event.image_id, vector, added, removed, complete or None, said=tags.said_last(added))
    return Applied(record, example, dead)
