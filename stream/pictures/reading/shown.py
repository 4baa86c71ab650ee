"""A picture as a viewer shows it: upright, on white, in sRGB. Runs in the decoding child.

Comes in: bytes, limits, which part of the picture is meant or how large it is to be. Goes out: encoders' squares, or
a thumbnail. Fails with DecodeError and PolicyError.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np

from models.errors import DecodeError
from models.preprocess import DEFAULT, Pixels, Preprocessing, prepared
from models.proposals import Box, propose
from stream.pictures.reading.colour import to_srgb
from stream.pictures.reading.header import Opened, open_picture
from stream.pictures.reading.limits import WHOLE, Crop, Limits
from stream.pictures.reading.pixels import DEEP, decode_errors, read_pixels, rgb_of_bgr

CONTEXT = 0.08  # of a box's side, cut out with it on each side
REGION_SHARE = 4  # a picture is read at so many times the encoder's side, so that its parts are sharp
QUALITY = 80  # of WebP: nobody sees the difference in a small picture
# EXIF orientation -> (transpose, flip left-right, flip top-bottom), in this order
_TURNS = {
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}


def decode(
    data: bytes, limits: Limits = Limits(), crop: Crop = WHOLE, squares: Sequence[Preprocessing] = (DEFAULT,)
) -> tuple[list[Pixels], int, int, str]:
    """The picture or the part `crop` of it as each of `squares`, uint8 [S, S, 3] RGB; its upright size; its format.

    Raises:
        DecodeError: as `open_picture`, and `decode_memory`.
        PolicyError: as `check_header`.
    """
    opened = _open(data, limits)
    header = opened.header
    with decode_errors(header):
        shorter_px = max(how.size_px for how in squares) if crop == WHOLE else None
        pixels = read_pixels(opened, data, shorter_px)
        made = [_in_srgb(_square(pixels, header.orientation, crop, how), opened) for how in squares]
    return [np.ascontiguousarray(square) for square in made], *_upright_size(opened), header.format


def _square(pixels: Pixels, orientation: int, crop: Crop, how: Preprocessing) -> Pixels:
    """BGR [H, W, 3] as stored to the RGB square, upright."""
    if crop == WHOLE and not how.cut:
        return _upright(rgb_of_bgr(prepared(pixels, how)), orientation)  # turning a small one is less work
    upright = _upright(pixels, orientation)
    return prepared(rgb_of_bgr(upright if crop == WHOLE else _cropped(upright, crop)), how)


def thumbnail(data: bytes, limits: Limits, size_px: int) -> tuple[bytes, int, int, str]:
    """The picture as WebP, its longer side `size_px`, or its own where that is less; its upright size; its format.

    Raises:
        DecodeError: as `decode`.
        PolicyError: as `check_header`.
    """
    opened = _open(data, limits)
    width_px, height_px = opened.header.width_px, opened.header.height_px
    scale = min(1.0, size_px / max(width_px, height_px))
    width, height = max(1, round(width_px * scale)), max(1, round(height_px * scale))
    with decode_errors(opened.header):
        pixels = read_pixels(opened, data, math.ceil(min(width_px, height_px) * scale))
        if pixels.shape[:2] != (height, width):
            pixels = np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        small = _in_srgb(_upright(rgb_of_bgr(pixels), opened.header.orientation), opened)
        _, encoded = cv2.imencode(".webp", rgb_of_bgr(small), [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    return encoded.tobytes(), *_upright_size(opened), opened.header.format


def cut_regions(
    data: bytes, limits: Limits, most: int, how: Preprocessing
) -> tuple[list[Box], list[Pixels], int, int, str]:
    """Boxes that may hold objects, and the picture in each as the encoder's square; its upright size; its format.

    Raises:
        DecodeError: as `decode`.
        PolicyError: as `check_header`.
    """
    opened = _open(data, limits)
    with decode_errors(opened.header):
        pixels = read_pixels(opened, data, REGION_SHARE * how.size_px)
        rgb = _upright(rgb_of_bgr(pixels), opened.header.orientation)
        boxes = propose(np.ascontiguousarray(rgb), most)
        parts = [_in_srgb(prepared(_cropped(rgb, _with_context(box)), how), opened) for box in boxes]
    return boxes, parts, *_upright_size(opened), opened.header.format


def _with_context(box: Box) -> Crop:
    """The box and a little of what is around it, inside the picture."""
    left, top, width, height = box
    near_left, near_top = max(0.0, left - CONTEXT * width), max(0.0, top - CONTEXT * height)
    right, bottom = min(1.0, left + (1 + CONTEXT) * width), min(1.0, top + (1 + CONTEXT) * height)
    return near_left, near_top, right - near_left, bottom - near_top


def _open(data: bytes, limits: Limits) -> Opened:
    try:
        return open_picture(data, limits)
    except MemoryError:
        raise DecodeError(
            f"file of {len(data)} bytes: expected to fit in memory; export it again", "decode_memory"
        ) from None


def _in_srgb(rgb: Pixels, opened: Opened) -> Pixels:
    profile = opened.info.get("icc_profile")
    if not profile or opened.mode in ("CMYK", "LAB"):  # of these it was applied to the pixels
        return rgb
    return to_srgb(np.ascontiguousarray(rgb), profile, is_gray=opened.mode in ("1", "L", "LA", *DEEP))


def _upright_size(opened: Opened) -> tuple[int, int]:
    size = (opened.header.width_px, opened.header.height_px)
    return size[::-1] if opened.header.orientation >= 5 else size


def _cropped(image: Pixels, crop: Crop) -> Pixels:
    height, width = image.shape[:2]
    left, top = int(crop[0] * width), int(crop[1] * height)
    right, bottom = round((crop[0] + crop[2]) * width), round((crop[1] + crop[3]) * height)
    return np.ascontiguousarray(image[top : max(bottom, top + 1), left : max(right, left + 1)])


def _upright(square: Pixels, orientation: int) -> Pixels:
    transpose, left_right, top_bottom = _TURNS.get(orientation, (False, False, False))
    if transpose:
        square = square.swapaxes(0, 1)
    if left_right:
        square = square[:, ::-1]
    return square[::-1] if top_bottom else square
