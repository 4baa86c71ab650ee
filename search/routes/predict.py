"""Tags predicted for a picture."""

import time

from fastapi import APIRouter

from search import schemas, views
from search.routes.parameters import IMAGE_BODY, PROBLEMS, ImageIdPath, MinImages, Part, Picture, Running, TagLimit

router = APIRouter(responses=PROBLEMS, tags=["tags"])


@router.post("/v1/predict", openapi_extra=IMAGE_BODY)
def predict_image(
    running: Running, content: Picture, part: Part, limit: TagLimit = 20, min_images: MinImages = 1
) -> schemas.Prediction:
    """Tags for an uploaded image."""
    started_s = time.perf_counter()
    found = running.searcher.predict(running.searcher.embed(content, part), limit, min_images)
    return views.prediction(found, _since_ms(started_s))


@router.get("/v1/predict/id/{image_id:path}")
def predict_id(
    running: Running, image_id: ImageIdPath, limit: TagLimit = 20, min_images: MinImages = 1
) -> schemas.Prediction:
    """Tags for an image of the index."""
    started_s = time.perf_counter()
    found = running.searcher.predict(running.searcher.vector_of(running.id_of(image_id)), limit, min_images)
    return views.prediction(found, _since_ms(started_s))


def _since_ms(started_s: float) -> float:
    return round((time.perf_counter() - started_s) * 1000, 2)
