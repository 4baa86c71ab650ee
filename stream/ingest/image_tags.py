"""The tags of one image while events are applied to it: which, and who said them.

In: the tags as events say them. Out: normal names with those who said them; each bad tag as a dead letter of its own.
Pure.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from models.errors import PoisonError, PolicyError
from models.tagging.memory.names import normalise_tag
from stream.events.codec import Envelope, encode
from stream.events.schema import ImagePosted, TagsApplied, TagsRemoved
from stream.index.payload import ImagePayload, Said
from stream.log.record import Record

SAID_BY = 16  # people and programs kept for each tag, those that said it last

DeadLetters = tuple[tuple[Record, PoisonError], ...]


class ImageTags:
    """The tags of an image while events are applied to it.

    Attributes:
        complete: whether somebody said that the tags are all that there are.
        said_complete: whether one of these events did.
    """

    def __init__(self, before: ImagePayload | None) -> None:
        self._said: dict[str, tuple[Said, ...]] = {}
        if before is not None:
            said = before.said or ((),) * len(before.tags)
            for tag, places in zip(before.tags, said, strict=True):
                self._said[tag] = tuple(before.speakers[place] for place in places)
        self._had = tuple(self._said)
        self._put_on: dict[str, None] = {}
        self.complete = before is not None and before.complete
        self.said_complete = False

    @property
    def added(self) -> tuple[str, ...]:
        """Tags that these events put on and left there, also where they were there before."""
        return tuple(tag for tag in self._put_on if tag in self._said)

    @property
    def removed(self) -> tuple[str, ...]:
        """Tags that were there and are not any more."""
        return tuple(tag for tag in self._had if tag not in self._said)

    def apply(self, names: Sequence[str], envelope: Envelope, record: Record) -> None:
        """Put on or take off the good names of an event; who said a tag before is remembered beside who says it now."""
        event = envelope.event
        if isinstance(event, TagsRemoved):
            for tag in names:
                self._said.pop(tag, None)
            return
        assert isinstance(event, (ImagePosted, TagsApplied))
        self.said_complete = self.said_complete or event.complete
        self.complete = self.complete or event.complete
        one = (getattr(event, "by", None) or "", envelope.source, record.timestamp_ms)
        for tag in names:
            others = tuple(other for other in self._said.get(tag, ()) if other[:2] != one[:2])
            self._said[tag] = (*others, one)[-SAID_BY:]
            self._put_on[tag] = None

    def put_on(self, payload: ImagePayload) -> ImagePayload:
        """The payload with these tags."""
        places = {one: place for place, one in enumerate(dict.fromkeys(chain(*self._said.values())))}
        said = tuple(tuple(places[one] for one in speakers) for speakers in self._said.values())
        return replace(payload, tags=tuple(self._said), speakers=tuple(places), said=said, complete=self.complete)

    def said_last(self, names: Sequence[str]) -> tuple[tuple[str, str], ...]:
        """For each of these tags, who said it last: `by` or nothing, and source."""
        return tuple(self._said[tag][-1][:2] for tag in names)


def good_names(
    tags: Sequence[str], image_id: str, envelope: Envelope, record: Record
) -> tuple[tuple[str, ...], DeadLetters]:
    """The good tags of an event, normalised, and each bad one as a dead letter of its own."""
    names: dict[str, None] = {}
    dead: list[tuple[Record, PoisonError]] = []
    for tag in tags:
        try:
            names[normalise_tag(tag)] = None
        except PolicyError as error:
            dead.append((_letter(tag, image_id, envelope, record, len(dead) + 1), error))
    return tuple(names), tuple(dead)


def _letter(tag: str, image_id: str, envelope: Envelope, record: Record, part: int) -> Record:
    """The event that says this one tag and nothing else: replayed, it changes nothing else. Maybe the record itself."""
    event = envelope.event
    if isinstance(event, (TagsApplied, TagsRemoved)) and len(event.tags) == 1:
        return record
    said = TagsRemoved if isinstance(event, TagsRemoved) else TagsApplied
    alone = said(image_id=image_id, tags=(tag,), by=getattr(event, "by", None))
    key, value, headers = encode(alone, source=envelope.source, event_id=f"{envelope.id[:1_900]}/tag/{part}")
    return replace(record, key=key, value=value, headers=tuple(headers), part=part)
