"""Calls of the index between two processes, as bytes: one form for whatever the contract takes and gives.

In: arguments or an answer, made of plain JSON values, the frozen dataclasses of the contract, and vectors. Out: one
message, a JSON text and the vectors behind it as float32; and back. A sequence in a dataclass comes back as a tuple.
"""

import json
import math
from dataclasses import fields
from typing import Any

import numpy as np

from stream.index.contract import Condition, Hit, IndexDescription, Range, TagFilter
from stream.index.objects import ImageObjects
from stream.index.payload import ImagePayload, IndexRecord, Vector
from stream.log.reading.positions import StoredOffset

MESSAGE_LIMITS = [("grpc.max_receive_message_length", 256 * 2**20), ("grpc.max_send_message_length", -1)]  # bytes
SERVICE, OBJECTS_SERVICE = "mekiki.Index", "mekiki.Objects"
CALLS = (
    "open",
    "write",
    "fetch",
    "search",
    "scroll",
    "scroll_waiting",
    "find_sha256",
    "offsets",
    "count",
    "describe",
    "flush",
)  # of the contract
OBJECTS_CALLS = ("open", "write", "fetch", "search", "offsets", "count", "flush")  # of ObjectIndex
KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        Condition,
        Hit,
        ImageObjects,
        ImagePayload,
        IndexDescription,
        IndexRecord,
        Range,
        StoredOffset,
        TagFilter,
    )
}
_NAMES = {kind: [field.name for field in fields(kind)] for kind in KINDS.values()}


def pack(document: Any) -> bytes:
    """One message: length of the text (uint32, little endian), the text, then its vectors one after another."""
    vectors: list[bytes] = []

    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            vectors.append(np.ascontiguousarray(value, dtype="<f4").tobytes())
            return {"$vector": list(value.shape)}
        return {"$kind": type(value).__name__, **{name: _field(getattr(value, name)) for name in _NAMES[type(value)]}}

    text = json.dumps(document, ensure_ascii=False, default=plain).encode()
    return len(text).to_bytes(4, "little") + text + b"".join(vectors)


def unpack(message: bytes) -> Any:
    """What `pack` was given."""
    end = 4 + int.from_bytes(message[:4], "little")
    done = end

    def typed(value: dict[str, Any]) -> Any:
        nonlocal done
        if value.keys() == {"$vector"}:
            shape = value["$vector"]
            vector: Vector = np.frombuffer(message, "<f4", count=math.prod(shape), offset=done).reshape(shape).copy()
            done += vector.nbytes
            return vector
        if value.keys() == {"$map"}:
            return dict(value["$map"])
        kind = KINDS.get(value.pop("$kind", ""))
        if kind is None:
            return value
        return kind(**{name: _tuples(item) for name, item in value.items()})

    return json.loads(message[4:end], object_hook=typed)


def _field(value: Any) -> Any:
    """What people said under names of their own, as pairs: no name of theirs is taken for one of ours."""
    return {"$map": list(value.items())} if isinstance(value, dict) else value


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
