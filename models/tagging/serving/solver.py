"""Ridge weights of all tags, kept near the sums: which rows to solve now, and which in the background.

In: the sums as they are. Out: weights float32 [T, D] in chunks that versions share. Serving may solve whenever it
likes: nothing here flows back into what is learned.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

import numpy as np

from models.background import BackgroundThread
from models.tagging.arrays import Float32, Int64
from models.tagging.evidence.ridge import InverseGram, RidgeSettings, invert_gram, solve_rows
from models.tagging.memory.chunks import Chunks, CopyOnWrite
from models.tagging.memory.sufficient_statistics import SufficientStatistics

STALE = 0.05  # a row is solved again when its count moved by this share, everything when the images did
STALE_INVERSE = 0.3  # the Gram matrix is inverted again, and all rows solved, when it holds so many more images
PARTIAL = 10  # times as stale may be what a partial refresh leaves out
AT_ONCE = 4096  # rows solved within a call: 15 ms on two cores

Solved = tuple[InverseGram, Int64, Float32]  # the inverse, and for each row the count it was solved at and its weights


class RidgeSolver:
    """Called from the learner's thread only."""

    def __init__(self, statistics: SufficientStatistics, settings: RidgeSettings) -> None:
        self._statistics = statistics
        self._settings = settings
        self._weights = CopyOnWrite(Chunks.of(np.empty((0, statistics.dimension), np.float32)))
        self._solved: Int64 = np.empty(0, np.int64)  # counts at which each row was solved
        self._inverse: InverseGram | None = None
        self._background = BackgroundThread("tag-solve")
        self._running: Future[Solved] | None = None
        self._forgotten: list[int] = []  # rows given away since the solve under way began

    def weights(self) -> Chunks:
        """The present version of the weights."""
        return self._weights.freeze()

    def refresh(self, *, wait: bool, partial: bool) -> bool:
        """Bring rows up to date; returns whether any changed.

        Args:
            wait: all rows now, where otherwise many at once are solved on another thread and come with a later call.
            partial: only the rows that moved most: new tags and rare ones.
        """
        collected = self._collect(wait)
        return self._solve(wait, PARTIAL if partial else 1) or collected

    def forget(self, rows: Sequence[int]) -> None:
        """These rows will belong to other tags: what was solved for them counts no more, nor what is under way."""
        known = np.array([row for row in rows if row < len(self._solved)], np.int64)
        self._solved[known] = 0
        if self._running is not None:
            self._forgotten.extend(rows)

    def _solve(self, wait: bool, patience: int) -> bool:
        sums = self._statistics.sums
        counts = sums.counts
        self._weights.resize(len(counts))
        self._solved = np.concatenate([self._solved, np.zeros(len(counts) - len(self._solved), np.int64)])
        inverted_at = self._inverse.images if self._inverse is not None else 0
        if self._inverse is None or abs(sums.images - inverted_at) > patience * STALE_INVERSE * inverted_at:
            if wait or len(counts) <= AT_ONCE:
                self._inverse = self._inversion()()
                self._solved[:] = -1
            elif self._running is None:
                self._start()
        if self._inverse is None:
            self._inverse = self._inversion()()
        if self._running is not None:
            patience = PARTIAL  # all rows come in a moment
        moved = np.flatnonzero(np.abs(counts - self._solved) > patience * STALE * np.maximum(self._solved, 0))
        rows = moved if wait else moved[np.argsort(self._solved[moved], kind="stable")[:AT_ONCE]]
        if rows.size:
            present = self._inverse.around(sums.total.astype(np.float64), sums.images)
            self._weights.write(rows, solve_rows(present, sums.tags[rows], counts[rows], self._settings.backend))
            self._solved[rows] = counts[rows]
        return bool(rows.size)

    def _inversion(self) -> Callable[[], InverseGram]:
        """Inverts the sums as they are now, whenever it is called."""
        sums, settings = self._statistics.sums, self._settings
        gram, total = sums.gram.astype(np.float64), sums.total.astype(np.float64)
        return partial(invert_gram, gram, total, sums.images, settings.ridge_lambda, settings.backend)

    def _start(self) -> None:
        invert, sums, backend = self._inversion(), self._statistics.sums, self._settings.backend
        tags, counts = sums.tags.copy(), sums.counts.copy()

        def solve() -> Solved:
            inverse = invert()
            return inverse, counts, solve_rows(inverse, tags, counts, backend)

        self._forgotten.clear()
        self._running = self._background.submit(solve)

    def _collect(self, wait: bool) -> bool:
        if self._running is None or not (wait or self._running.done()):
            return False
        self._inverse, counts, weights = self._running.result()
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
        """For `copy.deepcopy`: without the solve under way, which the copy starts again."""
        return {**self.__dict__, "_running": None}

    def close(self) -> None:
        """End the background thread."""
        self._background.close()
