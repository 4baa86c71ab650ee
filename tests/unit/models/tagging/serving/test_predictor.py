"""Predictions: what is served equals river, whatever class of classifier, and the ways of asking agree."""

import copy

import numpy as np
import pytest

from models.errors import NotFoundError
from models.tagging.calibration.log_odds import features_of, prior_of
from models.tagging.evidence.kriging import kriging_weights
from models.tagging.memory.chunks import CHUNK
from models.tagging.serving.predictor import Predictor
from models.tagging.tagger import Tagger
from tests.tagged_images import DIMENSION, images, learner, queries, whole

CLASSES = ["LogisticRegression", "Perceptron", "PAClassifier"]


def evidence_of(predictor: Predictor, points: np.ndarray) -> np.ndarray:
    """Kriging evidence [B, T] with co-occurrence, tag by tag."""
    snapshot, slots = predictor.snapshot, predictor.find_neighbours(points)
    priors = prior_of(snapshot.columns.counts.astype(np.float64), snapshot.images)
    weights = kriging_weights(snapshot.exemplars.vectors.take(slots) @ snapshot.metric, points @ snapshot.metric)
    owner, rows = snapshot.exemplars.tags_of(slots.reshape(-1))
    per_image, tags, gained = snapshot.co_occurrence.spread(
        owner // slots.shape[1], rows, weights.reshape(-1)[owner], weights.sum(axis=1), priors
    )
    evidence = np.outer(1 - weights.sum(axis=1), priors)
    np.add.at(evidence, (per_image, tags), gained)
    return evidence


@pytest.mark.parametrize("name", CLASSES)
def test_serving_equals_river(name: str) -> None:
    tagger = Tagger(DIMENSION, neighbours=8, max_exemplars=2 * CHUNK, classifier=f"river.linear_model.{name}")
    tagger.learn_many(images(0, 2000, 12), 0)
    assert tagger.calibrators.own
    predictor, points = tagger.predictor(), queries()
    probabilities, evidence = predictor.probabilities(points), evidence_of(predictor, points)
    snapshot = predictor.snapshot
    priors = prior_of(snapshot.columns.counts.astype(np.float64), snapshot.images)
    ridge = points @ whole(snapshot.ridge).T
    for index in range(len(points)):
        for row in range(len(snapshot.names)):
            model = tagger.calibrators.own.get(row, tagger.calibrators.shared)
            features = features_of(float(ridge[index, row]), float(evidence[index, row]), float(priors[row]))
            expected = model.predict_proba_one(features)[True]
            assert probabilities[index, row] == pytest.approx(expected, abs=2e-5)


def test_score_predict_and_probabilities_agree() -> None:
    predictor = learner().predictor()
    probabilities = predictor.probabilities(queries())
    for index, ranked in enumerate(predictor.predict(queries(), 5)):
        order = np.sort(probabilities[index])[::-1][:5]
        assert np.allclose([probability for _, probability in ranked], order, atol=1e-6)
        for tag, probability in ranked:
            assert predictor.score(tag, queries())[index] == pytest.approx(probability, abs=1e-5)


def test_an_unknown_tag_has_no_score() -> None:
    with pytest.raises(NotFoundError, match="no such"):
        learner().predictor().score("no such", queries())


def test_knowing_nothing_predicts_nothing() -> None:
    predictor = Predictor(Tagger(dimension=DIMENSION).snapshot())
    assert predictor.predict(queries(2)) == [[], []]
    assert predictor.probabilities(queries(2)).shape == (2, 0)


def test_a_predictor_after_another_predicts_what_a_new_one_does() -> None:
    tagger = learner(3000)
    old = tagger.predictor()
    old.probabilities(queries())
    tagger.learn_many(images(1, 500, 12), tagger.next_position)
    new = tagger.snapshot(wait=True)
    after, fresh = Predictor(new, before=old), Predictor(new)
    assert np.allclose(after.probabilities(queries()), fresh.probabilities(queries()), atol=1e-5)
    assert after.predict(queries(1), 3) == fresh.predict(queries(1), 3)


def test_a_copy_predicts_the_same() -> None:
    predictor = learner().predictor()
    predictor.probabilities(queries())
    assert np.array_equal(copy.deepcopy(predictor).probabilities(queries()), predictor.probabilities(queries()))
