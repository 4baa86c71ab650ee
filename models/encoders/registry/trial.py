"""Runs an encoder's network before it is taken: what its manifest says must be so.

In: an extractor, and the size of its pictures. Out: how many numbers it gives, and pictures a second. Raises
ConfigurationError for one that fails, gives other numbers the second time, or sees no difference between pictures.
"""

import time
from dataclasses import dataclass

import numpy as np

from models.encoders.base import Extractor, Images, Vectors
from models.errors import ConfigurationError, MekikiError

PICTURES = 12
TIMED_S = 1.0  # how long the speed is measured, at least one run of all pictures
COLLAPSED = 1e-3  # of the features' length: pictures as unlike as these are much further apart


@dataclass(frozen=True)
class Trial:
    """What was seen.

    Attributes:
        features: numbers of a picture, F.
        images_per_second: on this machine.
    """

    features: int
    images_per_second: float


def run_trial(extractor: Extractor, size_px: int) -> Trial:
    """Run the network on pictures that are unlike each other.

    Raises:
        ConfigurationError: see the module.
    """
    images = unlike_pictures(size_px)
    first = _extracted(extractor, images)
    again = _extracted(extractor, images[::-1])[::-1]
    if first.ndim != 2 or len(first) != len(images) or not first.shape[1]:
        raise ConfigurationError(
            f"network: gives {list(first.shape)} for {len(images)} pictures: expected [{len(images)}, F]; "
            "correct the outputs and their kinds in the manifest"
        )
    if not np.isfinite(first).all():
        raise ConfigurationError("network: gives NaN or infinity; correct mean and deviation, or export it again")
    if not np.array_equal(first, again):
        raise ConfigurationError(
            "network: gives other numbers for the same picture the second time; export it for inference, without "
            "dropout and random values"
        )
    spread = np.linalg.norm(first - first.mean(axis=0), axis=1).max()
    if spread <= COLLAPSED * np.linalg.norm(first, axis=1).max():
        raise ConfigurationError(
            "network: gives the same for pictures that have nothing in common; correct its preprocessing in the "
            "manifest, or train it again"
        )
    return Trial(first.shape[1], _speed(extractor, images))


def _extracted(extractor: Extractor, images: Images) -> Vectors:
    try:
        return extractor.extract(images)
    except MekikiError:
        raise
    except Exception as error:  # of ONNX Runtime, which has no class for it
        raise ConfigurationError(f"network: fails on a picture ({str(error)[-200:]}); correct the manifest") from error


def _speed(extractor: Extractor, images: Images) -> float:
    start_s, done = time.perf_counter(), 0
    while not done or time.perf_counter() - start_s < TIMED_S:
        extractor.extract(images)
        done += len(images)
    return done / (time.perf_counter() - start_s)


def unlike_pictures(size_px: int) -> Images:
    """uint8 [12, S, S, 3]: flats, gradients, stripes, discs and noise in different colours, the same every time."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[0:size_px, 0:size_px] / size_px
    masks = [
        np.zeros_like(x), np.ones_like(x), x, y, (x + y) / 2, np.floor(x * 8) % 2, np.floor(y * 16) % 2,
        (np.hypot(x - 0.5, y - 0.5) < 0.3).astype(float), (np.hypot(x - 0.2, y - 0.7) < 0.15).astype(float),
        (np.abs(x - y) < 0.1).astype(float), rng.random(x.shape), np.floor(x * 4) % 2 * np.floor(y * 4) % 2,
    ]  # fmt: skip
    colours = rng.integers(0, 256, (len(masks), 2, 3))
    pictures = [
        mask[:, :, None] * here + (1 - mask[:, :, None]) * there
        for mask, (here, there) in zip(masks, colours, strict=True)
    ]
    return np.stack(pictures).astype(np.uint8)
