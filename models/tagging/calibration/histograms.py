"""Histograms of predicted log-odds, one for each tag: what running average precision and thresholds are made of.

In: predictions of evaluated images and their truth. Out: counts float64 [T, 3, BINS]; memory is bounded by tags.
"""

import numpy as np

from models.tagging.arrays import Bool, Float32, Float64, Int64

BINS = 24  # of log-odds; half a unit wide, from a probability of 0.0006 up to 0.99
LOWEST = np.float32(-7.0)  # log-odds below which all is one bin
PER_UNIT = np.float32(2.0)  # bins in one unit of log-odds
POSITIVE, ALL, MASS = 0, 1, 2  # planes of a histogram: true pairs, pairs, sum of probabilities


def add_predictions(histograms: Float64, rows: Int64, truth: Bool, log_odds: Float32, probabilities: Float32) -> Int64:
    """Count predictions [B, K] of the tags `rows` [K], none of them twice, into histograms [T, 3, BINS].

    Returns:
        Rows [P] that changed beyond the lowest bin, each as often as it did.
    """
    lowest = np.stack([truth.sum(axis=0), np.full(len(rows), len(truth)), probabilities.sum(axis=0)], axis=1)
    images, columns = np.nonzero((log_odds > LOWEST) | truth)  # the rest, nearly all, is of the lowest bin
    bins = np.clip((log_odds[images, columns] - LOWEST) * PER_UNIT + 1, 0, BINS - 1).astype(np.int64)
    flat, tags = histograms.reshape(-1), rows[columns]
    mass = probabilities[images, columns].astype(np.float64)
    for plane, weights in ((POSITIVE, truth[images, columns] * 1.0), (ALL, np.ones(len(bins))), (MASS, mass)):
        np.add.at(flat, (tags * 3 + plane) * BINS + bins, weights)
        lowest[:, plane] -= np.bincount(columns, weights, len(rows))
    histograms[rows, :, 0] += lowest
    return tags


def average_precisions(histograms: Float64) -> Float64:
    """Average precision [T] of tags with histograms [T, 3, BINS]; pairs in one bin are ties. NaN without positives."""
    hits = np.cumsum(histograms[:, POSITIVE, ::-1], axis=1)
    seen = np.cumsum(histograms[:, ALL, ::-1], axis=1)
    precision = hits / np.maximum(seen, 1.0)
    steps = np.diff(hits, axis=1, prepend=0.0)
    total = hits[:, -1]
    return np.where(total > 0, (steps * precision).sum(axis=1) / np.maximum(total, 1.0), np.nan)
