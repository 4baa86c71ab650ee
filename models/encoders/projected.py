"""An encoder is a network on some device and a projection: this joins the two.

In: pictures uint8 [B, S, S, 3] RGB. Out: raw features, and unit vectors float32 [B, D]. Raises UsageError on other
arrays, PolicyError where the network overflows.
"""

import numpy as np

from models.encoders.base import Extractor, Images, Raw, Vectors, check_images
from models.encoders.projection import Projection
from models.encoders.raw_features import pack, raw_bytes, unpack
from models.encoders.registry.manifest import Manifest
from models.errors import UsageError


class ProjectedEncoder:
    """The `Encoder` of every backend; any thread."""

    def __init__(self, manifest: Manifest, extractor: Extractor, projection: Projection) -> None:
        self.name = manifest.name
        self.version = manifest.version
        self.network_version = manifest.network_version
        self.preprocessing = manifest.preprocessing
        self.dimension = projection.dimension
        self.device = extractor.device
        self.parts = manifest.parts
        self.raw_bytes = raw_bytes(manifest.parts)
        self._extractor = extractor
        self._projection = projection

    def encode(self, images: Images) -> Raw:
        """See Encoder."""
        images = check_images(images, self.preprocessing.size_px)
        if not len(images):
            return np.empty((0, self.raw_bytes), np.uint8)
        return pack(self._extractor.extract(images), self.parts)

    def project(self, raw: Raw) -> Vectors:
        """See Encoder."""
        return self._projection.apply(unpack(raw, self.parts))

    def embed(self, images: Images) -> Vectors:
        """See Encoder."""
        return self.project(self.encode(images))

    def embed_with_regions(self, images: Images) -> tuple[Vectors, Vectors]:
        """See Encoder."""
        images = check_images(images, self.preprocessing.size_px)
        if not len(images):
            raise UsageError("images: expected one at least; a feature map of none has no shape")
        features, maps = self._extractor.extract_with_maps(images)
        return self.project(pack(features, self.parts)), maps
