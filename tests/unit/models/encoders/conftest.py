"""An encoder on this CPU, and pictures for it."""

from pathlib import Path

import numpy as np
import pytest

from models.encoders import Encoder, load_encoder
from models.encoders.base import Images
from models.preprocess import DEFAULT


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def encoder(cache_dir: Path) -> Encoder:
    return load_encoder("onnx", cache_dir=cache_dir)


@pytest.fixture(scope="session")
def images() -> Images:
    """64 pictures with edges, gradients and flat areas."""
    rng = np.random.default_rng(0)
    size = DEFAULT.size_px
    images = np.empty((64, size, size, 3), np.uint8)
    ramp = np.linspace(0, 1, size)[:, None, None]
    for image in images:
        image[:] = rng.integers(0, 256, 3) * ramp + rng.integers(0, 256, 3) * (1 - ramp)
        for _ in range(6):
            y, x, h, w = rng.integers(0, size, 2).tolist() + rng.integers(5, 120, 2).tolist()
            image[y : y + h, x : x + w] = rng.integers(0, 256, 3)
    return images
