"""E1: images per second of the bare encoder, by batch size, on decoded pictures in memory."""

import os
from typing import Any

import numpy as np

from admin.demo.measure import encoder_rate
from benchmarks.drawings import drawing
from models.encoders import load_encoder

BATCHES = (1, 8, 32, 64)


def run(images: int) -> dict[str, Any]:
    """Measure; keys are `images_per_second_<batch>`."""
    encoder = load_encoder()
    pixels = np.stack([drawing(seed) for seed in range(min(images, 128))])
    pixels = np.concatenate([pixels] * -(-images // len(pixels)))[:images]
    figures: dict[str, Any] = {"id": "E1", "device": encoder.device, "cores": os.cpu_count(), "images": images}
    for batch in BATCHES:
        figures[f"images_per_second_{batch}"] = round(encoder_rate(encoder, pixels, batch), 1)
    return figures
