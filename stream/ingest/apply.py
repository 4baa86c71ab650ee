"""One event onto the state of one image: what the index holds after it, and what the learner is told.

In: the stored IndexRecord (or None) and a prepared event. Out: the next record and maybe an example. Pure. Raises
UnknownImageError or PolicyError for events that cannot be applied.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from models.errors import UnknownImageError
from models.quantise import dequantise, requantise
from models.tagging.examples import Example, TagOperation
from models.tagging.memory.names import normalise_tag
from stream.events.codec import Envelope
from stream.events.schema import Event, ImageDeleted, ImagePosted, TagOperationPosted, TagsApplied, TagsRemoved
from stream.index.contract import IndexRecord
from stream.log.consume import Record

SEEN_EVENTS = 16  # identities kept per image; a producer's retry comes within a few events of the original


@dataclass(frozen=True)
class EmbeddedImage:
    """What decoding and embedding made of a picture: int16 vector [D] and facts for the payload."""

    quantised: npt.NDArray[np.int16]
    facts: dict[str, Any]  # sha256, phash, uri, format, width_px, height_px, bytes


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
    if state is not None and identity in state.payload.get("seen", ()):
        return Applied(_advanced(state, record, {}))
    if isinstance(event, ImagePosted) and image is not None:
        return _post(state, event, image, _Context(record, identity, envelope.time))
    if isinstance(event, ImageDeleted):
        return _delete(state, event, _Context(record, identity, envelope.time))
    if isinstance(event, (TagsApplied, TagsRemoved)):
        return _tag(_known(state, event), event, record, identity)
    raise TypeError(f"{type(event).__name__} is not an ingest event")


def operation_of(event: TagOperationPosted) -> TagOperation:
    """What the learner is told of an operation on tags; no image changes by it.

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


def _advanced(state: IndexRecord, record: Record, changes: dict[str, Any]) -> IndexRecord:
    payload = state.payload | changes
    if record.topic == "images":
        return replace(state, payload=payload, image_position=record.position)
    return replace(state, payload=payload, tags_position=record.position)


def _seen(state: IndexRecord | None, identity: str) -> list[str]:
    before = list(state.payload.get("seen", ())) if state is not None else []
    return [*before, identity][-SEEN_EVENTS:]


def _post(state: IndexRecord | None, event: ImagePosted, image: EmbeddedImage, context: _Context) -> Applied:
    alive = state if state is not None and not state.deleted else None
    applied = tuple(dict.fromkeys(normalise_tag(tag) for tag in event.tags))
    before: list[str] = alive.payload["tags"] if alive is not None else []
    complete = event.complete or (alive is not None and alive.payload["complete"])
    posted_at = context.time or datetime.fromtimestamp(context.record.timestamp_ms / 1000, UTC).isoformat()
    payload = image.facts | {
        "tags": list(dict.fromkeys([*before, *applied])),
        "complete": complete,
        "posted_at": posted_at,
        "seen": _seen(state, context.identity),
    }
    record = IndexRecord(
        image_id=event.image_id,
        image_position=context.record.position,
        tags_position=state.tags_position if state is not None else 0,
        payload=payload,
        vector=dequantise(image.quantised[None])[0],
    )
    replaced = alive is not None and bool(before or complete)  # labelled before: its vector in the sums changes
    if not (applied or event.complete or replaced):
        return Applied(record)
    return Applied(record, Example(event.image_id, image.quantised, applied, (), event.complete or None, False))


def _delete(state: IndexRecord | None, event: ImageDeleted, context: _Context) -> Applied:
    """A tombstone remembers identities too: a producer's retry must not bring the picture back."""
    tombstone = IndexRecord(
        image_id=event.image_id,
        image_position=context.record.position,
        tags_position=state.tags_position if state is not None else 0,
        payload={"seen": _seen(state, context.identity)},
        deleted=True,
    )
    if state is None or state.deleted:
        return Applied(tombstone)
    return Applied(tombstone, Example(event.image_id, None, (), (), None, True))  # it may have had tags once


def _known(state: IndexRecord | None, event: Event) -> IndexRecord:
    image_id = getattr(event, "image_id", "")
    if state is None:
        raise UnknownImageError(f"image {image_id!r}: not posted before this tag; post it, then replay the dead letter")
    if state.deleted:
        raise UnknownImageError(f"image {image_id!r}: deleted before this tag; nothing to do", reason="image_deleted")
    return state


def _tag(state: IndexRecord, event: TagsApplied | TagsRemoved, record: Record, identity: str) -> Applied:
    names = tuple(dict.fromkeys(normalise_tag(tag) for tag in event.tags))
    before: list[str] = state.payload["tags"]
    complete: bool | None = None
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    if isinstance(event, TagsApplied):
        added = names
        after = list(dict.fromkeys([*before, *names]))
        complete = event.complete or None
    else:
        removed = names
        after = [tag for tag in before if tag not in set(names)]
    changes = {
        "tags": after,
        "complete": bool(complete) or state.payload["complete"],
        "seen": _seen(state, identity),
    }
    if state.vector is None:
        raise TypeError("a tag needs the state with its vector")
    vector = requantise(state.vector)
    return Applied(_advanced(state, record, changes), Example(state.image_id, vector, added, removed, complete, False))
