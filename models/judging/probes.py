"""What simple learners make of vectors: neighbours that vote, a ridge regression, our own heads, and the ranker.

In: splits of vectors and tags; pairs. Out: figures between 0 and 1, each the better the higher. Nothing fails.
"""

import numpy as np
import numpy.typing as npt

from models.evaluate import macro_average_precision, pair_accuracy, ranking_figures
from models.judging.splits import Split
from models.quantise import quantise
from models.ranking.ranknet import Ranker
from models.tagging.examples import Example
from models.tagging.tagger import Tagger

VOTERS = 10  # neighbours that vote
RIDGE = 0.1  # of the mean of the Gram matrix's diagonal
TRAINING_PAIRS = 1_000
TEST_PAIRS = 4_000
NOISE = 0.1  # share of the clicks that are tosses of a coin

Floats = npt.NDArray[np.floating]


def by_neighbours(data: Split) -> float:
    """mAP of how many of the ten nearest training pictures carry a tag, weighted by cosine."""
    cosines = data.test @ data.train.T
    nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :VOTERS]
    votes = np.take_along_axis(cosines, nearest, axis=1)
    scores = np.einsum("nk,nkt->nt", votes, data.train_truth[nearest].astype(np.float32))
    return macro_average_precision(data.test_truth, scores)


def by_ridge(data: Split) -> float:
    """mAP of a linear regression of all tags at once, with one penalty."""
    gram = data.train.T @ data.train
    penalty = RIDGE * float(np.trace(gram)) / len(gram) * np.eye(len(gram), dtype=gram.dtype)
    mean = data.train_truth.mean(axis=0)
    weights = np.linalg.solve(gram + penalty, data.train.T @ (data.train_truth - mean))
    return macro_average_precision(data.test_truth, data.test @ weights + mean)


def learn(data: Split) -> Tagger:
    """A tagger after one pass over the training side."""
    tagger = Tagger(dimension=data.train.shape[1])
    quantised = quantise(data.train)
    tagger.learn_many([Example(f"train-{i}", vector, data.tags_of(i)) for i, vector in enumerate(quantised)], 0)
    return tagger


def by_heads(data: Split) -> dict[str, float]:
    """LRAP and mAP (`lrap`, `map`) of our heads, online."""
    predictor = learn(data).predictor()
    scores = predictor.probabilities(data.test)[:, [predictor.catalogue.row(name) for name in data.names]]
    figures = ranking_figures(data.test_truth, scores)
    return {name: figures[name] for name in ("lrap", "map")}


def by_taste(vectors: Floats, taste: Floats, seed: int) -> float:
    """Pair accuracy of the ranker on pictures that no click named, after 1,000 clicks, one in ten of them at random.

    Args:
        vectors: of unit length, float32 [N, D].
        taste: how much somebody likes each picture, [N].
        seed: of the split and the clicks.
    """
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(taste))
    seen, unseen = shuffled[: len(taste) * 2 // 3], shuffled[len(taste) * 2 // 3 :]
    one, other = rng.choice(seen, TRAINING_PAIRS), rng.choice(seen, TRAINING_PAIRS)
    differs = taste[one] != taste[other]
    one, other = one[differs], other[differs]
    likes_one = np.where(rng.random(len(one)) < NOISE, rng.random(len(one)) < 0.5, taste[one] > taste[other])
    preferred, over = np.where(likes_one, one, other), np.where(likes_one, other, one)
    ranker = Ranker(vectors.shape[1], seed=seed)
    ranker.learn_many(vectors[preferred], vectors[over])
    first, second = rng.choice(unseen, TEST_PAIRS), rng.choice(unseen, TEST_PAIRS)
    differs = taste[first] != taste[second]
    better = np.where(taste[first] > taste[second], first, second)[differs]
    worse = np.where(taste[first] > taste[second], second, first)[differs]
    scores = ranker.published().score(vectors)
    return pair_accuracy(scores[better], scores[worse])
