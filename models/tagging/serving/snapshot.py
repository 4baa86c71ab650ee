"""What serving needs of the learner: an immutable version, swapped atomically, safe to use from many threads.

Equal to what the learner itself would say: ridge weights, calibrators gathered from river, and the exemplars.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from models.errors import NotFoundError
from models.tagging.arrays import Float32, Int64
from models.tagging.calibration.calibrators import FLOOR, kriging_slope, prior_of, sigmoid
from models.tagging.calibration.metrics import NOT_JUDGED, Quality
from models.tagging.evidence.backend import NUMPY, Backend, Serving
from models.tagging.evidence.co_occurrence import CoOccurrence
from models.tagging.evidence.metric import no_metric
from models.tagging.evidence.neighbours import NEIGHBOURS, top
from models.tagging.examples import OperationRow
from models.tagging.memory.chunks import Chunks
from models.tagging.memory.exemplars import Exemplars
from models.tagging.memory.implications import ancestors
from models.tagging.memory.names import normalise_tag
from models.tagging.serving import delta as wire
from models.tagging.serving.columns import Columns, TagRow


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One version of everything learned about tags.

    Attributes:
        version: grows with every snapshot of a learner.
        images: labelled images behind it.
        names: of the tags, by row.
        columns: numbers per tag.
        ridge: ridge weights, float32 [T, D].
        exemplars: labelled images that neighbours are looked up among.
        metric: kriging compares images by their `x @ metric`, float32 [D, D].
        co_occurrence: which tags speak for which others.
        implied: pairs of rows (tag, what it implies).
        aliases: other spellings and former names, to rows.
        neighbours: how many neighbours give evidence.
        quality: running figures over all judged images.
        operations: what came of every operation on tags, in log order.
        backend: what predictions are made with.
    """

    version: int
    images: int
    names: tuple[str, ...]
    columns: Columns
    ridge: Chunks
    exemplars: Exemplars
    metric: Float32
    co_occurrence: CoOccurrence = field(default_factory=CoOccurrence.none)
    implied: tuple[tuple[int, int], ...] = ()
    aliases: tuple[tuple[str, int], ...] = ()
    neighbours: int = NEIGHBOURS
    quality: Quality = NOT_JUDGED
    operations: tuple[OperationRow, ...] = ()
    backend: Backend = NUMPY

    @classmethod
    def empty(cls, dimension: int, neighbours: int = NEIGHBOURS, version: int = 0) -> Snapshot:
        """A version that knows nothing."""
        nothing = Chunks.of(np.empty((0, dimension), np.float32))
        exemplars = Exemplars(nothing, Chunks.of(np.empty(0, np.int64)), ())
        return cls(version, 0, (), Columns.empty(), nothing, exemplars, no_metric(dimension), neighbours=neighbours)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def known(self) -> int:
        """Tags that are served: not those merged away or forgotten."""
        return len(self.names) - int(self.columns.hidden.sum())

    @property
    def dimension(self) -> int:
        """Numbers in an embedding."""
        return int(self.ridge.empty.shape[1])

    @cached_property
    def priors(self) -> Float32:
        """Share of the labelled images that carry each tag [T]."""
        return prior_of(self.columns.counts.astype(np.float64), self.images)

    @cached_property
    def _row(self) -> dict[str, int]:
        hidden = self.columns.hidden.tolist()
        return dict(self.aliases) | {name: row for row, name in enumerate(self.names) if not hidden[row]}

    @cached_property
    def hidden(self) -> Int64:
        """Rows of the tags that are not served."""
        return np.flatnonzero(self.columns.hidden | (self.columns.counts == 0))

    def find(self, tag: str) -> int | None:
        """Row of a tag, None if there is no such tag."""
        row = self._row.get(tag)
        return self._row.get(normalise_tag(tag)) if row is None else row

    def row(self, tag: str) -> int:
        """Row of a tag.

        Raises:
            NotFoundError: no such tag.
        """
        row = self.find(tag)
        if row is None:
            raise NotFoundError(f"tag {tag!r}: expected one that was used before; `mekiki tags list` shows them")
        return row

    def weights(self, tag: str) -> Float32:
        """Ridge weights [D] of a tag: as a query they find its images. Raises NotFoundError for an unknown one."""
        found: Float32 = self.ridge.take(np.array([self.row(tag)]))[0]
        return found

    def find_neighbours(self, vectors: Float32) -> Int64:
        """Slots [B, k] in the exemplars of the labelled images most alike to unit vectors [B, D]."""
        return self._serving.find_neighbours(vectors)

    def log_odds(self, vectors: Float32, neighbours: Int64 | None = None) -> Float32:
        """Calibrated log-odds [B, T] of every tag for unit vectors [B, D], with all evidence.

        Args:
            vectors: unit length.
            neighbours: what `find_neighbours` gave for them; looked up when None.
        """
        if not self.names:
            return np.empty((len(vectors), 0), np.float32)
        return self._serving.log_odds(vectors, neighbours)

    @cached_property
    def _serving(self) -> Serving:
        return self.backend.serving(self)

    def _cut(self, vectors: Float32) -> list[Float32]:
        batch = self._serving.batch
        return [vectors[start : start + batch] for start in range(0, len(vectors), batch)]

    @cached_property
    def coefficients(self) -> tuple[Float32, Float32, Float32, Float32]:
        """What the ridge score, the prior within the kriging evidence, and a neighbour's tag add, and the intercept."""
        table = self.columns.table
        slope = kriging_slope(table, self.priors)
        return np.ascontiguousarray(table[:, 0]), slope * self.priors, slope, np.ascontiguousarray(table[:, -1])

    def probabilities(self, vectors: Float32, neighbours: Int64 | None = None) -> Float32:
        """Probabilities [B, T] of every tag for unit vectors [B, D]."""
        result = np.empty((len(vectors), len(self.names)), np.float32)
        batch = self._serving.batch
        for start in range(0, len(vectors), batch):
            part = slice(start, start + batch)
            result[part] = sigmoid(self.log_odds(vectors[part], None if neighbours is None else neighbours[part]))
        return result

    def predict(self, vectors: Float32, limit: int = 10) -> list[list[tuple[str, float]]]:
        """The `limit` most probable tags of each unit vector [B, D], best first."""
        result = []
        for part in self._cut(vectors):
            raw = self.log_odds(part)
            for scores, best in zip(raw, top(raw, min(limit, raw.shape[1])), strict=True):
                probabilities = sigmoid(scores[best])
                pairs = zip(best, probabilities, scores[best], strict=True)
                result.append([(self.names[row], float(p)) for row, p, score in pairs if score > FLOOR])
        return result

    def score(self, tag: str, vectors: Float32) -> Float32:
        """Calibrated probability [B] of one tag for unit vectors [B, D], with all evidence.

        Raises:
            NotFoundError: no such tag.
        """
        rows = [self.row(tag)]
        rows += sorted(ancestors(self.implied, rows[0]))
        best = [self._serving.log_odds_of(rows, part).max(axis=1) for part in self._cut(vectors)]
        return sigmoid(np.concatenate([np.empty(0, np.float32), *best]))

    def tags(self, limit: int | None = None, prefix: str = "") -> list[TagRow]:
        """Tags with this beginning, the most used first."""
        begins = normalise_tag(prefix) if prefix.strip() else ""
        known = [row for row, name in enumerate(self.names) if name.startswith(begins) and not self.columns.hidden[row]]
        counts = self.columns.counts
        known.sort(key=lambda row: (-int(counts[row]), self.names[row]))
        return [self.tag_row(row) for row in known[:limit]]

    def tag_row(self, row: int) -> TagRow:
        """What is known of the tag in a row."""
        of = self.columns
        return TagRow(
            self.names[row],
            int(of.counts[row]),
            int(of.first_seen[row]),
            float(of.quality[row]),
            int(of.drift[row]),
            float(of.thresholds[row]),
        )

    def delta(self, since: Snapshot) -> bytes:
        """What changed after an older version, as safetensors; `since.apply` makes this version of it."""
        return wire.encode(self, since)

    def apply(self, data: bytes) -> Snapshot:
        """The version that a delta since this one leads to.

        Raises:
            CheckpointError: damaged, of a newer format, or a delta since another version.
        """
        return wire.decode(data, self)

    def encoded(self) -> bytes:
        """The whole version as safetensors."""
        return self.delta(Snapshot.empty(self.dimension, self.neighbours))

    def save(self, path: Path) -> None:
        """Write the whole version as one safetensors file, complete or not at all."""
        temporary = path.with_name(f".{path.name}.part")
        temporary.write_bytes(self.encoded())
        temporary.replace(path)

    @classmethod
    def of(cls, data: bytes) -> Snapshot:
        """Read what `encoded` gave.

        Raises:
            CheckpointError: damaged, of a newer format, or a delta.
        """
        return wire.decode(data, None)

    @classmethod
    def load(cls, path: Path) -> Snapshot:
        """Read what `save` wrote; raises as `of` does."""
        return cls.of(path.read_bytes())

    def fingerprint(self) -> str:
        """SHA-256 over the content: equal for equal versions however they came about."""
        return hashlib.sha256(self.encoded()).hexdigest()
