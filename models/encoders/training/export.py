"""A trained network as files: a graph for a CPU, weights for torch.

In: a module in inference mode. Out: `network.onnx` with the input `images` uint8 [1, S, S, 3] and the output `features`
float32 [1, F], maybe more; `weights.safetensors`. Raises UsageError for weights that are not finite,
StorageUnavailableError for no room.
"""

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import nn

from models.encoders.base import Images
from models.encoders.registry.manifest import Input, Manifest, Output, TorchTwin
from models.encoders.training.data.files import disk_errors, write_whole
from models.encoders.training.result import Trained
from models.errors import ConfigurationError, UsageError

OPSET = 17  # every ONNX Runtime since 1.15 reads it
GRAPH, WEIGHTS = "network.onnx", "weights.safetensors"


def export_onnx(module: nn.Module, size_px: int, path: Path, outputs: Sequence[str] = ("features",)) -> None:
    """Write a module, pictures uint8 [1, S, S, 3] -> `outputs`, as one file without external data.

    Raises:
        StorageUnavailableError: no room.
    """
    blank = torch.zeros(1, size_px, size_px, 3, dtype=torch.uint8)
    partial = path.with_name(path.name + ".part")
    with disk_errors(path.parent), warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # deprecation of this exporter, and constants that it finds while tracing
        torch.onnx.export(
            module.cpu().eval(), (blank,), str(partial), dynamo=False, opset_version=OPSET,
            input_names=["images"], output_names=list(outputs),
        )  # fmt: skip
        partial.replace(path)


def write_files(module: nn.Module, trained: Trained, folder: Path, documents: Mapping[str, Any]) -> dict[str, Path]:
    """The files of a trained network, written into `folder`, by name: graph, weights, and `documents` as JSON.

    Raises:
        UsageError: a weight is not finite.
        StorageUnavailableError: no room.
    """
    check_finite(module)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        export_onnx(module, trained.size_px, folder / GRAPH, ("features", *trained.outputs))
        write_whole(folder / WEIGHTS, save({k: v.contiguous() for k, v in module.state_dict().items()}))
        for name, document in documents.items():
            write_whole(folder / name, json.dumps(document, ensure_ascii=False, indent=2).encode())
    return {name: folder / name for name in (GRAPH, WEIGHTS, *documents)}


def manifest_of(trained: Trained, name: str) -> Manifest:
    """What a trained network is, as an encoder of that name."""
    return Manifest(
        name=name, about=f"{trained.name}, trained on {trained.training.get('pictures', 0)} pictures", network=GRAPH,
        input=Input(size_px=trained.size_px, cut=trained.cut, layout="nhwc", mean=(0.0,), deviation=(1.0,)),
        outputs=(Output(name="features"),),
        torch=TorchTwin(network=trained.kind, arguments=dict(trained.arguments), weights=WEIGHTS),
        parts=tuple(numbers for _, numbers in trained.features), made_from={"kind": trained.kind, **trained.training},
    )  # fmt: skip


def run_graph(path: Path, images: Images, outputs: Sequence[str]) -> list[NDArray[Any]]:
    """What a graph of ours says of pictures uint8 [N, S, S, 3]: arrays [N, ...] for these outputs.

    Raises:
        ConfigurationError: it is no graph of ours, or takes pictures of another size.
    """
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        found = [session.run(list(outputs), {"images": image[None]}) for image in images]
    except Exception as error:
        raise ConfigurationError(f"graph {path}: expected one of ours; train it again") from error
    return [np.concatenate(part) for part in zip(*found, strict=True)]


def check_finite(module: nn.Module) -> None:
    """Refuse weights that nothing can be computed with.

    Raises:
        UsageError: a weight is NaN or infinite.
    """
    for name, value in module.state_dict().items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise UsageError(f"weights {name}: expected finite numbers; lower --rate and train again")
