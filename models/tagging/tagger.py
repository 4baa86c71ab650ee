"""The tag learner: a river estimator whose state is a function of the log it was fed.

Sums follow every example at once. Float work that learning depends on (calibrators, running evaluation) happens where
the schedule cuts the log, so that neither batch sizes nor restarts change a bit of it. One thread learns and takes
snapshots; snapshots may be used from any.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from river.base import MultiLabelClassifier
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from models.errors import UsageError
from models.quantise import quantise
from models.tagging.arrays import Float32
from models.tagging.calibrate import Calibrators, classifier_of
from models.tagging.examples import Example, Surgery
from models.tagging.images import SCHEMA, ImageMemory
from models.tagging.judge import Judge
from models.tagging.ledger import Ledger
from models.tagging.neighbours import NEIGHBOURS
from models.tagging.progress import Progress, Quality
from models.tagging.publish import Publisher
from models.tagging.reference import REFERENCE_SIZE
from models.tagging.schedule import sample_left, until_next_sample
from models.tagging.snapshot import Snapshot
from models.tagging.solve import RIDGE_LAMBDA
from models.tagging.surgery import Surgeon

GENERATION = 1_000_000  # versions of snapshots that a process may use up before it is started again
NEW_NAMES = ("merge", "rename", "alias")  # operations that let one tag go on under another name
MAX_RUN = 8192  # examples booked at once: 8 MB of vectors


@cache
def _blas() -> ThreadpoolController:
    """Learning keeps BLAS to one thread: its bits then do not depend on the number of cores.

    Its many small products also do not wait for each other's threads; on a busy machine that took four times the work
    itself. A second core is busy anyway, with the sums beside the image memory.
    """
    return ThreadpoolController()


class Tagger(MultiLabelClassifier):
    """Learns tens of thousands of tags over one embedding space.

    Args:
        dimension: numbers in an embedding.
        ridge_lambda: λ of the ridge regression, for unit vectors.
        neighbours: labelled images that give evidence.
        reference_size: labelled images kept to look neighbours up among.
        classifier: import path of the river classifier that calibrates each tag.
    """

    def __init__(
        self,
        dimension: int = 512,
        ridge_lambda: float = RIDGE_LAMBDA,
        neighbours: int = NEIGHBOURS,
        reference_size: int = REFERENCE_SIZE,
        classifier: str = "river.linear_model.LogisticRegression",
    ) -> None:
        self.dimension = dimension
        self.ridge_lambda = ridge_lambda
        self.neighbours = neighbours
        self.reference_size = reference_size
        self.classifier = classifier
        database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        database.executescript(SCHEMA)
        self.learned = 0
        self.next_position = 0
        self.pending: list[str] = []
        self.attach(ImageMemory(database))

    def attach(self, memory: ImageMemory, generation: int = 0) -> None:
        """Start from nothing with this image memory; the store calls it before it restores the rest.

        `generation` keeps versions of snapshots growing across restarts.
        """
        self.ledger = Ledger(self.dimension, memory, self.reference_size)
        self.surgeon = Surgeon(self.ledger)
        self.calibrators = Calibrators(classifier_of(self.classifier))
        self.progress = Progress()
        self.judge = Judge(
            self.ledger, self.calibrators, self.progress, ridge_lambda=self.ridge_lambda, k=self.neighbours
        )
        start = Snapshot.empty(self.dimension, self.neighbours, version=generation * GENERATION)
        parts = (self.ledger, self.surgeon, self.calibrators, self.progress)
        self._publisher = Publisher(*parts, ridge_lambda=self.ridge_lambda, start=start)
        self._features: dict[Any, int] = {}

    def learn_many(self, examples: Sequence[Example | Surgery], position: int | Sequence[int]) -> int:
        """Learn records of the log; those below `next_position` were learned before and are left out.

        Args:
            examples: in log order.
            position: log offset of the first, the others following it, or the offset of each.

        Returns:
            How many were new.

        Raises:
            PolicyError: a tag that cannot be one; records of the batch before it may have been learned.
            EncoderMismatchError: a vector of another dimension.
        """
        offsets = range(position, position + len(examples)) if isinstance(position, int) else position
        first = next((i for i, offset in enumerate(offsets) if offset >= self.next_position), len(examples))
        with _blas().limit(limits=1, user_api="blas"):
            self._learn_from(examples, offsets, first)
        return len(examples) - first

    def _learn_from(self, examples: Sequence[Example | Surgery], offsets: Sequence[int], done: int) -> None:
        while done < len(examples):
            run = self._run(examples, done)
            self._learn_run(examples[done : done + run], offsets[done])
            done += run
            self.next_position = offsets[done - 1] + 1

    def _run(self, examples: Sequence[Example | Surgery], start: int) -> int:
        """How many records from `start` on can be booked together."""
        longest = sample_left(self.learned) or min(until_next_sample(self.learned), MAX_RUN)
        if isinstance(examples[start], Surgery):
            return 1
        stop = min(len(examples), start + longest)
        return next((i for i in range(start, stop) if isinstance(examples[i], Surgery)), stop) - start

    def _learn_run(self, records: Sequence[Example | Surgery], position: int) -> None:
        left = sample_left(self.learned)
        examples = [record for record in records if isinstance(record, Example)]
        for record in records:
            if isinstance(record, Surgery):
                self._operate(record, position)
        if examples:
            self.ledger.apply(examples, position)
        self.learned += len(records)
        if left:
            self.pending.extend(example.image_id for example in examples)
            if left == len(records):
                self.judge.judge(self.pending, self.learned)
                self.judge.refit(self.learned)
                self.pending = []

    def _operate(self, surgery: Surgery, position: int) -> None:
        undone = self.surgeon.operations.get(surgery.target)
        operation = self.surgeon.operate(surgery, position)
        if operation.kind in NEW_NAMES and operation.created and operation.outcome == "done":
            # a new name starts with what is known of the most used tag it came from
            source = max(operation.rows, key=lambda row: (self.progress.booked(row), -row))
            self.calibrators.copy(source, operation.target)
            self.progress.copy(source, operation.target)
        if operation.kind == "undo" and operation.outcome == "done" and undone is not None and undone.created:
            self.calibrators.drop(undone.target)
            self.progress.drop(undone.target)

    def rewind(self, position: int = 0) -> None:
        """A new log begins at `position`; what was learned stays. For a broker that keeps nothing across restarts."""
        self.next_position = position

    def snapshot(self, wait: bool = False) -> Snapshot:
        """The present version for serving: the last one again when nothing has changed.

        `wait` solves everything first, where otherwise a thread does it later.
        """
        return self._publisher.snapshot(self.learned, self.judge.metric, wait)

    def quality(self) -> Quality:
        """Running prequential figures."""
        rows = [row for row in range(len(self.progress.tags)) if self.ledger.effective(row) == row]
        return self.progress.quality(np.array(rows, np.int64))

    def learn_one(self, x: Mapping[Any, float], y: Mapping[Any, bool]) -> None:
        """Learn one complete example; see river.base.MultiLabelClassifier. Vectors are scaled to length 1."""
        tags = tuple(str(tag) for tag, present in y.items() if present)
        vector = self._vector(x, grow=True)
        example = Example(f"anonymous {self.learned}", quantise(vector[None])[0], tags, complete=True)
        for tag in y:
            self.ledger.vocabulary.row(str(tag), self.next_position)
        self.learn_many([example], self.next_position)

    def predict_proba_one(self, x: Mapping[Any, float], **_: Any) -> dict[Any, dict[bool, float]]:
        """Calibrated probability of every tag."""
        snapshot = self.snapshot(wait=True)
        chances = snapshot.probabilities(self._vector(x, grow=False)[None])[0]
        return {name: {False: 1.0 - float(p), True: float(p)} for name, p in zip(snapshot.names, chances, strict=True)}

    def _vector(self, x: Mapping[Any, float], grow: bool) -> Float32:
        vector = np.zeros(self.dimension)
        for name, value in x.items():
            index = self._features.get(name)
            if index is None and grow:
                index = self._features[name] = len(self._features)
            if index is None:
                continue
            if index >= self.dimension:
                raise UsageError(f"feature {name!r}: expected at most {self.dimension} features; raise `dimension`")
            vector[index] = value
        length = float(np.linalg.norm(vector))
        if length == 0:
            vector[0] = length = 1.0
        return (vector / length).astype(np.float32)
