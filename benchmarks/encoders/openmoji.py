"""The OpenMoji pictures as a source for training, in memory."""

from collections.abc import Sequence

import cv2
import numpy as np

from admin.openmoji import load_pictures, rasterise
from models.encoders.base import Images
from models.look import look_of


class OpenMoji:
    """See models.encoders.training.data.pictures.Pictures; `tags` are its keywords. 290 MB for all."""

    def __init__(self, most: int | None = None) -> None:
        pictures = load_pictures()[:most]
        self.ids: Sequence[str] = [picture.image_id for picture in pictures]
        self.tags = {picture.image_id: picture.tags for picture in pictures}
        self.position = "openmoji"
        self.pixels = {picture.image_id: _decoded(rasterise(picture)) for picture in pictures}
        self.looks = {name: look_of(image) for name, image in self.pixels.items()}

    def load(self, ids: Sequence[str]) -> list[Images | None]:
        """See Pictures.load."""
        return [self.pixels[name] for name in ids]


def _decoded(png: bytes) -> Images:
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR_RGB)
    return np.asarray(image, np.uint8)
