"""K1a: an export as of an offset, beside a learner that was stopped there; what knows of later is counted.

In: a log of examples in memory. Out: the table and its manifest on disk, and counts of what should not be in it.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow.parquet

from models.tagging.examples import Example
from models.tagging.tag_vectors import TagColumn, TagVectors
from models.tagging.tagger import Tagger
from stream.environment import load_settings
from stream.events.example import SourcedExample, encode_example
from stream.export.tags import Manifest, write_tags
from stream.learn.replay import replay
from stream.learn.tagger_state import open_tagger
from stream.log.reading.positions import StoredOffset, position_of
from stream.log.record import Record

POLL_RECORDS = 500
PLANTED = 20  # pictures that get a tag after the offset

Vectors = dict[str, np.ndarray]


class MemoryExamples:
    """A reader of examples.v1 in memory; see stream.learn.replay.ExamplesReader."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self._records = [_record(example, offset) for offset, example in enumerate(examples)]
        self._next = 0

    def poll(self, timeout_s: float) -> list[Record]:
        """The next records."""
        found = self._records[self._next : self._next + POLL_RECORDS]
        self._next += len(found)
        return found

    def caught_up(self, topic: str, partition: int) -> bool:
        """Whether all were read."""
        return self._next == len(self._records)

    def stored_offset(self, topic: str, partition: int, offset: int) -> StoredOffset:
        """Of a topic that is in no broker."""
        return StoredOffset(topic, partition, offset, "in-memory", 0)


def _record(example: Example, offset: int) -> Record:
    position = position_of(0, offset)
    value = encode_example(SourcedExample(example, "images", 0, position, "bench"))
    return Record("examples", 0, offset, position, 0, example.image_id.encode(), value, ())


def checked_export(tagged: Sequence[Example]) -> tuple[dict[str, Any], Vectors]:
    """Figures of an export of these examples, after which some get one more tag; and what it says of each image.

    The control is an export with the later tags in it, checked in the same way.
    """
    later = [replace(example, added=("planted",)) for example in tagged[:PLANTED]]
    with TemporaryDirectory() as folder:
        manifest, found = export([*tagged, *later], len(tagged), Path(folder) / "at.parquet")
        control, control_found = export([*tagged, *later], None, Path(folder) / "control.parquet")
    figures = {
        "rows": manifest.rows,
        "tags": len(manifest.vocabulary),
        "vocabulary_stable": is_stable(manifest.vocabulary, control.vocabulary),
        "leaks": leaks(manifest, found, tagged),
        "control_leaks": leaks(control, control_found, tagged),
    }
    return figures, found


def export(examples: Sequence[Example], at: int | None, path: Path) -> tuple[Manifest, Vectors]:
    """The manifest, and each image's probabilities [V] read back from the file."""
    with TemporaryDirectory() as folder:
        settings = load_settings({}, data_dir=Path(folder))
        with closing(open_tagger(settings)) as state:
            end = replay(MemoryExamples(examples), state, at=at)
            manifest = write_tags(state, end, path=path, format="parquet")
    table = pyarrow.parquet.read_table(path)
    values = table["tags"].combine_chunks().flatten().to_numpy().reshape(table.num_rows, -1)
    return manifest, dict(zip(table["image_id"].to_pylist(), values, strict=True))


def leaks(manifest: Manifest, found: Vectors, examples: Sequence[Example]) -> int:
    """Words and images in an export that are not as a learner has them which saw `examples` and nothing else."""
    tagger = Tagger()
    tagger.learn_many(examples, 0)
    vectors = TagVectors(tagger)
    stopped = {
        image_id: row
        for batch in vectors.batches()
        for image_id, row in zip(batch.image_ids, batch.probabilities, strict=True)
    }
    tagger.close()
    words = set(manifest.vocabulary) ^ set(vectors.columns)
    known = range(len(vectors.columns))
    shared = found.keys() & stopped.keys()
    others = [one for one in shared if found[one][known].tobytes() != stopped[one].tobytes()]
    return len(words) + len(others) + len(found.keys() ^ stopped.keys())


def is_stable(before: Sequence[TagColumn], after: Sequence[TagColumn]) -> bool:
    """Whether every id means the same word later."""
    return [(one.id, one.name) for one in before] == [(one.id, one.name) for one in after[: len(before)]]
