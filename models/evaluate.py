"""Metrics, each with its definition; equal to scikit-learn's where that has the same one.

In: truth bool and scores float as arrays [N, T] of images and tags, or [N] of items. Out: a number; NaN where there is
nothing to measure. Nothing fails and nothing is kept between calls.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Truth = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.floating[Any]]


def average_precision(truth: Truth, scores: Scores) -> float:
    """AP of items [N]: `Σ (R_n - R_n-1) P_n` over the precision-recall curve, ties taken together, 0 to 1.

    NaN when no item is positive.
    """
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(truth[order])
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    if len(scores) == 0 or hits[-1] == 0:
        return float("nan")
    precision = hits[last] / (last + 1)
    return float((np.diff(hits[last], prepend=0) * precision).sum() / hits[-1])


def macro_average_precision(truth: Truth, scores: Scores) -> float:
    """mAP: mean of `average_precision` over the tags of [N, T] that have a positive; NaN when none has."""
    tags = np.flatnonzero(truth.any(axis=0))
    if not tags.size:
        return float("nan")
    return float(np.mean([average_precision(truth[:, tag], scores[:, tag]) for tag in tags]))


def label_ranking_average_precision(truth: Truth, scores: Scores) -> float:
    """LRAP of [N, T]: share of true tags among those ranked no lower than a true one; mean over tags, then images.

    An image with no tag, or with all, counts 1. Source: Tsoumakas, Katakis and Vlahavas, Mining Multi-label Data, 2010.
    """
    return float(np.mean([_lrap_of_one(of_image, row) for of_image, row in zip(truth, scores, strict=True)]))


def _lrap_of_one(truth: Truth, scores: Scores) -> float:
    positives = scores[truth]
    if positives.size in (0, scores.size):
        return 1.0
    above = (scores[None, :] >= positives[:, None]).sum(axis=1)
    true_above = (positives[None, :] >= positives[:, None]).sum(axis=1)
    return float((true_above / above).mean())


def precision_at(truth: Truth, scores: Scores, k: int) -> float:
    """P@k of [N, T]: share of true tags among the k best of an image; mean over images, and over orders of ties.

    With fewer than k tags it is P@T; NaN without any tag.
    """
    k = min(k, scores.shape[1])
    if not k:
        return float("nan")
    last = np.partition(scores, -k, axis=1)[:, -k]
    hits = []
    for of_image, row, least in zip(truth, scores, last, strict=True):
        true = row[of_image]
        places = (k - np.count_nonzero(row > least)) / np.count_nonzero(row == least)  # for each of those at the edge
        hits.append(np.count_nonzero(true > least) + np.count_nonzero(true == least) * places)
    return float(np.mean(hits) / k)


def ranking_figures(truth: Truth, scores: Scores) -> dict[str, float]:
    """LRAP, mAP and P@5 of [N, T], under the names that reports give them."""
    return {
        "lrap": label_ranking_average_precision(truth, scores),
        "map": macro_average_precision(truth, scores),
        "p_at_5": precision_at(truth, scores, 5),
    }


def expected_calibration_error(truth: Truth, probabilities: Scores, bins: int = 15) -> float:
    """ECE: |mean truth - mean probability| over equal bins of [0, 1], weighted by how many pairs fall in each.

    Args:
        truth: bool, any shape.
        probabilities: of the same shape, 0 to 1.
        bins: of equal width.

    NaN without any pair. Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, equation 3.
    """
    flat = probabilities.reshape(-1).astype(np.float64)
    if not flat.size:
        return float("nan")
    which = np.minimum((flat * bins).astype(np.int64), bins - 1)
    gap = np.bincount(which, truth.reshape(-1).astype(np.float64) - flat, bins)
    return float(np.abs(gap).sum() / flat.size)


def pair_accuracy(preferred: Scores, over: Scores) -> float:
    """Share of pairs [P] whose preferred side scores higher; a tie counts half; NaN without pairs."""
    if not len(preferred):
        return float("nan")
    return float(np.mean((preferred > over) + 0.5 * (preferred == over)))


def ndcg_at(gains: Scores, scores: Scores, k: int) -> float:
    """NDCG@k of items [N]: `Σ gain / log2(place + 1)` over the k best by score, by that of the best order; 0 to 1.

    Ties of scores keep the order given. NaN where no gain is above 0.
    Source: Järvelin and Kekäläinen, Cumulated gain-based evaluation of IR techniques, TOIS 2002.
    """
    discounts = 1 / np.log2(np.arange(min(k, len(gains))) + 2)
    best = float(np.sort(gains)[::-1][:k] @ discounts)
    if not best > 0:
        return float("nan")
    return float(gains[np.argsort(-scores, kind="stable")][:k] @ discounts) / best
