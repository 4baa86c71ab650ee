"""Records and offsets as points of a collection, and back; checked before they are written.

In: records and offsets. Out: points with the positions that they may replace. Raises ValueError for a vector that no
index should see, EncoderMismatchError for vectors of another encoder.
"""

import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from models.errors import ConfigurationError, EncoderMismatchError
from stream.index.payload import IndexRecord, Vector, to_fields
from stream.log.reading.positions import StoredOffset

VECTOR_NAME = "image"
FORMAT = 2  # of the points; 1 kept two positions an image
NAMESPACE = uuid.UUID("6d656b69-6b69-4e01-8f00-000000000001")  # "mekiki": point ids must be UUIDs or integers


def point_id(image_id: str) -> str:
    """The UUID an image has in Qdrant."""
    return str(uuid.uuid5(NAMESPACE, "image/" + image_id))


def offset_point_id(topic: str, partition: int) -> str:
    """The UUID an offset has in Qdrant."""
    return str(uuid.uuid5(NAMESPACE, f"offset/{topic}/{partition}"))


META_POINT_ID = str(uuid.uuid5(NAMESPACE, "meta"))


@dataclass(frozen=True)
class Layout:
    """What a collection keeps of its points.

    Attributes:
        keywords: payload fields that filters ask for.
        numbers: the same, of numbers.
        many: whether a point has several vectors, the best of which counts in a search; they are kept as float16.
        suffix: of the collection's name on a server.
    """

    keywords: tuple[str, ...]
    numbers: tuple[str, ...] = ()
    many: bool = False
    suffix: str = ""


@dataclass(frozen=True)
class Point:
    """What both adapters write: id, payload, maybe a vector [D] or several [K, D], and its position: the newest that it
    may replace.
    """

    id: str
    payload: dict[str, Any]
    vector: Vector | None
    position: int


def to_points(records: Sequence[IndexRecord], offsets: Sequence[StoredOffset], dimension: int) -> list[Point]:
    """Records and offsets as points, checked.

    Raises:
        ValueError: a vector is not finite or has the wrong length.
    """
    points = []
    for record in records:
        if record.vector is not None:
            check_vector(record.vector, dimension)
        vector = None if record.payload is None else record.vector
        points.append(Point(point_id(record.image_id), to_fields(record), vector, record.position))
    for offset in offsets:
        stored = {"kind": "offset", **asdict(offset), "position": offset.position}
        point = offset_point_id(offset.topic, offset.partition)
        points.append(Point(point, stored, None, offset.position))
    return points


def check_vector(vector: Vector, dimension: int) -> None:
    """Refuse what Qdrant would take silently (NaN over gRPC ranks first in every search)."""
    if vector.shape != (dimension,):
        raise ValueError(f"vector of shape {vector.shape}: expected ({dimension},); embed with the indexed encoder")
    if not np.isfinite(vector).all():
        raise ValueError("vector with NaN or infinity: expected finite numbers; embed the image again")


def to_offset(stored: dict[str, Any]) -> StoredOffset:
    """The offset of an offset's point."""
    return StoredOffset(**{field.name: stored[field.name] for field in fields(StoredOffset)})


def check_encoder(stored: dict[str, Any], encoder_version: str, dimension: int) -> None:
    """Refuse to mix vectors, and points of another layout.

    Raises:
        EncoderMismatchError: the stored meta names another encoder.
        ConfigurationError: another version of mekiki wrote the points.
    """
    if stored.get("format") != FORMAT:
        raise ConfigurationError(
            f"index of format {stored.get('format', 1)}: expected {FORMAT}; start with an empty data directory or "
            "collection and post the pictures again"
        )
    if stored["encoder"] != encoder_version or stored["dimension"] != dimension:
        raise EncoderMismatchError(
            f"encoder {encoder_version} ({dimension} numbers): expected {stored['encoder']} "
            f"({stored['dimension']} numbers), which made the vectors in the index; start with that encoder "
            "or with an empty data directory or collection, and post the pictures again"
        )
