"""Small WebP pictures of stored ones, kept in memory.

In: a picture's bytes and the length of the long side. Out: WebP bytes. Raises PoisonError where the picture cannot be
decoded. They are decoded, made small and encoded by the children of the decode pool, under its limits and deadline.
"""

import threading
from collections import OrderedDict

from stream.pictures.decode_pool import DecodePool

KEPT_BYTES = 32_000_000  # of thumbnails, some 5,000 of 224 pixels, 300 of 1,024


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
        made = self._decoder.thumbnail(content, size_px)
        self._keep((sha256, size_px), made)
        return made

    def _keep(self, key: tuple[str, int], made: bytes) -> None:
        with self._lock:
            self._kept_bytes += len(made) - len(self._kept.pop(key, b""))
            self._kept[key] = made
            while self._kept_bytes > KEPT_BYTES:
                self._kept_bytes -= len(self._kept.popitem(last=False)[1])
