"""The exact part of the state: integer sums that any order, split or replay leaves bit-identical.

`G = sum of x xᵀ` and `sum of x` over labelled images, and for each tag `C_t = sum of x` over the images that carry it,
all over int16 embeddings in int64. One image adds at most 2^30 to an entry of G, so int64 has room for 8e9 images.
"""

import numpy as np
from scipy.sparse import csr_matrix  # type: ignore[import-untyped]

from models.tagging.arrays import Float64, Int16, Int32, Int64, slices

try:  # adds into C in place; the public product makes a dense copy of every touched row first (2 to 3 times slower)
    from scipy.sparse._sparsetools import csr_matvecs  # type: ignore[import-untyped]
except ImportError:  # pragma: no cover
    csr_matvecs = None

WAITING = 1024  # images whose products are taken at once: a product of ten costs as much as one of a hundred
TOGETHER = 2048  # images whose tags are added at once: 8 MB, which the cache holds
MAX_BLOCK = 65_536  # images a float64 product may sum at once: 2^16 * 2^30 stays far below 2^53, so it is exact


class Sums:
    """G, Σx, C and the counts. A row of C is a tag; room for rows grows geometrically.

    Attributes:
        images: labelled ones behind G and Σx.
        total: Σx, int64 [D].
        rows: of C.
    """

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self.images = 0
        self._gram: Int64 = np.zeros((dimension, dimension), np.int64)
        self._waiting: tuple[list[Int16], list[Int16]] = ([], [])  # vectors to be counted into G, and out
        self.total: Int64 = np.zeros(dimension, np.int64)
        self.rows = 0
        self._tags: Int64 = np.zeros((64, dimension), np.int64)
        self._counts: Int64 = np.zeros(64, np.int64)
        self._changed: Int64 = np.zeros(64, np.int64)

    @property
    def gram(self) -> Int64:
        """G, int64 [D, D]."""
        self._multiply(1)
        self._multiply(-1)
        return self._gram

    @gram.setter
    def gram(self, values: Int64) -> None:
        for waiting in self._waiting:
            waiting.clear()
        self._gram = values

    @property
    def tags(self) -> Int64:
        """C, int64 [T, D]; a view."""
        return self._tags[: self.rows]

    @property
    def counts(self) -> Int64:
        """Images that carry each tag, int64 [T]; a view."""
        return self._counts[: self.rows]

    def grow(self, rows: int) -> None:
        """Make room for `rows` tags in all."""
        if rows > len(self._tags):
            capacity = max(rows, len(self._tags) * 3 // 2)
            for name in ("_tags", "_counts", "_changed"):
                old = getattr(self, name)
                new = np.zeros((capacity, *old.shape[1:]), np.int64)
                new[: self.rows] = old[: self.rows]
                setattr(self, name, new)
        self.rows = max(self.rows, rows)

    def add_images(self, vectors: Int16, sign: int) -> None:
        """Count labelled images [B, D] in (sign 1) or out (sign -1)."""
        self.total += sign * vectors.sum(axis=0, dtype=np.int64)
        self.images += sign * len(vectors)
        waiting = self._waiting[sign < 0]
        waiting.append(vectors)
        if sum(len(part) for part in waiting) >= WAITING:
            self._multiply(sign)

    def _multiply(self, sign: int) -> None:
        waiting = self._waiting[sign < 0]
        vectors = np.concatenate([np.empty((0, self.dimension), np.int16), *waiting])
        waiting.clear()
        for part in slices(len(vectors), MAX_BLOCK):
            exact = vectors[part].astype(np.float64)
            self._gram += sign * (exact.T @ exact).astype(np.int64)

    def add_tags(self, vectors: Int16, tags: Int32, images: Int32, signs: Int64) -> None:
        """Count pairs (tag row, row of `vectors` ascending, sign), each [P], into C and the counts."""
        if not tags.size:
            return
        np.add.at(self._counts, tags, signs)
        self._changed[tags] = 1
        starts = np.arange(0, len(vectors), TOGETHER)
        bounds = [*np.searchsorted(images, starts).tolist(), len(images)]
        for first, start, stop in zip(starts.tolist(), bounds, bounds[1:], strict=False):
            part = vectors[first : first + TOGETHER].astype(np.int64)
            self._add(part, tags[start:stop], images[start:stop] - first, signs[start:stop])

    def _add(self, vectors: Int64, tags: Int32, images: Int32, signs: Int64) -> None:
        pairs = csr_matrix((signs, (tags, images)), shape=(self.rows, len(vectors)))
        if csr_matvecs is not None:
            flat = self._tags[: self.rows].reshape(-1)
            shape = (self.rows, len(vectors), self.dimension)
            csr_matvecs(*shape, pairs.indptr, pairs.indices, pairs.data, vectors.reshape(-1), flat)
        else:  # pragma: no cover
            touched = np.unique(tags)
            self._tags[touched] += pairs[touched] @ vectors

    def clear(self, rows: Int64) -> None:
        """Make rows of C zero, for other tags."""
        self._tags[rows] = 0
        self._counts[rows] = 0
        self._changed[rows] = 1

    def put(self, row: int, count: int, of_tag: Int64) -> None:
        """Fill an empty row of C with the sums [D] of a tag."""
        self.grow(row + 1)
        self._tags[row] = of_tag
        self._counts[row] = count
        self._changed[row] = 1

    def take_changed(self) -> Int64:
        """Rows of C that changed since the last call."""
        rows = np.flatnonzero(self._changed)
        self._changed[:] = 0
        return rows

    def without(self, vectors: Int16) -> tuple[Float64, Float64, int]:
        """Return (G, Σx, n) without these labelled images [B, D]; float64, exact below 2^53."""
        exact = vectors.astype(np.float64)
        return self.gram - exact.T @ exact, self.total - exact.sum(axis=0), self.images - len(vectors)
