"""VectorIndex on a Qdrant server through qdrant-client, gRPC preferred.

The client itself never retries; neither does this adapter: it maps every failure to one of ours and the caller backs
off. With `:memory:` the client's local mode stands in for a server.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import grpc
import numpy as np
from qdrant_client import QdrantClient
from qdrant_client import models as q
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException, UnexpectedResponse

from models.errors import ConfigurationError, IndexUnavailableError
from stream.environment import without_credentials
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

T = TypeVar("T")
PAGE = 256  # records a scroll of ours asks for at once
FILTER_CLAUSES = 128  # points one conditional write carries; larger batches are split by id, offsets last
_RETRIABLE_HTTP = {408, 425, 429, 500, 502, 503, 504}
_RETRIABLE_GRPC = {
    grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.ABORTED, grpc.StatusCode.INTERNAL, grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN,
}  # fmt: skip


class QdrantIndex:
    """See VectorIndex. Thread-safe as far as qdrant-client is."""

    def __init__(
        self,
        url: str,
        *,
        collection: str,
        api_key: str | None = None,
        grpc_port: int = 6334,
        prefer_grpc: bool = True,
        timeout_s: float = 10.0,
    ) -> None:
        self._url = without_credentials(url)  # for sentences
        self._collection = collection
        self._timeout_s = max(1, round(timeout_s))
        self._dimension = 0
        if url == ":memory:":
            self._client = QdrantClient(location=":memory:")
        else:
            self._client = QdrantClient(
                url=url, api_key=api_key, grpc_port=grpc_port, prefer_grpc=prefer_grpc,
                timeout=self._timeout_s, check_compatibility=False,
            )  # fmt: skip

    def open(self, encoder_version: str, dimension: int) -> None:
        """See VectorIndex.open."""
        if not self._call(lambda: self._client.collection_exists(self._collection)):
            self._create(dimension)
        stored = self._call(lambda: self._client.retrieve(self._collection, [META_POINT_ID]))
        if stored:
            check_encoder(stored[0].payload or {}, encoder_version, dimension)
        else:
            meta = {"kind": "meta", "encoder": encoder_version, "dimension": dimension}
            point = q.PointStruct(id=META_POINT_ID, vector={}, payload=meta)
            self._call(lambda: self._client.upsert(self._collection, [point], wait=True))
        self._dimension = dimension

    def _create(self, dimension: int) -> None:
        vectors = {VECTOR_NAME: q.VectorParams(size=dimension, distance=q.Distance.DOT)}
        try:
            self._call(lambda: self._client.create_collection(self._collection, vectors_config=vectors))
        except ConfigurationError:
            if not self._call(lambda: self._client.collection_exists(self._collection)):
                raise  # else: another worker was first
        if self._url == ":memory:":
            return  # the local mode has no payload indexes and says so with a warning
        for name in ("kind", "tags", "sha256"):
            self._create_payload_index(name)

    def _create_payload_index(self, name: str) -> None:
        schema = q.PayloadSchemaType.KEYWORD
        self._call(lambda: self._client.create_payload_index(self._collection, name, schema, wait=True))

    def write(self, records: Sequence[IndexRecord], offsets: Sequence[StoredOffset]) -> None:
        """See VectorIndex.write; more than 128 points go in several operations, the offsets with the last."""
        points = to_points(records, offsets, self._dimension)
        for start in range(0, len(points), FILTER_CLAUSES):
            self._upsert(points[start : start + FILTER_CLAUSES])

    def _upsert(self, points: Sequence[Point]) -> None:
        made = [q.PointStruct(id=p.id, vector=_vectors(p), payload=p.payload) for p in points]
        newer = _condition(points)
        self._call(lambda: self._client.upsert(self._collection, made, wait=True, update_filter=newer))

    def fetch(self, image_ids: Sequence[str], *, with_vectors: bool = False) -> dict[str, IndexRecord]:
        """See VectorIndex.fetch."""
        ids: list[Any] = [point_id(i) for i in image_ids]
        found = self._call(lambda: self._client.retrieve(self._collection, ids, with_vectors=with_vectors))
        records = [to_record(r.payload or {}, _vector(r.vector)) for r in found]
        return {record.image_id: record for record in records}

    def search(self, vector: Vector, limit: int, *, tags: TagFilters = (), with_vectors: bool = False) -> list[Hit]:
        """See VectorIndex.search."""
        check_vector(vector, self._dimension)
        found = self._call(lambda: self._client.query_points(
            self._collection, query=vector.tolist(), using=VECTOR_NAME, limit=limit,
            query_filter=_carrying(tags) if tags else None, with_vectors=with_vectors,
        )).points  # fmt: skip
        return [_hit(r.payload or {}, float(r.score), r.vector) for r in found]

    def scroll(self, cursor: str | None, limit: int, *, with_vectors: bool = False) -> tuple[list[Hit], str | None]:
        """See VectorIndex.scroll."""
        found, following = self._scroll("image", cursor, limit, with_vectors)
        hits = [_hit(r.payload or {}, 0.0, r.vector) for r in found]
        return hits, None if following is None else str(following)

    def find_sha256(self, sha256: str, limit: int) -> list[Hit]:
        """See VectorIndex.find_sha256."""
        same = q.Filter(must=[q.FieldCondition(key="sha256", match=q.MatchValue(value=sha256))])
        found, _ = self._call(lambda: self._client.scroll(self._collection, scroll_filter=same, limit=limit))
        return [_hit(r.payload or {}, 0.0, None) for r in found]

    def offsets(self) -> list[StoredOffset]:
        """See VectorIndex.offsets."""
        stored: list[StoredOffset] = []
        cursor: Any = None
        while True:
            found, cursor = self._scroll("offset", cursor, PAGE, False)
            stored.extend(to_offset(r.payload or {}) for r in found)
            if cursor is None:
                return stored

    def count(self) -> int:
        """See VectorIndex.count."""
        return int(self._call(lambda: self._client.count(self._collection, count_filter=_kind("image"))).count)

    def flush(self) -> None:
        """Nothing to do: the server's write-ahead log is synced on acknowledgement."""

    def drop(self) -> None:
        """Delete the collection (tests clean up after themselves with it)."""
        self._call(lambda: self._client.delete_collection(self._collection))

    def close(self) -> None:
        """See VectorIndex.close."""
        self._client.close()

    def _scroll(self, kind: str, cursor: Any, limit: int, with_vectors: bool) -> tuple[list[Any], Any]:
        return self._call(lambda: self._client.scroll(
            self._collection, scroll_filter=_kind(kind), limit=limit, offset=cursor, with_vectors=with_vectors
        ))  # fmt: skip

    def _call(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except UnexpectedResponse as error:
            text = (error.content or b"")[:300].decode(errors="replace")
            if error.status_code in _RETRIABLE_HTTP:
                raise IndexUnavailableError(f"Qdrant at {self._url}: HTTP {error.status_code} {text}") from error
            raise ConfigurationError(f"Qdrant at {self._url}: refused with HTTP {error.status_code} {text}") from error
        except grpc.RpcError as error:
            code = error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN
            details = error.details() if isinstance(error, grpc.Call) else str(error)
            text = f"Qdrant at {self._url}: {code.name} {str(details)[:300]}"
            raise (IndexUnavailableError if code in _RETRIABLE_GRPC else ConfigurationError)(text) from error
        except QdrantException as error:  # the client's own word for "too many requests"
            raise IndexUnavailableError(f"Qdrant at {self._url}: {str(error)[:300]}; it is overloaded") from error
        except (ApiException, OSError) as error:
            raise IndexUnavailableError(
                f"Qdrant at {self._url}: out of reach ({str(error)[:200]}); start it or correct MEKIKI_QDRANT__URL"
            ) from error
        except ValueError as error:
            raise ConfigurationError(f"Qdrant at {self._url}: refused ({str(error)[:300]})") from error


def _vectors(point: Point) -> Any:
    return {} if point.vector is None else {VECTOR_NAME: point.vector.tolist()}


def _vector(stored: Any) -> Vector | None:
    values = stored.get(VECTOR_NAME) if isinstance(stored, dict) else None
    return None if values is None else np.asarray(values, dtype=np.float32)


def _hit(payload: dict[str, Any], score: float, vector: Any) -> Hit:
    return Hit(payload["image_id"], score, to_payload(payload), _vector(vector))


def _condition(points: Sequence[Point]) -> q.Filter:
    """A stored point may be replaced where one clause holds: it is this point and not newer."""
    clauses: list[Any] = []
    for point in points:
        ranges = [q.FieldCondition(key=name, range=q.Range(lte=bound)) for name, bound in point.bounds]
        clauses.append(q.Filter(must=[q.HasIdCondition(has_id=[point.id]), *ranges]))
    return q.Filter(should=clauses)


def _kind(kind: str) -> q.Filter:
    return q.Filter(must=[q.FieldCondition(key="kind", match=q.MatchValue(value=kind))])


def _carrying(tags: TagFilters) -> q.Filter:
    return q.Filter(must=[q.Filter(should=[_one(condition) for condition in group]) for group in tags])


def _one(condition: TagFilter) -> q.Filter:
    must: list[Any] = [q.FieldCondition(key="tags", match=q.MatchAny(any=list(condition.names)))]
    if condition.among:
        must.append(q.HasIdCondition(has_id=[point_id(i) for i in condition.among]))
    left_out: list[Any] = [q.HasIdCondition(has_id=[point_id(i) for i in condition.without])]
    return q.Filter(must=must, must_not=left_out if condition.without else None)
