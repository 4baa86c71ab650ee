"""Cuts the face out of a picture, for networks that were trained on faces.

In: uint8 [H, W, 3] RGB. Out: the part with the face, or the whole picture where none is found. Raises
ConfigurationError where the detector is not installed.

The detector knows drawn characters (extra `faces`, animeface); the same one cuts while training and while serving.
"""

import functools
import importlib
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.errors import ConfigurationError

MARGIN = 0.2  # of the face's larger side, left on each side: hair and chin belong to it
Pixels = NDArray[np.uint8]
Box = tuple[int, int, int, int]  # left, top, width, height in pixels
Detector = Callable[[Pixels], Sequence[Box]]


def cut_face(image: Pixels, detect: Detector) -> Pixels:
    """The largest face with a margin, as a square as far as the picture reaches; the picture where there is none."""
    faces = [box for box in detect(image) if box[2] > 0 and box[3] > 0]
    if not faces:
        return image
    left, top, width, height = max(faces, key=lambda box: box[2] * box[3])
    reach = (0.5 + MARGIN) * max(width, height)
    x, y = left + width / 2, top + height / 2
    rows = slice(max(0, round(y - reach)), round(y + reach))
    columns = slice(max(0, round(x - reach)), round(x + reach))
    part = image[rows, columns]
    return np.ascontiguousarray(part) if part.size else image


@functools.cache
def drawn_faces() -> Detector:
    """The detector of drawn characters.

    Raises:
        ConfigurationError: its package is not installed.
    """
    try:
        animeface: Any = importlib.import_module("animeface")
    except ImportError as error:
        raise ConfigurationError(
            "package animeface: expected to be installed for encoders of faces; run: pip install 'mekiki[faces]'"
        ) from error

    def detect(image: Pixels) -> list[Box]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # it asks Pillow in an old way
            faces = animeface.detect(Image.fromarray(image))
        found = [face.face.pos for face in faces]
        return [(box.x, box.y, box.width, box.height) for box in found]

    return detect
