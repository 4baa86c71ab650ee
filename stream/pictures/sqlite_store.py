"""Inline pictures of a data directory, by name, in one SQLite file.

In: bytes with their name. Out: the same bytes. Raises StorageUnavailableError (disk full) and ConfigurationError (the
file is damaged). A picture is a few kilobytes: a file each costs an inode and two entries in folders, and on ext4 ten
times that for minutes after many files were deleted (docs/decisions/0015-pictures-in-one-file.md).
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.errors import ConfigurationError, StorageUnavailableError

PAGE_BYTES = 16_384  # most pictures of a kilobyte to ten fit on one
BUSY_TIMEOUT_S = 10.0  # another worker writes for milliseconds
SCHEMA = "CREATE TABLE IF NOT EXISTS named_pictures (name BLOB PRIMARY KEY, content BLOB) STRICT"  # NULL: removed
PUT = "INSERT INTO named_pictures VALUES (?, ?) ON CONFLICT DO NOTHING"
REMOVE = "INSERT INTO named_pictures VALUES (?, NULL) ON CONFLICT DO UPDATE SET content = NULL"


class PictureFile:
    """See PictureStore. Several processes may have it open; thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._waiting: dict[bytes, bytes | None] = {}  # what `flush` writes: content, or None for what goes
        self._database: sqlite3.Connection | None = None

    def uri(self, name: str) -> str:
        """See PictureStore.uri."""
        return f"{self._path.as_uri()}#{name}"

    def put(self, content: bytes, name: str) -> None:
        """See PictureStore.put."""
        self._waiting.setdefault(bytes.fromhex(name), content)

    def remove(self, name: str) -> None:
        """See PictureStore.remove."""
        self._waiting[bytes.fromhex(name)] = None

    def flush(self) -> None:
        """See PictureStore.flush; all of it or, where this raises, nothing yet."""
        if not self._waiting:
            return
        with self._lock, self._disk_errors():
            database = self._open()
            database.execute("BEGIN IMMEDIATE")
            for name, content in self._waiting.items():
                database.execute(*((REMOVE, (name,)) if content is None else (PUT, (name, content))))
            database.execute("COMMIT")
            if None in self._waiting.values():  # a deleted picture is to be gone: also from the log of writes
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._waiting.clear()

    def get(self, name: str) -> bytes:
        """See PictureStore.get."""
        with self._lock, self._disk_errors():
            if self._database is None and not self._path.exists():
                raise FileNotFoundError(name)
            asked = (bytes.fromhex(name),)
            found = self._open().execute("SELECT content FROM named_pictures WHERE name = ?", asked).fetchone()
        if found is None or found[0] is None:
            raise FileNotFoundError(name)
        return bytes(found[0])

    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StorageUnavailableError(f"pictures folder {self._path.parent}: {error.strerror}") from error
            database = sqlite3.connect(
                self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            for pragma in (f"page_size = {PAGE_BYTES}", "journal_mode = WAL", "synchronous = FULL"):
                database.execute(f"PRAGMA {pragma}")
            database.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten
            database.execute(SCHEMA)
            self._database = database
        return self._database

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if self._database is not None and self._database.in_transaction:
                self._database.rollback()
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                raise ConfigurationError(
                    f"pictures in {self._path}: damaged ({error}); restore the file, or move it away: pictures already "
                    "indexed are then found but not shown"
                ) from error
            what = "disk full; free some space" if code == sqlite3.SQLITE_FULL else f"{error}; free it or its folder"
            raise StorageUnavailableError(f"pictures in {self._path}: {what}") from error
