"""The tag vector of every image that a learner knows: probabilities over a vocabulary whose ids never move.

In: a tagger, as it is after some prefix of its log. Out: the vocabulary by id, and probabilities [B, V] of its images.
A word gets the next id when it is first used, and keeps it whatever becomes of the tag: a column says how probable is
what the word counts for now. So the vocabulary after a prefix of the log begins the vocabulary after more of it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from models.quantise import dequantise
from models.tagging.arrays import Bool, Float32
from models.tagging.memory.mapping import NOTHING
from models.tagging.tagger import Tagger

BATCH = 1024  # images predicted at once: 120 MB at 30,000 tags
UNWRITABLE = "\0"  # begins the rows that splits need beside; no producer can write one


@dataclass(frozen=True, slots=True)
class TagColumn:
    """One id of the vocabulary.

    Attributes:
        id: the place of its column.
        name: the word as it was first used.
        tag: what it is called now, after renames and merges; empty where it is forgotten.
        counts_for: the id of that tag: its own, unless the word became another name of it.
        state: cold tags wait on disk (memory/cold_tags.py); like forgotten ones they have probability 0.
        first_seen: log position of its first use.
    """

    id: int
    name: str
    tag: str
    counts_for: int | None
    state: Literal["served", "forgotten", "cold"]
    first_seen: int


class VectorBatch(NamedTuple):
    """Some images in the order in which the log brought them.

    Attributes:
        image_ids: B of them.
        labelled: whether the learner counts an image among those it learns from [B].
        probabilities: [B, V] by column.
    """

    image_ids: Sequence[str]
    labelled: Bool
    probabilities: Float32


class TagVectors:
    """What one learner says of its images; the learner must not learn meanwhile.

    Attributes:
        columns: the vocabulary, by id.
    """

    def __init__(self, tagger: Tagger) -> None:
        self._tagger = tagger
        words, mapping = tagger.statistics.vocabulary, tagger.statistics.mapping
        written = [(row, name) for row, name in enumerate(words.names) if name and not name.startswith(UNWRITABLE)]
        # All words of one position come from one record, so the order among them needs no more of the log.
        found: list[tuple[int, str, int | None]] = [(words.first_seen[row], name, row) for row, name in written]
        found += [(first_seen, name, None) for name, first_seen in tagger.cold_tags.first_seen().items()]
        found.sort(key=lambda word: word[:2])
        ids = {row: number for number, (_, _, row) in enumerate(found) if row is not None}
        self._rows = [NOTHING if row is None else mapping.of(row) for _, _, row in found]  # of the snapshot, by id
        self.columns = tuple(
            self._column(number, word, target, ids)
            for number, (word, target) in enumerate(zip(found, self._rows, strict=True))
        )

    def _column(self, number: int, word: tuple[int, str, int | None], target: int, ids: dict[int, int]) -> TagColumn:
        first_seen, name, row = word
        if row is None:
            return TagColumn(number, name, name, number, "cold", first_seen)
        if target == NOTHING:
            return TagColumn(number, name, "", None, "forgotten", first_seen)
        tag = self._tagger.statistics.vocabulary.names[target]
        return TagColumn(number, name, tag, ids[target], "served", first_seen)

    def batches(self, size: int = BATCH) -> Iterator[VectorBatch]:
        """Every image of which the learner knows the vector."""
        for states in self._tagger.statistics.memory.batches(size):
            known = [state for state in states if state.vector is not None]
            if known:
                vectors = dequantise(np.stack([state.quantised for state in known]))
                labelled = np.array([state.labelled for state in known], np.bool_)
                yield VectorBatch([state.image_id for state in known], labelled, self.predict(vectors))

    def predict(self, vectors: Float32) -> Float32:
        """Probabilities [B, V] by column for unit vectors [B, D]."""
        rows = np.array(self._rows, np.int64)
        served = np.flatnonzero(rows != NOTHING)
        probabilities = np.zeros((len(vectors), len(rows)), np.float32)
        probabilities[:, served] = self._tagger.predictor().probabilities(vectors)[:, rows[served]]
        return probabilities
