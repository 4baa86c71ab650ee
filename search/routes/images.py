"""Images of the index: what is kept of one, its bytes, and which there are."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from search import schemas, views
from search.pictures.answers import answer
from search.routes.parameters import PROBLEMS, ImageIdPath, Running

SAME_BYTES = 100  # ids shown of images with the same bytes
BINARY = {"schema": {"type": "string", "format": "binary"}}

router = APIRouter(responses=PROBLEMS, tags=["images"])
PageSize = Annotated[int, Query(ge=1, le=1_000, description="images wanted")]
Cursor = Annotated[uuid.UUID | None, Query(description="of the page before")]
ThumbnailPx = Annotated[
    int | None, Query(ge=64, le=1_024, description="a WebP thumbnail, its long side so long at most; 224 at most")
]


@router.get("/v1/waiting")
def list_waiting(running: Running, limit: PageSize = 100, cursor: Cursor = None) -> schemas.WaitingPage:
    """Images that are not there and that events wait for."""
    records, following = running.index.scroll_waiting(None if cursor is None else str(cursor), limit)
    return schemas.WaitingPage(images=[views.waiting(record) for record in records], cursor=following)


@router.get("/v1/images")
def list_images(running: Running, limit: PageSize = 100, cursor: Cursor = None) -> schemas.ImagePage:
    """All images, in an order that means nothing and stays the same."""
    hits, following = running.index.scroll(None if cursor is None else str(cursor), limit)
    names = running.searcher.names()
    images = [views.image(hit.image_id, hit.payload, names, ()) for hit in hits]
    return schemas.ImagePage(images=images, cursor=following)


@router.get(
    "/v1/images/{image_id:path}/bytes",
    response_class=Response,
    responses={
        200: {"content": {"image/*": BINARY}, "description": "the picture, or its thumbnail"},
        206: {"content": {"image/*": BINARY}, "description": "the part that the header Range asked for"},
        304: {"description": "the client has it, as the header If-None-Match says"},
        416: {"model": schemas.Problem, "description": "there is no such part"},
    },
)
def image_bytes(request: Request, running: Running, image_id: ImageIdPath, size: ThumbnailPx = None) -> Response:
    """The picture itself, or a thumbnail of it; with ETag and ranges."""
    payload = running.payload(image_id)
    if size is None:
        content = running.picture(image_id)
        return answer(content, f"image/{payload.format}", f'"{payload.sha256}"', request.headers)
    content = running.thumbnail(image_id, payload.sha256, size)
    return answer(content, "image/webp", f'"{payload.sha256}-{size}"', request.headers)


@router.get("/v1/images/{image_id:path}")
def show_image(running: Running, image_id: ImageIdPath) -> schemas.ImageView:
    """What the index holds of one image."""
    payload = running.payload(image_id)
    same = running.index.find_sha256(payload.sha256, SAME_BYTES)
    duplicates = {hit.image_id for hit in same} - {image_id}
    return views.image(image_id, payload, running.searcher.names(), duplicates)
