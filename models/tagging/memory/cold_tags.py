"""Cold tags wait on disk: what a flood of one-off tags costs in memory is bounded, and nothing learned is lost.

An evicted tag gives its row to others. Its sums and the few images that carry it stay in the learner's SQLite file, in
the transaction of everything else; the images keep counting as labelled. Its next use, and any change of an image that
carries it, restores it as it was, to the bit. Both happen at log positions, so that learning a log again does the same.
"""

import sqlite3
from collections.abc import Iterable, Sequence

import numpy as np

from models.tagging.arrays import Int64
from models.tagging.examples import Example
from models.tagging.memory import images
from models.tagging.memory.images import ImageState
from models.tagging.memory.names import normalise_tag
from models.tagging.memory.sufficient_statistics import SufficientStatistics

RARE = 2  # images: a tag on more of them is never evicted
EVERY = 8192  # records between two looks at the budget
ROOM = 0.1  # share of the budget that is made free at once: finding the images reads the whole memory
SCHEMA = f"""{images.SCHEMA}
CREATE TABLE IF NOT EXISTS cold_tags (
    name TEXT PRIMARY KEY, first_seen INTEGER NOT NULL, count INTEGER NOT NULL, sums BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cold_tag_images (name TEXT, key INTEGER, PRIMARY KEY (name, key)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS cold_tag_images_key ON cold_tag_images (key);
"""
_BATCH = 512


class ColdTags:
    """Evicts tags from sufficient statistics and restores them."""

    def __init__(self, statistics: SufficientStatistics, budget: int) -> None:
        """`budget` is how many tags may keep their rows."""
        self._statistics = statistics
        self._budget = budget

    @property
    def _database(self) -> sqlite3.Connection:
        return self._statistics.memory.database

    def __len__(self) -> int:
        return int(self._database.execute("SELECT COUNT(*) FROM cold_tags").fetchone()[0])

    @property
    def _any(self) -> bool:
        return self._database.execute("SELECT 1 FROM cold_tags LIMIT 1").fetchone() is not None

    def sums(self) -> dict[str, tuple[int, Int64]]:
        """(count, C row [D]) of every cold tag."""
        rows = self._database.execute("SELECT name, count, sums FROM cold_tags")
        return {name: (count, np.frombuffer(data, np.int64)) for name, count, data in rows}

    def first_seen(self) -> dict[str, int]:
        """Log position of the first use of every cold tag."""
        return dict(self._database.execute("SELECT name, first_seen FROM cold_tags"))

    def evict(self, protected: set[int]) -> list[int]:
        """Evict rare tags, those first seen longest ago, when there are more than the budget; returns their rows.

        `protected` rows stay: operations name them.
        """
        words, counts = self._statistics.vocabulary, self._statistics.sums.counts
        too_many = len(words) - len(words.free) - self._budget
        if too_many <= 0:
            return []
        mapped = {row for pair in self._statistics.mapping for row in pair}
        stay = protected | mapped | words.detached | set(words.free)
        rare = [row for row in np.flatnonzero(counts <= RARE).tolist() if row not in stay]
        rare.sort(key=lambda row: (words.first_seen[row], row))
        rows = sorted(rare[: too_many + int(ROOM * self._budget)])
        if rows:
            self._write(rows)
            self._statistics.sums.clear(np.array(rows, np.int64))
            for row in rows:
                words.release(row)
        return rows

    def _write(self, rows: list[int]) -> None:
        words, sums, memory = self._statistics.vocabulary, self._statistics.sums, self._statistics.memory
        self._database.executemany(
            "INSERT INTO cold_tags VALUES (?, ?, ?, ?)",
            [(words.names[r], words.first_seen[r], int(sums.counts[r]), sums.tags[r].tobytes()) for r in rows],
        )
        leaving = set(rows)
        for states in memory.batches():
            touched = [state for state in states if not leaving.isdisjoint(state.tags)]
            self._database.executemany(
                "INSERT INTO cold_tag_images VALUES (?, ?)",
                [(words.names[row], state.key) for state in touched for row in state.tags if row in leaving],
            )
            for state in touched:
                state.tags, state.cold = tuple(row for row in state.tags if row not in leaving), True
            self._changed(touched)

    def _changed(self, states: Sequence[ImageState]) -> None:
        self._statistics.memory.write(states)
        for state in states:
            if state.hash in self._statistics.exemplars:
                self._statistics.exemplars.retag(state.hash, self._statistics.tags_of(state))

    def apply(self, examples: Sequence[Example], position: int) -> None:
        """Let the statistics learn a run of examples; cold tags that one of them needs are restored just before it.

        Raises as `SufficientStatistics.apply`.
        """
        done = 0
        while done < len(examples):
            self._restore_for(examples[done])
            stop = done + 1 + self._until_wanted(examples[done + 1 :])
            self._statistics.apply(examples[done:stop], position + done)
            done = stop

    def _until_wanted(self, examples: Sequence[Example]) -> int:
        """How many of the examples come before the first one that needs a cold tag."""
        if not examples or not self._any:
            return len(examples)
        for start in range(0, len(examples), _BATCH):
            part = examples[start : start + _BATCH]
            cold = self._cold_among(text for example in part for text in (*example.added, *example.removed))
            known = self._statistics.known(example.image_id for example in part)
            carrying = {image_id for image_id, state in known.items() if state.cold}
            for index, example in enumerate(part, start):
                if example.image_id in carrying or not cold.keys().isdisjoint((*example.added, *example.removed)):
                    return index
        return len(examples)

    def _restore_for(self, example: Example) -> None:
        """Give the tags that an example names, and those on its image, their rows."""
        if not self._any:
            return
        names = set(self._cold_among((*example.added, *example.removed)).values())
        state = self._statistics.known([example.image_id]).get(example.image_id)
        if state is not None and state.cold:
            found = self._database.execute("SELECT name FROM cold_tag_images WHERE key = ?", (state.key,))
            names |= {name for (name,) in found}
        self._restore(sorted(names))

    def restore_named(self, texts: Iterable[str]) -> None:
        """Give these tags, as written, their rows if they are cold."""
        if self._any:
            self._restore(sorted(set(self._cold_among(texts).values())))

    def _cold_among(self, texts: Iterable[str]) -> dict[str, str]:
        """Those of the texts, as written, whose tag is cold, with its name."""
        find = self._statistics.vocabulary.find
        spelt = {text: normalise_tag(text) for text in dict.fromkeys(texts) if find(text) is None}
        names = sorted(set(spelt.values()))
        cold: set[str] = set()
        for start in range(0, len(names), _BATCH):
            part = names[start : start + _BATCH]
            query = f"SELECT name FROM cold_tags WHERE name IN ({','.join('?' * len(part))})"
            cold |= {name for (name,) in self._database.execute(query, part)}
        return {text: name for text, name in spelt.items() if name in cold}

    def _restore(self, names: Sequence[str]) -> None:
        memory, words = self._statistics.memory, self._statistics.vocabulary
        for name in names:
            first_seen, count, data = self._database.execute(
                "SELECT first_seen, count, sums FROM cold_tags WHERE name = ?", (name,)
            ).fetchone()
            row = words.add(name, first_seen)
            self._statistics.sums.put(row, count, np.frombuffer(data, np.int64))
            found = self._database.execute("SELECT key FROM cold_tag_images WHERE name = ?", (name,))
            states = memory.fetch_keys([key for (key,) in found])
            self._database.execute("DELETE FROM cold_tags WHERE name = ?", (name,))
            self._database.execute("DELETE FROM cold_tag_images WHERE name = ?", (name,))
            for state in states:
                left = self._database.execute("SELECT 1 FROM cold_tag_images WHERE key = ? LIMIT 1", (state.key,))
                state.tags, state.cold = tuple(sorted((*state.tags, row))), left.fetchone() is not None
            self._changed(states)
