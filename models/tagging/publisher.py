"""From what was learned to snapshots: each is put together of the present parts and shares with the last what it can.

In: the learner's parts. Out: immutable versions. Nothing here flows back into what is learned.
"""

from dataclasses import dataclass

import numpy as np

from models.tagging.calibration.figures import TagFigures
from models.tagging.calibration.prequential import PrequentialEvaluator
from models.tagging.memory.implications import Pair
from models.tagging.memory.mapping import NOTHING
from models.tagging.memory.sufficient_statistics import SufficientStatistics
from models.tagging.operations import TagOperations
from models.tagging.serving.columns import Columns
from models.tagging.serving.snapshot import Snapshot
from models.tagging.serving.solver import RidgeSolver


@dataclass(eq=False)
class Publisher:
    """Makes snapshots of a learner; called from the learner's thread only.

    Attributes:
        statistics: of the learner.
        operations: on its tags.
        evaluator: of its predictions.
        solver: of its ridge weights.
        last: the version that was made last.
        learned: records behind that one.
    """

    statistics: SufficientStatistics
    operations: TagOperations
    evaluator: PrequentialEvaluator
    solver: RidgeSolver
    last: Snapshot
    learned: int = -1

    def __post_init__(self) -> None:
        self._figures = TagFigures(self.statistics, self.evaluator.metrics)

    def snapshot(self, learned: int, *, wait: bool, partial: bool) -> Snapshot:
        """The version after `learned` records: the last one again when nothing has changed.

        Args:
            learned: records.
            wait: solve everything first instead of in the background.
            partial: solve only the rows that moved most, and show the running metrics of the last version.
        """
        solved = self.solver.refresh(wait=wait, partial=partial)
        evaluated = not partial and self._figures.is_stale
        if learned == self.learned and not (solved or evaluated):
            return self.last
        if evaluated:
            self._figures.make()
        self.learned = learned
        self.last = self._made()
        return self.last

    def _made(self) -> Snapshot:
        statistics, evaluator = self.statistics, self.evaluator
        names = statistics.vocabulary.names
        implied = self.operations.implied()
        columns = self._columns(implied)
        return Snapshot(
            version=self.last.version + 1,
            images=statistics.sums.images,
            names=tuple(names),
            columns=columns,
            ridge=self.solver.weights(),
            exemplars=statistics.exemplars.freeze(),
            metric=evaluator.metric,
            co_occurrence=evaluator.co_occurrence,
            implied=implied,
            aliases=tuple((names[row], target) for row, target in sorted(statistics.mapping) if target != NOTHING),
            neighbours=self.last.neighbours,
            quality=self._figures.quality,
            operations=self.operations.rows(),
        )

    def _columns(self, implied: tuple[Pair, ...]) -> Columns:
        statistics, evaluator = self.statistics, self.evaluator
        counts = statistics.sums.counts.copy()
        thresholds, quality = self._figures.of(len(counts))
        return Columns(
            counts=counts,
            carried=counts + statistics.implied_counts(implied),
            first_seen=np.array(statistics.vocabulary.first_seen, np.int64),
            table=evaluator.calibrators.array(len(counts)).astype(np.float32),
            thresholds=thresholds,
            quality=quality,
            drift=evaluator.drift.array(len(counts)),
            hidden=statistics.hidden(),
        )
