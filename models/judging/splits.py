"""Pictures cut into a training and a test side, with a projection fitted on the training side alone."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.encoders.projection import DIMENSION, fit_projection
from models.errors import UsageError

TEST_SHARE = 1 / 3
LEAST_PICTURES = 5
FIRST_SEED = 20


@dataclass(frozen=True)
class Split:
    """Unit vectors [N, D], truth [N, T] and names, training and test side; the seed says how they were cut."""

    seed: int
    names: list[str]
    train: np.ndarray
    train_truth: np.ndarray
    test: np.ndarray
    test_truth: np.ndarray

    def tags_of(self, image: int) -> tuple[str, ...]:
        """The tags of a training picture."""
        return tuple(self.names[tag] for tag in np.flatnonzero(self.train_truth[image]))


def split(features: np.ndarray, parts: Sequence[int], tags: Sequence[Sequence[str]], seed: int = FIRST_SEED) -> Split:
    """Cut by picture; tags with five training pictures or more.

    Raises:
        UsageError: no tag is on five training pictures and a test picture.
    """
    order = np.random.default_rng(seed).permutation(len(features))
    held = int(len(order) * TEST_SHARE)
    test, train = np.sort(order[:held]), np.sort(order[held:])
    often = Counter(tag for i in train for tag in set(tags[i]))
    names = sorted(tag for tag, count in often.items() if count >= LEAST_PICTURES)
    column = {tag: index for index, tag in enumerate(names)}
    truth = np.zeros((len(features), len(names)), np.bool_)
    for i, of_picture in enumerate(tags):
        truth[i, [column[tag] for tag in of_picture if tag in column]] = True
    if not truth[test].any():
        raise UsageError(
            f"tags of {len(features)} pictures: expected one that is on {LEAST_PICTURES} training pictures and on a "
            "test picture; add pictures that share tags"
        )
    apply = fit_projection(features[train], parts, min(DIMENSION, len(train) - 1, features.shape[1])).apply
    train, test = train[truth[train].any(axis=1)], test[truth[test].any(axis=1)]
    return Split(seed, names, apply(features[train]), truth[train], apply(features[test]), truth[test])
