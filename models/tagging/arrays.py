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
