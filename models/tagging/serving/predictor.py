"""Predictions of one snapshot: which tags images carry, and how probably.

In: a snapshot, and unit vectors of images. Out: probabilities, as the learner itself would give them.
"""

import itertools
from collections.abc import Callable, Sequence
from functools import cached_property, partial

import numpy as np

from models.tagging.arrays import Float32, Int64, slices
from models.tagging.calibration.log_odds import FLOOR, sigmoid
from models.tagging.evidence.backend import NUMPY, Backend, NumpyBackend
from models.tagging.evidence.derived import ExemplarCache
from models.tagging.evidence.neighbours import top
from models.tagging.memory.implications import ancestors
from models.tagging.serving.catalogue import TagCatalogue
from models.tagging.serving.numpy_scorer import NumpyScorer
from models.tagging.serving.scorer import Scorer
from models.tagging.serving.snapshot import Snapshot


class Predictor:
    """Predicts with one snapshot. B images, T tags, D numbers in an embedding.

    Any thread may ask. What is derived from the snapshot is made when it is first needed and never changes after;
    threads that ask for it at once may make it twice.

    Attributes:
        snapshot: what it predicts with.
        catalogue: its tags by name.
    """

    def __init__(self, snapshot: Snapshot, backend: Backend = NUMPY, *, before: "Predictor | None" = None) -> None:
        """Predict with `snapshot` on `backend`.

        `before` is the predictor of an earlier version on the same backend: what did not change is taken from it.
        """
        self.snapshot = snapshot
        self.catalogue = TagCatalogue(snapshot)
        self._backend = backend
        self._make_scorer: Callable[[Snapshot], Scorer] = before._make_scorer if before else _scorer_of(backend)

    @cached_property
    def _scorer(self) -> Scorer:
        return self._make_scorer(self.snapshot)

    def find_neighbours(self, vectors: Float32) -> Int64:
        """Slots [B, k] in the exemplars of the labelled images most similar to unit vectors [B, D]."""
        return self._scorer.find_neighbours(vectors)

    def log_odds(self, vectors: Float32, neighbours: Int64 | None = None) -> Float32:
        """Calibrated log-odds [B, T] of every tag for unit vectors [B, D], with all evidence.

        Args:
            vectors: float32, of length 1.
            neighbours: what `find_neighbours` gave for them; looked up when None.
        """
        if not self.snapshot.names:
            return np.empty((len(vectors), 0), np.float32)
        return self._scorer.log_odds(vectors, neighbours)

    def probabilities(self, vectors: Float32, neighbours: Int64 | None = None) -> Float32:
        """Probabilities [B, T] of every tag; arguments as for `log_odds`."""
        result = np.empty((len(vectors), len(self.snapshot.names)), np.float32)
        for part in slices(len(vectors), self._scorer.batch):
            result[part] = sigmoid(self.log_odds(vectors[part], None if neighbours is None else neighbours[part]))
        return result

    def predict(self, vectors: Float32, limit: int = 10) -> list[list[tuple[str, float]]]:
        """The `limit` most probable tags of each unit vector [B, D] with their probabilities, best first."""
        result = []
        for part in slices(len(vectors), self._scorer.batch):
            raw = self.log_odds(vectors[part])
            for scores, best in zip(raw, top(raw, min(limit, raw.shape[1])), strict=True):
                pairs = zip(best, sigmoid(scores[best]), scores[best], strict=True)
                result.append([(self.snapshot.names[row], float(p)) for row, p, score in pairs if score > FLOOR])
        return result

    def scores(self, tags: Sequence[str], vectors: Float32) -> Float32:
        """Probabilities [N, B] of some tags [N] for unit vectors [B, D], with all evidence.

        Raises:
            NotFoundError: there is no such tag.
            PolicyError: it cannot be one.
        """
        found = [self.catalogue.row(tag) for tag in tags]
        groups = [[row, *sorted(ancestors(self.snapshot.implied, row))] for row in found]
        rows = list(dict.fromkeys(itertools.chain(*groups)))
        raw = np.empty((len(vectors), len(rows)), np.float32)
        for part in slices(len(vectors), self._scorer.batch):
            raw[part] = self._scorer.log_odds_of(rows, vectors[part])
        place = {row: column for column, row in enumerate(rows)}
        return sigmoid(np.stack([raw[:, [place[row] for row in group]].max(axis=1) for group in groups]))

    def score(self, tag: str, vectors: Float32) -> Float32:
        """Probability [B] of one of them; raises as `scores` does."""
        found: Float32 = self.scores([tag], vectors)[0]
        return found

    def __reduce__(self) -> tuple[type["Predictor"], tuple[Snapshot, Backend]]:
        """A copy makes anew what is derived."""
        return Predictor, (self.snapshot, self._backend)


def _scorer_of(backend: Backend) -> Callable[[Snapshot], Scorer]:
    """What makes the scorers of a row of versions; what they share goes from one to the next."""
    if isinstance(backend, NumpyBackend):
        return partial(NumpyScorer, cache=ExemplarCache())
    from models.tagging.evidence.torch_backend import TorchBackend  # late: torch takes a second to import
    from models.tagging.serving.torch_scorer import DeviceCache, TorchScorer

    if not isinstance(backend, TorchBackend):
        raise TypeError(f"backend {backend!r}: expected one of NumPy or torch")
    return partial(TorchScorer, cache=DeviceCache(backend))
