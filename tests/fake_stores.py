"""The stores of the ingest worker, in memory: they note what becomes durable, and are away when they are told to be."""

import threading
from collections.abc import Sequence
from typing import Any

from models.errors import IndexUnavailableError, StorageUnavailableError
from stream.index.contract import IndexRecord
from stream.index.qdrant import QdrantIndex
from stream.log.reading.positions import StoredOffset
from tests.fakes import Journal, local_index

FOR_EVER = 10**9  # calls that fail


class FakePictures:
    """See PictureStore: a dict. What is put or removed counts from `flush` on; the next `away` flushes fail."""

    def __init__(self, journal: Journal | None = None, kept: dict[str, bytes] | None = None, away: int = 0) -> None:
        self.kept = {} if kept is None else kept  # what outlives the process
        self.away = away
        self._journal = journal or Journal()
        self._waiting: dict[str, bytes | None] = {}

    def uri(self, sha256: str) -> str:
        return f"memory://{sha256}"

    def put(self, content: bytes, sha256: str) -> None:
        self._waiting[sha256] = content

    def remove(self, sha256: str) -> None:
        self._waiting[sha256] = None

    def get(self, sha256: str) -> bytes:
        if sha256 not in self.kept:
            raise FileNotFoundError(sha256)
        return self.kept[sha256]

    def flush(self) -> None:
        if self.away:
            self.away -= 1
            raise StorageUnavailableError("pictures: away")
        waiting, self._waiting = self._waiting, {}
        for sha256, content in waiting.items():
            if content is None:
                self.kept.pop(sha256, None)
            else:
                self.kept[sha256] = content
        if waiting:
            self._journal.add("pictures", sorted(waiting))


class FakeIndex:
    """A real index that notes every write as (image ids, offsets), its images before, and fails when it is told to.

    The next `away` calls that write, and those that read, fail. A write of more than `part` points is split as the
    Qdrant adapter splits it, offsets with the last part; `torn_after` so many parts of the next write it fails once.
    While `gate` is clear a write waits before it begins. Two may share one index, as two workers do.
    """

    def __init__(self, journal: Journal | None = None, shared: "FakeIndex | None" = None) -> None:
        self.real: QdrantIndex = shared.real if shared else local_index()
        self.lock = shared.lock if shared else threading.RLock()  # the local mode is for one thread at a time
        self.away = 0
        self.part: int | None = None
        self.torn_after: int | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.waiting = threading.Event()  # a write stands at the gate
        self._journal = journal or Journal()

    def __getattr__(self, name: str) -> Any:
        """All other calls go to the real one, one at a time, unless the index is away."""
        method = getattr(self.real, name)

        def ask(*arguments: Any, **named: Any) -> Any:
            self._check()
            with self.lock:
                return method(*arguments, **named)

        return ask

    def _check(self) -> None:
        if self.away:
            self.away -= 1
            raise IndexUnavailableError("index: away")

    def write(self, records: Sequence[IndexRecord], offsets: Sequence[StoredOffset]) -> None:
        """See VectorIndex.write."""
        if not self.gate.is_set():
            self.waiting.set()
            self.gate.wait()
        self._check()
        part = self.part or max(1, len(records))
        for number, start in enumerate(range(0, max(1, len(records)), part)):
            if number == self.torn_after:
                self.torn_after = None
                raise IndexUnavailableError("index: went away in the middle of a write")
            last = start + part >= len(records)
            self._write(records[start : start + part], offsets if last else ())

    def _write(self, records: Sequence[IndexRecord], offsets: Sequence[StoredOffset]) -> None:
        ids = [record.image_id for record in records]
        with self.lock:
            self.real.write(records, ())
        if ids:
            self._journal.add("images", ids)
        with self.lock:
            self.real.write((), offsets)
        self._journal.add("index", (ids, {(at.topic, at.partition): at.offset for at in offsets}))
