"""Any decoded picture to the encoder's square.

In: uint8 [H, W, 3] RGB of any size. Out: uint8 [224, 224, 3] RGB. Raises UsageError on any other shape or dtype.

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

Pixels = NDArray[np.uint8]


def fit_square(image: Pixels, size_px: int = 224) -> Pixels:
    """The whole picture as uint8 [size_px, size_px, 3], contiguous: area interpolation down, linear up; bars are white.

    Raises:
        UsageError: not uint8 [H, W, 3] with at least one pixel.
    """
    _check(image)
    if max(image.shape[:2]) <= MOST_SQUASHED * min(image.shape[:2]):
        return np.ascontiguousarray(_resized(image, size_px, size_px))
    inside = _part_of_square(image.shape[1], image.shape[0], size_px)
    inner = _resized(image, inside[1].stop - inside[1].start, inside[0].stop - inside[0].start)
    square = np.full((size_px, size_px, 3), 255, np.uint8)
    square[inside] = inner
    return square


def _part_of_square(width_px: int, height_px: int, size_px: int = 224) -> tuple[slice, slice]:
    """Which rows and columns of the square a picture of this size takes; the others are bars."""
    width = max(1, round(size_px * min(1, MOST_SQUASHED * width_px / height_px)))
    height = max(1, round(size_px * min(1, MOST_SQUASHED * height_px / width_px)))
    top, left = (size_px - height) // 2, (size_px - width) // 2
    return slice(top, top + height), slice(left, left + width)


def _resized(image: Pixels, width_px: int, height_px: int) -> Pixels:
    """[H, W, 3] to another size."""
    height, width = image.shape[:2]
    shrunk = (min(width, width_px), min(height, height_px))
    if shrunk != (width, height):
        image = np.asarray(cv2.resize(image, shrunk, interpolation=cv2.INTER_AREA), np.uint8)
    if shrunk != (width_px, height_px):
        image = np.asarray(cv2.resize(image, (width_px, height_px), interpolation=cv2.INTER_LINEAR), np.uint8)
    return image


def _check(image: Pixels) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise UsageError(f"image {image.dtype} {list(image.shape)}: expected uint8 [H, W, 3] RGB; decode it first")
