"""VectorIndex on Qdrant Edge, in this process, on disk.

One process owns the folder (Edge's write-ahead log is the lock). Every Edge call holds the GIL, so the service gives
the shard a process of its own (`index_server`) and reaches it through `index_remote`. A write is one record of the
write-ahead log: images and their offsets are there together or not at all, also after SIGKILL.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.errors import ConfigurationError, IndexUnavailableError, StorageUnavailableError
from stream.disk import WRITE_BYTES, check_room
from stream.index.contract import Hit, TagFilter, TagFilters
from stream.index.payload import IndexRecord, Vector, to_payload, to_record
from stream.index.points import (
    META_POINT_ID,
    VECTOR_NAME,
    Point,
    check_encoder,
    check_vector,
    point_id,
    to_offset,
    to_points,
)
from stream.log.positions import StoredOffset

try:
    import qdrant_edge as edge
except ImportError:  # the `embedded` extra is not installed
    edge = None  # type: ignore[assignment]

PAGE = 256  # records a scroll of ours asks for at once


class EdgeIndex:
    """See VectorIndex. Thread-safe: calls take turns."""

    def __init__(self, folder: Path) -> None:
        if edge is None:
            raise ConfigurationError("package qdrant-edge-py: not installed; run pip install 'mekiki[embedded]'")
        self._folder = folder
        self._lock = threading.RLock()
        self._shard: Any = None
        self._dimension = 0

    def open(self, encoder_version: str, dimension: int) -> None:
        """See VectorIndex.open."""
        with self._lock:
            if self._shard is None:
                self._shard = _load(self._folder, dimension)
            stored = self._shard.retrieve([META_POINT_ID], True, False)
            if stored:
                check_encoder(stored[0].payload, encoder_version, dimension)
            else:
                meta = {"kind": "meta", "encoder": encoder_version, "dimension": dimension}
                self._update(edge.UpdateOperation.upsert_points([edge.Point(META_POINT_ID, {}, meta)]))
            self._dimension = dimension

    def write(self, records: Sequence[IndexRecord], offsets: Sequence[StoredOffset]) -> None:
        """See VectorIndex.write."""
        points = to_points(records, offsets, self._dimension)
        if not points:
            return
        check_room(self._folder, WRITE_BYTES)
        made = [edge.Point(p.id, _vectors(p), p.payload) for p in points]
        self._update(edge.UpdateOperation.upsert_points(made, _condition(points)))

    def fetch(self, image_ids: Sequence[str], *, with_vectors: bool = False) -> dict[str, IndexRecord]:
        """See VectorIndex.fetch."""
        found = self._call("retrieve", [point_id(i) for i in image_ids], True, with_vectors)
        records = [to_record(r.payload, _vector(r.vector)) for r in found]
        return {record.image_id: record for record in records}

    def search(self, vector: Vector, limit: int, *, tags: TagFilters = (), with_vectors: bool = False) -> list[Hit]:
        """See VectorIndex.search."""
        check_vector(vector, self._dimension)
        request = edge.QueryRequest(
            query=edge.Query.Nearest(vector.tolist(), VECTOR_NAME),
            filter=_carrying(tags) if tags else None,
            limit=limit, with_payload=True, with_vector=with_vectors,
        )  # fmt: skip
        found = self._call("query", request)
        return [Hit(r.payload["image_id"], float(r.score), to_payload(r.payload), _vector(r.vector)) for r in found]

    def scroll(self, cursor: str | None, limit: int, *, with_vectors: bool = False) -> tuple[list[Hit], str | None]:
        """See VectorIndex.scroll."""
        request = edge.ScrollRequest(
            offset=cursor, limit=limit, filter=_kind("image"), with_payload=True, with_vector=with_vectors
        )
        found, following = self._call("scroll", request)
        hits = [Hit(r.payload["image_id"], 0.0, to_payload(r.payload), _vector(r.vector)) for r in found]
        return hits, None if following is None else str(following)

    def find_sha256(self, sha256: str, limit: int) -> list[Hit]:
        """See VectorIndex.find_sha256."""
        same = edge.Filter(must=[edge.FieldCondition(key="sha256", match=edge.MatchValue(sha256))])
        found, _ = self._call("scroll", edge.ScrollRequest(limit=limit, filter=same, with_payload=True))
        return [Hit(r.payload["image_id"], 0.0, to_payload(r.payload)) for r in found]

    def offsets(self) -> list[StoredOffset]:
        """See VectorIndex.offsets."""
        stored: list[StoredOffset] = []
        cursor = None
        while True:
            request = edge.ScrollRequest(offset=cursor, limit=PAGE, filter=_kind("offset"), with_payload=True)
            found, cursor = self._call("scroll", request)
            stored.extend(to_offset(r.payload) for r in found)
            if cursor is None:
                return stored

    def count(self) -> int:
        """See VectorIndex.count."""
        return int(self._call("count", edge.CountRequest(filter=_kind("image"), exact=True)))

    def flush(self) -> None:
        """See VectorIndex.flush."""
        self._call("flush")

    def optimize(self) -> bool:
        """Build the graph index; blocks this process for seconds. True if there was something to do."""
        return bool(self._call("optimize"))

    def close(self) -> None:
        """See VectorIndex.close."""
        with self._lock:
            if self._shard is not None:
                self._shard.flush()
                self._shard.close()
                self._shard = None

    def _update(self, operation: Any) -> None:
        self._call("update", operation)

    def _call(self, name: str, *arguments: Any) -> Any:
        with self._lock:
            if self._shard is None:
                raise IndexUnavailableError("index: closed; open it first")
            try:
                return getattr(self._shard, name)(*arguments)
            except Exception as error:
                raise _mapped(error, name) from error


def _load(folder: Path, dimension: int) -> Any:
    vectors = {VECTOR_NAME: edge.EdgeVectorParams(dimension, edge.Distance.Dot)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            return edge.EdgeShard.load(str(folder))
        shard = edge.EdgeShard.create(str(folder), edge.EdgeConfig(vectors=vectors))
        for name in ("kind", "tags", "sha256"):
            shard.update(edge.UpdateOperation.create_field_index(name, edge.PayloadSchemaType.Keyword))
        return shard
    except OSError as error:
        raise StorageUnavailableError(
            f"index folder {folder}: {error.strerror}; free space or choose another"
        ) from error
    except Exception as error:
        text = str(error)
        if "lock" in text.lower() or "WouldBlock" in text:
            raise ConfigurationError(
                f"index folder {folder}: already in use; stop the other `mekiki up` or choose another data directory"
            ) from error
        raise ConfigurationError(f"index folder {folder}: cannot be opened ({text[:300]})") from error


def _mapped(error: Exception, call: str) -> Exception:
    text = str(error)
    if "No space left" in text:
        return StorageUnavailableError(f"index: disk full in {call}; free some space, the service goes on by itself")
    if isinstance(error, (ValueError, TypeError)):
        return error
    return IndexUnavailableError(f"index: {call} failed ({text[:300]})")


def _vectors(point: Point) -> Any:
    return {} if point.vector is None else {VECTOR_NAME: point.vector.tolist()}


def _vector(stored: Any) -> Vector | None:
    values = (stored or {}).get(VECTOR_NAME)
    return None if values is None else np.asarray(values, dtype=np.float32)


def _condition(points: Sequence[Point]) -> Any:
    """A stored point may be replaced where one clause holds: it is this point and not newer."""
    clauses: list[Any] = []
    for point in points:
        ranges = [edge.FieldCondition(key=name, range=edge.RangeFloat(lte=bound)) for name, bound in point.bounds]
        clauses.append(edge.Filter(must=[edge.HasIdCondition({point.id}), *ranges]))
    return edge.Filter(should=clauses)


def _kind(kind: str) -> Any:
    return edge.Filter(must=[edge.FieldCondition(key="kind", match=edge.MatchValue(kind))])


def _carrying(tags: TagFilters) -> Any:
    return edge.Filter(must=[edge.Filter(should=[_one(condition) for condition in group]) for group in tags])


def _one(condition: TagFilter) -> Any:
    must: list[Any] = [edge.FieldCondition(key="tags", match=edge.MatchAny(list(condition.names)))]
    if condition.among:
        must.append(edge.HasIdCondition({point_id(i) for i in condition.among}))
    left_out: list[Any] = [edge.HasIdCondition({point_id(i) for i in condition.without})] if condition.without else []
    return edge.Filter(must=must, must_not=left_out)
