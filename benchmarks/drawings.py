"""Seeded drawings, for measuring without the OpenMoji pictures: shapes on white, PNG or JPEG."""

import cv2
import numpy as np
import numpy.typing as npt

SIZE_PX = 224


def drawing(seed: int) -> npt.NDArray[np.uint8]:
    """One picture uint8 [224, 224, 3] RGB."""
    chance = np.random.default_rng(seed)
    canvas = np.full((SIZE_PX, SIZE_PX, 3), 255, np.uint8)
    for _ in range(6):
        colour = tuple(int(c) for c in chance.integers(0, 255, 3))
        x, y, size = (int(v) for v in chance.integers(20, 200, 3))
        cv2.circle(canvas, (x, y), size // 4 + 4, colour, -1, cv2.LINE_AA)
        cv2.rectangle(canvas, (y, x), (y + size // 3, x + size // 4), colour[::-1], -1)
    return canvas


def encoded(seed: int) -> bytes:
    """The same as a file: PNG for even seeds, JPEG for odd ones."""
    done, data = cv2.imencode(".png" if seed % 2 == 0 else ".jpg", drawing(seed)[:, :, ::-1])
    if not done:
        raise RuntimeError(f"drawing {seed}: not encoded")
    return data.tobytes()
