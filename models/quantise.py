"""Fixed-point embeddings: unit float32 vectors in, int16 out, and back.

Learning sums int16 numbers, so its state is the same whatever the order of arrival; the index stores the
dequantised numbers, so both see one picture of an image. `quantise(dequantise(q)) == q` holds exactly for every int16
above -32768. Refused: numbers that are not finite, vectors that are not of length 1.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.errors import PolicyError

SCALE = 32767  # the largest int16, so that 1.0 has a code
UNIT_TOLERANCE = 0.01  # rounding 2,608 numbers to int16 moves a length by less than 0.001; bf16 encoders by some 0.004


def quantise(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
    """Round unit vectors [B, D] to the int16 grid.

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
    codes = np.rint(vectors * np.float32(SCALE))
    np.minimum(codes, SCALE, out=codes)
    np.maximum(codes, -SCALE, out=codes)
    rounded: npt.NDArray[np.int16] = codes.astype(np.int16)
    return rounded


def requantise(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
    """The codes int16 that `dequantise` made these vectors [..., D] of, which were checked when they were quantised."""
    codes: npt.NDArray[np.int16] = np.rint(vectors * np.float32(SCALE)).astype(np.int16)
    return codes


def dequantise(codes: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
    """Turn int16 codes [B, D] into float32 numbers in [-1, 1]."""
    return codes.astype(np.float32) / np.float32(SCALE)
