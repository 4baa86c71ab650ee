"""A river classifier per tag: to the bit what river says when it is taught the same lessons by hand."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from river.base import Classifier
from river.linear_model import LogisticRegression, PAClassifier
from river.naive_bayes import GaussianNB
from river.tree import HoeffdingTreeClassifier

from models.errors import CheckpointError, ConfigurationError
from models.quantise import dequantise, quantise
from models.tagging.examples import Example, Surgery
from models.tagging.lessons import RESTS, LessonLog, Lessons
from models.tagging.per_tag import Classifiers
from models.tagging.serving.snapshot import Snapshot
from models.tagging.state import digest
from models.tagging.store import TaggerStore
from models.tagging.tagger import Tagger

DIMENSION = 8
PA = "river.linear_model.PAClassifier"
TREE = "river.tree.HoeffdingTreeClassifier"
BAYES = "river.naive_bayes.GaussianNB"


class Decided(Classifier):
    """Says yes or no, and no probability: whether the first number was above its mean when the tag was there."""

    def __init__(self) -> None:
        self.sum, self.count = 0.0, 0

    def learn_one(self, x: dict[Any, Any], y: Any) -> None:
        if y:
            self.sum, self.count = self.sum + x[0], self.count + 1

    def predict_one(self, x: dict[Any, Any], **_: Any) -> bool:
        return self.count > 0 and x[0] > self.sum / self.count


class OwnLogistic(LogisticRegression):
    """Not the default, so it learns the embedding itself."""


KINDS: dict[str, type] = {
    PA: PAClassifier, TREE: HoeffdingTreeClassifier, BAYES: GaussianNB, f"{__name__}.Decided": Decided,
}  # fmt: skip


class Cautious(GaussianNB):
    """Needs an argument."""

    def __init__(self, caution: float) -> None:
        super().__init__()
        self.caution = caution


def learner(classifier: str = PA) -> Tagger:
    return Tagger(dimension=DIMENSION, neighbours=3, reference_size=50, classifier=classifier)


def images(seed: int, count: int, tags: int = 5) -> list[Example]:
    """Images whose tags follow from their vectors; further tags turn up as the log goes on."""
    random = np.random.default_rng(seed)
    points = random.standard_normal((count, DIMENSION)).astype(np.float32)
    codes = quantise(points / np.linalg.norm(points, axis=1, keepdims=True))
    return [
        Example(f"{seed}/{i}", codes[i], tuple(f"tag {t}" for t in range(min(tags, 1 + i // 10)) if points[i, t] > 0.3),
                complete=True)
        for i in range(count)
    ]  # fmt: skip


def features(codes: np.ndarray) -> dict[int, float]:
    return dict(enumerate(dequantise(codes).tolist()))


def says(model: Any, x: dict[int, float]) -> float:
    if isinstance(model, Decided):
        return 1.0 if model.predict_one(x) else 0.0
    return float(model.predict_proba_one(x).get(True, 0.0))


def by_hand(log: Iterable[Example], kind: type) -> dict[str, Any]:
    """A plain dict of classifiers, told the whole tag list of each image that an example leaves labelled."""
    models: dict[str, Any] = {}
    carried: dict[str, tuple[np.ndarray | None, set[str], bool]] = {}
    for example in log:
        if example.deleted:
            carried.pop(example.image_id, None)
            continue
        vector, tags, complete = carried.get(example.image_id, (None, set(), False))
        complete = complete if example.complete is None else example.complete
        vector = vector if example.vector is None else example.vector
        tags = (tags | set(example.added)) - set(example.removed)
        carried[example.image_id] = (vector, tags, complete)
        for tag in example.added:
            models.setdefault(tag, kind())
        if vector is not None and (tags or complete):
            for tag, model in models.items():
                model.learn_one(features(vector), tag in tags)
    return models


def assert_same(tagger: Tagger, models: dict[str, Any], queries: Sequence[Example]) -> None:
    """The learner, the snapshot and the classifiers taught by hand agree to the bit."""
    snapshot = tagger.snapshot(wait=True)
    vectors = np.stack([dequantise(query.vector) for query in queries if query.vector is not None])
    exact, rounded = snapshot.chances(vectors), snapshot.probabilities(vectors)
    for index, vector in enumerate(vectors):
        told = tagger.predict_proba_one(dict(enumerate(vector.tolist())))
        for tag, model in models.items():
            expected = says(model, dict(enumerate(vector.tolist())))
            assert exact[index, snapshot.row(tag)] == expected
            assert rounded[index, snapshot.row(tag)] == np.float32(expected)
            assert told[tag] == {False: 1.0 - expected, True: expected}
            assert snapshot.score(tag, vectors[index : index + 1])[0] == np.float32(expected)
        ranked = dict(snapshot.predict(vectors[index : index + 1], 100)[0])
        assert ranked == {tag: told[tag][True] for tag in models if told[tag][True] > 0}


@pytest.mark.parametrize("path", list(KINDS))
def test_equals_river_taught_by_hand(path: str) -> None:
    tagger, log = learner(path), images(0, 120)
    tagger.learn_many(log, 0)
    tagger._features.update({number: number for number in range(DIMENSION)})  # the order in which features came
    models = by_hand(log, KINDS[path])
    assert len(models) == 5
    assert_same(tagger, models, images(1, 20))


def test_tags_put_on_taken_off_and_deleted_images_are_as_documented() -> None:
    tagger = learner(BAYES)
    first, rest = images(2, 60)[:10], images(2, 60)[10:]
    log = [
        *first,
        Example("2/3", added=("late",)),
        Example("2/4", removed=("tag 0",)),
        Example("2/5", deleted=True),
        Example("2/6", vector=rest[0].vector),
        Example("no vector yet", added=("tag 1", "odd")),
        *rest,
        Example("2/7", added=("tag 2",), removed=("tag 0", "never used")),
    ]
    tagger.learn_many(log, 0)
    tagger._features.update({number: number for number in range(DIMENSION)})
    models = by_hand(log, GaussianNB)
    assert "odd" in models
    models.pop("odd")  # no labelled image carries it: it is not served
    assert_same(tagger, models, images(1, 10))


def test_the_learner_and_its_classifiers_follow_from_the_log_whatever_batches_and_restarts(tmp_path: Path) -> None:
    log = [*images(3, 50), Surgery("s", "rename", ("tag 1",), "one"), *images(4, 150)]
    whole = learner()
    whole.learn_many(log, 0)
    position, path = 0, tmp_path / "tags.db"
    for step in (1, 30, 25, 2, len(log)):
        store = TaggerStore(path, learner())
        tagger, _ = store.open()
        tagger.learn_many(log[position : position + step], position)
        position = min(position + step, len(log))
        store.checkpoint({})
        tagger.learn_many(images(9, 5), position)  # not checkpointed: forgotten with the process
        store.close()
    store = TaggerStore(path, learner())
    tagger, _ = store.open()
    assert digest(tagger) == digest(whole)
    queries = np.stack([dequantise(query.vector) for query in images(5, 20) if query.vector is not None])
    assert np.array_equal(tagger.snapshot(True).chances(queries), whole.snapshot(True).chances(queries))
    store.close()


def test_missing_lessons_are_noticed(tmp_path: Path) -> None:
    store = TaggerStore(tmp_path / "tags.db", learner())
    tagger, _ = store.open()
    tagger.learn_many(images(3, 20), 0)
    store.checkpoint({})
    store._open.execute("DELETE FROM lessons WHERE number = 7")
    store._open.execute("COMMIT")
    store.close()
    with pytest.raises(CheckpointError, match="19 lessons, not 20"):
        TaggerStore(tmp_path / "tags.db", learner()).open()


def test_snapshots_carry_their_lessons_whole_and_in_deltas(tmp_path: Path) -> None:
    tagger = learner(TREE)
    tagger.learn_many(images(6, 1100), 0)  # more lessons than one chunk holds
    base = tagger.snapshot(wait=True)
    base.save(tmp_path / "base.safetensors")
    served = Snapshot.load(tmp_path / "base.safetensors")
    queries = np.stack([dequantise(query.vector) for query in images(5, 20) if query.vector is not None])
    assert served.fingerprint() == base.fingerprint()
    assert np.array_equal(served.chances(queries), base.chances(queries))
    tagger.learn_many(images(7, 30), 1100)
    new = tagger.snapshot(wait=True)
    data = new.delta(base)
    assert len(data) < len(new.delta(Snapshot.empty(DIMENSION, 3))) / 3
    after = served.apply(data)
    assert after.fingerprint() == new.fingerprint()
    assert np.array_equal(after.chances(queries), new.chances(queries))
    assert after.lessons is not None
    assert served.lessons is not None
    assert after.lessons.extends(served.lessons)
    assert not served.lessons.extends(after.lessons)
    assert not after.lessons.extends(Lessons.none(PA, DIMENSION))


def test_a_merge_does_not_teach_again_and_what_was_merged_away_rests() -> None:
    tagger, (before, during, after) = learner(BAYES), (images(8, 40), images(9, 40), images(10, 40))
    log = [*before, Surgery("m", "merge", ("tag 1",), "tag 0"), *during, Surgery("u", "undo", target="m"), *after]
    tagger.learn_many(log, 0)
    tagger._features.update({number: number for number in range(DIMENSION)})
    merged = [
        Example(e.image_id, e.vector, tuple({"tag 0" if tag == "tag 1" else tag for tag in e.added}), complete=True)
        for e in during
    ]
    models = by_hand(before, GaussianNB)
    one = models.pop("tag 1")
    for example in merged:
        for tag in example.added:
            models.setdefault(tag, GaussianNB())
        for tag, model in models.items():
            model.learn_one(features(example.vector), tag in example.added)
    models["tag 1"] = one
    for example in after:
        for tag in example.added:
            models.setdefault(tag, GaussianNB())
        for tag, model in models.items():
            model.learn_one(features(example.vector), tag in example.added)
    assert_same(tagger, models, images(1, 10))


def test_a_renamed_tag_goes_on_and_an_undone_name_begins_anew() -> None:
    tagger, start = learner(BAYES), images(11, 40)
    tagger.learn_many([*start, Surgery("r", "rename", ("tag 1",), "uno")], 0)
    snapshot = tagger.snapshot(wait=True)
    x = dequantise(start[0].vector)[None]
    expected = says(by_hand(start, GaussianNB)["tag 1"], features(start[0].vector))
    assert snapshot.chances(x)[0, snapshot.row("uno")] == expected
    tagger.learn_many([Surgery("u", "undo", target="r"), *(late := images(12, 30))], 41)
    tagger.learn_many([Example("12/0", added=("uno",)), *images(13, 30)], 72)
    snapshot = tagger.snapshot(wait=True)
    fresh = GaussianNB()
    for example in [*late, Example("12/0", late[0].vector, ("uno",)), *images(13, 30)]:
        fresh.learn_one(features(example.vector), "uno" in example.added)
    assert snapshot.chances(x)[0, snapshot.row("uno")] == says(fresh, features(start[0].vector))


def test_a_repeated_operation_copies_nothing_again() -> None:
    once, twice = learner(BAYES), learner(BAYES)
    rename = Surgery("r", "rename", ("tag 1",), "uno")
    late = [Example(f"late {e.image_id}", e.vector, ("uno",)) for e in images(12, 10)]
    once.learn_many([*images(11, 40), rename, *late], 0)
    twice.learn_many([*images(11, 40), rename, *late, rename], 0)
    queries = np.stack([dequantise(query.vector) for query in images(5, 20) if query.vector is not None])
    assert np.array_equal(once.snapshot(True).chances(queries), twice.snapshot(True).chances(queries))
    assert np.array_equal(once.progress.tags, twice.progress.tags)


def test_forgotten_tags_rest_and_implied_ones_are_at_least_as_probable() -> None:
    tagger = learner(BAYES)
    log = [*images(14, 50), Surgery("f", "forget", ("tag 2",)), Surgery("i", "imply", ("tag 0",), "tag 1")]
    tagger.learn_many(log, 0)
    snapshot = tagger.snapshot(wait=True)
    assert snapshot.lessons is not None
    (last,) = snapshot.lessons.steps(50, 51)
    assert (last.known, last.rows) == (RESTS, (2,))
    queries = np.stack([dequantise(query.vector) for query in images(5, 20) if query.vector is not None])
    chances = snapshot.chances(queries)
    assert (chances[:, 2] == 0).all()
    assert (chances[:, 1] >= chances[:, 0]).all()
    assert np.array_equal(snapshot.score("tag 1", queries), chances[:, 1].astype(np.float32))


def test_a_flood_of_tags_is_not_parked() -> None:
    tagger = Tagger(dimension=DIMENSION, neighbours=3, reference_size=50, classifier=PA, max_tags=100)
    flood = [Example(f"i{n}", images(0, 1)[0].vector, (f"tag {n}",)) for n in range(8192)]
    tagger.ledger.lessons = None  # teaching 8,192 tags is not what is tested
    tagger.learn_many(flood, 0)
    assert len(tagger.parking) == 0


def test_a_copy_of_the_learner_learns_the_same() -> None:
    tagger = learner()
    tagger.learn_many(images(0, 30), 0)
    tagger.predict_proba_one({0: 1.0})
    twin = copy.deepcopy(tagger)
    for one in (tagger, twin):
        one.learn_many(images(1, 30), 30)
    assert digest(twin) == digest(tagger)
    assert twin.predict_proba_one({0: 1.0}) == tagger.predict_proba_one({0: 1.0})


def test_the_default_keeps_no_lessons() -> None:
    tagger = Tagger(dimension=DIMENSION)
    tagger.learn_many(images(0, 30), 0)
    assert tagger.snapshot(wait=True).lessons is None


def test_a_subclass_of_the_default_learns_the_embedding_itself() -> None:
    assert learner(f"{__name__}.OwnLogistic").snapshot().lessons is not None
    assert learner("river.linear_model.log_reg.LogisticRegression").snapshot().lessons is None


def test_a_classifier_that_draws_has_a_fixed_seed() -> None:
    taught = [learner("river.forest.AMFClassifier") for _ in range(2)]
    for tagger in taught:
        tagger.learn_many(images(0, 30), 0)
    query = dequantise(images(5, 1)[0].vector)[None]
    one, other = (tagger.snapshot(wait=True).chances(query) for tagger in taught)
    assert np.array_equal(one, other)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("PAClassifier", "Empty module name"),
        ("no.such.Module", "No module named"),
        ("river.linear_model.NoSuch", "NoSuch"),
        ("river.linear_model.PARegressor", "this is none"),
        ("river.metrics", "this is none"),
        ("river.base.Classifier", "abstract"),
        (f"{__name__}.Cautious", "caution"),
    ],
)
def test_what_is_no_classifier_is_refused_in_one_sentence(path: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why) as refused:
        learner(path)
    assert path in str(refused.value)
    assert "expected the import path of a river classifier" in str(refused.value)


@pytest.mark.parametrize("tags", [100, 1000])
def test_how_many_images_a_second(tags: int) -> None:
    """Printed with `pytest -s`, in processor time of one core; every tag hears of every image."""
    random = np.random.default_rng(0)
    points = random.standard_normal((2000 // tags + 14, 512)).astype(np.float32)
    codes = quantise(points / np.linalg.norm(points, axis=1, keepdims=True))
    log = LessonLog(PA, 512)
    for image in codes:
        log.teach(image, sorted(set(random.integers(0, tags, 5).tolist())), tags)
    start_s = time.thread_time()
    classifiers = Classifiers.of(log.freeze())
    learned_s = time.thread_time() - start_s
    chances = classifiers.chances(dequantise(codes[:1]), range(tags))
    predicted_s = time.thread_time() - start_s - learned_s
    print(
        f"\n{PA}, {tags} tags: {len(codes) / learned_s:.0f} images/s learned, {predicted_s * 1000:.0f} ms a prediction"
    )
    assert chances.shape == (1, tags)
