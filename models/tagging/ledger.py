"""Examples in, exact state out: what each image contributes to the sums is added once and can be taken back to the bit.

A run of examples is read against the image memory, each touched image's net change goes to the sums in bulk, and the
memory and the reference set follow. How examples are cut into runs changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from models.errors import EncoderMismatchError
from models.tagging.arrays import Int16
from models.tagging.examples import Example
from models.tagging.images import ImageMemory, ImageState
from models.tagging.reference import ReferenceSet, image_hash
from models.tagging.sums import Sums
from models.tagging.vocabulary import Vocabulary


class Share(NamedTuple):
    """What an image contributes to the sums."""

    vector: bytes
    tags: tuple[int, ...]


class _Changes:
    """Net changes of a run, gathered for the bulk sums."""

    def __init__(self) -> None:
        self.vectors: list[bytes] = []
        self.image_signs: list[int] = []
        self.tags: list[int] = []
        self.images: list[int] = []
        self.signs: list[int] = []

    def add(self, vector: bytes, tags: Sequence[int], sign: int, image_sign: int) -> None:
        self.images.extend([len(self.vectors)] * len(tags))
        self.tags.extend(tags)
        self.signs.extend([sign] * len(tags))
        self.vectors.append(vector)
        self.image_signs.append(image_sign)

    def between(self, old: Share | None, new: Share | None) -> None:
        if old is not None and new is not None and old.vector == new.vector:
            if old.tags != new.tags:
                self.add(new.vector, sorted(set(new.tags) - set(old.tags)), 1, 0)
                self.add(new.vector, sorted(set(old.tags) - set(new.tags)), -1, 0)
            return
        if old is not None:
            self.add(old.vector, old.tags, -1, -1)
        if new is not None:
            self.add(new.vector, new.tags, 1, 1)


class Ledger:
    """Sums, image memory, reference set and vocabulary, kept in step."""

    def __init__(self, dimension: int, memory: ImageMemory, reference_size: int) -> None:
        self.dimension = dimension
        self.memory = memory
        self.sums = Sums(dimension)
        self.reference = ReferenceSet(dimension, reference_size)
        self.vocabulary = Vocabulary()

    def apply(self, examples: Sequence[Example], position: int) -> None:
        """Learn a run of examples; `position` is that of the first.

        Raises:
            PolicyError: a tag that cannot be one; nothing was learned of the run.
            EncoderMismatchError: a vector of another shape; nothing was learned of the run.
        """
        self._check(examples)
        keyed = [(image_hash(example.image_id), example.image_id) for example in examples]
        states = self.memory.fetch(keyed)
        before: dict[str, Share | None] = {}
        for index, (example, (key, image_id)) in enumerate(zip(examples, keyed, strict=True)):
            state = states.get(image_id)
            if state is None:
                state = states[image_id] = ImageState(image_id, key)
            if image_id not in before:
                before[image_id] = self.share(state)
            self._change(state, example, position + index)
        self._book([(states[image_id], old) for image_id, old in before.items()])

    def share(self, state: ImageState) -> Share | None:
        """What the image contributes now; None when it is not labelled."""
        return Share(state.vector or b"", self.tags_of(state)) if state.labelled else None

    def tags_of(self, state: ImageState) -> tuple[int, ...]:
        """Rows the image counts for."""
        return state.tags

    def vectors(self, states: Sequence[ImageState]) -> Int16:
        """Quantised vectors [B, D] of images that have one."""
        joined = b"".join(state.vector or b"" for state in states)
        return np.frombuffer(joined, np.int16).reshape(-1, self.dimension)

    def _check(self, examples: Sequence[Example]) -> None:
        self.vocabulary.check(chain.from_iterable(example.added for example in examples))
        self.vocabulary.check(chain.from_iterable(example.removed for example in examples))
        for example in examples:
            vector = example.vector
            if vector is not None and (vector.dtype != np.int16 or vector.shape != (self.dimension,)):
                raise EncoderMismatchError(
                    f"embedding of image {example.image_id} of shape {vector.shape}, {vector.dtype}: expected "
                    f"({self.dimension},), int16; start a new state for another encoder"
                )

    def _change(self, state: ImageState, example: Example, position: int) -> None:
        if example.deleted:
            state.vector, state.tags, state.complete, state.labelled = None, (), False, False
            return
        if example.vector is not None:
            state.vector = example.vector.tobytes()
        if example.complete is not None:
            state.complete = example.complete
        if example.added or example.removed:
            rows = set(state.tags)
            for text in example.added:
                rows.add(self.vocabulary.row(text, position))
            for text in example.removed:
                row = self.vocabulary.find(text)
                if row is not None:
                    rows.discard(row)
            state.tags = tuple(sorted(rows))
        state.labelled = state.vector is not None and (state.complete or bool(self.tags_of(state)))

    def _book(self, touched: list[tuple[ImageState, Share | None]]) -> None:
        changes = _Changes()
        was_full = len(self.reference) >= self.reference.capacity
        leaving = []
        for state, old in touched:
            new = self.share(state)
            changes.between(old, new)
            if new is None:
                if old is not None and state.hash in self.reference:
                    leaving.append(state.hash)
            elif state.hash in self.reference and old is not None and old.vector == new.vector:
                self.reference.retag(state.hash, new.tags)
            elif state.hash in self.reference or state.hash < self.reference.limit:
                self.reference.put(state.hash, state.codes, new.tags)
        self._sum(changes)
        empty = [state.vector is None and not state.tags and not state.complete for state, _ in touched]
        self.memory.write(state for (state, _), gone in zip(touched, empty, strict=True) if not gone)
        gone_keys = [state.key for (state, _), gone in zip(touched, empty, strict=True) if gone]
        self.memory.delete(key for key in gone_keys if key is not None)
        self._leave(leaving, was_full)

    def _sum(self, changes: _Changes) -> None:
        self.sums.grow(len(self.vocabulary))
        if not changes.vectors:
            return
        vectors = np.frombuffer(b"".join(changes.vectors), np.int16).reshape(-1, self.dimension)
        image_signs = np.array(changes.image_signs)
        for sign in (1, -1):
            part = image_signs == sign
            if part.any():
                self.sums.add_images(vectors if part.all() else vectors[part], sign)
        pairs = (
            np.array(changes.tags, np.int32),
            np.array(changes.images, np.int32),
            np.array(changes.signs, np.int64),
        )
        self.sums.add_tags(vectors, *pairs)

    def _leave(self, hashes: list[int], was_full: bool) -> None:
        if not hashes:
            return
        largest = self.reference.largest
        for key in hashes:
            self.reference.drop(key)
        if was_full:  # otherwise every labelled image was a member
            for state in self.memory.smallest(self.reference.capacity - len(self.reference), above=largest):
                self.reference.put(state.hash, state.codes, self.tags_of(state))
