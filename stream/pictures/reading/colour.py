"""Colours as a screen shows them: on white, and in sRGB where a file brings its own profile.

Comes in: pixels, and the bytes of an ICC profile. Goes out: pixels. A profile that nobody can read is as none.
"""

import functools
import io
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageCms

from models.preprocess import Pixels

STRIP_ROWS = 64  # of pictures that are put on white
SAME = 3  # of 255: a profile that moves no colour by more is sRGB under another name
PROFILES = 8  # kept: a folder of pictures has one or two


def on_white(image: Pixels) -> Pixels:
    """uint8 [H, W, 4] with straight alpha last, composited; strip by strip, which needs less memory and time."""
    opaque = np.empty((*image.shape[:2], 3), np.uint8)
    for top in range(0, len(image), STRIP_ROWS):
        strip = image[top : top + STRIP_ROWS]
        colour, alpha = cv2.cvtColor(strip, cv2.COLOR_BGRA2BGR), cv2.extractChannel(strip, 3)
        if alpha.min() < 255:
            weight = cv2.cvtColor(alpha, cv2.COLOR_GRAY2BGR)
            colour = cv2.multiply(colour, weight, scale=1 / 255)  # to the nearest; never a tie, since 255 is odd
            colour = cv2.add(colour, cv2.bitwise_not(weight))
        opaque[top : top + STRIP_ROWS] = colour
    return opaque


def to_srgb(rgb: Pixels, profile: bytes, *, is_gray: bool) -> Pixels:
    """uint8 [H, W, 3] in the colours of a profile of RGB or gray."""
    transform = _transform(profile, "L" if is_gray else "RGB") or _transform(profile, "RGB")
    if transform is None:
        return rgb
    source = Image.fromarray(np.ascontiguousarray(rgb[..., 0] if transform.input_mode == "L" else rgb))
    return np.array(ImageCms.applyTransform(source, transform))


def ink_transform(profile: bytes) -> ImageCms.ImageCmsTransform | None:
    """From CMYK to sRGB; None without a profile that says how."""
    return _transform(profile, "CMYK")


@functools.lru_cache(PROFILES)
def lab_transform() -> ImageCms.ImageCmsTransform:
    """From CIE L*a*b* to sRGB."""
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")


@functools.lru_cache(PROFILES)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """To sRGB, or None where that changes nothing or the profile is of something else."""
    try:
        source: Any = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space.strip() != {"L": "GRAY"}.get(mode, mode):
            return None
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    if mode == "CMYK":
        return transform
    steps = np.arange(0, 256, 51, dtype=np.uint8)
    colours = np.stack(np.meshgrid(steps, steps, steps) if mode == "RGB" else [steps] * 3, axis=-1).reshape(1, -1, 3)
    source_colours = Image.fromarray(np.ascontiguousarray(colours if mode == "RGB" else colours[..., 0]))
    moved = np.asarray(ImageCms.applyTransform(source_colours, transform)).astype(int) - colours
    return transform if np.abs(moved).max() > SAME else None
