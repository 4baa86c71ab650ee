"""From which probability on a tag is predicted: the one that has maximised its F1 so far.

In: histograms of predicted log-odds [T, 3, BINS]. Out: one probability a tag, float32. Whatever decides a threshold is
in this file; serving/columns.py carries the result.
"""

import numpy as np

from models.tagging.arrays import Float32, Float64
from models.tagging.calibration.histograms import ALL, BINS, LOWEST, PER_UNIT, POSITIVE

PSEUDO_POSITIVES = 5.0  # how many positives of the average tag a tag's threshold starts with


def f1_thresholds(histograms: Float64) -> Float32:
    """The lower edge, as a probability [T], of the bin from which on predicting a tag has the largest F1.

    Each histogram is smoothed by that of the average tag, so that a tag on few images has about its threshold. With
    scores of F1 that are equal the lowest bin counts.
    """
    whole = histograms.sum(axis=0)
    positives = max(whole[POSITIVE].sum(), 1.0)
    smooth = histograms[:, :2] + whole[None, :2] * (PSEUDO_POSITIVES / positives)
    hits = np.cumsum(smooth[:, POSITIVE, ::-1], axis=1)[:, ::-1]
    seen = np.cumsum(smooth[:, ALL, ::-1], axis=1)[:, ::-1]
    f1 = 2 * hits / np.maximum(seen + hits[:, :1], 1e-9)
    lower = np.concatenate([[-np.inf], float(LOWEST) + np.arange(BINS - 1) / float(PER_UNIT)])
    best: Float32 = (1 / (1 + np.exp(-lower[np.argmax(f1, axis=1)]))).astype(np.float32)
    return best


def average_threshold(histograms: Float64) -> Float32:
    """The threshold [1] of a tag that was not evaluated yet: that of the average tag."""
    whole = histograms.sum(axis=0, keepdims=True)
    return f1_thresholds(np.concatenate([whole, np.zeros_like(whole)]))[1:]
