"""The objects of pictures: parts that may be found and shown, in a collection of their own.

In: for each image the boxes and vectors of its parts, with offsets. Out: images by their best part. One point an image
holds all of its vectors, so that an image's objects are there together or not at all, answers are grouped by image, and
a write is conditional on one position, like that of the image. Raises as VectorIndex.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from models.proposals import Box
from stream.index.payload import Vector
from stream.index.point_index import PointIndex, vector_in
from stream.index.points import Layout, Point, check_vector, point_id, to_points
from stream.log.reading.positions import StoredOffset

OBJECTS = Layout(("kind",), many=True, suffix="_objects")


@dataclass(frozen=True, slots=True)
class ImageObjects:
    """What may be an object in one image.

    Attributes:
        image_id: the image.
        position: of the image's record that the objects belong to, see IndexRecord.
        sha256: of the bytes they were cut from; empty once there is no picture.
        boxes: K of them, in shares of the upright picture.
        vectors: float32 [K, D] of unit length, kept as float16; None where there are none, or they were not asked for.
        score: of the best of them, in a search.
    """

    image_id: str
    position: int
    sha256: str = ""
    boxes: tuple[Box, ...] = ()
    vectors: Vector | None = None
    score: float = 0.0


class ObjectIndex(Protocol):
    """The contract (tests/contract/test_objects.py); every method may raise IndexUnavailableError."""

    def open(self, encoder_version: str, dimension: int) -> None:
        """See VectorIndex.open."""

    def write(self, objects: Sequence[ImageObjects], offsets: Sequence[StoredOffset]) -> None:
        """Put down the objects, then the offsets. What is newer in the index than in the call stays as it is.

        Raises:
            ValueError: a vector is not finite or has the wrong length, or boxes and vectors are not as many.
        """

    def fetch(self, image_ids: Sequence[str], *, with_vectors: bool = False) -> dict[str, ImageObjects]:
        """What is known of these images' objects; unknown ids are missing from the answer."""

    def search(self, vector: Vector, limit: int) -> list[ImageObjects]:
        """Images by their most similar object, best first, without vectors; equal ones by id."""

    def offsets(self) -> list[StoredOffset]:
        """All stored offsets."""

    def count(self) -> int:
        """Images with objects, about."""

    def flush(self) -> None:
        """See VectorIndex.flush."""

    def close(self) -> None:
        """See VectorIndex.close."""


class ObjectPoints:
    """See ObjectIndex: on the points of Qdrant Edge or of a Qdrant server."""

    def __init__(self, points: PointIndex) -> None:
        self._points = points

    def open(self, encoder_version: str, dimension: int) -> None:
        """See ObjectIndex.open."""
        self._points.open(encoder_version, dimension)

    def write(self, objects: Sequence[ImageObjects], offsets: Sequence[StoredOffset]) -> None:
        """See ObjectIndex.write."""
        dimension = self._points.dimension
        for points in ([_to_point(one, dimension) for one in objects], to_points((), offsets, dimension)):
            if points:
                self._points.upsert(points, self._points.filters.replaceable)

    def fetch(self, image_ids: Sequence[str], *, with_vectors: bool = False) -> dict[str, ImageObjects]:
        """See ObjectIndex.fetch."""
        ids = [point_id(image_id) for image_id in image_ids]
        found = map(_to_objects, self._points.retrieve(ids, with_vectors=with_vectors))
        return {one.image_id: one for one in found}

    def search(self, vector: Vector, limit: int) -> list[ImageObjects]:
        """See ObjectIndex.search."""
        check_vector(vector, self._points.dimension)
        found = self._points.nearest(vector, limit, None, with_vectors=False)
        hits = [_to_objects(point, float(point.score)) for point in found]
        return sorted(hits, key=lambda hit: (-hit.score, hit.image_id))

    def offsets(self) -> list[StoredOffset]:
        """See ObjectIndex.offsets."""
        return self._points.offsets()

    def count(self) -> int:
        """See ObjectIndex.count."""
        return self._points.count("image", exact=False)

    def flush(self) -> None:
        """See ObjectIndex.flush."""
        self._points.flush()

    def close(self) -> None:
        """See ObjectIndex.close."""
        self._points.close()


def best_box(objects: ImageObjects, vector: Vector) -> Box:
    """The box of the object that is most like a vector [D]; `objects` has vectors."""
    assert objects.vectors is not None
    return objects.boxes[int(np.argmax(objects.vectors @ vector))]


def _to_point(objects: ImageObjects, dimension: int) -> Point:
    vectors = None if objects.vectors is None or not len(objects.vectors) else objects.vectors
    if len(objects.boxes) != (0 if vectors is None else len(vectors)):
        raise ValueError(f"objects of {objects.image_id!r}: expected a vector for each of {len(objects.boxes)} boxes")
    for vector in () if vectors is None else vectors:
        check_vector(vector, dimension)
    stored = {
        "kind": "tombstone" if vectors is None else "image", "image_id": objects.image_id,
        "position": objects.position, "sha256": objects.sha256, "boxes": [list(box) for box in objects.boxes],
    }  # fmt: skip
    return Point(point_id(objects.image_id), stored, vectors, objects.position)


def _to_objects(point: Any, score: float = 0.0) -> ImageObjects:
    stored = point.payload or {}
    boxes = tuple((box[0], box[1], box[2], box[3]) for box in stored["boxes"])
    return ImageObjects(stored["image_id"], stored["position"], stored["sha256"], boxes, vector_in(point), score)
