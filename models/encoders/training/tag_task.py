"""Cross-entropy of tags as a task of the loop, and how well a network says the tags of what is held out.

In: a module that takes features or kept maps; a plan with tags. Out: losses, mAP. Nothing fails.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.encoders.networks.losses import asymmetric_loss, tag_loss
from models.encoders.training.body import to_tensors
from models.encoders.training.data.pictures import Plan
from models.encoders.training.data.rows import RowFile
from models.encoders.training.data.split import CHUNK, batches, chunks
from models.encoders.training.loop import Batch
from models.evaluate import macro_average_precision

AT_ONCE = 128  # pictures evaluated at once


class Truth:
    """Which tags the rows of a plan have."""

    def __init__(self, plan: Plan) -> None:
        self._carried = [np.array(of_one, np.int64) for of_one in plan.labels["carried"]]
        self.count = len(plan.labels["names"])

    def of(self, rows: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float32]:
        """float32 [n, T], 0 or 1."""
        truth = np.zeros((len(rows), self.count), np.float32)
        for place, row in enumerate(rows):
            truth[place, self._carried[row]] = 1
        return truth


class TagTask:
    """Cross-entropy of tags, from features or from kept maps."""

    is_even = True

    def __init__(self, module: nn.Module, plan: Plan, kept: Sequence[RowFile], truth: Truth, asymmetric: bool) -> None:
        self.module = module
        self._plan, self._kept, self._truth = plan, kept, truth
        self._loss = asymmetric_loss if asymmetric else tag_loss
        self._device = next(module.parameters()).device

    def steps(self, batch: int) -> int:
        """See Task."""
        full, rest = divmod(len(self._plan.training), CHUNK)
        return full * -(-CHUNK // batch) + -(-rest // batch)

    def batches(self, batch: int, chance: np.random.Generator) -> Iterator[Batch]:
        """See Task."""
        for chunk in chunks(self._plan.training, chance):
            parts = [part.read(chunk) for part in self._kept]
            for places in batches(len(chunk), batch, chance):
                yield self._batch([part[places] for part in parts], chunk[places])

    def _batch(self, parts: list[Any], rows: Any) -> Batch:
        truth = torch.from_numpy(self._truth.of(rows)).to(self._device)
        if len(parts) == 1:
            return torch.from_numpy(parts[0]).to(self._device), truth
        return *to_tensors(parts, self._device), truth

    def loss(self, module: nn.Module, batch: Batch) -> Tensor:
        """See Task."""
        *inputs, truth = batch
        _, log_odds = module(*inputs)
        return self._loss(log_odds.float(), truth)

    def _held_out(self) -> Iterator[Batch]:
        apart = self._plan.held_out
        for start in range(0, len(apart), AT_ONCE):
            rows = apart[start : start + AT_ONCE]
            yield self._batch([part.read(rows) for part in self._kept], rows)

    def evaluate(self, module: nn.Module) -> float:
        """See Task."""
        losses = [(float(self.loss(module, batch)), len(batch[-1])) for batch in self._held_out()]
        return sum(loss * count for loss, count in losses) / len(self._plan.held_out)

    @torch.inference_mode()
    def mean_average_precision(self, module: nn.Module) -> float:
        """mAP on what is held out; 0 where no tag of the vocabulary is."""
        module.eval()
        found = [(module(*batch[:-1])[1].cpu().numpy(), batch[-1].cpu().numpy() > 0) for batch in self._held_out()]
        scores, truth = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return float(np.nan_to_num(macro_average_precision(truth, scores)))
