"""Snapshots: what is served equals river and written-out arithmetic, and a delta leads to the same version."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.errors import CheckpointError, NotFoundError
from models.quantise import SCALE, dequantise, quantise
from models.tagging.calibration.calibrators import features_of
from models.tagging.evidence.derived import ExemplarCache
from models.tagging.evidence.kriging import kriging_weights
from models.tagging.evidence.neighbours import nearest, nearest_by_bits
from models.tagging.examples import Example, TagOperation
from models.tagging.memory.chunks import CHUNK, Chunks
from models.tagging.serving.snapshot import Snapshot
from models.tagging.tagger import Tagger

DIMENSION = 16


def images(seed: int, count: int, tags: int) -> list[Example]:
    """Images that carry tag t when they look like centre t."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((tags, DIMENSION))
    points = random.standard_normal((count, DIMENSION)) + centres[random.integers(0, tags, count)]
    codes = quantise((points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32))
    near = np.argsort(-points @ centres.T, axis=1)[:, :2]
    return [Example(f"{seed}/{i}", codes[i], tuple(f"tag {t}" for t in near[i])) for i in range(count)]


def learner(count: int = 400, tags: int = 12) -> Tagger:
    tagger = Tagger(dimension=DIMENSION, neighbours=8, max_exemplars=2 * CHUNK)
    tagger.learn_many(images(0, count, tags), 0)
    return tagger


def queries(count: int = 20) -> np.ndarray:
    return np.stack([dequantise(example.vector) for example in images(5, count, 12) if example.vector is not None])


def test_ridge_weights_equal_the_normal_equations() -> None:
    tagger = learner()
    vectors = np.stack([dequantise(e.vector) for e in images(0, 400, 12) if e.vector is not None]).astype(np.float64)
    snapshot = tagger.snapshot(wait=True)
    for tag in ("tag 0", "tag 7"):
        truth = np.array([tag in example.added for example in images(0, 400, 12)], np.float64)
        gram = vectors.T @ vectors + 3.0 * np.eye(DIMENSION)
        expected = np.linalg.solve(gram, vectors.T @ (truth - truth.mean()))
        assert np.allclose(snapshot.weights(tag), expected, atol=1e-5)


def test_a_new_tag_is_served_after_its_first_example_and_equals_the_full_solve() -> None:
    tagger = learner()
    tagger.snapshot(wait=True)
    tagger.learn_many([Example("new", quantise(queries(1))[0], ("nova",))], 1000)
    at_once, full = tagger.snapshot(), tagger.snapshot(wait=True)
    assert at_once.columns.counts[at_once.row("nova")] == 1
    assert np.allclose(at_once.weights("nova"), full.weights("nova"), atol=2e-3)
    assert at_once.predict(queries(1), 30)[0] != []


def test_a_quick_version_has_new_tags_and_leaves_what_hardly_moved_to_a_thorough_one() -> None:
    tagger = learner()
    before = tagger.snapshot(wait=True)
    old = max(before.names, key=lambda name: int(before.columns.counts[before.row(name)]))
    grown = int(before.columns.counts[before.row(old)]) // 8  # an eighth more: stale, but not by much
    point = quantise(queries(1))[0]
    tagger.learn_many([Example(f"new {n}", point, (old, "nova")) for n in range(grown)], 1000)
    quick = tagger.snapshot(quick=True)
    assert np.linalg.norm(quick.weights("nova")) > 0
    assert np.array_equal(quick.weights(old), before.weights(old))
    thorough = tagger.snapshot()
    assert thorough.version == quick.version + 1
    assert not np.array_equal(thorough.weights(old), before.weights(old))
    assert np.array_equal(thorough.weights("nova"), quick.weights("nova"))


def test_serving_equals_river() -> None:
    tagger = learner(2000)
    snapshot = tagger.snapshot(wait=True)
    assert tagger.calibrators.own
    points = queries()
    chances = snapshot.probabilities(points)
    slots = snapshot.find_neighbours(points)
    assert snapshot.metric.shape == (DIMENSION, DIMENSION)
    weights = kriging_weights(snapshot.exemplars.vectors.take(slots) @ snapshot.metric, points @ snapshot.metric)
    owner, rows = snapshot.exemplars.tags_of(slots.reshape(-1))
    per_image, tags, gained = snapshot.co_occurrence.spread(
        owner // slots.shape[1], rows, weights.reshape(-1)[owner], weights.sum(axis=1), snapshot.priors
    )
    evidence = np.outer(1 - weights.sum(axis=1), snapshot.priors)
    np.add.at(evidence, (per_image, tags), gained)
    for index in range(len(points)):
        for row in range(len(snapshot)):
            prior = float(snapshot.priors[row])
            kriging = float(evidence[index, row])
            ridge = float(points[index] @ snapshot.weights(snapshot.names[row]))
            model = tagger.calibrators.own.get(row, tagger.calibrators.shared)
            expected = model.predict_proba_one(features_of(ridge, kriging, prior))[True]
            assert chances[index, row] == pytest.approx(expected, abs=2e-5)


def test_score_predict_and_probabilities_agree() -> None:
    snapshot = learner().snapshot(wait=True)
    chances = snapshot.probabilities(queries())
    for index, ranked in enumerate(snapshot.predict(queries(), 5)):
        order = np.sort(chances[index])[::-1][:5]
        assert np.allclose([chance for _, chance in ranked], order, atol=1e-6)
        for tag, chance in ranked:
            assert snapshot.score(tag, queries())[index] == pytest.approx(chance, abs=1e-5)


def test_deltas_lead_to_the_same_version(tmp_path: Path) -> None:
    tagger = learner()
    old = tagger.snapshot(wait=True)
    log = [*images(1, 2500, 30), Example("0/3", deleted=True), TagOperation("s", "rename", ("tag 3",), "three")]
    served = old
    for start in range(0, len(log), 700):
        tagger.learn_many(log[start : start + 700], 1000 + start)
        new = tagger.snapshot()
        served = served.apply(new.delta(served))
        assert served.fingerprint() == new.fingerprint()
    assert old.apply(new.delta(old)).fingerprint() == new.fingerprint()
    assert np.array_equal(served.probabilities(queries()), new.probabilities(queries()))
    new.save(tmp_path / "full.safetensors")
    assert Snapshot.load(tmp_path / "full.safetensors").fingerprint() == new.fingerprint()
    assert "three" in [row.name for row in served.tags()]


def test_a_small_change_makes_a_small_delta() -> None:
    tagger = learner(2000, 400)
    old = tagger.snapshot(wait=True)
    tagger.learn_many([Example("new", quantise(queries(1))[0], ("nova",))], 5000)
    new = tagger.snapshot()
    assert len(new.delta(old)) < len(new.delta(Snapshot.empty(DIMENSION, 8))) / 5


def test_an_old_snapshot_does_not_change() -> None:
    tagger = learner()
    old = tagger.snapshot(wait=True)
    before = old.fingerprint()
    tagger.learn_many([*images(1, 3000, 20), *[Example(f"0/{i}", deleted=True) for i in range(50)]], 1000)
    tagger.snapshot(wait=True)
    assert old.fingerprint() == before


def test_nothing_changed_is_the_same_version() -> None:
    tagger = learner()
    tagger.snapshot(wait=True)
    assert tagger.snapshot() is tagger.snapshot()


def test_damaged_and_foreign_deltas_are_refused(tmp_path: Path) -> None:
    tagger = learner()
    old = tagger.snapshot(wait=True)
    tagger.learn_many(images(1, 100, 12), 1000)
    data = tagger.snapshot().delta(old)
    with pytest.raises(CheckpointError, match="load the whole snapshot"):
        Snapshot.empty(DIMENSION, 8).apply(data)
    with pytest.raises(CheckpointError, match="damaged"):
        old.apply(data[: len(data) // 2])
    (tmp_path / "x").write_bytes(b"garbage")
    with pytest.raises(CheckpointError, match="damaged"):
        Snapshot.load(tmp_path / "x")


def test_unknown_tags_are_named() -> None:
    snapshot = learner().snapshot(wait=True)
    for ask in (snapshot.weights, lambda tag: snapshot.score(tag, queries())):
        with pytest.raises(NotFoundError, match="no such"):
            ask("no such")


def test_knowing_nothing_predicts_nothing() -> None:
    snapshot = Tagger(dimension=DIMENSION).snapshot()
    assert snapshot.predict(queries(2)) == [[], []]
    assert snapshot.tags() == []
    assert snapshot.probabilities(queries(2)).shape == (2, 0)


def test_neighbours_are_the_nearest_whatever_the_slots() -> None:
    tagger = learner(3000)
    exemplars = tagger.snapshot(wait=True).exemplars
    codes = np.rint(queries() * SCALE).astype(np.float32)
    found = nearest(exemplars, codes, 8)
    exact = codes.astype(np.float64) @ exemplars.vectors.whole().astype(np.float64).T
    assert np.array_equal(found, np.argsort(-exact, axis=1, kind="stable")[:, :8])


def test_chunks_take_and_replace_like_an_array() -> None:
    array = np.arange(3 * (2 * CHUNK + 5), dtype=np.float32).reshape(-1, 3)
    chunks = Chunks.of(array)
    rows = np.array([0, 2 * CHUNK + 4, 5, CHUNK, 5])
    assert np.array_equal(chunks.take(rows), array[rows])
    new = chunks.replaced(np.array([7, 2 * CHUNK + 6]), np.ones((2, 3), np.float32), 2 * CHUNK + 8)
    assert new.changed(chunks).tolist() == [7, *range(2 * CHUNK + 5, 2 * CHUNK + 8)]
    assert np.array_equal(chunks.whole(), array)
    assert new.parts[1] is chunks.parts[1]
    assert np.array_equal(new.times(array[:2]), array[:2] @ new.whole().T)


def test_signs_find_nearly_all_of_the_nearest() -> None:
    exemplars = learner(3000).snapshot(wait=True).exemplars
    codes = np.rint(queries() * SCALE).astype(np.float32)
    bits = ExemplarCache().bits(exemplars)
    exact, quick = nearest(exemplars, codes, 50), nearest_by_bits(exemplars, bits, codes, 50)
    shared = [len(set(a) & set(b)) for a, b in zip(exact.tolist(), quick.tolist(), strict=True)]
    assert np.mean(shared) > 38  # of 50, by no more than 16 signs
    assert np.array_equal(nearest_by_bits(exemplars, bits, codes, 3000), nearest(exemplars, codes, 3000))


def test_a_thorough_version_after_a_quick_one_shows_what_was_judged_though_nothing_was_solved():
    tagger = Tagger(dimension=8)
    vectors = np.random.default_rng(5).standard_normal((128, 8)).astype(np.float32)
    codes = quantise(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    tagger.learn_many([Example(f"i{n}", codes[n], (f"tag {n % 3}",)) for n in range(128)], 0)
    quick = tagger.snapshot(quick=True)
    thorough = tagger.snapshot()
    assert thorough.version > quick.version
    assert (quick.quality.images, thorough.quality.images) == (0, 64)  # the first 64 know no tag to predict
    assert tagger.snapshot() is thorough
