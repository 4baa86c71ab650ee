"""The learner on disk: state and offsets in one SQLite file, one atomic unit.

Between checkpoints one transaction stays open, so a process killed at any moment leaves the last checkpoint intact.
The file is locked as long as it is open. Arrays are raw little-endian numbers, the rest is JSON; no pickle.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from models.errors import CheckpointError, StateLostError, StorageUnavailableError
from models.tagging import state
from models.tagging.arrays import Int64
from models.tagging.memory.images import SCHEMA as IMAGES
from models.tagging.memory.images import ImageMemory
from models.tagging.tagger import Tagger

FORMAT = 1
PAGE_BYTES = 16_384  # an image row is 1.1 KB: fewer, larger pages commit four times faster than 4 KB ones
CACHE_KIB = 65_536
LOG_PAGES = 4_096  # 64 MB of write-ahead log before it is copied into the file: most pages change in every checkpoint
ROWS = 4096  # tags written at a time
SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS arrays (name TEXT PRIMARY KEY, dtype TEXT NOT NULL, shape TEXT NOT NULL, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS tags (row INTEGER PRIMARY KEY, count INTEGER NOT NULL, sums BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS opened (only INTEGER PRIMARY KEY, times INTEGER NOT NULL);
"""


class TaggerStore:
    """An open learner file. Use from one thread at a time."""

    def __init__(self, path: Path, tagger: Tagger | None = None) -> None:
        """Name the file; `tagger` gives the settings of a new state."""
        self.path = path
        self.tagger = tagger if tagger is not None else Tagger()
        self._database: sqlite3.Connection | None = None

    def open(self) -> tuple[Tagger, dict[str, Any]]:
        """Open or make the file: the learner as it was at the last checkpoint, and the offsets written with it.

        Raises:
            StorageUnavailableError: another process has it open, or the disk does not answer.
            CheckpointError: damaged, written by newer code, or learned with other settings.
        """
        try:
            self._database = _connect(self.path)
            generation = _prepare(self._database, self.path)
            self._database.execute("BEGIN IMMEDIATE")
            self.tagger.attach(ImageMemory(self._database), generation)
            return self.tagger, self._restore()
        except sqlite3.OperationalError as error:
            self.close()
            held = "locked" in str(error)
            expected = "a file that no other process has open" if held else "a disk with room that may be written"
            remedy = "end the other one, or wait for it" if held else "free some space or mend its permissions"
            raise StorageUnavailableError(f"{self.path}: expected {expected} ({error}); {remedy}") from error
        except (sqlite3.DatabaseError, ValueError, KeyError, TypeError) as error:
            self.close()
            raise CheckpointError(
                f"{self.path}: expected a learner state, it is damaged ({error}); "
                "restore a copy, or learn anew from the log"
            ) from error
        except CheckpointError:
            self.close()
            raise

    @property
    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            raise StorageUnavailableError(f"{self.path}: expected an open file; call open() first")
        return self._database

    def checkpoint(self, offsets: Mapping[str, Any]) -> None:
        """Make everything learned so far durable, together with the offsets it came from.

        Raises:
            StateLostError: the disk is full or gone, and SQLite has taken back what was written since the last
                checkpoint, which is intact: close, open, and learn from its offsets on.
        """
        if self.tagger.lost or not self._open.in_transaction:
            raise self._lost("an earlier call failed")
        try:
            self._write_tags()
            facts, arrays = state.dump(self.tagger)
            facts["offsets"] = dict(offsets)
            rows = [(name, json.dumps(value, ensure_ascii=False)) for name, value in facts.items()]
            self._open.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", rows)
            blobs = [(n, a.dtype.str, json.dumps(a.shape), a.tobytes()) for n, a in arrays.items()]
            self._open.executemany("INSERT OR REPLACE INTO arrays VALUES (?, ?, ?, ?)", blobs)
            self._open.execute("COMMIT")
            self._open.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            if self._open.in_transaction:
                self._open.execute("ROLLBACK")
            self.tagger.lost = True
            raise self._lost(error) from error

    def _lost(self, why: object) -> StateLostError:
        return StateLostError(
            f"{self.path}: expected room to write, {why}; free some space and start again, it goes on from the last "
            "checkpoint"
        )

    def _write_tags(self) -> None:
        sums = self.tagger.statistics.sums
        rows = sums.take_dirty()
        for start in range(0, len(rows), ROWS):
            part = rows[start : start + ROWS]
            self._open.executemany(
                "INSERT OR REPLACE INTO tags VALUES (?, ?, ?)",
                zip(part.tolist(), sums.counts[part].tolist(), _narrow(sums.tags[part]), strict=True),
            )

    def _restore(self) -> dict[str, Any]:
        facts = {name: json.loads(value) for name, value in self._open.execute("SELECT name, value FROM facts")}
        if not facts:
            return {}
        arrays = {
            name: np.frombuffer(data, np.dtype(dtype)).reshape(json.loads(shape)).copy()
            for name, dtype, shape, data in self._open.execute("SELECT name, dtype, shape, data FROM arrays")
        }
        state.load(self.tagger, facts, arrays)
        sums = self.tagger.statistics.sums
        for row, count, data in self._open.execute("SELECT row, count, sums FROM tags"):
            sums.counts[row] = count
            sums.tags[row] = np.frombuffer(data, np.dtype(f"<i{len(data) // sums.dimension}"))
        for image in self.tagger.statistics.memory.smallest(self.tagger.statistics.exemplars.capacity):
            self.tagger.statistics.exemplars.put(image.hash, image.codes, self.tagger.statistics.tags_of(image))
        offsets: dict[str, Any] = facts["offsets"]
        return offsets

    def close(self) -> None:
        """Give the file free; what was learned since the last checkpoint is forgotten."""
        if self._database is None:
            return
        if self._database.in_transaction:
            self._database.execute("ROLLBACK")
        self._database.close()
        self._database = None


def _prepare(database: sqlite3.Connection, path: Path) -> int:
    """Make the tables, refuse newer ones; returns how often the file was opened, this time included."""
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version > FORMAT:
        raise CheckpointError(f"{path} format {version}: expected at most {FORMAT}; install a newer mekiki")
    database.executescript(SCHEMA + IMAGES + f"PRAGMA user_version = {FORMAT};")
    database.execute("INSERT OR IGNORE INTO opened VALUES (1, 0)")
    database.execute("UPDATE opened SET times = times + 1")
    return int(database.execute("SELECT times FROM opened").fetchone()[0])


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0.2)
    database.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    database.execute("PRAGMA locking_mode = EXCLUSIVE")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
    database.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    return database


def _narrow(sums: Int64) -> Iterator[bytes]:
    """The sums of each tag [T, D] in 32 bits where they fit: half the bytes of a checkpoint."""
    fits = np.abs(sums).max(axis=1, initial=0) < 2**31
    for row, narrow, fit in zip(sums, sums.astype("<i4"), fits.tolist(), strict=True):
        yield narrow.tobytes() if fit else row.astype("<i8").tobytes()
