"""What the objects of images are to be: a function of what the image index says of them now.

In: image ids. Out: what the object index does not have yet. Raises IndexUnavailableError.
"""

import logging
from collections.abc import Sequence
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

    def missing(self, image_ids: Sequence[str]) -> list[ImageObjects]:
        """Objects of those images whose bytes are others than the objects were cut from, or that are gone."""
        records, known = self.images.fetch(image_ids), self.objects.fetch(image_ids)
        made = []
        for image_id, record in records.items():
            cut_from = known[image_id].sha256 if image_id in known else None
            if record.payload is None:
                made += [ImageObjects(image_id, record.position)] if cut_from is not None else []
            elif record.payload.sha256 != cut_from:
                made.append(self._cut(record, record.payload))
        return made

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
