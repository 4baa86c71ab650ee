"""What the objects of images are to be: a function of what the image index says of them now.

In: an image id. Out: what the object index does not have yet. Raises IndexUnavailableError.
"""

import logging
from dataclasses import dataclass

from models.encoders.base import Encoder
from models.errors import InfrastructureError, PoisonError
from models.quantise import dequantise, quantise
from stream.index.contract import VectorIndex
from stream.index.objects import ImageObjects, ObjectIndex
from stream.index.payload import ImagePayload, IndexRecord
from stream.pictures.dataref import DatarefReader
from stream.pictures.decode_pool import DecodePool
from stream.pictures.store import PictureStore

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cutter:
    """Cuts pictures into objects; `per_image` of them at most."""

    images: VectorIndex
    objects: ObjectIndex
    encoder: Encoder
    decoder: DecodePool
    pictures: PictureStore
    datarefs: DatarefReader
    per_image: int

    def missing(self, image_id: str) -> ImageObjects | None:
        """Its objects, where its bytes are others than those they were cut from, or are gone; else None."""
        record, known = self.images.fetch([image_id]).get(image_id), self.objects.fetch([image_id]).get(image_id)
        if record is None:
            return None
        if record.payload is None:
            return None if known is None else ImageObjects(image_id, record.position)
        if known is not None and known.sha256 == record.payload.sha256:
            return None
        return self._cut(record, record.payload)

    def _cut(self, record: IndexRecord, payload: ImagePayload) -> ImageObjects:
        nothing = ImageObjects(record.image_id, record.position, payload.sha256)
        try:
            content = self.pictures.get(payload.stored) if payload.stored else self.datarefs.read(payload.uri)
            regions = self.decoder.regions(content, self.per_image)
        except (FileNotFoundError, PoisonError, InfrastructureError) as error:
            log.warning("image %r: no objects, its bytes are not there (%s)", record.image_id, error)
            return ImageObjects(record.image_id, record.position)  # whoever looks again may find them
        if isinstance(regions, PoisonError) or regions.sha256 != payload.sha256 or not regions.boxes:
            return nothing
        try:
            vectors = dequantise(quantise(self.encoder.embed(regions.pixels)))
        except PoisonError as error:
            log.warning("image %r: no objects (%s)", record.image_id, error)
            return nothing
        return ImageObjects(record.image_id, record.position, payload.sha256, regions.boxes, vectors)
