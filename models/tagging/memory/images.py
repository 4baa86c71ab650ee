"""What the learner remembers of each image: its vector, its tags, whether the list is complete. On disk, in SQLite.

This is what makes forgetting exact: what an image added to the sums can be subtracted later, to the bit. Memory stays
bounded by the page cache, however many images there are. All calls happen inside the transaction of the store.
"""

import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from models.tagging.arrays import Int16
from models.tagging.examples import Example

SCHEMA = """
CREATE TABLE IF NOT EXISTS images (
    key INTEGER PRIMARY KEY, hash INTEGER NOT NULL, id TEXT NOT NULL, flags INTEGER NOT NULL,
    labelled INTEGER NOT NULL, tags BLOB NOT NULL, vector BLOB);
CREATE INDEX IF NOT EXISTS images_hash ON images (hash);
"""
_BATCH = 512  # parameters of one statement; a fixed number keeps it prepared
_COMPLETE, _COLD = 1, 2  # bits of the column `flags`
_AMONG = f"WHERE hash IN ({','.join('?' * _BATCH)})"


@dataclass(slots=True, eq=False)
class ImageState:
    """One image.

    Attributes:
        image_id: as people name it.
        hash: of the id, see `image_hash`.
        vector: its quantised embedding as int16 bytes.
        tags: rows as written, before any operation on tags, ascending.
        complete: its tag list is exhaustive.
        labelled: it counts in the sums.
        key: of its row in the table; None until it is stored.
        cold: it carries tags that have no row at present (cold_tags.py).
    """

    image_id: str
    hash: int
    vector: bytes | None = None
    tags: tuple[int, ...] = ()
    complete: bool = False
    labelled: bool = False
    key: int | None = None
    cold: bool = False

    @property
    def quantised(self) -> Int16:
        """The quantised embedding [D]."""
        return np.frombuffer(self.vector or b"", np.int16)

    def example(self, names: Sequence[str]) -> Example:
        """One example to learn all of this from; `names` are those of the rows."""
        vector = None if self.vector is None else self.quantised
        return Example(self.image_id, vector, tuple(names[row] for row in self.tags), complete=self.complete or None)


class ImageMemory:
    """The table of images in an open SQLite database."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self.database = database

    @classmethod
    def in_memory(cls, schema: str = SCHEMA) -> "ImageMemory":
        """One of no file; `schema` are the tables in it."""
        database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        database.executescript(schema)
        return cls(database)

    def __getstate__(self) -> dict[str, bytes]:
        """A copy in memory, for river's `copy.deepcopy`; a file is not copied."""
        name = self.database.execute("PRAGMA database_list").fetchone()[2]
        if name:
            raise TypeError(f"learner with its state in {name}: expected one in memory; copy the file instead")
        return {"database": self.database.serialize()}

    def __setstate__(self, state: dict[str, bytes]) -> None:
        self.database = ImageMemory.in_memory("").database
        self.database.deserialize(state["database"])

    def fetch(self, wanted: Sequence[tuple[int, str]]) -> dict[str, ImageState]:
        """States of the (hash, id) pairs that are known."""
        ids = {image_id for _, image_id in wanted}
        found: dict[str, ImageState] = {}
        for start in range(0, len(wanted), _BATCH):
            hashes = [key for key, _ in wanted[start : start + _BATCH]]
            hashes.extend([hashes[-1]] * (_BATCH - len(hashes)))
            among = self._select(_AMONG, hashes)
            found |= {state.image_id: state for state in among if state.image_id in ids}
        return found

    def fetch_keys(self, keys: Iterable[int]) -> list[ImageState]:
        """States by their keys, ascending."""
        return [state for key in sorted(keys) for state in self._select("WHERE key = ?", (key,))]

    def write(self, states: Iterable[ImageState]) -> None:
        """Insert or update."""
        new, old = [], []
        for state in states:
            flags = _COMPLETE * state.complete + _COLD * state.cold
            columns = (flags, state.labelled, array("i", state.tags).tobytes(), state.vector)
            if state.key is None:
                new.append((*columns, state.hash, state.image_id))
            else:
                old.append((*columns, state.key))
        insert = "INSERT INTO images (flags, labelled, tags, vector, hash, id) VALUES (?, ?, ?, ?, ?, ?)"
        self.database.executemany(insert, new)
        self.database.executemany("UPDATE images SET flags = ?, labelled = ?, tags = ?, vector = ? WHERE key = ?", old)

    def delete(self, keys: Iterable[int]) -> None:
        """Forget images."""
        self.database.executemany("DELETE FROM images WHERE key = ?", [(key,) for key in keys])

    def smallest(self, count: int, above: int = -1) -> list[ImageState]:
        """The `count` labelled images with the smallest hashes above a bound, ascending."""
        return self._select("WHERE hash > ? AND labelled ORDER BY hash, id LIMIT ?", (above, count))

    def batches(self, size: int = 4096) -> Iterator[list[ImageState]]:
        """Every image, in batches that may be written back before the next is asked for."""
        last: int | None = -1
        while states := self._select("WHERE key > ? ORDER BY key LIMIT ?", (last, size)):
            last = states[-1].key
            yield states

    def labelled_tags(self) -> Iterator[tuple[int, ...]]:
        """The rows, as written, of every image that counts in the sums."""
        for (tags,) in self.database.execute("SELECT tags FROM images WHERE labelled"):
            yield tuple(array("i", tags))

    def _select(self, which: str, parameters: Sequence[int | None]) -> list[ImageState]:
        return [
            ImageState(
                image_id, hashed, vector, tuple(array("i", tags)),
                bool(flags & _COMPLETE), bool(labelled), key, bool(flags & _COLD),
            )
            for key, hashed, image_id, flags, labelled, tags, vector in self.database.execute(
                f"SELECT key, hash, id, flags, labelled, tags, vector FROM images {which}", parameters
            )
        ]  # fmt: skip
