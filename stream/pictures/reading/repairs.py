"""Files that a decoder refuses over something no viewer minds.

Comes in: the bytes of a file. Goes out: bytes that say the same without the fault.
"""

import zlib

from stream.pictures.reading.chunks import png_chunks

_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_JPEG_SCAN = 0xDA
_JPEG_ALONE = {0x00, 0x01, *range(0xD0, 0xD9), 0xFF}  # markers without a length
_JPEG_NOTES, _JPEG_EXIF = 0xE0, 0xE1  # the first of the markers for them, and one


def mended_png(data: bytes) -> bytes | None:
    """The file up to its last whole chunk of pixels, and an end; None where a checksum says that pixels are damaged."""
    whole = 0
    for kind, body, size in png_chunks(data):
        end = body + size
        if kind == b"IDAT" and end + 4 <= len(data):
            if zlib.crc32(memoryview(data)[body - 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
                return None
            whole = end + 4
    return data[:whole] + _PNG_END


def bare_jpeg(data: bytes) -> bytes:
    """The file without what programs noted in it, apart from EXIF: a decoder passes over notes that are nonsense."""
    kept, position = [data[:2]], 2
    while 0 <= (position := data.find(b"\xff", position)) < len(data) - 4:
        marker, end = data[position + 1], position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == _JPEG_SCAN:
            kept.append(data[position:])
            break
        if marker in _JPEG_ALONE:
            position += 1 if marker == 0xFF else 2
            continue
        if marker == _JPEG_EXIF or marker < _JPEG_NOTES:
            kept.append(data[position:end])
        position = end
    return b"".join(kept)
