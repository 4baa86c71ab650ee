"""A file to an encoder's square, as a viewer shows it: upright, on white, in sRGB. Runs in the decoding child.

Comes in: bytes, limits, which part of the picture is meant. Goes out: pixels. Fails with DecodeError and PolicyError.

OpenCV decodes the ordinary JPEG, PNG and WebP, in two thirds to nine tenths of Pillow's time; Pillow decodes all else,
and what OpenCV cannot.
"""

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageCms

from models.errors import DecodeError
from models.preprocess import Pixels, fit_square
from stream.pictures.reading.colour import STRIP_ROWS, ink_transform, lab_transform, on_white, to_srgb
from stream.pictures.reading.header import Opened, open_picture, truncated
from stream.pictures.reading.limits import SIZE_PX, WHOLE, Crop, ImageHeader, Limits
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
_DEEP = ("I;16", "I;16B", "I;16L", "I;16N")
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


def decode(data: bytes, limits: Limits = Limits(), crop: Crop = WHOLE) -> tuple[Pixels, int, int, str]:
    """The picture or the part `crop` of it as uint8 [224, 224, 3] RGB; its upright size; its format.

    Raises:
        DecodeError: as `open_picture`, and `decode_memory`.
        PolicyError: as `check_header`.
    """
    try:
        opened = open_picture(data, limits)
    except MemoryError:
        raise DecodeError(
            f"file of {len(data)} bytes: expected to fit in memory; export it again", "decode_memory"
        ) from None
    header = opened.header
    try:
        pixels = _by_opencv(opened, data, may_reduce=crop == WHOLE)
        if pixels is None:
            pixels = _by_pillow(opened, may_reduce=crop == WHOLE)
        square = _square(pixels, header, crop)
    except (MemoryError, cv2.error) as error:
        raise _translated(error, header) from error
    profile = opened.info.get("icc_profile")
    if profile and opened.mode not in ("CMYK", "LAB"):
        square = to_srgb(square, profile, is_gray=opened.mode in ("1", "L", "LA", *_DEEP))
    size = (header.width_px, header.height_px)
    width_px, height_px = size[::-1] if header.orientation >= 5 else size
    return np.ascontiguousarray(square), width_px, height_px, header.format


def _square(pixels: Pixels, header: ImageHeader, crop: Crop) -> Pixels:
    """BGR [H, W, 3] as stored to the RGB square, upright."""
    if crop == WHOLE:
        return _upright(_rgb(fit_square(pixels, SIZE_PX)), header.orientation)
    return _rgb(fit_square(_cropped(_upright(pixels, header.orientation), crop), SIZE_PX))


def _by_opencv(opened: Opened, data: bytes, *, may_reduce: bool) -> Pixels | None:
    """BGR [H, W, 3] of an ordinary picture; None of any other."""
    header = opened.header
    is_plain = opened.mode in _PLAIN.get(header.format, ()) and header.frames == 1
    if not is_plain or ("transparency" in opened.info and opened.mode != "P"):
        return None
    flags = _flags(header, may_reduce=may_reduce)
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


def _flags(header: ImageHeader, *, may_reduce: bool) -> int:
    if header.has_alpha:
        return cv2.IMREAD_UNCHANGED
    if may_reduce and header.format == "jpeg":  # the mean over 2, 4 or 8 pixels, at a tenth of the cost
        for factor, reduced in _REDUCED.items():
            if min(header.width_px, header.height_px) // factor >= SIZE_PX:
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


def _by_pillow(opened: Opened, *, may_reduce: bool) -> Pixels:
    """BGR [H, W, 3] of whatever Pillow reads; strip by strip, since it keeps four bytes a pixel itself."""
    header = opened.header
    try:
        image = opened.picture()
        if may_reduce:
            image.draft(image.mode, (SIZE_PX, SIZE_PX))  # of a JPEG, as above
        _seek_something(image, header)
        image.load()
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a codec raises is the file's fault
        raise _unreadable(error, header) from None
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top, strip in _strips(image):
        pixels[top : top + strip.height] = _strip_bgr(strip, image.info)
    return pixels


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
    if strip.mode in _DEEP:
        gray = (np.asarray(strip).astype(np.uint32) * 255 + 32_767) // 65_535
        return np.asarray(cv2.cvtColor(gray.astype(np.uint8), cv2.COLOR_GRAY2BGR), np.uint8)
    transform = lab_transform() if strip.mode == "LAB" else None
    if strip.mode == "CMYK" and "icc_profile" in info:
        transform = ink_transform(info["icc_profile"])
    if transform is not None:
        return _rgb(np.asarray(ImageCms.applyTransform(strip, transform)))
    if strip.has_transparency_data:
        return _rgb(on_white(np.asarray(strip.convert("RGBA"))))
    return _rgb(np.asarray(strip.convert("RGB")))


def _rgb(image: Pixels) -> Pixels:
    """RGB of BGR, and the other way round."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


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
