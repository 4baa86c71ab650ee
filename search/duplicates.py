"""Images with the same bytes, or nearly the same look, on one page of results.

In: hits in their order. Out: `Found`, in the same order. Nothing fails.
"""

from collections.abc import Sequence

from models.preprocess import hash_distance
from search.answer import Found
from search.schemas import Collapse
from stream.index.contract import Hit

NEAR_BITS = 6  # of 64 perceptual-hash bits that may differ between near duplicates


def collapse(hits: Sequence[Hit], mode: Collapse) -> list[Found]:
    """Fold images with the same bytes into the best of them; mark near ones, fold them too with mode `near`."""
    if mode == "none":
        return [Found(hit) for hit in hits]
    by_sha: dict[str, Found] = {}
    found: list[Found] = []
    for hit in hits:
        near, kept = None, by_sha.get(hit.payload.sha256)
        if kept is None:
            near = _near(hit, found)
            kept = near if mode == "near" else None
        if kept is None:
            kept = Found(hit, near_duplicate_of=near.hit.image_id if near is not None else None)
            found.append(kept)
        else:
            kept.duplicates.append(hit.image_id)
        by_sha[hit.payload.sha256] = kept
    return found


def _near(hit: Hit, found: Sequence[Found]) -> Found | None:
    mine = int(hit.payload.phash, 16)
    return next((item for item in found if hash_distance(mine, int(item.hit.payload.phash, 16)) <= NEAR_BITS), None)
