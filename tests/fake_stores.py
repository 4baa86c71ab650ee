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
    """See PictureStore: a dict. What is put or removed counts from `flush` on; the next `away` flushes fail.

    What was removed stays as None in what outlives the process.
    """

    def __init__(
        self, journal: Journal | None = None, names: dict[str, bytes | None] | None = None, away: int = 0
    ) -> None:
        self.names = {} if names is None else names  # what outlives the process
        self.away = away
        self._journal = journal or Journal()
        self._waiting: dict[str, bytes | None] = {}

    @property
    def kept(self) -> dict[str, bytes]:
        return {name: content for name, content in self.names.items() if content is not None}

    def uri(self, name: str) -> str:
        return f"memory://{name}"

    def put(self, content: bytes, name: str) -> None:
        self._waiting.setdefault(name, content)

    def remove(self, name: str) -> None:
        self._waiting[name] = None

    def get(self, name: str) -> bytes:
        content = self.names.get(name)
        if content is None:
            raise FileNotFoundError(name)
        return content

    def flush(self) -> None:
        if self.away:
            self.away -= 1
            raise StorageUnavailableError("pictures: away")
        waiting, self._waiting = self._waiting, {}
        for name, content in waiting.items():
            if content is None:
                self.names[name] = None
            else:
                self.names.setdefault(name, content)
        for what, gone in (("pictures", False), ("removed", True)):
            names = sorted(name for name, content in waiting.items() if (content is None) == gone)
            if names:
                self._journal.add(what, names)


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
