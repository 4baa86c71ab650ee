"""Hostile bytes to pixels: their header is read, and they are decoded, in child processes under limits.

Comes in: the bytes of files nobody vouches for. Goes out: `Decoded`, a thumbnail, or that file's PoisonError:

    DecodeError    empty, not_an_image, unsupported_format, truncated, decode_timeout, decode_memory, decode_crashed
    PolicyError    too_large (bytes), too_many_pixels, too_many_frames, too_much_work, and SLOW beyond `quick_work`

A child that dies or passes its deadline is replaced; the other files of the batch do not notice. Fails with
ConfigurationError when children cannot start at all.
"""

import queue
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from models.errors import ConfigurationError, DecodeError, PoisonError
from models.preprocess import DEFAULT, Preprocessing
from stream.pictures.decode_process import DecodeChild, Decoded, Regions
from stream.pictures.reading.limits import WHOLE, Crop, Limits, check_bytes

__all__ = ["Crop", "DecodePool", "Decoded", "Limits", "Regions"]
T = TypeVar("T")


class DecodePool:
    """Children that decode, one file at a time each. Safe to call from several threads; use as a context manager."""

    def __init__(self, workers: int = 1, limits: Limits = Limits(), how: Preprocessing = DEFAULT) -> None:
        """Start as many children, which make pictures `how` an encoder takes them.

        Raises:
            ConfigurationError: a child does not start.
        """
        self.limits = limits
        self._how = how
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="decode")
        self._idle: queue.LifoQueue[DecodeChild | None] = queue.LifoQueue()  # None: a child has to be started
        self._children: set[DecodeChild] = set()
        self._workers = workers
        self._is_closed = False
        try:
            children = [self._start() for _ in range(workers)]  # all at once, then wait
            for child in children:
                child.wait_until_ready()
        except BaseException:
            self.close()
            raise
        for child in children:
            self._idle.put(child)

    def decode_many(
        self, contents: Sequence[bytes], crops: Sequence[Crop | None] | None = None
    ) -> list[Decoded | PoisonError]:
        """One answer for each file, in order. Never raises for what a file contains.

        Args:
            contents: the files' bytes.
            crops: for each file the part that is meant, left, top, width, height in shares of the upright picture.

        Raises:
            ConfigurationError: a child died and no new one starts, or the pool is closed.
        """
        if self._is_closed:
            raise ConfigurationError("decode pool: expected to be open; make a new one")
        parts = [crop or WHOLE for crop in crops] if crops is not None else [WHOLE] * len(contents)
        if len(contents) == 1 or self._workers == 1:
            return [self._decode(content, part) for content, part in zip(contents, parts, strict=True)]
        return list(self._threads.map(self._decode, contents, parts))

    def thumbnail(self, content: bytes, size_px: int) -> bytes:
        """The picture in a file as WebP, as a viewer shows it, its longer side `size_px` or its own if that is less.

        Raises:
            PoisonError: of the file.
            ConfigurationError: as `decode_many`.
        """
        made = self._with_child(content, lambda child: child.ask_thumbnail(content, size_px))
        if isinstance(made, PoisonError):
            raise made
        return made

    def regions(self, content: bytes, most: int) -> Regions | PoisonError:
        """Parts of a picture that may be objects, at most so many (of 1 to 255); never raises for what a file contains.

        Raises:
            ConfigurationError: as `decode_many`.
        """
        return self._with_child(content, lambda child: child.ask_regions(content, most))

    def close(self) -> None:
        """Stop the children; what is being decoded is answered first."""
        self._is_closed = True
        self._threads.shutdown(wait=True)
        for child in list(self._children):
            self._stop(child)

    def __enter__(self) -> "DecodePool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _decode(self, data: bytes, crop: Crop) -> Decoded | PoisonError:
        return self._with_child(data, lambda child: child.ask(data, crop))

    def _with_child(self, data: bytes, ask: Callable[[DecodeChild], T]) -> T | PoisonError:
        """A child that was killed from outside says nothing about the file: it gets one more, in a fresh child."""
        try:
            check_bytes(data, self.limits)
        except PoisonError as error:
            return error
        what = f"picture of {len(data)} bytes: expected to decode"
        for _ in range(2):
            try:
                return self._ask(ask)
            except TimeoutError:
                text = f"{what} within {self.limits.deadline_s:g} s; export it again"
                return DecodeError(text, "decode_timeout")
            except ConnectionError:
                continue
        return DecodeError(f"{what}, kills the decoder; export it again", "decode_crashed")

    def _ask(self, ask: Callable[[DecodeChild], T]) -> T:
        """The next idle child's answer; a child that fails leaves an empty seat behind, never a broken child."""
        child = self._idle.get()
        healthy: DecodeChild | None = None
        try:
            if child is None:
                child = self._start()
                child.wait_until_ready()
            answer = ask(child)
            healthy = child
            return answer
        finally:
            if child is not None and healthy is None:
                self._stop(child)
            self._idle.put(healthy)

    def _start(self) -> DecodeChild:
        if self._is_closed:
            raise ConfigurationError("decode pool: expected to be open; make a new one")
        child = DecodeChild(self.limits, self._how)
        self._children.add(child)
        return child

    def _stop(self, child: DecodeChild) -> None:
        self._children.discard(child)
        child.stop()
