"""What the learner knows of single tags, as tables of which only changed rows are written.

In: a tagger. Out: rows of an open SQLite database, and the tagger's state made of them again. Every table has one row
for a tag, or for so many tags together, or none where there is nothing to keep.
"""

import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.tagging.calibration.calibrators import Calibrators
from models.tagging.calibration.drift import Drift
from models.tagging.calibration.histograms import BINS
from models.tagging.memory.mapping import TagMapping
from models.tagging.tagger import Tagger

Row = tuple[Any, ...]
BATCH = 4096  # rows written at a time
TOGETHER = 64  # tags whose histograms are one row: one each, 100 bytes, would take as long to write as all sums do
_KEPT = 3 * (BINS - 1)  # bins of a histogram that are kept here
_BIN = np.dtype([("bin", "<u2"), ("count", "<f8")])


@dataclass(frozen=True)
class TagTable:
    """One table.

    Attributes:
        name: of the table.
        columns: SQL; the first is `row`.
        take_changed: the numbers of the tags that changed since the last call.
        dump: the table's rows with these numbers, in order; none where there is nothing to keep.
        load: puts back all that was dumped.
        together: tags in a row; row r is of the tags from `r * together` on.
    """

    name: str
    columns: str
    take_changed: Callable[[Tagger], Collection[int]]
    dump: Callable[[Tagger, Sequence[int]], Iterable[Row]]
    load: Callable[[Tagger, Iterable[Row]], None]
    together: int = 1

    def write(self, tagger: Tagger, database: sqlite3.Connection) -> None:
        """Write what changed."""
        changed = sorted({tag // self.together for tag in self.take_changed(tagger)})
        values = ", ".join("?" * (self.columns.count(",") + 1))
        for start in range(0, len(changed), BATCH):
            part = changed[start : start + BATCH]
            kept = list(self.dump(tagger, part))
            gone = set(part).difference(row[0] for row in kept)
            database.executemany(f"DELETE FROM {self.name} WHERE row = ?", [(row,) for row in gone])
            database.executemany(f"INSERT OR REPLACE INTO {self.name} VALUES ({values})", kept)

    def read(self, tagger: Tagger, database: sqlite3.Connection) -> None:
        """Put back what was written."""
        self.load(tagger, database.execute(f"SELECT * FROM {self.name} ORDER BY row"))


def _taken(changed: set[int]) -> set[int]:
    taken = set(changed)
    changed.clear()
    return taken


def _dump_names(tagger: Tagger, rows: Sequence[int]) -> Iterable[Row]:
    words, mapping = tagger.statistics.vocabulary, tagger.statistics.mapping
    for row in rows:
        yield row, words.names[row], words.first_seen[row], row in words.detached, mapping.of(row)


def _load_names(tagger: Tagger, rows: Iterable[Row]) -> None:
    statistics = tagger.statistics
    known = list(rows)
    if any(row != at for at, (row, *_) in enumerate(known)):
        raise ValueError("a tag is missing")
    statistics.vocabulary.restore(
        (name for _, name, *_ in known),
        (position for _, _, position, *_ in known),
        (row for row, _, _, detached, _ in known if detached),
    )
    statistics.mapping = TagMapping((row, target) for row, *_, target in known if row != target)
    statistics.sums.grow(len(known))


def _dump_sums(tagger: Tagger, rows: Sequence[int]) -> Iterable[Row]:
    """The sums of each tag [D] in 16 or 32 bits where they fit: half the bytes of a checkpoint, or a quarter."""
    sums, which = tagger.statistics.sums, np.array(rows, np.int64)
    counts, of_tags = sums.counts[which], sums.tags[which]
    narrow = of_tags.astype("<i4")
    fits = counts < 2**16  # each image adds at most 2^15 to a number
    small = fits & (narrow.max(axis=1, initial=0) < 2**15) & (narrow.min(axis=1, initial=0) >= -(2**15))
    narrowest = iter(narrow[small].astype("<i2"))
    chosen = zip(rows, counts.tolist(), fits.tolist(), small.tolist(), strict=True)
    for at, (row, count, fits_, small_) in enumerate(chosen):
        yield row, count, (next(narrowest) if small_ else narrow[at] if fits_ else of_tags[at]).tobytes()


def _load_sums(tagger: Tagger, rows: Iterable[Row]) -> None:
    sums = tagger.statistics.sums
    for row, count, data in rows:
        sums.counts[row] = count
        sums.tags[row] = np.frombuffer(data, np.dtype(f"<i{len(data) // sums.dimension}"))


def _dump_states(of_tags: Calibrators | Drift, rows: Sequence[int]) -> Iterable[Row]:
    found = ((row, of_tags.dump(row)) for row in rows)
    return ((row, *state) for row, state in found if state is not None)


def _load_states(of_tags: Calibrators | Drift, rows: Iterable[Row]) -> None:
    for row in rows:
        of_tags.load(*row)
    of_tags.changed.clear()


def _dump_histograms(tagger: Tagger, rows: Sequence[int]) -> Iterable[Row]:
    """What is not zero beyond the lowest bin; the lowest ones change together and are an array (state.py)."""
    for row in rows:
        beyond = tagger.metrics.histograms[row * TOGETHER : (row + 1) * TOGETHER, :, 1:].reshape(-1)
        bins = np.flatnonzero(beyond)
        filled = np.empty(len(bins), _BIN)
        filled["bin"], filled["count"] = bins, beyond[bins]
        if len(bins):
            yield row, filled.tobytes()


def _load_histograms(tagger: Tagger, rows: Iterable[Row]) -> None:
    for row, data in rows:
        filled = np.frombuffer(data, _BIN)
        tags, bins = np.divmod(filled["bin"].astype(np.int64), _KEPT)
        planes, bins = np.divmod(bins, BINS - 1)
        tagger.metrics.histograms[row * TOGETHER + tags, planes, bins + 1] = filled["count"]


TABLES = (
    TagTable(
        "tags",
        "row INTEGER PRIMARY KEY, name TEXT NOT NULL, first_seen INTEGER NOT NULL, detached INTEGER NOT NULL, "
        "counts_for INTEGER NOT NULL",
        lambda tagger: _taken(tagger.statistics.vocabulary.changed) | _taken(tagger.statistics.remapped),
        _dump_names,
        _load_names,
    ),
    TagTable(
        "sums",
        "row INTEGER PRIMARY KEY, count INTEGER NOT NULL, sums BLOB NOT NULL",
        lambda tagger: tagger.statistics.sums.take_changed().tolist(),
        _dump_sums,
        _load_sums,
    ),
    TagTable(
        "calibrators",
        "row INTEGER PRIMARY KEY, positives INTEGER, own BLOB",
        lambda tagger: _taken(tagger.calibrators.changed),
        lambda tagger, rows: _dump_states(tagger.calibrators, rows),
        lambda tagger, rows: _load_states(tagger.calibrators, rows),
    ),
    TagTable(
        "drift",
        "row INTEGER PRIMARY KEY, drifts INTEGER NOT NULL, losses BLOB NOT NULL",
        lambda tagger: _taken(tagger.evaluator.drift.changed),
        lambda tagger, rows: _dump_states(tagger.evaluator.drift, rows),
        lambda tagger, rows: _load_states(tagger.evaluator.drift, rows),
    ),
    TagTable(
        "histograms",
        "row INTEGER PRIMARY KEY, bins BLOB NOT NULL",
        lambda tagger: _taken(tagger.metrics.changed),
        _dump_histograms,
        _load_histograms,
        TOGETHER,
    ),
)
SCHEMA = "".join(f"CREATE TABLE IF NOT EXISTS {table.name} ({table.columns});" for table in TABLES)
