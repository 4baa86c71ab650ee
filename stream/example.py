"""examples.v1 on the wire: a small JSON header and the quantised vector, 2 bytes a number.

In: models.tagging.examples.Example with the coordinates of the record it came from. Out: bytes, and back. Coordinates
let the learner drop what it has learned already: an ingest worker that dies may send an example twice.
Layout: magic "MKX1", uint32 length of the header, header (JSON, UTF-8), int16 little endian [D].
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from models.errors import SchemaError
from models.tagging.examples import Example

MAGIC = b"MKX1"
TYPE = "mekiki.example.v1"
CONTENT_TYPE = "application/x-mekiki-example"


@dataclass(frozen=True)
class SourcedExample:
    """An example and the log record it was derived from."""

    example: Example
    topic: str
    partition: int
    version: int
    encoder: str


def encode_example(sourced: SourcedExample) -> bytes:
    """The value of an examples.v1 record."""
    example = sourced.example
    header: dict[str, object] = {"id": example.image_id, "src": [sourced.topic, sourced.partition, sourced.version]}
    header["enc"] = sourced.encoder
    for name, value in (("add", example.added), ("rem", example.removed)):
        if value:
            header[name] = value
    if example.complete is not None:
        header["all"] = example.complete
    if example.deleted:
        header["del"] = True
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    vector = b"" if example.vector is None else np.ascontiguousarray(example.vector, dtype="<i2").tobytes()
    return MAGIC + len(text).to_bytes(4, "little") + text + vector


def decode_example(value: bytes | None) -> SourcedExample:
    """Read an examples.v1 record.

    Raises:
        SchemaError: the bytes are not an example of this format.
    """
    if not value or value[:4] != MAGIC:
        raise SchemaError("examples.v1 record: expected the magic MKX1; only ingest workers write this topic")
    end = 8 + int.from_bytes(value[4:8], "little")
    try:
        header = json.loads(value[8:end])
        topic, partition, version = header["src"]
        if not (_is(str, topic, header["id"], header["enc"]) and _is(int, partition, version)):
            raise TypeError("id, encoder and source of other types")
        vector = np.frombuffer(value, dtype="<i2", offset=end) if len(value) > end else None
        example = Example(
            image_id=header["id"],
            vector=vector,
            added=_names(header.get("add", [])),
            removed=_names(header.get("rem", [])),
            complete=header.get("all"),
            deleted=header.get("del", False),
        )
        return SourcedExample(example, topic, partition, version, header["enc"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise SchemaError(
            f"examples.v1 record: broken header ({error}); only ingest workers write this topic"
        ) from None


def _is(kind: type, *values: object) -> bool:
    return all(isinstance(value, kind) for value in values)


def _names(values: list[str]) -> tuple[str, ...]:
    if not isinstance(values, list) or not _is(str, *values):
        raise TypeError("tags that are no list of strings")
    return tuple(values)
