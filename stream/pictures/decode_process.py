"""The parent's end of a decoding child: start it, ask it, stop it.

Comes in: a file's bytes. Goes out: `Decoded`, or the DecodeError of the file. Fails with ChildLate after the deadline
and ChildDied when the child is gone; both stay inside stream.pictures.decode_pool. A child is asked by one thread at a
time.
"""

import contextlib
import fcntl
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.errors import ConfigurationError, DecodeError, InfrastructureError
from stream.pictures.decode_wire import ANSWER, READY, REQUEST, SIZE_PX, WHOLE

START_S = 60.0  # a start takes 0.2 s; a machine that is starting everything at once may take long
PIPE_BYTES = 1 << 20  # a picture passes in one go where the system allows; in parts it costs a tenth of the throughput
KEPT_BYTES = 32 * 2**20  # buffers up to this size are used again, not given back: a fifth of the time of a picture
_ROOT = Path(__file__).resolve().parents[2]
_F_SETPIPE_SZ = 1031  # Linux; fcntl names it from 3.10 on there only


class ChildDied(Exception):
    """The child is gone, with or without a reason of its own."""


class ChildLate(Exception):
    """No answer within the deadline."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a picture may be and take at most. The defaults suit photographs: 50 megapixels are 150 MB decoded.

    Attributes:
        memory_bytes: address space a child may add to what it has after its imports.
        deadline_s: wall-clock time for one file.
    """

    max_bytes: int = 32 * 1024 * 1024
    max_pixels: int = 50_000_000
    max_side_px: int = 20_000
    max_frames: int = 1_000
    memory_bytes: int = 1_000_000_000
    deadline_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture, ready for an encoder: pixels uint8 [224, 224, 3] RGB, upright, on white.

    Size is that of the upright original; phash is `models.preprocess.perceptual_hash`, sha256 that of the file in hex.
    """

    pixels: NDArray[np.uint8]
    width_px: int
    height_px: int
    format: str
    phash: int
    sha256: str


class DecodeChild:
    """One process of `python -m stream.pictures.decode_child`."""

    def __init__(self, limits: Limits) -> None:
        limited = (str(limits.memory_bytes), str(limits.deadline_s))
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "stream.pictures.decode_child", *limited],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
                env=_environment(limits),
                start_new_session=True,  # Ctrl-C is the parent's to handle; a child ends when its stdin does
            )  # fmt: skip
        except OSError as error:
            raise InfrastructureError(
                f"decoding process: expected to start, {error}; free memory or lower MEKIKI_INGEST__DECODE_WORKERS"
            ) from error
        assert self._process.stdin is not None and self._process.stdout is not None
        self._to = self._process.stdin.fileno()
        self._from = self._process.stdout.fileno()
        self._deadline_s = limits.deadline_s
        for descriptor in (self._to, self._from):
            os.set_blocking(descriptor, False)
            with contextlib.suppress(OSError):
                fcntl.fcntl(descriptor, _F_SETPIPE_SZ, PIPE_BYTES)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def wait_until_ready(self) -> None:
        """Return once it has imported what it needs.

        Raises:
            ConfigurationError: it ended instead, or takes for ever.
        """
        try:
            greeting = self._read(len(READY), time.monotonic() + START_S)
        except (ChildDied, ChildLate) as error:
            raise ConfigurationError(
                f"decoding process: expected to start within {START_S:g} s, {self._last_words() or 'no answer'}; "
                "run: mekiki doctor"
            ) from error
        if greeting != READY:
            raise ConfigurationError(
                f"decoding process: expected {READY!r}, answered {greeting!r}; install mekiki again"
            )

    def ask(self, data: bytes, crop: tuple[float, float, float, float] = WHOLE) -> Decoded | DecodeError:
        """One file, or the part of it that `crop` names in shares of the upright picture; or what is wrong with it.

        Raises:
            ChildLate: not within the deadline; stop this child.
            ChildDied: the child is gone; stop it all the same.
        """
        until = time.monotonic() + self._deadline_s
        self._write(REQUEST.pack(len(data), *crop), until)
        self._write(data, until)
        head = self._read(ANSWER.size, until)
        is_picture, width_px, height_px, phash, sha256, name, length = ANSWER.unpack(head)
        content = self._read(length, until)
        if not is_picture:
            reason, _, text = content.decode().partition("\n")
            return DecodeError(text, reason)
        pixels = np.frombuffer(content, np.uint8).reshape(SIZE_PX, SIZE_PX, 3)
        return Decoded(pixels, width_px, height_px, name.rstrip(b"\0").decode(), phash, sha256.hex())

    def stop(self) -> None:
        """Kill it and close the pipes; harmless when it is gone already."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _write(self, data: bytes, until: float) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._to, view) :]
            except BlockingIOError:
                self._wait(self._to, select.POLLOUT, until)
            except BrokenPipeError as error:
                raise ChildDied from error

    def _read(self, count: int, until: float) -> bytes:
        chunks = []
        while count:
            try:
                chunk = os.read(self._from, count)
            except BlockingIOError:
                self._wait(self._from, select.POLLIN, until)
                continue
            if not chunk:
                raise ChildDied
            chunks.append(chunk)
            count -= len(chunk)
        return b"".join(chunks)

    @staticmethod
    def _wait(descriptor: int, event: int, until: float) -> None:
        poll = select.poll()
        poll.register(descriptor, event)
        left_ms = (until - time.monotonic()) * 1000
        if left_ms <= 0 or not poll.poll(left_ms):
            raise ChildLate

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
