"""Ridge weights are those of the normal equations, soon or at once; versions say so and share the rest."""

import numpy as np

from models.quantise import quantise
from models.tagging.examples import Example
from models.tagging.serving.catalogue import TagCatalogue
from models.tagging.tagger import Tagger
from tests.tagged_images import DIMENSION, images, learner, queries, vectors_of


def test_ridge_weights_equal_the_normal_equations() -> None:
    catalogue = learner().predictor().catalogue
    vectors = vectors_of(images(0, 400, 12)).astype(np.float64)
    for tag in ("tag 0", "tag 7"):
        truth = np.array([tag in example.added for example in images(0, 400, 12)], np.float64)
        gram = vectors.T @ vectors + 3.0 * np.eye(DIMENSION)
        expected = np.linalg.solve(gram, vectors.T @ (truth - truth.mean()))
        assert np.allclose(catalogue.weights(tag), expected, atol=1e-5)


def test_a_new_tag_is_served_after_its_first_example_and_equals_the_full_solve() -> None:
    tagger = learner()
    tagger.snapshot(wait=True)
    tagger.learn_many([Example("new", quantise(queries(1))[0], ("nova",))], 1000)
    at_once, full = TagCatalogue(tagger.snapshot()), tagger.predictor()
    assert at_once.tag("nova").count == 1
    assert np.allclose(at_once.weights("nova"), full.catalogue.weights("nova"), atol=2e-3)
    assert "nova" in [tag for tag, _ in full.predict(queries(1), 30)[0]]


def test_a_partial_refresh_has_new_tags_and_leaves_what_hardly_moved_to_a_full_one() -> None:
    tagger = learner()
    before = TagCatalogue(tagger.snapshot(wait=True))
    (old,) = before.tags(1)
    grown = old.count // 8  # an eighth more: stale, but not by much
    point = quantise(queries(1))[0]
    tagger.learn_many([Example(f"new {n}", point, (old.name, "nova")) for n in range(grown)], 1000)
    partial = TagCatalogue(tagger.snapshot(partial=True))
    assert np.linalg.norm(partial.weights("nova")) > 0
    assert np.array_equal(partial.weights(old.name), before.weights(old.name))
    full = TagCatalogue(tagger.snapshot())
    assert full.snapshot.version == partial.snapshot.version + 1
    assert not np.array_equal(full.weights(old.name), before.weights(old.name))
    assert np.array_equal(full.weights("nova"), partial.weights("nova"))


def test_a_full_refresh_after_a_partial_one_shows_what_was_evaluated_though_nothing_was_solved() -> None:
    tagger = Tagger(dimension=8)
    vectors = np.random.default_rng(5).standard_normal((128, 8)).astype(np.float32)
    quantised = quantise(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    tagger.learn_many([Example(f"i{n}", quantised[n], (f"tag {n % 3}",)) for n in range(128)], 0)
    partial = tagger.snapshot(partial=True)
    full = tagger.snapshot()
    assert full.version > partial.version
    assert (partial.quality.images, full.quality.images) == (0, 64)  # the first 64 know no tag to predict
    assert tagger.snapshot() is full


def test_nothing_changed_is_the_same_version() -> None:
    tagger = learner()
    tagger.snapshot(wait=True)
    assert tagger.snapshot() is tagger.snapshot()
