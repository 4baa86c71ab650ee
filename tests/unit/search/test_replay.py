"""A version whose classifiers must be taught first: the last one answers meanwhile, and exactly."""

import threading
from pathlib import Path

import numpy as np
import pytest
from river.naive_bayes import GaussianNB

from models.errors import InfrastructureError
from models.quantise import quantise
from models.tagging.examples import Example
from models.tagging.per_tag import Classifiers, Replay
from models.tagging.tagger import Tagger
from search.served import ServedModels
from stream.environment import load_settings
from stream.events.schema import ModelPublished
from stream.log.model_versions import ModelPublisher
from tests.fakes import D, FakeWriter, unit

WAIT_S = 30.0  # the longest a test waits for a thread; a failure, not a pause
EXAMPLES = [Example(f"i{n}", quantise(unit(n)[None])[0], ("cat", f"tag {n % 4}")) for n in range(60)]
QUERIES = np.stack([unit(n) for n in range(100, 110)])


class Gated(GaussianNB):
    """Learns only while the gate is open."""

    gate = threading.Event()
    begun = threading.Event()

    def learn_one(self, x, y):
        Gated.begun.set()
        assert Gated.gate.wait(WAIT_S)
        super().learn_one(x, y)


class Fussy(GaussianNB):
    """Cannot learn one of the images."""

    def learn_one(self, x, y):
        if x[0] == float(unit(30)[0]):
            raise ArithmeticError("not this one")
        super().learn_one(x, y)


class Learner:
    """A tagger whose versions are published as the tags worker does."""

    def __init__(self, tmp_path: Path, classifier: type) -> None:
        self.tagger = Tagger(dimension=D, classifier=f"{classifier.__module__}.{classifier.__qualname__}")
        self.base, self.learned = None, 0
        self._writer = FakeWriter()
        self._publisher = ModelPublisher(load_settings({}, data_dir=tmp_path), "tagger", self._writer)

    def publish(self, count: int) -> ModelPublished:
        """Learn the next examples and announce what came of it: the first whole, the others as deltas."""
        self.tagger.learn_many(EXAMPLES[self.learned : self.learned + count], self.learned)
        self.learned += count
        snapshot = self.tagger.snapshot(wait=True)
        if self.base is None:
            self.base = snapshot
            self._publisher.publish(snapshot.version, snapshot.encoded(), [])
        else:
            self._publisher.publish(snapshot.version, snapshot.delta(self.base), [], "delta")
        return self._writer.events[-1]

    def chances(self):
        """What the learner's own classifiers say now."""
        return self.tagger.snapshot(wait=True).chances(QUERIES)


@pytest.fixture(autouse=True)
def gate():
    Gated.gate.set()
    Gated.begun.clear()
    yield Gated.gate
    Gated.gate.set()


def test_each_version_says_what_the_learner_says(tmp_path):
    learner, served = Learner(tmp_path, GaussianNB), ServedModels()
    for count in (10, 5, 1, 20):
        event = learner.publish(count)
        served.take(event)
        assert served.replayer.wait(WAIT_S)
        assert served.tagger.version == event.version
        assert np.array_equal(served.tagger.chances(QUERIES), learner.chances())
    assert served.offsets["tagger"] == event.offsets


def test_the_old_version_answers_while_the_new_one_is_taught_and_the_newest_is_next(tmp_path, gate):
    learner, served = Learner(tmp_path, Gated), ServedModels()
    served.take(learner.publish(10))
    assert served.replayer.wait(WAIT_S)
    old, before = served.tagger, learner.chances()
    events = [learner.publish(5) for _ in range(3)]
    gate.clear()
    Gated.begun.clear()
    served.take(events[0])
    assert Gated.begun.wait(WAIT_S)
    for event in events[1:]:
        served.take(event)
    assert served.tagger is old
    assert np.array_equal(served.tagger.chances(QUERIES), before)
    gate.set()
    assert served.replayer.wait(WAIT_S)
    assert served.tagger.version == events[2].version
    assert np.array_equal(served.tagger.chances(QUERIES), learner.chances())
    assert np.array_equal(old.chances(QUERIES)[:, 0], learner.chances()[:, 0])  # by whoever serves now


def test_before_the_first_replay_names_are_known_and_probabilities_are_asked_for_later(tmp_path, gate):
    learner, served = Learner(tmp_path, Gated), ServedModels()
    event = learner.publish(10)
    gate.clear()
    served.take(event)
    assert "cat" in [row.name for row in served.tagger.tags()]
    with pytest.raises(InfrastructureError, match="ask again later"):
        served.tagger.predict(QUERIES[:1])
    gate.set()
    assert served.replayer.wait(WAIT_S)
    assert served.tagger.predict(QUERIES[:1])[0]


def test_a_classifier_that_fails_leaves_the_last_version_serving(tmp_path, caplog):
    learner, served = Learner(tmp_path, Fussy), ServedModels()
    served.take(learner.publish(30))
    assert served.replayer.wait(WAIT_S)
    old = served.tagger
    served.take(learner.publish(10))
    assert served.replayer.wait(WAIT_S)
    assert served.tagger is old
    assert "could not be replayed" in caplog.text


def test_another_log_is_learned_from_nothing():
    logs = []
    for examples in (EXAMPLES[:20], EXAMPLES[20:]):
        tagger = Tagger(dimension=D, classifier="river.naive_bayes.GaussianNB")
        tagger.learn_many(examples, 0)
        logs.append(tagger.snapshot(wait=True).lessons)
    replay = Replay()
    for lessons in (*logs, *logs):
        replay.advance(lessons)
        rows = range(5)
        assert np.array_equal(replay.chances(QUERIES, rows), Classifiers.of(lessons).chances(QUERIES, rows))
