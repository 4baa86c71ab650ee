"""What every encoder promises, whatever it runs on, and the one door to get one.

Comes in: uint8 pictures [B, 224, 224, 3] RGB. Goes out: float32 unit vectors [B, D]. Fails with UsageError on other
arrays, with ConfigurationError when a package, the weights or the projection is missing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from models.cuda import cuda_is_available
from models.errors import UsageError

INPUT_SIZE_PX = 224  # what the ImageNet weights were trained on
FEATURES = 2608  # raw numbers of one picture: head 1,280, means and deviations of four middle layers 1,328
MAP_SHAPE = (7, 7, 1280)  # of the last feature map: one column of numbers for each 32 x 32 pixels
NAME = "efficientnet-lite0"

Images = NDArray[np.uint8]
Vectors = NDArray[np.float32]
Backend = Literal["auto", "onnx", "torch"]


@runtime_checkable
class Encoder(Protocol):
    """Pictures to vectors. Frozen: the same `version` means the same vectors, within the stated tolerance of a device.

    On one CPU and build a picture's vector is the same to the bit whatever batch it came in, so a replay that cuts its
    batches elsewhere stores the same numbers. Methods may be called from several threads.
    """

    name: str
    version: str
    dimension: int
    device: str

    def embed(self, images: Images) -> Vectors:
        """uint8 [B, 224, 224, 3] RGB -> float32 [B, D], each row of length 1."""
        ...

    def features(self, images: Images) -> Vectors:
        """uint8 [B, 224, 224, 3] RGB -> raw features float32 [B, 2608], before the projection."""
        ...

    def embed_with_regions(self, images: Images) -> tuple[Vectors, Vectors]:
        """Vectors float32 [B, D] and the last feature map float32 [B, 7, 7, 1280] of each picture."""
        ...


class Extractor(Protocol):
    """The network on some device, up to the raw features."""

    device: str

    def extract(self, images: Images) -> Vectors:
        """Checked uint8 [B, 224, 224, 3] -> raw features float32 [B, 2608]."""
        ...

    def extract_with_maps(self, images: Images) -> tuple[Vectors, Vectors]:
        """The same, and the last feature map float32 [B, 7, 7, 1280]."""
        ...


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
        from models.encoders.torch_extractor import TorchExtractor

        return TorchExtractor("cuda" if cuda_is_available() else "cpu")
    from models.encoders.onnx_extractor import OnnxExtractor, cached_graph

    return OnnxExtractor(cached_graph(cache_dir), threads=threads)


def check_images(images: Images) -> Images:
    """The same array, contiguous.

    Raises:
        UsageError: not uint8 [B, 224, 224, 3].
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != (INPUT_SIZE_PX, INPUT_SIZE_PX, 3):
        raise UsageError(
            f"images {images.dtype} {list(images.shape)}: expected uint8 [B, {INPUT_SIZE_PX}, {INPUT_SIZE_PX}, 3]; "
            "use models.preprocess.fit_square"
        )
    return np.ascontiguousarray(images)
