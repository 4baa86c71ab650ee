"""A device that is none: tensors that compute on the CPU and say that they live elsewhere.

An operation on tensors of two devices is refused as CUDA refuses it, and what leaves the device must be copied. So code
for a GPU shows where it forgot to move something on machines without one; speed and the last bits only a GPU can show.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from models.cuda import cuda_is_available
from models.tagging.evidence.torch_backend import TorchBackend

NO_GPU = pytest.mark.skipif(not cuda_is_available(), reason="no GPU that torch can use")
CUDA = pytest.param("cuda", marks=[NO_GPU, pytest.mark.gpu])
DEVICES = ["cpu", "pretended", CUDA]
DEVICE = "xla:0"  # a type that torch knows and that no build here has, and that needs no driver to be named
_COPIES = ("aten::_to_copy", "aten::copy_")


class Elsewhere(Tensor):
    """A tensor on the pretended device."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> "Elsewhere":
        """Wrap a tensor of the CPU."""
        with torch.inference_mode(False):  # inference tensors of a class of one's own cannot be changed in place
            made: Elsewhere = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
                cls, inner.size(), strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype,
                device="meta",
            )  # fmt: skip
        made.inner = inner
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        """To torch's own code it is `meta`, whose guards every build has."""
        return torch.device(DEVICE)

    def __int__(self) -> int:
        """A single number; torch would ask the driver of the device."""
        return int(self.inner)

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Every operation on one."""
        return _carry_out(func, args, kwargs or {})


class Pretending(TorchDispatchMode):
    """While this is entered, tensors may be made on the device and moved there, on this thread."""

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Every operation at all."""
        return _carry_out(func, args, kwargs or {})


def _carry_out(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    name = func.name().partition(".")[0]
    given = [leaf for leaf in _leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    there = [isinstance(tensor, Elsewhere) for tensor in given]
    if name not in _COPIES and any(there):
        for tensor, is_there in zip(given, there, strict=True):
            if not is_there and tensor.dim():  # a single number may come from the CPU, on CUDA too
                raise RuntimeError(
                    f"{name}: expected all tensors to be on {DEVICE}, found one of {tensor.shape} on cpu"
                )
    wanted = kwargs.get("device")
    kwargs = {key: torch.device("cpu") if key == "device" and value is not None else value
              for key, value in kwargs.items()}  # fmt: skip
    made = func(*_mapped(_inner, args), **_mapped(_inner, kwargs))
    if name.endswith("_") and given and args[0] is given[0]:
        return args[0]  # changed in place
    is_there = (torch.device(wanted).type != "cpu") if wanted is not None else any(there)
    return _mapped(lambda value: _wrapped(value, is_there), made)


def _leaves(values: Any) -> Iterator[Any]:
    """What is in nested containers."""
    if isinstance(values, (tuple, list, dict)):
        for value in values.values() if isinstance(values, dict) else values:
            yield from _leaves(value)
    else:
        yield values


def _mapped(change: Callable[[Any], Any], values: Any) -> Any:
    """Nested containers with each of their leaves changed; named tuples become plain ones."""
    if isinstance(values, dict):
        return {key: _mapped(change, value) for key, value in values.items()}
    if isinstance(values, (tuple, list)):
        made = [_mapped(change, value) for value in values]
        return made if isinstance(values, list) else tuple(made)
    return change(values)


def _inner(value: Any) -> Any:
    return value.inner if isinstance(value, Elsewhere) else value


def _wrapped(value: Any, is_there: bool) -> Any:
    return Elsewhere(value) if is_there and isinstance(value, Tensor) else value


def _pretending(work: Callable[..., Any]) -> Callable[..., Any]:
    def pretend(*args: Any, **kwargs: Any) -> Any:
        with Pretending():
            return work(*args, **kwargs)

    return pretend


class PretendedBackend(TorchBackend):
    """`TorchBackend` on the pretended device, from any thread."""

    def __init__(self) -> None:
        super().__init__(DEVICE)

    inverse = _pretending(TorchBackend.inverse)
    solve = _pretending(TorchBackend.solve)
    centred_times = _pretending(TorchBackend.centred_times)
    scatter = _pretending(TorchBackend.scatter)
    scores = _pretending(TorchBackend.scores)
    similarity = _pretending(TorchBackend.similarity)
    kriging_weights = _pretending(TorchBackend.kriging_weights)


@contextlib.contextmanager
def torch_backend(device: str) -> Iterator[TorchBackend]:
    """The backend of one of DEVICES, for this thread."""
    if device == "pretended":
        with Pretending():
            yield PretendedBackend()
    else:
        yield TorchBackend(device)
