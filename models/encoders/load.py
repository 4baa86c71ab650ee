"""The encoder that fits this machine: ONNX Runtime on a CPU, torch where there is a GPU; imported when asked for.

The one place that joins a network (efficientnet) with a way to run it (sessions).
"""

from pathlib import Path
from typing import Literal

from models.cuda import cuda_is_available
from models.encoders.base import Encoder, Extractor

Backend = Literal["auto", "onnx", "torch"]


def load_encoder(
    backend: Backend = "auto",
    projection_path: Path | None = None,
    *,
    cache_dir: Path | None = None,
    threads: int | None = None,
) -> Encoder:
    """The encoder that fits this machine.

    Args:
        backend: "auto" takes torch where it finds CUDA, else ONNX Runtime on the CPU.
        projection_path: what `mekiki encoder fit` wrote; None takes the one shipped, fitted on OpenMoji.
        cache_dir: keeps the ONNX graph between runs; None takes ~/.cache/mekiki.
        threads: CPU threads, None takes all this process may use.

    Raises:
        ConfigurationError: weights, projection or packages are missing.
    """
    from models.encoders.projected import ProjectedEncoder
    from models.encoders.projection import SHIPPED, Projection

    projection = Projection.load(projection_path or SHIPPED)
    return ProjectedEncoder(load_extractor(backend, cache_dir=cache_dir, threads=threads), projection)


def load_extractor(
    backend: Backend = "auto", *, cache_dir: Path | None = None, threads: int | None = None
) -> Extractor:
    """The network alone, for fitting a projection; arguments and errors as for `load_encoder`."""
    if backend == "torch" or (backend == "auto" and cuda_is_available()):
        from models.encoders.efficientnet.network import fold_batch_norms, load_network
        from models.encoders.sessions.torch_extractor import TorchExtractor

        return TorchExtractor(fold_batch_norms(load_network()), "cuda" if cuda_is_available() else "cpu")
    from models.encoders.efficientnet.graph_cache import cached_graph
    from models.encoders.sessions.onnx_extractor import OnnxExtractor

    return OnnxExtractor(cached_graph(cache_dir), threads=threads)
