"""The tag learner on disk: state and offsets in one `StateFile`, one atomic unit.

Between checkpoints one transaction stays open, so a process killed at any moment leaves the last checkpoint intact.
Images are written as they are learned; a checkpoint adds the rows of tags and operations that changed since the last
one, and what belongs to no single tag.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.errors import CheckpointError, StateLostError, StorageUnavailableError
from models.state_file import UNREADABLE, StateFile
from models.tagging import state, tag_tables
from models.tagging.memory import cold_tags
from models.tagging.memory.images import ImageMemory
from models.tagging.tagger import Tagger

FORMAT = 2
SCHEMA = f"""
{cold_tags.SCHEMA} {tag_tables.SCHEMA}
CREATE TABLE IF NOT EXISTS operations (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, json TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS opened (only_row INTEGER PRIMARY KEY, times INTEGER NOT NULL);
INSERT OR IGNORE INTO opened VALUES (1, 0);
"""


class TaggerStore:
    """The file of a learner. Use from one thread at a time."""

    def __init__(self, path: Path, tagger: Tagger) -> None:
        """Name the file; `tagger` gives the settings of a new state."""
        self.path = path
        self.tagger = tagger
        self._file: StateFile | None = None

    def open(self) -> tuple[Tagger, dict[str, Any]]:
        """Open or make the file: the learner as it was at the last checkpoint, and the offsets written with it.

        Raises:
            StorageUnavailableError: another process has it open, or the disk does not answer.
            CheckpointError: damaged, of another format, or learned with other settings.
        """
        file = self._file = StateFile(self.path, format_number=FORMAT, tables=SCHEMA)
        try:
            with file.errors(*UNREADABLE):
                file.database.execute("UPDATE opened SET times = times + 1")
                (times,) = file.database.execute("SELECT times FROM opened").fetchone()
                file.database.execute("BEGIN IMMEDIATE")
                self.tagger.attach(ImageMemory(file.database), times)
                return self.tagger, self._restore(file)
        except BaseException:
            self.close()
            raise

    def _restore(self, file: StateFile) -> dict[str, Any]:
        saved = file.load()
        if saved is None:
            return {}
        facts, arrays = saved
        state.load(self.tagger, facts, arrays)
        for table in tag_tables.TABLES:
            table.read(self.tagger, file.database)
        operations = file.database.execute("SELECT json FROM operations ORDER BY number")
        self.tagger.operations.load(json.loads(text) for (text,) in operations)
        statistics = self.tagger.statistics
        for image in statistics.memory.smallest(statistics.exemplars.capacity):
            statistics.exemplars.put(image.hash, image.quantised, statistics.tags_of(image))
        offsets: dict[str, Any] = facts["offsets"]
        return offsets

    def checkpoint(self, offsets: Mapping[str, Any]) -> None:
        """Make everything learned so far durable, together with the offsets it came from.

        Raises:
            StateLostError: the disk is full or gone, and SQLite has taken back what was written since the last
                checkpoint, which is intact: close, open, and learn from its offsets on.
        """
        if self._file is None:
            raise StorageUnavailableError(f"state {self.path}: expected an open file; call open() first")
        if self.tagger.lost or not self._file.database.in_transaction:
            raise self._lost(f"state {self.path}: an earlier call failed")
        try:
            with self._file.errors():
                self._write(self._file, offsets)
                self._file.database.execute("COMMIT")
                self._file.database.execute("BEGIN IMMEDIATE")
        except (CheckpointError, StorageUnavailableError) as error:
            self._file.roll_back()
            raise self._lost(error) from error

    def _write(self, file: StateFile, offsets: Mapping[str, Any]) -> None:
        for table in tag_tables.TABLES:
            table.write(self.tagger, file.database)
        file.database.executemany(
            "INSERT INTO operations (id, json) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET json = excluded.json",
            [(name, json.dumps(fact)) for name, fact in self.tagger.operations.take_changed()],
        )
        facts, arrays = state.dump(self.tagger)
        file.write(facts | {"offsets": dict(offsets)}, arrays)

    def _lost(self, why: object) -> StateLostError:
        self.tagger.lost = True
        return StateLostError(f"{why}; then start again, it goes on from the last checkpoint")

    def close(self) -> None:
        """Give the file free; what was learned since the last checkpoint is forgotten."""
        if self._file is not None:
            self.tagger.close()
            self._file.close()
            self._file = None
