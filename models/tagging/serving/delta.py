"""The wire form of snapshots: safetensors with JSON beside, no pickle. A whole version is a delta since nothing.

In: two versions. Out: bytes with what the newer one has that the older one has not; and back, to the bit.
"""

import dataclasses
import json
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors import numpy as safetensors

from models.errors import CheckpointError
from models.tagging.calibration.metrics import Quality
from models.tagging.evidence.co_occurrence import CoOccurrence
from models.tagging.examples import OperationRow
from models.tagging.memory.chunks import CHUNK, Array, Chunks
from models.tagging.memory.exemplars import Exemplars
from models.tagging.serving.columns import Columns
from models.tagging.serving.snapshot import Snapshot

FORMAT = 4


def encode(new: Snapshot, old: Snapshot | None = None) -> bytes:
    """What `new` has that `old` has not, as safetensors; the whole version when `old` is None."""
    base = Snapshot.empty(new.dimension, new.neighbours) if old is None else old
    tensors: dict[str, Array] = {}
    for field in dataclasses.fields(new.columns):
        after, before = getattr(new.columns, field.name), getattr(base.columns, field.name)
        rows = _changed(after, before)
        _put(tensors, field.name, rows, after[rows])
    _put_chunks(tensors, "ridge", new.ridge, base.ridge)
    if new.metric is not base.metric and not np.array_equal(new.metric, base.metric):
        tensors["metric"] = np.ascontiguousarray(new.metric)  # safetensors writes memory as it lies
    if new.co_occurrence is not base.co_occurrence:
        tensors |= {f"co_occurrence.{name}": getattr(new.co_occurrence, name) for name in CoOccurrence.__slots__}
    _put_exemplars(tensors, new.exemplars, base.exemplars)
    return safetensors.save(tensors, {"mekiki": json.dumps(_facts(new, base), ensure_ascii=False)})


def _facts(new: Snapshot, old: Snapshot) -> dict[str, Any]:
    renamed = [row for row, (a, b) in enumerate(zip(old.names, new.names, strict=False)) if a is not b and a != b]
    rows = renamed + list(range(len(old.names), len(new.names)))
    operations = {
        str(at): row for at, row in enumerate(new.operations) if at >= len(old.operations) or row != old.operations[at]
    }
    return {
        "format": FORMAT,
        "since": old.version,
        "version": new.version,
        "images": new.images,
        "dimension": new.dimension,
        "neighbours": new.neighbours,
        "tags": len(new.names),
        "slots": len(new.exemplars),
        "renamed": {str(row): new.names[row] for row in rows},
        "quality": dataclasses.astuple(new.quality),
        "implied": new.implied,
        "aliases": new.aliases,
        "operations": operations,
    }


def _changed(after: Array, before: Array) -> Array:
    both = min(len(after), len(before))
    differs = (after[:both] != before[:both]) & ~(_nan(after[:both]) & _nan(before[:both]))
    differs = differs.reshape(both, int(np.prod(after.shape[1:])))
    return np.concatenate([np.flatnonzero(differs.any(axis=1)), np.arange(both, len(after))])


def _nan(values: Array) -> Array:
    return np.isnan(values) if values.dtype.kind == "f" else np.zeros(values.shape, np.bool_)


def _put(tensors: dict[str, Array], name: str, rows: Array, values: Array) -> None:
    tensors[f"{name}.rows"], tensors[f"{name}.values"] = rows.astype(np.int32), np.ascontiguousarray(values)


def _put_chunks(tensors: dict[str, Array], name: str, new: Chunks, old: Chunks) -> None:
    rows = new.changed(old)
    _put(tensors, name, rows, new.take(rows))


def _put_exemplars(tensors: dict[str, Array], new: Exemplars, old: Exemplars) -> None:
    _put_chunks(tensors, "hashes", new.hashes, old.hashes)
    _put_chunks(tensors, "vectors", new.vectors, old.vectors)
    tensors["vectors.values"] = tensors["vectors.values"].astype(np.int16)
    chunks = [i for i, part in enumerate(new.tags) if i >= len(old.tags) or not _same_tags(part, old.tags[i])]
    tensors["tags.chunks"] = np.array(chunks, np.int32)
    tensors["tags.ends"] = np.concatenate([np.empty(0, np.int32), *(new.tags[i][0] for i in chunks)])
    tensors["tags.rows"] = np.concatenate([np.empty(0, np.int32), *(new.tags[i][1] for i in chunks)])


def _same_tags(a: tuple[Array, Array], b: tuple[Array, Array]) -> bool:
    return a is b or (np.array_equal(a[0], b[0]) and np.array_equal(a[1], b[1]))


def decode(data: bytes, base: Snapshot | None = None) -> Snapshot:
    """The version that a delta since `base` leads to, or a whole one when `base` is None.

    Raises:
        CheckpointError: damaged, of a newer format, or a delta since another version.
    """
    tensors, facts = _read(data)
    old = Snapshot.empty(facts["dimension"], facts["neighbours"]) if base is None else base
    if facts["since"] != old.version or facts["dimension"] != old.dimension:
        raise CheckpointError(
            f"delta since version {facts['since']}: expected one since {old.version}; load the whole snapshot first"
        )
    count = facts["tags"]
    names = [*old.names[:count], *[""] * (count - len(old.names))]
    for row, name in facts["renamed"].items():
        names[int(row)] = name
    return Snapshot(
        version=facts["version"],
        images=facts["images"],
        names=tuple(names),
        columns=_columns(tensors, old.columns, count),
        ridge=old.ridge.replaced(tensors["ridge.rows"], tensors["ridge.values"], count),
        exemplars=_exemplars(tensors, old.exemplars, facts["slots"]),
        metric=tensors.get("metric", old.metric),
        co_occurrence=_co_occurrence(tensors, old.co_occurrence),
        implied=tuple((int(tag), int(into)) for tag, into in facts["implied"]),
        aliases=tuple((str(name), int(row)) for name, row in facts["aliases"]),
        neighbours=facts["neighbours"],
        quality=Quality(*facts["quality"]),
        operations=_operations(facts["operations"], old.operations),
    )


def _columns(tensors: dict[str, Array], old: Columns, count: int) -> Columns:
    columns = {}
    for field in dataclasses.fields(Columns):
        before = getattr(old, field.name)
        after = np.zeros((count, *before.shape[1:]), before.dtype)
        after[: len(before)] = before[:count]
        name = field.name if f"{field.name}.rows" in tensors else "counts"  # `carried` came with format 4
        after[tensors[f"{name}.rows"]] = tensors[f"{name}.values"]
        columns[field.name] = after
    return Columns(**columns)


def _co_occurrence(tensors: dict[str, Array], old: CoOccurrence) -> CoOccurrence:
    if "co_occurrence.starts" not in tensors:
        return old
    return CoOccurrence(*(tensors[f"co_occurrence.{name}"] for name in CoOccurrence.__slots__))


def _operations(changed: dict[str, list[Any]], old: tuple[OperationRow, ...]) -> tuple[OperationRow, ...]:
    found = dict(enumerate(old))
    for at, (operation_id, kind, tags, into, outcome, active, moved, *said) in changed.items():
        images = tuple((image_id, tuple(rows)) for image_id, rows in moved)
        found[int(at)] = OperationRow(operation_id, kind, tuple(tags), into, outcome, active, images, *said)
    return tuple(found.values())


def _read(data: bytes) -> tuple[dict[str, Array], dict[str, Any]]:
    try:
        size = int.from_bytes(data[:8], "little")
        facts = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["mekiki"])
        tensors = safetensors.load(data)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"snapshot of {len(data)} bytes: expected safetensors; it is damaged ({error})"
        ) from error
    if facts["format"] > FORMAT:
        raise CheckpointError(f"snapshot format {facts['format']}: expected at most {FORMAT}; install a newer mekiki")
    return tensors, facts


def _exemplars(tensors: dict[str, Array], old: Exemplars, slots: int) -> Exemplars:
    vectors = old.vectors.replaced(tensors["vectors.rows"], tensors["vectors.values"].astype(np.float32), slots)
    hashes = old.hashes.replaced(tensors["hashes.rows"], tensors["hashes.values"], slots)
    tags = list(old.tags[: -(-slots // CHUNK)])
    ends_at = rows_at = 0
    for chunk in tensors["tags.chunks"].tolist():
        length = min(CHUNK, slots - chunk * CHUNK) + 1
        ends = tensors["tags.ends"][ends_at : ends_at + length]
        rows = tensors["tags.rows"][rows_at : rows_at + int(ends[-1])]
        ends_at, rows_at = ends_at + length, rows_at + int(ends[-1])
        tags[chunk : chunk + 1] = [(ends, rows)]
    return Exemplars(vectors, hashes, tuple(tags))
