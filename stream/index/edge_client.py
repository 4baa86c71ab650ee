"""VectorIndex in another process of this machine: the client of `index_server`, over gRPC on loopback.

Messages are framed by hand (a JSON header and float32 bytes): the calls are ours alone, and a vector goes through
without becoming a list of Python floats.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import grpc
import numpy as np

from models import errors
from stream.index.contract import Hit, IndexRecord, TagFilters, Vector
from stream.index.points import check_vector
from stream.log.positions import StoredOffset

SERVICE = "mekiki.Index"
MAX_MESSAGE_BYTES = 256 * 2**20


def pack(header: dict[str, Any], vectors: Sequence[Vector | None]) -> bytes:
    """One message: length of the header, header, then the vectors that are there, float32 little endian."""
    present = [v is not None for v in vectors]
    body = b"".join(np.ascontiguousarray(v, dtype="<f4").tobytes() for v in vectors if v is not None)
    width = next((len(v) for v in vectors if v is not None), 0)
    text = json.dumps(header | {"_present": present, "_width": width}, ensure_ascii=False).encode()
    return len(text).to_bytes(4, "little") + text + body


def unpack(message: bytes) -> tuple[dict[str, Any], list[Vector | None]]:
    """The header and the vectors of one message."""
    size = int.from_bytes(message[:4], "little")
    header: dict[str, Any] = json.loads(message[4 : 4 + size])
    present, width = header.pop("_present"), header.pop("_width")
    rows = iter(np.frombuffer(message, dtype="<f4", offset=4 + size).reshape(-1, width) if any(present) else ())
    return header, [np.array(next(rows)) if there else None for there in present]


class RemoteIndex:
    """See VectorIndex. Thread-safe."""

    def __init__(self, address: str, *, timeout_s: float = 30.0) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._dimension = 0
        limits = [("grpc.max_receive_message_length", MAX_MESSAGE_BYTES), ("grpc.max_send_message_length", -1)]
        backoff = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 1_000)]
        self._channel = grpc.insecure_channel(address, options=limits + backoff)

    def open(self, encoder_version: str, dimension: int) -> None:
        """See VectorIndex.open."""
        self._dimension = dimension
        self._ask("open", {"encoder_version": encoder_version, "dimension": dimension}, wait_for_ready=True)

    def write(self, records: Sequence[IndexRecord], offsets: Sequence[StoredOffset]) -> None:
        """See VectorIndex.write."""
        for record in records:
            if record.vector is not None:
                check_vector(record.vector, self._dimension)
        header = {
            "records": [
                [r.image_id, r.image_position, r.tags_position, r.payload, r.deleted] for r in records
            ],
            "offsets": [asdict(offset) for offset in offsets],
        }  # fmt: skip
        self._ask("write", header, [record.vector for record in records])

    def fetch(self, image_ids: Sequence[str], *, with_vectors: bool = False) -> dict[str, IndexRecord]:
        """See VectorIndex.fetch."""
        header, vectors = self._ask("fetch", {"image_ids": list(image_ids), "with_vectors": with_vectors})
        rows = zip(header["records"], vectors, strict=True)
        return {r[0]: IndexRecord(r[0], r[1], r[2], r[3], v, r[4]) for r, v in rows}

    def search(self, vector: Vector, limit: int, *, tags: TagFilters = (), with_vectors: bool = False) -> list[Hit]:
        """See VectorIndex.search."""
        groups = [[asdict(condition) for condition in group] for group in tags]
        asked = {"limit": limit, "tags": groups, "with_vectors": with_vectors}
        header, vectors = self._ask("search", asked, [vector])
        return [Hit(h[0], h[1], h[2], v) for h, v in zip(header["hits"], vectors, strict=True)]

    def scroll(self, cursor: str | None, limit: int, *, with_vectors: bool = False) -> tuple[list[Hit], str | None]:
        """See VectorIndex.scroll."""
        header, vectors = self._ask("scroll", {"cursor": cursor, "limit": limit, "with_vectors": with_vectors})
        hits = [Hit(h[0], h[1], h[2], v) for h, v in zip(header["hits"], vectors, strict=True)]
        return hits, header["cursor"]

    def find_sha256(self, sha256: str, limit: int) -> list[Hit]:
        """See VectorIndex.find_sha256."""
        header, vectors = self._ask("find_sha256", {"sha256": sha256, "limit": limit})
        return [Hit(h[0], h[1], h[2], v) for h, v in zip(header["hits"], vectors, strict=True)]

    def offsets(self) -> list[StoredOffset]:
        """See VectorIndex.offsets."""
        return [StoredOffset(**offset) for offset in self._ask("offsets", {})[0]["offsets"]]

    def count(self) -> int:
        """See VectorIndex.count."""
        return int(self._ask("count", {})[0]["count"])

    def flush(self) -> None:
        """See VectorIndex.flush."""
        self._ask("flush", {})

    def close(self) -> None:
        """Close the connection; the owner process keeps the shard."""
        self._channel.close()

    def _ask(
        self,
        method: str,
        header: dict[str, Any],
        vectors: Sequence[Vector | None] = (),
        *,
        wait_for_ready: bool = False,
    ) -> tuple[dict[str, Any], list[Vector | None]]:
        call = self._channel.unary_unary(f"/{SERVICE}/{method}")
        try:
            answer = call(pack(header, vectors), timeout=self._timeout_s, wait_for_ready=wait_for_ready)
        except grpc.RpcError as error:
            code = error.code().name if isinstance(error, grpc.Call) else str(error)
            raise errors.IndexUnavailableError(f"index process at {self._address}: {code} in {method}") from error
        said, found = unpack(answer)
        if "error" in said:
            kind = ValueError if said["error"] == "ValueError" else getattr(errors, said["error"])
            raise kind(said["text"])
        return said, found
