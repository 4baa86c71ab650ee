"""The encoder of a name, as it fits this machine: ONNX Runtime on a CPU, torch where there is a GPU.

The one place that joins a network with a way to run it; what is not needed is not imported.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from safetensors import SafetensorError

from models.cuda import cuda_is_available
from models.encoders.base import Encoder, Extractor
from models.encoders.efficientnet.outputs import VARIANTS
from models.encoders.registry.folders import DEFAULT, PACKAGED, EncoderFolders
from models.encoders.registry.manifest import Manifest
from models.errors import ConfigurationError
from models.faces import drawn_faces

if TYPE_CHECKING:
    from torch import nn

Backend = Literal["auto", "onnx", "torch"]


def load_encoder(
    backend: Backend = "auto",
    name: str = DEFAULT,
    folders: EncoderFolders = EncoderFolders(),
    *,
    cache_dir: Path | None = None,
    threads: int | None = None,
) -> Encoder:
    """The encoder that fits this machine.

    Args:
        backend: "auto" takes torch where it finds CUDA, else ONNX Runtime on the CPU.
        name: of the encoder, see `mekiki encoder list`.
        folders: where encoders are that are not built in.
        cache_dir: keeps the ONNX graph between runs; None takes ~/.cache/mekiki.
        threads: CPU threads, None takes all this process may use.

    Raises:
        ConfigurationError: there is no such encoder, or weights, files or packages of it are missing or damaged.
    """
    from models.encoders.projected import ProjectedEncoder
    from models.encoders.projection import Projection

    manifest = folders.manifest(name)
    extractor = load_extractor(manifest, folders, backend, cache_dir=cache_dir, threads=threads)
    if manifest.projection is None:
        projection = Projection.none(manifest.parts)
    else:
        projection = Projection.load(folders.file(manifest, manifest.projection), sum(manifest.parts))
    return ProjectedEncoder(manifest, extractor, projection)


def load_extractor(
    manifest: Manifest,
    folders: EncoderFolders = EncoderFolders(),
    backend: Backend = "auto",
    *,
    cache_dir: Path | None = None,
    threads: int | None = None,
) -> Extractor:
    """The network alone, up to the raw features; arguments and errors as for `load_encoder`.

    A network that is known as a graph alone runs on the CPU, whatever the backend.
    """
    if manifest.input.cut:
        drawn_faces()  # what is missing is said here, and not by every picture
    if manifest.network in VARIANTS:
        folders.file(manifest, PACKAGED)  # another version of the package has other weights
    wants_torch = backend == "torch" or (backend == "auto" and cuda_is_available())
    if wants_torch and (manifest.torch is not None or manifest.network in VARIANTS):
        return _torch(manifest, folders)
    from models.encoders.sessions.onnx_extractor import OnnxExtractor

    if manifest.network in VARIANTS:
        from models.encoders.efficientnet.graph_cache import cached_graph

        return OnnxExtractor(cached_graph(VARIANTS[manifest.network], cache_dir), threads=threads)
    from models.encoders.registry.compose import composed, read_graph

    path = folders.file(manifest, manifest.network)
    return OnnxExtractor(composed(read_graph(path), manifest.input, manifest.outputs), threads=threads)


def _torch(manifest: Manifest, folders: EncoderFolders) -> Extractor:
    from models.encoders.efficientnet.network import fold_batch_norms, load_network
    from models.encoders.sessions.torch_extractor import TorchExtractor

    device = "cuda" if cuda_is_available() else "cpu"
    network: nn.Module
    if manifest.torch is None:
        network = fold_batch_norms(load_network(VARIANTS[manifest.network]))
    else:
        network = _twin(manifest, folders)
    return TorchExtractor(network, manifest.input.size_px, device)


def _twin(manifest: Manifest, folders: EncoderFolders) -> "nn.Module":
    from safetensors.torch import load_file

    from models.encoders.networks.build import build_network

    assert manifest.torch is not None
    network = build_network(manifest.torch.network, manifest.torch.arguments)
    path = folders.file(manifest, manifest.torch.weights)
    try:
        network.load_state_dict(load_file(path))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise ConfigurationError(
            f"weights {path}: expected those of {manifest.torch.network}; train it again"
        ) from error
    return network
