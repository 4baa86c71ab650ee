"""One event onto the state of one image: what the index holds after it, and what is to be learned.

In: the stored IndexRecord (or None) and a prepared event. Out: the next record and maybe an example. Pure. Raises
UnknownImageError or PolicyError for events that cannot be applied.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from models.errors import UnknownImageError
from models.quantise import dequantise, requantise
from models.tagging.examples import Example, TagOperation
from models.tagging.memory.names import normalise_tag
from stream.events.codec import Envelope
from stream.events.schema import ImageDeleted, ImagePosted, TagOperationPosted, TagsApplied, TagsRemoved
from stream.index.payload import ImagePayload, IndexRecord
from stream.log.record import Record

SEEN_EVENTS = 16  # identities kept per image; a producer's retry comes within a few events of the original


@dataclass(frozen=True)
class EmbeddedImage:
    """What decoding and embedding made of a picture: int16 vector [D], and its payload as far as the bytes say it."""

    quantised: npt.NDArray[np.int16]
    payload: ImagePayload


@dataclass(frozen=True)
class Applied:
    """The state after an event; `example` is None where nothing is to be learned."""

    record: IndexRecord
    example: Example | None = None


def apply_event(
    state: IndexRecord | None, envelope: Envelope, record: Record, image: EmbeddedImage | None
) -> Applied | None:
    """Apply one event; None if the state has it already.

    Args:
        state: the image as the index holds it, with its vector; None if it was never posted.
        envelope: the event.
        record: where it stood in the log.
        image: for ImagePosted, the embedded picture.

    Raises:
        UnknownImageError: a tag for an image that is not there.
        PolicyError: reason `bad_tag`.
    """
    event = envelope.event
    if state is not None and _is_included(state, record):
        return None
    identity = hashlib.sha256(envelope.identity.encode()).hexdigest()[:16]
    if state is not None and identity in state.seen:
        return Applied(_advanced(state, record))
    if isinstance(event, ImagePosted) and image is not None:
        return _post(state, event, image, _Context(record, identity, envelope.time))
    if isinstance(event, ImageDeleted):
        return _delete(state, event, _Context(record, identity, envelope.time))
    if isinstance(event, (TagsApplied, TagsRemoved)):
        return _tag(state, event, record, identity)
    raise TypeError(f"{type(event).__name__} is not an ingest event")


def operation_of(event: TagOperationPosted) -> TagOperation:
    """What an operation on tags is to the learner; no image changes by it.

    Raises:
        PolicyError: reason `bad_tag`.
    """
    names = tuple(dict.fromkeys(normalise_tag(tag) for tag in event.tags))
    into = normalise_tag(event.into) if event.into else ""
    return TagOperation(event.operation_id, event.kind, names, into, event.images, event.target)


@dataclass(frozen=True)
class _Context:
    record: Record
    identity: str
    time: str | None


def _is_included(state: IndexRecord, record: Record) -> bool:
    done = state.image_position if record.topic == "images" else state.tags_position
    return record.position <= done


def _advanced(state: IndexRecord, record: Record) -> IndexRecord:
    if record.topic == "images":
        return replace(state, image_position=record.position)
    return replace(state, tags_position=record.position)


def _seen(state: IndexRecord | None, identity: str) -> tuple[str, ...]:
    return (*(state.seen if state is not None else ()), identity)[-SEEN_EVENTS:]


def _post(state: IndexRecord | None, event: ImagePosted, image: EmbeddedImage, context: _Context) -> Applied:
    before = state.payload if state is not None else None
    applied = tuple(dict.fromkeys(normalise_tag(tag) for tag in event.tags))
    posted_at = context.time or datetime.fromtimestamp(context.record.timestamp_ms / 1000, UTC).isoformat()
    payload = replace(
        image.payload,
        tags=tuple(dict.fromkeys([*(before.tags if before is not None else ()), *applied])),
        complete=event.complete or (before is not None and before.complete),
        posted_at=posted_at,
    )
    record = IndexRecord(
        image_id=event.image_id,
        image_position=context.record.position,
        tags_position=state.tags_position if state is not None else 0,
        payload=payload,
        vector=dequantise(image.quantised[None])[0],
        seen=_seen(state, context.identity),
    )
    replaced = before is not None and bool(before.tags or payload.complete)  # labelled: its vector in the sums changes
    if not (applied or event.complete or replaced):
        return Applied(record)
    return Applied(record, Example(event.image_id, image.quantised, applied, (), event.complete or None, False))


def _delete(state: IndexRecord | None, event: ImageDeleted, context: _Context) -> Applied:
    """A tombstone remembers identities too: a producer's retry must not bring the picture back."""
    tombstone = IndexRecord(
        image_id=event.image_id,
        image_position=context.record.position,
        tags_position=state.tags_position if state is not None else 0,
        seen=_seen(state, context.identity),
    )
    if state is None or state.deleted:
        return Applied(tombstone)
    return Applied(tombstone, Example(event.image_id, None, (), (), None, True))  # it may have had tags once


def _tag(state: IndexRecord | None, event: TagsApplied | TagsRemoved, record: Record, identity: str) -> Applied:
    image_id = event.image_id
    if state is None:
        raise UnknownImageError(f"image {image_id!r}: not posted before this tag; post it, then replay the dead letter")
    if state.payload is None:
        raise UnknownImageError(f"image {image_id!r}: deleted before this tag; nothing to do", reason="image_deleted")
    if state.vector is None:
        raise TypeError("a tag needs the state with its vector")
    names = tuple(dict.fromkeys(normalise_tag(tag) for tag in event.tags))
    added: tuple[str, ...] = names if isinstance(event, TagsApplied) else ()
    removed: tuple[str, ...] = () if isinstance(event, TagsApplied) else names
    complete = isinstance(event, TagsApplied) and event.complete
    kept = [tag for tag in state.payload.tags if tag not in removed]
    after = replace(
        state.payload,
        tags=tuple(dict.fromkeys([*kept, *added])),
        complete=complete or state.payload.complete,
    )
    advanced = replace(_advanced(state, record), payload=after, seen=_seen(state, identity))
    return Applied(advanced, Example(image_id, requantise(state.vector), added, removed, complete or None, False))
