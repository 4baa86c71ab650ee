"""From histograms of predicted log-odds to average precision and thresholds of each tag.

In: histograms [T, 3, BINS]. Out: one number a tag.
"""

from __future__ import annotations

import numpy as np

from models.tagging.arrays import Float32, Float64

BINS = 24  # of log-odds; half a unit wide, from a probability of 0.0006 up to 0.99


LOWEST = np.float32(-7.0)  # log-odds below which all is one bin


PER_UNIT = np.float32(2.0)  # bins in one unit of log-odds


PSEUDO_POSITIVES = 5.0  # how many positives of the average tag a tag's threshold starts with


POSITIVE, ALL, MASS = 0, 1, 2  # planes of a histogram: true pairs, pairs, sum of probabilities


def average_precisions(histograms: Float64) -> Float64:
    """Average precision [T] of tags with histograms [T, 3, BINS]; pairs in one bin are ties. NaN without positives."""
    hits = np.cumsum(histograms[:, POSITIVE, ::-1], axis=1)
    seen = np.cumsum(histograms[:, ALL, ::-1], axis=1)
    precision = hits / np.maximum(seen, 1.0)
    steps = np.diff(hits, axis=1, prepend=0.0)
    total = hits[:, -1]
    result: Float64 = np.where(total > 0, (steps * precision).sum(axis=1) / np.maximum(total, 1.0), np.nan)
    return result


def thresholds(histograms: Float64) -> Float32:
    """For each tag the probability [T] from which on predicting it maximises F1 so far, smoothed by the average tag."""
    whole = histograms.sum(axis=0)
    positives = max(whole[POSITIVE].sum(), 1.0)
    smooth = histograms[:, :2] + whole[None, :2] * (PSEUDO_POSITIVES / positives)
    hits = np.cumsum(smooth[:, POSITIVE, ::-1], axis=1)[:, ::-1]
    seen = np.cumsum(smooth[:, ALL, ::-1], axis=1)[:, ::-1]
    f1 = 2 * hits / np.maximum(seen + hits[:, :1], 1e-9)
    lower = np.concatenate([[-np.inf], float(LOWEST) + np.arange(BINS - 1) / float(PER_UNIT)])
    best: Float32 = (1 / (1 + np.exp(-lower[np.argmax(f1, axis=1)]))).astype(np.float32)
    return best
