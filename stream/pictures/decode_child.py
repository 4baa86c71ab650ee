"""The child process that decodes: `python -m stream.pictures.decode_child LIMITS PREPROCESSING`, as JSON.

Comes in on stdin: frames of `REQUEST` (length, crop, size) and a file's bytes. Goes out on stdout: `READY` once, then
one answer a frame: `ANSWER` (status, size, hash, length of what follows), then a reason, look and pixels, a thumbnail,
or regions. Ends with stdin.

It imports numpy, OpenCV and Pillow and nothing of the service: a start takes 0.3 s, and whatever a hostile file does
to this process, there is nothing here to reach. One that has worked on a file for the deadline ends; by the clock the
parent stops it much later, since others may be busy too; the alarm here is for an orphan.
"""

import hashlib
import json
import os
import resource
import signal
import sys
import warnings
from pathlib import Path
from typing import BinaryIO

import cv2

from models.errors import PoisonError, PolicyError
from models.look import LOOK_BYTES, look_of
from models.preprocess import DEFAULT, Preprocessing
from stream.pictures.decode_wire import ANSWER, BOX, PICTURE, READY, REFUSED, REGIONS, REQUEST, THUMBNAIL, UNREADABLE
from stream.pictures.reading.limits import WHOLE, Crop, Limits
from stream.pictures.reading.shown import cut_regions, decode, thumbnail

ORPHAN_DEADLINES = 7  # the alarm kills after this many deadlines: the parent, if there is one, is earlier
SMALLEST = bytes.fromhex("47494638396101000100800000000000ffffff2c00000000010001000002024c01003b")  # a GIF


def answer(
    data: bytes, limits: Limits, crop: Crop = WHOLE, how: Preprocessing = DEFAULT, *, size_px: int = 0, regions: int = 0
) -> bytes:
    """The answer frame for one file: pixels as the encoder takes them; a thumbnail of `size_px`, or so many regions."""
    digest = hashlib.sha256(data).digest()
    try:
        if size_px:
            small, width_px, height_px, name = thumbnail(data, limits, size_px)
            return ANSWER.pack(THUMBNAIL, width_px, height_px, digest, name.encode(), len(small)) + small
        if regions:
            boxes, parts, width_px, height_px, name = cut_regions(data, limits, regions, how)
            content = b"".join([*(BOX.pack(*box) for box in boxes), *(part.tobytes() for part in parts)])
            return ANSWER.pack(REGIONS, width_px, height_px, digest, name.encode(), len(content)) + content
        squares = (how,) if how == DEFAULT else (how, DEFAULT)  # looks are compared, whichever encoder serves
        made, width_px, height_px, name = decode(data, limits, crop, squares)
    except PoisonError as error:
        text = f"{error.reason}\n{error}".encode()
        status = REFUSED if isinstance(error, PolicyError) else UNREADABLE
        return ANSWER.pack(status, 0, 0, digest, b"", len(text)) + text
    square, look, length = made[0], look_of(made[-1]), LOOK_BYTES + made[0].nbytes
    head = ANSWER.pack(PICTURE, width_px, height_px, digest, name.encode(), length)
    return b"".join((head, look, square.data))


def _limit_memory(memory_bytes: int) -> None:
    """What is mapped now, and `memory_bytes` more."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:  # not Linux: no way to know what the libraries have mapped
        return
    limit = pages * resource.getpagesize() + memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def serve(requests: BinaryIO, answers: BinaryIO, limits: Limits, how: Preprocessing = DEFAULT) -> None:
    """Answer frames until there are no more."""
    answers.write(READY)
    answers.flush()
    while len(head := requests.read(REQUEST.size)) == REQUEST.size:
        length, *crop, size_px, regions = REQUEST.unpack(head)
        data = requests.read(length)
        signal.setitimer(signal.ITIMER_PROF, limits.deadline_s)
        signal.setitimer(signal.ITIMER_REAL, ORPHAN_DEADLINES * limits.deadline_s)
        part = (crop[0], crop[1], crop[2], crop[3])
        answers.write(answer(data, limits, part, how, size_px=size_px, regions=regions))
        answers.flush()
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


def main() -> None:
    """Take stdin and stdout for the frames; whatever a library prints goes nowhere."""
    limits, how = Limits(**json.loads(sys.argv[1])), Preprocessing(**json.loads(sys.argv[2]))
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    cv2.setNumThreads(1)
    warnings.simplefilter("ignore")  # Pillow's, of files that it reads all the same
    answer(SMALLEST, limits, WHOLE, how)  # what the first call maps and imports is not charged to the first picture
    _limit_memory(limits.memory_bytes)
    serve(requests, answers, limits, how)


if __name__ == "__main__":
    main()
