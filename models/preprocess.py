"""Any decoded picture to the square that an encoder takes.

In: uint8 [H, W, 3] RGB of any size. Out: uint8 [S, S, 3] RGB. Raises UsageError on any other shape or dtype.

By default the whole picture is resized to the square. Bars at its sides would keep the aspect ratio, but they change
the mean and the deviation over space of every middle layer, which is half of the embedding, by the picture's shape and
not by what it shows. A crop loses what is at the edges, and a tag may be about that. The ImageNet weights were trained
with aspect ratios from 3:4 to 4:3, so a moderate change of it does little harm. A panorama of 34:1 would be nothing but
stripes: a picture is squashed threefold at most, and a longer one stands between white bars.
"""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import UsageError
from models.faces import cut_face, drawn_faces

PIXELS = "area-2"  # part of every encoder version: change it whenever a pixel may change
MOST_SQUASHED = 3  # longer side by shorter, of pictures that fill the square
MARGIN_TOLERANCE = 8  # of 255: how far the rows of a margin may be from the corner's colour
LEAST_LEFT = 0.1  # of each side, when margins are taken away: more would be all of the picture

Pixels = NDArray[np.uint8]
Fit = Literal["squash", "letterbox", "crop"]
Cut = Literal["", "face"]


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes the encoder's square.

    Attributes:
        size_px: side of the square.
        fit: "squash" resizes the whole picture (see the module), "letterbox" keeps the aspect ratio between white
            bars, "crop" takes the square in the middle.
        trim_margins: whether margins of one colour are taken away first.
        cut: "face" takes the largest face of a drawn character, before all else; the whole picture without one.
    """

    size_px: int = 224
    fit: Fit = "squash"
    trim_margins: bool = False
    cut: Cut = ""


DEFAULT = Preprocessing()


def prepared(image: Pixels, how: Preprocessing = DEFAULT) -> Pixels:
    """The picture as uint8 [S, S, 3], contiguous.

    Raises:
        UsageError: not uint8 [H, W, 3] with at least one pixel.
        ConfigurationError: a face is to be cut out, and its detector is not installed.
    """
    _check(image)
    if how.cut == "face":
        image = face_of(image)
    if how.trim_margins:
        image = without_margins(image)
    if how.fit == "crop":
        side = min(image.shape[:2])
        top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
        image = image[top : top + side, left : left + side]
    return fit_square(image, how.size_px, most_squashed=1 if how.fit == "letterbox" else MOST_SQUASHED)


def face_of(image: Pixels) -> Pixels:
    """The largest face as uint8 [224, 224, 3] RGB, found in a picture of this size: as it is learned from."""
    return fit_square(cut_face(fit_square(image), drawn_faces()))


def without_margins(image: Pixels) -> Pixels:
    """The picture [H, W, 3] without rows and columns at its edges that have the colour of its first corner."""
    differs = (np.abs(image.astype(np.int16) - image[0, 0].astype(np.int16)) > MARGIN_TOLERANCE).any(axis=2)
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    height, width = image.shape[:2]
    if not rows.size:
        return image
    inside = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return inside if min(inside.shape[0] / height, inside.shape[1] / width) >= LEAST_LEFT else image


def fit_square(image: Pixels, size_px: int = 224, *, most_squashed: float = MOST_SQUASHED) -> Pixels:
    """The whole picture as uint8 [size_px, size_px, 3], contiguous: area interpolation down, linear up; bars are white.

    Raises:
        UsageError: not uint8 [H, W, 3] with at least one pixel.
    """
    _check(image)
    if max(image.shape[:2]) <= most_squashed * min(image.shape[:2]):
        return np.ascontiguousarray(_resized(image, size_px, size_px))
    inside = _part_of_square(image.shape[1], image.shape[0], size_px, most_squashed)
    inner = _resized(image, inside[1].stop - inside[1].start, inside[0].stop - inside[0].start)
    square = np.full((size_px, size_px, 3), 255, np.uint8)
    square[inside] = inner
    return square


def _part_of_square(width_px: int, height_px: int, size_px: int, most_squashed: float) -> tuple[slice, slice]:
    """Which rows and columns of the square a picture of this size takes; the others are bars."""
    width = max(1, round(size_px * min(1, most_squashed * width_px / height_px)))
    height = max(1, round(size_px * min(1, most_squashed * height_px / width_px)))
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
