"""A run that may be stopped at any moment: everything that its next epoch depends on, in one safetensors file.

In: the state of a run after an epoch. Out: the same after a restart; training goes on with the same bits. Raises
StorageUnavailableError (no room: the checkpoint before is there still) and CheckpointError (damaged, another run).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from models.encoders.training.data.files import write_whole
from models.errors import CheckpointError

FORMAT = 1
MODULE, AVERAGE, BEST, OPTIMIZER = "module", "average", "best", "optimizer"


@dataclass
class Progress:
    """How far a run is; plain numbers.

    Attributes:
        epoch: how many are done.
        step: optimizer steps that are done.
        losses: of training, of each epoch.
        held_out: losses on what is held out, of each epoch.
        best: epoch, from 0, with the smallest of these.
    """

    epoch: int
    step: int
    losses: list[float]
    held_out: list[float]
    best: int = -1


def save_checkpoint(
    path: Path, run: str, progress: Progress, weights: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer
) -> None:
    """Write all of it in one step; `weights` are the modules trained, averaged and best, by name.

    Raises:
        StorageUnavailableError: see the module.
    """
    tensors = {f"{of}.{name}": value for of, module in weights.items() for name, value in module.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"{OPTIMIZER}.{number}.{name}": torch.as_tensor(value) for name, value in state.items()}
    facts = {"format": FORMAT, "run": run, "progress": asdict(progress)}
    content = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    write_whole(path, save(content, metadata={"training": json.dumps(facts)}))


def load_checkpoint(
    path: Path, run: str, weights: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer
) -> Progress | None:
    """Take over what `save_checkpoint` wrote; None where there is none.

    Raises:
        CheckpointError: see the module.
    """
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads(file.metadata()["training"])
            if facts["format"] != FORMAT or facts["run"] != run:
                raise CheckpointError(
                    f"checkpoint {path}: expected one of this run; repeat its options, or remove it to start again"
                )
        tensors = load_file(path)
        for of, module in weights.items():
            module.load_state_dict(_below(tensors, of))
        _restore(optimizer, _below(tensors, OPTIMIZER))
        return Progress(**facts["progress"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"checkpoint {path}: expected what was saved, it is damaged; remove it to start again"
        ) from error


def _below(tensors: Mapping[str, Tensor], of: str) -> dict[str, Tensor]:
    return {name.removeprefix(of + "."): value for name, value in tensors.items() if name.startswith(of + ".")}


def _restore(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    document = optimizer.state_dict()
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict(document | {"state": state})
