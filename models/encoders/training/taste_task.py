"""RankNet's loss as a task of the loop, and how well a network orders what is held out.

In: a module that scores pictures, features or kept maps; a plan with pairs. Out: losses, `Order`. Nothing fails.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.encoders.training.body import to_tensors
from models.encoders.training.data.pictures import Plan
from models.encoders.training.data.preferences import RowPairs, gains_of, split_pairs
from models.encoders.training.data.rows import RowFile
from models.encoders.training.data.split import batches
from models.encoders.training.loop import Batch
from models.evaluate import ndcg_at, pair_accuracy
from models.ranking.linear import ranknet_loss

WATCHED = 100  # best pictures that NDCG looks at
AT_ONCE = 128  # pictures scored at once


@dataclass(frozen=True)
class Order:
    """How well held-out pictures are ordered: share of pairs, NDCG@100."""

    accuracy: float
    ndcg: float


class TasteTask:
    """RankNet's loss of pairs, from pictures, from features or from kept maps."""

    is_even = False  # a batch has as many pictures as its pairs name

    def __init__(self, module: nn.Module, plan: Plan, kept: Sequence[RowFile]) -> None:
        self.module = module
        self._plan, self._kept = plan, kept
        self._learned, self._watched = split_pairs(plan)
        self._device = next(module.parameters()).device

    def steps(self, batch: int) -> int:
        """See Task; a batch is of so many pairs."""
        return -(-len(self._learned) // batch)

    def batches(self, batch: int, chance: np.random.Generator) -> Iterator[Batch]:
        """See Task."""
        for places in batches(len(self._learned), batch, chance):
            yield self._batch(RowPairs(self._learned.rows[places], self._learned.weights[places]))

    def _batch(self, pairs: RowPairs) -> Batch:
        """The pictures that the pairs name, each once; pairs as places among them; weights."""
        rows, flat = np.unique(pairs.rows, return_inverse=True)
        places = torch.from_numpy(flat.reshape(-1, 2)).to(self._device)
        return *self._inputs(rows), places, torch.from_numpy(pairs.weights).to(self._device)

    def _inputs(self, rows: Any) -> tuple[Tensor, ...]:
        parts = [part.read(rows) for part in self._kept]
        return (torch.from_numpy(parts[0]).to(self._device),) if len(parts) == 1 else to_tensors(parts, self._device)

    def loss(self, module: nn.Module, batch: Batch) -> Tensor:
        """See Task."""
        *inputs, pairs, weights = batch
        _, scores = module(*inputs)
        return ranknet_loss(scores.float(), pairs, weights) / weights.sum()

    def evaluate(self, module: nn.Module) -> float:
        """See Task: the mean over held-out pairs."""
        scores = self._scores(module)
        margins = scores[self._watched.rows[:, 0]] - scores[self._watched.rows[:, 1]]
        return float(np.average(np.logaddexp(0, -margins), weights=self._watched.weights))

    @torch.inference_mode()
    def _scores(self, module: nn.Module) -> NDArray[np.float64]:
        """Of the pictures that held-out pairs name, by row; 0 for all others."""
        module.eval()
        scores = np.zeros(len(self._plan.ids))
        rows = np.unique(np.concatenate([self._watched.rows.ravel(), np.array(self._plan.held_out, np.int64)]))
        for start in range(0, len(rows), AT_ONCE):
            some = rows[start : start + AT_ONCE]
            scores[some] = module(*self._inputs(some))[1].float().cpu().numpy()
        return scores

    def order(self, module: nn.Module) -> Order:
        """How well it orders what is held out."""
        scores = self._scores(module)
        rows, gains = gains_of(self._plan)
        accuracy = pair_accuracy(scores[self._watched.rows[:, 0]], scores[self._watched.rows[:, 1]])
        return Order(accuracy, ndcg_at(np.array(gains), scores[rows], WATCHED))
