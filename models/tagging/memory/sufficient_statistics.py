"""Examples in, exact state out: what each image contributes to the sums is added once and can be taken back to the bit.

A run of examples is read against the image memory, each touched image's net change goes to the sums in bulk, and the
memory and the exemplars follow. How examples are cut into runs changes nothing.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from models.errors import EncoderMismatchError
from models.tagging.arrays import Bool, Int16, Int32, Int64
from models.tagging.examples import Example
from models.tagging.memory.exemplars import ExemplarSet, image_hash
from models.tagging.memory.images import ImageMemory, ImageState
from models.tagging.memory.sums import Sums
from models.tagging.memory.vocabulary import Vocabulary

RUNS_AHEAD = 2  # runs that may wait to be summed: the few examples of a sample must not wait for thousands before them
_POOL = ThreadPoolExecutor(1, thread_name_prefix="tag-sums")


class Share(NamedTuple):
    """What an image contributes to the sums."""

    vector: bytes
    tags: tuple[int, ...]


class _Changes:
    """Net changes of a run, gathered for the bulk sums."""

    def __init__(self) -> None:
        self.vectors: list[bytes] = []
        self.image_signs: list[int] = []
        self.tags: array[int] = array("i")
        self.lengths: list[int] = []
        self.signs: list[int] = []

    def add(self, vector: bytes, tags: Sequence[int], sign: int, image_sign: int) -> None:
        self.tags.extend(tags)
        self.lengths.append(len(tags))
        self.signs.append(sign)
        self.vectors.append(vector)
        self.image_signs.append(image_sign)

    def pairs(self) -> tuple[Int32, Int32, Int64]:
        """(tag, position in `vectors`, sign) of every change of a tag."""
        lengths = np.array(self.lengths, np.int64)
        images = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
        return np.frombuffer(self.tags, np.int32), images, np.repeat(np.array(self.signs, np.int64), lengths)

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


class SufficientStatistics:
    """Sums, image memory, exemplars and vocabulary, kept in step."""

    def __init__(self, dimension: int, memory: ImageMemory, max_exemplars: int) -> None:
        self.dimension = dimension
        self.memory = memory
        self._sums = Sums(dimension)
        self._summing: deque[Future[None]] = deque()
        self.exemplars = ExemplarSet(dimension, max_exemplars)
        self.vocabulary = Vocabulary()
        self._mapping: list[int] | None = None  # row -> what it counts for, -1 for nothing; None: every row for itself

    @property
    def sums(self) -> Sums:
        """The exact sums, once all that was booked is in them."""
        self._wait(0)
        return self._sums

    def _wait(self, left: int) -> None:
        while len(self._summing) > left:
            self._summing.popleft().result()

    def __getstate__(self) -> dict[str, Any]:
        """For `copy.deepcopy`: with all sums in."""
        return {**self.__dict__, "_sums": self.sums, "_summing": deque()}

    def apply(self, examples: Sequence[Example], position: int) -> None:
        """Learn a run of examples; `position` is that of the first. The sums follow on a thread of their own.

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
                before[image_id] = self.share(state) if state.labelled else None
            self._change(state, example, position + index)
        self._book([(states[image_id], old) for image_id, old in before.items()])

    def share(self, state: ImageState) -> Share | None:
        """What the image contributes now; None when it is not labelled."""
        return Share(state.vector or b"", self.tags_of(state)) if state.labelled else None

    def tags_of(self, state: ImageState) -> tuple[int, ...]:
        """Rows the image counts for, ascending."""
        if self._mapping is None:
            return state.tags
        return tuple(sorted({self.effective(row) for row in state.tags} - {-1}))

    def effective(self, row: int) -> int:
        """What a row counts for: itself, the tag it was merged into, or -1 when it was forgotten."""
        return row if self._mapping is None or row >= len(self._mapping) else self._mapping[row]

    def vectors(self, states: Sequence[ImageState]) -> Int16:
        """Quantised vectors [B, D] of images that have one."""
        joined = b"".join(state.vector or b"" for state in states)
        return np.frombuffer(joined, np.int16).reshape(-1, self.dimension)

    def merged(self) -> list[int]:
        """Rows that count for another tag."""
        return [row for row, at in enumerate(self._mapping or ()) if at not in (row, -1)]

    def counting(self, rows: int) -> Int64:
        """Those of the first `rows` rows that count for themselves."""
        free = set(self.vocabulary.free)
        return np.array([row for row in range(rows) if self.effective(row) == row and row not in free], np.int64)

    def hidden(self) -> Bool:
        """Which rows do not count for themselves, or for nothing at present [T]."""
        rows = np.arange(self.sums.rows)
        mapping = rows.copy()
        if self._mapping is not None:
            mapping[: len(self._mapping)] = self._mapping
        result: Bool = mapping != rows
        result[self.vocabulary.free] = True
        return result

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
            return  # no tag of it is parked: it was touched, and a touched image has all its tags back
        if example.vector is not None:
            state.vector = example.vector.tobytes()
        if example.complete is not None:
            state.complete = example.complete
        if example.added or example.removed:
            known = self.vocabulary.known(example.added)
            rows = {self.vocabulary.row(text, position) for text in example.added} if known is None else known
            if state.tags:
                rows.update(state.tags)
            for text in example.removed:
                row = self.vocabulary.find(text)
                if row is not None:
                    rows -= {other for other in rows if self.effective(other) == self.effective(row)}
            state.tags = tuple(sorted(rows))
        self._label(state)

    def _label(self, state: ImageState) -> None:
        tagged = state.complete or state.parked or bool(self.tags_of(state))
        state.labelled = state.vector is not None and tagged

    def remap(self, mapping: list[int]) -> None:
        """Let rows count for others, and move what the images contribute accordingly."""
        old = [self.effective(row) for row in range(len(mapping))]
        changed = {row for row, (a, b) in enumerate(zip(old, mapping, strict=True)) if a != b}
        self.sums.grow(len(self.vocabulary))
        before, after = self._mapping, mapping if any(row != at for row, at in enumerate(mapping)) else None
        self._mapping = after
        if not changed:
            return
        for states in self.memory.batches():
            touched = [state for state in states if not changed.isdisjoint(state.tags)]
            self._mapping = before
            shares = [self.share(state) for state in touched]
            self._mapping = after
            for state in touched:
                self._label(state)
            self._book(list(zip(touched, shares, strict=True)))

    def restore_mapping(self, mapping: list[int]) -> None:
        """Put the mapping back without moving anything: the sums were stored with it."""
        self._mapping = mapping if any(row != at for row, at in enumerate(mapping)) else None

    def exchange(self, image_ids: Sequence[str], old: set[int], new: int) -> dict[str, list[int]]:
        """Let images carry the row `new` instead of any of `old`; returns those that did, with the rows they had."""
        moved: dict[str, list[int]] = {}
        keyed = [(image_hash(image_id), image_id) for image_id in dict.fromkeys(image_ids)]
        states = [state for state in self.memory.fetch(keyed).values() if not old.isdisjoint(state.tags)]
        shares = [self.share(state) for state in states]
        for state in sorted(states, key=lambda state: state.image_id):
            moved[state.image_id] = sorted(old.intersection(state.tags))
            state.tags = tuple(sorted((set(state.tags) - old) | {new}))
            self._label(state)
        self.sums.grow(len(self.vocabulary))
        self._book(list(zip(states, shares, strict=True)))
        return moved

    def exchange_back(self, moved: Mapping[str, Sequence[int]], row: int) -> None:
        """Give images that still carry `row` the rows that `exchange` took."""
        keyed = [(image_hash(image_id), image_id) for image_id in moved]
        states = [state for state in self.memory.fetch(keyed).values() if row in state.tags]
        shares = [self.share(state) for state in states]
        for state in states:
            state.tags = tuple(sorted((set(state.tags) - {row}) | set(moved[state.image_id])))
            self._label(state)
        self._book(list(zip(states, shares, strict=True)))

    def _book(self, touched: list[tuple[ImageState, Share | None]]) -> None:
        changes = _Changes()
        leaving = []
        exemplars, limit = self.exemplars, self.exemplars.limit
        for state, old in touched:
            new = self.share(state)
            if old is not None:
                changes.between(old, new)
            elif new is not None:
                changes.add(new.vector, new.tags, 1, 1)
            if state.hash >= limit and state.hash not in exemplars:
                continue  # nearly all, once the set is full
            if new is None:
                if old is not None and state.hash in exemplars:
                    leaving.append(state.hash)
            elif state.hash in exemplars and old is not None and old.vector == new.vector:
                exemplars.retag(state.hash, new.tags)
            else:
                exemplars.put(state.hash, state.codes, new.tags)
                limit = exemplars.limit
        self._wait(RUNS_AHEAD - 1)
        self._summing.append(_POOL.submit(self._sum, len(self.vocabulary), changes))  # BLAS leaves the interpreter free
        empty = [state.vector is None and not state.tags and not state.complete for state, _ in touched]
        self.memory.write(state for (state, _), gone in zip(touched, empty, strict=True) if not gone)
        gone_keys = [state.key for (state, _), gone in zip(touched, empty, strict=True) if gone]
        self.memory.delete(key for key in gone_keys if key is not None)
        self._leave(leaving)

    def _sum(self, rows: int, changes: _Changes) -> None:
        sums = self._sums
        sums.grow(rows)
        if not changes.vectors:
            return
        vectors = np.frombuffer(b"".join(changes.vectors), np.int16).reshape(-1, self.dimension)
        image_signs = np.array(changes.image_signs)
        for sign in (1, -1):
            part = image_signs == sign
            if part.any():
                sums.add_images(vectors if part.all() else vectors[part], sign)
        sums.add_tags(vectors, *changes.pairs())

    def _leave(self, hashes: list[int]) -> None:
        if not hashes:
            return
        largest = self.exemplars.largest
        was_full = len(self.exemplars) >= self.exemplars.capacity  # now: what came in before may have pushed others out
        for key in hashes:
            self.exemplars.drop(key)
        if was_full:  # otherwise every labelled image was a member
            for state in self.memory.smallest(self.exemplars.capacity - len(self.exemplars), above=largest):
                self.exemplars.put(state.hash, state.codes, self.tags_of(state))
