"""One version of everything learned about tags, as it is served and as it travels: frozen data and nothing else.

What looks tags up in it is in catalogue.py, what predicts with it in predictor.py, its wire form in delta.py.
"""

from dataclasses import dataclass, field

import numpy as np

from models.tagging.arrays import Float32
from models.tagging.calibration.metrics import NOT_EVALUATED, Quality
from models.tagging.evidence.co_occurrence import CoOccurrence
from models.tagging.evidence.metric import no_metric
from models.tagging.evidence.neighbours import NEIGHBOURS
from models.tagging.examples import OperationRow
from models.tagging.memory.chunks import Chunks
from models.tagging.memory.exemplars import Exemplars
from models.tagging.serving.columns import Columns


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One version; to be shared by any threads. T tags, D numbers in an embedding.

    Attributes:
        version: grows with every snapshot of a learner.
        images: labelled images behind it.
        names: of the tags, by row.
        columns: numbers per tag.
        ridge: ridge weights, float32 [T, D].
        exemplars: labelled images that neighbours are looked up among.
        metric: kriging compares images by their `x @ metric`, float32 [D, D].
        co_occurrence: which tags go together.
        implied: pairs of rows (tag, what it implies), in an order in which one pass carries chains through.
        aliases: other spellings and former names, to rows.
        neighbours: how many neighbours give evidence.
        quality: running metrics over all evaluated images.
        operations: what came of every operation on tags, in log order.
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
    quality: Quality = NOT_EVALUATED
    operations: tuple[OperationRow, ...] = ()

    @classmethod
    def empty(cls, dimension: int, neighbours: int = NEIGHBOURS, version: int = 0) -> "Snapshot":
        """A version that knows nothing."""
        nothing = Chunks.of(np.empty((0, dimension), np.float32))
        exemplars = Exemplars(nothing, Chunks.of(np.empty(0, np.int64)), ())
        return cls(version, 0, (), Columns.empty(), nothing, exemplars, no_metric(dimension), neighbours=neighbours)

    @property
    def known(self) -> int:
        """Tags that are served: not those merged away or forgotten."""
        return len(self.names) - int(self.columns.hidden.sum())

    @property
    def dimension(self) -> int:
        """Numbers in an embedding."""
        return int(self.ridge.empty.shape[1])
