"""What the index keeps of a picture: one typed model, here alone, and its form as the payload of a point.

In: `IndexRecord`. Out: JSON-ready fields, and back. Fields are stored under their own names; a reader ignores names
that it does not know, and a field that is missing takes its default.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Vector: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ImagePayload:
    """What is kept of a picture beside its vector.

    Attributes:
        sha256: of its bytes, hex.
        phash: perceptual hash, 64 bits in hex.
        uri: where its bytes are: a dataref, or the URI of our own store.
        format: as the decoder names it, e.g. "png".
        width_px: of the upright picture.
        height_px: of the upright picture.
        bytes: length of the file.
        encoder: version of the encoder that made the vector.
        posted_at: RFC 3339, by the producer, or the time of its record.
        tags: as people wrote them, normalised, in the order of their first use.
        complete: whether somebody said that the tags are all there are.
    """

    sha256: str
    phash: str
    uri: str
    format: str
    width_px: int
    height_px: int
    bytes: int
    encoder: str
    posted_at: str = ""
    tags: tuple[str, ...] = ()
    complete: bool = False


@dataclass(frozen=True, slots=True)
class IndexRecord:
    """One image as the index holds it; a tombstone where `payload` is None.

    Attributes:
        image_id: its name.
        image_position: position of the last event of images.v1 that is in it, see stream.log.positions.
        tags_position: position of the last event of tags.v1 that is in it.
        payload: None once the image is deleted.
        vector: float32 [D] of unit length, exactly representable as int16/32767 (models.quantise); None in a tombstone,
            or where it was not asked for.
        seen: hashes of the identities of its last events, so that a producer's retry is known.
    """

    image_id: str
    image_position: int
    tags_position: int
    payload: ImagePayload | None = None
    vector: Vector | None = None
    seen: tuple[str, ...] = ()

    @property
    def deleted(self) -> bool:
        """Whether it is a tombstone."""
        return self.payload is None


_FIELDS = tuple(field.name for field in fields(ImagePayload))


def to_fields(record: IndexRecord) -> dict[str, Any]:
    """The record without its vector, as the payload of its point."""
    stored: dict[str, Any] = {
        "kind": "tombstone" if record.payload is None else "image",
        "image_id": record.image_id,
        "image_position": record.image_position,
        "tags_position": record.tags_position,
        "seen": list(record.seen),
    }
    if record.payload is not None:
        stored |= {name: getattr(record.payload, name) for name in _FIELDS}
        stored["tags"] = list(record.payload.tags)
    return stored


def to_payload(stored: Mapping[str, Any]) -> ImagePayload:
    """The typed payload of an image's point."""
    known = {name: stored[name] for name in _FIELDS if name in stored}
    return ImagePayload(**(known | {"tags": tuple(stored.get("tags", ()))}))


def to_record(stored: Mapping[str, Any], vector: Vector | None) -> IndexRecord:
    """The record of an image's point, or of a tombstone."""
    return IndexRecord(
        image_id=stored["image_id"],
        image_position=stored["image_position"],
        tags_position=stored["tags_position"],
        payload=to_payload(stored) if stored["kind"] == "image" else None,
        vector=vector,
        seen=tuple(stored["seen"]),
    )
