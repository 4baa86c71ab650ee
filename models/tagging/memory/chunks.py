"""Rows of an array kept in chunks, so that a new version shares what did not change.

A snapshot of 30,000 x 512 weights is then a tuple of references: publishing copies only chunks that were written to
since, and what two versions differ in shows by identity before a number is compared.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

CHUNK = 1024  # rows: 2 MB at 512 float32, small to copy, large enough for a matrix product at full speed

Array = npt.NDArray[Any]
Made = TypeVar("Made")


class Chunks:
    """An immutable array [N, ...] in chunks of `CHUNK` rows."""

    def __init__(self, parts: tuple[Array, ...], empty: Array) -> None:
        self.parts = parts
        self.empty = empty

    @classmethod
    def of(cls, array: Array) -> "Chunks":
        """Cut an array; the parts are views of it."""
        parts = tuple(array[start : start + CHUNK] for start in range(0, len(array), CHUNK))
        return cls(parts, array[:0])

    def __len__(self) -> int:
        return (len(self.parts) - 1) * CHUNK + len(self.parts[-1]) if self.parts else 0

    def take(self, rows: npt.NDArray[np.integer[Any]]) -> Array:
        """Rows [..., D] by index [...]."""
        flat = np.asarray(rows, np.int64).reshape(-1)
        result = np.empty((len(flat), *self.empty.shape[1:]), self.empty.dtype)
        order = np.argsort(flat, kind="stable")
        ends = np.searchsorted(flat[order], np.arange(len(self.parts) + 1) * CHUNK)
        for chunk in np.flatnonzero(np.diff(ends)):
            here = order[ends[chunk] : ends[chunk + 1]]
            result[here] = self.parts[chunk][flat[here] - chunk * CHUNK]
        return result.reshape(*np.shape(rows), *self.empty.shape[1:])

    def times(self, queries: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Inner products of queries [B, D] with every row: [B, N]."""
        result = np.empty((len(queries), len(self)), np.float32)
        for index, part in enumerate(self.parts):
            np.matmul(queries, part.T, out=result[:, index * CHUNK : index * CHUNK + len(part)])
        return result

    def replaced(self, rows: npt.NDArray[np.integer[Any]], values: Array, length: int) -> "Chunks":
        """A version of `length` rows in which `rows` hold `values`; rows that are new and not named are zero."""
        cow = CopyOnWrite(self)
        cow.resize(length)
        cow.write(rows, values)
        return cow.freeze()

    def changed(self, since: "Chunks") -> npt.NDArray[np.int64]:
        """Rows that differ from an older version, or that it did not have."""
        found = [np.empty(0, np.int64)]
        for index, part in enumerate(self.parts):
            old = since.parts[index] if index < len(since.parts) else part[:0]
            if old is part:
                continue
            both = min(len(old), len(part))
            differs = (part[:both] != old[:both]).reshape(both, part[0].size).any(axis=1)
            rows = np.concatenate([np.flatnonzero(differs), np.arange(both, len(part))])
            found.append(rows + index * CHUNK)
        return np.concatenate(found)


class Derived(Generic[Made]):
    """Something made of each chunk, kept from one version to the next for the chunks that stay."""

    def __init__(self, make: Callable[[Array, tuple[Array, Made] | None], Made]) -> None:
        """`make` gets a chunk, and (the chunk that stood there before, what was made of it) if there was one."""
        self._make = make
        self._last: list[tuple[Array, Made]] = []

    def of(self, chunks: Chunks) -> list[Made]:
        """What was made of each chunk, in order."""
        before, after = self._last, []
        for index, part in enumerate(chunks.parts):
            known = before[index] if index < len(before) else None
            after.append(known if known is not None and known[0] is part else (part, self._make(part, known)))
        self._last = after
        return [made for _, made in after]


class CopyOnWrite:
    """A growing array whose frozen versions stay as they were. Buffers always have room for a whole chunk."""

    def __init__(self, chunks: Chunks) -> None:
        self._empty = chunks.empty
        self._buffers = list(chunks.parts)
        self._length = len(chunks)
        self._frozen = self._length  # rows below belong to a version that was given out ...
        self._own = [False] * len(self._buffers)  # ... unless their chunk was copied since
        if self._buffers and len(self._buffers[-1]) < CHUNK:
            self._copy(len(self._buffers) - 1)

    def _copy(self, chunk: int) -> None:
        old = self._buffers[chunk]
        self._buffers[chunk] = self._blank()
        self._buffers[chunk][: len(old)] = old
        self._own[chunk] = True

    def _blank(self) -> Array:
        return np.zeros((CHUNK, *self._empty.shape[1:]), self._empty.dtype)

    def resize(self, length: int) -> None:
        """Grow, or drop rows at the end; rows that were never written hold zeros."""
        count = -(-length // CHUNK)
        del self._buffers[count:], self._own[count:]
        while len(self._buffers) < count:
            self._buffers.append(self._blank())
            self._own.append(True)
        self._length = length

    def write(self, rows: npt.NDArray[np.integer[Any]], values: Array) -> None:
        """Set rows [R] to values [R, ...]; of rows named twice the last value stays."""
        which = rows // CHUNK
        for chunk in np.unique(which):
            here = which == chunk
            if not self._own[chunk] and bool((rows[here] < self._frozen).any()):
                self._copy(int(chunk))
            self._buffers[chunk][rows[here] - chunk * CHUNK] = values[here]

    def freeze(self) -> Chunks:
        """The present version; later writes copy the chunks they touch."""
        self._own = [False] * len(self._buffers)
        self._frozen = max(self._frozen, self._length)
        return self.view()

    def view(self) -> Chunks:
        """The present rows without a copy, to be used before the next write."""
        parts = list(self._buffers)
        if self._length % CHUNK:
            parts[-1] = parts[-1][: self._length % CHUNK]
        return Chunks(tuple(parts), self._empty)
