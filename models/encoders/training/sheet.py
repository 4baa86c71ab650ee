"""A sheet of pictures and what an autoencoder makes of them, for a person to look at.

In: pictures and reconstructions. Out: a PNG. Raises StorageUnavailableError: no room.
"""

from pathlib import Path

import cv2
import numpy as np

from models.encoders.base import Images
from models.encoders.training.data.files import write_whole

COLUMNS = 8
GAP_PX = 4


def draw_sheet(pictures: Images, made: Images, path: Path) -> None:
    """Write rows of pictures [N, S, S, 3], each with a row of reconstructions [N, S, S, 3] below."""
    size = pictures.shape[1]
    lines = -(-len(pictures) // COLUMNS)
    cell = size + GAP_PX
    sheet = np.full((lines * (2 * cell + GAP_PX) + GAP_PX, COLUMNS * cell + GAP_PX, 3), 255, np.uint8)
    for number in range(len(pictures)):
        left = GAP_PX + number % COLUMNS * cell
        top = GAP_PX + number // COLUMNS * (2 * cell + GAP_PX)
        sheet[top : top + size, left : left + size] = pictures[number]
        sheet[top + cell : top + cell + size, left : left + size] = made[number]
    _, content = cv2.imencode(".png", sheet[:, :, ::-1])
    write_whole(path, content.tobytes())
