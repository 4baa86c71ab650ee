"""The formula from evidence to probability that all of calibration and serving shares.

The log-odds of a tag are `w_1 ridge + w_2 kriging + w_3 kriging / (ROOT_SCALE √prior) + b`, with the weights and the
intercept of its classifier (calibrators.py). The kriging evidence contains the prior; the log-odds of the prior as a
fourth feature brought LRAP on OpenMoji down from 0.590 to 0.585.

B images, T tags; everything in float32.
"""

import math

import numpy as np

from models.tagging.arrays import Float32, Float64

FEATURES = ("ridge", "kriging", "kriging_over_root_prior")
NUMBERS = len(FEATURES) + 1  # of a classifier: weights and intercept
ROOT_SCALE = 5.0  # divides kriging / √prior, which reaches 10, so that one learning rate suits all features
FLOOR = np.float32(-30.0)  # log-odds of a tag that is not served


def log_odds(table: Float32, priors: Float32, ridge: Float32, kriging: Float32) -> Float32:
    """Log-odds [B, T] of evidence [B, T] under classifiers [T, NUMBERS] and priors [T]; overwrites `ridge`."""
    slope = kriging_slope(table, priors)
    for row, of_image in zip(ridge, kriging, strict=True):  # row by row: 30,000 numbers stay in the cache
        row *= table[:, 0]
        row += of_image * slope
        row += table[:, 3]
    return ridge


def kriging_slope(table: Float32, priors: Float32) -> Float32:
    """What one unit of kriging evidence adds to the log-odds of each tag [T]."""
    root: Float32 = np.float32(ROOT_SCALE) * np.sqrt(priors)
    return table[:, 1] + table[:, 2] / root


def sigmoid(raw: Float32) -> Float32:
    """Probabilities of log-odds, any shape; beyond 80 either way float32 has nothing left to say."""
    result: Float32 = np.exp(-np.clip(raw, -80.0, 80.0))
    result += 1
    np.reciprocal(result, out=result)
    return result


def features_of(ridge: float, kriging: float, prior: float) -> dict[str, float]:
    """The features of one pair of image and tag, by name, as a river classifier takes them."""
    over_root = kriging / (ROOT_SCALE * math.sqrt(prior))
    return {FEATURES[0]: ridge, FEATURES[1]: kriging, FEATURES[2]: over_root}


def prior_of(counts: Float64, images: int) -> Float32:
    """Share of the labelled images that carry each tag [T], kept off 0 and 1 by half an image."""
    return ((counts + 0.5) / (images + 1.0)).astype(np.float32)
