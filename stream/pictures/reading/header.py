"""What a file says about its picture before a pixel of it is decoded; read by Pillow, in the decoding child.

Comes in: the bytes of a file. Goes out: `Opened`. Fails with DecodeError (`empty`, `not_an_image`, `truncated`,
`unsupported_format`) and PolicyError (see `check_header`).

HEIC and JPEG XL are read by packages of the extra `formats`: one brings a decoder under the LGPL, the other is young.
"""

import importlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PIL import Image, PngImagePlugin
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from models.errors import DecodeError
from stream.pictures.reading.bitmap import masked_size, read_masked
from stream.pictures.reading.chunks import Notes, read_png, read_webp
from stream.pictures.reading.limits import ImageHeader, Limits, check_header
from stream.pictures.reading.repairs import bare_jpeg

PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY  # long descriptions are no reason to refuse a picture

_FORMATS = "JPEG, PNG, GIF, WebP, BMP, TIFF, AVIF, HEIC or JPEG XL"
_MAGICS = {
    b"\xff\xd8\xff": "jpeg",
    b"\x89PNG\r\n\x1a\n": "png",
    b"GIF87a": "gif",
    b"GIF89a": "gif",
    b"RIFF": "webp",
    b"BM": "bmp",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
    b"II+\0": "tiff",  # for files beyond 4 GB, and written for small ones too
    b"MM\0+": "tiff",
    b"\xff\x0a": "jxl",
    b"\0\0\0\x0cJXL \r\n\x87\n": "jxl",
}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_READERS: dict[str, Callable[..., ImageFile]] = {
    "jpeg": JpegImageFile,
    "gif": GifImageFile,
    "bmp": BmpImageFile,
    "tiff": TiffImageFile,
    "avif": AvifImageFile,
}
_CHUNKED: dict[str, tuple[Callable[[bytes], Notes], Callable[..., ImageFile]]] = {
    "png": (read_png, PngImageFile),
    "webp": (read_webp, WebPImageFile),
}
_EXTRA = {"heic": ("pi_heif", "HeifImageFile"), "jxl": ("pylibjxl.pillow_plugin", "JxlImageFile")}  # module, reader
_COUNTED = ("gif", "avif")  # formats of animations
_UPRIGHT = ("tiff", "heic", "jxl")  # Pillow or the codec turns them itself
_ORIENTATION_TAG = 0x0112
_JPEG_SCAN = b"\xff\xda"


@dataclass(frozen=True)
class Opened:
    """A picture, not yet decoded.

    Attributes:
        header: within the limits.
        mode: Pillow's, of the pixels as stored.
        info: what stands beside the pixels, by Pillow's names.
        start: where the pixels of a JPEG begin.
        picture: Pillow's, on demand.
    """

    header: ImageHeader
    mode: str
    info: dict[Any, Any]
    start: int
    picture: Callable[[], Image.Image]


def open_picture(data: bytes, limits: Limits = Limits()) -> Opened:
    """The picture in a file.

    Raises:
        DecodeError: `empty`, `not_an_image` (no format we read, or nonsense inside), `truncated` (ends too early),
            `unsupported_format` (a known one that we do not read, or not without another package).
        PolicyError: as `check_header`.
    """
    name = _format(data)
    try:
        opened = _open_chunks(data, name) if name in _CHUNKED else _open(data, name, limits)
    except (DecodeError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever a reader raises is the file's fault
        what = f"{name} of {len(data)} bytes"
        if isinstance(error, EOFError) or "truncated" in str(error).lower():
            raise truncated(what) from None
        raise DecodeError(f"{what}: expected {_FORMATS}; export it again", "not_an_image") from None
    check_header(opened.header, limits)
    return opened


def truncated(what: str) -> DecodeError:
    """The error for a file whose end is missing."""
    return DecodeError(f"{what}: ends before its picture does; post it again", "truncated")


def _format(data: bytes) -> str:
    if not data:
        raise DecodeError("file of 0 bytes: expected a picture; post it again", "empty")
    name = next((name for magic, name in _MAGICS.items() if data.startswith(magic)), None)
    if name is None and data[4:8] == b"ftyp":
        name = _isobmff_format(data)
    if name is not None:
        return name
    start = data[:4096].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith(b"<") and b"<svg" in start:
        raise DecodeError(f"SVG drawing: expected {_FORMATS}; export it as PNG", "unsupported_format")
    raise DecodeError(f"file starting with {data[:8]!r}: expected {_FORMATS}; convert it", "not_an_image")


def _isobmff_format(data: bytes) -> str | None:
    length = min(int.from_bytes(data[:4], "big"), 256)
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, length, 4))}
    if brands & {b"avif", b"avis"}:
        return "avif"
    return "heic" if brands & _HEIF_BRANDS else None


def _open_chunks(data: bytes, name: str) -> Opened:
    """A PNG or WebP; an animation of one frame counts as one of two, so that it is nothing ordinary."""
    read, reader = _CHUNKED[name]
    found = read(data)
    header = ImageHeader(
        name,
        *_sides(found.width_px, found.height_px),
        frames=max(2, found.frames) if found.frames else 1,
        orientation=_orientation(found.info),
        has_alpha=found.has_alpha,
    )
    return Opened(header, found.mode, found.info, 0, lambda: reader(io.BytesIO(data)))


def _open(data: bytes, name: str, limits: Limits) -> Opened:
    image = _image(data, name, limits)
    start = image.fp.tell() if isinstance(image, ImageFile) and image.fp is not None else 0
    header = ImageHeader(
        name,
        *_sides(*image.size),
        frames=getattr(image, "n_frames", 1) if name in _COUNTED else 1,
        orientation=1 if name in _UPRIGHT else _orientation(image.info),
        has_alpha=image.has_transparency_data,
        passes=1 + data.count(_JPEG_SCAN, start) if name == "jpeg" else 1,  # compressed data has no marker in it
    )
    return Opened(header, image.mode, image.info, start, lambda: image)


def _image(data: bytes, name: str, limits: Limits) -> Image.Image:
    try:
        return _reader(name)(io.BytesIO(data))
    except SyntaxError:
        if name != "jpeg":
            raise
        return JpegImageFile(io.BytesIO(bare_jpeg(data)))
    except OSError:
        if name != "bmp":
            raise
        check_header(ImageHeader("bmp", *masked_size(data), has_alpha=True), limits)
        return Image.fromarray(read_masked(data))


def _reader(name: str) -> Callable[..., ImageFile]:
    if name in _READERS:
        return _READERS[name]
    module, reader = _EXTRA[name]
    try:
        found: Callable[..., ImageFile] = getattr(importlib.import_module(module), reader)
    except ImportError:
        package = module.partition(".")[0]
        text = f"{name} picture: expected package {package} to be installed; run: pip install 'mekiki[formats]'"
        raise DecodeError(text, "unsupported_format") from None
    return found


def _sides(width_px: int, height_px: int) -> tuple[int, int]:
    if min(width_px, height_px) < 1:
        raise ValueError(f"{width_px} x {height_px} pixels")
    return width_px, height_px


def _orientation(info: dict[Any, Any]) -> int:
    """1 to 8, by EXIF of any type or XMP; 1 where there is none or it is broken."""
    if not any("exif" in str(name) or "xmp" in str(name) for name in info):
        return 1
    noted = Image.Image()
    noted.info = info
    try:
        found = int(noted.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # noqa: BLE001 - EXIF is often broken, and its picture is not
        return 1
    return found if 1 <= found <= 8 else 1
