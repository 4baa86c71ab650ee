"""The pixels of a file as they are stored in it, on white. Runs in the decoding child.

Comes in: a file, and what its header says. Goes out: pixels. Fails with DecodeError.

OpenCV decodes the ordinary JPEG, PNG and WebP, in two thirds to nine tenths of Pillow's time; Pillow decodes all else,
and what OpenCV cannot.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageCms

from models.errors import DecodeError
from models.preprocess import Pixels
from stream.pictures.reading.colour import STRIP_ROWS, ink_transform, lab_transform, on_white
from stream.pictures.reading.header import Opened, truncated
from stream.pictures.reading.limits import ImageHeader
from stream.pictures.reading.repairs import mended_png

AnyPixels = np.ndarray[tuple[int, ...], np.dtype[np.uint8 | np.uint16]]

EMPTY_FRAMES = 20  # of an animation are looked at for one that shows something
JPEG_LOST = 0.05  # share of its pixels that a JPEG without end may lack: a viewer hardly shows it
_JPEG_END = b"\xff\xd9"
_JPEG_SCAN = b"\xff\xda"
_FILLED = 128  # of each colour
_REDUCED = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}
_PLAIN = {
    "jpeg": ("L", "RGB"),
    "png": ("L", "LA", "P", "RGB", "RGBA"),
    "webp": ("RGB", "RGBA"),
}  # Pillow's modes of what OpenCV decodes
DEEP = ("I;16", "I;16B", "I;16L", "I;16N")


def read_pixels(opened: Opened, data: bytes, shorter_px: int | None) -> Pixels:
    """The picture as uint8 [H, W, 3] BGR on white, as stored: neither upright nor in the colours of its profile.

    Args:
        opened: what `open_picture` found.
        data: the file.
        shorter_px: a JPEG may be decoded at a reduced size whose shorter side has no less; None: at its own.

    Raises:
        DecodeError: it is damaged; of memory see `decode_errors`.
    """
    pixels = _by_opencv(opened, data, shorter_px)
    return _by_pillow(opened, shorter_px) if pixels is None else pixels


@contextlib.contextmanager
def decode_errors(header: ImageHeader) -> Iterator[None]:
    """Whatever is done with the pixels of a picture inside it.

    Raises:
        DecodeError: `decode_memory`, or OpenCV finds nothing that it can work on.
    """
    try:
        yield
    except (MemoryError, cv2.error) as error:
        raise _translated(error, header) from error


def _by_opencv(opened: Opened, data: bytes, shorter_px: int | None) -> Pixels | None:
    """BGR [H, W, 3] of an ordinary picture; None of any other."""
    header = opened.header
    is_plain = opened.mode in _PLAIN.get(header.format, ()) and header.frames == 1
    if not is_plain or ("transparency" in opened.info and opened.mode != "P"):
        return None
    flags = _flags(header, shorter_px)
    if header.format == "jpeg" and data.find(_JPEG_END, opened.start) < 0:
        return _jpeg_without_end(data, flags)
    pixels = _bgr(_imdecode(data, flags))
    if pixels is None and header.format == "png":
        mended = mended_png(data)
        if mended is None:
            raise DecodeError(f"png of {header.pixels} pixels: damaged; export it again")
        pixels = _bgr(_imdecode(mended, flags))
    return pixels


def _jpeg_without_end(data: bytes, flags: int) -> Pixels | None:
    """What is missing a decoder fills with gray and says nothing; of a progressive JPEG it may be all detail."""
    shown = _bgr(_imdecode(data + _JPEG_END, flags))
    if shown is not None and (not _is_in_last_scan(data) or (shown == _FILLED).all(axis=2).mean() > JPEG_LOST):
        raise truncated(f"jpeg of {len(data)} bytes")
    return shown


def _is_in_last_scan(data: bytes) -> bool:
    """Whether the scan that the file ends in brings the lowest bits."""
    scan = data.rfind(_JPEG_SCAN)
    precision = scan + 7 + 2 * data[scan + 4]
    return precision < len(data) and data[precision] & 0x0F == 0


def _imdecode(data: bytes, flags: int) -> AnyPixels | None:
    found: AnyPixels | None = cv2.imdecode(np.frombuffer(data, np.uint8), flags)  # type: ignore[assignment]
    return found


def _flags(header: ImageHeader, shorter_px: int | None) -> int:
    if header.has_alpha:
        return cv2.IMREAD_UNCHANGED
    if shorter_px and header.format == "jpeg":  # the mean over 2, 4 or 8 pixels, at a tenth of the cost
        for factor, reduced in _REDUCED.items():
            if min(header.width_px, header.height_px) // factor >= shorter_px:
                return reduced | cv2.IMREAD_IGNORE_ORIENTATION
    return cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION


def _bgr(image: AnyPixels | None) -> Pixels | None:
    """Any [H, W] or [H, W, C] that OpenCV gives to uint8 [H, W, 3] on white."""
    if image is None:
        return None
    if image.dtype == np.uint16:
        image = np.asarray(cv2.convertScaleAbs(image, alpha=1 / 257))
    if image.ndim == 2 or image.shape[2] == 1:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), np.uint8)
    return on_white(np.asarray(image, np.uint8)) if image.shape[2] == 4 else np.asarray(image, np.uint8)


def _by_pillow(opened: Opened, shorter_px: int | None) -> Pixels:
    """BGR [H, W, 3] of whatever Pillow reads; strip by strip, since it keeps four bytes a pixel itself."""
    header = opened.header
    try:
        image = opened.picture()
        if shorter_px:
            image.draft(image.mode, (shorter_px, shorter_px))  # of a JPEG, as above
        _seek_something(image, header)
        image.load()
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a codec raises is the file's fault
        raise _unreadable(error, header) from None
    image = _eight_bits(image)
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top, strip in _strips(image):
        pixels[top : top + strip.height] = _strip_bgr(strip, image.info)
    return pixels


def _eight_bits(image: Image.Image) -> Image.Image:
    """Gray of 32 bits as one of 8; what is white no file says: 1 among floats, else what the lightest pixel needs."""
    if image.mode not in ("I", "F"):
        return image
    levels = np.nan_to_num(np.asarray(image, np.float32), posinf=0, neginf=0)
    highest, whites = float(levels.max()), [1.0] * (image.mode == "F") + [255.0, 65_535.0]
    white = next((white for white in whites if highest <= white), highest)
    return Image.fromarray(np.clip(levels * (255 / white), 0, 255).round().astype(np.uint8))


def _seek_something(image: Image.Image, header: ImageHeader) -> None:
    """Go to the first frame that is not transparent all over, or back to the first."""
    if header.frames == 1 or not header.has_alpha:
        return
    for frame in range(min(header.frames, EMPTY_FRAMES)):
        image.seek(frame)
        if image.convert("RGBA").getbbox(alpha_only=True) is not None:
            return
    image.seek(0)


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    for top in range(0, image.height, STRIP_ROWS):
        yield top, image.crop((0, top, image.width, min(top + STRIP_ROWS, image.height)))


def _strip_bgr(strip: Image.Image, info: dict[Any, Any]) -> Pixels:
    if strip.mode in DEEP:
        gray = (np.asarray(strip).astype(np.uint32) * 255 + 32_767) // 65_535
        return np.asarray(cv2.cvtColor(gray.astype(np.uint8), cv2.COLOR_GRAY2BGR), np.uint8)
    transform = lab_transform() if strip.mode == "LAB" else None
    if strip.mode == "CMYK" and "icc_profile" in info:
        transform = ink_transform(info["icc_profile"])
    if transform is not None:
        return rgb_of_bgr(np.asarray(ImageCms.applyTransform(strip, transform)))
    if strip.has_transparency_data:
        return rgb_of_bgr(on_white(np.asarray(strip.convert("RGBA"))))
    return rgb_of_bgr(np.asarray(strip.convert("RGB")))


def rgb_of_bgr(image: Pixels) -> Pixels:
    """RGB of BGR, and the other way round."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def _unreadable(error: Exception, header: ImageHeader) -> DecodeError:
    text = str(error).lower()
    if "memory" in text:
        return _translated(MemoryError(), header)
    if isinstance(error, EOFError) or "truncated" in text:
        return truncated(f"{header.format} of {header.pixels} pixels")
    return DecodeError(f"{header.format} of {header.pixels} pixels: expected a whole picture; export it again")


def _translated(error: MemoryError | cv2.error, header: ImageHeader) -> DecodeError:
    text, code = str(error), getattr(error, "code", 0)
    if not (
        isinstance(error, MemoryError)
        or "Failed to allocate" in text
        or "OutOfMemory" in text
        or code == cv2.Error.StsNoMem
    ):
        return DecodeError(f"{header.format} of {header.pixels} pixels: expected a whole picture; export it again")
    size = f"{header.width_px} x {header.height_px}"
    return DecodeError(
        f"{header.format} of {size} pixels: expected to fit in memory; post a smaller one", "decode_memory"
    )
