"""The tags of one image while events are applied to it: which, and who said them.

In: the tags as events say them. Out: normal names with those who said them; each bad tag as a dead letter of its own.
Pure.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from models.errors import PoisonError, PolicyError
from models.tagging.examples import TagOperation
from models.tagging.memory.names import normalise_tag
from stream.events.codec import Envelope, encode
from stream.events.schema import ImagePosted, TagOperationPosted, TagsApplied, TagsRemoved, TagsRevoked
from stream.index.payload import ImagePayload, Revoked, Said
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
        self._revoked: tuple[Revoked, ...] = ()
        if before is not None:
            said = before.said or ((),) * len(before.tags)
            for tag, places in zip(before.tags, said, strict=True):
                self._said[tag] = tuple(before.speakers[place] for place in places)
            self._revoked = before.revoked
        self._had = tuple(self._said)
        self._put_on: dict[str, None] = {}
        self._taken_back: set[str] = set()
        self._taken_off: set[str] = set()
        self.complete = before is not None and before.complete
        self.said_complete = False

    @property
    def added(self) -> tuple[str, ...]:
        """Tags that these events put on and left there, also where they were there before."""
        return tuple(tag for tag in self._put_on if tag in self._said)

    @property
    def removed(self) -> tuple[str, ...]:
        """Tags that were there and are not any more, those left out that nobody says any more."""
        return tuple(tag for tag in self._had if tag not in self._said and tag not in self.revoked)

    @property
    def revoked(self) -> tuple[str, ...]:
        """Tags that were there and that nobody says any more."""
        return tuple(tag for tag in self._had if tag not in self._said and tag in self._taken_back - self._taken_off)

    def apply(self, names: Sequence[str], envelope: Envelope, record: Record) -> None:
        """Put on or take off the good names of an event; who said a tag before is remembered beside who says it now."""
        event = envelope.event
        if isinstance(event, TagsRevoked):
            if event.undo:
                self._give_back(event)
            else:
                self._take_back(event)
            return
        if isinstance(event, TagsRemoved):
            for tag in names:
                self._said.pop(tag, None)
                self._taken_off.add(tag)
            self._revoked = tuple(one for one in self._revoked if one[1] not in names)
            return
        assert isinstance(event, (ImagePosted, TagsApplied))
        self.said_complete = self.said_complete or event.complete
        self.complete = self.complete or event.complete
        one = (getattr(event, "by", None) or "", envelope.source, record.timestamp_ms)
        for tag in names:
            self._say(tag, one)

    def _say(self, tag: str, one: Said) -> None:
        said = self._said.get(tag, ())
        first_ms = min(other[2] for other in (*said, one) if other[:2] == one[:2])
        others = tuple(other for other in said if other[:2] != one[:2])
        self._said[tag] = (*others, (*one[:2], first_ms))[-SAID_BY:]
        self._put_on[tag] = None

    def said_by(self, who: str, since_ms: int) -> dict[str, tuple[Said, ...]]:
        """By tag, what one of that `by` or source said of it from then on; only tags of which it said so."""
        found = {
            tag: tuple(one for one in said if who in one[:2] and one[2] >= since_ms)
            for tag, said in self._said.items()
        }  # fmt: skip
        return {tag: said for tag, said in found.items() if said}

    def said_by_nobody_else(self, who: str, since_ms: int) -> tuple[str, ...]:
        """Those of these tags that nobody would say any more without it."""
        found = self.said_by(who, since_ms)
        return tuple(tag for tag, said in found.items() if len(said) == len(self._said[tag]))

    def revoked_by(self, revocation: str) -> tuple[str, ...]:
        """Tags of which a revocation took something back."""
        return tuple(dict.fromkeys(one[1] for one in self._revoked if one[0] == revocation))

    def _take_back(self, event: TagsRevoked) -> None:
        for tag, taken in self.said_by(event.said_by, event.since_ms).items():
            self._revoked += tuple((event.revocation, tag, *one) for one in taken)
            self._said[tag] = tuple(one for one in self._said[tag] if one not in taken)
            if not self._said[tag]:
                del self._said[tag]
                self._taken_back.add(tag)

    def _give_back(self, event: TagsRevoked) -> None:
        given = [one for one in self._revoked if one[0] == event.revocation]
        self._revoked = tuple(one for one in self._revoked if one[0] != event.revocation)
        for _, tag, by, source, time_ms in given:
            self._say(tag, (by, source, time_ms))

    def put_on(self, payload: ImagePayload) -> ImagePayload:
        """The payload with these tags."""
        places = {one: place for place, one in enumerate(dict.fromkeys(chain(*self._said.values())))}
        said = tuple(tuple(places[one] for one in speakers) for speakers in self._said.values())
        return replace(
            payload, tags=tuple(self._said), speakers=tuple(places), said=said, complete=self.complete,
            revoked=self._revoked,
        )  # fmt: skip

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


def operation_of(event: TagOperationPosted, envelope: Envelope, record: Record) -> TagOperation:
    """What an operation on tags is to the learner; no image changes by it.

    Raises:
        PolicyError: reason `bad_tag`.
    """
    names = tuple(dict.fromkeys(normalise_tag(tag) for tag in event.tags))
    into = normalise_tag(event.into) if event.into else ""
    return TagOperation(
        event.operation_id, event.kind, names, into, event.images, event.target,
        event.by or envelope.source, record.time_ms or 0, event.said_by, event.since,
    )  # fmt: skip
