"""What the index keeps of a picture: one typed model, here alone, and its form as the payload of a point.

In: `IndexRecord`. Out: JSON-ready fields, and back. Fields are stored under their own names; a reader ignores names
that it does not know, and a field that is missing takes its default.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from stream.events.details import MetadataValue
from stream.index.terms import terms_of

Vector: TypeAlias = npt.NDArray[np.float32]
Said: TypeAlias = tuple[str, str, int]  # who said a tag: `by` and source of the event, and the time of its record in ms
Revoked: TypeAlias = tuple[str, str, str, str, int]  # a revocation, a tag that it took back, and who had said it


@dataclass(frozen=True, slots=True)
class ImagePayload:
    """What is kept of a picture beside its vector.

    Attributes:
        sha256: of its bytes, hex.
        uri: where its bytes are: a dataref, or the URI of our own store.
        stored: their name in our own store; empty behind a dataref.
        format: as the decoder names it, e.g. "png".
        width_px: of the upright picture.
        height_px: of the upright picture.
        bytes: length of the file.
        encoder: version of the encoder that made the vector.
        posted_at: RFC 3339, by the producer, or the time of its record.
        tags: as people wrote them, normalised, in the order of their first use.
        speakers: who said tags, and when first: `by`, source, and time.
        said: for each of the tags the places in `speakers` of those who said it.
        complete: whether somebody said that the tags are all there are.
        look: how it looks from afar, see models.look, in base64; empty in an index made before there were looks.
        raw: the encoder's raw features, in base64, so that the vector can be made anew; empty where they were not
            asked for.
        title: what people call it; empty where nobody said.
        source_url: where it comes from; empty where nobody said.
        author: who made it; empty where nobody said.
        metadata: what else its producer said of it.
        revoked: what was taken back of what taggers said, so that it can be given back.
    """

    sha256: str
    uri: str
    format: str
    width_px: int
    height_px: int
    bytes: int
    encoder: str
    stored: str = ""
    posted_at: str = ""
    tags: tuple[str, ...] = ()
    speakers: tuple[Said, ...] = ()
    said: tuple[tuple[int, ...], ...] = ()
    complete: bool = False
    look: str = ""
    raw: str = ""
    title: str = ""
    source_url: str = ""
    author: str = ""
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict)
    revoked: tuple[Revoked, ...] = ()


@dataclass(frozen=True)
class EmbeddedImage:
    """What decoding and embedding made of a picture: int16 vector [D], and its payload as far as the bytes say it."""

    quantised: npt.NDArray[np.int16]
    payload: ImagePayload


@dataclass(frozen=True, slots=True)
class IndexRecord:
    """One image as the index holds it, or what is known of one that is not there.

    Attributes:
        image_id: its name.
        position: of the last event that is in it, see stream.log.reading.positions.
        payload: None while there is no picture.
        vector: float32 [D] of unit length, exactly representable as int16/32767 (models.quantise); None without a
            picture, or where it was not asked for.
        seen: hashes of the identities of its last events, so that a producer's retry is known.
        deleted: whether it is a tombstone.
        waiting: records of events that came before the picture, oldest first, in their text form.
        undecoded: of pictures among them that are still being decoded the sha256 in hex, or nothing where their bytes
            are elsewhere.
    """

    image_id: str
    position: int
    payload: ImagePayload | None = None
    vector: Vector | None = None
    seen: tuple[str, ...] = ()
    deleted: bool = False
    waiting: tuple[str, ...] = ()
    undecoded: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """What its point is called: `image`, `tombstone`, `waiting`, or `empty` once nothing waits any more."""
        if self.payload is not None:
            return "image"
        return "tombstone" if self.deleted else "waiting" if self.waiting else "empty"

    @property
    def was_posted(self) -> bool:
        """Whether it is there, or was before it was deleted."""
        return self.payload is not None or self.deleted


UNDECODED = "any"  # first of a point's `undecoded`, so that a filter finds all of them
_FIELDS = tuple(field.name for field in fields(ImagePayload))
_OPTIONAL = {one.name for one in fields(ImagePayload) if (one.default, one.default_factory) != (MISSING, MISSING)}
# Left out where empty, which is their default: each costs 5 of the 150 microseconds that Edge takes for a payload.
_ROWS = ("speakers", "said", "revoked")


def to_fields(record: IndexRecord) -> dict[str, Any]:
    """The record without its vector, as the payload of its point."""
    stored: dict[str, Any] = {
        "kind": record.kind,
        "image_id": record.image_id,
        "position": record.position,
        "seen": list(record.seen),
    }
    if record.waiting:
        stored["waiting"] = list(record.waiting)
    if record.undecoded:
        stored["undecoded"] = [UNDECODED, *record.undecoded]
    if record.payload is not None:
        said = {name: getattr(record.payload, name) for name in _FIELDS}
        stored |= {name: value for name, value in said.items() if value or name not in _OPTIONAL}
        stored |= {name: list(map(list, stored[name])) for name in _ROWS if name in stored}
        stored |= {name: kind(stored[name]) for name, kind in (("tags", list), ("metadata", dict)) if name in stored}
        stored |= _numbers(record.payload)
        kept = record.payload
        terms = terms_of(kept.title, kept.author, kept.source_url, kept.metadata)
        stored |= {"terms": terms} if terms else {}
    return stored


def _numbers(payload: ImagePayload) -> dict[str, float]:
    """What filters ask for and the payload does not say as a number; what is not known is left out."""
    numbers = {}
    if payload.height_px:
        numbers["aspect"] = payload.width_px / payload.height_px
    try:
        posted = datetime.fromisoformat(payload.posted_at)
        numbers["posted_s"] = (posted if posted.tzinfo else posted.replace(tzinfo=UTC)).timestamp()
    except ValueError:
        pass  # of a log without times
    return numbers


def to_payload(stored: Mapping[str, Any]) -> ImagePayload:
    """The typed payload of an image's point."""
    known = {name: stored[name] for name in _FIELDS if name in stored}
    lists = {name: tuple(map(tuple, stored.get(name, ()))) for name in _ROWS}
    return ImagePayload(**(known | lists | {"tags": tuple(stored.get("tags", ()))}))


def to_record(stored: Mapping[str, Any], vector: Vector | None) -> IndexRecord:
    """The record of an image's point, or of a tombstone."""
    return IndexRecord(
        image_id=stored["image_id"],
        position=stored["position"],
        payload=to_payload(stored) if stored["kind"] == "image" else None,
        vector=vector,
        seen=tuple(stored["seen"]),
        deleted=stored["kind"] == "tombstone",
        waiting=tuple(stored.get("waiting", ())),
        undecoded=tuple(stored.get("undecoded", ())[1:]),
    )
