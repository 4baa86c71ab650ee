"""The contract in terms of points: all that Qdrant Edge and a Qdrant server have in common.

In: calls of the contract. Out: a handful of calls on points, which each adapter makes in its own client's terms. Both
clients have the same filters under the same names; `Filters` gets those of one of them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from stream.index.contract import ALL, Condition, Hit, Kind, TagFilter, Terms
from stream.index.payload import UNDECODED, IndexRecord, Vector, to_payload, to_record
from stream.index.points import (
    FORMAT,
    META_POINT_ID,
    VECTOR_NAME,
    Layout,
    Point,
    check_encoder,
    check_vector,
    point_id,
    to_offset,
    to_points,
)  # fmt: skip
from stream.log.reading.positions import StoredOffset

PAGE = 256  # records a scroll of ours asks for at once
RAW = "raw"  # payload field of the raw features: large, and of no use to who searches
# of numbers those that leave few; of sizes and shapes most remain
IMAGES = Layout(("kind", "tags", "sha256", "undecoded", "terms"), ("posted_s",))


class Filters(ABC):
    """Makes the filters of one client."""

    @abstractmethod
    def every(self, must: Sequence[Any], without: Sequence[Any] = ()) -> Any:
        """All of `must` hold, and none of `without`."""

    @abstractmethod
    def some(self, should: Sequence[Any]) -> Any:
        """One of them holds."""

    @abstractmethod
    def is_in(self, field: str, values: Sequence[str]) -> Any:
        """A payload field has one of these values."""

    @abstractmethod
    def between(self, field: str, low: float | None, high: float | None) -> Any:
        """A payload field is within these bounds."""

    @abstractmethod
    def ids(self, ids: Sequence[str]) -> Any:
        """The point has one of these ids."""

    def kind(self, kind: str) -> Any:
        """Points of one kind."""
        return self.every([self.is_in("kind", [kind])])

    def replaceable(self, points: Sequence[Point]) -> Any:
        """A stored point may be replaced where one clause holds: it is this point and not newer."""
        return self.some([
            self.every([self.ids([point.id]), self.between("position", None, point.position)])
            for point in points
        ])  # fmt: skip

    def of(self, condition: Condition) -> Any:
        """See VectorIndex.search; None where all images are meant."""
        if condition == ALL:
            return None
        groups = [self.some([self._one(one) for one in group]) for group in condition.tags]
        ranges = [self.between(one.field, one.low, one.high) for one in condition.ranges]
        without = [self._one(one) for one in condition.without]
        without += [self.every(self._said(one)) for one in condition.unsaid]
        among = [self.ids([point_id(image_id) for image_id in condition.among])] if condition.among else []
        return self.every(groups + ranges + self._said(condition.terms) + among, without)

    def _said(self, terms: Terms) -> list[Any]:
        return [self.is_in("terms", group) for group in terms]

    def _one(self, one: TagFilter) -> Any:
        among = [self.ids([point_id(i) for i in one.among])] if one.among else []
        without = [self.ids([point_id(i) for i in one.without])] if one.without else []
        return self.every([self.is_in("tags", one.names), *among], without)


class PointIndex(ABC):
    """See VectorIndex. An adapter says how points are written, fetched, scrolled, queried and counted."""

    def __init__(self, filters: Filters, layout: Layout) -> None:
        self.filters = filters
        self.layout = layout
        self.dimension = 0

    @abstractmethod
    def prepare(self, dimension: int) -> None:
        """Make what is missing of the collection."""

    @abstractmethod
    def upsert(self, points: Sequence[Point], condition: Callable[[Sequence[Point]], Any] | None = None) -> None:
        """Write points; with a `condition` on some of them a stored one is replaced only where it holds."""

    @abstractmethod
    def retrieve(self, ids: Sequence[str], *, with_vectors: bool = False, with_raw: bool = False) -> Sequence[Any]:
        """Points by id; each has `payload`, without `RAW` unless it is asked for, and `vector`."""

    @abstractmethod
    def page(
        self, condition: Any, cursor: Any, limit: int, *, with_vectors: bool = False, with_raw: bool = False
    ) -> tuple[Sequence[Any], Any]:
        """A page of points in a stable order, and where the next one begins."""

    @abstractmethod
    def nearest(self, vector: Vector, limit: int, condition: Any, *, with_vectors: bool) -> Sequence[Any]:
        """Points by inner product, best first; each has a `score` too, and no `RAW`."""

    @abstractmethod
    def count(self, kind: Kind = "image", *, exact: bool = True) -> int:
        """See VectorIndex.count."""

    @abstractmethod
    def flush(self) -> None:
        """See VectorIndex.flush."""

    @abstractmethod
    def close(self) -> None:
        """See VectorIndex.close."""

    def open(self, encoder_version: str, dimension: int) -> None:
        """See VectorIndex.open."""
        self.prepare(dimension)
        stored = self.retrieve([META_POINT_ID])
        if stored:
            check_encoder(stored[0].payload or {}, encoder_version, dimension)
        else:
            meta = {"kind": "meta", "encoder": encoder_version, "dimension": dimension, "format": FORMAT}
            self.upsert([Point(META_POINT_ID, meta, None, 0)])
        self.dimension = dimension

    def write(self, records: Sequence[IndexRecord], offsets: Sequence[StoredOffset]) -> None:
        """See VectorIndex.write."""
        for points in (to_points(records, (), self.dimension), to_points((), offsets, self.dimension)):
            if points:
                self.upsert(points, self.filters.replaceable)

    def fetch(
        self, image_ids: Sequence[str], *, with_vectors: bool = False, with_raw: bool = False
    ) -> dict[str, IndexRecord]:
        """See VectorIndex.fetch."""
        ids = [point_id(image_id) for image_id in image_ids]
        found = self.retrieve(ids, with_vectors=with_vectors, with_raw=with_raw)
        records = [to_record(point.payload or {}, vector_in(point)) for point in found]
        return {record.image_id: record for record in records}

    def search(
        self, vector: Vector, limit: int, condition: Condition = ALL, *, with_vectors: bool = False
    ) -> list[Hit]:
        """See VectorIndex.search."""
        check_vector(vector, self.dimension)
        found = self.nearest(vector, limit, self.filters.of(condition), with_vectors=with_vectors)
        hits = [_hit(point, float(point.score)) for point in found]
        return sorted(hits, key=lambda hit: (-hit.score, hit.image_id))

    def scroll(
        self, cursor: str | None, limit: int, condition: Condition = ALL, *, with_vectors: bool = False,
        with_raw: bool = False,
    ) -> tuple[list[Hit], str | None]:  # fmt: skip
        """See VectorIndex.scroll."""
        wanted = self.filters.kind("image")
        if condition != ALL:
            wanted = self.filters.every([wanted, self.filters.of(condition)])
        found, following = self.page(wanted, cursor, limit, with_vectors=with_vectors, with_raw=with_raw)
        return [_hit(point) for point in found], None if following is None else str(following)

    def scroll_waiting(self, cursor: str | None, limit: int) -> tuple[list[IndexRecord], str | None]:
        """See VectorIndex.scroll_waiting."""
        either = self.filters.some([
            self.filters.is_in("kind", ["waiting"]), self.filters.is_in("undecoded", [UNDECODED])
        ])  # fmt: skip
        found, following = self.page(either, cursor, limit)
        return [to_record(point.payload or {}, None) for point in found], None if following is None else str(following)

    def find_sha256(self, sha256: str, limit: int) -> list[Hit]:
        """See VectorIndex.find_sha256."""
        condition = self.filters.every([self.filters.is_in("sha256", [sha256])])
        found, _ = self.page(condition, None, limit)
        return [_hit(point) for point in found]

    def offsets(self) -> list[StoredOffset]:
        """See VectorIndex.offsets."""
        stored: list[StoredOffset] = []
        cursor: Any = None
        while True:
            found, cursor = self.page(self.filters.kind("offset"), cursor, PAGE)
            stored.extend(to_offset(point.payload or {}) for point in found)
            if cursor is None:
                return stored


def vectors_of(point: Point) -> dict[str, Any]:
    """The named vectors of a point, as clients take them."""
    return {} if point.vector is None else {VECTOR_NAME: point.vector.tolist()}


def vector_in(point: Any) -> Vector | None:
    """The vector [D] or vectors [K, D] of a point that a client gave, float32; None of a point without."""
    values = point.vector.get(VECTOR_NAME) if isinstance(point.vector, dict) else None
    return None if values is None else np.asarray(values, dtype=np.float32)


def _hit(point: Any, score: float = 0.0) -> Hit:
    return Hit(point.payload["image_id"], score, to_payload(point.payload), vector_in(point))
