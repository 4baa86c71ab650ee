"""One event onto the state of one image: what the index holds after it, and what is to be learned.

In: the stored IndexRecord (or None) and a prepared event. Out: the next record, maybe an example, maybe dead letters.
Pure: the state after an event is a function of the events of its image up to it, whoever computes it. A tag for an
image that is not there waits in the image's record and is put on it when it comes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from models.errors import PoisonError, UnknownImageError
from models.quantise import dequantise, requantise
from models.tagging.examples import Example
from stream.events.codec import Envelope, identity_hash
from stream.events.schema import (
    ImageDecoded,
    ImageDeleted,
    ImagePosted,
    TagsApplied,
    TagsRemoved,
    TagsRevoked,
    WaitingEnded,
)
from stream.index.payload import EmbeddedImage, ImagePayload, IndexRecord
from stream.ingest.image_tags import DeadLetters, ImageTags, good_names
from stream.ingest.waits import Picture, Undecoded, Waits, end, events_of, put, put_picture, said_of, with_events
from stream.log.record import Record

SEEN_EVENTS = 16  # identities kept per image; a producer's retry comes within a few events of the original
AboutTags: TypeAlias = TagsApplied | TagsRemoved | TagsRevoked


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
    state: IndexRecord | None, envelope: Envelope, record: Record, picture: Picture | None
) -> Applied | None:
    """Apply one event; None if the state has it already.

    Args:
        state: the image as the index holds it, with its vector; None if nothing is known of it.
        envelope: the event.
        record: where it stood in the log.
        picture: for ImagePosted, what became of it; for ImageDecoded the same, or why it is dead.

    Raises:
        UnknownImageError: reason `image_deleted`, a tag for an image that was taken down.
    """
    event = envelope.event
    if state is not None and record.position <= state.position:
        return None
    context = _Context(record, envelope, identity_hash(envelope))
    before = state or IndexRecord(getattr(event, "image_id", ""), 0)
    if context.identity in before.seen:
        return Applied(replace(before, position=record.position))
    if isinstance(event, ImagePosted):
        return _post(before, event, picture, context)
    if isinstance(event, ImageDeleted):
        return _delete(before, context)
    if isinstance(event, WaitingEnded):
        return None if state is None else _end_waiting(state, event, context)
    if isinstance(event, ImageDecoded):
        return None if state is None else _decoded(state, event, picture, context)
    if isinstance(event, TagsRevoked) and before.payload is None and not before.waiting:
        return None  # nobody said anything of it
    if isinstance(event, (TagsApplied, TagsRemoved, TagsRevoked)):
        waits = before.payload is None or before.undecoded
        return _wait(before, event, context) if waits else _tag(before, event, context)
    raise TypeError(f"{type(event).__name__} is not an ingest event")


def _advanced(state: IndexRecord, context: _Context, **changes: object) -> IndexRecord:
    """The state with this event in it; a producer's retry of it will be known."""
    seen = (*state.seen, context.identity)[-SEEN_EVENTS:]
    return replace(state, position=context.record.position, seen=seen, **changes)  # type: ignore[arg-type]


def _post(state: IndexRecord, event: ImagePosted, picture: Picture | None, context: _Context) -> Applied:
    _, dead = good_names(event.tags, event.image_id, context.envelope, context.record)
    if isinstance(picture, Undecoded):
        waits = put_picture(_advanced(state, context), context.envelope, context.record, picture.sha256)
        return Applied(waits, dead=dead)
    assert isinstance(picture, EmbeddedImage)
    story = [*events_of(state), Waits(context.record, context.envelope)]  # an earlier picture only lends its tags
    return replace(_with_picture(_advanced(state, context), story, picture), dead=dead)


def _decoded(state: IndexRecord, event: ImageDecoded, picture: Picture | None, context: _Context) -> Applied | None:
    """A picture that waited is there, or dead; what waited behind it is applied after it."""
    waiting = events_of(state)
    place = next((n for n, one in enumerate(waiting) if one.is_picture and one.record.position == event.of), None)
    if place is None:
        return None  # deleted or replaced meanwhile, or decoded twice
    story, rest = waiting[: place + 1], waiting[place + 1 :]
    state = _advanced(state, context)
    if isinstance(picture, EmbeddedImage):
        done = _with_picture(state, story, picture)
    else:
        assert isinstance(picture, PoisonError)
        done, rest = Applied(state, dead=((story[-1].record, picture),)), [*story[:-1], *rest]
    if done.record.payload is None or any(one.is_picture for one in rest):
        return replace(done, record=with_events(done.record, rest))
    return _with_tags(done, rest)


def _with_picture(state: IndexRecord, story: Sequence[Waits], picture: EmbeddedImage) -> Applied:
    """The image with this picture, which the last event of the story posted, and all the tags of the story."""
    before = state.payload
    tags = _told(before, story)
    payload = tags.put_on(replace(picture.payload, **said_of(before, story)))
    vector = dequantise(picture.quantised[None])[0]
    record = with_events(replace(state, payload=payload, vector=vector, deleted=False), [])
    replaced = before is not None and bool(before.tags or payload.complete)  # labelled: its vector in the sums changes
    if not (tags.added or tags.removed or tags.revoked or tags.said_complete or replaced):
        return Applied(record)
    return Applied(record, _example(state.image_id, picture.quantised, tags))


def _with_tags(done: Applied, rest: Sequence[Waits]) -> Applied:
    """And with what waited behind the picture; one example says all of it."""
    record, story = done.record, [*rest]
    assert record.payload is not None and record.vector is not None
    tags = _told(record.payload, story)
    after = with_events(replace(record, payload=tags.put_on(record.payload)), [])
    if not story:
        return replace(done, record=after)
    first, then = done.example, _example(record.image_id, requantise(record.vector), tags)
    return replace(done, record=after, example=then if first is None else _joined(first, then))


def _joined(first: Example, then: Example) -> Example:
    """Two examples of one image, one behind the other, as one."""
    said = dict(zip(first.added, first.said, strict=True)) | dict(zip(then.added, then.said, strict=True))
    added = [tag for tag in said if tag not in (*then.removed, *then.revoked)]
    removed = [tag for tag in (*first.removed, *then.removed) if tag not in added]
    revoked = [tag for tag in (*first.revoked, *then.revoked) if tag not in added]
    complete = then.complete or first.complete
    return replace(
        then, added=tuple(added), removed=tuple(dict.fromkeys(removed)), complete=complete,
        said=tuple(said[tag] for tag in added), revoked=tuple(dict.fromkeys(revoked)),
    )  # fmt: skip


def tags_of(state: IndexRecord) -> ImageTags:
    """The tags of an image with what waits for it."""
    return _told(state.payload, events_of(state))


def _told(before: ImagePayload | None, story: Sequence[Waits]) -> ImageTags:
    """The tags of an image after these events; their bad tags are dead letters already."""
    tags = ImageTags(before)
    for one in story:
        event = one.envelope.event
        names, _ = good_names(getattr(event, "tags", ()), getattr(event, "image_id", ""), one.envelope, one.record)
        tags.apply(names, one.envelope, one.record)
    return tags


def _example(image_id: str, vector: npt.NDArray[np.int16], tags: ImageTags) -> Example:
    said = tags.said_last(tags.added)
    return Example(
        image_id, vector, tags.added, tags.removed, tags.said_complete or None, said=said, revoked=tags.revoked
    )


def _delete(state: IndexRecord, context: _Context) -> Applied:
    """A tombstone remembers identities too: a producer's retry must not bring the picture back."""
    waited = [one for one in events_of(state) if not one.is_picture]
    _, dead = end(state, waited, "image_deleted")
    tombstone = with_events(_advanced(state, context, payload=None, vector=None, deleted=True), [])
    if state.payload is None:
        return Applied(tombstone, dead=dead)
    return Applied(tombstone, Example(state.image_id, None, (), (), None, True), dead)  # it may have had tags once


def _wait(state: IndexRecord, event: AboutTags, context: _Context) -> Applied:
    if state.deleted and not state.undecoded:
        raise UnknownImageError(
            f"image {event.image_id!r}: deleted before this tag; nothing to do", reason="image_deleted"
        )
    said = getattr(event, "tags", ())
    names, dead = good_names(said, event.image_id, context.envelope, context.record)
    if said and not names:
        return Applied(_advanced(state, context), dead=dead)
    record, ended = put(_advanced(state, context), context.envelope, context.record)
    return Applied(record, dead=(*dead, *ended))


def _end_waiting(state: IndexRecord, event: WaitingEnded, context: _Context) -> Applied:
    waited = [one for one in events_of(state) if not one.is_picture]
    ended = [one for one in waited if event.until is None or one.record.position <= event.until]
    record, dead = end(_advanced(state, context), ended)
    return Applied(record, dead=dead)


def _tag(state: IndexRecord, event: AboutTags, context: _Context) -> Applied:
    assert state.payload is not None
    if state.vector is None:
        raise TypeError("a tag needs the state with its vector")
    said = getattr(event, "tags", ())
    names, dead = good_names(said, event.image_id, context.envelope, context.record)
    tags = ImageTags(state.payload)
    tags.apply(names, context.envelope, context.record)
    record = _advanced(state, context, payload=tags.put_on(state.payload))
    nothing = not (tags.added or tags.revoked) if isinstance(event, TagsRevoked) else said and not names
    if nothing:
        return Applied(record, dead=dead)
    removed = names if isinstance(event, TagsRemoved) else ()  # also where it was not there: then it is said so
    example = replace(_example(event.image_id, requantise(state.vector), tags), removed=removed)
    return Applied(record, example, dead)
