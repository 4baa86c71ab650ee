"""Commits to Kafka what is durable already: lag tools read it, nobody else.

In: offsets that reached the state. Out: at most one commit a second, since each costs the broker and us a message.
"""

import queue
import time
from collections.abc import Sequence
from typing import Protocol

from stream.log.reading.positions import StoredOffset

EVERY_S = 1.0  # between two commits


class Committing(Protocol):
    """What is needed of stream.log.reading.consume.LogReader."""

    def commit_offsets(self, offsets: Sequence[StoredOffset], *, wait: bool = False) -> None:
        """Commit offsets to Kafka."""


class OffsetCommitter:
    """`add` from any thread, `commit` from the reader's."""

    def __init__(self, reader: Committing) -> None:
        self._reader = reader
        self._added: queue.SimpleQueue[Sequence[StoredOffset]] = queue.SimpleQueue()
        self._uncommitted: dict[tuple[str, int], StoredOffset] = {}
        self._committed_s = 0.0

    def add(self, offsets: Sequence[StoredOffset]) -> None:
        """These are durable."""
        self._added.put(offsets)

    def commit(self, *, now: bool = False, wait: bool = False) -> None:
        """Commit the newest offset of each partition if it is time, or `now`; `wait` for the broker's answer."""
        while not self._added.empty():
            self._uncommitted |= {(at.topic, at.partition): at for at in self._added.get()}
        now_s = time.monotonic()
        if self._uncommitted and (now or now_s - self._committed_s >= EVERY_S):
            self._reader.commit_offsets(list(self._uncommitted.values()), wait=wait)
            self._uncommitted.clear()
            self._committed_s = now_s
