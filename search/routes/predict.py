"""What a picture shows: tags predicted for it, and objects in it."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query

from search import schemas, views
from search.objects.schemas import ObjectPage, ObjectView
from search.objects.seen import VOUCHED, Seen, of_image, of_picture
from search.routes.parameters import IMAGE_BODY, PROBLEMS, ImageIdPath, MinImages, Part, Picture, Running, TagLimit
from search.service import Service

All = Annotated[
    bool, Query(alias="all", description="also parts that no tag fits, and that other pictures do not vouch for")
]
router = APIRouter(responses=PROBLEMS)


@router.post("/v1/predict", openapi_extra=IMAGE_BODY, tags=["tags"])
def predict_image(
    running: Running, content: Picture, part: Part, limit: TagLimit = 20, min_images: MinImages = 1
) -> schemas.Prediction:
    """Tags for an uploaded image."""
    started_s = time.perf_counter()
    found = running.searcher.predict(running.searcher.embedder.embed(content, part), limit, min_images)
    return views.prediction(found, _since_ms(started_s))


@router.get("/v1/predict/id/{image_id:path}", tags=["tags"])
def predict_id(
    running: Running, image_id: ImageIdPath, limit: TagLimit = 20, min_images: MinImages = 1
) -> schemas.Prediction:
    """Tags for an image of the index."""
    started_s = time.perf_counter()
    found = running.searcher.predict(running.searcher.vector_of(running.id_of(image_id)), limit, min_images)
    return views.prediction(found, _since_ms(started_s))


@router.get("/v1/images/{image_id:path}/objects", tags=["objects"])
def objects_of_image(running: Running, image_id: ImageIdPath, every: All = False) -> ObjectPage:
    """What can be seen in an image of the index."""
    started_s = time.perf_counter()
    seen, cut_out = of_image(running, running.id_of(image_id))
    off = not running.settings.objects.per_image
    return _objects(running, seen, "off" if off and not cut_out else "there" if cut_out else "coming", every, started_s)


@router.post("/v1/objects", openapi_extra=IMAGE_BODY, tags=["objects"])
def objects_of_picture(running: Running, content: Picture, every: All = False) -> ObjectPage:
    """What can be seen in an uploaded picture."""
    started_s = time.perf_counter()
    most = running.settings.objects.per_image
    seen = of_picture(running, content) if most else []
    return _objects(running, seen, "there" if most else "off", every, started_s)


def _objects(running: Service, seen: Sequence[Seen], state: str, every: bool, started_s: float) -> ObjectPage:
    tagger = running.served.tagger
    shown = [one for one in seen if every or (one.tags and one.vouched >= VOUCHED)]
    return ObjectPage(
        objects=[ObjectView(**asdict(one) | {"tags": one.tags}) for one in shown],
        state=state,
        tagger_version=None if tagger is None else tagger.predictor.snapshot.version,
        took_ms=_since_ms(started_s),
    )


def _since_ms(started_s: float) -> float:
    return round((time.perf_counter() - started_s) * 1000, 2)
