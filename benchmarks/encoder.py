"""E1: images per second of the bare encoder, by batch size, on decoded pictures in memory."""

import os
import time
from typing import Any

import numpy as np

from benchmarks.drawings import drawing
from models.encoders import load_encoder

BATCHES = (1, 8, 32, 64)


def run(images: int) -> dict[str, Any]:
    """Measure; keys are `images_per_second_<batch>`."""
    encoder = load_encoder()
    pixels = np.stack([drawing(seed) for seed in range(min(images, 128))])
    pixels = np.concatenate([pixels] * -(-images // len(pixels)))[:images]
    encoder.embed(pixels[:32])
    figures: dict[str, Any] = {"id": "E1", "device": encoder.device, "cores": os.cpu_count(), "images": images}
    for batch in BATCHES:
        started_s = time.perf_counter()
        for start in range(0, images, batch):
            encoder.embed(pixels[start : start + batch])
        figures[f"images_per_second_{batch}"] = round(images / (time.perf_counter() - started_s), 1)
    return figures
