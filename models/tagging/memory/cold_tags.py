"""Tags that wait on disk: what a flood of one-off tags costs in memory is bounded, and nothing learned is lost.

A parked tag gives its row to others. Its sums and the few images that carry it stay in the learner's SQLite file, in
the transaction of everything else; the images keep counting as labelled. Its next use, and any change of an image that
carries it, brings it back as it was, to the bit. Both happen at log positions, so that a replay does the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from models.tagging.arrays import Int64
from models.tagging.examples import Example
from models.tagging.memory.exemplars import image_hash
from models.tagging.memory.images import ImageState
from models.tagging.memory.sufficient_statistics import SufficientStatistics

FLOOR = 2  # images: a tag on more of them is never parked
EVERY = 8192  # records between two looks at the budget
ROOM = 0.1  # share of the budget that is made free at once: finding the images reads the whole memory
_BATCH = 512


class ColdTags:
    """Parks tags of a statistics and brings them back."""

    def __init__(self, statistics: SufficientStatistics, budget: int) -> None:
        self._statistics = statistics
        self._budget = budget

    def __len__(self) -> int:
        return int(self._statistics.memory.database.execute("SELECT COUNT(*) FROM parked").fetchone()[0])

    @property
    def _any(self) -> bool:
        return self._statistics.memory.database.execute("SELECT 1 FROM parked LIMIT 1").fetchone() is not None

    def sums(self) -> dict[str, tuple[int, Int64]]:
        """(count, C row [D]) of every parked tag."""
        rows = self._statistics.memory.database.execute("SELECT name, count, sums FROM parked")
        return {name: (count, np.frombuffer(data, np.int64)) for name, count, data in rows}

    def park(self, protected: set[int]) -> list[int]:
        """Park rare tags, those first seen longest ago, when there are more than the budget; returns their rows.

        `protected` rows stay: operations name them.
        """
        words, counts = self._statistics.vocabulary, self._statistics.sums.counts
        too_many = len(words) - len(words.free) - self._budget
        if too_many <= 0:
            return []
        merged = self._statistics.merged()
        stay = (
            protected
            | set(merged)
            | {self._statistics.effective(row) for row in merged}
            | set(words.detached())
            | set(words.free)
        )
        rare = [row for row in np.flatnonzero(counts <= FLOOR).tolist() if row not in stay]
        rare.sort(key=lambda row: (words.first_seen[row], row))
        victims = sorted(rare[: too_many + int(ROOM * self._budget)])
        if victims:
            self._write(victims)
            self._statistics.sums.clear(np.array(victims, np.int64))
            for row in victims:
                words.release(row)
        return victims

    def _write(self, victims: list[int]) -> None:
        words, sums, memory = self._statistics.vocabulary, self._statistics.sums, self._statistics.memory
        memory.database.executemany(
            "INSERT INTO parked VALUES (?, ?, ?, ?)",
            [(words.names[r], words.first_seen[r], int(sums.counts[r]), sums.tags[r].tobytes()) for r in victims],
        )
        leaving = set(victims)
        for states in memory.batches():
            touched = [state for state in states if not leaving.isdisjoint(state.tags)]
            memory.database.executemany(
                "INSERT INTO parked_images VALUES (?, ?)",
                [(words.names[row], state.key) for state in touched for row in state.tags if row in leaving],
            )
            for state in touched:
                state.tags, state.parked = tuple(row for row in state.tags if row not in leaving), True
            self._changed(touched)

    def _changed(self, states: Sequence[ImageState]) -> None:
        self._statistics.memory.write(states)
        for state in states:
            if state.hash in self._statistics.exemplars:
                self._statistics.exemplars.retag(state.hash, self._statistics.tags_of(state))

    def until_wanted(self, examples: Sequence[Example]) -> int:
        """How many of the examples come before the first one that needs a parked tag."""
        if not examples or not self._any:
            return len(examples)
        for start in range(0, len(examples), _BATCH):
            found = self._first_wanted(examples[start : start + _BATCH])
            if found is not None:
                return start + found
        return len(examples)

    def _first_wanted(self, examples: Sequence[Example]) -> int | None:
        names = self._parked_among(name for example in examples for name in (*example.added, *example.removed))
        keyed = [(image_hash(example.image_id), example.image_id) for example in examples]
        carrying = {image_id for image_id, state in self._statistics.memory.fetch(keyed).items() if state.parked}
        for index, example in enumerate(examples):
            if example.image_id in carrying or not names.isdisjoint((*example.added, *example.removed)):
                return index
        return None

    def bring_back(self, example: Example) -> None:
        """Give the tags that an example names, and those on its image, their rows."""
        if not self._any:
            return
        texts = (*example.added, *example.removed)
        names = {self._statistics.vocabulary.spelling(text) for text in self._parked_among(texts)}
        state = self._statistics.memory.fetch([(image_hash(example.image_id), example.image_id)]).get(example.image_id)
        if state is not None and state.parked:
            found = self._statistics.memory.database.execute(
                "SELECT name FROM parked_images WHERE key = ?", (state.key,)
            )
            names |= {name for (name,) in found}
        self._unpark(sorted(names))

    def bring_back_named(self, texts: Iterable[str]) -> None:
        """Give these tags, as written, their rows if they are parked."""
        if not self._any:
            return
        parked = self._parked_among(texts)
        self._unpark(sorted({self._statistics.vocabulary.spelling(text) for text in parked}))

    def _parked_among(self, texts: Iterable[str]) -> set[str]:
        """Those of the texts, as written, whose tag is parked."""
        words = self._statistics.vocabulary
        unknown = [text for text in dict.fromkeys(texts) if words.find(text) is None]
        spelt = {text: words.spelling(text) for text in unknown}
        names = sorted(set(spelt.values()))
        parked: set[str] = set()
        for start in range(0, len(names), _BATCH):
            part = names[start : start + _BATCH]
            marks = ",".join("?" * len(part))
            found = self._statistics.memory.database.execute(f"SELECT name FROM parked WHERE name IN ({marks})", part)
            parked |= {name for (name,) in found}
        return {text for text, name in spelt.items() if name in parked}

    def _unpark(self, names: Sequence[str]) -> None:
        memory, words = self._statistics.memory, self._statistics.vocabulary
        for name in names:
            first_seen, count, data = memory.database.execute(
                "SELECT first_seen, count, sums FROM parked WHERE name = ?", (name,)
            ).fetchone()
            row = words.add(name, first_seen)
            self._statistics.sums.put(row, count, np.frombuffer(data, np.int64))
            keys = [key for (key,) in memory.database.execute("SELECT key FROM parked_images WHERE name = ?", (name,))]
            memory.database.execute("DELETE FROM parked WHERE name = ?", (name,))
            memory.database.execute("DELETE FROM parked_images WHERE name = ?", (name,))
            states = memory.fetch_keys(keys)
            for state in states:
                left = memory.database.execute("SELECT 1 FROM parked_images WHERE key = ? LIMIT 1", (state.key,))
                state.tags, state.parked = tuple(sorted((*state.tags, row))), left.fetchone() is not None
            self._changed(states)
