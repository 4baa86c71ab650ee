"""Any river classifier, one per tag, on the embedding itself: slow, and exact to river.

The default learner calibrates evidence that all tags share, which is fast. With another classifier named by import path
the evidence still finds candidates for a tag, but each probability is what that tag's own river classifier says, taught
one-vs-rest: every lesson (lessons.py) goes to every tag known then as `learn_one({0: x0, 1: x1, ...}, tag in tags)`.
What river would say after the same calls by hand is what these say, to the bit. They cannot unlearn.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import threading
from collections.abc import Hashable, Sequence
from itertools import groupby
from typing import Any, Protocol

import numpy as np
from river.base import Classifier
from river.linear_model import LogisticRegression

from models.errors import ConfigurationError, InfrastructureError
from models.tagging.arrays import Float32, Float64, Int64
from models.tagging.lessons import COPIES, RESTS, Lessons, Step

DEFAULT = "river.linear_model.LogisticRegression"
SEED = 20  # of classifiers that draw: a replay must draw the same
BLOCK = 64  # lessons taught to one tag before the next tag: what it weighs stays in the cache; 3 MB of dicts


def per_tag(path: str) -> bool:
    """Whether this import path means a classifier per tag on the embedding, and not the default calibrators.

    Raises:
        ConfigurationError: it is not a river classifier that needs no arguments.
    """
    if path == DEFAULT:
        return False
    new_classifier(path)
    return _class_at(path) is not LogisticRegression


def new_classifier(path: str) -> Classifier:
    """An untaught classifier; one that draws random numbers gets a fixed seed.

    Raises:
        ConfigurationError: it is not a river classifier that needs no arguments.
    """
    kind = _class_at(path)
    try:
        seeded = {"seed": SEED} if "seed" in inspect.signature(kind).parameters else {}
        made: Classifier = kind(**seeded)
    except (TypeError, ValueError) as error:
        raise _refused(path, str(error)) from error
    return made


def _class_at(path: str) -> type[Classifier]:
    module, _, name = path.rpartition(".")
    try:
        kind = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise _refused(path, str(error)) from error
    if not (isinstance(kind, type) and issubclass(kind, Classifier)):
        raise _refused(path, "this is none")
    return kind


def _refused(path: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"classifier {path!r}: expected the import path of a river classifier that needs no arguments ({why}); "
        f"choose another, or {DEFAULT}, the fast default"
    )


def chance(model: Classifier, x: dict[Hashable, Any]) -> float:
    """Probability of True; 1.0 or 0.0 of a classifier that only says which."""
    if type(model).predict_proba_one is Classifier.predict_proba_one:
        return 1.0 if model.predict_one(x) else 0.0
    return float(model.predict_proba_one(x).get(True, 0.0))


def features(vector: Float32) -> dict[Hashable, Any]:
    """A unit vector [D] as the classifiers see it."""
    return dict(enumerate(vector.tolist()))


class Voices(Protocol):
    """Whatever says how probable tags are."""

    def chances(self, vectors: Float32, rows: Sequence[int]) -> Float64:
        """Probabilities [B, K] of the tags `rows` [K] for unit vectors [B, D] on the fixed-point grid."""


def spoken(voices: Voices, vectors: Float32, rows: Sequence[int], silent: Int64) -> Float64:
    """Probabilities [B, K] of the tags `rows`, without asking for those that are not served: theirs is 0."""
    unserved = set(silent.tolist())
    columns = [column for column, row in enumerate(rows) if row not in unserved]
    found = np.zeros((len(vectors), len(rows)))
    found[:, columns] = voices.chances(vectors, [rows[column] for column in columns])
    return found


def best_spoken(names: Sequence[str], chances: Float64, limit: int) -> list[tuple[str, float]]:
    """The `limit` most probable tags of one image [T], best first, ties in order of first use; impossible ones not."""
    best = np.argsort(-chances, kind="stable")[:limit]
    return [(names[row], float(chances[row])) for row in best if chances[row] > 0]


class Classifiers:
    """One river classifier per tag, at one step of the lessons. One thread teaches while nobody asks."""

    def __init__(self, classifier: str, dimension: int) -> None:
        self.learned = Lessons.none(classifier, dimension)
        self._models: dict[int, Classifier] = {}
        self._resting: frozenset[int] = frozenset()

    @classmethod
    def of(cls, lessons: Lessons) -> Classifiers:
        """Taught all of these."""
        made = cls(lessons.classifier, lessons.vectors.empty.shape[1])
        made.advance(lessons)
        return made

    def advance(self, lessons: Lessons) -> None:
        """Learn the steps that are new; those known must be the beginning of `lessons`."""
        for start in range(len(self.learned), len(lessons), BLOCK):
            steps = lessons.steps(start, min(start + BLOCK, len(lessons)))
            for taught, group in groupby(steps, key=lambda step: step.known >= 0):
                if taught:
                    self._teach(list(group))
                else:
                    for step in group:
                        self._operate(step)
        self.learned = lessons

    def chances(self, vectors: Float32, rows: Sequence[int]) -> Float64:
        """See `Voices`; a tag that was never taught has probability 0."""
        result = np.zeros((len(vectors), len(rows)))
        models = [self._models.get(row) for row in rows]
        for index, vector in enumerate(vectors):
            x = features(vector)
            result[index] = [0.0 if model is None else chance(model, x) for model in models]
        return result

    def _teach(self, lessons: Sequence[Step]) -> None:
        """Tag by tag, which comes to the same: no classifier hears of another."""
        shown = [(features(lesson.vector), frozenset(lesson.rows), lesson.known) for lesson in lessons]
        for row in range(max(known for _, _, known in shown)):
            if row in self._resting:
                continue
            model = self._models.get(row)
            if model is None:
                model = self._models[row] = new_classifier(self.learned.classifier)
            for x, rows, known in shown:
                if row < known:
                    model.learn_one(x, row in rows)

    def _operate(self, step: Step) -> None:
        if step.known == RESTS:
            self._resting = frozenset(step.rows)
        elif step.known == COPIES:
            source, target = step.rows
            if source in self._models:
                self._models[target] = copy.deepcopy(self._models[source])
        else:
            for row in step.rows:
                self._models.pop(row, None)


class Replay:
    """Classifiers for serving. While one set answers another learns what is new; then the two change places.

    So the version that serves keeps answering, and exactly; each lesson is learned twice. Copying instead would cost
    some classifiers of river the time of a thousand lessons. Whoever still holds an older version is answered by the
    set that serves now. One thread advances, any may ask.
    """

    def __init__(self) -> None:
        self._serving: Classifiers | None = None
        self._other: Classifiers | None = None
        self._lock = threading.Lock()

    def advance(self, lessons: Lessons) -> None:
        """Learn the new steps beside what serves, then serve them; what does not extend it is learned from nothing."""
        serving, other = self._serving, self._other
        self._other = None  # should learning fail, it would be worth nothing
        if serving is None or not lessons.extends(serving.learned):
            serving, other = None, Classifiers.of(lessons)
        else:
            other = copy.deepcopy(serving) if other is None else other
            other.advance(lessons)
        with self._lock:  # nobody asks the old set any more once this is held
            self._serving = other
        self._other = serving

    def chances(self, vectors: Float32, rows: Sequence[int]) -> Float64:
        """See `Voices`.

        Raises:
            InfrastructureError: the first version is still being learned.
        """
        found = np.zeros((len(vectors), len(rows)))
        for index in range(len(vectors)):
            with self._lock:
                if self._serving is None:
                    raise InfrastructureError(
                        "tag probabilities: the lessons are still being replayed; ask again later"
                    )
                found[index] = self._serving.chances(vectors[index : index + 1], rows)[0]
        return found
