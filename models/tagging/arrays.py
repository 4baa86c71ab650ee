"""Names of the array types that the tag learner passes around, and how it goes through long ones."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Int16 = npt.NDArray[np.int16]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
UInt64 = npt.NDArray[np.uint64]
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]


def slices(count: int, size: int) -> Iterator[slice]:
    """So many rows in parts of `size`, the last one shorter."""
    return (slice(start, start + size) for start in range(0, count, size))


def ragged(starts: Int64 | Int32, rows: Int64) -> tuple[Int64, Int64]:
    """For rows [R] of a ragged array that begin at `starts`: (position in `rows` [P], position in the array [P])."""
    lengths = starts[rows + 1] - starts[rows]
    owner = np.repeat(np.arange(len(rows)), lengths)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return owner, np.repeat(starts[rows], lengths) + within
