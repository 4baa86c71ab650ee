"""The tag learner: a river estimator whose state is a function of the log it was fed.

Sums follow every example at once. Float work that learning depends on (calibrators, running evaluation) happens where
the schedule cuts the log, so that neither batch sizes nor restarts change a bit of it. One thread learns and takes
snapshots; snapshots may be used from any.
"""

import contextlib
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from river.base import MultiLabelClassifier

from models.blas import one_blas_thread
from models.errors import PolicyError, StateLostError, UsageError
from models.quantise import quantise
from models.tagging.calibration.calibrators import Calibrators
from models.tagging.calibration.classifiers import DEFAULT, Classifiers
from models.tagging.calibration.drift import Drifted
from models.tagging.calibration.metrics import PrequentialMetrics, Quality
from models.tagging.calibration.prequential import PrequentialEvaluator
from models.tagging.calibration.schedule import Schedule
from models.tagging.evidence.backend import BackendName, load_backend
from models.tagging.evidence.neighbours import NEIGHBOURS
from models.tagging.evidence.ridge import RIDGE_LAMBDA, RidgeSettings
from models.tagging.examples import Example, TagOperation
from models.tagging.features import FeatureIndex
from models.tagging.memory.cold_tags import EVERY, SCHEMA, ColdTags
from models.tagging.memory.exemplars import MAX_EXEMPLARS
from models.tagging.memory.images import ImageMemory
from models.tagging.memory.sufficient_statistics import SufficientStatistics
from models.tagging.operations import TagOperations
from models.tagging.publisher import Publisher
from models.tagging.serving.predictor import Predictor
from models.tagging.serving.snapshot import Snapshot
from models.tagging.serving.solver import RidgeSolver

VERSIONS = 1_000_000  # of snapshots, that a process may use up before it is started again
NEW_NAMES = ("merge", "rename", "alias")  # operations that let one tag go on under another name
MAX_TAGS = 100_000
MAX_RUN = 8192  # examples learned at once: 8 MB of vectors


@dataclass(eq=False, repr=False)
class Tagger(MultiLabelClassifier):
    """Learns tens of thousands of tags over one embedding space.

    Args:
        dimension: numbers in an embedding.
        ridge_lambda: λ of the ridge regression, for unit vectors.
        neighbours: labelled images that give evidence.
        max_exemplars: labelled images kept to look neighbours up among.
        classifier: import path of the river classifier of each tag, see calibration/classifiers.py.
        max_tags: tags kept in memory, 7 KB each; beyond, rare ones wait on disk (cold_tags.py).
        backend: `numpy`, `torch`, or `auto`: torch where there is a GPU. The bits of what is learned are its own.
    """

    dimension: int = 512
    ridge_lambda: float = RIDGE_LAMBDA
    neighbours: int = NEIGHBOURS
    max_exemplars: int = MAX_EXEMPLARS
    classifier: str = DEFAULT
    max_tags: int = MAX_TAGS
    backend: BackendName = "auto"

    def __post_init__(self) -> None:
        self.learned = self.next_position = 0
        self.pending: list[str] = []
        self.attach(ImageMemory.in_memory(SCHEMA))

    def attach(self, memory: ImageMemory, opened: int = 0) -> None:
        """Start from nothing with this image memory; the store calls it before it restores everything else.

        `opened`, how often the store was, keeps versions of snapshots growing across restarts.
        """
        self.lost = False  # the disk failed inside a transaction: what is here and what is there differ
        self.statistics = SufficientStatistics(self.dimension, memory, self.max_exemplars)
        self.operations = TagOperations(self.statistics)
        self.cold_tags = ColdTags(self.statistics, self.max_tags)
        self.calibrators = Calibrators(Classifiers(self.classifier))
        self.metrics = PrequentialMetrics()
        self.schedule = Schedule()
        ridge = RidgeSettings(self.ridge_lambda, load_backend(self.backend))
        self.evaluator = PrequentialEvaluator(self.statistics, self.calibrators, self.metrics, ridge, self.neighbours)
        start = Snapshot.empty(self.dimension, self.neighbours, version=opened * VERSIONS)
        self._solver = RidgeSolver(self.statistics, ridge)
        self._publisher = Publisher(self.statistics, self.operations, self.evaluator, self._solver, start)
        self._predictor = Predictor(start, ridge.backend)
        self._features = FeatureIndex(self.dimension)
        self._drifts: list[tuple[str, Drifted]] = []

    def close(self) -> None:
        """End the learner's threads; one that is used again afterwards starts them again."""
        self.statistics.close()
        self.evaluator.close()
        self._solver.close()

    def learn_many(self, examples: Sequence[Example | TagOperation], position: int | Sequence[int]) -> int:
        """Learn records of the log; those below `next_position` were learned before and are left out.

        Args:
            examples: in log order.
            position: log offset of the first, the others following it, or the offset of each.

        Returns:
            How many were new.

        Raises:
            PolicyError: a tag that cannot be one; records of the batch before it may have been learned.
            EncoderMismatchError: a vector of another dimension.
            StateLostError: the disk that holds the images failed; this learner is good for nothing more.
        """
        if self.lost:
            raise StateLostError("learner: lost its disk before; start again, it goes on from the last checkpoint")
        offsets = range(position, position + len(examples)) if isinstance(position, int) else position
        first = next((i for i, offset in enumerate(offsets) if offset >= self.next_position), len(examples))
        try:
            with one_blas_thread():  # a second core is busy anyway, with the sums beside the image memory
                done = first
                while done < len(examples):
                    run = self._run(examples, done)
                    self._learn_run(examples[done : done + run], offsets[done])
                    done += run
                    self.next_position = offsets[done - 1] + 1
        except sqlite3.Error as error:
            self.lost = True
            raise StateLostError(
                f"learned images: expected a disk that takes and gives them, {error}; free some space and start again, "
                "it goes on from the last checkpoint"
            ) from error
        return len(examples) - first

    def _run(self, examples: Sequence[Example | TagOperation], start: int) -> int:
        """How many records from `start` on can be learned together; the first may begin a block."""
        times_ms: list[int] = []
        for record in examples[start : start + min(MAX_RUN, EVERY - self.learned % EVERY)]:
            if isinstance(record, TagOperation):
                break
            times_ms.append(record.time_ms)
        if times_ms:
            return self.schedule.together(self.learned, times_ms)
        self.schedule.enter(self.learned, 0)
        return 1

    def _learn_run(self, records: Sequence[Example | TagOperation], position: int) -> None:
        left = self.schedule.sample_left(self.learned)
        examples = [
            self.operations.behind_splits(record) if record.revoked else record
            for record in records
            if isinstance(record, Example)
        ]
        for record in records:
            if isinstance(record, TagOperation):
                self._operate(record, position)
        if examples:
            self.cold_tags.apply(examples, position)
        self.learned += len(records)
        if left:
            self.pending.extend(example.image_id for example in examples)
            if left == len(records):
                self.evaluator.evaluate(self.pending, self.learned)
                self.evaluator.refit(self.learned)
                names = self.statistics.vocabulary.names  # now: a row may be given to another tag later
                self._drifts += [(names[drifted.row], drifted) for drifted in self.evaluator.drift.take_noticed()]
                self.pending = []
        if self.learned % EVERY == 0:
            rows = self.cold_tags.evict(self.operations.named())
            self.evaluator.drop(rows)
            self._solver.forget(rows)

    def _operate(self, asked: TagOperation, position: int) -> None:
        if asked.operation_id in self.operations.by_id:
            return  # repeated: what was copied then must not be copied over what was learned since
        with contextlib.suppress(PolicyError):  # a name that cannot be one is refused below
            self.cold_tags.restore_named(text for text in (*asked.tags, asked.into) if text)
        undone = self.operations.by_id.get(asked.target)
        operation = self.operations.apply(asked, position)
        if operation.kind in NEW_NAMES and operation.created and operation.outcome == "done":
            self.evaluator.inherit(operation.rows, operation.target)
        if operation.kind == "undo" and operation.outcome == "done" and undone is not None and undone.created:
            self.evaluator.forget(undone.target)

    def absorb(self, shard: "Tagger") -> None:
        """Add what another learner knows: the sums are those of one that learned everything both did, to the bit.

        An image that both know carries the tags of both. Calibrators and running figures depend on the order of the
        log and stay as they are here.

        Raises:
            UsageError: the shard had operations on tags, which are a matter of the whole; operate after absorbing.
            EncoderMismatchError: vectors of another dimension.
        """
        if shard.operations.by_id:
            raise UsageError("shard with operations on tags: expected none; absorb first, then operate on the whole")
        shard.cold_tags.restore_named(list(shard.cold_tags.sums()))
        names = shard.statistics.vocabulary.names
        for states in shard.statistics.memory.batches():
            self.cold_tags.apply([state.example(names) for state in states], self.next_position)
        self._publisher.learned = -1  # the next snapshot is a new version although no record was learned

    def snapshot(self, wait: bool = False, *, partial: bool = False) -> Snapshot:
        """The present version for serving: the last one again when nothing has changed.

        `wait` solves everything first, where otherwise a thread does it later. `partial` brings only those tags up to
        date that changed much: new ones, and rare ones.
        """
        return self._publisher.snapshot(self.learned, wait=wait, partial=partial)

    def predictor(self) -> Predictor:
        """What predicts with all that is known now; everything is solved first."""
        snapshot = self.snapshot(wait=True)
        if self._predictor.snapshot is not snapshot:
            self._predictor = Predictor(snapshot, before=self._predictor)
        return self._predictor

    def quality(self) -> Quality:
        """Running prequential figures."""
        return self.metrics.quality(self.statistics.counting(len(self.metrics.histograms)))

    def take_drifts(self) -> list[tuple[str, Drifted]]:
        """Tags whose progressive loss rose since the last call, with their names."""
        drifts, self._drifts = self._drifts, []
        return drifts

    def learn_one(self, x: Mapping[Any, float], y: Mapping[Any, bool]) -> None:
        """Learn one complete example; see river.base.MultiLabelClassifier. Vectors are scaled to length 1."""
        tags = tuple(str(tag) for tag, present in y.items() if present)
        self._features.learn(x)
        vector = quantise(self._features.vector(x)[None])[0]
        example = Example(f"anonymous {self.learned}", vector, tags, complete=True)
        self.cold_tags.restore_named(map(str, y))
        for tag in y:
            self.statistics.vocabulary.row(str(tag), self.next_position)
        self.learn_many([example], self.next_position)

    def predict_proba_one(self, x: Mapping[Any, float], **_: Any) -> dict[Any, dict[bool, float]]:
        """Calibrated probability of every tag."""
        predictor = self.predictor()
        snapshot = predictor.snapshot
        probabilities = predictor.probabilities(self._features.vector(x)[None])[0]
        named = zip(snapshot.names, probabilities, snapshot.columns.hidden, strict=True)
        return {name: {False: 1.0 - float(p), True: float(p)} for name, p, hidden in named if not hidden}
