"""Ridge regression from sums: `W = (G + λI)⁻¹ (C - prior·Σx)`, in units where embeddings have length 1.

In: the exact sums. Out: one weight vector a tag. The inverse of a 512 x 512 matrix is kept instead of its factor: all
30,000 rows are then one matrix product (80 ms on two cores, where triangular solves take 4 times that), and one new row
is a vector times a matrix.

Source: Hoerl and Kennard, Ridge Regression (1970), equation 2.1; targets and vectors are centred by the mean.
"""

from dataclasses import dataclass

import numpy as np

from models.errors import UsageError
from models.quantise import SCALE
from models.tagging.arrays import Float32, Float64, Int64
from models.tagging.evidence.backend import NUMPY, Backend

RIDGE_LAMBDA = 3.0  # for unit vectors; flat between 1 and 5 on the pictures of the benchmark


@dataclass(frozen=True, slots=True)
class RidgeSettings:
    """How a learner regresses: λ for unit vectors, and what computes it."""

    ridge_lambda: float = RIDGE_LAMBDA
    backend: Backend = NUMPY


@dataclass(frozen=True, slots=True)
class InverseGram:
    """What turns sums into weights.

    Attributes:
        inverse: `(G + λI)⁻¹` [D, D].
        total: sum of the unit vectors of all labelled images [D].
        images: how many these are.
    """

    inverse: Float64
    total: Float64
    images: int

    def around(self, total: Float64, images: int) -> "InverseGram":
        """The same inverse with the present mean: integer sum [D] of so many images. A stale mean shifts every row."""
        return InverseGram(self.inverse, total / SCALE, images)


def invert_gram(
    gram: Float64, total: Float64, images: int, ridge_lambda: float = RIDGE_LAMBDA, backend: Backend = NUMPY
) -> InverseGram:
    """Invert `G + λI`; gram [D, D] and total [D] are integer sums over quantised vectors.

    Raises:
        UsageError: λ is not positive, and the images do not span the space.
    """
    regular = gram / float(SCALE) ** 2
    regular[np.diag_indices_from(regular)] += ridge_lambda
    try:
        return InverseGram(backend.inverse(regular), total / SCALE, images)
    except np.linalg.LinAlgError:
        raise UsageError(
            f"ridge_lambda {ridge_lambda}: expected a positive number; the images do not span the space"
        ) from None


def solve_rows(inverse: InverseGram, sums: Int64, counts: Int64, backend: Backend = NUMPY) -> Float32:
    """Ridge weights [T, D] of the tags with these sums [T, D] and counts [T]."""
    return backend.centred_times(sums, counts / max(inverse.images, 1), inverse.total, inverse.inverse)
