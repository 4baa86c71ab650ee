"""What every encoder promises, whichever network it has and whatever that runs on.

In: pictures uint8 [B, 224, 224, 3] RGB. Out: unit vectors float32 [B, D]. Raises UsageError on other arrays.
"""

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from models.errors import UsageError

INPUT_SIZE_PX = 224  # what the ImageNet weights were trained on

Images = NDArray[np.uint8]
Vectors = NDArray[np.float32]


@runtime_checkable
class Encoder(Protocol):
    """Pictures to vectors. Frozen: the same `version` means the same vectors, within the stated tolerance of a device.

    On one CPU and build a picture's vector is the same to the bit whatever batch it came in, so a log that is read
    again in other batches gives the same numbers. Methods may be called from several threads.

    Attributes:
        name: of the network.
        version: fingerprint of everything that the vectors depend on but the device.
        dimension: numbers in a vector, D.
        device: "cpu" or "cuda".
    """

    name: str
    version: str
    dimension: int
    device: str

    def embed(self, images: Images) -> Vectors:
        """Unit vectors float32 [B, D] of pictures uint8 [B, 224, 224, 3] RGB; raises UsageError on other arrays."""

    def embed_with_regions(self, images: Images) -> tuple[Vectors, Vectors]:
        """Unit vectors float32 [B, D] and the last feature map float32 [B, 7, 7, C] of such pictures."""


class Extractor(Protocol):
    """A network on some device, up to the raw features. Methods may be called from several threads."""

    device: str

    def extract(self, images: Images) -> Vectors:
        """Raw features float32 [B, F] of checked pictures uint8 [B, 224, 224, 3], B of 1 or more."""

    def extract_with_maps(self, images: Images) -> tuple[Vectors, Vectors]:
        """The same, and the last feature map float32 [B, 7, 7, C]."""


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
