"""The parent's end of a decoding child: start it, ask it, stop it.

Comes in: a file's bytes. Goes out: `Decoded`, or what is wrong with the file. Fails with TimeoutError after the
deadline and ConnectionError when the child is gone; both stay inside stream.pictures.decode_pool. A child is asked by
one thread at a time.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ConfigurationError, DecodeError, InfrastructureError, PoisonError, PolicyError
from models.look import LOOK_BYTES
from models.preprocess import Preprocessing
from models.proposals import Box
from stream.pictures.decode_wire import ANSWER, BOX, PICTURE, READY, REFUSED, REGIONS, REQUEST, THUMBNAIL
from stream.pictures.reading.limits import WHOLE, Crop, Limits

START_S = 60.0  # a start takes 0.2 s; a machine that is starting everything at once may take long
BUSY = 6  # times the deadline by the clock, before a child that works for others too is given up
SOCKET_BYTES = 1 << 20  # a picture fits where the system allows 0.2 MB; in parts it costs a tenth of the throughput
KEPT_BYTES = 32 * 2**20  # buffers up to this size are used again, not given back: a fifth of the time of a picture
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture, ready for an encoder: pixels uint8 [S, S, 3] RGB, upright, on white.

    Size is that of the upright original; look is `models.look.look_of`, sha256 that of the file in hex.
    """

    pixels: NDArray[np.uint8]
    width_px: int
    height_px: int
    format: str
    look: bytes
    sha256: str


@dataclass(frozen=True, slots=True)
class Regions:
    """Parts of a picture, ready for an encoder: boxes in shares of it, pixels uint8 [K, S, S, 3] RGB."""

    boxes: tuple[Box, ...]
    pixels: NDArray[np.uint8]
    sha256: str


class DecodeChild:
    """One process of `python -m stream.pictures.decode_child`."""

    def __init__(self, limits: Limits, how: Preprocessing) -> None:
        self._socket, theirs = socket.socketpair()
        for end in (self._socket, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
        given = [json.dumps(asdict(one)) for one in (limits, how)]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "stream.pictures.decode_child", *given],
                stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=subprocess.PIPE, env=_environment(limits),
                start_new_session=True,  # Ctrl-C is the parent's to handle; a child ends when its stdin does
            )  # fmt: skip
        except OSError as error:
            raise InfrastructureError(
                f"decoding process: expected to start, {error}; free memory or lower MEKIKI_INGEST__DECODE_WORKERS"
            ) from error
        finally:
            theirs.close()
        self._deadline_s = limits.deadline_s
        self._size_px = how.size_px

    def wait_until_ready(self) -> None:
        """Return once it has imported what it needs.

        Raises:
            ConfigurationError: it ended instead, or takes for ever.
        """
        try:
            greeting = self._read(len(READY), time.monotonic() + START_S)
        except (ConnectionError, TimeoutError) as error:
            raise ConfigurationError(
                f"decoding process: expected to start within {START_S:g} s, {self._last_words() or 'no answer'}; "
                "run: mekiki doctor"
            ) from error
        if greeting != READY:
            raise ConfigurationError(
                f"decoding process: expected {READY!r}, answered {greeting!r}; install mekiki again"
            )

    def ask(self, data: bytes, crop: Crop = WHOLE) -> Decoded | PoisonError:
        """One file, or the part of it that `crop` names in shares of the upright picture; or what is wrong with it.

        Raises:
            TimeoutError: not within the deadline; stop this child, if it has not ended.
            ConnectionError: the child is gone; stop it all the same.
        """
        answer = self._exchange(data, crop, 0)
        if isinstance(answer, PoisonError):
            return answer
        (_, width_px, height_px, sha256, name, _), content = answer
        pixels = np.frombuffer(content, np.uint8, offset=LOOK_BYTES).reshape(self._size_px, self._size_px, 3)
        return Decoded(pixels, width_px, height_px, name.rstrip(b"\0").decode(), content[:LOOK_BYTES], sha256.hex())

    def ask_thumbnail(self, data: bytes, size_px: int) -> bytes | PoisonError:
        """The picture in a file as a small WebP, see stream.pictures.reading.shown; fails as `ask`."""
        answer = self._exchange(data, WHOLE, size_px)
        return answer if isinstance(answer, PoisonError) else answer[1]

    def ask_regions(self, data: bytes, most: int) -> Regions | PoisonError:
        """Parts of the picture in a file, see stream.pictures.reading.shown; fails as `ask`."""
        answer = self._exchange(data, WHOLE, 0, most)
        if isinstance(answer, PoisonError):
            return answer
        (_, _, _, sha256, _, length), content = answer
        count = length // (BOX.size + 3 * self._size_px**2)
        boxes = tuple((box[0], box[1], box[2], box[3]) for box in BOX.iter_unpack(content[: count * BOX.size]))
        pixels = np.frombuffer(content, np.uint8, offset=count * BOX.size)
        return Regions(boxes, pixels.reshape(count, self._size_px, self._size_px, 3), sha256.hex())

    def _exchange(
        self, data: bytes, crop: Crop, size_px: int, regions: int = 0
    ) -> tuple[tuple[Any, ...], bytes] | PoisonError:
        """Head and content of the answer to one request."""
        until = time.monotonic() + BUSY * self._deadline_s
        self._socket.settimeout(BUSY * self._deadline_s)
        self._socket.sendall(REQUEST.pack(len(data), *crop, size_px, regions) + data)
        head = ANSWER.unpack(self._read(ANSWER.size, until))
        status, content = head[0], self._read(head[-1], until)
        if status in (PICTURE, THUMBNAIL, REGIONS):
            return head, content
        reason, _, text = content.decode().partition("\n")
        return PolicyError(text, reason) if status == REFUSED else DecodeError(text, reason)

    def stop(self) -> None:
        """Kill it and close what led to it; harmless when it is gone already."""
        self._process.kill()
        self._process.wait()
        self._socket.close()
        assert self._process.stderr is not None
        self._process.stderr.close()

    def _read(self, count: int, until: float) -> bytes:
        chunks = []
        while count:
            self._socket.settimeout(max(until - time.monotonic(), 0.001))
            chunk = self._socket.recv(count)
            if not chunk and self._process.wait() == -signal.SIGPROF:
                raise TimeoutError("the child has used up its time")
            if not chunk:
                raise ConnectionResetError("the child closed its end")
            chunks.append(chunk)
            count -= len(chunk)
        return b"".join(chunks)

    def _last_words(self) -> str:
        self._process.kill()
        self._process.wait()
        assert self._process.stderr is not None
        lines = self._process.stderr.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""


def _environment(limits: Limits) -> dict[str, str]:
    """OpenCV reads its limits once, when it is loaded; more threads than one would only wait for each other."""
    path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
    return {
        **os.environ,
        "PYTHONPATH": path,
        "OPENCV_IO_MAX_IMAGE_PIXELS": str(limits.max_pixels),
        "OPENCV_IO_MAX_IMAGE_WIDTH": str(limits.max_side_px),
        "OPENCV_IO_MAX_IMAGE_HEIGHT": str(limits.max_side_px),
        "OPENCV_LOG_LEVEL": "OFF",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MALLOC_MMAP_THRESHOLD_": str(KEPT_BYTES),
        "MALLOC_TRIM_THRESHOLD_": str(4 * KEPT_BYTES),
    }
