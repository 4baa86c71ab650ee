"""What a file says about its picture before a pixel of it is decoded.

Comes in: the bytes of a file. Goes out: `ImageHeader`. Fails with DecodeError: `empty`, `not_an_image`, `truncated`.

Only the structure is walked, so a file of a kilobyte that promises a gigapixel costs nothing. JPEG, PNG, GIF, WebP and
BMP are read; TIFF is not, for its many variants are the weak spot of image libraries and the web does not show them.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from models.errors import DecodeError

_FORMATS = "JPEG, PNG, GIF, WebP or BMP"
_ORIENTATION_TAG = 0x0112
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # start-of-frame markers: those that carry the size
_JPEG_SCAN = 0xDA
_JPEG_SCAN_MARKER = b"\xff\xda"
_JPEG_END = b"\xff\xd9"


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """Format ("jpeg", "png", "gif", "webp", "bmp"), stored size in pixels, and what decoding has to know."""

    format: str
    width_px: int
    height_px: int
    frames: int = 1
    orientation: int = 1
    has_alpha: bool = False
    passes: int = 1  # a decoder may go over the picture as often: scans of a JPEG, frames of an animated PNG

    @property
    def pixels(self) -> int:
        """Width times height of one frame."""
        return self.width_px * self.height_px

    @property
    def work(self) -> int:
        """What a decoder has to do, in pixels of a plain PNG: one core does 30 to 100 million a second.

        A JPEG is decoded at an eighth of its size where that is enough; what is transparent is put on white.
        """
        work = self.pixels * self.passes * (2 if self.has_alpha else 1)
        return work // 8 if self.format == "jpeg" else work


def sniff(data: bytes) -> ImageHeader:
    """The header of a file.

    Raises:
        DecodeError: `empty`, `not_an_image` (no format we read, or nonsense inside), `truncated` (ends too early).
    """
    if not data:
        raise DecodeError("file of 0 bytes: expected a picture; post it again", "empty")
    read = next((read for magic, read in _READERS.items() if data.startswith(magic)), None)
    if read is None:
        raise DecodeError(f"file starting with {data[:8]!r}: expected {_FORMATS}; convert it", "not_an_image")
    try:
        header = read(data)
    except (struct.error, IndexError) as error:
        raise _truncated(data) from error
    if header.width_px <= 0 or header.height_px <= 0:
        size = f"{header.width_px} x {header.height_px}"
        raise DecodeError(f"{header.format} of {size} pixels: expected at least 1 x 1; export it again", "not_an_image")
    return header


def _truncated(data: bytes) -> DecodeError:
    return DecodeError(f"file of {len(data)} bytes: ends before its picture does; post it again", "truncated")


def _broken(what: str) -> DecodeError:
    return DecodeError(f"{what}: expected {_FORMATS}; export it again", "not_an_image")


def _read_jpeg(data: bytes) -> ImageHeader:
    size: tuple[int, int] | None = None
    orientation = 1
    position = 2
    while True:
        if data[position] != 0xFF:
            raise _broken("JPEG without a marker where one must be")
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        (length,) = struct.unpack_from(">H", data, position + 2)
        if marker in _JPEG_FRAMES:
            height_px, width_px = struct.unpack_from(">HH", data, position + 5)
            size = (width_px, height_px)
        elif marker == 0xE1 and data[position + 4 : position + 10] == b"Exif\0\0":
            orientation = _orientation(data[position + 10 : position + 2 + length])
        elif marker == _JPEG_SCAN:
            break
        position += 2 + max(length, 2)
    if size is None:
        raise _broken("JPEG without a frame header")
    if data.find(_JPEG_END, position) < 0:  # decoders fill up what is missing with gray and say nothing
        raise _truncated(data)
    scans = data.count(_JPEG_SCAN_MARKER, position)  # compressed data has no marker in it
    return ImageHeader("jpeg", *size, orientation=orientation, passes=max(1, scans))


def _read_png(data: bytes) -> ImageHeader:
    width_px, height_px, _, color = struct.unpack_from(">IIBB", data, 16)
    frames, orientation, has_alpha = 1, 1, color in (4, 6)
    position, kind = 8, b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, position)
        body = position + 8
        if body + length + 4 > len(data):
            raise _truncated(data)
        if kind == b"acTL":
            (frames,) = struct.unpack_from(">I", data, body)
        elif kind == b"tRNS":
            has_alpha = True
        elif kind == b"eXIf":
            orientation = _orientation(data[body : body + length])
        position = body + length + 4
    frames = max(1, frames)
    return ImageHeader("png", width_px, height_px, frames, orientation, has_alpha, passes=frames)


def _read_gif(data: bytes) -> ImageHeader:
    width_px, height_px, flags = struct.unpack_from("<HHB", data, 6)
    position = 13 + _color_table_bytes(flags)
    frames, has_alpha = 0, False
    try:
        while data[position] != 0x3B:
            if data[position] == 0x21:
                has_alpha |= data[position + 1] == 0xF9 and bool(data[position + 3] & 1)
                position = _skip_blocks(data, position + 2)
            elif data[position] == 0x2C:
                position = _skip_blocks(data, position + 11 + _color_table_bytes(data[position + 9]))
                frames += 1
            else:
                raise _broken("GIF with an unknown block")
    except IndexError:
        if not frames:  # a missing end after whole frames is common and harmless
            raise
    if not frames:
        raise _broken("GIF without a frame")
    return ImageHeader("gif", width_px, height_px, frames, has_alpha=has_alpha)


def _color_table_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _skip_blocks(data: bytes, position: int) -> int:
    while data[position]:
        position += data[position] + 1
    return position + 1


def _read_webp(data: bytes) -> ImageHeader:
    (length,) = struct.unpack_from("<I", data, 4)
    if data[8:12] != b"WEBP":
        raise _broken("RIFF file that is no WebP")
    if length + 8 > len(data):
        raise _truncated(data)
    size: tuple[int, int] | None = None
    frames, orientation, has_alpha = 0, 1, False
    for kind, body, chunk_bytes in _riff_chunks(data, length + 8):
        if kind == b"VP8X":
            has_alpha = bool(data[body] & 0x10)
            size = (_uint24(data, body + 4) + 1, _uint24(data, body + 7) + 1)
        elif kind == b"VP8 " and size is None:
            width_px, height_px = struct.unpack_from("<HH", data, body + 6)
            size = (width_px & 0x3FFF, height_px & 0x3FFF)
        elif kind == b"VP8L" and size is None:
            (bits,) = struct.unpack_from("<I", data, body + 1)
            size, has_alpha = ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1), bool(bits >> 28 & 1)
        elif kind == b"ANMF":
            frames += 1
        elif kind == b"EXIF":
            orientation = _orientation(data[body : body + chunk_bytes].removeprefix(b"Exif\0\0"))
    if size is None:
        raise _broken("WebP without a picture")
    return ImageHeader("webp", *size, max(1, frames), orientation, has_alpha)


def _riff_chunks(data: bytes, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, position and length of each chunk's body."""
    position = 12
    while position + 8 <= end:
        kind, length = struct.unpack_from("<4sI", data, position)
        yield kind, position + 8, length
        position += 8 + length + length % 2


def _uint24(data: bytes, position: int) -> int:
    return data[position] | data[position + 1] << 8 | data[position + 2] << 16


def _read_bmp(data: bytes) -> ImageHeader:
    offset, header_bytes = struct.unpack_from("<II", data, 10)
    if header_bytes == 12:  # OS/2
        width_px, height_px, _, depth = struct.unpack_from("<HHHH", data, 18)
        compression = 0
    else:
        width_px, height_px, _, depth, compression = struct.unpack_from("<iiHHI", data, 18)
    height_px = abs(height_px)  # negative: rows from the top
    row_bytes = (width_px * depth + 31) // 32 * 4
    if compression in (0, 3) and offset + row_bytes * height_px > len(data):
        raise _truncated(data)
    return ImageHeader("bmp", width_px, height_px)


def _orientation(exif: bytes) -> int:
    """The orientation, 1 to 8, in a block of EXIF; 1 where there is none or the block is broken."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (entries,) = struct.unpack_from(f"{order}H", exif, start)
        for entry in range(entries):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", exif, start + 2 + 12 * entry)
            if tag == _ORIENTATION_TAG:
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


_READERS: dict[bytes, Callable[[bytes], ImageHeader]] = {
    b"\xff\xd8\xff": _read_jpeg,
    b"\x89PNG\r\n\x1a\n": _read_png,
    b"GIF87a": _read_gif,
    b"GIF89a": _read_gif,
    b"RIFF": _read_webp,
    b"BM": _read_bmp,
}
