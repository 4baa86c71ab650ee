"""Records and offsets as points of a collection, and back; checked before they are written.

In: records and offsets. Out: points with the positions that they may replace. Raises ValueError for a vector that no
index should see, EncoderMismatchError for vectors of another encoder.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.errors import EncoderMismatchError
from stream.index.contract import IndexRecord, Vector
from stream.log.positions import StoredOffset

VECTOR_NAME = "image"


NAMESPACE = uuid.UUID("6d656b69-6b69-4e01-8f00-000000000001")  # "mekiki": point ids must be UUIDs or integers


def point_id(image_id: str) -> str:
    """The UUID an image has in Qdrant."""
    return str(uuid.uuid5(NAMESPACE, "image/" + image_id))


def offset_point_id(topic: str, partition: int) -> str:
    """The UUID an offset has in Qdrant."""
    return str(uuid.uuid5(NAMESPACE, f"offset/{topic}/{partition}"))


META_POINT_ID = str(uuid.uuid5(NAMESPACE, "meta"))


@dataclass(frozen=True)
class Point:
    """What both adapters write: id, payload, maybe a vector, and the versions it may replace (upper bounds)."""

    id: str
    payload: dict[str, Any]
    vector: Vector | None
    bounds: tuple[tuple[str, int], ...]  # (payload field, greatest value that may be replaced)


def to_points(records: Sequence[IndexRecord], offsets: Sequence[StoredOffset], dimension: int) -> list[Point]:
    """Records and offsets as points, checked.

    Raises:
        ValueError: a vector is not finite or has the wrong length.
    """
    points = []
    for record in records:
        if record.vector is not None:
            check_vector(record.vector, dimension)
        payload = record.payload | {
            "kind": "tombstone" if record.deleted else "image",
            "image_id": record.image_id,
            "image_position": record.image_position,
            "tags_position": record.tags_position,
        }
        bounds = (("image_position", record.image_position), ("tags_position", record.tags_position))
        points.append(Point(point_id(record.image_id), payload, None if record.deleted else record.vector, bounds))
    for offset in offsets:
        payload = {"kind": "offset", "version": offset.position, **offset.__dict__}
        bounds_of_offset = (("version", offset.position),)
        points.append(Point(offset_point_id(offset.topic, offset.partition), payload, None, bounds_of_offset))
    return points


def check_vector(vector: Vector, dimension: int) -> None:
    """Refuse what Qdrant would take silently (NaN over gRPC ranks first in every search)."""
    if vector.shape != (dimension,):
        raise ValueError(f"vector of shape {vector.shape}: expected ({dimension},); embed with the indexed encoder")
    if not np.isfinite(vector).all():
        raise ValueError("vector with NaN or infinity: expected finite numbers; embed the image again")


def to_record(payload: dict[str, Any], vector: Vector | None) -> IndexRecord:
    """The record a stored payload stands for."""
    rest = {k: v for k, v in payload.items() if k not in ("kind", "image_id", "image_position", "tags_position")}
    return IndexRecord(
        image_id=payload["image_id"],
        image_position=payload["image_position"],
        tags_position=payload["tags_position"],
        payload=rest,
        vector=vector,
        deleted=payload["kind"] == "tombstone",
    )


def to_offset(payload: dict[str, Any]) -> StoredOffset:
    """The offset a stored payload stands for."""
    names = ("topic", "partition", "offset", "topic_id", "epoch")
    return StoredOffset(**{name: payload[name] for name in names})


def check_encoder(stored: dict[str, Any], encoder_version: str, dimension: int) -> None:
    """Refuse to mix vectors.

    Raises:
        EncoderMismatchError: the stored meta names another encoder.
    """
    if stored["encoder"] != encoder_version or stored["dimension"] != dimension:
        raise EncoderMismatchError(
            f"encoder {encoder_version} ({dimension} numbers): expected {stored['encoder']} "
            f"({stored['dimension']} numbers), which made the vectors in the index; start with that encoder "
            "or with an empty data directory or collection, and post the pictures again"
        )
