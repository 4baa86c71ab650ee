"""The river classifiers of tags: linear ones, whose whole state is a few weights, an intercept and a count of steps.

In: the import path of a class. Out: classifiers to learn with, and their state as numbers. Serving gathers these
numbers of all tags in one array and never calls river, so a class is refused unless its probability is
`sigmoid(weights · features + intercept)` and its numbers put into a fresh object learn on as the old one would.

At present river.linear_model.LogisticRegression, Perceptron and PAClassifier pass. On four splits of OpenMoji all three
order tags alike (LRAP within 0.02 of each other), but only the default is calibrated: its calibration error is 0.003,
that of PAClassifier 0.02 to 0.3, that of Perceptron 0.2.
"""

import inspect
import math
import pkgutil
from collections.abc import Iterator, Sequence
from typing import Any

from river import optim
from river.linear_model import LogisticRegression, Perceptron

from models.errors import ConfigurationError
from models.tagging.calibration.log_odds import FEATURES

DEFAULT = "river.linear_model.LogisticRegression"
WARM_START = (2.3, 7.5, 3.7, -5.3, 0.0)  # where the shared one ends on the OpenMoji pictures; no steps taken
STATE = len(WARM_START)  # numbers: a weight for each of FEATURES, the intercept, steps taken
SHARED_RATE = (0.1, 0.4)  # divided by a power of the steps: bold at first, then an average; 0.05 throughout left
# the last steps' noise in every tag, and three times the calibration error
OWN_RATE = 0.005  # a tag sees few examples: small steps away from what all tags have in common
_PROBES = 12  # examples that a class is tried with
_TOLERANCE = 1e-9  # river adds the same products in another order

Classifier = Any  # river's classes have no type in common that has weights


class Classifiers:
    """Makes the classifiers of one class.

    The default has learning rates of ours. Any other class is made without arguments and learns as river made it.
    """

    def __init__(self, path: str = DEFAULT) -> None:
        """Import the class and try it.

        Raises:
            ConfigurationError: there is no such class, or it is none of the linear kind.
        """
        try:
            self._class = pkgutil.resolve_name(path)
            if not isinstance(self._class, type):
                raise TypeError(f"{path} is no class")
            example = self.make(WARM_START)
            takes_weights = "w" in inspect.signature(example.learn_one).parameters
            # a Perceptron's steps are 1 for any loss: times a weight of hundreds its intercept came to -15,000
            self._weighted = takes_weights and not isinstance(example, Perceptron)
            flaw = self._flaw()
        except Exception as error:  # noqa: BLE001 - a class of anybody's may raise anything
            flaw = " ".join(f"{type(error).__name__}: {error}".split())
        if flaw:
            raise ConfigurationError(
                f"tagging classifier {path}: expected a linear classifier of river that needs no arguments ({flaw}); "
                "river.linear_model.LogisticRegression, Perceptron and PAClassifier work"
            )

    def make(self, state: Sequence[float], *, own: bool = False) -> Classifier:
        """A classifier with this state [STATE], to be shared by all tags or a tag's own."""
        model = self._fresh(own)
        *weights, intercept, steps = state
        if hasattr(model, "initializer"):
            _place(model, weights)
        else:
            model.weights.update(zip(FEATURES, weights, strict=True))
        model.intercept = intercept
        if hasattr(model, "optimizer"):
            model.optimizer.n_iterations = int(steps)
        return model

    def learn(self, model: Classifier, features: dict[str, float], truth: bool, weight: float) -> None:
        """Learn one pair of image and tag; Perceptron, and classes without importance weights, take every pair as one.

        Negatives are shown the more often the likelier they were, and weigh the less (prequential.py). Without weights
        a class therefore learns that tags are more frequent than they are: it orders them well, but says too much.
        """
        if self._weighted:
            model.learn_one(features, truth, w=weight)
        else:
            model.learn_one(features, truth)

    def _fresh(self, own: bool) -> Classifier:
        if self._class is not LogisticRegression:
            return self._class()
        rate = optim.schedulers.Constant(OWN_RATE) if own else optim.schedulers.InverseScaling(*SHARED_RATE)
        return LogisticRegression(optimizer=optim.SGD(rate), intercept_lr=rate)

    def _flaw(self) -> str:
        """What a class of another kind does differently; empty for one that can be served."""
        model = self.make(WARM_START)
        for features, truth, weight in _probes():
            restored = self.make(state_of(model))
            for one in (model, restored):
                self.learn(one, features, truth, weight)
            *weights, intercept, _ = state_of(model)
            raw = sum(weight * features[name] for weight, name in zip(weights, FEATURES, strict=True)) + intercept
            if abs(model.predict_proba_one(features)[True] - 1 / (1 + math.exp(-raw))) > _TOLERANCE:
                return "its probability is not the sigmoid of weights and intercept"
            if state_of(restored) != state_of(model):
                return "it remembers more than weights, intercept and steps"
        return ""


def state_of(model: Classifier) -> list[float]:
    """Weights of FEATURES, intercept and steps taken [STATE] of a classifier."""
    weights = model.weights
    steps = model.optimizer.n_iterations if hasattr(model, "optimizer") else 0
    return [*(float(weights.get(name, 0.0)) for name in FEATURES), float(model.intercept), float(steps)]


def _place(model: Classifier, weights: Sequence[float]) -> None:
    """Put weights into a new one of river's GLM, whose `weights` are a copy: each begins as its initializer says."""
    usual = model.initializer
    for name, weight in zip(FEATURES, weights, strict=True):
        model.initializer = optim.initializers.Constant(weight)
        model.learn_one({name: 1.0}, True, w=0.0)  # of no importance: the weight stays where it begins
    model.initializer = usual


def _probes() -> Iterator[tuple[dict[str, float], bool, float]]:
    """(features, truth, importance) in the range of real ones, from both sides of the decision."""
    for number in range(_PROBES):
        features = {name: 0.5 + math.sin(3 * number + index) for index, name in enumerate(FEATURES)}
        yield features, number % 3 == 0, 1.0 + number % 2
