"""A VectorIndex in a dict: the real one in terms of points, over points that are quick to write and can be taken back.

The filters are functions of a stored point. `Points` is what outlives a process; a power cut takes back what was
written since the last `sync`, the newest first, as a write-ahead log does.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from stream.index.contract import IndexDescription, Kind
from stream.index.payload import Vector
from stream.index.point_index import IMAGES, RAW, Filters, PointIndex
from stream.index.points import VECTOR_NAME, Layout, Point

Condition = Callable[["StoredPoint"], bool]


@dataclass(frozen=True)
class StoredPoint:
    """A point as the index holds it and gives it back."""

    id: str
    payload: dict[str, Any]
    vector: dict[str, Vector]
    score: float = 0.0


class Points:
    """Points by id, and what stood there before each write since the last `sync`."""

    def __init__(self) -> None:
        self.by_id: dict[str, StoredPoint] = {}
        self._before: list[tuple[str, StoredPoint | None]] = []

    def put(self, point: StoredPoint) -> None:
        """Write one point."""
        self._before.append((point.id, self.by_id.get(point.id)))
        self.by_id[point.id] = point

    @property
    def unsynced(self) -> int:
        """Writes that a power cut may take back."""
        return len(self._before)

    def sync(self) -> None:
        """From now on what is here survives a power cut."""
        self._before.clear()

    def take_back(self, writes: int) -> None:
        """Undo the last so many writes; the others are on disk now."""
        for _ in range(writes):
            name, before = self._before.pop()
            if before is None:
                del self.by_id[name]
            else:
                self.by_id[name] = before
        self.sync()


def _shown(point: StoredPoint, with_vectors: bool, with_raw: bool) -> StoredPoint:
    """What is asked for of a point."""
    payload = {name: value for name, value in point.payload.items() if with_raw or name != RAW}
    return StoredPoint(point.id, payload, point.vector if with_vectors else {})


class DictFilters(Filters):
    """See Filters: conditions as functions."""

    def every(self, must: Sequence[Condition], without: Sequence[Condition] = ()) -> Condition:
        return lambda point: all(one(point) for one in must) and not any(one(point) for one in without)

    def some(self, should: Sequence[Condition]) -> Condition:
        return lambda point: any(one(point) for one in should)

    def is_in(self, field: str, values: Sequence[str]) -> Condition:
        wanted = set(values)

        def holds(point: StoredPoint) -> bool:
            stored = point.payload.get(field)
            return not wanted.isdisjoint(stored) if isinstance(stored, list) else stored in wanted

        return holds

    def between(self, field: str, low: float | None, high: float | None) -> Condition:
        def holds(point: StoredPoint) -> bool:
            stored = point.payload.get(field)
            return stored is not None and (low is None or stored >= low) and (high is None or stored <= high)

        return holds

    def ids(self, ids: Sequence[str]) -> Condition:
        return lambda point: point.id in ids


class DictIndex(PointIndex):
    """See PointIndex. Several may share the same points, as several workers do."""

    def __init__(self, points: Points | None = None, layout: Layout = IMAGES) -> None:
        super().__init__(DictFilters(), layout)
        self.points = points or Points()

    def prepare(self, dimension: int) -> None:
        """Nothing to make."""

    def upsert(self, points: Sequence[Point], condition: Callable[[Sequence[Point]], Any] | None = None) -> None:
        holds = None if condition is None else condition(points)
        for point in points:
            stored = self.points.by_id.get(point.id)
            if stored is None or holds is None or holds(stored):
                vector = {} if point.vector is None else {VECTOR_NAME: np.array(point.vector, np.float32)}
                self.points.put(StoredPoint(point.id, point.payload, vector))

    def retrieve(
        self, ids: Sequence[str], *, with_vectors: bool = False, with_raw: bool = False
    ) -> Sequence[StoredPoint]:
        found = [self.points.by_id[name] for name in dict.fromkeys(ids) if name in self.points.by_id]
        return [_shown(point, with_vectors, with_raw) for point in found]

    def page(
        self, condition: Any, cursor: Any, limit: int, *, with_vectors: bool = False, with_raw: bool = False
    ) -> tuple[Sequence[StoredPoint], Any]:
        names = sorted(name for name, point in self.points.by_id.items() if condition(point))
        names = names if cursor is None else [name for name in names if name >= cursor]
        following = names[limit] if len(names) > limit else None
        return self.retrieve(names[:limit], with_vectors=with_vectors, with_raw=with_raw), following

    def nearest(self, vector: Vector, limit: int, condition: Any, *, with_vectors: bool) -> Sequence[StoredPoint]:
        found = [
            replace(_shown(point, with_vectors, with_raw=False), score=float(np.max(stored @ vector)))
            for point in self.points.by_id.values()
            if (stored := point.vector.get(VECTOR_NAME)) is not None and (condition is None or condition(point))
        ]
        return sorted(found, key=lambda point: -point.score)[:limit]

    def count(self, kind: Kind = "image", *, exact: bool = True) -> int:
        return sum(point.payload["kind"] == kind for point in self.points.by_id.values())

    def describe(self) -> IndexDescription:
        return IndexDescription("a dict", "", "green", len(self.points.by_id), 0, "none", True, 1.0, 0)

    def flush(self) -> None:
        self.points.sync()

    def close(self) -> None:
        """Nothing to release."""
