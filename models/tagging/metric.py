"""A metric learned from the sums: directions that tell tags apart count more when images are compared.

With ridge weights w_t, `M = Σ w_t w_tᵀ / √n_t` says how much each direction of the space matters to tags. It needs only
the exact sums: `M = A⁻¹ (Σ r_t r_tᵀ / √n_t) A⁻¹` with `A = G + λI` and `r_t = C_t - prior Σx`. Kriging compares images
by `x` beside its projection on the strongest directions of M. Fitted on the past where the schedule says so, and used
for what comes after: no example is judged by a metric that has seen it.

On OpenMoji it raised the average precision of kriging by two in a hundred (docs/decisions/0008-tag-learner.md).
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh  # type: ignore[import-untyped]

from models.quantise import SCALE
from models.tagging.arrays import Float32, Float64
from models.tagging.solve import factorise
from models.tagging.sums import Sums

RIDGE_LAMBDA = 0.5  # less than where scores are wanted: the noise of single tags is averaged out here
RARE = 0.5  # a tag on n images counts n^-0.5: with 0 frequent tags rule, with 1 the noise of rare ones
POWER = 0.3  # of the strengths; 0.5 would be M itself
WEIGHT = 0.65  # length of a projection beside that of the vector itself
RANK = 128  # 256 is no better, 32 worse than none
GROWTH = 1.25  # fitted again when a quarter more was learned: 0.2 s at 30,000 tags, and 0.01 of average precision
FIRST_AT = 256  # examples; before, everything is noise
_ROWS = 4096  # rows of C in floating point at a time


def no_metric(dimension: int) -> Float32:
    """The metric before anything was learned: vectors are compared as they are."""
    return np.zeros((dimension, 0), np.float32)


def fit_metric(sums: Sums) -> Float32:
    """The strongest directions [D, rank], each as long as its strength to the power `POWER`, together `WEIGHT` √D."""
    factor = factorise(sums.gram.astype(np.float64), sums.total.astype(np.float64), sums.images, RIDGE_LAMBDA)
    scatter: Float64 = np.zeros((sums.dimension, sums.dimension))
    share = sums.counts / max(sums.images, 1)
    for start in range(0, sums.rows, _ROWS):
        part = slice(start, start + _ROWS)
        centred = sums.tags[part] / SCALE - share[part, None] * factor.total
        centred *= np.maximum(sums.counts[part], 1)[:, None] ** (-RARE / 2)
        single = centred.astype(np.float32)
        scatter += single.T @ single
    matters = factor.inverse @ scatter @ factor.inverse
    total = float(np.trace(matters))
    if total <= 0.0:
        return no_metric(sums.dimension)
    rank = min(RANK, sums.dimension)
    last = sums.dimension - 1
    single = (matters / total).astype(np.float32)
    strengths, directions = eigh(single, subset_by_index=[last + 1 - rank, last], check_finite=False)
    scales = np.maximum(strengths, 0) ** np.float32(POWER)
    scales *= WEIGHT * np.sqrt(np.float32(sums.dimension)) / np.linalg.norm(scales)
    found: Float32 = np.ascontiguousarray(directions * scales)
    return found
