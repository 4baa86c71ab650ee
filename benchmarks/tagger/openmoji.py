"""Features and tags of the OpenMoji pictures, for quality and few-shot."""

from __future__ import annotations

import cv2
import numpy as np

from admin.openmoji import load_pictures, rasterise
from models.encoders.load import load_extractor

BATCH = 64


def openmoji_features() -> tuple[np.ndarray, list[tuple[str, ...]]]:
    """Raw features [N, 2608] of the OpenMoji pictures and their English tags."""
    pictures, extractor, features = load_pictures(), load_extractor(), []
    for start in range(0, len(pictures), BATCH):
        files = [np.frombuffer(rasterise(picture), np.uint8) for picture in pictures[start : start + BATCH]]
        pixels = [np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR_RGB), np.uint8) for file in files]
        features.append(extractor.extract(np.stack(pixels)))
    return np.concatenate(features), [picture.tags for picture in pictures]
