"""What every encoder promises, whatever it runs on.

Comes in: uint8 pictures [B, 224, 224, 3] RGB. Goes out: float32 unit vectors [B, D]. Fails with UsageError on other
arrays.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from models.errors import UsageError

INPUT_SIZE_PX = 224  # what the ImageNet weights were trained on
FEATURES = 2608  # raw numbers of one picture: head 1,280, means and deviations of four middle layers 1,328
MAP_SHAPE = (7, 7, 1280)  # of the last feature map: one column of numbers for each 32 x 32 pixels
NAME = "efficientnet-lite0"

Images = NDArray[np.uint8]
Vectors = NDArray[np.float32]


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
