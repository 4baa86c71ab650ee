"""How a picture looks from afar: enough to tell a copy from a picture that only resembles it.

In: uint8 [H, W, 3] RGB. Out: a `look` of 384 bytes, and whether two looks are those of near copies. Raises UsageError
on any other shape or dtype.

A look is the picture blurred and sampled: brightness on 16 x 16 points, colour on 8 x 8. It is blurred so far that it
can be resampled between its points, so a copy with a rim cut off is found by trying which part of one picture the
other is. A hash of 64 bits cannot do that, knows no colours, and is noise where a picture is flat or symmetric.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import UsageError

SIDE, COLOUR_SIDE = 16, 8  # points of brightness and of colour
LOOK_BYTES = SIDE**2 + 2 * COLOUR_SIDE**2
_INPUT_PX = 28
_BLUR_PX, _COLOUR_BLUR_PX = 1.9, 3.2  # of the input: about the distance of two points

# Differences of points, of 255. On 1,910 drawings and 4,500 copies of 300 of them: docs/performance.md
_FAR = 3.0  # in the mean: beyond it nobody takes one picture for the other
_FAR_SHARE = 0.1  # of a picture's own contrast: a thin drawing on white differs by little from any other
_NOISE = 0.6  # what compressing alone does, ...
_FLAT, _FLAT_NOISE = 1.0, 2.2  # ... and to a picture of less contrast than that, whose colour is rounded
_ANYWHERE = 20.0  # at the worst point: something else is there
_WRITTEN, _WRITTEN_ANYWHERE = 1.5, 32.0  # times the mean, and at the worst point, of a copy that was written over, ...
_CALM, _CALM_SHARE = 0.8, 1 / 3  # ... where four fifths of its points are within a third of the mean

_COARSE, _COARSELY_FAR = 4, 14.0  # points a side of what is compared first, and what need not be compared further
# Of either side of a picture, what a copy may have left: where it starts and how long it is
_SPANS = ((0.0, 1.0), (0.0, 0.975), (0.025, 0.975), (0.0, 0.95), (0.025, 0.95), (0.05, 0.95), (0.05, 0.9))
_PARTS = tuple((left, top, width, height) for left, width in _SPANS for top, height in _SPANS)
_INNER = SIDE - 2  # of a side, without those at the rim

Pixels = NDArray[np.uint8]


def look_of(image: Pixels) -> bytes:
    """The look of a picture.

    Raises:
        UsageError: not uint8 [H, W, 3] with at least one pixel.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise UsageError(f"image {image.dtype} {list(image.shape)}: expected uint8 [H, W, 3] RGB; decode it first")
    while min(image.shape[:2]) > 2 * _INPUT_PX:  # halving is four times as fast as any other way
        image = np.asarray(cv2.resize(image, (image.shape[1] // 2, image.shape[0] // 2), interpolation=cv2.INTER_AREA))
    small = cv2.resize(image, (_INPUT_PX, _INPUT_PX), interpolation=cv2.INTER_AREA)
    planes = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2YCrCb), np.float32).transpose(2, 0, 1)
    points, colours = _WEIGHTS @ planes[0] @ _WEIGHTS.T, _COLOUR_WEIGHTS @ planes[1:] @ _COLOUR_WEIGHTS.T
    return np.concatenate([points.ravel(), colours.ravel()]).round().astype(np.uint8).tobytes()


def _gaussian(side: int, blur_px: float) -> NDArray[np.float32]:
    """[side, input] weights of the pixels for each point."""
    centres = (np.arange(side)[:, None] + 0.5) * _INPUT_PX / side - 0.5
    weights = np.exp(-(((np.arange(_INPUT_PX) - centres) / blur_px) ** 2) / 2)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


_WEIGHTS, _COLOUR_WEIGHTS = _gaussian(SIDE, _BLUR_PX), _gaussian(COLOUR_SIDE, _COLOUR_BLUR_PX)


@dataclass(frozen=True, eq=False)
class Look:
    """A look made ready to be compared; points at the rim are left out, since they see past it.

    Attributes:
        points: uint8 [16, 16, 3] RGB.
        coarse: float32 [48].
        limit: how far a copy may be from it.
    """

    points: NDArray[np.uint8]
    coarse: NDArray[np.float32]
    limit: float

    @cached_property
    def whole(self) -> NDArray[np.uint8]:
        """uint8 [49, 588], the points, once for each part of another."""
        return np.tile(self.points[1:-1, 1:-1].reshape(-1), (len(_PARTS), 1))

    @cached_property
    def parts(self) -> NDArray[np.uint8]:
        """uint8 [49, 588], the points of its parts; most looks are never compared so closely.

        First along one side, then along the other: a sixth of the time of a remap to all points of all parts.
        """
        upright = _ALONG @ self.points.reshape(SIDE, -1).astype(np.float32)
        every = upright.reshape(-1, SIDE, 3).transpose(0, 2, 1).reshape(-1, SIDE) @ _ALONG.T
        spans = every.reshape(len(_SPANS), _INNER, 3, len(_SPANS), _INNER).transpose(3, 0, 1, 4, 2)
        return np.asarray(np.clip(np.rint(spans), 0, 255), np.uint8).reshape(len(_PARTS), -1)


def read_look(stored: bytes) -> Look | None:
    """From what `look_of` gave; None of anything else."""
    if len(stored) != LOOK_BYTES:
        return None
    levels = np.frombuffer(stored, np.uint8)
    colours = np.ascontiguousarray(levels[SIDE**2 :].reshape(2, COLOUR_SIDE, COLOUR_SIDE).transpose(1, 2, 0))
    large = np.asarray(cv2.resize(colours, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), np.uint8)
    planes = np.dstack([levels[: SIDE**2].reshape(SIDE, SIDE), large])
    points = np.asarray(cv2.cvtColor(planes, cv2.COLOR_YCrCb2RGB), np.uint8)
    coarse = cv2.resize(points.astype(np.float32), (_COARSE, _COARSE), interpolation=cv2.INTER_AREA)
    contrast = float(np.abs(points - points.mean(axis=(0, 1))).mean())
    limit = _FLAT_NOISE if contrast < _FLAT else max(_NOISE, min(_FAR, _FAR_SHARE * contrast))
    return Look(points, np.asarray(coarse, np.float32).reshape(-1), limit)


def _along() -> NDArray[np.float32]:
    """[7 * 14, 16] weights of a side's points for those of each span of it, as OpenCV interpolates, span below span."""
    steps = (np.arange(SIDE)[1:-1] + 0.5) / SIDE
    places = np.concatenate([(start + length * steps) * SIDE - 0.5 for start, length in _SPANS]).astype(np.float32)
    columns = np.tile(np.arange(SIDE, dtype=np.float32), (len(places), 1))
    rows, one = np.tile(places[:, None], (1, SIDE)), np.eye(SIDE, dtype=np.float32)
    return np.asarray(cv2.remap(one, columns, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.float32)


_ALONG = _along()


class Looks:
    """Looks in the order in which they came, at most `room` of them."""

    def __init__(self, room: int) -> None:
        self._looks: list[Look] = []
        self._coarse = np.empty((room, 3 * _COARSE**2), np.float32)

    def add(self, look: Look) -> None:
        """One more."""
        self._coarse[len(self._looks)] = look.coarse
        self._looks.append(look)

    def near(self, look: Look) -> Iterator[int]:
        """Which are near copies of it, or it of them; the first first, each compared when it is asked for."""
        coarse = np.abs(self._coarse[: len(self._looks)] - look.coarse).mean(axis=1)
        plausible = np.flatnonzero(coarse <= _COARSELY_FAR)
        return (int(at) for at in plausible if are_near(look, self._looks[at]))


def are_near(one: Look, other: Look) -> bool:
    """Whether one is a near copy of the other: resized, compressed again, written over, or with a rim cut off.

    One is laid onto the part of the other that fits it best.
    """
    differences = cv2.vconcat([cv2.absdiff(one.parts, other.whole), cv2.absdiff(other.parts, one.whole)])
    sums = np.asarray(cv2.reduce(differences, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S))
    fits, limit = int(sums.argmin()), min(one.limit, other.limit)
    mean = float(sums[fits, 0]) / one.whole.shape[1]
    if mean > _WRITTEN * limit:
        return False
    best = np.asarray(differences)[fits].reshape(-1, 3).mean(axis=1)
    worst = best.max()
    if mean <= limit and worst <= _ANYWHERE:
        return True
    calm = np.sort(best)[: int(_CALM * best.size)].mean()
    return bool(calm <= _CALM_SHARE * limit and worst <= _WRITTEN_ANYWHERE)
