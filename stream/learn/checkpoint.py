"""Learned state and the offsets it covers, as one atomic unit on disk: a SQLite file, one transaction a checkpoint.

In: named arrays, a JSON document and offsets. Out: the same after a restart, whatever killed the process in between.
Raises CheckpointError for a damaged file or one of a newer version, StorageUnavailableError for a full disk.
(The tag learner's state is too large to be written whole: models/tagging/store.py keeps it row by row.)
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.errors import CheckpointError, ConfigurationError, StorageUnavailableError
from stream.log.positions import StoredOffset

SCHEMA_VERSION = 1
BUSY_TIMEOUT_S = 1.0


@dataclass(frozen=True)
class State:
    """What one worker remembers."""

    arrays: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    document: dict[str, Any] = field(default_factory=dict)
    offsets: Sequence[StoredOffset] = ()


class Checkpoint:
    """One SQLite file; the process that opened it holds it alone."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
            for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL"):
                self._db.execute(f"PRAGMA {pragma}")
            self._create()
        except OSError as error:
            raise StorageUnavailableError(f"state folder {path.parent}: {error.strerror}; free space") from error
        except sqlite3.Error as error:
            raise self._mapped(error) from error

    def _create(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        found = self._db.execute("PRAGMA user_version").fetchone()[0]
        if found > SCHEMA_VERSION:
            raise CheckpointError(
                f"checkpoint {self._path}: format {found}, expected at most {SCHEMA_VERSION}; start a newer mekiki"
            )
        self._db.execute("CREATE TABLE IF NOT EXISTS arrays(name TEXT PRIMARY KEY, dtype TEXT, shape TEXT, data BLOB)")
        self._db.execute("CREATE TABLE IF NOT EXISTS documents(name TEXT PRIMARY KEY, json TEXT)")
        self._db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        self._db.execute("COMMIT")

    def load(self) -> State | None:
        """The last state saved; None in a new file."""
        try:
            documents = dict(self._db.execute("SELECT name, json FROM documents"))
            if not documents:
                return None
            rows = list(self._db.execute("SELECT name, dtype, shape, data FROM arrays"))
            if documents.pop("digest") != _digest(rows, documents):
                raise ValueError("its bytes are not those that were saved")
            arrays = {
                name: np.frombuffer(data, dtype=np.dtype(dtype)).reshape(json.loads(shape)).copy()
                for name, dtype, shape, data in rows
            }
            offsets = [StoredOffset(**offset) for offset in json.loads(documents["offsets"])]
            return State(arrays, json.loads(documents["state"]), offsets)
        except sqlite3.Error as error:
            raise self._mapped(error) from error
        except (KeyError, ValueError, TypeError) as error:
            raise CheckpointError(f"checkpoint {self._path}: damaged ({error}); restore it from a backup") from error

    def save(self, state: State) -> None:
        """Replace the state; after return it survives a power cut."""
        documents = {
            "state": json.dumps(state.document, sort_keys=True),
            "offsets": json.dumps([asdict(offset) for offset in state.offsets]),
        }
        rows = [
            (name, array.dtype.str, json.dumps(array.shape), np.ascontiguousarray(array).tobytes())
            for name, array in state.arrays.items()
        ]
        documents["digest"] = _digest(rows, documents)
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("DELETE FROM arrays")
            self._db.executemany("INSERT INTO arrays VALUES (?, ?, ?, ?)", rows)
            self._db.executemany("INSERT OR REPLACE INTO documents VALUES (?, ?)", documents.items())
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise self._mapped(error) from error

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    def _mapped(self, error: sqlite3.Error) -> Exception:
        text = str(error)
        if "locked" in text:
            return ConfigurationError(
                f"state {self._path}: held by another worker; stop it or use another data directory"
            )
        if "full" in text:
            return StorageUnavailableError(f"state {self._path}: disk full; free some space")
        if "I/O" in text or "unable to open" in text or "readonly" in text:
            return StorageUnavailableError(f"state {self._path}: {text}; check disk and permissions")
        return CheckpointError(f"state {self._path}: {text}; restore it from a backup or remove it to learn again")


def _digest(rows: Sequence[tuple[str, str, str, bytes]], documents: dict[str, str]) -> str:
    """SQLite has no checksums of its own: a flipped bit would be learned from for ever."""
    digest = hashlib.sha256()
    for name, dtype, shape, data in sorted(rows):
        digest.update(f"{name}\0{dtype}\0{shape}\0{len(data)}\0".encode())
        digest.update(data)
    digest.update(json.dumps(documents, sort_keys=True).encode())
    return digest.hexdigest()
