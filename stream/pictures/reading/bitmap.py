"""BMP files whose colours lie under masks that Pillow does not know.

Comes in: the bytes of a file. Goes out: its size, or pixels. Fails with struct.error or ValueError on a file of another
kind, or a short one.
"""

import struct

import numpy as np
from numpy.typing import NDArray

from models.preprocess import Pixels

_FILE_HEADER_BYTES = 14
_MASKED = {3, 6}  # compressions: BITFIELDS and ALPHABITFIELDS
_WITH_ALPHA = 56  # header bytes from which on a fourth mask stands in them


def masked_size(data: bytes) -> tuple[int, int]:
    """Width and height in pixels."""
    width_px, height_px, depth, compression = struct.unpack_from("<ii2xHI", data, _FILE_HEADER_BYTES + 4)
    if compression not in _MASKED or depth not in (16, 32) or width_px < 1 or height_px == 0:
        raise ValueError("no BMP with masks")
    return width_px, abs(height_px)


def read_masked(data: bytes) -> Pixels:
    """uint8 [H, W, 4], RGB and alpha."""
    start, header_bytes = struct.unpack_from("<II", data, 10)
    (height_px,), (depth, compression) = struct.unpack_from("<i", data, 22), struct.unpack_from("<HI", data, 28)
    width_px, rows = masked_size(data)
    count = 4 if header_bytes >= _WITH_ALPHA or compression == 6 else 3
    masks = struct.unpack_from(f"<{count}I", data, _FILE_HEADER_BYTES + 40)
    row_bytes = (width_px * depth + 31) // 32 * 4
    stored = np.frombuffer(data, np.uint8, rows * row_bytes, start).reshape(rows, row_bytes)
    words = stored[:, : width_px * depth // 8].copy().view(f"<u{depth // 8}")
    pixels = np.full((rows, width_px, 4), 255, np.uint8)
    for channel, mask in enumerate(masks):
        if mask:
            pixels[..., channel] = _scaled(words, mask)
        elif channel < 3:
            pixels[..., channel] = 0
    if not pixels[..., 3].any():  # a mask for alpha, and nobody filled it in
        pixels[..., 3] = 255
    return pixels[::-1] if height_px > 0 else pixels  # rows from the bottom, unless the height is negative


def _scaled(words: NDArray[np.uint16 | np.uint32], mask: int) -> NDArray[np.uint8]:
    """What stands under a mask, from 0 to 255."""
    shift = (mask & -mask).bit_length() - 1
    most = mask >> shift
    found = (words.astype(np.uint64) & mask) >> shift
    scaled: NDArray[np.uint8] = ((found * 255 + most // 2) // most).astype(np.uint8)
    return scaled
