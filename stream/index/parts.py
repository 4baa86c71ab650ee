"""Images by whatever is most like a vector: the whole picture, or an object in it.

In: the two indexes. Out: hits as the image index gives them. An object counts only for the bytes that it was cut from:
whatever the object index still holds of images that were deleted or replaced is never found. Raises
IndexUnavailableError.
"""

from collections.abc import Iterable
from dataclasses import replace

from models.proposals import Box
from stream.index.contract import ALL, Condition, Hit, VectorIndex
from stream.index.objects import ObjectIndex, best_box
from stream.index.payload import Vector


class PartSearch:
    """Asks both indexes; thread-safe as far as they are."""

    def __init__(self, images: VectorIndex, objects: ObjectIndex) -> None:
        self._images, self._objects = images, objects

    def search(
        self, vector: Vector, limit: int, condition: Condition = ALL, *, with_vectors: bool = False
    ) -> list[Hit]:
        """See VectorIndex.search; a score is that of the whole picture, or of an object in it where that is more."""
        hits = {one.image_id: one for one in self._images.search(vector, limit, condition, with_vectors=with_vectors)}
        parts = {one.image_id: one for one in self._objects.search(vector, limit)}
        known = dict(hits)
        if others := tuple(image_id for image_id in parts if image_id not in hits):
            among = replace(condition, among=others)
            found, _ = self._images.scroll(None, len(others), among, with_vectors=with_vectors)
            known |= {one.image_id: one for one in found}
        for image_id, hit in known.items():
            part, whole = parts.get(image_id), hits.get(image_id)
            if part is None or part.sha256 != hit.payload.sha256:
                continue
            if whole is None or part.score > whole.score:
                hits[image_id] = replace(hit, score=part.score, is_part=True)
        return sorted(hits.values(), key=lambda hit: (-hit.score, hit.image_id))[:limit]

    def boxes(self, vector: Vector, hits: Iterable[Hit]) -> dict[str, Box]:
        """Where in their pictures those are that an object found, by image id."""
        ids = [hit.image_id for hit in hits if hit.is_part]
        found = self._objects.fetch(ids, with_vectors=True) if ids else {}
        return {i: best_box(one, vector) for i, one in found.items() if one.vectors is not None}
