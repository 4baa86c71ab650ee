"""The child process that decodes: `python -m stream.pictures.decode_child MEMORY_BYTES DEADLINE_S`.

Comes in on stdin: frames of `REQUEST` (length, crop) and a file's bytes. Goes out on stdout: `READY` once, then one
answer a frame: `ANSWER` (status, size, hashes, length of what follows), then a reason or the pixels. Ends with stdin.

It imports numpy and OpenCV and nothing of the service: a start takes 0.2 s, and whatever a hostile file does to this
process, there is nothing here to reach. One that has worked on a file for the deadline ends; by the clock the parent
stops it much later, since others may be busy too; the alarm here is for an orphan.
"""

import hashlib
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np

from models.errors import DecodeError, PoisonError
from models.preprocess import Pixels, fit_square, perceptual_hash
from stream.pictures.decode_wire import ANSWER, READY, REQUEST, SIZE_PX, WHOLE
from stream.pictures.header import ImageHeader, sniff

STRIP_ROWS = 64  # of pictures that are put on white
ORPHAN_DEADLINES = 7  # the alarm kills after this many deadlines: the parent, if there is one, is earlier

Crop = tuple[float, float, float, float]  # left, top, width, height in shares of the upright picture

_REDUCED = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}
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


def decode(data: bytes, crop: Crop = WHOLE) -> tuple[Pixels, int, int, str]:
    """The picture or the part `crop` of it as uint8 [224, 224, 3] RGB, upright, on white; its upright size; its format.

    Raises:
        DecodeError: `not_an_image`, `truncated`, `decode_memory`.
    """
    header = sniff(data)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), _flags(header, may_reduce=crop == WHOLE))
        if image is None:
            raise DecodeError(f"{header.format} of {len(data)} bytes: expected a whole picture; export it again")
        pixels: np.ndarray[Any, Any] = np.asarray(image)
        if crop == WHOLE:
            square = _upright(_rgb_square(pixels), header.orientation)
        else:
            square = _rgb_square(_cropped(_upright(pixels, header.orientation), crop))
    except (MemoryError, cv2.error) as error:
        raise _translated(error, header) from error
    size = (header.width_px, header.height_px)
    width_px, height_px = size[::-1] if header.orientation >= 5 else size
    return np.ascontiguousarray(square), width_px, height_px, header.format


def _flags(header: ImageHeader, *, may_reduce: bool) -> int:
    if header.has_alpha:
        return cv2.IMREAD_UNCHANGED
    if may_reduce and header.format == "jpeg":  # the mean over 2, 4 or 8 pixels, at a tenth of the cost
        for factor, reduced in _REDUCED.items():
            if min(header.width_px, header.height_px) // factor >= SIZE_PX:
                return reduced | cv2.IMREAD_IGNORE_ORIENTATION
    return cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION


def _rgb_square(image: np.ndarray[tuple[int, ...], np.dtype[np.uint8 | np.uint16]]) -> Pixels:
    """Any [H, W] or [H, W, C] that OpenCV gives to uint8 [224, 224, 3] RGB."""
    if image.dtype == np.uint16:
        image = np.asarray(cv2.convertScaleAbs(image, alpha=1 / 257))
    if image.ndim == 2 or image.shape[2] == 1:
        image = np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))
    elif image.shape[2] == 4:
        image = _on_white(np.asarray(image, np.uint8))
    return np.asarray(cv2.cvtColor(fit_square(np.asarray(image, np.uint8), SIZE_PX), cv2.COLOR_BGR2RGB), np.uint8)


def _on_white(image: Pixels) -> Pixels:
    """uint8 [H, W, 4] with straight alpha, composited on white; strip by strip, which needs less memory and time."""
    opaque = np.empty((*image.shape[:2], 3), np.uint8)
    for top in range(0, len(image), STRIP_ROWS):
        strip = image[top : top + STRIP_ROWS]
        colour, alpha = cv2.cvtColor(strip, cv2.COLOR_BGRA2BGR), cv2.extractChannel(strip, 3)
        if alpha.min() < 255:
            weight = cv2.cvtColor(alpha, cv2.COLOR_GRAY2BGR)
            colour = cv2.multiply(colour, weight, scale=1 / 255)  # to the nearest; never a tie, since 255 is odd
            colour = cv2.add(colour, cv2.bitwise_not(weight))
        opaque[top : top + STRIP_ROWS] = colour
    return opaque


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


def answer(data: bytes, crop: Crop = WHOLE) -> bytes:
    """The answer frame for one file."""
    digest = hashlib.sha256(data).digest()
    try:
        square, width_px, height_px, name = decode(data, crop)
    except PoisonError as error:
        text = f"{error.reason}\n{error}".encode()
        return ANSWER.pack(0, 0, 0, 0, digest, b"", len(text)) + text
    pixels = square.tobytes()
    phash = perceptual_hash(square)
    return ANSWER.pack(1, width_px, height_px, phash, digest, name.encode(), len(pixels)) + pixels


def _limit_memory(memory_bytes: int) -> None:
    """What is mapped now, and `memory_bytes` more."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:  # not Linux: no way to know what the libraries have mapped
        return
    limit = pages * resource.getpagesize() + memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def serve(requests: BinaryIO, answers: BinaryIO, deadline_s: float) -> None:
    """Answer frames until there are no more."""
    answers.write(READY)
    answers.flush()
    while len(head := requests.read(REQUEST.size)) == REQUEST.size:
        length, *crop = REQUEST.unpack(head)
        data = requests.read(length)
        signal.setitimer(signal.ITIMER_PROF, deadline_s)
        signal.setitimer(signal.ITIMER_REAL, ORPHAN_DEADLINES * deadline_s)
        answers.write(answer(data, (crop[0], crop[1], crop[2], crop[3])))
        answers.flush()
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


def main() -> None:
    """Take stdin and stdout for the frames; whatever a library prints goes nowhere."""
    memory_bytes, deadline_s = int(sys.argv[1]), float(sys.argv[2])
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    cv2.setNumThreads(1)
    answer(b"")  # what the first call maps and imports is not charged to the first picture
    _limit_memory(memory_bytes)
    serve(requests, answers, deadline_s)


if __name__ == "__main__":
    main()
