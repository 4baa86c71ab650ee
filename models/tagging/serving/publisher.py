"""From sums to snapshots: which rows to solve now, which in the background, and what to share with the last version.

Serving may solve whenever it likes: nothing here flows back into what is learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from models.tagging.arrays import Float32, Int64
from models.tagging.calibration.calibrators import Calibrators
from models.tagging.calibration.metrics import NOT_JUDGED, Progress
from models.tagging.calibration.prequential import PrequentialEvaluator
from models.tagging.calibration.thresholds import average_precisions, thresholds
from models.tagging.evidence.backend import Backend
from models.tagging.evidence.ridge import InverseGram, invert_gram, solve_rows
from models.tagging.memory.chunks import Chunks, CopyOnWrite
from models.tagging.memory.sufficient_statistics import SufficientStatistics
from models.tagging.operations import TagOperations
from models.tagging.serving.columns import Columns
from models.tagging.serving.snapshot import Snapshot

STALE = 0.05  # a row is solved again when its count moved by this share, everything when the images did
STALE_FACTOR = 0.3  # the Gram matrix is factorised again, and all rows solved, when it holds so many more images
QUICK = 10  # times as stale may be what is left out of a quick version
AT_ONCE = 4096  # rows solved within a call: 15 ms on two cores


class Publisher:
    """Makes snapshots of a learner; called from the learner's thread only."""

    def __init__(
        self,
        statistics: SufficientStatistics,
        operations: TagOperations,
        calibrators: Calibrators,
        progress: Progress,
        *,
        ridge_lambda: float,
        backend: Backend,
        start: Snapshot,
    ) -> None:
        self._operations = operations
        self._statistics = statistics
        self._calibrators = calibrators
        self._progress = progress
        self._lambda = ridge_lambda
        self._backend = backend
        self._last = start
        self._learned = -1  # records behind the last snapshot
        self._weights = CopyOnWrite(self._last.ridge)
        self._solved: Int64 = np.empty(0, np.int64)  # counts at which each row was solved
        self._factor: InverseGram | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._judged_at = -1  # images judged when what follows was computed
        self._quality = NOT_JUDGED
        self._ranks: tuple[Float32, Float32] = (np.empty(0, np.float32), np.empty(0, np.float32))
        self._forgotten: list[int] = []  # rows given away since the solve under way began
        self._running: Future[tuple[InverseGram, Int64, Float32]] | None = None

    def snapshot(self, learned: int, evaluator: PrequentialEvaluator, *, wait: bool, quick: bool) -> Snapshot:
        """The version after `learned` records; `wait` solves everything first instead of in the background.

        `quick` solves only the rows that moved most, and shows the running figures of the last version.
        """
        collected = self._collect(wait)
        solved = self._solve(wait, QUICK if quick else 1)
        judged = not quick and self._judged_at != self._progress.images
        if learned == self._learned and not (collected or solved or judged):
            return self._last
        self._learned = learned
        statistics, counts = self._statistics, self._statistics.sums.counts.copy()
        words = statistics.vocabulary.names
        limits, quality = self._judged(len(counts), anew=not quick)
        columns = Columns(
            counts=counts,
            first_seen=np.array(statistics.vocabulary.first_seen, np.int64),
            table=self._calibrators.array(len(counts)).astype(np.float32),
            thresholds=limits,
            quality=quality,
            drift=evaluator.drift.array(len(counts)),
            hidden=statistics.hidden(),
        )
        self._last = Snapshot(
            version=self._last.version + 1,
            images=statistics.sums.images,
            names=tuple(words),
            columns=columns,
            ridge=self._weights.freeze(),
            exemplars=statistics.exemplars.freeze(),
            metric=evaluator.metric,
            co_occurrence=evaluator.co_occurrence,
            implied=self._operations.implied(),
            aliases=tuple((words[row], statistics.mapping.of(row)) for row in statistics.merged()),
            neighbours=self._last.neighbours,
            quality=self._quality,
            operations=self._operations.rows(),
            backend=self._backend,
        )
        return self._last

    def expire(self) -> None:
        """Make the next snapshot a new version although no record was learned."""
        self._learned = -1

    def forget(self, rows: Sequence[int]) -> None:
        """These rows will belong to other tags: what was solved for them counts no more, nor what is under way."""
        known = np.array([row for row in rows if row < len(self._solved)], np.int64)
        self._solved[known] = 0
        if self._running is not None:
            self._forgotten.extend(rows)

    def _judged(self, rows: int, *, anew: bool) -> tuple[Float32, Float32]:
        """Thresholds and average precision of each tag; computed `anew` only after a sample was judged."""
        booked = self._progress.tags
        if (anew and self._judged_at != self._progress.images) or rows < len(self._ranks[0]):
            self._judged_at = self._progress.images
            precisions = average_precisions(booked)
            self._ranks = thresholds(booked), precisions.astype(np.float32)
            self._quality = self._progress.quality(self._statistics.counting(len(booked)), precisions)
        new = rows - len(self._ranks[0])
        if new > 0:  # tags not judged yet: the threshold of the average tag
            whole = booked.sum(axis=0, keepdims=True)
            average = thresholds(np.concatenate([whole, np.zeros_like(whole)]))[1:]
            self._ranks = (
                np.concatenate([self._ranks[0], np.repeat(average, new)]),
                np.concatenate([self._ranks[1], np.full(new, np.nan, np.float32)]),
            )
        return self._ranks[0][:rows], self._ranks[1][:rows]

    def _solve(self, wait: bool, patience: int) -> bool:
        sums = self._statistics.sums
        counts = sums.counts
        self._weights.resize(len(counts))
        self._solved = np.concatenate([self._solved, np.zeros(len(counts) - len(self._solved), np.int64)])
        solved_with = self._factor.images if self._factor is not None else 0
        if self._factor is None or abs(sums.images - solved_with) > patience * STALE_FACTOR * solved_with:
            if wait or len(counts) <= AT_ONCE:
                self._factor = self._new_factor()
                self._solved[:] = -1
            elif self._running is None:
                self._start()
        if self._factor is None:
            self._factor = self._new_factor()
        if self._running is not None:
            patience = QUICK  # all rows come in a moment
        moved = np.flatnonzero(np.abs(counts - self._solved) > patience * STALE * np.maximum(self._solved, 0))
        rows = moved if wait else moved[np.argsort(self._solved[moved], kind="stable")[:AT_ONCE]]
        if rows.size:
            present = self._factor.around(sums.total.astype(np.float64), sums.images)
            self._weights.write(rows, solve_rows(present, sums.tags[rows], counts[rows], self._backend))
            self._solved[rows] = counts[rows]
        return bool(rows.size)

    def _new_factor(self) -> InverseGram:
        sums = self._statistics.sums
        gram, total = sums.gram.astype(np.float64), sums.total.astype(np.float64)
        return invert_gram(gram, total, sums.images, self._lambda, self._backend)

    def _start(self) -> None:
        sums = self._statistics.sums
        gram, total, images = sums.gram.astype(np.float64), sums.total.astype(np.float64), sums.images
        tags, counts = sums.tags.copy(), sums.counts.copy()

        def solve() -> tuple[InverseGram, Int64, Float32]:
            factor = invert_gram(gram, total, images, self._lambda, self._backend)
            return factor, counts, solve_rows(factor, tags, counts, self._backend)

        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="tag-solve")
        self._forgotten.clear()
        self._running = self._thread.submit(solve)

    def _collect(self, wait: bool) -> bool:
        if self._running is None or not (wait or self._running.done()):
            return False
        self._factor, counts, weights = self._running.result()
        self._running = None
        self._solved[: len(counts)] = counts
        self._solved[[row for row in self._forgotten if row < len(self._solved)]] = 0
        self._forgotten.clear()
        fresh = CopyOnWrite(Chunks.of(weights))
        fresh.resize(len(self._solved))
        newer = np.arange(len(counts), len(self._solved))
        if newer.size:
            fresh.write(newer, self._weights.freeze().take(newer))
        self._weights = fresh
        return True

    def __getstate__(self) -> dict[str, Any]:
        """For `copy.deepcopy`: without the thread, whose solve the copy starts again."""
        return {**self.__dict__, "_thread": None, "_running": None}

    def close(self) -> None:
        """Stop the background thread, if there is one."""
        if self._thread is not None:
            self._thread.shutdown(wait=True)
            self._thread = None
