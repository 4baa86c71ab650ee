"""RankNet on embeddings: learns an order from clicks, of use from the first hundreds of pairs.

In: pairs of vectors with their position in the log. Out: scores, and versions of `PublishedRanker`. Raises
CheckpointError when pairs are missing or a state is not one of ours, UsageError on arrays of wrong shape.

score(x) = (1 - share) w.x + share net(x): a linear part at the optimum of its convex loss, and a small network whose
share stays 0 until it lowers the loss on pairs that neither has learned. Both learn from a bounded reservoir of pairs.

All float work happens in blocks that end at fixed positions of the log, on one thread. So the state after a log is the
same to the bit on one build, whatever batches its pairs came in and wherever it was saved and loaded in between.

Source: Burges et al., Learning to Rank using Gradient Descent, ICML 2005.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from models.errors import CheckpointError, UsageError
from models.ranking.blend import Blend
from models.ranking.linear import fit_linear
from models.ranking.network import RankNetwork
from models.ranking.published import ARRAYS, PublishedRanker, Vectors
from models.ranking.reservoir import PairReservoir

FORMAT = 2  # of the state: raise it whenever an older state cannot be read or would go on with other bits
PAIRS_PER_STEP = 8  # one step of the network for so many new pairs, so each is used about 16 times
_BLOCKS = ((8, 1), (64, 4), (512, 16))  # up to that many pairs, blocks of that length; then of LAST_BLOCK
LAST_BLOCK = 64  # pairs; one click among 500 changes little by itself, and a block takes 20 to 50 ms

Arrays = dict[str, NDArray[Any]]


def block_end(position: int) -> int:
    """Position after the block that the pair at `position` belongs to; the first blocks are one pair long."""
    length = next((length for until, length in _BLOCKS if position < until), LAST_BLOCK)
    return position // length * length + length


class Ranker:
    """Learns from pairs in the order of the log; one thread at a time."""

    def __init__(self, dimension: int, seed: int = 0) -> None:
        self.dimension = dimension
        self.seed = seed
        self.version = 0
        self.pairs_seen = 0
        self._reservoir = PairReservoir(dimension, seed=seed)
        self._linear = torch.zeros(dimension)
        self._network = RankNetwork(dimension, seed)
        self._blend = Blend()
        self._pending: list[tuple[Vectors, Vectors, float]] = []
        self._published: PublishedRanker | None = None
        self._libraries = ThreadpoolController()  # looks for BLAS libraries, which takes milliseconds: once

    @property
    def progressive_accuracy(self) -> float:
        """Share of the last few thousand pairs that were in the right order before they were learned."""
        return self._blend.accuracy

    def learn_many(
        self, preferred: Vectors, over: Vectors, weight: Vectors | None = None, position: int | None = None
    ) -> None:
        """Take pairs in the order of the log.

        Args:
            preferred: vectors that were chosen, float32 [N, D].
            over: vectors that were not, float32 [N, D].
            weight: above 0, float32 [N]; None: 1 each.
            position: how many pairs of the log come before these; None means they follow what was seen. Pairs that
                were seen already are skipped, so reading a part of the log again changes nothing.

        Raises:
            UsageError: wrong shapes, or numbers that are not finite.
            CheckpointError: pairs between those seen and these are missing.
        """
        weight = np.ones(len(preferred), np.float32) if weight is None else weight
        self._check(preferred, over, weight)
        skip = 0 if position is None else self.pairs_seen - position
        if skip < 0:
            raise CheckpointError(
                f"pairs from position {position}: expected to follow {self.pairs_seen}; read the clicks from there"
            )
        for row in range(skip, len(preferred)):
            self._pending.append((preferred[row].astype(np.float32), over[row].astype(np.float32), float(weight[row])))
            self.pairs_seen += 1
            if self.pairs_seen == block_end(self.pairs_seen - 1):
                self._learn_block()

    def published(self) -> PublishedRanker:
        """What can be served now; the same object until the version changes."""
        if self._published is None:
            tensors = zip(ARRAYS, (self._linear, *self._network.parameters), strict=True)
            self._published = PublishedRanker(
                **{name: tensor.numpy().copy() for name, tensor in tensors},
                blend=self._blend.share,
                version=self.version,
                pairs_seen=self.pairs_seen,
                progressive_accuracy=self.progressive_accuracy,
            )
        return self._published

    def state(self) -> tuple[Arrays, dict[str, Any]]:
        """Arrays and plain JSON that `from_state` takes; learning goes on from them with the same bits."""
        arrays: Arrays = {
            "linear": self._linear.numpy().copy(),
            "pending": np.array([pair[:2] for pair in self._pending], np.float32).reshape(-1, 2, self.dimension),
            "pending_weights": np.array([weight for *_, weight in self._pending], np.float64),
            **self._reservoir.state(),
            **self._network.state(),
        }
        document = {
            "format": FORMAT,
            "dimension": self.dimension,
            "seed": self.seed,
            "version": self.version,
            "pairs_seen": self.pairs_seen,
            "steps": self._network.steps,
            "blend": asdict(self._blend),
        }
        return arrays, document

    @classmethod
    def from_state(cls, arrays: Arrays, document: dict[str, Any]) -> "Ranker":
        """The ranker that `state` was called on.

        Raises:
            CheckpointError: another format, or parts are missing.
        """
        if document.get("format") != FORMAT:
            raise CheckpointError(
                f"ranker state of format {document.get('format')}: expected {FORMAT}; run the mekiki that wrote it"
            )
        try:
            ranker = cls(int(document["dimension"]), int(document["seed"]))
            ranker.version = int(document["version"])
            ranker.pairs_seen = int(document["pairs_seen"])
            ranker._linear = torch.tensor(arrays["linear"])
            ranker._reservoir.restore(arrays)
            ranker._network.restore(arrays, int(document["steps"]))
            ranker._blend = Blend(**document["blend"])
            pairs = zip(arrays["pending"], arrays["pending_weights"], strict=True)
            ranker._pending = [(pair[0].copy(), pair[1].copy(), float(weight)) for pair, weight in pairs]
        except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
            raise CheckpointError(f"ranker state: expected all of its parts, {error}; restore a backup") from error
        return ranker

    def _learn_block(self) -> None:
        """Evaluate both parts on the pending pairs, then learn these: test, then train."""
        with self._one_thread(), torch.no_grad():
            self._validate()
            first = self.pairs_seen - len(self._pending)
            for number, (preferred, over, weight) in enumerate(self._pending):
                self._reservoir.add(preferred, over, weight, first + number)
            held = len(self._reservoir)
            vectors, pairs = self._reservoir.vectors, self._reservoir.pairs[:held]
            weights = self._reservoir.weights[:held]
            self._linear = fit_linear(self._linear, vectors, pairs, weights)
            for _ in range(max(1, len(self._pending) // PAIRS_PER_STEP)):
                self._network.step(vectors, pairs, weights)
        self._pending.clear()
        self.version += 1
        self._published = None

    @contextmanager
    def _one_thread(self) -> Iterator[None]:
        """Sums split over threads depend on how many there are; one thread adds up the same way everywhere."""
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with self._libraries.limit(limits=1, user_api="blas"):  # L-BFGS calls it
                yield
        finally:
            torch.set_num_threads(threads)

    def _validate(self) -> None:
        """Margins of both parts on pairs neither has learned."""
        both = torch.tensor(np.stack([vector for pair in self._pending for vector in pair[:2]]))
        linear, network = (
            scores.view(-1, 2).double().numpy() for scores in (both @ self._linear, self._network.score(both))
        )
        weights = np.array([weight for _, _, weight in self._pending])
        self._blend.observe(linear[:, 0] - linear[:, 1], network[:, 0] - network[:, 1], weights)

    def _check(self, preferred: Vectors, over: Vectors, weight: Vectors) -> None:
        shape = (len(preferred), self.dimension)
        if preferred.shape != shape or over.shape != shape or weight.shape != shape[:1]:
            raise UsageError(
                f"pairs {list(preferred.shape)}, {list(over.shape)}, weights {list(weight.shape)}: expected "
                f"[N, {self.dimension}] twice and [N]; embed with the ranker's encoder"
            )
        if not (np.isfinite(preferred).all() and np.isfinite(over).all() and (weight > 0).all()):
            raise UsageError("pairs: expected finite vectors and weights above 0; drop such pairs before")
