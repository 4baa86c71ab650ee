"""Any decoded picture to the encoder's square, and a hash by which near copies are found.

In: uint8 [H, W, 3] RGB of any size. Out: uint8 [224, 224, 3] RGB, or a 64-bit number. Raises UsageError on any other
shape or dtype.

The whole picture is resized to the square. Bars at its sides would keep the aspect ratio, but they change the mean and
the deviation over space of every middle layer, which is half of the embedding, by the picture's shape and not by what
it shows. A crop loses what is at the edges, and a tag may be about that. The ImageNet weights were trained with aspect
ratios from 3:4 to 4:3, so a moderate change of it does little harm. A panorama of 34:1 would be nothing but stripes: a
picture is squashed threefold at most, and a longer one stands between white bars.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import UsageError

PREPROCESSING = "squash-3-224-area-2"  # part of every encoder version: change it whenever a pixel may change

MOST_SQUASHED = 3  # longer side by shorter, of pictures that fill the square

_HASH_INPUT_PX = 32  # the usual size for a DCT hash: fine detail and noise are gone, layout is left
_HASH_SIDE = 8  # 8 x 8 lowest frequencies are the 64 bits
_MIDDLE = (_HASH_SIDE**2 - 2) // 2  # where the median of 63 numbers stands

Pixels = NDArray[np.uint8]


def fit_square(image: Pixels, size_px: int = 224) -> Pixels:
    """The whole picture as uint8 [size_px, size_px, 3], contiguous: area interpolation down, linear up; bars are white.

    Raises:
        UsageError: not uint8 [H, W, 3] with at least one pixel.
    """
    _check(image)
    height, width = image.shape[:2]
    inner_width = max(1, round(size_px * min(1, MOST_SQUASHED * width / height)))
    inner_height = max(1, round(size_px * min(1, MOST_SQUASHED * height / width)))
    inner = _resized(image, inner_width, inner_height)
    if inner_width == inner_height:
        return np.ascontiguousarray(inner)
    square = np.full((size_px, size_px, 3), 255, np.uint8)
    top, left = (size_px - inner_height) // 2, (size_px - inner_width) // 2
    square[top : top + inner_height, left : left + inner_width] = inner
    return square


def _resized(image: Pixels, width_px: int, height_px: int) -> Pixels:
    """[H, W, 3] or [H, W] to another size."""
    height, width = image.shape[:2]
    shrunk = (min(width, width_px), min(height, height_px))
    if shrunk != (width, height):
        image = np.asarray(cv2.resize(image, shrunk, interpolation=cv2.INTER_AREA), np.uint8)
    if shrunk != (width_px, height_px):
        image = np.asarray(cv2.resize(image, (width_px, height_px), interpolation=cv2.INTER_LINEAR), np.uint8)
    return image


def perceptual_hash(image: Pixels) -> int:
    """64-bit hash of the layout: copies that were resized or compressed again differ in a few bits only.

    Bit i says whether the i-th of the 8 x 8 lowest cosine frequencies of the 32 x 32 gray picture is above their
    median. The constant frequency is left out of the median; its bit is 1 for everything but black.

    Raises:
        UsageError: not uint8 [H, W, 3] with at least one pixel.

    Source: Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010, section 3.2.1.
    """
    _check(image)
    gray = _resized(np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8), _HASH_INPUT_PX, _HASH_INPUT_PX)
    low = np.asarray(cv2.dct(np.asarray(gray, np.float32)))[:_HASH_SIDE, :_HASH_SIDE].ravel()
    bits = low > np.partition(low[1:], _MIDDLE)[_MIDDLE]
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def hash_distance(one: int, other: int) -> int:
    """Number of bits in which two hashes differ, 0 to 64; near copies differ in up to about 6."""
    return (one ^ other).bit_count()


def _check(image: Pixels) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise UsageError(f"image {image.dtype} {list(image.shape)}: expected uint8 [H, W, 3] RGB; decode it first")
