"""The loop of every training: optimizer, schedule, averaged weights, checkpoints, and an end where nothing is gained.

In: a `Task` and a `Recipe`. Out: `Course`, and the task's module with the best averaged weights. Raises UsageError
(numbers that are not finite), StorageUnavailableError (no room for a checkpoint), CheckpointError.

Everything random in an epoch follows from the seed and its number. So a run that was stopped after any epoch and
started again ends with the weights of one that was not, to the bit on one CPU, build and number of threads.

Source: Loshchilov and Hutter, ICLR 2019 (AdamW) and 2017 (cosine); Polyak and Juditsky 1992 (averages).
"""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from models.encoders.sessions.compiled import Batch, MixedLoss
from models.encoders.training.checkpoint import AVERAGE, BEST, MODULE, Progress, load_checkpoint, save_checkpoint
from models.encoders.training.data.pictures import Report
from models.errors import UsageError

__all__ = ["Batch", "Course", "Recipe", "Task", "device_of", "evaluate", "rate_at", "train"]
GRADIENT_NORM = 5.0  # a batch that would move the weights further is scaled down


@dataclass(frozen=True)
class Recipe:
    """How long and how fast.

    Attributes:
        epochs: at most.
        batch: items in a step.
        rate: of learning, at its highest.
        weight_decay: of AdamW; 0 makes it Adam.
        warm_up: share of the steps in which the rate rises.
        average: decay of the averaged weights.
        patience: epochs without a better held-out loss before it ends; 0: never.
        seed: of everything random.
    """

    epochs: int
    batch: int = 64
    rate: float = 1e-3
    weight_decay: float = 0.01
    warm_up: float = 0.05
    average: float = 0.998
    patience: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Course:
    """How a run went: losses of each epoch, and which epoch's weights were kept, from 0.

    Attributes:
        start: held-out loss before the first step.
    """

    start: float
    losses: tuple[float, ...]
    held_out: tuple[float, ...]
    best: int


class Task(Protocol):
    """What is learned.

    Attributes:
        module: whose weights are trained; on the task's device.
        is_even: whether all batches but the last of a chunk have the same shapes.
    """

    module: nn.Module
    is_even: bool

    def steps(self, batch: int) -> int:
        """Batches of an epoch."""

    def batches(self, batch: int, chance: np.random.Generator) -> Iterator[Batch]:
        """The batches of an epoch, on the task's device."""

    def loss(self, module: nn.Module, batch: Batch) -> Tensor:
        """A scalar."""

    def evaluate(self, module: nn.Module) -> float:
        """Mean loss on what is held out; the module is in inference mode."""


class _Run:
    """Weights, their averages and the best of these, and how far they are."""

    def __init__(self, task: Task, recipe: Recipe) -> None:
        self.task, self.recipe = task, recipe
        self.average = copy.deepcopy(task.module).eval().requires_grad_(False)
        self.best = copy.deepcopy(self.average)
        self.weights = {MODULE: task.module, AVERAGE: self.average, BEST: self.best}
        trained = [parameter for parameter in task.module.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=recipe.rate, weight_decay=recipe.weight_decay, foreach=False)
        self.total = max(1, recipe.epochs * task.steps(recipe.batch))
        self.progress = Progress(0, 0, [], [])

    def epoch(self, run: Callable[[nn.Module, Batch], Tensor], report: Report) -> None:
        """All batches once, then the held-out loss of the averaged weights."""
        seed = self.recipe.seed * 1_000_003 + self.progress.epoch
        losses = []
        with torch.random.fork_rng(), torch.enable_grad():
            torch.manual_seed(seed)
            self.task.module.train()
            for batch in self.task.batches(self.recipe.batch, np.random.default_rng(seed)):
                losses.append(self._step(run(self.task.module, batch)))
                report(f"epoch {self.progress.epoch + 1}", self.progress.step, self.total)
        self._note(float(np.mean(losses)), evaluate(self.task, self.average))

    def _step(self, loss: Tensor) -> float:
        value = float(loss.detach())
        if not math.isfinite(value):
            raise UsageError(
                f"loss {value} in epoch {self.progress.epoch + 1}: expected a finite number; lower --rate, then start "
                "again"
            )
        for group in self.optimizer.param_groups:
            group["lr"] = rate_at(self.progress.step, self.total, self.recipe)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.optimizer.param_groups[0]["params"], GRADIENT_NORM, foreach=False)
        self.optimizer.step()
        self.progress.step += 1
        _follow(self.average, self.task.module, min(self.recipe.average, self.progress.step / (self.progress.step + 9)))
        return value

    def _note(self, loss: float, held_out: float) -> None:
        if not math.isfinite(held_out):
            raise UsageError(f"held-out loss {held_out}: expected a finite number; lower --rate, then start again")
        progress = self.progress
        if progress.best < 0 or held_out < progress.held_out[progress.best]:
            progress.best = progress.epoch
            self.best.load_state_dict(self.average.state_dict())
        progress.losses.append(loss)
        progress.held_out.append(held_out)
        progress.epoch += 1

    @property
    def ended(self) -> bool:
        """Whether nothing more is to be done."""
        waited = self.progress.epoch - 1 - self.progress.best
        return self.progress.epoch >= self.recipe.epochs or 0 < self.recipe.patience <= waited


def train(task: Task, recipe: Recipe, report: Report, *, checkpoint: Path | None = None, run: str = "") -> Course:
    """Train until the recipe says that it is done.

    Args:
        task: what is learned.
        recipe: how.
        report: told of every step.
        checkpoint: file of the run's state, taken over where it is there; None keeps nothing.
        run: fingerprint of the run, so that no other one is gone on with.

    Raises:
        UsageError: a loss is not finite; the module has whatever weights, the checkpoint is one from before.
    """
    state = _Run(task, recipe)
    start = evaluate(task, state.average)
    if checkpoint is not None:
        state.progress = load_checkpoint(checkpoint, run, state.weights, state.optimizer) or state.progress
    compute = _compute(task)
    while not state.ended:
        state.epoch(compute, report)
        if checkpoint is not None:
            save_checkpoint(checkpoint, run, state.progress, state.weights, state.optimizer)
    task.module.load_state_dict(state.best.state_dict())
    task.module.eval()
    progress = state.progress
    return Course(start, tuple(progress.losses), tuple(progress.held_out), progress.best)


def rate_at(step: int, total: int, recipe: Recipe) -> float:
    """The rate of a step: up in a line, then down along half a cosine."""
    warm = max(1, round(recipe.warm_up * total))
    if step < warm:
        return recipe.rate * (step + 1) / warm
    return recipe.rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))


@torch.inference_mode()
def evaluate(task: Task, module: nn.Module) -> float:
    """The task's held-out loss of a module."""
    module.eval()
    return task.evaluate(module)


def device_of(name: str) -> torch.device:
    """`auto`, `cpu` or `cuda` as torch has it.

    Raises:
        UsageError: CUDA is asked for and not there.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise UsageError(f"--device {name}: expected auto, cpu or cuda; leave it out")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise UsageError("--device cuda: expected a GPU that torch can use; take cpu")
    return torch.device("cuda" if available and name != "cpu" else "cpu")


def _compute(task: Task) -> Callable[[nn.Module, Batch], Tensor]:
    """How a loss is computed: plainly on a CPU; channels last, in bfloat16 and maybe compiled on CUDA."""
    if next(task.module.parameters()).device.type != "cuda":
        return task.loss
    task.module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return MixedLoss(task.module, task.loss, compiles=task.is_even)


@torch.no_grad()
def _follow(average: nn.Module, module: nn.Module, decay: float) -> None:
    """Move averaged weights towards the module's; what is no weight (running statistics) is copied."""
    weights = dict(module.named_parameters())
    for name, kept in average.named_parameters():
        kept.lerp_(weights[name], 1 - decay)
    for copied, now in zip(average.buffers(), module.buffers(), strict=True):
        copied.copy_(now)
