"""Fixed-point embeddings: float32 unit vectors to int16 ("quantised"), and back.

In: float32 [B, D]. Out: int16 [B, D]. Raises PolicyError for numbers that are not finite and vectors that are not of
length 1.

Learning sums int16 numbers, so its state is the same whatever the order of arrival. The index stores the dequantised
numbers, so that search and learning have the same vector of an image. `quantise(dequantise(q)) == q` holds exactly for
every int16 above -32768.
"""

import numpy as np
import numpy.typing as npt

from models.errors import PolicyError

SCALE = 32767  # the largest int16, so that 1.0 has a code
UNIT_TOLERANCE = 0.01  # rounding 2,608 numbers to int16 moves a length by less than 0.001; bf16 encoders by some 0.004


def quantise(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
    """Unit vectors float32 [B, D] on the int16 grid, int16 [B, D].

    Raises:
        PolicyError: a vector holds NaN or infinity, or its length is not 1 within `UNIT_TOLERANCE`.
    """
    if vectors.ndim != 2:
        raise PolicyError(f"embeddings of shape {vectors.shape}: expected [B, D]; give one row per image", "bad_vector")
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    wrong = np.flatnonzero(~(np.abs(lengths - 1.0) <= UNIT_TOLERANCE))  # the negation also catches NaN
    if wrong.size:
        row = int(wrong[0])
        raise PolicyError(
            f"embedding in row {row} of length {lengths[row]:.6g}: expected finite numbers and length 1 "
            f"within {UNIT_TOLERANCE}; divide by the length before quantising",
            "bad_vector",
        )
    quantised = np.rint(vectors * np.float32(SCALE))
    np.clip(quantised, -SCALE, SCALE, out=quantised)
    rounded: npt.NDArray[np.int16] = quantised.astype(np.int16)
    return rounded


def requantise(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
    """The int16 vectors that `dequantise` made these float32 [..., D] of; checked when they were quantised."""
    quantised: npt.NDArray[np.int16] = np.rint(vectors * np.float32(SCALE)).astype(np.int16)
    return quantised


def dequantise(quantised: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
    """Quantised vectors int16 [B, D] as float32 [B, D], from -1 to 1."""
    return quantised.astype(np.float32) / np.float32(SCALE)
