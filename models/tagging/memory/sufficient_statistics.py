"""Examples in, exact state out: what each image contributes to the sums is added once and can be taken back to the bit.

Of a run of examples the image memory is read, the net change of each touched image goes to the sums in bulk, and the
memory and the exemplars follow. How examples are cut into runs changes nothing.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from itertools import chain
from typing import Any

import numpy as np

from models.background import BackgroundThread
from models.errors import EncoderMismatchError
from models.tagging.arrays import Bool, Int16, Int64
from models.tagging.examples import Example
from models.tagging.memory.contributions import Changes, Contribution, contribution_of
from models.tagging.memory.exemplars import ExemplarSet, image_hash
from models.tagging.memory.images import ImageMemory, ImageState
from models.tagging.memory.implications import ImpliedCounts, Pair
from models.tagging.memory.mapping import TagMapping
from models.tagging.memory.sums import Sums
from models.tagging.memory.vocabulary import Vocabulary

RUNS_AHEAD = 2  # runs that may wait to be summed: the few examples of a sample must not wait for thousands before them


class SufficientStatistics:
    """Sums, image memory, exemplars and vocabulary, kept in step; used from the learner's thread alone.

    The sums follow on a thread of their own, which is ended by `close`. Reading `sums` waits for it.

    Attributes:
        mapping: what each row counts for; `remap` changes it.
        remapped: rows whose mapping changed since the store last took them.
    """

    def __init__(self, dimension: int, memory: ImageMemory, max_exemplars: int) -> None:
        self.dimension = dimension
        self.memory = memory
        self.exemplars = ExemplarSet(dimension, max_exemplars)
        self.vocabulary = Vocabulary()
        self.mapping = TagMapping()
        self.remapped: set[int] = set()
        self._implied = ImpliedCounts()
        self._sums = Sums(dimension)
        self._thread = BackgroundThread("tag-sums")
        self._summing: deque[Future[None]] = deque()

    @property
    def sums(self) -> Sums:
        """The exact sums, once all that was learned is in them."""
        self._wait(0)
        return self._sums

    def _wait(self, left: int) -> None:
        while len(self._summing) > left:
            self._summing.popleft().result()

    def __getstate__(self) -> dict[str, Any]:
        """For `copy.deepcopy`: with all sums in."""
        return {**self.__dict__, "_sums": self.sums, "_summing": deque()}

    def close(self) -> None:
        """End the thread."""
        self._thread.close()

    def apply(self, examples: Sequence[Example], position: int) -> None:
        """Learn a run of examples; `position` is that of the first.

        Raises:
            PolicyError: a tag that cannot be one; nothing was learned of the run.
            EncoderMismatchError: a vector of another shape; nothing was learned of the run.
        """
        self._check(examples)
        keyed = [(image_hash(example.image_id), example.image_id) for example in examples]
        states = self.memory.fetch(keyed)
        before: dict[str, Contribution | None] = {}
        for index, (example, (key, image_id)) in enumerate(zip(examples, keyed, strict=True)):
            state = states.get(image_id)
            if state is None:
                state = states[image_id] = ImageState(image_id, key)
            if image_id not in before:
                before[image_id] = contribution_of(state, self.mapping)
            self._change(state, example, position + index)
        self._update([(states[image_id], old) for image_id, old in before.items()])

    def tags_of(self, state: ImageState) -> tuple[int, ...]:
        """Rows the image counts for, ascending."""
        return self.mapping.tags(state.tags)

    def vectors(self, states: Sequence[ImageState]) -> Int16:
        """Quantised vectors [B, D] of images that have one."""
        joined = b"".join(state.vector or b"" for state in states)
        return np.frombuffer(joined, np.int16).reshape(-1, self.dimension)

    def counting(self, rows: int) -> Int64:
        """Those of the first `rows` rows that count for themselves."""
        return np.flatnonzero(~self.hidden(rows))

    def hidden(self, rows: int | None = None) -> Bool:
        """Which of the first `rows` rows, of all if None, do not count for themselves, or have no tag [T]."""
        result = np.zeros(self.sums.rows if rows is None else rows, np.bool_)
        gone = [row for row in chain((row for row, _ in self.mapping), self.vocabulary.free) if row < len(result)]
        result[gone] = True
        return result

    def implied_counts(self, pairs: tuple[Pair, ...]) -> Int64:
        """How many images carry each tag by implication alone [T].

        Other `pairs` than the last time cost a look at every image.
        """
        if pairs != self._implied.pairs:
            self._implied = ImpliedCounts(pairs)
            written = self.mapping.members(self._implied.sources)
            images = self.memory.labelled_tags() if pairs else ()
            self._implied.add(self.mapping.tags(rows) for rows in images if not written.isdisjoint(rows))
        return self._implied.array(self.sums.rows)

    def _check(self, examples: Sequence[Example]) -> None:
        self.vocabulary.check(chain.from_iterable((*example.added, *example.removed) for example in examples))
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
            return  # none of its tags is cold: it was touched, and a touched image has all its tags back
        if example.vector is not None:
            state.vector = example.vector.tobytes()
        if example.complete is not None:
            state.complete = example.complete
        if example.revoked:
            names = self.vocabulary.names
            state.tags = tuple(row for row in state.tags if names[row] not in example.revoked)
        if example.added or example.removed:
            known = self.vocabulary.known(example.added)
            rows = {self.vocabulary.row(text, position) for text in example.added} if known is None else known
            if state.tags:
                rows.update(state.tags)
            for text in example.removed:
                row = self.vocabulary.find(text)
                if row is not None:
                    tag = self.mapping.of(row)
                    rows -= {other for other in rows if self.mapping.of(other) == tag}
            state.tags = tuple(sorted(rows))
        self._label(state)

    def _label(self, state: ImageState) -> None:
        tagged = state.complete or state.cold or bool(self.tags_of(state))
        state.labelled = state.vector is not None and tagged

    def remap(self, mapping: TagMapping) -> None:
        """Let rows count for others, and move what the images contribute accordingly."""
        before, self.mapping = self.mapping, mapping
        changed = before.differing(mapping)
        self.remapped |= changed
        self.sums.grow(len(self.vocabulary))
        if not changed:
            return
        for states in self.memory.batches():
            touched = [state for state in states if not changed.isdisjoint(state.tags)]
            old = [contribution_of(state, before) for state in touched]
            for state in touched:
                self._label(state)
            self._update(list(zip(touched, old, strict=True)))

    def replace_rows(self, image_ids: Sequence[str], old: set[int], new: int) -> dict[str, list[int]]:
        """Let images carry the row `new` instead of any of `old`; returns those that did, with the rows they had."""
        states = {image_id: state for image_id, state in self.known(image_ids).items() if old.intersection(state.tags)}
        moved = {image_id: sorted(old.intersection(states[image_id].tags)) for image_id in sorted(states)}
        self.sums.grow(len(self.vocabulary))
        self._retag(states.values(), lambda state: (set(state.tags) - old) | {new})
        return moved

    def give_rows_back(self, moved: Mapping[str, Sequence[int]], row: int) -> None:
        """Give images that still carry `row` the rows that `replace_rows` took."""
        states = [state for state in self.known(moved).values() if row in state.tags]
        self._retag(states, lambda state: (set(state.tags) - {row}).union(moved[state.image_id]))

    def _retag(self, states: Collection[ImageState], rows_of: Callable[[ImageState], set[int]]) -> None:
        before = [contribution_of(state, self.mapping) for state in states]
        for state in states:
            state.tags = tuple(sorted(rows_of(state)))
            self._label(state)
        self._update(list(zip(states, before, strict=True)))

    def known(self, image_ids: Iterable[str]) -> dict[str, ImageState]:
        """Those of the images that are remembered, by id."""
        return self.memory.fetch([(image_hash(image_id), image_id) for image_id in dict.fromkeys(image_ids)])

    def _update(self, touched: list[tuple[ImageState, Contribution | None]]) -> None:
        """Bring sums, exemplars and image memory up to date with images, given what each contributed before."""
        changes, leaving = Changes(), []
        exemplars, limit = self.exemplars, self.exemplars.limit
        for state, old in touched:
            new = contribution_of(state, self.mapping)
            changes.replace(old, new)
            self._implied.replace(old.tags if old is not None else (), new.tags if new is not None else ())
            if state.hash >= limit and state.hash not in exemplars:
                continue  # nearly all, once the set is full
            if new is None:
                if old is not None and state.hash in exemplars:
                    leaving.append(state.hash)
            elif state.hash in exemplars and old is not None and old.vector == new.vector:
                exemplars.retag(state.hash, new.tags)
            else:
                exemplars.put(state.hash, state.quantised, new.tags)
                limit = exemplars.limit
        self._wait(RUNS_AHEAD - 1)
        rows = len(self.vocabulary)
        self._summing.append(self._thread.submit(changes.add_to, self._sums, rows))  # BLAS leaves the interpreter free
        self._write([state for state, _ in touched])
        self._leave(leaving)

    def _write(self, states: Sequence[ImageState]) -> None:
        """Remember these images; one of which nothing is known any more is forgotten."""
        gone = {state.image_id for state in states if state.vector is None and not state.tags and not state.complete}
        self.memory.write(state for state in states if state.image_id not in gone)
        self.memory.delete(state.key for state in states if state.image_id in gone and state.key is not None)

    def _leave(self, hashes: list[int]) -> None:
        """Take images out of the exemplars, and the next ones in."""
        if not hashes:
            return
        largest = self.exemplars.largest
        was_full = len(self.exemplars) >= self.exemplars.capacity  # now: what came in before may have pushed others out
        for key in hashes:
            self.exemplars.drop(key)
        if was_full:  # otherwise every labelled image was a member
            for state in self.memory.smallest(self.exemplars.capacity - len(self.exemplars), above=largest):
                self.exemplars.put(state.hash, state.quantised, self.tags_of(state))
