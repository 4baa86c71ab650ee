"""An encoder is a network on some device and a projection: this joins the two and gives them one version.

In: pictures uint8 [B, 224, 224, 3] RGB. Out: unit vectors float32 [B, D]. Raises UsageError on other arrays.
"""

import hashlib

import numpy as np

from models.encoders.base import Extractor, Images, Vectors, check_images
from models.encoders.efficientnet.outputs import FEATURES, MAP_SHAPE, NAME, READ_OFF
from models.encoders.efficientnet.weights import weights_sha256
from models.encoders.projection import Projection
from models.preprocess import PREPROCESSING

VERSION_LENGTH = 16  # hex digits, 64 bits: short enough to read, long enough never to collide by chance


def encoder_version(projection: Projection) -> str:
    """16 hex digits over weights, preprocessing, what is read off the network, and projection.

    The device is left out: all backends agree within their tolerance, so their vectors may be mixed.

    Raises:
        ConfigurationError: the weights are missing.
    """
    parts = (NAME, weights_sha256(), PREPROCESSING, READ_OFF, projection.sha256)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:VERSION_LENGTH]


class ProjectedEncoder:
    """The `Encoder` of every backend; any thread."""

    def __init__(self, extractor: Extractor, projection: Projection) -> None:
        self.name = NAME
        self.version = encoder_version(projection)
        self.dimension = projection.dimension
        self.device = extractor.device
        self._extractor = extractor
        self._projection = projection

    def embed(self, images: Images) -> Vectors:
        """See Encoder."""
        return self._projection.apply(self.features(images))

    def features(self, images: Images) -> Vectors:
        """Raw features float32 [B, F] of such pictures, before the projection."""
        images = check_images(images)
        return self._extractor.extract(images) if len(images) else np.empty((0, FEATURES), np.float32)

    def embed_with_regions(self, images: Images) -> tuple[Vectors, Vectors]:
        """See Encoder."""
        images = check_images(images)
        if not len(images):
            return self.embed(images), np.empty((0, *MAP_SHAPE), np.float32)
        features, maps = self._extractor.extract_with_maps(images)
        return self._projection.apply(features), maps
