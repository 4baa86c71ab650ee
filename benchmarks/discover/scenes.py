"""Made scenes: drawings of the demo pasted on photographs and textures, and a recoloured drawing to look for each.

In: a seed and a number. Out: `Scene`s. Raises ConfigurationError where the extra `demo` is not installed.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_sample_images

from admin.openmoji import load_pictures, rasterise
from models.proposals import Box

SIDE_PX = 768
FEW, MANY = 3, 6  # drawings on a scene
SMALLEST, LARGEST = 0.15, 0.5  # of the scene's side
COVERED = 0.25  # of the smaller of two, at most
MEDIUM, LARGE = 0.25, 0.37  # sides from which a drawing counts as one

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Thing:
    """A drawing on a scene: its id, its box in shares, and how it is looked for, uint8 [224, 224, 3] on white."""

    image_id: str
    box: Box
    query: Pixels

    @property
    def size(self) -> str:
        """small, medium or large."""
        longer = max(self.box[2:])
        return "small" if longer < MEDIUM else "medium" if longer < LARGE else "large"


@dataclass(frozen=True)
class Scene:
    """A picture uint8 [768, 768, 3] and what is on it."""

    pixels: Pixels
    things: tuple[Thing, ...]

    def encoded(self) -> bytes:
        """As JPEG."""
        return bytes(cv2.imencode(".jpg", self.pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1])


def scenes(count: int, seed: int = 0) -> Iterator[Scene]:
    """Seeded; each drawing is used once before any is used again."""
    chance = np.random.default_rng(seed)
    pictures = load_pictures()
    order, used = chance.permutation(len(pictures)), 0
    for _ in range(count):
        canvas, things = _background(chance).astype(np.float32), list[Thing]()
        for _ in range(chance.integers(FEW, MANY + 1)):
            picture = pictures[order[used % len(order)]]
            used += 1
            drawing = cv2.imdecode(np.frombuffer(rasterise(picture), np.uint8), cv2.IMREAD_COLOR_RGB)
            cut, alpha = _without_white(np.asarray(drawing, np.uint8))
            place = _place(chance, cut.shape[:2], [thing.box for thing in things])
            if cut.size and place is not None:
                _paste(canvas, _recoloured(cut, chance), alpha, place)
                box = (place[0] / SIDE_PX, place[1] / SIDE_PX, place[2] / SIDE_PX, place[3] / SIDE_PX)
                things.append(Thing(picture.image_id, box, _recoloured(np.asarray(drawing, np.uint8), chance)))
        yield Scene(canvas.clip(0, 255).astype(np.uint8), tuple(things))


def _background(chance: np.random.Generator) -> Pixels:
    """A part of a photograph, or a texture."""
    photographs: list[Pixels] = load_sample_images().images
    kind = int(chance.integers(len(photographs) + 3))
    if kind < len(photographs):
        image = photographs[kind]
        side = int(chance.integers(min(image.shape[:2]) // 2, min(image.shape[:2])))
        top, left = (int(chance.integers(0, image.shape[axis] - side + 1)) for axis in (0, 1))
        part = np.asarray(image[top : top + side, left : left + side], np.uint8)
        return np.asarray(cv2.resize(part, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_LINEAR), np.uint8)
    colours = chance.integers(20, 235, (2, 3)).astype(np.float32)
    if kind == len(photographs):  # grain, coarse or fine
        cells = int(chance.integers(24, 200))
        grain = chance.random((cells, cells, 1), np.float32)
    elif kind == len(photographs) + 1:  # stripes
        across = np.mgrid[0:SIDE_PX, 0:SIDE_PX][chance.integers(2)].astype(np.float32)
        grain = (0.5 + 0.5 * np.sin(across / chance.uniform(4, 40)))[..., None]
    else:  # a wall of bricks
        rows, columns = np.mgrid[0:SIDE_PX, 0:SIDE_PX]
        shifted = columns + 64 * (rows // 48 % 2)
        grain = ((rows % 48 < 5) | (shifted % 128 < 5)).astype(np.float32)[..., None]
    weight = cv2.resize(grain, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC)[..., None]
    mixed = colours[0] * weight + colours[1] * (1 - weight)
    return np.asarray((mixed + chance.normal(0, 6, mixed.shape)).clip(0, 255), np.uint8)


def _without_white(drawing: Pixels) -> tuple[Pixels, Floats]:
    """The drawing without the white around it, and how opaque it is."""
    white = np.asarray((drawing >= 250).all(axis=2), np.uint8)
    height, width = white.shape
    for corner in ((0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1)):
        if white[corner[1], corner[0]] == 1:
            cv2.floodFill(white, np.zeros((height + 2, width + 2), np.uint8), corner, (2,))
    opaque = white != 2
    rows, columns = np.flatnonzero(opaque.any(axis=1)), np.flatnonzero(opaque.any(axis=0))
    if not rows.size:
        return drawing[:0], np.zeros((0, 0), np.float32)
    inside = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return drawing[inside], opaque[inside].astype(np.float32)


def _place(chance: np.random.Generator, shape: tuple[int, ...], taken: list[Box]) -> tuple[int, int, int, int] | None:
    """Left, top, width and height in pixels where little is covered; None where there is no room."""
    for _ in range(30):
        scale = chance.uniform(SMALLEST, LARGEST) * SIDE_PX / max(*shape, 1)
        width, height = max(8, int(shape[1] * scale)), max(8, int(shape[0] * scale))
        left, top = int(chance.integers(0, SIDE_PX - width + 1)), int(chance.integers(0, SIDE_PX - height + 1))
        box = left / SIDE_PX, top / SIDE_PX, width / SIDE_PX, height / SIDE_PX
        if all(_shared(box, other) < COVERED * min(box[2] * box[3], other[2] * other[3]) for other in taken):
            return left, top, width, height
    return None


def _shared(one: Box, other: Box) -> float:
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    return max(width, 0.0) * max(height, 0.0)


def iou(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    shared = _shared(one, other)
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)


def _paste(canvas: Floats, drawing: Pixels, alpha: Floats, place: tuple[int, int, int, int]) -> None:
    left, top, width, height = place
    small = cv2.resize(drawing, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    edge = cv2.GaussianBlur(cv2.resize(alpha, (width, height), interpolation=cv2.INTER_AREA), (0, 0), 1.2)[..., None]
    part = canvas[top : top + height, left : left + width]
    part[:] = part * (1 - edge) + small * edge


def _recoloured(drawing: Pixels, chance: np.random.Generator) -> Pixels:
    """A little darker, paler and of another hue."""
    hsv = np.asarray(cv2.cvtColor(drawing, cv2.COLOR_RGB2HSV), np.float32)
    hsv[..., 0] = (hsv[..., 0] + chance.uniform(-5, 5)) % 180
    hsv[..., 1] *= chance.uniform(0.8, 1.1)
    hsv[..., 2] *= chance.uniform(0.8, 1.0)
    return np.asarray(cv2.cvtColor(hsv.clip(0, 255).astype(np.uint8), cv2.COLOR_HSV2RGB), np.uint8)
