"""Arrays too large for memory: rows of one shape and type in a file, written once in order, read in any.

In: arrays [n, ...]. Out: the rows asked for. Raises StorageUnavailableError: no room. The file has no header, so its
owner says what is in it; only what is read is in memory. It is opened for each call, so nothing has to be released.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from models.encoders.training.data.files import disk_errors


class RowFile:
    """Rows of `shape` in one file; one thread."""

    def __init__(self, path: Path, shape: Sequence[int], dtype: DTypeLike) -> None:
        self.path = path
        self.shape = tuple(shape)
        self.dtype = np.dtype(dtype)
        self.row_bytes = int(np.prod(self.shape)) * self.dtype.itemsize

    def __len__(self) -> int:
        """Whole rows in the file."""
        return self.path.stat().st_size // self.row_bytes if self.path.exists() else 0

    def append(self, rows: NDArray[Any]) -> None:
        """Write [n, ...] after what is there.

        Raises:
            StorageUnavailableError: no room.
        """
        at = len(self) * self.row_bytes  # half a row that a stop left behind is written over
        with disk_errors(self.path.parent), self.path.open("r+b" if self.path.exists() else "wb") as file:
            file.seek(at)
            file.write(np.ascontiguousarray(rows, self.dtype).tobytes())

    def clear(self) -> None:
        """Forget all rows."""
        with disk_errors(self.path.parent):
            self.path.unlink(missing_ok=True)

    def read(self, numbers: NDArray[np.int64] | Sequence[int]) -> NDArray[Any]:
        """Rows by number [n] -> [n, ...], read in the order of the file."""
        wanted = np.asarray(numbers, np.int64)
        found = np.empty((len(wanted), *self.shape), self.dtype)
        if not len(wanted):
            return found
        with self.path.open("rb", buffering=0) as file:
            for place in np.argsort(wanted, kind="stable"):
                file.seek(int(wanted[place]) * self.row_bytes)
                found[place] = np.frombuffer(file.read(self.row_bytes), self.dtype).reshape(self.shape)
        return found
