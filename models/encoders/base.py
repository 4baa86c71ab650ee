"""What every encoder promises, whichever network it has and whatever that runs on.

In: pictures uint8 [B, S, S, 3] RGB. Out: raw features uint8 [B, R], and unit vectors float32 [B, D] made of them.
Raises UsageError on other arrays.
"""

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from models.errors import UsageError
from models.preprocess import Preprocessing

Images = NDArray[np.uint8]
Raw = NDArray[np.uint8]
Vectors = NDArray[np.float32]


@runtime_checkable
class Encoder(Protocol):
    """Pictures to vectors. Frozen: the same `version` means the same vectors, within the stated tolerance of a device.

    On one CPU and build a picture's vector is the same to the bit whatever batch it came in, so a log that is read
    again in other batches gives the same numbers. Methods may be called from several threads.

    Attributes:
        name: of the encoder.
        version: fingerprint of everything that the vectors depend on but the device.
        network_version: the same of the raw features: encoders that share it differ in their projection alone.
        dimension: numbers in a vector, D.
        raw_bytes: bytes of a picture's raw features, R.
        preprocessing: how a picture becomes the square that `encode` takes.
        device: "cpu" or "cuda".
    """

    name: str
    version: str
    network_version: str
    dimension: int
    raw_bytes: int
    preprocessing: Preprocessing
    device: str

    def encode(self, images: Images) -> Raw:
        """Raw features uint8 [B, R] of pictures uint8 [B, S, S, 3] RGB, see models.encoders.raw_features.

        Raises:
            UsageError: other arrays.
            PolicyError: the network overflows on a picture.
        """

    def project(self, raw: Raw) -> Vectors:
        """Unit vectors float32 [B, D] of raw features; raises UsageError on those of another network."""

    def embed(self, images: Images) -> Vectors:
        """Both of them: unit vectors float32 [B, D] of pictures; raises as they do."""

    def embed_with_regions(self, images: Images) -> tuple[Vectors, Vectors]:
        """Unit vectors float32 [B, D] and the last feature map float32 [B, H, W, C]; raises as `embed`."""


class Extractor(Protocol):
    """A network on some device, up to the raw features. Methods may be called from several threads."""

    device: str

    def extract(self, images: Images) -> Vectors:
        """Raw features float32 [B, F] of checked pictures uint8 [B, S, S, 3], B of 1 or more."""

    def extract_with_maps(self, images: Images) -> tuple[Vectors, Vectors]:
        """The same, and the last feature map float32 [B, H, W, C]; raises UsageError where the network has none."""


def check_images(images: Images, size_px: int) -> Images:
    """The same array, contiguous.

    Raises:
        UsageError: not uint8 [B, size_px, size_px, 3].
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != (size_px, size_px, 3):
        raise UsageError(
            f"images {images.dtype} {list(images.shape)}: expected uint8 [B, {size_px}, {size_px}, 3]; "
            "use models.preprocess.prepared"
        )
    return np.ascontiguousarray(images)
