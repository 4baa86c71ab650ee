"""VectorIndex on a Qdrant server through qdrant-client, gRPC preferred.

The client itself never retries; neither does this adapter: it maps every failure to one of ours and the caller backs
off. With `:memory:` the client's local mode stands in for a server.
"""

import functools
import logging
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

import grpc
from qdrant_client import QdrantClient
from qdrant_client import models as q
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException, UnexpectedResponse

from models.errors import ConfigurationError, IndexUnavailableError
from stream.environment import without_credentials
from stream.index.contract import IndexDescription, Kind
from stream.index.payload import Vector
from stream.index.point_index import IMAGES, RAW, Filters, PointIndex, vectors_of
from stream.index.points import VECTOR_NAME, Layout, Point
from stream.index.quantization import ON_SERVER, Quantization, of_server
from stream.settings import QdrantSettings, QuantizationKind

log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")
LOCAL = ":memory:"
FILTER_CLAUSES = 128  # points one conditional write carries; larger batches are split by id, offsets last
_WITHOUT_RAW = q.PayloadSelectorExclude(exclude=[RAW])
_RETRIABLE_HTTP = {408, 425, 429, 500, 502, 503, 504}
_RETRIABLE_GRPC = {
    grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.ABORTED, grpc.StatusCode.INTERNAL, grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN,
}  # fmt: skip


class _ServerFilters(Filters):
    def every(self, must: Sequence[Any], without: Sequence[Any] = ()) -> Any:
        return q.Filter(must=list(must), must_not=list(without) or None)

    def some(self, should: Sequence[Any]) -> Any:
        return q.Filter(should=list(should))

    def is_in(self, field: str, values: Sequence[str]) -> Any:
        return q.FieldCondition(key=field, match=q.MatchAny(any=list(values)))

    def between(self, field: str, low: float | None, high: float | None) -> Any:
        return q.FieldCondition(key=field, range=q.Range(gte=low, lte=high))

    def ids(self, ids: Sequence[str]) -> Any:
        return q.HasIdCondition(has_id=list(ids))


class QdrantIndex(PointIndex):
    """See VectorIndex. Thread-safe as far as qdrant-client is."""

    def __init__(self, settings: QdrantSettings, layout: Layout = IMAGES) -> None:
        super().__init__(_ServerFilters(), layout)
        self._url = without_credentials(settings.url or "")  # for sentences
        self._collection = settings.collection + layout.suffix
        self._settings = settings
        self._quantization = of_server(settings, "none")  # until `prepare` has seen the collection
        if settings.url == LOCAL:
            self._client = QdrantClient(location=LOCAL)
        else:
            self._client = QdrantClient(
                url=settings.url, api_key=settings.api_key.get_secret_value() if settings.api_key else None,
                grpc_port=settings.grpc_port, prefer_grpc=settings.prefer_grpc,
                timeout=max(1, round(settings.timeout_s)), check_compatibility=False,
            )  # fmt: skip

    def prepare(self, dimension: int) -> None:
        """See PointIndex.prepare."""
        exists = functools.partial(self._call, self._client.collection_exists, self._collection)
        if not exists():
            try:
                self._create(dimension)
            except ConfigurationError:
                if not exists():
                    raise  # else: another worker was first
        self._quantization = of_server(self._settings, self._quantized())

    def _quantized(self) -> QuantizationKind:
        """What the collection is quantised with; what the settings name, if they name anything, else what it has."""
        info, asked = self._collection_info(), self._settings.quantization
        vectors = _image_vectors(info.config)
        codes = (vectors and vectors.quantization_config) or info.config.quantization_config
        found = "none" if codes is None else next(iter(type(codes).model_fields))
        if asked == "auto" or self._url == LOCAL:
            known = next((kind for kind in ON_SERVER if kind == found), None)
            if known is None:
                raise ConfigurationError(
                    f"collection {self._collection}: quantised as {found}, expected {', '.join(ON_SERVER)}; name one "
                    "in MEKIKI_QDRANT__QUANTIZATION, and the server makes it so"
                )
            return known
        if asked != found:
            log.warning("collection %s: quantised as %s, the server makes it %s", self._collection, found, asked)
            wanted = _codes(asked) or q.Disabled.DISABLED
            self._call(self._client.update_collection, self._collection, quantization_config=wanted)
        return asked

    def _create(self, dimension: int) -> None:
        settings = self._settings
        vectors = q.VectorParams(size=dimension, distance=q.Distance.DOT, on_disk=settings.vectors_on_disk)
        if self.layout.many:
            vectors.multivector_config = q.MultiVectorConfig(comparator=q.MultiVectorComparator.MAX_SIM)
            vectors.datatype, vectors.on_disk = q.Datatype.FLOAT16, True
        self._call(
            self._client.create_collection, self._collection, vectors_config={VECTOR_NAME: vectors},
            quantization_config=_codes("scalar" if settings.quantization == "auto" else settings.quantization),
            shard_number=settings.shards, replication_factor=settings.replicas,
            write_consistency_factor=settings.write_consistency,
        )  # fmt: skip
        if self._url != LOCAL:  # the local mode has no payload indexes and says so with a warning
            kinds = dict.fromkeys(self.layout.keywords, q.PayloadSchemaType.KEYWORD) | dict.fromkeys(
                self.layout.numbers, q.PayloadSchemaType.FLOAT
            )
            for name, kind in kinds.items():
                self._call(self._client.create_payload_index, self._collection, name, kind, wait=True)

    def _collection_info(self) -> q.CollectionInfo:
        return self._call(self._client.get_collection, self._collection)

    def upsert(self, points: Sequence[Point], condition: Callable[[Sequence[Point]], Any] | None = None) -> None:
        """See PointIndex.upsert; more than 128 points go in several operations, the offsets with the last."""
        for start in range(0, len(points), FILTER_CLAUSES):
            part = points[start : start + FILTER_CLAUSES]
            only = None if condition is None else condition(part)
            made = [q.PointStruct(id=point.id, vector=vectors_of(point), payload=point.payload) for point in part]
            self._call(self._client.upsert, self._collection, made, wait=True, update_filter=only)

    def retrieve(self, ids: Sequence[str], *, with_vectors: bool = False, with_raw: bool = False) -> Sequence[Any]:
        """See PointIndex.retrieve."""
        payload = True if with_raw else _WITHOUT_RAW
        return self._call(
            self._client.retrieve, self._collection, list(ids), with_payload=payload, with_vectors=with_vectors
        )

    def page(
        self, condition: Any, cursor: Any, limit: int, *, with_vectors: bool = False, with_raw: bool = False
    ) -> tuple[Sequence[Any], Any]:
        """See PointIndex.page."""
        return self._call(
            self._client.scroll, self._collection, scroll_filter=condition, limit=limit, offset=cursor,
            with_payload=True if with_raw else _WITHOUT_RAW, with_vectors=with_vectors,
        )  # fmt: skip

    def nearest(self, vector: Vector, limit: int, condition: Any, *, with_vectors: bool) -> Sequence[Any]:
        """See PointIndex.nearest."""
        query = [vector.tolist()] if self.layout.many else vector.tolist()
        return self._call(
            self._client.query_points, self._collection, query=query, using=VECTOR_NAME, limit=limit,
            query_filter=condition, with_payload=_WITHOUT_RAW, with_vectors=with_vectors,
            search_params=_params(self._quantization, limit),
        ).points  # fmt: skip

    def count(self, kind: Kind = "image", *, exact: bool = True) -> int:
        """See VectorIndex.count."""
        found = self._call(self._client.count, self._collection, count_filter=self.filters.kind(kind), exact=exact)
        return int(found.count)

    def describe(self) -> IndexDescription:
        """See VectorIndex.describe."""
        info, asked = self._collection_info(), self._quantization
        params, vectors = info.config.params, _image_vectors(info.config)
        return IndexDescription(
            kept_by="Qdrant server", collection=self._collection, status=info.status.value,
            points=info.points_count or 0, indexed=info.indexed_vectors_count or 0, quantization=asked.kind,
            rescore=asked.rescore, oversampling=asked.oversampling, least_candidates=asked.least,
            vectors_on_disk=None if vectors is None else vectors.on_disk, shards=params.shard_number,
            replicas=params.replication_factor, write_consistency=params.write_consistency_factor,
        )  # fmt: skip

    def flush(self) -> None:
        """Nothing to do: the server's write-ahead log is synced on acknowledgement."""

    def drop(self) -> None:
        """Delete the collection (tests clean up after themselves with it)."""
        self._call(self._client.delete_collection, self._collection)

    def close(self) -> None:
        """See VectorIndex.close."""
        self._client.close()

    def _call(self, ask: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        try:
            return ask(*arguments, **options)
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


def _image_vectors(config: q.CollectionConfig) -> q.VectorParams | None:
    named = config.params.vectors
    return named.get(VECTOR_NAME) if isinstance(named, dict) else None


def _codes(kind: QuantizationKind) -> Any:
    """Codes that stay in memory; `always_ram`, since servers before 1.17 do not know `memory`."""
    if kind == "scalar":
        return q.ScalarQuantization(scalar=q.ScalarQuantizationConfig(type=q.ScalarType.INT8, always_ram=True))
    if kind == "turbo":
        config = q.TurboQuantQuantizationConfig(bits=q.TurboQuantBitSize.BITS1, always_ram=True)
        return q.TurboQuantization(turbo=config)
    return q.BinaryQuantization(binary=q.BinaryQuantizationConfig(always_ram=True)) if kind == "binary" else None


def _params(quantization: Quantization, limit: int) -> q.SearchParams | None:
    if quantization.kind == "none":
        return None
    return q.SearchParams(quantization=q.QuantizationSearchParams(
        rescore=quantization.rescore, oversampling=quantization.oversampling_for(limit)
    ))  # fmt: skip
