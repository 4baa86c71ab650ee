"""The process that owns the Qdrant Edge shard and answers `index_remote`.

Edge holds the GIL in every call, and optimize() holds it for seconds: nobody else who must answer or heartbeat lives
in this process. optimize() runs only when nothing was asked for a while and much was written.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from models.errors import ConfigurationError, MekikiError
from stream.index.contract import Hit, IndexRecord, TagFilter, Vector
from stream.index.edge import EdgeIndex
from stream.index.edge_client import MAX_MESSAGE_BYTES, SERVICE, pack, unpack
from stream.log.positions import StoredOffset

log = logging.getLogger(__name__)

OPTIMIZE_AFTER_WRITES = 100_000  # up to some 100,000 points an exact search is fast enough
OPTIMIZE_AFTER_IDLE_S = 30.0
FLUSH_INTERVAL_S = 5.0  # as the server does; a flush waits for the disk, and writes wait for it

Answer = tuple[dict[str, Any], Sequence[Vector | None]]


class IndexServer:
    """Serves one EdgeIndex until `stop`."""

    def __init__(self, index: EdgeIndex, address: str) -> None:
        self._index = index
        self._writes = 0
        self._dirty = False
        self._last_call_s = time.monotonic()
        self._stopping = threading.Event()
        options = [("grpc.max_receive_message_length", MAX_MESSAGE_BYTES), ("grpc.max_send_message_length", -1)]
        self._server = grpc.server(ThreadPoolExecutor(max_workers=8), options=[*options, ("grpc.so_reuseport", 0)])
        names = ("open", "write", "fetch", "search", "scroll", "find_sha256", "offsets", "count", "flush")
        handlers = {name: grpc.unary_unary_rpc_method_handler(self._handler(name)) for name in names}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        try:
            self.port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise ConfigurationError(f"address {address}: busy or not ours; choose another port") from error

    def serve(self) -> None:
        """Answer until `stop` was called, then flush and close."""
        self._server.start()
        while not self._stopping.wait(FLUSH_INTERVAL_S):
            self._keep()
        self._server.stop(grace=5).wait()
        self._index.close()

    def stop(self) -> None:
        """Ask `serve` to end; safe in a signal handler."""
        self._stopping.set()

    def _keep(self) -> None:
        try:
            if self._dirty:
                self._dirty = False
                self._index.flush()
            idle_s = time.monotonic() - self._last_call_s
            if self._writes >= OPTIMIZE_AFTER_WRITES and idle_s >= OPTIMIZE_AFTER_IDLE_S:
                self._writes = 0
                self._index.optimize()
        except MekikiError as error:
            log.error("%s", error)

    def _handler(self, name: str) -> Callable[[bytes, grpc.ServicerContext], bytes]:
        method: Callable[[dict[str, Any], list[Vector | None]], Answer] = getattr(self, f"_{name}")

        def answer(message: bytes, context: grpc.ServicerContext) -> bytes:
            self._last_call_s = time.monotonic()
            header, vectors = unpack(message)
            try:
                return pack(*method(header, vectors))
            except (MekikiError, ValueError) as error:
                return pack({"error": type(error).__name__, "text": str(error)}, ())

        return answer

    def _open(self, header: dict[str, Any], vectors: list[Vector | None]) -> Answer:
        self._index.open(header["encoder_version"], header["dimension"])
        return {}, ()

    def _write(self, header: dict[str, Any], vectors: list[Vector | None]) -> Answer:
        rows = zip(header["records"], vectors, strict=True)
        records = [IndexRecord(r[0], r[1], r[2], r[3], v, r[4]) for r, v in rows]
        self._index.write(records, [StoredOffset(**offset) for offset in header["offsets"]])
        self._writes += len(records)
        self._dirty = True
        return {}, ()

    def _fetch(self, header: dict[str, Any], vectors: list[Vector | None]) -> Answer:
        found = self._index.fetch(header["image_ids"], with_vectors=header["with_vectors"]).values()
        rows = [[r.image_id, r.image_position, r.tags_position, r.payload, r.deleted] for r in found]
        return {"records": rows}, [r.vector for r in found]

    def _search(self, header: dict[str, Any], vectors: list[Vector | None]) -> Answer:
        (query,) = vectors
        if query is None:
            raise ValueError("search without a vector")
        tags = [[TagFilter(**condition) for condition in group] for group in header["tags"]]
        hits = self._index.search(query, header["limit"], tags=tags, with_vectors=header["with_vectors"])
        return {"hits": _rows(hits)}, [hit.vector for hit in hits]

    def _scroll(self, header: dict[str, Any], vectors: list[Vector | None]) -> Answer:
        hits, cursor = self._index.scroll(header["cursor"], header["limit"], with_vectors=header["with_vectors"])
        return {"hits": _rows(hits), "cursor": cursor}, [hit.vector for hit in hits]

    def _find_sha256(self, header: dict[str, Any], vectors: list[Vector | None]) -> Answer:
        hits = self._index.find_sha256(header["sha256"], header["limit"])
        return {"hits": _rows(hits)}, [None] * len(hits)

    def _offsets(self, header: dict[str, Any], vectors: list[Vector | None]) -> Answer:
        return {"offsets": [offset.__dict__ for offset in self._index.offsets()]}, ()

    def _count(self, header: dict[str, Any], vectors: list[Vector | None]) -> Answer:
        return {"count": self._index.count()}, ()

    def _flush(self, header: dict[str, Any], vectors: list[Vector | None]) -> Answer:
        self._index.flush()
        return {}, ()


def _rows(hits: Sequence[Hit]) -> list[list[Any]]:
    return [[hit.image_id, hit.score, hit.payload] for hit in hits]
