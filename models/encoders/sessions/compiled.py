"""Networks compiled for a GPU, or as they are where no compiler works: it needs Triton, gcc and headers of Python.

In: a network, and what it is tried on; batches. Out: a network that gives the same; losses. Nothing fails that the
plain network would not fail at. Only one shape is ever compiled: each other one would cost half a minute.
"""

import logging
import subprocess
from collections.abc import Callable

import torch
from torch import Tensor, nn

Batch = tuple[Tensor, ...]
Loss = Callable[[nn.Module, Batch], Tensor]

NO_COMPILER = (RuntimeError, ImportError, OSError, subprocess.SubprocessError)  # torch wraps most as the first

logger = logging.getLogger(__name__)


def compiled_or_plain(network: nn.Module, trial: Callable[[nn.Module], object]) -> nn.Module:
    """The network compiled for fixed shapes if `trial` goes through with that, else the network itself."""
    try:
        compiled: nn.Module = torch.compile(network, dynamic=False)  # type: ignore[assignment]  # runs as one
        trial(compiled)
    except NO_COMPILER as error:
        logger.warning("torch.compile does not work here (%s): runs uncompiled", str(error).strip()[:200])
        return network
    return compiled


class MixedLoss:
    """A loss in bfloat16 where torch holds that to be enough; the module is compiled for the shape of the first batch.

    Batches of another shape, such as the last of an epoch, go through the module as it is.
    """

    def __init__(self, module: nn.Module, loss: Loss, *, compiles: bool, device_type: str = "cuda") -> None:
        """Compile nothing yet.

        Args:
            module: what is trained, on its device.
            loss: of a module and a batch, a scalar.
            compiles: whether batches have one shape, so that compiling is worth its time.
            device_type: as torch names it.
        """
        self._module, self._loss = module, loss
        self._compiles = compiles
        self._device_type = device_type
        self._shapes: list[torch.Size] = []
        self._fast = module

    def __call__(self, _: nn.Module, batch: Batch) -> Tensor:
        """The loss of a batch; see Task.loss."""
        shapes = [part.shape for part in batch]
        if self._compiles and not self._shapes:
            self._shapes = shapes
            self._fast = compiled_or_plain(self._module, lambda compiled: self._try(compiled, batch))
        return self._of(self._fast if shapes == self._shapes else self._module, batch)

    def _of(self, module: nn.Module, batch: Batch) -> Tensor:
        with torch.autocast(self._device_type, torch.bfloat16):
            return self._loss(module, batch)

    def _try(self, compiled: nn.Module, batch: Batch) -> None:
        """One step there and back that leaves no trace: no gradient, no running statistics, no random number."""
        before = [buffer.clone() for buffer in self._module.buffers()]
        try:
            with torch.random.fork_rng():
                self._of(compiled, batch).backward()  # type: ignore[no-untyped-call]
        finally:
            self._module.zero_grad(set_to_none=True)
            with torch.no_grad():
                for buffer, kept in zip(self._module.buffers(), before, strict=True):
                    buffer.copy_(kept)
