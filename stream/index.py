"""What the index is asked, whoever answers: Qdrant Edge in this process or another, or a Qdrant server.

One collection holds three kinds of points. *Images* carry the vector `image` and a payload. *Tombstones* and *offsets*
carry a payload and no vector, so no search ever meets them. An offset travels in the same write as the images it
covers: state and offset are one unit. Every write is conditional, point by point, on versions that only grow.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from models.errors import EncoderMismatchError

VECTOR_NAME = "image"
NAMESPACE = uuid.UUID("6d656b69-6b69-4e01-8f00-000000000001")  # "mekiki": point ids must be UUIDs or integers
OFFSET_BITS = 41  # generation and offset share a number below 2^53, so that float64 range filters stay exact
MAX_GENERATION = (1 << (53 - OFFSET_BITS)) - 1

Vector = npt.NDArray[np.float32]


def version_of(generation: int, offset: int) -> int:
    """One growing number for (generation of the log, offset in it); 0 is reserved for "never"."""
    return (generation << OFFSET_BITS) + offset + 1


def point_id(image_id: str) -> str:
    """The UUID an image has in Qdrant."""
    return str(uuid.uuid5(NAMESPACE, "image/" + image_id))


@dataclass(frozen=True)
class IndexRecord:
    """One image as the index holds it.

    `vector` is float32 [D] of unit length, exactly representable as int16/32767 (models.quantise); None in a tombstone
    or where it was not asked for. `image_version` and `tags_version` come from `version_of`.
    """

    image_id: str
    image_version: int
    tags_version: int
    payload: dict[str, Any] = field(default_factory=dict)
    vector: Vector | None = None
    deleted: bool = False


@dataclass(frozen=True)
class StoredOffset:
    """Where one consumer goes on: `offset` is the next to read of a topic with this id."""

    topic: str
    partition: int
    offset: int
    topic_id: str
    generation: int

    @property
    def version(self) -> int:
        """Grows with every write."""
        return version_of(self.generation, self.offset)


@dataclass(frozen=True)
class Hit:
    """One search result; `score` is the inner product, the cosine for unit vectors."""

    image_id: str
    score: float
    payload: dict[str, Any]
    vector: Vector | None = None


@dataclass(frozen=True)
class Carrying:
    """A condition on tags: images that carry one of `names`, only those `among` these ids if any, `without` those."""

    names: tuple[str, ...]
    among: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


TagFilter: TypeAlias = Sequence[Sequence[Carrying]]  # of every group, one condition must hold; no group is empty


class VectorIndex(Protocol):
    """The contract both Qdrants keep (tests/contract/test_index.py).

    Every method may raise IndexUnavailableError (try again later) and blocks until the answer is there. `write` is
    durable on return as far as the process can fail; `flush` also covers the machine.
    """

    def open(self, encoder_version: str, dimension: int) -> None:
        """Create what is missing.

        Raises:
            EncoderMismatchError: the collection holds vectors of another encoder version or dimension.
        """

    def write(self, records: Sequence[IndexRecord], offsets: Sequence[StoredOffset]) -> None:
        """Upsert in one operation. A point that is newer in the index than in the call stays as it is.

        Raises:
            ValueError: a vector is not finite or has the wrong length; nothing was written.
        """

    def fetch(self, image_ids: Sequence[str], *, with_vectors: bool = False) -> dict[str, IndexRecord]:
        """The records of these images, tombstones included; unknown ids are missing from the answer."""

    def search(self, vector: Vector, limit: int, *, tags: TagFilter = (), with_vectors: bool = False) -> list[Hit]:
        """Nearest images by inner product, best first; only those that meet a condition of every group of `tags`."""

    def scroll(self, cursor: str | None, limit: int, *, with_vectors: bool = False) -> tuple[list[Hit], str | None]:
        """A page of all images in a stable order and the cursor of the next page, None at the end."""

    def find_sha256(self, sha256: str, limit: int) -> list[Hit]:
        """Images whose bytes have this hash, in no order."""

    def offsets(self) -> list[StoredOffset]:
        """All stored offsets."""

    def count(self) -> int:
        """Number of images, tombstones not counted."""

    def flush(self) -> None:
        """Make everything written survive a power cut."""

    def close(self) -> None:
        """Release what the adapter holds."""


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
            "image_version": record.image_version,
            "tags_version": record.tags_version,
        }
        bounds = (("image_version", record.image_version), ("tags_version", record.tags_version))
        points.append(Point(point_id(record.image_id), payload, None if record.deleted else record.vector, bounds))
    for offset in offsets:
        payload = {"kind": "offset", "version": offset.version, **offset.__dict__}
        bounds_of_offset = (("version", offset.version),)
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
    rest = {k: v for k, v in payload.items() if k not in ("kind", "image_id", "image_version", "tags_version")}
    return IndexRecord(
        image_id=payload["image_id"],
        image_version=payload["image_version"],
        tags_version=payload["tags_version"],
        payload=rest,
        vector=vector,
        deleted=payload["kind"] == "tombstone",
    )


def to_offset(payload: dict[str, Any]) -> StoredOffset:
    """The offset a stored payload stands for."""
    names = ("topic", "partition", "offset", "topic_id", "generation")
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
