"""VectorIndex and ObjectIndex in another process of this machine: the client of `server`, over gRPC on loopback."""

from collections.abc import Sequence
from typing import Any

import grpc

from models import errors
from stream.index.contract import ALL, Condition, Hit, IndexDescription, Kind
from stream.index.objects import ImageObjects
from stream.index.payload import IndexRecord, Vector
from stream.index.process.wire import MESSAGE_LIMITS, OBJECTS_SERVICE, SERVICE, pack, unpack
from stream.log.reading.positions import StoredOffset


class _Remote:
    """Calls of one service of the process. Thread-safe.

    A process that was started again owns a shard that nobody has opened yet: whoever meets that opens it.
    """

    def __init__(self, service: str, address: str, timeout_s: float) -> None:
        self._service = service
        self._address = address
        self._timeout_s = timeout_s
        backoff = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 1_000)]
        self._channel = grpc.insecure_channel(address, options=MESSAGE_LIMITS + backoff)
        self._opened: tuple[str, int] | None = None  # encoder and dimension
        self._failed = False  # the last call did

    def open(self, encoder_version: str, dimension: int) -> None:
        """See VectorIndex.open."""
        self._call("open", encoder_version, dimension, wait=True)  # the process may be starting
        self._opened = encoder_version, dimension

    def offsets(self) -> list[StoredOffset]:
        """See VectorIndex.offsets."""
        return list(self._ask("offsets"))

    def flush(self) -> None:
        """See VectorIndex.flush."""
        self._ask("flush")

    def close(self) -> None:
        """Close the connection; the owner process keeps the shard."""
        self._channel.close()

    def _ask(self, call: str, *arguments: Any, **options: Any) -> Any:
        if self._failed and self._opened is not None:
            self._call("open", *self._opened)
        try:
            return self._call(call, *arguments, **options)
        except errors.IndexClosedError:
            if self._opened is None:
                raise
            self._call("open", *self._opened)
            return self._call(call, *arguments, **options)

    def _call(self, call: str, *arguments: Any, wait: bool = False, **options: Any) -> Any:
        ask = self._channel.unary_unary(f"/{self._service}/{call}")
        try:
            answer = ask(pack([arguments, options]), timeout=self._timeout_s, wait_for_ready=wait)
        except grpc.RpcError as error:
            self._failed = True
            code = error.code().name if isinstance(error, grpc.Call) else str(error)
            raise errors.IndexUnavailableError(f"index process at {self._address}: {code} in {call}") from error
        failed, result = unpack(answer)
        self._failed = failed == errors.IndexUnavailableError.__name__
        if failed:
            kind = ValueError if failed == "ValueError" else getattr(errors, failed)
            raise kind(result)
        return result


class RemoteIndex(_Remote):
    """See VectorIndex. Thread-safe."""

    def __init__(self, address: str, *, timeout_s: float = 30.0) -> None:
        super().__init__(SERVICE, address, timeout_s)

    def write(self, records: Sequence[IndexRecord], offsets: Sequence[StoredOffset]) -> None:
        """See VectorIndex.write."""
        self._ask("write", list(records), list(offsets))

    def fetch(
        self, image_ids: Sequence[str], *, with_vectors: bool = False, with_raw: bool = False
    ) -> dict[str, IndexRecord]:
        """See VectorIndex.fetch."""
        found = self._ask("fetch", list(image_ids), with_vectors=with_vectors, with_raw=with_raw)
        return {record.image_id: record for record in found}

    def search(
        self, vector: Vector, limit: int, condition: Condition = ALL, *, with_vectors: bool = False
    ) -> list[Hit]:
        """See VectorIndex.search."""
        return list(self._ask("search", vector, limit, condition, with_vectors=with_vectors))

    def scroll(
        self, cursor: str | None, limit: int, condition: Condition = ALL, *, with_vectors: bool = False,
        with_raw: bool = False,
    ) -> tuple[list[Hit], str | None]:  # fmt: skip
        """See VectorIndex.scroll."""
        hits, following = self._ask("scroll", cursor, limit, condition, with_vectors=with_vectors, with_raw=with_raw)
        return hits, following

    def scroll_waiting(self, cursor: str | None, limit: int) -> tuple[list[IndexRecord], str | None]:
        """See VectorIndex.scroll_waiting."""
        records, following = self._ask("scroll_waiting", cursor, limit)
        return records, following

    def find_sha256(self, sha256: str, limit: int) -> list[Hit]:
        """See VectorIndex.find_sha256."""
        return list(self._ask("find_sha256", sha256, limit))

    def count(self, kind: Kind = "image", *, exact: bool = True) -> int:
        """See VectorIndex.count."""
        return int(self._ask("count", kind, exact=exact))

    def describe(self) -> IndexDescription:
        """See VectorIndex.describe."""
        described: IndexDescription = self._ask("describe")
        return described


class RemoteObjects(_Remote):
    """See ObjectIndex. Thread-safe."""

    def __init__(self, address: str, *, timeout_s: float = 30.0) -> None:
        super().__init__(OBJECTS_SERVICE, address, timeout_s)

    def write(self, objects: Sequence[ImageObjects], offsets: Sequence[StoredOffset]) -> None:
        """See ObjectIndex.write."""
        self._ask("write", list(objects), list(offsets))

    def fetch(self, image_ids: Sequence[str], *, with_vectors: bool = False) -> dict[str, ImageObjects]:
        """See ObjectIndex.fetch."""
        found = self._ask("fetch", list(image_ids), with_vectors=with_vectors)
        return {one.image_id: one for one in found}

    def search(self, vector: Vector, limit: int) -> list[ImageObjects]:
        """See ObjectIndex.search."""
        return list(self._ask("search", vector, limit))

    def count(self) -> int:
        """See ObjectIndex.count."""
        return int(self._ask("count"))
