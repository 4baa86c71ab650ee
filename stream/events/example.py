"""examples.v1 on the wire: a small JSON header and the quantised vector, 2 bytes a number.

In: an Example or a TagOperation, with the coordinates of the record it came from. Out: bytes, and back.
Coordinates let the learner drop what it has learned already: an ingest worker that dies may send an example twice.
Layout: magic "MKX1", uint32 length of the header, header (JSON, UTF-8), int16 little endian [D]. The header of a
operation names its kind in `op` and has no `id`, so that a reader who does not know it stops instead of misreading it.
"""

import json
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from models.errors import SchemaError
from models.tagging.examples import Example, OperationKind, TagOperation

EXAMPLE_LAYOUT = (
    'magic "MKX1" (4 bytes), length of the header (uint32, little endian), header (JSON, UTF-8, schema ExampleHeader '
    "or, for an operation on tags, OperationHeader), then the embedding as int16 little endian, 1.0 being 32767; no "
    "numbers where the learner knows it"
)
_SOURCE = {
    "type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}, {"type": "integer"}],
    "minItems": 3, "maxItems": 3,
}  # fmt: skip
EXAMPLE_HEADER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "description": "image_id"},
        "src": _SOURCE | {"description": "topic, partition and position (epoch, offset) of the record it derives from"},
        "aft": _SOURCE | {"description": "src of the one before it in its batch and partition: not learned without it"},
        "enc": {"type": "string", "description": "encoder version"},
        "add": {"type": "array", "items": {"type": "string"}, "description": "tags put on"},
        "rem": {"type": "array", "items": {"type": "string"}, "description": "tags taken off"},
        "rev": {"type": "array", "items": {"type": "string"}, "description": "tags that nobody says any more"},
        "by": {"type": "array", "description": "who said the tags put on: pairs of by (or nothing) and source"},
        "said": {"type": "array", "items": {"type": "integer"}, "description": "for each tag put on its place in by"},
        "all": {"type": "boolean", "description": "the tag list is exhaustive"},
        "del": {"type": "boolean", "description": "the image is gone"},
    },
    "required": ["id", "src", "enc"], "additionalProperties": False,
}  # fmt: skip
OPERATION_HEADER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "op": {"enum": list(get_args(OperationKind)), "description": "kind of operation"},
        "op_id": {"type": "string", "description": "operation_id"},
        "src": EXAMPLE_HEADER["properties"]["src"],
        "aft": EXAMPLE_HEADER["properties"]["aft"],
        "enc": EXAMPLE_HEADER["properties"]["enc"],
        "tags": {"type": "array", "items": {"type": "string"}, "description": "the tags operated on"},
        "into": {"type": "string", "description": "the tag that results"},
        "images": {"type": "array", "items": {"type": "string"}, "description": "image_ids that a split moves"},
        "target": {"type": "string", "description": "the operation_id that an undo takes back"},
        "by": {"type": "string", "description": "who asked for it"},
        "ms": {"type": "integer", "description": "when, ms since 1970"},
        "said_by": {"type": "string", "description": "whose tags a revoke takes back"},
        "since": {"type": "string", "description": "only those said from then on"},
    },
    "required": ["op", "op_id", "src", "enc"], "additionalProperties": False,
}  # fmt: skip
MAGIC = b"MKX1"
TYPE = "mekiki.example.v1"
CONTENT_TYPE = "application/x-mekiki-example"


@dataclass(frozen=True)
class SourcedExample:
    """An example or an operation on tags, and the log record it was derived from.

    Attributes:
        after: topic, partition and position of the example before it in its batch, of the same partition; None if it is
            the first. Without that one this one is not to be learned: the broker lost it, and the batch comes again.
            One of another partition would not do: another worker may have sent that one before, without this one's.
    """

    example: Example | TagOperation
    topic: str
    partition: int
    position: int
    encoder: str
    after: tuple[str, int, int] | None = None


def encode_example(sourced: SourcedExample) -> bytes:
    """The value of an examples.v1 record."""
    example = sourced.example
    header = _operation_header(example) if isinstance(example, TagOperation) else _header(example)
    header |= {"src": [sourced.topic, sourced.partition, sourced.position], "enc": sourced.encoder}
    header |= {"aft": sourced.after} if sourced.after is not None else {}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    vector = b""
    if isinstance(example, Example) and example.vector is not None:
        vector = np.ascontiguousarray(example.vector, dtype="<i2").tobytes()
    return MAGIC + len(text).to_bytes(4, "little") + text + vector


def _header(example: Example) -> dict[str, Any]:
    header: dict[str, Any] = {"id": example.image_id}
    by = {one: place for place, one in enumerate(dict.fromkeys(example.said))}
    said = [by[one] for one in example.said]
    for name, value in (("add", example.added), ("rem", example.removed), ("by", list(by)), ("said", said)):
        if value:
            header[name] = value
    if example.revoked:
        header["rev"] = example.revoked
    if example.complete is not None:
        header["all"] = example.complete
    if example.deleted:
        header["del"] = True
    return header


def _operation_header(operation: TagOperation) -> dict[str, Any]:
    header: dict[str, Any] = {"op": operation.kind, "op_id": operation.operation_id}
    fields = (
        ("tags", operation.tags),
        ("into", operation.into),
        ("images", operation.images),
        ("target", operation.target),
        ("by", operation.by),
        ("ms", operation.time_ms),
        ("said_by", operation.said_by),
        ("since", operation.since),
    )
    return header | {name: value for name, value in fields if value}


def example_headers(topic: str, partition: int, position: int) -> list[tuple[str, bytes]]:
    """The headers of an examples.v1 record derived from this one."""
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", f"{topic}/{partition}/{position}".encode()),
        ("ce_source", b"mekiki/ingest"),
        ("ce_type", TYPE.encode()),
        ("content-type", CONTENT_TYPE.encode()),
    ]


def decode_example(value: bytes | None, time_ms: int = 0) -> SourcedExample:
    """Read an examples.v1 record; `time_ms` is its time, ms since 1970.

    Raises:
        SchemaError: the bytes are not an example of this format.
    """
    if not value or value[:4] != MAGIC:
        raise SchemaError("examples.v1 record: expected the magic MKX1; only ingest workers write this topic")
    end = 8 + int.from_bytes(value[4:8], "little")
    try:
        header = json.loads(value[8:end].decode())
        after = _source(header["aft"]) if "aft" in header else None
        if not isinstance(header["enc"], str):
            raise TypeError("an encoder that is no string")
        example = _operation(header) if "op" in header else _example(header, value, end, time_ms)
        return SourcedExample(example, *_source(header["src"]), header["enc"], after)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise SchemaError(
            f"examples.v1 record: broken header ({error}); only ingest workers write this topic"
        ) from None


def _example(header: dict[str, Any], value: bytes, end: int, time_ms: int) -> Example:
    if not _is(str, header["id"]):
        raise TypeError("an id that is no string")
    return Example(
        image_id=header["id"],
        vector=np.frombuffer(value, dtype="<i2", offset=end) if len(value) > end else None,
        added=_names(header.get("add", [])),
        removed=_names(header.get("rem", [])),
        said=_said(header.get("by", []), header.get("said", [])),
        revoked=_names(header.get("rev", [])),
        complete=header.get("all"),
        deleted=header.get("del", False),
        time_ms=time_ms,
    )


def _operation(header: dict[str, Any]) -> TagOperation:
    texts = [header.get(name, "") for name in ("into", "target", "by", "said_by", "since")]
    time_ms = header.get("ms", 0)
    if header["op"] not in get_args(OperationKind) or not _is(str, header["op_id"], *texts) or not _is(int, time_ms):
        raise TypeError("an operation of another kind")
    names, images = _names(header.get("tags", [])), _names(header.get("images", []))
    into, target, by, said_by, since = texts
    return TagOperation(header["op_id"], header["op"], names, into, images, target, by, time_ms, said_by, since)


def _source(values: list[Any]) -> tuple[str, int, int]:
    topic, partition, position = values
    if not (isinstance(topic, str) and isinstance(partition, int) and isinstance(position, int)):
        raise TypeError("a source of other types")
    return topic, partition, position


def _said(by: list[list[str]], places: list[int]) -> tuple[tuple[str, str], ...]:
    pairs = [(who, source) for who, source in by]
    if not (all(_is(str, *pair) for pair in pairs) and _is(int, *places) and all(0 <= at < len(by) for at in places)):
        raise TypeError("tags said by nobody")
    return tuple(pairs[at] for at in places)


def _is(kind: type, *values: object) -> bool:
    return all(isinstance(value, kind) for value in values)


def _names(values: list[str]) -> tuple[str, ...]:
    if not isinstance(values, list) or not _is(str, *values):
        raise TypeError("no list of strings")
    return tuple(values)
