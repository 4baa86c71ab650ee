"""A metric learned from the sums: directions that tell tags apart count more when images are compared.

In: the exact sums. Out: a matrix [D, D]. Images are compared by `xᵀ B y` with `B = (I + s (G + λI)⁻¹) / 2 + M`. The
first part takes from directions in which all images lie alike (s makes both halves equally long). M is of tags: with
ridge weights w_t, `N = Σ w_t w_tᵀ / √n_t` says how much each direction of the space matters to them, and M has its
strongest directions with flattened strengths. Both need only the exact sums: `N = A⁻¹ (Σ r_t r_tᵀ / √n_t) A⁻¹` with
`A = G + λI` and `r_t = C_t - prior Σx`. Fitted on the past where the schedule says so, and used for what comes after:
no example is evaluated by one that saw it.

The formula is ours; whitening by the Gram matrix is that of Mahalanobis (1936). What it is worth on OpenMoji:
docs/decisions/0008-tag-learner.md.
"""

import numpy as np
from scipy.linalg import cholesky, eigh  # type: ignore[import-untyped]

from models.tagging.arrays import Float32, Float64
from models.tagging.evidence.backend import NUMPY, Backend
from models.tagging.evidence.ridge import invert_gram
from models.tagging.memory.sums import Sums

RIDGE_LAMBDA = 0.5  # less than where scores are wanted: the noise of single tags is averaged out here
RARE = 0.5  # a tag on n images counts n^-0.5: with 0 frequent tags rule, with 1 the noise of rare ones
POWER = 0.3  # of the strengths; 0.5 would be N itself
WEIGHT = 0.65  # root of M's trace beside that of I
RANK = 128  # 256 is no better, 32 worse than none


def no_metric(dimension: int) -> Float32:
    """The metric before anything was learned: vectors are compared as they are."""
    return np.eye(dimension, dtype=np.float32)


def fit_metric(sums: Sums, backend: Backend = NUMPY) -> Float32:
    """The lower triangle L [D, D] with `L Lᵀ = B`: images are compared by their `x @ L`."""
    gram, total = sums.gram.astype(np.float64), sums.total.astype(np.float64)
    gram_inverse = invert_gram(gram, total, sums.images, RIDGE_LAMBDA, backend)
    counts = np.maximum(sums.counts, 1).astype(np.float64)
    scatter = backend.scatter(sums.tags, sums.counts / max(sums.images, 1), gram_inverse.total, counts**-RARE)
    inverse = gram_inverse.inverse.astype(np.float32)
    matters = inverse @ scatter.astype(np.float32) @ inverse
    strength = float(np.trace(matters))
    if strength <= 0.0:
        return no_metric(sums.dimension)
    strongest = [max(sums.dimension - RANK, 0), sums.dimension - 1]
    strengths, directions = eigh(matters / np.float32(strength), subset_by_index=strongest, check_finite=False)
    scales = np.maximum(strengths, 0) ** np.float32(POWER)
    scales *= WEIGHT * np.sqrt(np.float32(sums.dimension)) / np.linalg.norm(scales)
    of_tags = (directions * scales).astype(np.float32)
    length = sums.dimension - RIDGE_LAMBDA * float(np.trace(gram_inverse.inverse))  # tr((G + λI)⁻¹ G)
    form: Float64 = gram_inverse.inverse * (0.5 * sums.images / length)
    form[np.diag_indices_from(form)] += 0.5
    form += of_tags @ of_tags.T
    lower = cholesky(form.T, lower=True, overwrite_a=True, check_finite=False)  # the transpose is as LAPACK has it
    return np.asarray(lower, np.float32, order="C")
