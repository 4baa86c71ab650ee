"""Parts of a picture with the tags that fit them, and how far other pictures vouch for them.

In: an image id or picture bytes, the running service. Out: `Seen`, the best vouched for first. Raises NotFoundError,
PoisonError for bytes that are no picture, IndexUnavailableError.

A part is shown with tags whose calibrated probability is at or above their thresholds. It is vouched for by what a
search for it finds: the share of the nearest pictures that carry the first tag, each with the weight of its similarity.

Source: Zhai et al., Visual Discovery at Pinterest (arXiv 1702.04680), section 5.2: a detection is shown where its
search results agree on its category.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.proposals import Box
from search.schemas import TagProbability
from search.service import Service
from search.tag_names import TagNames
from search.views import DIGITS
from stream.index.contract import Hit
from stream.index.payload import Vector

TAGS = 5  # of a part at most
NEIGHBOURS = 10  # that are asked
VOUCHED = 0.3  # of their weight, for a part that is shown


@dataclass(frozen=True)
class Seen:
    """A part of a picture.

    Attributes:
        box: in shares of the upright picture.
        tags: at or above their thresholds, the most probable first.
        vouched: share of the nearest pictures, by similarity, that carry the first of the tags; 0 without a tag.
    """

    box: Box
    tags: list[TagProbability]
    vouched: float


def of_image(running: Service, image_id: str) -> tuple[list[Seen], bool]:
    """What can be seen in an image, and whether its objects were cut out already."""
    payload = running.payload(image_id)
    found = running.objects.fetch([image_id], with_vectors=True).get(image_id)
    if found is None or found.sha256 != payload.sha256:
        return [], False
    return _seen(running, found.boxes, found.vectors, but=image_id), True


def of_picture(running: Service, content: bytes) -> list[Seen]:
    """What can be seen in a picture that is not in the index."""
    return _seen(running, *running.searcher.embedder.objects_in(content, running.settings.objects.per_image))


def _seen(running: Service, boxes: Sequence[Box], vectors: Vector | None, *, but: str = "") -> list[Seen]:
    """All parts [K]; the image `but` vouches for nothing. Without a tagger no part has a tag."""
    served, found = running.served.tagger, []
    if vectors is None:
        return []
    if served is None:
        return [Seen(box, [], 0.0) for box in boxes]
    for box, vector, predicted in zip(boxes, vectors, served.predictor.predict(vectors, TAGS), strict=True):
        thresholds = served.predictor.catalogue.thresholds([tag for tag, _ in predicted])
        tags = [
            TagProbability(tag=tag, probability=round(probability, DIGITS), above_threshold=True)
            for (tag, probability), least in zip(predicted, thresholds, strict=True)
            if probability >= least
        ]
        vouched = 0.0
        if tags:
            near = [hit for hit in running.index.search(vector, NEIGHBOURS + 1) if hit.image_id != but]
            vouched = _vouched(tags[0].tag, near[:NEIGHBOURS], served.names)
        found.append(Seen(box, tags, round(vouched, DIGITS)))
    return sorted(found, key=lambda one: (-one.vouched, -max([tag.probability for tag in one.tags], default=0.0)))


def _vouched(tag: str, near: Sequence[Hit], names: TagNames) -> float:
    wanted = names.wanted(tag)
    weights = np.array([max(hit.score, 0.0) for hit in near])
    carry = np.array([names.carries(hit.image_id, hit.payload.tags, wanted) for hit in near], bool)
    return float(weights[carry].sum() / weights.sum()) if weights.sum() > 0 else 0.0
