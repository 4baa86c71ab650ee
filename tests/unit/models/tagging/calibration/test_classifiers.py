"""River classifiers of tags: those whose state is weights and an intercept work, all others are refused."""

import math

import numpy as np
import pytest
from river import base, linear_model, optim

from models.errors import ConfigurationError
from models.tagging.calibration.classifiers import WARM_START, Classifiers, state_of
from models.tagging.calibration.log_odds import FEATURES, features_of

SUPPORTED = [f"river.linear_model.{name}" for name in ("LogisticRegression", "Perceptron", "PAClassifier")]


class RemembersMore(linear_model.LogisticRegression):
    """Its optimizer has moments beside the weights."""

    def __init__(self) -> None:
        super().__init__(optim.Adam(0.1))


class OtherProbability(linear_model.LogisticRegression):
    """Its probability is no sigmoid."""

    def predict_proba_one(self, x: dict[str, float]) -> dict[bool, float]:
        p = min(max(sum(self.weights[name] * value for name, value in x.items()) + self.intercept, 0.0), 1.0)
        return {False: 1 - p, True: p}


class NeedsArguments(linear_model.Perceptron):
    """Cannot be made without one."""

    def __init__(self, l2: float) -> None:
        super().__init__(l2)


class Breaks(base.Classifier):
    """Raises when it is asked to learn."""

    def __init__(self) -> None:
        self.weights: dict[str, float] = {}
        self.intercept = 0.0

    def learn_one(self, x: dict[str, float], y: bool) -> None:
        raise RuntimeError("broken")


def pairs(count: int, seed: int) -> list[tuple[dict[str, float], bool, float]]:
    random = np.random.default_rng(seed)
    return [
        (features_of(*random.normal(0.2, 0.3, 2), 0.05), bool(random.random() < 0.3), float(random.uniform(1, 9)))
        for _ in range(count)
    ]


@pytest.mark.parametrize("path", SUPPORTED)
@pytest.mark.parametrize("own", [False, True])
def test_a_classifier_put_together_from_its_numbers_goes_on_to_the_bit(path: str, own: bool) -> None:
    classifiers = Classifiers(path)
    model = classifiers.make(WARM_START, own=own)
    assert state_of(model) == list(WARM_START)
    for features, truth, weight in pairs(200, 1):
        classifiers.learn(model, features, truth, weight)
    again = classifiers.make(state_of(model), own=own)
    for features, truth, weight in pairs(200, 2):
        assert again.predict_proba_one(features) == model.predict_proba_one(features)
        for one in (model, again):
            classifiers.learn(one, features, truth, weight)
    assert state_of(again) == state_of(model) != list(WARM_START)


@pytest.mark.parametrize("path", SUPPORTED)
def test_its_probability_is_the_sigmoid_of_its_numbers(path: str) -> None:
    classifiers = Classifiers(path)
    model = classifiers.make(WARM_START)
    for features, truth, weight in pairs(100, 3):
        classifiers.learn(model, features, truth, weight)
        *weights, intercept, _ = state_of(model)
        raw = math.fsum(w * features[name] for w, name in zip(weights, FEATURES, strict=True)) + intercept
        assert model.predict_proba_one(features)[True] == pytest.approx(1 / (1 + math.exp(-raw)), abs=1e-12)


@pytest.mark.parametrize(("path", "moves"), [*zip(SUPPORTED, [5.0, 1.0, 1.0], strict=True)])
def test_importance_weights_move_the_default_and_no_class_that_learns_from_mistakes(path: str, moves: float) -> None:
    classifiers, features = Classifiers(path), features_of(2.0, 1.0, 0.1)  # predicted to carry the tag, but does not
    moved = []
    for weight in (1.0, 5.0):
        model = classifiers.make(WARM_START)
        classifiers.learn(model, features, False, weight)
        moved.append(model.intercept - WARM_START[-2])
    assert moved[1] == pytest.approx(moves * moved[0]) != 0


@pytest.mark.parametrize("path", [
    "river.naive_bayes.GaussianNB",
    "river.linear_model.ALMAClassifier",
    "river.linear_model.AdPredictor",
    "river.linear_model.SoftmaxRegression",
    "river.linear_model.LinearRegression",
    "river.linear_model.NoSuchClass",
    "river.linear_model",
    "no_such_module.Classifier",
    "LogisticRegression",
    "",
    "math.sqrt",
    *(f"{__name__}.{kind.__name__}" for kind in (RemembersMore, OtherProbability, NeedsArguments, Breaks)),
])  # fmt: skip
def test_any_other_class_is_refused_in_one_sentence_that_names_what_works(path: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Classifiers(path)
    text = str(refused.value)
    assert text.startswith(f"tagging classifier {path}: expected a linear classifier of river")
    assert text.endswith("river.linear_model.LogisticRegression, Perceptron and PAClassifier work")
    assert "\n" not in text
    assert refused.value.exit_code == 78


def test_what_is_wrong_with_a_class_is_said() -> None:
    for kind, why in ((RemembersMore, "remembers more than weights"), (OtherProbability, "not the sigmoid")):
        with pytest.raises(ConfigurationError, match=why):
            Classifiers(f"{__name__}.{kind.__name__}")
