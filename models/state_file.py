"""Learned state on disk: one SQLite file that one process holds, changed in whole transactions.

In: facts (JSON) and named arrays, and what the owner keeps in tables of its own. Out: the same after a restart,
whatever killed the process in between. No pickle: arrays are raw little-endian numbers.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.errors import CheckpointError, MekikiError, StorageUnavailableError

Facts = dict[str, Any]
Arrays = dict[str, npt.NDArray[Any]]
Saved = tuple[Facts, Arrays]

BUSY_TIMEOUT_S = 1.0
PAGE_BYTES = 16_384  # an image row is 1.1 KB: fewer, larger pages commit four times faster than 4 KB ones
CACHE_KIB = 65_536
LOG_PAGES = 4_096  # 64 MB of write-ahead log before it is copied into the file: most pages change in every checkpoint
UNREADABLE = (KeyError, TypeError, ValueError)  # what reading a damaged file raises beside SQLite's errors
_TABLES = """
CREATE TABLE IF NOT EXISTS facts (only_row INTEGER PRIMARY KEY, json TEXT NOT NULL, digest TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS arrays (
    name TEXT PRIMARY KEY, dtype TEXT NOT NULL, shape TEXT NOT NULL, digest TEXT NOT NULL, data BLOB NOT NULL);
"""


class StateFile:
    """An open file; use it from one thread at a time.

    Attributes:
        path: where it is.
        database: the connection, for the owner's tables; call SQL within `errors()`.
    """

    def __init__(self, path: Path, *, format_number: int, tables: str = "") -> None:
        """Open or make the file, with the owner's `tables` (SQL).

        Raises:
            StorageUnavailableError: another process holds it, or the disk is full, away or read-only.
            CheckpointError: damaged, or of another format.
        """
        self.path = path
        with self.errors():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StorageUnavailableError(
                    f"state folder {path.parent}: expected one that can be made ({error.strerror}); free some space "
                    "or choose another"
                ) from error
            self.database = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
            try:
                self._prepare(format_number, tables)
            except BaseException:
                self.database.close()
                raise

    def _prepare(self, format_number: int, tables: str) -> None:
        pragmas = {
            "page_size": PAGE_BYTES,
            "locking_mode": "EXCLUSIVE",
            "journal_mode": "WAL",
            "synchronous": "FULL",
            "wal_autocheckpoint": LOG_PAGES,
            "cache_size": -CACHE_KIB,
        }
        for name, value in pragmas.items():
            self.database.execute(f"PRAGMA {name} = {value}")
        found = self.database.execute("PRAGMA user_version").fetchone()[0]
        if found not in (0, format_number):
            remedy = "install a newer mekiki" if found > format_number else "remove it to learn again from the log"
            raise CheckpointError(f"state {self.path} of format {found}: expected {format_number}; {remedy}")
        self.database.executescript(
            f"BEGIN IMMEDIATE; {_TABLES} {tables} PRAGMA user_version = {format_number}; COMMIT;"
        )

    @contextmanager
    def errors(self, *damage: type[Exception]) -> Iterator[None]:
        """Turn SQLite's errors into ours, and errors of the classes `damage` into CheckpointError."""
        try:
            yield
        except (MekikiError, sqlite3.ProgrammingError):  # the latter: called after close
            raise
        except sqlite3.Error as error:
            raise _mapped(self.path, error) from error
        except damage as error:
            raise _damaged(self.path, error) from error

    def load(self) -> Saved | None:
        """Facts and arrays as last written; None in a new file.

        Raises:
            CheckpointError: these are not the bytes that were written.
            StorageUnavailableError: the disk does not answer.
        """
        with self.errors(*UNREADABLE):
            found = self.database.execute("SELECT json, digest FROM facts").fetchone()
            if found is None:
                return None
            arrays: Arrays = {}
            digests = {}
            rows = self.database.execute("SELECT name, dtype, shape, digest, data FROM arrays")
            for name, dtype, shape, digest, data in rows:
                digests[name] = digest
                if _array_digest(dtype, shape, data) != digest:
                    raise ValueError(f"the bytes of array {name!r} are not those that were saved")
                arrays[name] = np.frombuffer(data, np.dtype(dtype)).reshape(json.loads(shape)).copy()
            if _digest(found[0], digests) != found[1]:
                raise ValueError("its facts are not those that were saved")
            facts: Facts = json.loads(found[0])
            return facts, arrays

    def save(self, facts: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Replace all facts and arrays in a transaction of its own; after return they survive a power cut.

        Raises:
            StorageUnavailableError: the disk is full or away; what was saved before is there still.
        """
        with self.errors():
            self.database.execute("BEGIN IMMEDIATE")
            try:
                self.write(facts, arrays)
                self.database.execute("COMMIT")
            finally:
                self.roll_back()

    def write(self, facts: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Replace all facts and arrays within the open transaction; an array that did not change is not written.

        Raises:
            sqlite3.Error: call it within `errors()`.
        """
        text = json.dumps(facts)
        rows = [(n, a.dtype.str, json.dumps(a.shape), np.ascontiguousarray(a).data) for n, a in arrays.items()]
        digests = {name: _array_digest(dtype, shape, data) for name, dtype, shape, data in rows}
        stored = dict(self.database.execute("SELECT name, digest FROM arrays"))
        changed = [(n, dtype, shape, digests[n], data) for n, dtype, shape, data in rows if digests[n] != stored.get(n)]
        gone = [(name,) for name in stored.keys() - digests.keys()]
        self.database.executemany("DELETE FROM arrays WHERE name = ?", gone)
        self.database.executemany("INSERT OR REPLACE INTO arrays VALUES (?, ?, ?, ?, ?)", changed)
        self.database.execute("INSERT OR REPLACE INTO facts VALUES (1, ?, ?)", (text, _digest(text, digests)))

    def roll_back(self) -> None:
        """End a transaction that was not committed, if there is one."""
        if self.database.in_transaction:
            self.database.execute("ROLLBACK")

    def close(self) -> None:
        """Release the file; what was not committed is forgotten."""
        with self.errors():
            self.roll_back()
            self.database.close()


def _array_digest(dtype: str, shape: str, data: bytes | memoryview) -> str:
    """SQLite has no checksums of its own: a flipped bit would be learned from for ever."""
    digest = hashlib.sha256(f"{dtype} {shape}".encode())
    digest.update(data)
    return digest.hexdigest()


def _digest(facts: str, of_arrays: Mapping[str, str]) -> str:
    digest = hashlib.sha256(facts.encode())
    for name, of_array in sorted(of_arrays.items()):
        digest.update(f"\0{name}\0{of_array}".encode())
    return digest.hexdigest()


def _mapped(path: Path, error: sqlite3.Error) -> MekikiError:
    """One error of ours for each of SQLite's."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # without the extended part
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StorageUnavailableError(
            f"state {path}: expected a file that no other process has open; the last worker may still be ending: "
            "wait for it, or stop it"
        )
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
        return StorageUnavailableError(
            f"state {path}: expected a disk with room that may be written ({error}); free some space or mend its "
            "permissions"
        )
    return _damaged(path, error)


def _damaged(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"state {path}: expected what was saved, it is damaged ({error}); restore it from a backup, or remove it to "
        "learn again from the log"
    )
