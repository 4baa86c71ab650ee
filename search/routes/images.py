"""Images of the index: what is kept of one, and its bytes."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Query, Response

from search import schemas, views
from search.routes.parameters import PROBLEMS, ImageIdPath, Running

SAME_BYTES = 100  # ids shown of images with the same bytes

router = APIRouter(responses=PROBLEMS, tags=["images"])


@router.get("/v1/waiting")
def list_waiting(
    running: Running,
    limit: Annotated[int, Query(ge=1, le=1_000, description="images wanted")] = 100,
    cursor: Annotated[uuid.UUID | None, Query(description="of the page before")] = None,
) -> schemas.WaitingPage:
    """Images that are not there and that events wait for."""
    records, following = running.index.scroll_waiting(None if cursor is None else str(cursor), limit)
    return schemas.WaitingPage(images=[views.waiting(record) for record in records], cursor=following)


@router.get("/v1/images/{image_id:path}/bytes", response_class=Response)
def image_bytes(running: Running, image_id: ImageIdPath) -> Response:
    """The picture itself."""
    payload = running.payload(image_id)
    content = running.picture(image_id)
    headers = {"ETag": f'"{payload.sha256}"', "X-Content-Type-Options": "nosniff"}
    return Response(content, media_type=f"image/{payload.format}", headers=headers)


@router.get("/v1/images/{image_id:path}")
def show_image(running: Running, image_id: ImageIdPath) -> schemas.ImageView:
    """What the index holds of one image."""
    payload = running.payload(image_id)
    same = running.index.find_sha256(payload.sha256, SAME_BYTES)
    duplicates = {hit.image_id for hit in same} - {image_id}
    return views.image(image_id, payload, running.searcher.names(), duplicates)
