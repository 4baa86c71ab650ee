"""VectorIndex on Qdrant Edge, in this process, on disk.

One process owns the folder (Edge's write-ahead log is the lock). Every Edge call holds the GIL, so the service gives
the shard a process of its own (`process/`). Vectors are quantised as they are written.
Nothing optimises the shard: that would answer nobody for minutes. A write is one record of the write-ahead log: images
and their offsets are there together or not at all, also after SIGKILL.
"""

import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from models.errors import ConfigurationError, IndexClosedError, IndexUnavailableError, StorageUnavailableError
from stream.disk import WRITE_BYTES, check_room
from stream.index.contract import IndexDescription, Kind
from stream.index.payload import Vector
from stream.index.point_index import IMAGES, RAW, Filters, PointIndex, vectors_of
from stream.index.points import VECTOR_NAME, Layout, Point
from stream.index.quantization import Quantization, of_edge
from stream.settings import QdrantSettings

try:
    import qdrant_edge as edge
except ImportError:  # the `embedded` extra is not installed
    edge = None  # type: ignore[assignment]


class _EdgeFilters(Filters):
    def every(self, must: Sequence[Any], without: Sequence[Any] = ()) -> Any:
        return edge.Filter(must=list(must), must_not=list(without))

    def some(self, should: Sequence[Any]) -> Any:
        return edge.Filter(should=list(should))

    def is_in(self, field: str, values: Sequence[str]) -> Any:
        return edge.FieldCondition(key=field, match=edge.MatchAny(list(values)))

    def between(self, field: str, low: float | None, high: float | None) -> Any:
        return edge.FieldCondition(key=field, range=edge.RangeFloat(gte=low, lte=high))

    def ids(self, ids: Sequence[str]) -> Any:
        return edge.HasIdCondition(set(ids))


class EdgeIndex(PointIndex):
    """See VectorIndex. Thread-safe: calls take turns."""

    def __init__(self, folder: Path, settings: QdrantSettings | None = None, layout: Layout = IMAGES) -> None:
        if edge is None:
            raise ConfigurationError("package qdrant-edge-py: not installed; run pip install 'mekiki[embedded]'")
        super().__init__(_EdgeFilters(), layout)
        self._folder = folder
        self._quantization = of_edge(settings or QdrantSettings(), layout)
        self._lock = threading.RLock()
        self._shard: Any = None

    def prepare(self, dimension: int) -> None:
        """See PointIndex.prepare."""
        with self._lock:
            if self._shard is None:
                self._shard = _load(self._folder, dimension, self._quantization.kind, self.layout)

    def upsert(self, points: Sequence[Point], condition: Callable[[Sequence[Point]], Any] | None = None) -> None:
        """See PointIndex.upsert."""
        check_room(self._folder, WRITE_BYTES)
        made = [edge.Point(point.id, vectors_of(point), point.payload) for point in points]
        only = () if condition is None else (condition(points),)
        self._call("update", edge.UpdateOperation.upsert_points(made, *only))

    def retrieve(self, ids: Sequence[str], *, with_vectors: bool = False, with_raw: bool = False) -> Sequence[Any]:
        """See PointIndex.retrieve."""
        return list(self._call("retrieve", list(ids), _payload(with_raw), with_vectors))

    def page(
        self, condition: Any, cursor: Any, limit: int, *, with_vectors: bool = False, with_raw: bool = False
    ) -> tuple[Sequence[Any], Any]:
        """See PointIndex.page."""
        found: tuple[Sequence[Any], Any] = self._call("scroll", edge.ScrollRequest(
            offset=cursor, limit=limit, filter=condition, with_payload=_payload(with_raw), with_vector=with_vectors
        ))  # fmt: skip
        return found

    def nearest(self, vector: Vector, limit: int, condition: Any, *, with_vectors: bool) -> Sequence[Any]:
        """See PointIndex.nearest."""
        return list(self._call("query", edge.QueryRequest(
            query=edge.Query.Nearest(vector.tolist(), VECTOR_NAME), filter=condition, limit=limit,
            with_payload=_payload(with_raw=False), with_vector=with_vectors, params=_params(self._quantization, limit),
        )))  # fmt: skip

    def count(self, kind: Kind = "image", *, exact: bool = True) -> int:
        """See VectorIndex.count."""
        return int(self._call("count", edge.CountRequest(filter=self.filters.kind(kind), exact=exact)))

    def describe(self) -> IndexDescription:
        """See VectorIndex.describe."""
        info, asked = self._call("info"), self._quantization
        return IndexDescription(
            kept_by="Qdrant Edge", collection=str(self._folder), status="green", points=info.points_count,
            indexed=info.indexed_vectors_count, quantization=asked.kind, rescore=asked.rescore,
            oversampling=asked.oversampling, least_candidates=asked.least,
        )  # fmt: skip

    def flush(self) -> None:
        """See VectorIndex.flush."""
        self._call("flush")

    def close(self) -> None:
        """See VectorIndex.close."""
        with self._lock:
            if self._shard is not None:
                self._shard.flush()
                self._shard.close()
                self._shard = None

    def _call(self, name: str, *arguments: Any) -> Any:
        with self._lock:
            if self._shard is None:
                raise IndexClosedError("index: closed; open it first")
            try:
                return getattr(self._shard, name)(*arguments)
            except Exception as error:
                raise translated(error, name) from error


def _payload(with_raw: bool) -> Any:
    return True if with_raw else edge.PayloadSelector.Exclude([RAW])


def stored_shape(folder: Path) -> tuple[str, int] | None:
    """What the shard in this folder was quantised with when it was made, and its dimension, as Edge notes them; None
    where there is none.
    """
    try:
        config = json.loads((folder / "edge_config.json").read_text())
        return next(iter(config.get("quantization_config") or {}), "none"), int(config["vectors"][VECTOR_NAME]["size"])
    except (FileNotFoundError, ValueError, KeyError):  # nothing there, or damaged: then it cannot be loaded either
        return None


def _params(quantization: Quantization, limit: int) -> Any:
    if quantization.kind == "none":
        return edge.SearchParams(quantization=edge.QuantizationSearchParams(ignore=True))
    return edge.SearchParams(quantization=edge.QuantizationSearchParams(
        rescore=quantization.rescore, oversampling=quantization.oversampling_for(limit)
    ))  # fmt: skip


def _codes(kind: str) -> Any:
    """Quantisation that works from the first point, without the optimiser."""
    if kind == "turbo":
        return edge.TurboQuantQuantizationConfig(bits=edge.TurboQuantBitSize.Bits1)
    return edge.BinaryQuantizationConfig() if kind == "binary" else None


def _vectors(dimension: int, layout: Layout) -> Any:
    if not layout.many:
        return edge.EdgeVectorParams(dimension, edge.Distance.Dot)
    best = edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim)
    half = edge.VectorStorageDatatype.Float16
    return edge.EdgeVectorParams(dimension, edge.Distance.Dot, multivector_config=best, datatype=half, on_disk=True)


def _load(folder: Path, dimension: int, kind: str, layout: Layout) -> Any:
    stored = stored_shape(folder)
    if stored is not None and kind not in ("none", stored[0]):
        raise ConfigurationError(
            f"index folder {folder}: quantised as {stored[0]}, expected {kind}; `mekiki up` converts it, or set "
            "MEKIKI_QDRANT__QUANTIZATION=none"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            return edge.EdgeShard.load(str(folder))
        config = edge.EdgeConfig(vectors={VECTOR_NAME: _vectors(dimension, layout)}, quantization_config=_codes(kind))
        shard = edge.EdgeShard.create(str(folder), config)
        for name in layout.keywords:
            shard.update(edge.UpdateOperation.create_field_index(name, edge.PayloadSchemaType.Keyword))
        for name in layout.numbers:
            shard.update(edge.UpdateOperation.create_field_index(name, edge.PayloadSchemaType.Float))
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


def translated(error: Exception, call: str) -> Exception:
    """What an error of Edge is to the service: the disk is full, a mistake of ours, or the index is away."""
    text = str(error)
    if "No space left" in text:
        return StorageUnavailableError(f"index: disk full in {call}; free some space, the service goes on by itself")
    if isinstance(error, (ValueError, TypeError)):
        return error
    return IndexUnavailableError(f"index: {call} failed ({text[:300]})")
