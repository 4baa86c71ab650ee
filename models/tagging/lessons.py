"""What a classifier per tag was taught, step by step: a version of such classifiers is its lessons.

Any river classifier can be had again by teaching a new one the same lessons, to the bit and without pickle. The learner
writes a lesson for every example that leaves its image labelled: the vector, the tags that the image then counts for,
and how many tags were known. Operations on tags are steps between the lessons. The log grows by about a kilobyte a
lesson, in memory and in every full snapshot, and is never shortened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from models.quantise import dequantise
from models.tagging.arrays import Float32, Int16, Int64
from models.tagging.memory.chunks import CHUNK, Array, Chunks, CopyOnWrite

RESTS = -1  # from here on exactly these tags are not taught: they are merged into others, or forgotten
COPIES = -2  # (source, target): the target goes on with what the source was taught
DROPS = -3  # these tags begin anew
PARTS = ("vectors", "known", "ends", "rows")


class Step(NamedTuple):
    """One step.

    Attributes:
        known: for a lesson how many tags are taught, rows 0 .. known - 1; otherwise RESTS, COPIES or DROPS.
        rows: for a lesson the tags that are true.
        codes: for a lesson the quantised vector [D]; otherwise zeros.
    """

    known: int
    rows: tuple[int, ...]
    codes: Int16

    @property
    def vector(self) -> Float32:
        """The unit vector [D]."""
        return dequantise(self.codes)


@dataclass(frozen=True, eq=False)
class Lessons:
    """The steps up to one version, immutable.

    Attributes:
        classifier: import path of the river classifier that is taught.
        vectors: quantised, int16 [N, D].
        known: see `Step`, int32 [N].
        ends: where each step's part of `rows` ends, int64 [N].
        rows: of all steps, one after another, int32 [M].
    """

    classifier: str
    vectors: Chunks
    known: Chunks
    ends: Chunks
    rows: Chunks

    @classmethod
    def none(cls, classifier: str, dimension: int) -> Lessons:
        """No steps yet."""
        shapes = (
            np.empty((0, dimension), np.int16),
            np.empty(0, np.int32),
            np.empty(0, np.int64),
            np.empty(0, np.int32),
        )
        return cls(classifier, *(Chunks.of(shape) for shape in shapes))

    def __len__(self) -> int:
        return len(self.known)

    def steps(self, start: int, stop: int) -> list[Step]:
        """Steps `start` .. `stop` - 1."""
        if start >= stop:
            return []
        numbers = np.arange(start, stop)
        ends = self.ends.take(numbers)
        first = int(self.ends.take(np.array([start - 1]))[0]) if start else 0
        rows = self.rows.take(np.arange(first, ends[-1]))
        parts = np.split(rows, ends[:-1] - first)
        known, vectors = self.known.take(numbers).tolist(), self.vectors.take(numbers)
        return [Step(k, tuple(part.tolist()), codes) for k, part, codes in zip(known, parts, vectors, strict=True)]

    def extends(self, older: Lessons) -> bool:
        """Whether these are the older steps and those after them."""
        pairs = [(getattr(self, part), getattr(older, part)) for part in PARTS]
        return self.classifier == older.classifier and all(_extends(new, old) for new, old in pairs)

    def digest(self) -> bytes:
        """SHA-256 over every step."""
        parts = [getattr(self, part).whole().tobytes() for part in PARTS]
        return hashlib.sha256(self.classifier.encode() + b"".join(parts)).digest()

    def encode(self, old: Lessons | None, tensors: dict[str, Array]) -> dict[str, Any]:
        """Add what is new since `old` to the tensors of a delta; returns the facts that go with them."""
        since = Lessons.none(self.classifier, self.vectors.empty.shape[1])
        if old is not None and old.classifier == self.classifier:
            since = old
        for part in PARTS:
            chunks: Chunks = getattr(self, part)
            rows = chunks.changed(getattr(since, part))
            tensors[f"lessons.{part}.rows"] = rows
            tensors[f"lessons.{part}.values"] = chunks.take(rows)
        return {"classifier": self.classifier, **{part: len(getattr(self, part)) for part in PARTS}}

    @classmethod
    def decode(cls, old: Lessons | None, tensors: dict[str, Array], facts: dict[str, Any], dimension: int) -> Lessons:
        """What `encode` meant."""
        since = old if old is not None and old.classifier == facts["classifier"] else None
        base = since or cls.none(facts["classifier"], dimension)
        parts = {
            part: getattr(base, part).replaced(
                tensors[f"lessons.{part}.rows"], tensors[f"lessons.{part}.values"], facts[part]
            )
            for part in PARTS
        }
        return cls(facts["classifier"], **parts)


def _extends(new: Chunks, old: Chunks) -> bool:
    return len(new) >= len(old) and bool((new.changed(old) >= len(old)).all())


class LessonLog:
    """The growing log of the learner; one thread."""

    def __init__(self, classifier: str, dimension: int) -> None:
        start = Lessons.none(classifier, dimension)
        self.saved = 0  # steps that the store has
        self._classifier = classifier
        self._vectors, self._known, self._ends, self._rows = (CopyOnWrite(getattr(start, part)) for part in PARTS)
        self._no_vector: Int16 = np.zeros(dimension, np.int16)
        self._waiting: list[Step] = []
        self._resting: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self._known) + len(self._waiting)

    def teach(self, codes: Int16, rows: Sequence[int], known: int) -> None:
        """A lesson: the image with this vector carries `rows` and no other of the `known` tags."""
        self.extend([Step(known, tuple(rows), codes)])

    def rest(self, rows: Int64) -> None:
        """From here on these tags, ascending, are not taught, and all others are."""
        if (resting := tuple(rows.tolist())) != self._resting:
            self.extend([Step(RESTS, resting, self._no_vector)])

    def copy(self, source: int, target: int) -> None:
        """Let a tag go on with what another was taught."""
        self.extend([Step(COPIES, (source, target), self._no_vector)])

    def drop(self, row: int) -> None:
        """Let a tag begin anew."""
        self.extend([Step(DROPS, (row,), self._no_vector)])

    def extend(self, steps: Iterable[Step]) -> None:
        """Append steps as they are."""
        for step in steps:
            self._waiting.append(step)
            if step.known == RESTS:
                self._resting = step.rows
            if len(self._waiting) >= CHUNK:
                self._write()

    def freeze(self) -> Lessons:
        """The steps so far."""
        self._write()
        parts = (self._vectors, self._known, self._ends, self._rows)
        return Lessons(self._classifier, *(part.freeze() for part in parts))

    def _write(self) -> None:
        steps, self._waiting = self._waiting, []
        if not steps:
            return
        rows = np.array([row for step in steps for row in step.rows], np.int32)
        ends = len(self._rows) + np.cumsum([len(step.rows) for step in steps])
        known = np.array([step.known for step in steps], np.int32)
        for part, values in (
            (self._vectors, np.stack([step.codes for step in steps])),
            (self._known, known),
            (self._ends, ends),
            (self._rows, rows),
        ):
            start = len(part)
            part.resize(start + len(values))
            part.write(np.arange(start, start + len(values)), values)
