"""Vectors of pictures that are not in the index, whole or in parts.

In: picture bytes. Out: embeddings on the same grid as the index. Raises PoisonError for bytes that are no picture, or
one beyond the limits.
"""

from models.encoders.base import Encoder
from models.errors import PoisonError
from models.proposals import Box
from models.quantise import dequantise, quantise
from stream.index.payload import Vector
from stream.pictures.decode_pool import Crop, DecodePool


class PictureEmbedder:
    """Decodes and embeds; thread-safe as far as its parts are."""

    def __init__(self, encoder: Encoder, decoder: DecodePool) -> None:
        self._encoder, self._decoder = encoder, decoder

    def embed(self, content: bytes, crop: Crop | None = None) -> Vector:
        """The embedding [D] of a picture, or of a part of it."""
        (decoded,) = self._decoder.decode_many([content], [crop])
        if isinstance(decoded, PoisonError):
            raise decoded
        vector: Vector = dequantise(quantise(self._encoder.embed(decoded.pixels[None])))[0]
        return vector

    def objects_in(self, content: bytes, most: int) -> tuple[tuple[Box, ...], Vector | None]:
        """At most so many parts that may be objects: boxes, and embeddings [K, D]; None where there are none."""
        regions = self._decoder.regions(content, most)
        if isinstance(regions, PoisonError):
            raise regions
        return regions.boxes, dequantise(quantise(self._encoder.embed(regions.pixels))) if regions.boxes else None
