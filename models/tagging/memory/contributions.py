"""What images contribute to the sums, and the net changes of many images, gathered to be added at once.

In: contributions before and after. Out: products in `Sums`.
"""

from array import array
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.tagging.arrays import Int32, Int64
from models.tagging.memory.images import ImageState
from models.tagging.memory.mapping import TagMapping
from models.tagging.memory.sums import Sums


class Contribution(NamedTuple):
    """What a labelled image contributes to the sums: its quantised vector (int16 bytes) and its tags, ascending."""

    vector: bytes
    tags: tuple[int, ...]


def contribution_of(state: ImageState, mapping: TagMapping) -> Contribution | None:
    """What an image contributes; None when it is not labelled."""
    return Contribution(state.vector or b"", mapping.tags(state.tags)) if state.labelled else None


class Changes:
    """Net changes of the contributions of images."""

    def __init__(self) -> None:
        self._vectors: list[bytes] = []
        self._image_signs: list[int] = []  # 1 counts the image in, -1 out; 0 for one whose tags alone change
        self._tags: array[int] = array("i")
        self._lengths: list[int] = []
        self._signs: list[int] = []

    def replace(self, old: Contribution | None, new: Contribution | None) -> None:
        """Let an image contribute `new` instead of `old`."""
        if old is not None and new is not None and old.vector == new.vector:
            if old.tags != new.tags:
                self._add(new.vector, sorted(set(new.tags) - set(old.tags)), 1, 0)
                self._add(new.vector, sorted(set(old.tags) - set(new.tags)), -1, 0)
            return
        if old is not None:
            self._add(old.vector, old.tags, -1, -1)
        if new is not None:
            self._add(new.vector, new.tags, 1, 1)

    def _add(self, vector: bytes, tags: Sequence[int], sign: int, image_sign: int) -> None:
        self._tags.extend(tags)
        self._lengths.append(len(tags))
        self._signs.append(sign)
        self._vectors.append(vector)
        self._image_signs.append(image_sign)

    def add_to(self, sums: Sums, rows: int) -> None:
        """Bring the sums up to date; they hold `rows` tags from now on."""
        sums.grow(rows)
        if not self._vectors:
            return
        vectors = np.frombuffer(b"".join(self._vectors), np.int16).reshape(-1, sums.dimension)
        image_signs = np.array(self._image_signs)
        for sign in (1, -1):
            part = image_signs == sign
            if part.any():
                sums.add_images(vectors if part.all() else vectors[part], sign)
        sums.add_tags(vectors, *self._pairs())

    def _pairs(self) -> tuple[Int32, Int32, Int64]:
        """(tag, position of the image, sign) of every change of a tag."""
        lengths = np.array(self._lengths, np.int64)
        images = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
        return np.frombuffer(self._tags, np.int32), images, np.repeat(np.array(self._signs, np.int64), lengths)
