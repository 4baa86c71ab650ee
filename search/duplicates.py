"""Images with the same bytes, or nearly the same look, on one page of results.

In: hits in their order. Out: `Found`, in the same order. Nothing fails.
"""

import base64
import sys
from collections.abc import Sequence

from models.look import Looks, read_look
from search.answer import Found
from search.schemas import Collapse
from stream.index.contract import Hit


def collapse(hits: Sequence[Hit], mode: Collapse, wanted: int = sys.maxsize) -> list[Found]:
    """Fold images with the same bytes into the best of them; mark near ones, fold them too with mode `near`.

    Only the first `wanted` are marked: comparing looks is most of the time of a search.
    """
    if mode == "none":
        return [Found(hit) for hit in hits]
    by_sha: dict[str, Found] = {}
    found: list[Found] = []
    looks, looking = Looks(len(hits)), list[Found]()  # those of `found` whose look is known
    for hit in hits:
        near, kept, look = None, by_sha.get(hit.payload.sha256), None
        if kept is None and (mode == "near" or len(found) < wanted):
            look = read_look(base64.b64decode(hit.payload.look))
            place = None if look is None else looks.first_near(look)
            near = None if place is None else looking[place]
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
