"""Classifiers per tag are brought to a new version beside the one that serves.

In: snapshots with lessons, of which the newest counts. Out: each that was taken up, handed to a callback once its
classifiers were taught all its lessons. Replaying is slow, so it has a thread of its own: announcements go on being
followed, and the last version goes on serving.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from models.tagging.lessons import Lessons
from models.tagging.per_tag import Replay
from models.tagging.serving.snapshot import Snapshot

log = logging.getLogger(__name__)

SLOW_S = 10.0  # a replay that took longer is told at INFO

Task = tuple[Snapshot, Lessons, Callable[[Snapshot], None]]


class Replayer:
    """One replay at a time. Its thread is a daemon: nothing is lost when the process ends."""

    def __init__(self) -> None:
        self._replay = Replay()
        self._news = threading.Condition()
        self._waiting: Task | None = None
        self._busy = False
        self._thread: threading.Thread | None = None

    def voiced(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot with the classifiers that serve now; before the first replay they raise InfrastructureError."""
        return replace(snapshot, voices=self._replay)

    def put(self, snapshot: Snapshot, lessons: Lessons, serve: Callable[[Snapshot], None]) -> None:
        """Replay this version next, instead of any that still waits, and call `serve` with it on the thread."""
        with self._news:
            self._waiting = (snapshot, lessons, serve)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="lessons", daemon=True)
                self._thread.start()
            self._news.notify_all()

    def wait(self, timeout_s: float) -> bool:
        """Whether everything put so far was dealt with within that time."""
        with self._news:
            return self._news.wait_for(lambda: self._waiting is None and not self._busy, timeout_s)

    def _run(self) -> None:
        while True:
            snapshot, lessons, serve = self._next()
            started_s = time.monotonic()
            try:
                self._replay.advance(lessons)
                serve(self.voiced(snapshot))
            except Exception:  # whatever a foreign classifier may raise: the last version goes on serving
                log.exception("tagger version %s: its lessons could not be replayed", snapshot.version)
            took_s = time.monotonic() - started_s
            level = logging.INFO if took_s > SLOW_S else logging.DEBUG
            log.log(level, "tagger version %s: %s lessons, %.1f s to learn", snapshot.version, len(lessons), took_s)
            with self._news:
                self._busy = False
                self._news.notify_all()

    def _next(self) -> Task:
        with self._news:
            while (task := self._waiting) is None:
                self._news.wait()
            self._waiting, self._busy = None, True
            return task
