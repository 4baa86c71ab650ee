"""Images with the same bytes, or nearly the same look, on one page of results.

In: hits in their order, and a way to their vectors. Out: `Found`, in the same order. Raises what that way raises.

Near duplicates are those whose looks are near (brightness and colours, see models.look) and whose embeddings agree: two
faces that differ in the mouth alone have one look and two embeddings.
"""

import base64
import sys
from collections.abc import Callable, Mapping, Sequence

from models.look import Looks, read_look
from search.answer import Found
from search.schemas import Collapse
from stream.index.contract import Hit, VectorIndex
from stream.index.payload import Vector

AGREE = 0.35  # cosine; of copies 1 in 200 has less, those at a quarter of the size before all: docs/performance.md
FETCHED = 100  # vectors asked for at once
VectorsOf = Callable[[Sequence[str]], Mapping[str, Vector]]


def collapse(
    hits: Sequence[Hit], mode: Collapse, wanted: int = sys.maxsize, vectors_of: VectorsOf = lambda ids: {}
) -> list[Found]:
    """Fold images with the same bytes into the best of them; mark near ones, fold them too with mode `near`.

    Only the first `wanted` are marked: comparing looks is most of the time of a search. Vectors that hits do not bring
    along are asked for only where two looks are near.
    """
    if mode == "none":
        return [Found(hit) for hit in hits]
    by_sha: dict[str, Found] = {}
    found: list[Found] = []
    looks, looking = Looks(len(hits)), list[Found]()  # those of `found` whose look is known
    vectors = _Vectors(hits, vectors_of)
    for hit in hits:
        near, kept, look = None, by_sha.get(hit.payload.sha256), None
        if kept is None and (mode == "near" or len(found) < wanted):
            look = read_look(base64.b64decode(hit.payload.look))
            alike = (looking[place] for place in looks.near(look)) if look is not None else iter(())
            near = next((other for other in alike if vectors.agree(hit, other.hit)), None)
            kept = near if mode == "near" else None
        if kept is None:
            kept = Found(hit, near_duplicate_of=near.hit.image_id if near is not None else None)
            found.append(kept)
            if look is not None:
                looks.add(look)
                looking.append(kept)
        else:
            kept.duplicates.append(hit.image_id)
        by_sha[hit.payload.sha256] = kept
    return found


def vectors_in(index: VectorIndex) -> VectorsOf:
    """The embeddings of images, those that are not there left out."""

    def of(image_ids: Sequence[str]) -> dict[str, Vector]:
        found = index.fetch(image_ids, with_vectors=True)
        return {image_id: record.vector for image_id, record in found.items() if record.vector is not None}

    return of


class _Vectors:
    """Embeddings of hits, asked for at need, many at once."""

    def __init__(self, hits: Sequence[Hit], vectors_of: VectorsOf) -> None:
        self._known: dict[str, Vector | None] = {hit.image_id: hit.vector for hit in hits if hit.vector is not None}
        self._missing = [hit.image_id for hit in hits if hit.vector is None]
        self._places = {image_id: place for place, image_id in enumerate(self._missing)}
        self._vectors_of = vectors_of

    def agree(self, one: Hit, other: Hit) -> bool:
        """Whether two embeddings do; where one is not there any more, looks decide."""
        first, second = self._of(one.image_id), self._of(other.image_id)
        return first is None or second is None or float(first @ second) >= AGREE

    def _of(self, image_id: str) -> Vector | None:
        place = self._places.get(image_id)
        if place is not None and image_id not in self._known:
            start = place // FETCHED * FETCHED
            asked = self._missing[start : start + FETCHED]
            self._known |= dict.fromkeys(asked) | dict(self._vectors_of(asked))
        return self._known.get(image_id)
