"""Where in a picture something stands out: boxes that a small object may fill.

In: uint8 [H, W, 3] RGB. Out: boxes as shares of the picture. Raises UsageError on other arrays.

A window is worth a box where its mean differs from the mean of the ring around it, measured in the ring's own
deviation: colour, strokes in both directions, saturation, darkness and plainness, on a grid of 64 x 64. No network is
asked (docs/decisions/0032-objects.md has what that buys and costs).

Source: centre-surround differences after Itti, Koch and Niebur, A model of saliency-based visual attention (IEEE PAMI
20, 1998); windows scored by integral images after Viola and Jones (CVPR 2001).
"""

from functools import cache
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import UsageError

Box: TypeAlias = tuple[float, float, float, float]  # left, top, width, height in shares of the picture
Boxes: TypeAlias = NDArray[np.int64]  # [N, 4]: top, left, bottom, right in cells

CELLS = 64  # of the grid, a side
FINER = 4  # strokes are looked for on a grid so many times as fine
SIDES = (0.13, 0.18, 0.25, 0.35, 0.48, 0.65)  # of a window, in shares: the root of its area
ASPECTS = (0.65, 1.0, 1.55)
STEPS = 4  # of a window's shorter side, between one window and the next
RING = 0.25  # of a window's side: how far its ring reaches on each side
NOISE = 1e-3  # added to the ring's variance
OVERLAP = 0.3  # IoU of two boxes at most
LONG = 3.0  # longer side by shorter: beyond, a picture is cut into squares
_LAB = np.array([100, 60, 60], np.float32)  # of CIE L*a*b*, to about one


def propose(image: NDArray[np.uint8], most: int) -> list[Box]:
    """At most so many boxes, the most promising first; of a picture longer than 3:1 first the squares that cover it.

    Raises:
        UsageError: not uint8 [H, W, 3] with at least one pixel.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise UsageError(f"image {image.dtype} {list(image.shape)}: expected uint8 [H, W, 3] RGB; decode it first")
    squares = _squares(image.shape[1], image.shape[0])[:most]
    if squares or most < 1:
        return squares
    windows = _windows()
    scores = _contrasts(_features(image), windows)
    kept = _apart(windows, scores, most)
    return [
        (float(left) / CELLS, float(top) / CELLS, float(right - left) / CELLS, float(bottom - top) / CELLS)
        for top, left, bottom, right in kept
    ]


def _squares(width: int, height: int) -> list[Box]:
    """Squares side by side that cover a long picture, evenly; nothing of any other."""
    longer, shorter = max(width, height), min(width, height)
    if longer <= LONG * shorter:
        return []
    count = -(-longer // shorter)
    share = shorter / longer
    places = np.linspace(0, 1 - share, count).tolist()
    return [(at, 0.0, share, 1.0) if width > height else (0.0, at, 1.0, share) for at in places]


def _features(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[64, 64, 8]: lightness and colour, strokes across and down, saturation, darkness, plainness."""
    fine = cv2.resize(image, (CELLS * FINER, CELLS * FINER), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    light = cv2.cvtColor(fine, cv2.COLOR_RGB2LAB)[..., 0] / 100
    across, down = (np.abs(cv2.Sobel(light, cv2.CV_32F, dx, 1 - dx)) for dx in (1, 0))
    dark, plain = (light < 0.12).astype(np.float32), (across + down < 0.02).astype(np.float32)
    strokes = [cv2.resize(one, (CELLS, CELLS), interpolation=cv2.INTER_AREA) for one in (across, down, dark, plain)]
    coarse = cv2.resize(image, (CELLS, CELLS), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    lab = cv2.cvtColor(coarse, cv2.COLOR_RGB2LAB) / _LAB
    saturation = np.sqrt(np.square(lab[..., 1:]).sum(axis=2))
    found: NDArray[np.float32] = np.dstack([
        lab, *strokes[:2], 0.7 * saturation, 0.7 * strokes[2], 0.7 * strokes[3]
    ]).astype(np.float32)  # fmt: skip
    return found


@cache
def _windows() -> Boxes:
    """All windows of the grid."""
    found = []
    for side in SIDES:
        for aspect in ASPECTS:
            width, height = round(side * CELLS * aspect**0.5), round(side * CELLS / aspect**0.5)
            step = max(1, round(min(width, height) / STEPS))
            tops, lefts = (np.append(np.arange(0, CELLS - n, step), CELLS - n) for n in (height, width))
            top, left = (grid.ravel() for grid in np.meshgrid(tops, lefts, indexing="ij"))
            found.append(np.stack([top, left, top + height, left + width], axis=1))
    return np.concatenate(found)


def _contrasts(features: NDArray[np.float32], windows: Boxes) -> NDArray[np.float32]:
    """How much each window stands out from its ring."""
    sums = np.pad(features.cumsum(0, np.float64).cumsum(1), ((1, 0), (1, 0), (0, 0)))
    squares = np.pad(np.square(features).sum(axis=2).cumsum(0, np.float64).cumsum(1), ((1, 0), (1, 0)))
    sides = windows[:, 2:] - windows[:, :2]
    reach = np.maximum(1, np.round(sides * RING)).astype(np.int64)
    outer = np.concatenate([np.maximum(0, windows[:, :2] - reach), np.minimum(CELLS, windows[:, 2:] + reach)], axis=1)
    inside, area = _total(sums, windows), sides.prod(axis=1).astype(np.float64)
    ring_area = (outer[:, 2:] - outer[:, :2]).prod(axis=1) - area
    ring_mean = (_total(sums, outer) - inside) / ring_area[:, None]
    difference = np.square(inside / area[:, None] - ring_mean).sum(axis=1)
    ring_squares = (_total(squares, outer) - _total(squares, windows)) / ring_area
    variance = np.maximum(ring_squares - np.square(ring_mean).sum(axis=1), 0)
    found: NDArray[np.float32] = (difference / (NOISE + variance / 2) * np.sqrt(area)).astype(np.float32)
    return found


def _total(sums: NDArray[np.float64], boxes: Boxes) -> NDArray[np.float64]:
    """Sums over the cells of each box, from sums over all that is above and left."""
    top, left, bottom, right = boxes.T
    found: NDArray[np.float64] = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    return found


def _apart(windows: Boxes, scores: NDArray[np.float32], most: int) -> Boxes:
    """The best windows, no two of which overlap much."""
    areas = (windows[:, 2:] - windows[:, :2]).prod(axis=1)
    free = np.ones(len(windows), bool)
    kept: list[int] = []
    for at in np.argsort(-scores, kind="stable"):
        if not free[at]:
            continue
        kept.append(int(at))
        if len(kept) == most:
            break
        low, high = np.maximum(windows[:, :2], windows[at, :2]), np.minimum(windows[:, 2:], windows[at, 2:])
        shared = np.maximum(high - low, 0).prod(axis=1)
        free &= shared <= OVERLAP * (areas + areas[at] - shared)
    return windows[kept]
