"""Small WebP pictures of stored ones, kept in memory.

In: a picture's bytes and the length of the long side. Out: WebP bytes. Raises PoisonError where the picture cannot be
decoded. Decoding is done by the children of the decode pool, which give 224 pixels a side and no more: a larger
thumbnail has that many too.
"""

import threading
from collections import OrderedDict

import cv2
import numpy as np

from models.errors import PoisonError
from models.preprocess import part_of_square
from stream.pictures.decode_pool import DecodePool
from stream.pictures.reading.limits import SIZE_PX

KEPT_BYTES = 32_000_000  # of thumbnails, some 5,000
QUALITY = 80  # of WebP: nobody sees the difference in a small picture


class Thumbnails:
    """Makes thumbnails; thread-safe."""

    def __init__(self, decoder: DecodePool) -> None:
        self._decoder = decoder
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._kept_bytes = 0

    def get(self, sha256: str, size_px: int) -> bytes | None:
        """The thumbnail of the picture with this hash, if it was made already."""
        with self._lock:
            found = self._kept.get((sha256, size_px))
            if found is not None:
                self._kept.move_to_end((sha256, size_px))
            return found

    def make(self, content: bytes, sha256: str, size_px: int) -> bytes:
        """The thumbnail of a picture, its long side `size_px` or less.

        Raises:
            PoisonError: it cannot be decoded.
        """
        (decoded,) = self._decoder.decode_many([content])
        if isinstance(decoded, PoisonError):
            raise decoded
        scale = min(size_px, SIZE_PX) / max(decoded.width_px, decoded.height_px)
        size = max(1, round(decoded.width_px * scale)), max(1, round(decoded.height_px * scale))
        shown = decoded.pixels[part_of_square(decoded.width_px, decoded.height_px, SIZE_PX)]
        small = cv2.resize(cv2.cvtColor(shown, cv2.COLOR_RGB2BGR), size, interpolation=cv2.INTER_AREA)
        _, encoded = cv2.imencode(".webp", np.asarray(small), [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
        made = encoded.tobytes()
        self._keep((sha256, size_px), made)
        return made

    def _keep(self, key: tuple[str, int], made: bytes) -> None:
        with self._lock:
            self._kept_bytes += len(made) - len(self._kept.pop(key, b""))
            self._kept[key] = made
            while self._kept_bytes > KEPT_BYTES:
                self._kept_bytes -= len(self._kept.popitem(last=False)[1])
